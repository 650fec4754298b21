"""Ranking of models by their mean score on benchmarks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, text

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
    """A model and its scores, one for each benchmark, None where it has none.

    Scores are shares in [0, 1], or raw ones on the ranking's `raw` benchmarks; the average is of
    the shares. `variants` are those of the scores that are not of the plain model, which has none
    there.
    """

    model: str
    average: float | None
    scores: Sequence[float | None]
    parameters: int | None
    license: str | None
    downloads: int | None
    variants: Sequence[str] = ()


class RawMeasure(NamedTuple):
    """A measure whose scores have no share; None is a direction that is not known."""

    metric: str
    unit: str | None
    higher_is_better: bool | None


@dataclass(frozen=True, slots=True)
class Ranking:
    """Models by their mean score, the best first; `incomplete` counts those left out.

    `passed_over` are benchmarks with enough models to be among the usual ones, but too few of the
    others' models. `twins` are other benchmarks whose names differ from the ranking's in case,
    hyphens and underscores only, with the numbers of their models. `joined` has, by benchmark, the
    names under which its scores are stored where there are several, and `apart` the names of the
    same benchmark whose scores are by another measure, with their metrics. `raw` are those whose
    scores are not shares: without bounds they are in no mean, and where there is no mean, models
    are ranked by the first of them with a known direction.
    """

    benchmarks: Sequence[str]
    rows: Sequence[LeaderboardRow]
    incomplete: int
    passed_over: Sequence[str]
    twins: Mapping[str, int]
    joined: Mapping[str, Sequence[str]]
    apart: Mapping[str, Sequence[str]]
    raw: Mapping[str, RawMeasure]


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
    passed_over: list[_Column] = []
    if benchmarks:
        chosen = _named(connection, benchmarks)
    else:
        chosen, passed_over = _usual(connection, condition)
    rows = connection.execute(
        text(f"""
        WITH scored AS (
            -- One name's score of those that a model has, in the order of canonical_leaderboard.
            SELECT DISTINCT ON (l.model, c.place) l.model, c.place, l.score, l.raw_score,
                   l.rank_value, l.variant
              FROM unnest(CAST(:names AS text[]), CAST(:versions AS text[]),
                          CAST(:places AS integer[])) AS c (benchmark, version, place)
              JOIN registry.leaderboard l USING (benchmark, version)
             WHERE l.benchmark = ANY (:names)
             ORDER BY l.model, c.place, l.variant IS NOT NULL, NOT l.complete, NOT l.verified,
                      l.evaluated_at DESC NULLS LAST, l.kind, l.items DESC NULLS LAST, l.run
        ), means AS (
            SELECT model, avg(score) AS average, count(*) AS benchmarks,
                   json_object_agg(place, coalesce(score, raw_score)) AS scores,
                   (array_agg(rank_value ORDER BY place)
                        FILTER (WHERE score IS NULL AND rank_value IS NOT NULL))[1] AS value,
                   array_agg(DISTINCT variant ORDER BY variant) FILTER (WHERE variant IS NOT NULL)
                       AS variants
              FROM scored GROUP BY model
        )
        SELECT s.model, s.average, s.benchmarks, s.scores, m.parameters, m.license, c.downloads,
               coalesce(s.variants, '{{}}') AS variants
          FROM means s
          JOIN store.models m ON m.name = s.model
          LEFT JOIN store.counters c USING (model_id)
         WHERE {_SELECTED}
         ORDER BY s.benchmarks DESC, s.average DESC NULLS LAST, s.value DESC NULLS LAST,
                  s.model"""),  # noqa: S608 - _SELECTED is fixed
        {
            "names": [name for each in chosen for name in each.names],
            "versions": [each.version for each in chosen for _ in each.names],
            "places": [place for place, each in enumerate(chosen, 1) for _ in each.names],
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
        joined={each.label: each.names for each in chosen if len(each.names) > 1},
        apart={each.label: each.apart for each in chosen if each.apart},
        raw={each.label: each.raw for each in chosen if each.raw is not None},
    )


def _twins(connection: Connection, chosen: Sequence["_Column"]) -> dict[str, int]:
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
        {"names": sorted({name for each in chosen for name in each.names})},
    ).all()
    return {row.name: row.models for row in rows if row.models}


class _Column(NamedTuple):
    """A benchmark of a ranking: the names that it is stored by, all of one version and measure.

    `apart` are its other names, with their metrics.
    """

    title: str
    version: str
    names: tuple[str, ...]
    apart: tuple[str, ...] = ()
    raw: RawMeasure | None = None

    @property
    def label(self) -> str:
        """The title, with the version if there is one."""
        return f"{self.title}@{self.version}" if self.version else self.title


def _usual(
    connection: Connection, condition: Mapping[str, object]
) -> tuple[list[_Column], list[_Column]]:
    """Return the usual benchmarks by name, and those of more models that were passed over.

    A model is ranked if it has them all, so that one benchmark of a few models would empty the
    ranking. They are chosen by the number of their models, as long as KEPT_MODELS of the first
    one's models have them. Names of one benchmark count together, as far as they show one measure.
    Where no benchmark has bounds, it is the one of most models, by its raw scores.
    """
    considered = _considered(connection, condition, bounded=True)
    if not considered:
        considered = _considered(connection, condition, bounded=False)[:1]
    chosen: list[_Column] = []
    passed_over: list[_Column] = []
    left = considered[0][1] if considered else set()
    least = KEPT_MODELS * len(left)
    for place, (benchmark, models) in enumerate(considered):
        both = left & models
        if len(chosen) < USUAL_BENCHMARKS and len(both) >= least:
            left = both
            chosen.append(benchmark)
        elif place < USUAL_BENCHMARKS:
            passed_over.append(benchmark)
    return sorted(chosen, key=lambda each: each.label), passed_over


def _considered(
    connection: Connection, condition: Mapping[str, object], *, bounded: bool
) -> list[tuple[_Column, set[int]]]:
    """Return the benchmarks of most models, each with the keys of its models."""
    filtered = any(value is not None for value in condition.values())
    # Without a filter the catalog, which is larger than the runs, need not be read.
    selected = f"JOIN store.models m ON m.model_id = r.model_id AND {_SELECTED}" if filtered else ""
    rows = connection.execute(
        text(f"""
        SELECT min(coalesce(b.canonical, b.name) || coalesce(' (' || b.variant || ')', ''))
                   AS title,
               b.version, array_agg(DISTINCT b.name) AS names,
               array_agg(DISTINCT r.model_id) AS models, min(shown.metric) AS metric,
               min(shown.unit) AS unit, bool_and(shown.higher_is_better) AS higher_is_better,
               bool_and(shown.upper > shown.lower) IS TRUE AS is_share
          FROM store.benchmarks b
          JOIN store.measures shown ON shown.measure_id = b.measure_id
          JOIN store.runs r ON r.benchmark_id = b.benchmark_id AND r.score IS NOT NULL
          JOIN store.measures k ON k.measure_id = r.measure_id
                               AND (k.upper > k.lower) IS TRUE = :bounded
                               AND k.higher_is_better = shown.higher_is_better
                               AND (k.metric, k.filter) = (shown.metric, shown.filter)
          {selected}
         GROUP BY CASE WHEN b.comparable THEN coalesce(b.canonical, b.name) ELSE b.name END,
                  b.comparable, b.variant, b.version
         ORDER BY count(DISTINCT r.model_id) DESC, title, b.version
         LIMIT :considered"""),  # noqa: S608 - _SELECTED is fixed
        {"considered": CONSIDERED, "bounded": bounded, **(condition if filtered else {})},
    ).all()
    return [
        (
            _Column(
                row.names[0] if len(row.names) == 1 else row.title,
                row.version,
                tuple(row.names),
                raw=_raw_measure(row),
            ),
            set(row.models),
        )
        for row in rows
    ]


def _raw_measure(row: Row[Any]) -> RawMeasure | None:
    return None if row.is_share else RawMeasure(row.metric, row.unit, row.higher_is_better)


def _named(connection: Connection, names: Sequence[str]) -> list[_Column]:
    """Return a column for each version of the named benchmarks."""
    chosen: list[_Column] = []
    for name in names:
        rows = connection.execute(
            text("""
            SELECT b.name, b.version, b.comparable, k.metric, k.unit, k.higher_is_better,
                   -- A benchmark without a measure has no scores.
                   k.measure_id IS NULL OR (k.upper > k.lower) IS TRUE
                       AND k.higher_is_better IS NOT NULL AS is_share,
                   b.name IN (:name, left(:name, -length(b.version) - 1)) AS is_asked,
                   store.measure_class(k.metric, k.filter, k.unit, k.upper > k.lower) AS class_
              FROM store.benchmarks b LEFT JOIN store.measures k ON k.measure_id = b.measure_id
             WHERE b.benchmark_id IN (SELECT store.benchmark_ids(:name))
             ORDER BY b.version, is_asked DESC, b.comparable DESC, b.name"""),
            {"name": name},
        ).all()
        if not rows:
            raise no_benchmark(connection, name)
        for version, versions in groupby(rows, key=lambda row: row.version):
            first, *others = versions
            alike = [row for row in others if row.class_ == first.class_]
            apart = [row for row in others if row.class_ != first.class_]
            title = first.name if first.is_asked else name.removesuffix(f"@{version}")
            chosen.append(
                _Column(
                    title,
                    version,
                    tuple(row.name for row in (first, *alike)),
                    tuple(f"{row.name} ({row.metric})" for row in apart),
                    _raw_measure(first),
                )
            )
    # Two names of one benchmark are one column.
    columns: dict[tuple[frozenset[str], str], _Column] = {}
    for each in chosen:
        columns.setdefault((frozenset(each.names), each.version), each)
    return list(columns.values())
