"""Models ranked by their mean score on some benchmarks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import Connection, text

from registry.catalog import names as model_names
from registry.evaluations.selection import no_benchmark

USUAL_BENCHMARKS = 6
"""How many benchmarks a ranking is over, at most, where nobody says which."""

CONSIDERED = 4 * USUAL_BENCHMARKS
"""How many of the benchmarks of most models these are looked for among."""

KEPT_MODELS = 0.5
"""Share of the models on the first usual benchmark that have to be on all of them, at least."""

# Models that a query and a family leave; `m` is store.models.
_WANTED = """
    (CAST(:query AS text) IS NULL
     OR m.name IN (SELECT f.name FROM registry.search_models(:query, 100000) f))
    AND (CAST(:family AS bigint) IS NULL
         OR EXISTS (SELECT FROM store.model_families f, store.model_families o
                     WHERE f.model_id = m.model_id AND o.model_id = :family
                       AND f.family_id = o.family_id))"""


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
    """Models by their mean score, the best first; `incomplete` counts those left out.

    `passed_over` are benchmarks that would be among the usual ones by the number of their models,
    but that too few of the others' models have. `twins` are other benchmarks whose names differ
    from theirs in case, hyphens and underscores only, with the number of their models.
    """

    benchmarks: Sequence[str]
    rows: Sequence[Row]
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
    """Rank models by their mean score on benchmarks, each of which weighs the same.

    Args:
        connection: to read from.
        benchmarks: names, or name@version; none are the USUAL_BENCHMARKS of most models, as far as
            KEPT_MODELS of the first one's models have them all.
        query: only models that a search for these words finds.
        family: only models of this model's family.
        partial: rank models by the benchmarks that they have scores on, after those with all.
        limit: models at most.

    Raises:
        UsageError: naming a benchmark that there is none of.
        ModelNotFoundError: where there is no model for the family.
    """
    of_family = None if family is None else model_names.model_id(connection, family)
    wanted = {"query": query, "family": of_family}
    passed_over: list[_Chosen] = []
    if benchmarks:
        chosen = _named(connection, benchmarks)
    else:
        chosen, passed_over = _usual(connection, wanted)
    rows = connection.execute(
        text(f"""
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
         WHERE {_WANTED}
         ORDER BY s.benchmarks DESC, s.average DESC, s.model"""),  # noqa: S608 - _WANTED is fixed
        {
            "names": [each.name for each in chosen],
            "plain": sorted({each.benchmark for each in chosen}),
            **wanted,
        },
    ).all()
    whole = [row for row in rows if row.benchmarks == len(chosen)]
    shown = rows if partial else whole
    return Ranking(
        benchmarks=[each.label for each in chosen],
        rows=[
            Row(
                row.model,
                row.average,
                [row.scores.get(str(place)) for place in range(1, len(chosen) + 1)],
                row.parameters,
                row.license,
                row.downloads,
            )
            for row in shown[:limit]
        ],
        incomplete=0 if partial else len(rows) - len(whole),
        passed_over=[each.label for each in passed_over],
        twins=_twins(connection, chosen),
    )


def _twins(connection: Connection, chosen: Sequence["_Chosen"]) -> dict[str, int]:
    """Return benchmarks that are spelled a little otherwise, and how many models each has."""
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
    connection: Connection, wanted: Mapping[str, object]
) -> tuple[list[_Chosen], list[_Chosen]]:
    """Return the usual benchmarks by name, and those of more models that were passed over.

    A model is ranked if it has them all, so that one benchmark of a few models would empty the
    ranking. They are taken by the number of their models, as long as KEPT_MODELS of the first
    one's are left.
    """
    filtered = any(value is not None for value in wanted.values())
    # Without a filter the catalog, which is larger than all there is of runs, need not be read.
    of_wanted = f"JOIN store.models m ON m.model_id = r.model_id AND {_WANTED}" if filtered else ""
    rows = connection.execute(
        text(f"""
        SELECT b.benchmark_id, b.name, b.name || '@' || b.version AS versioned,
               array_agg(DISTINCT r.model_id) AS models
          FROM store.benchmarks b
          JOIN store.measures shown ON shown.measure_id = b.measure_id
          JOIN store.runs r ON r.benchmark_id = b.benchmark_id AND r.score IS NOT NULL
          JOIN store.measures k ON k.measure_id = r.measure_id AND k.upper > k.lower
                               AND (k.metric, k.filter) = (shown.metric, shown.filter)
          {of_wanted}
         GROUP BY b.benchmark_id
         ORDER BY count(DISTINCT r.model_id) DESC, b.name, b.version
         LIMIT :considered"""),  # noqa: S608 - _WANTED is fixed
        {"considered": CONSIDERED, **(wanted if filtered else {})},
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
    """Return the keys of benchmarks' versions, and their names with the version."""
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
            raise no_benchmark(connection, name)
        chosen += [_Chosen(*row) for row in found]
    return list(dict.fromkeys(chosen))
