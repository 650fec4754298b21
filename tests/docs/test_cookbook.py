"""Every query of the cookbook, on a catalog small enough to know the answers by eye."""

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import orjson
import pytest
import scored
from databases import REPOSITORY
from evaluated import block, items, run, write
from factories import NOON, alias, counters, edge, history, model, refresh_features, rows, stub
from priced import offer
from routed import kept_router, subjects_problem
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from registry.catalog import families
from registry.evaluations.records import Item, Setup, Source
from registry.prediction.domains import domain_storage

BASE = "mistralai/Mistral-7B-v0.1"
TEXT = (REPOSITORY / "docs" / "cookbook.md").read_text()
QUERIES = {
    section.partition("\n")[0]: query
    for section in TEXT.split("\n## ")[1:]
    for query in re.findall(r"```sql\n(.*?)```", section, re.DOTALL)
}
DAY = timedelta(days=1)


@pytest.fixture
def catalog(connection: Connection) -> Connection:
    """A family of a base and its offspring, a merge across families, and models on their own."""
    made: dict[str, dict[str, Any]] = {
        BASE: {"license": "apache-2.0", "parameters": 7_000_000_000, "downloads": 1000},
        "me/chat": {"license": "mit", "parameters": 7_000_000_000, "downloads": 500},
        "me/chat-2": {"license": None, "parameters": 7_000_000_000, "downloads": 200},
        "me/closed": {"license": "cc-by-nc-4.0", "parameters": 7_000_000_000, "downloads": 150},
        "q/chat-GGUF": {"license": "apache-2.0", "tags": ["gguf"], "downloads": 90},
        "q/chat-2-GGUF": {"license": "mit", "tags": ["gguf"], "downloads": 95},
        "q/silent-GGUF": {"license": None, "tags": ["gguf"], "downloads": None},
        "q/silent-2-GGUF": {"license": None, "tags": ["gguf"], "downloads": 99},
        "q/closed-GGUF": {"license": None, "tags": ["gguf"], "downloads": 98},
        "q/gone-GGUF": {"license": "mit", "tags": ["gguf"], "downloads": 97, "state": "gone"},
        "q/chat-AWQ": {"license": "mit", "tags": ["awq"], "downloads": 96},
        "q/base-GGUF": {"license": "mit", "tags": ["gguf"], "downloads": 94},
        "other/root": {"license": "llama2", "parameters": 13_000_000_000, "downloads": 300},
        "other/unknown": {"license": None, "downloads": 120},
        "me/merge": {"license": "mit", "downloads": 110},
        "me/agreed": {"license": "mit", "downloads": 105},
    }
    keys = []
    for name, columns in made.items():
        downloads = columns.pop("downloads")
        keys.append(
            model(
                connection,
                name,
                pipeline_tag="text-generation",
                quantization="gguf" if columns.get("tags") == ["gguf"] else None,
                **columns,
            )
        )
        counters(connection, name, downloads=downloads)
    keys.append(stub(connection, "other/unseen"))
    for child, parent, relation in (
        ("me/chat", BASE, "finetune"),
        ("me/chat-2", "me/chat", "finetune"),
        ("me/closed", BASE, "finetune"),
        ("q/chat-GGUF", "me/chat", "quantized"),
        ("q/chat-2-GGUF", "me/chat-2", "quantized"),
        ("q/silent-GGUF", "me/chat", "quantized"),
        ("q/silent-2-GGUF", "me/chat-2", "quantized"),
        ("q/closed-GGUF", "me/closed", "quantized"),
        ("q/gone-GGUF", "me/chat", "quantized"),
        ("q/chat-AWQ", "me/chat", "quantized"),
        ("q/base-GGUF", BASE, "quantized"),
        ("me/merge", BASE, "merge"),
        ("me/merge", "other/root", "merge"),
        ("me/merge", "other/unknown", "merge"),
        ("me/agreed", BASE, "merge"),
        ("me/agreed", "q/chat-GGUF", "merge"),
        ("me/agreed", "other/unseen", "merge"),
    ):
        position = int(parent != BASE)
        edge(connection, child, parent, relation, position=position)
        edge(connection, child, parent, relation, source="card", confidence=0.9)
    alias(connection, BASE, "mistralai/old-name")
    families.refresh_families(connection, keys)
    return connection


def answer(connection: Connection, title: str) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in connection.execute(text(QUERIES[title].replace(":", r"\:")))]


def test_gguf_quantizations_of_fine_tunes(catalog: Connection) -> None:
    assert answer(
        catalog, "GGUF quantizations of fine-tunes of a base, under a permissive licence"
    ) == [
        ("q/chat-2-GGUF", "me/chat-2", "mit", 95),
        ("q/chat-GGUF", "me/chat", "apache-2.0", 90),
        ("q/silent-GGUF", "me/chat", "mit", None),
    ]


def test_the_fastest_growing_models(catalog: Connection) -> None:
    for name, line in {
        # Between two rows the earlier holds: 600 a month ago, not 100 or 999.
        BASE: [(-90, 100), (-40, 600), (-20, 999), (0, 1000)],
        "me/chat": [(-35, 0), (-1, 500)],
        "me/closed": [(-60, 160), (-2, 150)],
        "me/chat-2": [(-20, 1), (0, 200)],  # not known a month ago
        "q/chat-GGUF": [(-40, 1), (0, 90)],  # too few
        "other/root": [(-300, 300)],  # unchanged since
        "other/unknown": [(-31, 100), (-3, 120)],
    }.items():
        for days, downloads in line:
            history(catalog, name, NOON + days * DAY, downloads=downloads)
    assert answer(catalog, "The ten fastest-growing models of the last month") == [
        ("me/chat", 0, 500, 500, None),
        (BASE, 600, 1000, 400, Decimal("1.7")),
        ("other/unknown", 100, 120, 20, Decimal("1.2")),
        ("other/root", 300, 300, 0, 1),
        ("me/closed", 160, 150, -10, Decimal("0.9")),
    ]


def test_families(catalog: Connection) -> None:
    total = 1000 + 500 + 200 + 150 + 90 + 95 + 99 + 98 + 97 + 96 + 94 + 110 + 105
    assert answer(catalog, "Families by size and median parameters") == [
        (BASE, 14, 3, 7_000_000_000, total, "apache-2.0")
    ]


def test_merges_whose_sources_disagree(catalog: Connection) -> None:
    assert answer(catalog, "Merges whose sources disagree in licence") == [
        ("me/merge", "mit", ["apache-2.0", "llama2", None], 3)
    ]


def test_the_most_derived_models(catalog: Connection) -> None:
    assert answer(catalog, "The models that most others were made from")[:3] == [
        ("me/chat", 5, 1, 0, 4, 0),
        (BASE, 5, 2, 0, 1, 2),
        ("me/chat-2", 2, 0, 0, 2, 0),
    ]


def test_licence_drift(catalog: Connection) -> None:
    title = "Families whose members drift from the licence of what they were made from"
    assert answer(catalog, title) == [(BASE, 6, "mit, made from apache-2.0")]


def test_popular_but_abandoned(catalog: Connection) -> None:
    old = {"last_modified": NOON - 400 * DAY, "new_version": "me/chat"}
    model(catalog, "old/one", **old)
    model(catalog, "old/gone", state="gone", **old)
    assert answer(catalog, "Popular but abandoned") == [
        ("old/one", None, (NOON - 400 * DAY).date(), "me/chat")
    ]


def test_what_nobody_has_quantized(catalog: Connection) -> None:
    assert [row[0] for row in answer(catalog, "What nobody has quantized yet")] == [
        *("other/root", "other/unknown", "me/merge", "me/agreed", "q/chat-AWQ"),
    ]


def test_models_like_one(catalog: Connection) -> None:
    given: dict[str, Any] = {"model_type": "llama", "parameters": 7 * 10**9, "license": "mit"}
    other: dict[str, dict[str, Any]] = {
        "meta-llama/Meta-Llama-3-8B-Instruct": {},
        "new/twin": {},
        "new/cousin": {"model_type": "gemma"},
        "new/large": {"parameters": 8 * 10**9},
        "new/closed": {"license": "llama3"},
        "new/gone": {"state": "gone"},
    }
    for name, columns in other.items():
        model(catalog, name, **given | columns)
    refresh_features(catalog)
    title = "Models like one, under a permissive licence, below 8 B parameters"
    found = [row[0] for row in answer(catalog, title) if row[0].startswith(("new", "meta"))]
    assert found == ["new/twin", "new/cousin"]


def test_what_changed(catalog: Connection) -> None:
    catalog.execute(
        text("UPDATE store.models SET first_seen = :long_ago WHERE author IN ('me', 'q')"),
        {"long_ago": NOON - 100 * DAY},
    )
    catalog.execute(
        text("UPDATE store.models SET changed_at = first_seen WHERE author = 'q'"),
    )
    catalog.execute(
        text("UPDATE store.models SET gone_at = :yesterday WHERE state = 'gone'"),
        {"yesterday": NOON - DAY},
    )
    assert answer(catalog, "What changed in the last week") == [
        (NOON.date(), "changed", 5),
        (NOON.date(), "new", 3),
        ((NOON - DAY).date(), "gone", 1),
    ]


def test_where_sources_disagree(connection: Connection) -> None:
    board = Source(name="board")
    few, many, best_of = Setup(shots=0), Setup(shots=5), Setup(variant="best-of-16")
    blocks = (
        block("arc", run("org/a", score=0.50), run("org/a", score=0.55, source=board)),
        block("arc", run("org/b", score=0.50), run("org/b", score=0.51, source=board)),
        block(
            "arc", run("org/c", score=0.5), run("org/c", score=0.9, source=board, complete=False)
        ),
        # One source's checkpoints, other setups and systems do not disagree.
        block("arc", run("org/d", score=0.1, revision="step1"), run("org/d", score=0.9)),
        block(
            "arc",
            run("org/e", score=0.1, setup=few),
            run("org/e", score=0.9, setup=many, source=board),
        ),
        block("arc", run("org/f", score=0.1), run("org/f", score=0.9, setup=best_of, source=board)),
        # Of each source, the preferred run counts.
        block(
            "arc",
            run("org/g", score=0.1, revision="step1"),
            run("org/g", score=0.5),
            run("org/g", score=0.4, source=board),
        ),
    )
    write(connection, *blocks)
    found = answer(connection, "Where sources disagree about a score")
    assert [(row[0], row[5], row[6], row[7]) for row in found] == [
        ("org/g", 0.4, 0.5, ["board: 0.400", "tests: 0.500"]),
        ("org/a", 0.5, 0.55, ["board: 0.550", "tests: 0.500"]),
    ]


def test_what_a_fine_tune_gained(catalog: Connection) -> None:
    model(catalog, "HuggingFaceH4/zephyr-7b-beta")
    asked = [*items(2, domain="sums"), Item("i2", domain="logic"), Item("i3", domain="logic")]
    outcomes = {BASE: [1, 0, 1, 1], "HuggingFaceH4/zephyr-7b-beta": [1, 1, 1, 0]}
    write(catalog, block("quiz", *(run(*each) for each in outcomes.items()), asked=asked))
    assert answer(catalog, "What a fine-tune gained and lost") == [
        ("sums", 2, 0.5, 1.0, 0.5),
        ("logic", 2, 1.0, 0.5, -0.5),
    ]


def test_the_best_small_model_on_a_benchmark(catalog: Connection) -> None:
    scores = {"me/chat": 0.6, BASE: 0.7, "me/closed": 0.8, "other/root": 0.9, "me/chat-2": 0.95}
    write(catalog, block("demo-sums", *(run(name, score=each) for name, each in scores.items())))
    title = "The best small model on a benchmark, under a permissive licence"
    assert [row[:2] for row in answer(catalog, title)] == [(BASE, 0.7), ("me/chat", 0.6)]


def test_a_board(catalog: Connection) -> None:
    scores = {"me/chat": 0.6, BASE: 0.7, "me/closed": 0.8, "other/root": 0.9, "me/chat-2": 0.95}
    for name in ("gsm8k", "arc", "hellaswag"):
        write(catalog, block(name, *(run(model, score=each) for model, each in scores.items())))
    found = answer(catalog, "A board of the benchmarks that matter to you")
    assert [(row[0], float(row[1]), row[2]["arc"]) for row in found] == [
        (BASE, 0.7, 0.7),
        ("me/chat", 0.6, 0.6),
    ]


def test_the_best_permissive_model_per_benchmark(catalog: Connection) -> None:
    scores = {"me/chat": 0.6, BASE: 0.7, "me/closed": 0.8, "other/root": 0.9}
    write(catalog, block("sums", *(run(name, score=each) for name, each in scores.items())))
    write(catalog, block("logic", run("me/chat", score=0.2), run("me/closed", score=0.9)))
    title = "The best model below 8 B parameters under a permissive licence, per benchmark"
    assert [row[:3] for row in answer(catalog, title)] == [
        ("logic", "me/chat", 0.2), ("sums", BASE, 0.7),
    ]  # fmt: skip


def test_fine_tunes_against_bases(catalog: Connection) -> None:
    scores = {BASE: 0.5, "me/chat": 0.6, "me/chat-2": 0.5, "me/closed": 0.3, "q/chat-GGUF": 0.9}
    write(catalog, block("sums", *(run(name, score=each) for name, each in scores.items())))
    write(catalog, block("logic", run(BASE, score=0.5), run("me/chat", score=0.9)))
    [(root, tunes, count, better, gain)] = answer(catalog, "Fine-tunes against their bases, by family")
    assert (root, tunes, count, float(better)) == (BASE, 3, 4, 0.5)
    assert gain == pytest.approx((0.1 + 0.4 - 0.1 - 0.2) / 4)


def test_benchmarks_that_disagree(connection: Connection) -> None:
    orders = {"up": range(24), "again": range(24), "down": range(23, -1, -1)}
    for name, places in orders.items():
        runs = [run(f"org/m{n:02}", score=place / 100) for n, place in enumerate(places)]
        write(connection, block(name, *runs))
    write(connection, block("rare", run("org/m01", score=0.5), run("org/m02", score=0.6)))
    assert answer(connection, "Benchmarks that disagree most about models") == [
        ("again", "down", 24, -1), ("down", "up", 24, -1), ("again", "up", 24, 1),
    ]  # fmt: skip


def test_size_against_score(connection: Connection) -> None:
    for number in range(20):
        model(connection, f"org/m{number}", parameters=2**number * 1000)
    linear = [run(f"org/m{number}", score=number / 50) for number in range(20)]
    write(connection, block("size", *linear, run("org/unknown", score=0.9)))
    write(connection, block("few", *linear[:19]))
    assert answer(connection, "How much of a score is size") == [("size", 20, 1, 2)]


def test_models_like_one_without_scores(catalog: Connection) -> None:
    write(catalog, block("sums", run("me/chat", score=0.5), run("me/closed", score=0.5)))
    refresh_features(catalog)
    names = {row[0] for row in answer(catalog, "Models like one that nobody has evaluated")}
    assert "me/chat-2" in names
    assert not names & {"me/chat", "me/closed", BASE, "q/gone-GGUF", "other/unseen"}


def test_models_with_the_same_scores(connection: Connection) -> None:
    for name in ("a", "b", "c", "d"):
        runs = [run(model, score=0.5) for model in ("org/one", "org/copy", "org/few")]
        write(connection, block(name, *runs[: 2 if name == "d" else 3], run("org/other", score=0.6)))
    assert answer(connection, "Models with the same scores under two names") == [
        (["org/copy", "org/one"], 4)
    ]


def test_the_hardest_items(connection: Connection) -> None:
    outcomes = {f"org/m{number:02}": [number > 8, number > 2, 1] for number in range(10)}
    write(connection, block("gsm8k", *(run(*each) for each in outcomes.items()),
                            asked=[Item("hard", prompt="Why?"), Item("easy"), Item("trivial")]))  # fmt: skip
    found = answer(connection, "The hardest items of a benchmark")
    assert [(row[0], row[2], row[4]) for row in found] == [
        ("hard", 10, "Why?"), ("easy", 10, None), ("trivial", 10, None),
    ]  # fmt: skip
    assert found[0][3] == pytest.approx(0.1)


def test_strengths_by_domain(catalog: Connection) -> None:
    asked = [*items(2, domain="sums"), Item("i2", domain="logic"), Item("i3", domain="logic")]
    outcomes = {BASE: [1, 1, 0, 1], "me/chat": [0, 0, 1, 1]}
    write(catalog, block("mmlu", *(run(*each) for each in outcomes.items()), asked=asked))
    assert answer(catalog, "What a model is good at, by domain") == [
        ("sums", 2, 1.0, 0.5, 0.5),
        ("logic", 2, 0.5, 0.75, -0.25),
    ]


@pytest.fixture
def forecast(catalog: Connection) -> Connection:
    """The catalog with predictions made by hand: of one ability a model, on gsm8k."""
    write(catalog, block("gsm8k", run(BASE, score=0.5)))
    scored.version(catalog)
    for name, ability, deviation in (
        (BASE, 0.0, 0.1), ("me/chat", 1.0, 0.1), ("me/chat-2", 1.2, 3.0), ("other/root", 2.0, 0.1),
    ):  # fmt: skip
        catalog.execute(
            text("""
            UPDATE store.abilities SET vector = CAST(:ability AS vector), scale = :scale
             WHERE model_id = registry.model_id(:name)"""),
            {"ability": f"[{ability}]", "scale": deviation, "name": name},
        )
    catalog.execute(
        text("""
        UPDATE store.abilities SET kind = 'scores', score_count = 4, blocks = 1
         WHERE model_id = registry.model_id(:name)"""),
        {"name": BASE},
    )
    catalog.execute(
        text("""
        INSERT INTO store.fitted_scores
        SELECT registry.model_id(:name), version_id, benchmark_id, 3, 0, 0, 0.5, 3
          FROM store.benchmark_loadings"""),
        {"name": BASE},
    )
    return catalog


def test_the_best_small_models_evaluated_or_not(forecast: Connection) -> None:
    found = answer(forecast, "The best small models on a benchmark, evaluated or not")
    # The larger model is left out; the most uncertain one comes last.
    assert [(row[0], row[5]) for row in found] == [
        (BASE, "measured"),
        ("me/chat", "catalog"),
        ("me/closed", "catalog"),
        ("me/chat-2", "catalog"),
    ]
    assert found[0][3] is None
    assert all(row[3] < row[2] < row[4] for row in found[1:])


def test_scores_that_nothing_else_explains(forecast: Connection) -> None:
    ((name, benchmark, score, predicted, direction, distance, *chances, source),) = answer(
        forecast, "Scores that nothing else explains"
    )
    # Of 50 held-out scores, nothing rarer than one in 51 can be told.
    assert chances == [pytest.approx(1 / 51), pytest.approx(1 / 51)]
    assert (name, benchmark, direction, source) == (BASE, "gsm8k", "higher", "tests")
    assert score > 0.9 > predicted == 0.5
    assert distance == pytest.approx(3 / 0.5 / 1.6)


def test_what_to_evaluate_next(forecast: Connection) -> None:
    found = answer(forecast, "What to evaluate next")
    assert found[0][:3] == ("me/chat-2", "gsm8k", 200)
    assert BASE not in [row[0] for row in found]
    assert not {"q/gone-GGUF", "other/unseen"} & {row[0] for row in found}


@pytest.fixture
def priced(catalog: Connection) -> Connection:
    """Prices of three models, of which the base has become cheaper now, and runs of two."""
    keys = dict(rows(catalog, "SELECT name, model_id FROM store.models"))
    now = datetime.now(UTC)
    offer(catalog, "m", keys[BASE], (4.0, 4.0), (2.0, 2.0), provider="dear", since=now - 1.5 * DAY)
    offer(catalog, "m", keys[BASE], (1.0, 1.0), provider="cheap", since=now - 90 * DAY)
    offer(catalog, "m:free", keys[BASE], (0.0, 0.0), provider="free")
    offer(catalog, "c", keys["me/chat"], (0.5, 0.5))
    offer(catalog, "r", keys["other/root"], (5.0, 5.0), provider="dear", since=now - 90 * DAY)
    asked = items(2, prompt="x" * 41)
    runs = [run(BASE, [1, 0]), run("me/chat", [0, 0]), run("other/root", [0, 1])]
    write(catalog, block("gsm8k", *runs, asked=asked))
    return catalog


def test_the_cheapest_provider(priced: Connection) -> None:
    found = answer(priced, "The cheapest provider of a model")
    assert [row[:3] for row in found] == [("cheap", 1.0, 1.0), ("dear", 2.0, 2.0)]


def test_what_runs_cost(priced: Connection) -> None:
    found = answer(priced, "What runs cost on their dates")
    tokens = 20 + 20 / 3
    assert [row[0] for row in found] == ["other/root", BASE, "me/chat"]
    assert [row[1] for row in found] == pytest.approx([5e-6 * tokens, 1e-6 * tokens, 5e-7 * tokens])
    assert {row[3] for row in found} == {"estimated"}


def test_the_best_score_for_the_money(priced: Connection) -> None:
    assert answer(priced, "The best score for the money") == [
        ("me/chat", 0.0, 0.5), (BASE, 0.5, 1.0), ("other/root", 0.5, 5.0)
    ]  # fmt: skip


def test_the_expert_of_each_domain(priced: Connection) -> None:
    domain_storage.ship(priced)
    key = domain_storage.read_set(priced, "modem").key
    for name, scores in (("me/chat", {-1: 0.6, 0: 0.5}), (BASE, {-1: 0.5, 0: 0.9})):
        for domain, score in scores.items():
            priced.execute(
                text("""
                INSERT INTO store.domain_scores
                VALUES (registry.model_id(:name), :key, :domain, 99, :score, 0.1, 0.1)"""),
                {"name": name, "key": key, "domain": domain, "score": score},
            )
    priced.execute(text("UPDATE store.models SET parameters_source = 'safetensors'"))
    found = answer(priced, "The expert of each domain, at a price")
    assert [row[0] for row in found] == ["coding", "health", "math", "other", "science"]
    assert {row[0]: row[1] for row in found} == {
        "math": BASE, "coding": "me/chat", "health": "me/chat", "other": "me/chat",
        "science": "me/chat",
    }  # fmt: skip


def test_what_became_cheaper(priced: Connection) -> None:
    found = answer(priced, "What became cheaper this month")
    assert [row[1:] for row in found] == [(BASE, "dear", 4.0, 2.0, 4.0, 2.0)]


def analysed(connection: Connection, kind: str, table: str, values: str, **options: str) -> None:
    """Store an analysis by hand, and its results in a table: rows of values after its number."""
    key = connection.scalar(
        text("""
        INSERT INTO store.analyses
               (kind, created_at, options, model_count, row_count, request, data_fingerprint,
                code_version, libraries, seconds, notes)
        VALUES (:kind, now(), :options, 1, 1, gen_random_uuid()::text, '', '', '{}', 1, '{}')
        RETURNING analysis_id"""),
        {"kind": kind, "options": orjson.dumps(options).decode()},
    )
    connection.execute(text(f"INSERT INTO store.{table} VALUES {values}"), {"id": key})


def test_which_fine_tunes_are_surely_better(catalog: Connection) -> None:
    outcomes = {BASE: [0, 1] * 20, "me/chat": [1] * 39 + [0], "me/chat-2": [0, 1] * 20,
                "q/chat-GGUF": [1] * 40}  # fmt: skip
    write(catalog, block("gsm8k", *(run(*each) for each in outcomes.items())))
    [(name, items_, difference, lower, upper, p, _)] = answer(
        catalog, "Which fine-tunes are surely better than their base"
    )
    assert (name, items_) == ("me/chat", 40)
    assert difference == pytest.approx(19 / 40)
    assert 0 < lower < difference < upper
    assert p < 0.001


def test_which_models_may_be_the_best(connection: Connection) -> None:
    scores = {"org/a": (0.8, 0.01), "org/b": (0.79, 0.01), "org/c": (0.5, 0.01)}
    runs = [run(name, score=score, standard_error=error) for name, (score, error) in scores.items()]
    write(connection, block("gsm8k", *runs))
    found = answer(connection, "Which models may be the best")
    assert [(row[0], row[3], row[4], row[5]) for row in found] == [
        ("org/a", 1, 1, 2), ("org/b", 2, 1, 2)
    ]  # fmt: skip


def test_whom_a_judge_prefers(connection: Connection) -> None:
    title = "Whom a judge prefers, and who may be as good"
    analysed(
        connection, "preferences", "preference_ratings",
        """(:id, 'org/a', 1100.4, 1080, 1120, 1, 1, 2, 9, 0, 1, 10, NULL),
           (:id, 'org/b', 1070, 1050, 1090, 2, 1, 3, 8, 0, 2, 10, NULL),
           (:id, 'org/c', 1030, 1010, 1050, 3, 2, 3, 5, 0, 5, 10, NULL),
           (:id, 'org/d', 800, 790, 810, 4, 4, 4, 1, 0, 9, 10, NULL),
           (:id, 'org/e', NULL, NULL, NULL, NULL, NULL, NULL, 0, 0, 9, 9, 'lost all')""",
    )  # fmt: skip
    assert answer(connection, title) == [
        (1, "org/a", 1100, 1080, 1120, 1, ["org/b"]),
        (2, "org/b", 1070, 1050, 1090, 2, ["org/a", "org/c"]),
        (3, "org/c", 1030, 1010, 1050, 1, ["org/b"]),
        (4, "org/d", 800, 790, 810, 0, None),
    ]


def test_which_benchmarks_still_separate(connection: Connection) -> None:
    analysed(
        connection, "saturation", "saturation_results",
        """(:id, 'old', '', '2023', 0, 5, 5, 0.5, 0.4, 0.6, 0.1, 0.9, 'a', 0.1, 0.02, 0.2, 45, 0.6,
            false, 'separates'),
           (:id, 'old', '', '2024', 1, 5, 10, 0.9, 0.8, 0.9, 0.1, 0.99, 'a', 0.01, 0.02, 0.9, 45,
            0.01, false, 'saturated'),
           (:id, 'old', '', '2025', 2, 5, 15, 0.9, 0.8, 0.9, 0.1, 0.99, 'a', 0.01, 0.02, 0.9, 45, 0,
            false, 'saturated'),
           (:id, 'old', '', 'all models', 3, 15, 15, 0.9, 0.8, 0.9, 0.1, 0.99, 'a', 0.01, 0.02, 0.9,
            45, 0, false, 'saturated'),
           (:id, 'new', '', 'all models', 0, 5, 5, 0.5, 0.4, 0.6, 0.1, 0.7, 'b', 0.3, 0.02, 0.2, 45,
            0.8, true, 'separates')""",
    )  # fmt: skip
    title = "Which benchmarks still separate the best models, and since when others do not"
    assert answer(connection, title) == [
        ("new", "", 0.7, 0.3, 0.02, 0.8, "separates", None),
        ("old", "", 0.99, 0.01, 0.02, 0.0, "saturated", "2024"),
    ]


def test_what_a_larger_model_would_score(connection: Connection) -> None:
    columns = "(analysis_id, benchmark, version, group_name, form, n, sizes, floor_known, held_out,"
    analysed(
        connection, "scaling", f"scaling_fits {columns} error, last_error)",
        "(:id, 'mmlu', '', 'kin', 'logistic', 6, 6, true, 2, 0.08, 0.05)", axis="size",
    )  # fmt: skip
    connection.execute(
        text("""
        INSERT INTO store.scaling_points
        SELECT analysis_id, 'mmlu', '', 'kin', place, amount, score, score - 0.1, score + 0.1,
               amount > 1.3e10
          FROM store.analyses,
               (VALUES (0, 7e9, 0.4), (1, 2.5e10, 0.6), (2, 3.1e10, 0.65), (3, 4e10, 0.7))
               AS v (place, amount, score)""")
    )
    assert answer(connection, "What a model of 30 B would score, by family") == [
        ("mmlu", "kin", 31, 0.65, pytest.approx(0.55), 0.75, True, 6, 0.08, 0.05)
    ]


def test_how_much_of_scores_is_family(connection: Connection) -> None:
    columns = "(analysis_id, benchmark, version, position, kind, term, n, groups, share)"
    analysed(
        connection, "mixed", f"mixed_effects {columns}",
        """(:id, 'arc', '', 0, 'fixed', 'size', 50, NULL, NULL),
           (:id, 'arc', '', 1, 'random', 'family', 50, 9, 0.41),
           (:id, 'arc', '', 2, 'random', 'residual', 50, NULL, 0.59),
           (:id, 'gsm8k', '', 1, 'random', 'family', 50, 9, 0.62)""",
    )  # fmt: skip
    assert answer(connection, "How much of scores is family, or author") == [
        ("gsm8k", "", "family", 9, Decimal("0.62")), ("arc", "", "family", 9, Decimal("0.41"))
    ]  # fmt: skip


def test_models_with_scores_like_one(connection: Connection) -> None:
    analysed(
        connection, "map", "projections",
        f"""(:id, '{BASE}', 0, 0, 'mistral'), (:id, 'org/near', 3, 4, 'llama'),
            (:id, 'org/nearest', -1, 0, NULL), (:id, 'org/far', 50, 0, 'llama')""",
    )  # fmt: skip
    connection.execute(
        text("""
        INSERT INTO store.projection_checks
               (analysis_id, layout, models, benchmarks, grouped_models, groups, verdict,
                kept_neighbours)
        SELECT analysis_id, 'tsne', 4, 2, 3, 2, 'unknown', 0.7 FROM store.analyses""")
    )
    assert answer(connection, "Models with scores like those of one") == [
        ("org/nearest", None, 1, 0.7), ("org/near", "llama", 5, 0.7), ("org/far", "llama", 50, 0.7)
    ]  # fmt: skip


def test_which_model_to_ask_first(connection: Connection) -> None:
    kept_router(connection, subjects_problem(items=90, models=4, dimension=3, missing=0.0))
    for place, price in enumerate((1.0, 9.0, 2.0, 4.0)):
        key = rows(connection, f"SELECT model_id FROM store.models WHERE name = 'org/m{place}'")
        offer(connection, f"m{place}", key[0][0], (price, price))
    found = answer(connection, "Which model to ask first, and when to ask a dearer one")
    assert [row[0] for row in found] == list(range(1, len(found) + 1))
    assert len(found) > 1
    assert [row[4] for row in found] == sorted(row[4] for row in found)
    assert sum(row[2] for row in found) == 1


def test_a_vote_of_three(catalog: Connection) -> None:
    given: dict[str, list[str | None]] = {
        BASE: ["A", "B", "B", "A", "A", "?"],
        "HuggingFaceH4/zephyr-7b-beta": ["A", "B", "C", "D", None, "B"],
        "me/chat": ["B", "B", "C", "A", "C", "C"],
        "other/root": ["D"] * 6,  # is not asked
    }
    model(catalog, "HuggingFaceH4/zephyr-7b-beta")
    right = "ABCAAB"
    runs = [
        run(name, [None if each == "?" else float(each == key) for each, key in zip(of, right, strict=True)], answers=of)
        for name, of in given.items()
    ]
    write(catalog, block("mmlu_pro", *runs))
    # The last item was not asked of one. Each other by two of three votes; the fifth, of two votes, by that of the better model.
    assert answer(catalog, "Would a vote of three models beat the best of them") == [
        ("mmlu_pro", 5, 1.0, pytest.approx(0.8))
    ]


@pytest.mark.parametrize("title", QUERIES)
def test_every_query_runs_on_an_empty_catalog_too(connection: Connection, title: str) -> None:
    if "route_cascade" in QUERIES[title]:
        with pytest.raises(DBAPIError, match="no version is current"):
            answer(connection, title)
    elif "registry.board(ARRAY" in QUERIES[title]:
        # It names benchmarks that there are none of.
        with pytest.raises(DBAPIError, match="There is no benchmark 'gsm8k'"):
            answer(connection, title)
    else:
        assert answer(connection, title) == []


def test_every_section_has_a_query() -> None:
    assert len(QUERIES) == TEXT.count("\n## ") == TEXT.count("```sql\n")


def test_the_queries_ask_schema_registry_alone() -> None:
    assert "store." not in TEXT


def test_the_base_is_found_by_any_of_its_names(catalog: Connection) -> None:
    query = "SELECT count(*) FROM registry.descendants(:name)"
    assert rows(catalog, query, name=BASE) == rows(catalog, query, name="mistralai/old-name")
