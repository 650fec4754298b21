"""Tour of `registry demo`: an offline catalog made from nothing, and questions to it.

Its evaluations are made up, and it says so wherever it shows a score.
"""

import os
import shlex
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path

from registry.db import connection as database
from registry.db import embedded, migrate, revisions
from registry.demo import evaluation_files
from registry.demo.hub.server import HubServer
from registry.demo.models import RENAMED, models
from registry.errors import RegistryError

BASE = "mistralai/Mistral-7B-v0.1"
DERIVED = "HuggingFaceH4/zephyr-7b-beta"

NEVER_RUN = "TheBloke/zephyr-7B-beta-AWQ"
ASKED = "demo-sums"

GROWTH = """\
SELECT now.model, now.downloads, now.downloads - before.downloads AS more_than_a_month_ago
  FROM registry.model_history AS now
  JOIN registry.model_history AS before USING (model)
 WHERE now.observed_at > before.observed_at
 ORDER BY more_than_a_month_ago DESC LIMIT 5"""

SEPARATING = f"""\
SELECT item, prompt, outcome_a AS base, outcome_b AS tuned,
       round(mean_outcome::numeric, 2) AS all_models
  FROM registry.separating_items(
       '{BASE}', '{DERIVED}', 'demo-sums', 5)"""  # noqa: S608 - fixed names

AGREEING = f"""\
SELECT on_benchmark, items, round(agreement::numeric, 2) AS agreement,
       round(kappa::numeric, 2) AS kappa,
       both_right, only_a AS only_base, only_b AS only_tuned, both_wrong
  FROM registry.agreement('{BASE}', '{DERIVED}')"""  # noqa: S608 - as above


@dataclass(frozen=True, slots=True)
class Step:
    """One command of the tour with its heading."""

    heading: str
    command: str


QUESTIONS = (
    Step("What is in the catalog", "status --format table"),
    Step(
        f"What was made from {BASE}",
        f"lineage show {BASE} --direction down --depth 2 --branches 6",
    ),
    Step(
        "Which Mistrals follow instructions and may be used freely",
        "models search 'mistral instruct' --license apache-2.0 --limit 5 --format table",
    ),
    Step(f"What is like {DERIVED}", f"similar {DERIVED} -k 5 --format table"),
    Step("What grew most in a month, in SQL", f"query {shlex.quote(GROWTH)} --format table"),
    Step(
        "Where models state other licences than their parents",
        "lineage check --problem license_drift --limit 5 --format table",
    ),
)

OUTCOMES = (
    Step(
        "Which models do best, by those scores: made up, not of the real models",
        "evals leaderboard --limit 8 --format table",
    ),
    Step(
        f"Which items separate {BASE} and {DERIVED} (made up too)",
        f'query "{SEPARATING}" --format table',
    ),
    Step(
        "How often these two are right on the same items (made up too)",
        f'query "{AGREEING}" --format table',
    ),
)

LEARNED = (
    Step(
        "Vectors of models learned from these outcomes, and how well they predict others",
        "train --encoder hashing --format table",
    ),
    Step(
        f"What answers like {DERIVED}, by the learned vectors (of made-up outcomes)",
        f"nearest {DERIVED} -k 5 --format table",
    ),
)

PREDICTED = Step(
    f"What {NEVER_RUN} would score, which nobody evaluated (of made-up scores)",
    f"predict {NEVER_RUN} --benchmark {ASKED} --format table",
)

PRICES = """\
provider,model,input_per_million,output_per_million,date
demo,HuggingFaceH4/zephyr-7b-beta,0.30,0.30,2026-01-01
demo,mistralai/Mistral-7B-v0.1,0.10,0.10,2026-01-01
demo,Qwen/Qwen2.5-72B-Instruct,0.90,0.90,2026-01-01
demo,meta-llama/Llama-2-70b-chat-hf,0.60,0.80,2026-01-01
"""
"""Made-up prices of four models, in dollars for a million tokens."""

PROMPT = "What is 48 plus 76?"

ROUTED = (
    Step(
        "Which model should answer a prompt, what that costs, and the alternatives (made up too)",
        f"route {shlex.quote(PROMPT)} -k 4 --format table",
    ),
    Step(
        "The same among models with a price, where a dollar for a million tokens outweighs 0.2",
        f"route {shlex.quote(PROMPT)} --cost-weight 0.2 --format table",
    ),
)

ANSWERS = "ten-answers.csv"

MAP = "map.html"

NEXT = (
    f"models show {DERIVED}",
    f"models compare {DERIVED} openchat/openchat_3.5",
    "lineage show mlabonne/AlphaMonarch-7B --format mermaid",
    'query "SELECT root, models, median_parameters FROM registry.families ORDER BY 2 DESC"',
    f"evals leaderboard --family {BASE}",
    "query \"SELECT * FROM registry.hardest_items('demo-cities', 5)\"",
    "doctor",
    "db start && registry db url     # for psql, a notebook or a BI tool",
)

NEXT_LEARNED = (
    "explain TheBloke/zephyr-7B-beta-AWQ",
    'route "What is the capital of France?"',
)


def default_directory() -> Path:
    """Return the directory of the tour's catalog: beside the data directory, never in it."""
    directory = embedded.default_data_directory()
    return directory.with_name(f"{directory.name}-demo")


def run(directory: Path | None = None) -> None:
    """Take the tour, with its own server in its own directory, and leave the catalog there.

    Raises:
        RegistryError: when a step fails; its own message has been printed by then.
    """
    directory = (directory or default_directory()).absolute()
    today = datetime.now(UTC).date()
    print(f"A tour of the registry, offline, in {directory}", flush=True)
    with embedded.running(directory) as server:
        engine = database.create_engine(server.url)
        with engine.connect() as connection:
            used = revisions.current_revision(connection) is not None
        if used:
            migrate.downgrade(engine, "base")
        engine.dispose()
        _sync(directory, today)
        for step in QUESTIONS:
            _show(directory, step)
        _import_evaluations(directory)
        for step in OUTCOMES:
            _show(directory, step)
        if can_train():
            for step in (*LEARNED, PREDICTED):
                _show(directory, step)
            _estimate(directory)
            _draw(directory)
            _route(directory)
        else:
            print("\nLearning vectors of models needs more: pip install 'llm-registry[train]'")
    print("\nNow try these yourself:")
    print(f"  export REGISTRY_DATA_DIR={shlex.quote(str(directory))}")
    for command in (*NEXT_LEARNED, *NEXT) if can_train() else NEXT:
        print(f"  registry {command}")
    print("Then `unset REGISTRY_DATA_DIR` and run `registry sync --limit 10000` for the real Hub.")


def _estimate(directory: Path) -> None:
    """Choose ten items, and estimate the score of all from a model's answers to them."""
    plan = f"evals plan {DERIVED} --benchmark {ASKED} --budget 10"
    _show(directory, Step(f"The ten items that say most of {DERIVED} on {ASKED}", plan))
    chosen = _output(directory, f"{plan} --format quiet").splitlines()
    listed = ", ".join(f"'{item}'" for item in chosen)
    answered = (
        "SELECT item, outcome FROM registry.outcomes"  # noqa: S608 - items of the tour's own
        f" WHERE model = '{DERIVED}' AND benchmark = '{ASKED}' AND item IN ({listed})"
    )
    answers = directory / ANSWERS
    answers.write_text(_output(directory, f"query {shlex.quote(answered)} --format csv"))
    command = (
        f"evals estimate {DERIVED} --benchmark {ASKED} --answers {shlex.quote(str(answers))} "
        "--format table"
    )
    _show(directory, Step("Its score on all items, estimated from its answers to these", command))


def _draw(directory: Path) -> None:
    """Draw the map, in place of one of an earlier tour."""
    page = directory / MAP
    page.unlink(missing_ok=True)
    command = f"embeddings map {shlex.quote(str(page))}"
    _show(directory, Step("A map of these models to open in a browser", command))


def _route(directory: Path) -> None:
    """Import prices, and choose a model for a prompt by them."""
    prices = directory / "prices.csv"
    prices.write_text(PRICES, encoding="utf-8")
    imported = f"prices import {shlex.quote(str(prices))} --source demo --format table"
    _show(directory, Step("Prices of four of these models, made up", imported))
    for step in ROUTED:
        _show(directory, step)


def can_train() -> bool:
    """Return whether the packages that training needs are installed."""
    return all(find_spec(module) is not None for module in ("torch", "sklearn"))


def _sync(directory: Path, today: date) -> None:
    """Sync a sample Hub twice, as it was a month ago and as it is today."""
    before = today - timedelta(days=31)
    with HubServer(models(before), moved=RENAMED, rate_limit=None) as hub:
        _show(directory, Step("A sample Hub, as it was a month ago", "db upgrade"), hub.url)
        moment = datetime.combine(before, datetime.min.time(), UTC).isoformat()
        _call(directory, f"sync --as-of {moment} --format table", hub.url)
        hub.replace(models(today))
        again = Step(
            "The same Hub today: all counters, and what changed", "sync --full --format table"
        )
        _show(directory, again, hub.url)


def _import_evaluations(directory: Path) -> None:
    """Write made-up evaluations to files, and import them."""
    files = evaluation_files.write(directory)
    table = Step(
        "Evaluations of these models, all made up here: a table as of a leaderboard",
        f"evals import {shlex.quote(str(files.board))} "
        f"--mapping {shlex.quote(str(files.mapping))} --format table",
    )
    logs = Step(
        "Made-up logs of a harness, in the form of lm-eval's",
        f"evals import {shlex.quote(str(files.logs))} --format table",
    )
    _show(directory, table)
    _show(directory, logs)


def _show(directory: Path, step: Step, endpoint: str | None = None) -> None:
    print(f"\n— {step.heading}", flush=True)
    _call(directory, step.command, endpoint)


def _call(directory: Path, command: str, endpoint: str | None = None) -> None:
    """Run one command as a user would, on the tour's catalog."""
    print(f"$ registry {command}", flush=True)
    _run(directory, command, endpoint)


def _output(directory: Path, command: str) -> str:
    """Return what a command writes to stdout."""
    return _run(directory, command, shown=False).stdout


def _run(
    directory: Path, command: str, endpoint: str | None = None, *, shown: bool = True
) -> subprocess.CompletedProcess[str]:
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in {"REGISTRY_DATABASE_URL", "DATABASE_URL", "HF_TOKEN"}
    }
    environment["REGISTRY_DATA_DIR"] = str(directory)
    if endpoint is not None:
        environment["HF_ENDPOINT"] = endpoint
    arguments = [sys.executable, "-m", "registry", *shlex.split(command)]
    ran = subprocess.run(  # noqa: S603 - fixed
        arguments, env=environment, check=False, capture_output=not shown, text=True
    )
    if ran.returncode != 0:
        print(ran.stderr or "", file=sys.stderr)
        raise RegistryError(f"The tour ends here: `registry {command}` failed.")
    return ran
