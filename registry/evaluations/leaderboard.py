"""Ranking of models by their mean score on benchmarks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import Connection, text

from registry.catalog import names as model_names
from registry.evaluations.selection import no_benchmark

USUAL_BENCHMARKS = 6
"""Most benchmarks of a ranking where the caller names none."""

CONSIDERED = 4 * USUAL_BENCHMARKS
"""Number of the benchmarks of most models that these are chosen from."""

KEPT_MODELS = 0.5
"""Least share of the models on the first usual benchmark that are on all of them."""

# Models of a query and a family; `m` is store.models.
_SELECTED = """
    (CAST(:query AS text) IS NULL
     OR m.name IN (SELECT f.name FROM registry.search_models(:query, 100000) f))
    AND (CAST(:family AS bigint) IS NULL
         OR EXISTS (SELECT FROM store.model_families f, store.model_families o
                     WHERE f.model_id = m.model_id AND o.model_id = :family
                       AND f.family_id = o.family_id))"""


@dataclass(frozen=True, slots=True)
class LeaderboardRow:
    """A model and its scores in [0, 1], one for each benchmark, None where it has none.

    `variants` are those of the scores that are not of the plain model, which has none there.
    """

    model: str
    average: float | None
    scores: Sequence[float | None]
    parameters: int | None
    license: str | None
    downloads: int | None
    variants: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Ranking:
    """Models by their mean score, the best first; `incomplete` counts those left out.

    `passed_over` are benchmarks with enough models to be among the usual ones, but too few of the
    others' models. `twins` are other benchmarks whose names differ from the ranking's in case,
    hyphens and underscores only, with the numbers of their models.
    """

    benchmarks: Sequence[str]
    rows: Sequence[LeaderboardRow]
    incomplete: int
    passed_over: Sequence[str]
    twins: Mapping[str, int]


def rank(
    connection: Connection,
    *,
    benchmarks: Sequence[str] = (),
    query: str | None = None,
    family: str | None = None,
    partial: bool = False,
    limit: int = 20,
) -> Ranking:
    """Rank models by their mean score on benchmarks, which have equal weights.

    Args:
        connection: to read from.
        benchmarks: names, or name@version; empty is the USUAL_BENCHMARKS of most models, as long
            as KEPT_MODELS of the first one's models have them all.
        query: only models that a search for these words finds.
        family: only models of this model's family.
        partial: rank also models without scores on some of the benchmarks, after the others.
        limit: most models.

    Raises:
        UsageError: naming a benchmark that does not exist.
        ModelNotFoundError: when the family's model does not exist.
    """
    of_family = None if family is None else model_names.model_id(connection, family)
    condition = {"query": query, "family": of_family}
    passed_over: list[_Chosen] = []
    if benchmarks:
        chosen = _named(connection, benchmarks)
    else:
        chosen, passed_over = _usual(connection, condition)
    rows = connection.execute(
        text(f"""
        WITH scored AS (
            SELECT l.model, array_position(CAST(:names AS text[]), l.benchmark || '@' || l.version)
                       AS place, l.score, l.variant
              FROM registry.leaderboard l
             WHERE l.benchmark = ANY (:plain) AND l.score IS NOT NULL
        ), means AS (
            SELECT model, avg(score) AS average, count(*) AS benchmarks,
                   json_object_agg(place, score) AS scores,
                   array_agg(DISTINCT variant ORDER BY variant) FILTER (WHERE variant IS NOT NULL)
                       AS variants
              FROM scored WHERE place IS NOT NULL GROUP BY model
        )
        SELECT s.model, s.average, s.benchmarks, s.scores, m.parameters, m.license, c.downloads,
               coalesce(s.variants, '{{}}') AS variants
          FROM means s
          JOIN store.models m ON m.name = s.model
          LEFT JOIN store.counters c USING (model_id)
         WHERE {_SELECTED}
         ORDER BY s.benchmarks DESC, s.average DESC, s.model"""),  # noqa: S608 - _SELECTED is fixed
        {
            "names": [each.name for each in chosen],
            "plain": sorted({each.benchmark for each in chosen}),
            **condition,
        },
    ).all()
    whole = [row for row in rows if row.benchmarks == len(chosen)]
    shown = rows if partial else whole
    return Ranking(
        benchmarks=[each.label for each in chosen],
        rows=[
            LeaderboardRow(
                row.model,
                row.average,
                [row.scores.get(str(place)) for place in range(1, len(chosen) + 1)],
                row.parameters,
                row.license,
                row.downloads,
                row.variants,
            )
            for row in shown[:limit]
        ],
        incomplete=0 if partial else len(rows) - len(whole),
        passed_over=[each.label for each in passed_over],
        twins=_twins(connection, chosen),
    )


def _twins(connection: Connection, chosen: Sequence["_Chosen"]) -> dict[str, int]:
    """Return benchmarks of almost the same names, and how many models each has."""
    rows = connection.execute(
        text("""
        SELECT b.name, (SELECT count(DISTINCT r.model_id) FROM store.runs r
                          JOIN store.benchmarks v USING (benchmark_id)
                         WHERE v.name = b.name) AS models
          FROM (SELECT DISTINCT name FROM store.benchmarks) b
         WHERE b.name <> ALL (:names)
           AND translate(lower(b.name), '-_ ', '')
               = ANY (SELECT translate(lower(n), '-_ ', '') FROM unnest(:names) n)
         ORDER BY b.name"""),
        {"names": sorted({each.benchmark for each in chosen})},
    ).all()
    return {row.name: row.models for row in rows if row.models}


class _Chosen(NamedTuple):
    key: int
    benchmark: str
    name: str

    @property
    def label(self) -> str:
        """The name, with the version if there is one."""
        return self.name.removesuffix("@")


def _usual(
    connection: Connection, condition: Mapping[str, object]
) -> tuple[list[_Chosen], list[_Chosen]]:
    """Return the usual benchmarks by name, and those of more models that were passed over.

    A model is ranked if it has them all, so that one benchmark of a few models would empty the
    ranking. They are chosen by the number of their models, as long as KEPT_MODELS of the first
    one's models have them.
    """
    filtered = any(value is not None for value in condition.values())
    # Without a filter the catalog, which is larger than the runs, need not be read.
    selected = f"JOIN store.models m ON m.model_id = r.model_id AND {_SELECTED}" if filtered else ""
    rows = connection.execute(
        text(f"""
        SELECT b.benchmark_id, b.name, b.name || '@' || b.version AS versioned,
               array_agg(DISTINCT r.model_id) AS models
          FROM store.benchmarks b
          JOIN store.measures shown ON shown.measure_id = b.measure_id
          JOIN store.runs r ON r.benchmark_id = b.benchmark_id AND r.score IS NOT NULL
          JOIN store.measures k ON k.measure_id = r.measure_id AND k.upper > k.lower
                               AND (k.metric, k.filter) = (shown.metric, shown.filter)
          {selected}
         GROUP BY b.benchmark_id
         ORDER BY count(DISTINCT r.model_id) DESC, b.name, b.version
         LIMIT :considered"""),  # noqa: S608 - _SELECTED is fixed
        {"considered": CONSIDERED, **(condition if filtered else {})},
    ).all()
    chosen: list[_Chosen] = []
    passed_over: list[_Chosen] = []
    left: set[int] = set(rows[0].models) if rows else set()
    least = KEPT_MODELS * len(left)
    for place, row in enumerate(rows):
        benchmark = _Chosen(row.benchmark_id, row.name, row.versioned)
        both = left.intersection(row.models)
        if len(chosen) < USUAL_BENCHMARKS and len(both) >= least:
            left = both
            chosen.append(benchmark)
        elif place < USUAL_BENCHMARKS:
            passed_over.append(benchmark)
    return sorted(chosen, key=lambda each: each.name), passed_over


def _named(connection: Connection, names: Sequence[str]) -> list[_Chosen]:
    """Return the versions of the named benchmarks."""
    chosen: list[_Chosen] = []
    for name in names:
        versions = connection.execute(
            text("""
            SELECT b.benchmark_id, b.name, b.name || '@' || b.version
              FROM store.benchmarks b
             WHERE b.benchmark_id IN (SELECT store.benchmark_ids(:name)) ORDER BY b.version"""),
            {"name": name},
        ).all()
        if not versions:
            raise no_benchmark(connection, name)
        chosen += [_Chosen(*row) for row in versions]
    return list(dict.fromkeys(chosen))
