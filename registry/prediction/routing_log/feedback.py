"""Outcomes of logged decisions, fed back into the log and into runs of evaluations."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from sqlalchemy import Connection, Engine, text

from registry.db.jobs import Lock, locked
from registry.errors import UnreadableFileError, UsageError
from registry.evaluations import benchmarks, item_statistics, load
from registry.evaluations.formats import json_files
from registry.evaluations.records import Benchmark, Block, Item, Measure, Run, Source
from registry.prediction.routing_log.decisions import prompt_hash

BENCHMARK = "routed-prompts"
"""Benchmark of the runs that outcomes of decisions become, unless another is named."""

SOURCE = Source(name="route log")
MEASURE = Measure(metric="acc")


class RouteFeedback(NamedTuple):
    """Outcome of the answer to a prompt.

    Attributes:
        decision: number of the decision; None where it is found by the prompt.
        hash: of the prompt; None where the decision is named.
        outcome: in [0, 1].
        line: of the file.
    """

    decision: int | None
    hash: str | None
    outcome: float
    line: int


@dataclass(frozen=True, slots=True)
class FeedbackReport:
    """What feedback changed.

    Attributes:
        outcomes: decisions that have an outcome now.
        runs: runs of models that are new or changed.
        benchmark: name of their benchmark.
    """

    outcomes: int
    runs: int
    benchmark: str


def read_feedback(path: Path) -> list[RouteFeedback]:
    """Read outcomes from JSON lines: decision (or prompt, or prompt_hash) and outcome.

    Raises:
        UnreadableFileError: with line and field, for a file that is not so.
    """
    return [_feedback(path, line, row) for line, row in json_files.rows(path)]


def _feedback(path: Path, line: int, row: Any) -> RouteFeedback:
    outcome = row.get("outcome")
    if isinstance(outcome, bool):
        outcome = float(outcome)
    if not isinstance(outcome, int | float) or not 0 <= outcome <= 1:
        raise UnreadableFileError(
            path, "the outcome is to be a number in [0, 1].", line=line, field="outcome"
        )
    named = [key for key in ("decision", "prompt", "prompt_hash") if row.get(key) is not None]
    if len(named) != 1:
        raise UnreadableFileError(
            path, "one of decision, prompt and prompt_hash is to be given.", line=line
        )
    value, (key,) = row[named[0]], named
    if key == "decision":
        if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 1 << 63:
            raise UnreadableFileError(
                path, "the decision is to be its number.", line=line, field=key
            )
        return RouteFeedback(value, None, float(outcome), line)
    if not isinstance(value, str):
        raise UnreadableFileError(path, f"the {key} is to be a text.", line=line, field=key)
    hashed = prompt_hash(value) if key == "prompt" else value.lower()
    return RouteFeedback(None, hashed, float(outcome), line)


def feed_back(
    engine: Engine, feedback: Sequence[RouteFeedback], *, benchmark: str = BENCHMARK
) -> FeedbackReport:
    """Store outcomes of decisions, and runs of the models that were chosen: all or nothing.

    The item of a prompt is its hash. A prompt that several decisions sent to the same model has
    their mean outcome. Of decisions with the same prompt, feedback by prompt is for the newest.
    Of decisions that were fed back to another benchmark alone, those of the same models on the
    same prompts count here as well.

    Args:
        engine: of a database at head.
        feedback: outcomes; one that replaces an earlier one counts from now on.
        benchmark: of the runs.

    Raises:
        UsageError: for a decision that is not in the log, naming the line.
        LockHeldError: when another process changes evaluations.
        RegistryError: when the database fails.
    """
    doing = "feed back outcomes"
    with (
        locked(engine, Lock.EVALUATIONS, doing=doing, name="route feedback"),
        engine.begin() as connection,
    ):
        stored = {_store(connection, each) for each in feedback}
        written = load.write_blocks(
            connection, [_block(connection, benchmark, stored)], as_of=datetime.now(UTC)
        )
        benchmarks.choose_measures(connection, sorted(written.benchmarks))
        item_statistics.refresh(connection)
    return FeedbackReport(len(stored), written.added + written.changed, benchmark)


def _store(connection: Connection, feedback: RouteFeedback) -> int:
    number = connection.scalar(
        text("""
        UPDATE store.route_decisions SET outcome = :outcome, outcome_at = clock_timestamp()
         WHERE decision_id = (
                   SELECT decision_id FROM store.route_decisions
                    WHERE decision_id = :decision OR prompt_hash = :hash
                    ORDER BY decision_id DESC LIMIT 1)
        RETURNING decision_id"""),
        {"outcome": feedback.outcome, "decision": feedback.decision, "hash": feedback.hash},
    )
    if number is None:
        what = (
            f"decision {feedback.decision}"
            if feedback.decision is not None
            else f"decision for the prompt with the hash {feedback.hash}"
        )
        raise UsageError(
            f"Line {feedback.line}: there is no {what} in the log; nothing was changed."
        )
    return int(number)


def _block(connection: Connection, benchmark: str, decisions: Collection[int]) -> Block:
    """Return the runs of these decisions, and of those that the benchmark has outcomes of."""
    rows = connection.execute(
        text("""
        WITH fed AS MATERIALIZED (
            SELECT DISTINCT o.model, o.item
              FROM registry.outcomes o JOIN registry.runs r USING (run)
             WHERE o.benchmark = :benchmark AND r.benchmark = :benchmark AND r.source = :source)
        SELECT coalesce(m.name, d.name) AS model, d.prompt_hash, max(d.prompt) AS prompt,
               avg(d.outcome) AS outcome
          FROM store.route_decisions d LEFT JOIN store.models m USING (model_id)
         WHERE d.outcome IS NOT NULL
           AND (d.decision_id = ANY (:decisions)
                OR EXISTS (SELECT FROM fed
                            WHERE fed.item = d.prompt_hash AND fed.model = m.name)
                -- Runs of names that no model has are in no view; their items are there.
                OR m.name IS NULL AND d.prompt_hash IN (
                       SELECT i.item FROM store.items i JOIN store.benchmarks b USING (benchmark_id)
                        WHERE b.name = :benchmark))
         GROUP BY 1, 2 ORDER BY min(d.decision_id)"""),
        {"benchmark": benchmark, "source": SOURCE.name, "decisions": list(decisions)},
    ).all()
    prompts: dict[str, str | None] = {}
    outcomes: dict[str, dict[str, float]] = defaultdict(dict)
    for row in rows:
        prompts[row.prompt_hash] = prompts.get(row.prompt_hash) or row.prompt
        outcomes[row.model][row.prompt_hash] = row.outcome
    places = {name: place for place, name in enumerate(prompts)}

    def runs() -> Iterator[Run]:
        for model, found in outcomes.items():
            values = np.full(len(places), np.nan, np.float32)
            values[[places[name] for name in found]] = list(found.values())
            # Without a time, by which runs differ: later feedback changes this run.
            yield Run(model=model, measure=MEASURE, source=SOURCE, complete=False, outcomes=values)

    items = [Item(name, prompt) for name, prompt in prompts.items()]
    return Block(benchmark=Benchmark(name=benchmark), items=items, runs=runs())
