"""Analyses of benchmarks over time: how near the ceiling, and which models they tell apart."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import comb
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Engine, text

from registry.analysis.paired_scores import compare_pairs
from registry.analysis.statistics.frame_scores import with_outcomes_of
from registry.analysis.statistics.score_frame import (
    FrameBenchmark,
    FrameOptions,
    ScoreFrame,
    read_frame,
)
from registry.analysis.statistics.stored_analyses import (
    AnalysisRequest,
    ResultRows,
    StoredAnalysis,
    analysed_once,
    check_level,
    known,
    read_results,
)
from registry.db.connection import reading
from registry.db.schema import saturation_results
from registry.enums import AnalysisKind, Grouping, Period
from registry.errors import UsageError
from registry.learning.arrays import Reals
from registry.learning.statistics.saturation import (
    TOP,
    sampling_errors,
    saturation,
    saturation_verdict,
)

ALL = "all models"
"""Name of the row of all models, those of unknown date included."""

MOST_PERIODS = 1_000

MOST_NAMED = 6
"""Benchmarks that a note names."""

Rows = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class SaturationResult:
    """A benchmark at the end of a period; see view `registry.benchmark_saturation`.

    `best`, `headroom`, `noise`, `near_best`, `separated` and the verdict are of all models up to
    then; `n`, `median`, `lower_quartile`, `upper_quartile` and `deviation` of those of the period.
    """

    benchmark: str
    version: str
    period: str
    position: int
    n: int
    models: int
    median: float
    lower_quartile: float
    upper_quartile: float
    deviation: float | None
    best: float
    best_model: str
    headroom: float
    noise: float | None
    near_best: float | None
    pairs: int
    separated: float | None
    paired: bool
    verdict: str


class SaturationAnalysis(NamedTuple):
    """A stored analysis of saturation: results by benchmark and period, the earliest first."""

    stored: StoredAnalysis
    results: Sequence[SaturationResult]


def run_saturation(
    engine: Engine,
    options: FrameOptions,
    *,
    period: Period = Period.YEAR,
    items: Mapping[str, int] | None = None,
    level: float = 0.95,
) -> SaturationAnalysis:
    """Measure how saturated benchmarks of shares are, by period of the models, and store it.

    Noise is that of a run's standard error, or of its number of items, or of the number given. One
    analysis that is stored of the same request and data is read instead.

    Args:
        engine: of a database at head.
        options: which scores; the grouping is by period.
        period: of the models' creation.
        items: number of items of benchmarks whose runs do not state it, by name or name@version.
        level: share of intervals that hold a difference, in (0, 1).

    Raises:
        UsageError: as `read_frame` does; for a level or numbers of items that are none; and where
            no benchmark has shares.
    """
    check_level(level)
    items = dict(items or {})
    options = replace(
        options, grouping=Grouping(str(period)), most=MOST_PERIODS, ungrouped="in no period"
    )
    frame = read_frame(engine, options)
    _check_items(items, frame)
    with reading(engine, snapshot=True) as connection:
        errors = _errors(connection, frame, items)
        paired = [
            _paired(connection, _Column(frame, place, errors[:, place]), options.source)
            for place in range(len(frame.benchmarks))
        ]
    request = AnalysisRequest.of(AnalysisKind.SATURATION, options, level=level)
    request = replace(request, options={**request.options, "items": items})
    # Errors and comparisons are data too: they count in the fingerprint beside the scores.
    counts = np.array(list(map(len, paired)), np.float64)
    judged = replace(frame, sizes=np.concatenate([frame.sizes, errors.ravel(), counts, *paired]))

    def compute(notes: list[str]) -> ResultRows:
        results = list(_results(frame, errors, paired, notes, level))
        judged.used[:] = frame.used
        return {saturation_results: results}

    stored = analysed_once(engine, request, judged, compute)
    with reading(engine) as connection:
        found = read_results(connection, saturation_results, SaturationResult, stored.analysis_id)
    return SaturationAnalysis(
        stored, sorted(found, key=lambda each: (each.benchmark, each.version, each.position))
    )


def _check_items(items: Mapping[str, int], frame: ScoreFrame) -> None:
    names = {each.name for each in frame.benchmarks} | {each.title for each in frame.benchmarks}
    for name, number in items.items():
        if name not in names:
            raise UsageError(
                f"There are items of {name}, which is none of the benchmarks here:"
                f" {', '.join(sorted(names)[:8])}."
            )
        if number < 1:
            raise UsageError(f"A benchmark has one item or more; {name} is given {number}.")


def _errors(connection: Connection, frame: ScoreFrame, items: Mapping[str, int]) -> Reals:
    """Return standard errors of scores, M x B; nan where nothing says them."""
    assert frame.runs is not None
    rows = connection.execute(
        text("""
        SELECT r.run_id, r.item_count, r.standard_error / (k.upper - k.lower) AS error
          FROM store.runs r JOIN store.measures k ON k.measure_id = r.measure_id
         WHERE r.run_id = ANY (:runs) AND k.upper > k.lower
           AND (r.standard_error IS NOT NULL OR r.item_count IS NOT NULL)"""),
        {"runs": frame.runs[np.isfinite(frame.values)].tolist()},
    )
    of_runs = {row.run_id: row for row in rows}
    stated, counts = np.full(frame.values.shape, np.nan), np.full(frame.values.shape, np.nan)
    for at in np.argwhere(np.isin(frame.runs, list(of_runs))):
        row = of_runs[int(frame.runs[*at])]
        stated[*at] = np.nan if row.error is None else row.error
        counts[*at] = row.item_count or np.nan
    for place, each in enumerate(frame.benchmarks):
        given = items.get(each.title, items.get(each.name))
        if given is not None:
            counts[np.isnan(counts[:, place]), place] = given
    return np.column_stack([
        sampling_errors(frame.values[:, place], stated[:, place], counts[:, place])
        for place in range(len(frame.benchmarks))
    ])  # fmt: skip


class _Column(NamedTuple):
    """Scores of models on a benchmark, and their standard errors."""

    frame: ScoreFrame
    place: int
    errors: Reals

    @property
    def benchmark(self) -> FrameBenchmark:
        return self.frame.benchmarks[self.place]

    @property
    def values(self) -> Reals:
        return np.asarray(self.frame.values[:, self.place], np.float64)

    @property
    def everyone(self) -> Rows:
        """Models with a score, those of unknown date included."""
        return self.rows(first=-1, last=len(self.frame.groups))

    def rows(self, *, first: int, last: int) -> Rows:
        """Return which models have a score, and are of these periods."""
        codes = self.frame.codes[:, self.place]
        return np.asarray(np.isfinite(self.values) & (codes >= first) & (codes <= last), np.bool_)


def _results(
    frame: ScoreFrame, errors: Reals, paired: Sequence[Reals], notes: list[str], level: float
) -> Iterator[SaturationResult]:
    shares = [place for place, each in enumerate(frame.benchmarks) if each.unit == "share"]
    if not shares:
        raise UsageError("No benchmark has scores with a ceiling; name others, or a wider slice.")
    if raw := len(frame.benchmarks) - len(shares):
        notes.append(
            f"{raw} benchmark{'s' if raw > 1 else ''} left out, whose scores have no ceiling."
        )
    unknown = [
        frame.benchmarks[place].title for place in shares
        if not np.isfinite(errors[np.isfinite(frame.values[:, place]), place]).any()
    ]  # fmt: skip
    if unknown:
        others = " and others" if len(unknown) > MOST_NAMED else ""
        notes.append(
            f"Noise is unknown on {', '.join(unknown[:MOST_NAMED])}{others}, as no run states a"
            " standard error or a number of items; --items states it."
        )
    for place in shares:
        frame.used[:, place] = np.isfinite(frame.values[:, place])
        yield from _periods(_Column(frame, place, errors[:, place]), paired[place], level)


def _periods(column: _Column, paired: Reals, level: float) -> Iterator[SaturationResult]:
    periods = column.frame.groups
    position = 0
    for place, period in enumerate(periods):
        own, so_far = column.rows(first=place, last=place), column.rows(first=0, last=place)
        if own.any():
            yield _result(column, (period, position), own, so_far, level=level)
            position += 1
    everyone = column.everyone
    # Shared items are compared once, of all models: there may be tens of periods.
    apart = (float((paired < 1 - level).mean()), len(paired)) if len(paired) else None
    yield _result(column, (ALL, position), everyone, everyone, paired=apart, level=level)


def _paired(connection: Connection, column: _Column, source: str | None) -> Reals:
    """Return p of each pair of the best models on shared items, empty unless it is known of all.

    What is known of some pairs alone says nothing of the ten best.
    """
    places = np.flatnonzero(column.everyone)
    best = places[np.argsort(-column.values[places], kind="stable")][:TOP]
    names = with_outcomes_of(connection, column.frame.stated[column.place], source)
    if len(best) < 2 or not names or column.benchmark.unit != "share":  # noqa: PLR2004 - a pair
        return np.empty(0)
    models = [column.frame.models[place] for place in best]
    scores = [
        each
        for each in compare_pairs(connection, models, benchmarks=names)
        # A name without a version is of all versions.
        if each.version == column.benchmark.version and each.p_value is not None
    ]
    of = {frozenset((each.model, each.other)): each.p_value for each in scores}
    if len(of) < comb(len(best), 2):
        return np.empty(0)
    return np.array(list(of.values()), np.float64)


def _result(
    column: _Column,
    period: tuple[str, int],
    own: Rows,
    so_far: Rows,
    *,
    paired: tuple[float, int] | None = None,
    level: float,
) -> SaturationResult:
    values = column.values
    found = saturation(values[so_far], column.errors[so_far], level=level)
    separated, pairs = (found.separated, found.pairs) if paired is None else paired
    names, of = np.flatnonzero(so_far), values[own]
    lower, median, upper = np.quantile(of, [0.25, 0.5, 0.75])
    return SaturationResult(
        benchmark=column.benchmark.name,
        version=column.benchmark.version,
        period=period[0],
        position=period[1],
        n=len(of),
        models=int(so_far.sum()),
        median=float(median),
        lower_quartile=float(lower),
        upper_quartile=float(upper),
        deviation=float(of.std(ddof=1)) if len(of) > 1 else None,
        best=found.best,
        best_model=column.frame.models[names[int(np.argmax(values[names]))]],
        headroom=found.headroom,
        noise=known(found.noise),
        near_best=known(found.near_best),
        pairs=pairs,
        separated=known(separated),
        paired=paired is not None,
        verdict=saturation_verdict(found, separated),
    )
