"""Problems of evaluations, as view `registry.evaluation_problems` finds them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import Connection, TextClause, text

from registry.catalog.names import model_id
from registry.enums import EvaluationProblem
from registry.evaluations.selection import benchmarks_by_key, no_benchmark


class CheckFinding(NamedTuple):
    """A finding, as in view `evaluation_problems`."""

    kind: str
    model: str | None
    benchmark: str | None
    version: str | None
    detail: str
    file: str | None
    other_model: str | None
    other_file: str | None
    findings: int


@dataclass(frozen=True, slots=True)
class Problems:
    """Findings of each kind, at most so many, and the numbers of all."""

    shown: Sequence[CheckFinding]
    counts: Mapping[str, int]


def check(
    connection: Connection,
    *,
    kinds: Sequence[str] = (),
    model: str | None = None,
    benchmark: str | None = None,
    limit: int = 20,
) -> Problems:
    """Look for problems in the stored evaluations, the kinds in the order of the enumeration.

    Args:
        connection: to read from.
        kinds: of `EvaluationProblem`; none is all.
        model: any name of a model, to look at it alone.
        benchmark: any name of a benchmark, likewise.
        limit: most findings of a kind, those about most scores or items first.

    Raises:
        ModelNotFoundError: when there is no such model.
        UsageError: when there is no such benchmark.
    """
    named = None if benchmark is None else list(benchmarks_by_key(connection, benchmark))
    if named == []:
        raise no_benchmark(connection, benchmark or "")
    values = {
        "model": None if model is None else model_id(connection, model),
        "benchmarks": named,
        "limit": limit,
    }
    shown: list[CheckFinding] = []
    counts: dict[str, int] = {}
    for kind in EvaluationProblem:
        if kinds and kind not in kinds:
            continue
        rows = connection.execute(_query(kind), values).all()
        counts[kind] = rows[0].total if rows else 0
        shown += [CheckFinding(*row[:-1]) for row in rows]
    return Problems(shown, counts)


def _query(kind: EvaluationProblem) -> TextClause:
    # The kind as a constant: the planner then leaves out the other checks.
    return text(f"""
        SELECT {", ".join(f"p.{name}" for name in CheckFinding._fields)}, count(*) OVER () AS total
          FROM registry.evaluation_problems p
         WHERE p.kind = '{kind}'
           AND (CAST(:model AS bigint) IS NULL
                OR (SELECT m.name FROM store.models m WHERE m.model_id = :model)
                   IN (p.model, p.other_model))
           AND (CAST(:benchmarks AS integer[]) IS NULL
                OR EXISTS (SELECT FROM store.benchmarks b
                            WHERE b.benchmark_id = ANY (:benchmarks)
                              AND p.benchmark IN (b.name, b.canonical)))
         ORDER BY p.findings DESC, p.benchmark, p.model, p.detail
         LIMIT :limit""")  # noqa: S608 - fixed text
