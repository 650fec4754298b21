"""Ranking of models by their mean score on benchmarks, by `registry.board`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, TextClause, text

from registry.errors import UsageError
from registry.evaluations.selection import RunSelection

PLAIN = "plain"
"""What selects runs of models alone, among variants."""


@dataclass(frozen=True, slots=True)
class LeaderboardRow:
    """A model and its scores, one for each benchmark, None where it has none.

    Scores are shares in [0, 1], or raw ones on the ranking's `raw` benchmarks; the average is of
    the shares. `variants` are those of the scores that are not of the plain model, which has none
    there. `rank` is None where it lacks scores; `rank_lower` to `rank_upper` is what the standard
    error of the average allows, for all models at once in 95% of cases, None where it is unknown;
    `tied` others have the same average.
    """

    model: str
    average: float | None
    scores: Sequence[float | None]
    parameters: int | None
    license: str | None
    downloads: int | None
    variants: Sequence[str] = ()
    standard_error: float | None = None
    rank: int | None = None
    tied: int | None = None
    rank_lower: int | None = None
    rank_upper: int | None = None


@dataclass(frozen=True, slots=True)
class BoardColumn:
    """A benchmark of a ranking, by one measure.

    Scores are shares in [0, 1] where `is_share`, else raw, and a higher one is better, a lower one,
    or (None) it is not known which. They are stored under `names`; `apart` are names of the same
    benchmark whose scores are by another measure, with their metrics.
    """

    benchmark: str
    metric: str
    filter: str
    unit: str | None
    is_share: bool
    higher_is_better: bool | None
    names: Sequence[str]
    apart: Sequence[str]


@dataclass(frozen=True, slots=True)
class Ranking:
    """Models by their mean score, the best first; `incomplete` counts those left out.

    `inherited` counts models that are left out as only their parents' or siblings' size is within
    the limits. `passed_over` are benchmarks with enough models to be among the usual ones, but too
    few of the others' models. `twins` are other benchmarks whose names differ from the ranking's in
    case, hyphens and underscores only, with the numbers of their models.
    """

    columns: Sequence[BoardColumn]
    rows: Sequence[LeaderboardRow]
    incomplete: int
    passed_over: Sequence[str]
    twins: Mapping[str, int]
    inherited: int = 0

    @property
    def benchmarks(self) -> Sequence[str]:
        """Names of the columns."""
        return [each.benchmark for each in self.columns]

    @property
    def raw(self) -> Mapping[str, BoardColumn]:
        """The columns whose scores are not shares.

        They are in no mean; where there is no mean, models are ranked by the first of them with a
        known direction.
        """
        return {each.benchmark: each for each in self.columns if not each.is_share}

    @property
    def joined(self) -> Mapping[str, Sequence[str]]:
        """The names under which scores are stored, of benchmarks with several."""
        return {each.benchmark: each.names for each in self.columns if len(each.names) > 1}

    @property
    def apart(self) -> Mapping[str, Sequence[str]]:
        """The names whose scores are by another measure, of benchmarks with such names."""
        return {each.benchmark: each.apart for each in self.columns if each.apart}


@dataclass(frozen=True, slots=True, kw_only=True)
class BoardFilters:
    """What restricts a ranking; of each kind, nothing is all.

    Attributes:
        query: only models that a search for these words finds.
        family: only models of this model's family.
        licenses: only models of one of these licences.
        license_classes: only models whose licence is of one of these classes.
        min_parameters: only models with at least this number of weights.
        max_parameters: only models with at most this number of weights.
        models: only models of these names.
        metric: only scores by this metric, instead of those that leaderboards show.
        filter: only scores by this filter of answers.
        source: only scores that this source states.
        variant: only scores of this variant; PLAIN is of models alone.
    """

    query: str | None = None
    family: str | None = None
    licenses: Sequence[str] = ()
    license_classes: Sequence[str] = ()
    min_parameters: int | None = None
    max_parameters: int | None = None
    models: Sequence[str] | None = None
    metric: str | None = None
    filter: str | None = None
    source: str | None = None
    variant: str | None = None

    def arguments(self) -> dict[str, Any]:
        """Return the arguments of `registry.board`, of what is given."""
        arguments = {
            "query": self.query,
            "by_family": self.family,
            "licenses": list(self.licenses) or None,
            "license_classes": list(self.license_classes) or None,
            "min_parameters": self.min_parameters,
            "max_parameters": self.max_parameters,
            "models": None if self.models is None else list(self.models),
            "by_metric": self.metric,
            "by_filter": self.filter,
            "by_source": self.source,
            "by_variant": self.variant,
        }
        return {name: value for name, value in arguments.items() if value is not None}


NO_FILTERS = BoardFilters()


def rank(
    connection: Connection,
    *,
    benchmarks: Sequence[str] = (),
    filters: BoardFilters = NO_FILTERS,
    partial: bool = False,
    limit: int = 20,
) -> Ranking:
    """Rank models by their mean score on benchmarks, which have equal weights.

    Args:
        connection: to read from.
        benchmarks: names, or name@version; empty is the usual ones, see `registry.board`.
        filters: which models and scores count.
        partial: rank also models without scores on some of the benchmarks, after the others.
        limit: most models.

    Raises:
        UsageError: naming a benchmark, a source or a variant that does not exist.
        ModelNotFoundError: when the family's model does not exist.
    """
    _check(connection, benchmarks, filters)
    arguments = {**filters.arguments(), "benchmarks": list(benchmarks)}
    columns = connection.execute(_call("board_benchmarks", arguments), arguments).all()
    chosen = [row for row in columns if row.chosen]
    # Models with all scores come first: those of a partial board are counted by the same call.
    arguments |= {"partial": True, "limit": limit}
    rows = connection.execute(_call("board", arguments), arguments).all() if chosen else []
    return Ranking(
        columns=[
            BoardColumn(
                _label(row), row.metric, row.filter, row.unit, row.is_share, row.higher_is_better,
                tuple(row.names), tuple(row.apart),
            )
            for row in chosen
        ],
        rows=[
            LeaderboardRow(
                row.model,
                row.average,
                [_number(row.scores.get(_label(column))) for column in chosen],
                row.parameters,
                row.license,
                row.downloads,
                row.variants,
                row.standard_error,
                row.rank,
                row.tied,
                row.rank_lower,
                row.rank_upper,
            )
            for row in rows
            if partial or row.scored == len(chosen)
        ],
        incomplete=0 if partial or not rows else rows[0].incomplete,
        passed_over=[_label(row) for row in columns if not row.chosen],
        twins=_twins(connection, sorted({name for row in chosen for name in row.names})),
        inherited=_inherited(connection, [_label(row) for row in chosen], filters),
    )  # fmt: skip


def _check(connection: Connection, benchmarks: Sequence[str], filters: BoardFilters) -> None:
    """Raise the error that suggests other names, where the functions' own would not."""
    sources = [] if filters.source is None else [filters.source]
    families = [] if filters.family is None else [filters.family]
    RunSelection(models=families, benchmarks=benchmarks, sources=sources).keys(connection)
    if filters.variant in {None, PLAIN}:
        return
    variants = connection.scalars(
        text("SELECT DISTINCT variant FROM store.setups WHERE variant IS NOT NULL ORDER BY variant")
    ).all()
    if filters.variant not in variants:
        known = ", ".join([PLAIN, *variants])
        raise UsageError(f"No score is of the variant {filters.variant!r}; there are {known}.")


def _call(function: str, arguments: Mapping[str, object]) -> TextClause:
    """Return the statement that calls a function with named arguments."""
    given = ", ".join(f'"{name}" => :{name}' for name in arguments)
    return text(f"SELECT * FROM registry.{function}({given})")  # noqa: S608 - fixed names


def _label(row: Any) -> str:
    """Return the name of a column, as in the scores of a board."""
    return f"{row.benchmark}@{row.version}" if row.version else str(row.benchmark)


def _number(value: float | None) -> float | None:
    return None if value is None else float(value)


def _inherited(connection: Connection, benchmarks: Sequence[str], filters: BoardFilters) -> int:
    """Return how many models would be ranked if the sizes of their relatives were theirs."""
    low, high = filters.min_parameters, filters.max_parameters
    if not benchmarks or (low is None and high is None):
        return 0
    names = connection.scalars(
        text("""
        SELECT name FROM store.models
         WHERE store.is_inherited_size(parameters_source)
           AND (CAST(:low AS bigint) IS NULL OR parameters >= :low)
           AND (CAST(:high AS bigint) IS NULL OR parameters <= :high)
           AND model_id IN (SELECT model_id FROM store.evaluated_names)
           AND (CAST(:models AS text[]) IS NULL OR name = ANY (:models))"""),
        {"low": low, "high": high, "models": filters.models},
    ).all()
    if not names:
        return 0
    others = replace(filters, min_parameters=None, max_parameters=None, models=names)
    arguments = {**others.arguments(), "benchmarks": list(benchmarks)}
    return len(connection.execute(_call("board", arguments), arguments).all())


def _twins(connection: Connection, names: Sequence[str]) -> dict[str, int]:
    """Return other benchmarks of almost the same names, and how many models each has."""
    rows = connection.execute(
        text("""
        SELECT b.name, (SELECT count(DISTINCT r.model_id) FROM store.runs r
                          JOIN store.benchmarks v USING (benchmark_id)
                         WHERE v.name = b.name) AS models
          FROM (SELECT DISTINCT name, coalesce(canonical, name) AS canonical
                  FROM store.benchmarks) b
         WHERE b.canonical NOT IN (SELECT coalesce(c.canonical, c.name) FROM store.benchmarks c
                                    WHERE c.name = ANY (:names))
           AND translate(lower(b.name), '-_ ', '')
               = ANY (SELECT translate(lower(n), '-_ ', '') FROM unnest(:names) n)
         ORDER BY b.name"""),
        {"names": list(names)},
    ).all()
    return {row.name: row.models for row in rows if row.models}
