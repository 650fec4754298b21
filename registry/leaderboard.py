"""Models ranked by their mean score on some benchmarks."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import Connection, text

from registry import identity
from registry.errors import UsageError

USUAL_BENCHMARKS = 6
"""How many benchmarks a ranking is over where nobody says which."""


@dataclass(frozen=True, slots=True)
class Row:
    """One model: its scores in [0, 1], one for each benchmark, None where it has none."""

    model: str
    average: float | None
    scores: Sequence[float | None]
    parameters: int | None
    license: str | None
    downloads: int | None


@dataclass(frozen=True, slots=True)
class Ranking:
    """Models by their mean score, the best first; `incomplete` counts those left out."""

    benchmarks: Sequence[str]
    rows: Sequence[Row]
    incomplete: int


def rank(
    connection: Connection,
    *,
    benchmarks: Sequence[str] = (),
    query: str | None = None,
    family: str | None = None,
    partial: bool = False,
    limit: int = 20,
) -> Ranking:
    """Rank models by their mean score on benchmarks, each of which weighs the same.

    Args:
        connection: to read from.
        benchmarks: names, or name@version; none are the USUAL_BENCHMARKS of most models.
        query: only models that a search for these words finds.
        family: only models of this model's family.
        partial: rank models by the benchmarks that they have scores on, after those with all.
        limit: models at most.

    Raises:
        UsageError: naming a benchmark that there is none of.
        ModelNotFoundError: where there is no model for the family.
    """
    chosen = _chosen(connection, benchmarks)
    keys = [each.key for each in chosen]
    of_family = None if family is None else identity.model_id(connection, family)
    rows = connection.execute(
        text("""
        WITH scored AS (
            SELECT l.model, array_position(CAST(:names AS text[]), l.benchmark || '@' || l.version)
                       AS place, l.score
              FROM registry.leaderboard l
             WHERE l.benchmark = ANY (:plain) AND l.score IS NOT NULL
        ), means AS (
            SELECT model, avg(score) AS average, count(*) AS benchmarks,
                   json_object_agg(place, score) AS scores
              FROM scored WHERE place IS NOT NULL GROUP BY model
        )
        SELECT s.model, s.average, s.benchmarks, s.scores, m.parameters, m.license, c.downloads
          FROM means s
          JOIN store.models m ON m.name = s.model
          LEFT JOIN store.counters c USING (model_id)
         WHERE (CAST(:query AS text) IS NULL
                OR m.name IN (SELECT f.name FROM registry.search_models(:query, 100000) f))
           AND (CAST(:family AS bigint) IS NULL
                OR EXISTS (SELECT FROM store.model_families f, store.model_families o
                            WHERE f.model_id = m.model_id AND o.model_id = :family
                              AND f.family_id = o.family_id))
         ORDER BY s.benchmarks DESC, s.average DESC, s.model"""),
        {
            "names": [each.name for each in chosen],
            "plain": sorted({each.benchmark for each in chosen}),
            "query": query,
            "family": of_family,
        },
    ).all()
    whole = [row for row in rows if row.benchmarks == len(keys)]
    shown = rows if partial else whole
    return Ranking(
        benchmarks=[each.name.removesuffix("@") for each in chosen],
        rows=[
            Row(
                row.model,
                row.average,
                [row.scores.get(str(place)) for place in range(1, len(keys) + 1)],
                row.parameters,
                row.license,
                row.downloads,
            )
            for row in shown[:limit]
        ],
        incomplete=0 if partial else len(rows) - len(whole),
    )


class _Chosen(NamedTuple):
    key: int
    benchmark: str
    name: str


def _chosen(connection: Connection, names: Sequence[str]) -> list[_Chosen]:
    """Return the keys of benchmarks' versions, and their names with the version."""
    if not names:
        rows = connection.execute(
            text("""
            SELECT b.benchmark_id, b.name, b.name || '@' || b.version
              FROM store.benchmarks b
              JOIN store.measures m ON m.measure_id = b.measure_id AND m.upper IS NOT NULL
             ORDER BY (SELECT count(DISTINCT model_id) FROM store.runs r
                        WHERE r.benchmark_id = b.benchmark_id) DESC, b.name, b.version
             LIMIT :limit"""),
            {"limit": USUAL_BENCHMARKS},
        ).all()
        return sorted((_Chosen(*row) for row in rows), key=lambda each: each.name)
    chosen: list[_Chosen] = []
    for name in names:
        found = connection.execute(
            text("""
            SELECT b.benchmark_id, b.name, b.name || '@' || b.version
              FROM store.benchmarks b
             WHERE b.benchmark_id IN (SELECT store.benchmark_ids(:name)) ORDER BY b.version"""),
            {"name": name},
        ).all()
        if not found:
            raise UsageError(
                f"There is no benchmark {name!r}; `registry evals benchmarks` lists them."
            )
        chosen += [_Chosen(*row) for row in found]
    return list(dict.fromkeys(chosen))
