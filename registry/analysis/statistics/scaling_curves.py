"""Analyses of scaling: scores by size, tokens or compute, and larger models held out."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Engine

from registry.analysis.statistics.scaling_axes import amounts, floors
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
from registry.db.schema import ability_scaling, scaling_fits, scaling_points
from registry.enums import AnalysisKind, ScalingAxis
from registry.errors import UsageError
from registry.learning.arrays import Places, Reals
from registry.learning.statistics.ability_factoring import principal_abilities
from registry.learning.statistics.larger_models import (
    LEAST_GROUPS,
    LargerModels,
    OtherModels,
    drift_of,
    hold_out,
)
from registry.learning.statistics.one_way import is_constant
from registry.learning.statistics.scaling import (
    LEAST,
    LEAST_SIZES,
    CurveDrift,
    ScalingFit,
    fit_curve,
    predict_beyond,
    slope_test,
)

ALL = "all models"
"""Name of the curve through all models, whatever their group."""

MOST_BENCHMARKS = 40
"""Benchmarks that have curves where none is named: those of the most scores."""

STEPS, BEYOND = 25, 0.5
"""Points of a curve, and how far it goes on beyond the largest model, in powers of ten."""

LEAST_FOR_ABILITIES = 4
"""Benchmarks, and models of a group, for which an ability is a line of the logarithm."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScalingResult:
    """A curve of a group on a benchmark; see view `registry.scaling_fits`.

    `slope` is by factor of ten: of a line in scores, of a logistic curve in log odds above chance.
    Errors are mean absolute ones of the largest models, predicted from the smaller ones; None where
    too few are smaller. `drift` is what bands beyond the largest model add, a standard deviation by
    factor of ten, as larger models of all groups on the benchmark are from curves; `covered` is by
    bands that know those of the other groups alone.
    """

    benchmark: str
    version: str
    group_name: str
    form: str
    n: int
    sizes: int
    floor: float | None
    floor_known: bool
    slope: float | None
    slope_lower: float | None
    slope_upper: float | None
    p: float | None
    deviation: float | None
    r_squared: float | None
    held_out: int
    error: float | None
    last_error: float | None
    line_error: float | None
    pooled_error: float | None
    shared_error: float | None
    covered: float | None
    shared_covered: float | None
    drift: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CurvePoint:
    """A point of a curve with its band; see view `registry.scaling_curves`."""

    benchmark: str
    version: str
    group_name: str
    position: int
    amount: float
    score: float
    lower: float | None
    upper: float | None
    beyond: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class AbilityScaling:
    """The first principal ability of a group as a line; see view `registry.ability_scaling`."""

    group_name: str
    n: int
    intercept: float
    slope: float
    slope_lower: float
    slope_upper: float
    p: float | None
    r_squared: float
    ability_share: float


class ScalingAnalysis(NamedTuple):
    """A stored analysis of scaling, with the frame whose sizes are amounts on its axis."""

    stored: StoredAnalysis
    fits: Sequence[ScalingResult]
    curves: Sequence[CurvePoint]
    abilities: Sequence[AbilityScaling]
    frame: ScoreFrame


def run_scaling(
    engine: Engine,
    options: FrameOptions,
    *,
    axis: ScalingAxis = ScalingAxis.SIZE,
    level: float = 0.95,
) -> ScalingAnalysis:
    """Fit scores as curves of the logarithm of an amount, and store the analysis.

    One curve for each group with enough models, and one for all. One that is stored of the same
    request and data is read instead.

    Args:
        engine: of a database at head.
        options: which scores and groups.
        axis: size, training tokens or operations, of the models themselves.
        level: share of intervals that hold a new model's score, in (0, 1).

    Raises:
        UsageError: as `read_frame` does; for a level that is none; and where no benchmark has
            enough models whose amount is known.
    """
    check_level(level)
    # They count in the curve of all models.
    options = replace(options, ungrouped="without a curve of their own")
    frame = read_frame(engine, options)
    with reading(engine) as connection:
        frame = replace(frame, sizes=amounts(connection, frame, axis))
        lowest = floors(connection, frame.benchmarks)
    request = AnalysisRequest.of(AnalysisKind.SCALING, options, level=level)
    chance = {each.title: floor for each, floor in lowest.items()}
    request = replace(
        request,
        options={**request.options, "axis": str(axis), "chance": chance, "bands": "with drift"},
    )

    def compute(notes: list[str]) -> ResultRows:
        columns = _chosen(frame, axis, notes, named=options.benchmarks is not None)
        fits, curves = _curves(frame, columns, lowest, notes, level)
        return {
            scaling_fits: fits,
            scaling_points: curves,
            ability_scaling: list(_abilities(frame, columns, notes, level)),
        }

    stored = analysed_once(engine, request, frame, compute)
    with reading(engine) as connection:
        key = stored.analysis_id
        return ScalingAnalysis(
            stored,
            sorted(read_results(connection, scaling_fits, ScalingResult, key), key=_order),
            read_results(connection, scaling_points, CurvePoint, key),
            sorted(
                read_results(connection, ability_scaling, AbilityScaling, key),
                key=lambda each: each.group_name == ALL,
            ),
            frame,
        )


def _order(fit: ScalingResult) -> tuple[str, str, bool]:
    """Place the curve through all models after those of groups, as it is none of them."""
    return fit.benchmark, fit.version, fit.group_name == ALL


def _chosen(frame: ScoreFrame, axis: ScalingAxis, notes: list[str], *, named: bool) -> list[int]:
    sized = np.isfinite(frame.sizes) & (frame.sizes > 0)
    if unknown := int((~sized).sum()):
        what = {"size": "of unknown size", "tokens": "whose training tokens no source states"}.get(
            axis, "whose training tokens and operations no source states"
        )
        note = f"{unknown:,} model{'s' if unknown > 1 else ''} left out, {what}"
        # Groups by size have said it already.
        if not any(each.startswith(note) for each in notes):
            notes.append(f"{note}.")
    counts = np.isfinite(frame.values[sized]).sum(axis=0)
    columns, few = [], 0
    for column, benchmark in enumerate(frame.benchmarks):
        values = frame.values[:, column]
        rows = sized & np.isfinite(values)
        if rows.sum() < LEAST or len(np.unique(frame.sizes[rows])) < LEAST_SIZES:
            few += 1
        elif is_constant(values[rows]):
            notes.append(f"{benchmark.title}: left out, as all scores are alike.")
        else:
            columns.append(column)
    if few:
        notes.append(
            f"{few} benchmark{'s' if few > 1 else ''} left out, without {LEAST} scores of models of"
            f" {LEAST_SIZES} different known amounts."
        )
    if not columns:
        raise UsageError(
            "No benchmark has a curve: "
            + " ".join([*notes[-3:], "Give a wider slice, or another axis (--over)."])
        )
    if len(columns) > MOST_BENCHMARKS and not named:
        left = len(columns) - MOST_BENCHMARKS
        columns.sort(key=lambda column: (-counts[column], column))
        columns = sorted(columns[:MOST_BENCHMARKS])
        notes.append(f"{left} of the fewest scores left out; name benchmarks for others.")
    return columns


class _Scores(NamedTuple):
    """Scores of a group on a benchmark, by the logarithm of the amount."""

    name: str
    amounts: Reals
    scores: Reals


def _groups_of(frame: ScoreFrame, column: int) -> Iterator[_Scores]:
    values, codes = frame.values[:, column], frame.codes[:, column]
    known_ = np.isfinite(values) & np.isfinite(frame.sizes) & (frame.sizes > 0)
    for place, name in [(-1, ALL), *enumerate(frame.groups)]:
        rows = known_ if place < 0 else known_ & (codes == place)
        yield _Scores(name, np.log10(frame.sizes[rows]), values[rows])


def _rows_of(frame: ScoreFrame, column: int, name: str) -> NDArray[np.bool_]:
    """Return which scores a curve is through."""
    rows = np.isfinite(frame.values[:, column]) & (frame.sizes > 0)
    if name != ALL:
        rows &= frame.codes[:, column] == list(frame.groups).index(name)
    return np.asarray(rows, np.bool_)


class _Curve(NamedTuple):
    """A curve of a group on a benchmark, and larger models held out; None where too few are."""

    sample: _Scores
    fit: ScalingFit
    held: LargerModels | None


def _curves(
    frame: ScoreFrame,
    columns: Sequence[int],
    lowest: Mapping[FrameBenchmark, float],
    notes: list[str],
    level: float,
) -> tuple[list[ScalingResult], list[CurvePoint]]:
    fits: list[ScalingResult] = []
    points: list[CurvePoint] = []
    few, unfit, unsure = 0, 0, 0
    for column in columns:
        benchmark = frame.benchmarks[column]
        floor = lowest.get(benchmark, 0.0) if benchmark.unit == "share" else None
        curves = []
        for sample in _groups_of(frame, column):
            if len(sample.scores) < LEAST or len(np.unique(sample.amounts)) < LEAST_SIZES:
                few += sample.name != ALL and len(sample.scores) > 0
                continue
            fit = fit_curve(sample.amounts, sample.scores, floor=floor)
            if fit is None or is_constant(sample.scores):
                unfit += 1
                continue
            others = None if sample.name == ALL else _others(frame, column, sample.name)
            frame.used[:, column] |= _rows_of(frame, column, sample.name)
            curves.append(_Curve(sample, fit, hold_out(
                sample.amounts, sample.scores, floor=floor, level=level, others=others
            )))  # fmt: skip
        for curve in curves:
            served, left_out = _drifts(curve, curves)
            unsure += bool(np.isnan(served.deviation))
            fits.append(_result(benchmark, curve, lowest, served, left_out, level=level))
            points += _points(benchmark, curve, served, level)
    if few:
        notes.append(
            f"{few} curve{'s' if few > 1 else ''} of a group on a benchmark left out, without"
            f" {LEAST} scores of {LEAST_SIZES} different amounts."
        )
    if unfit:
        notes.append(
            f"{unfit} curve{'s' if unfit > 1 else ''} of a group, or of all, on a benchmark left"
            " out, as none fits."
        )
    if unsure:
        notes.append(
            f"{unsure} curve{'s have' if unsure > 1 else ' has'} no band beyond the largest model:"
            " how far larger models are from curves is not known of fewer groups with such models"
            f" than {LEAST_GROUPS}."
        )
    if not fits:
        raise UsageError("No curve fits these scores; name other benchmarks, or a wider slice.")
    return fits, points


def _drifts(curve: _Curve, curves: Sequence[_Curve]) -> tuple[CurveDrift, CurveDrift]:
    """Return how far larger models are from curves on a benchmark: of all, and of other groups.

    Those of groups count for groups alone: the curve through all models is one of its kind.
    """
    if curve.sample.name == ALL:
        return drift_of([]), drift_of([])
    missed = {each.sample.name: each.held.missed for each in curves
              if each.held and each.sample.name != ALL}  # fmt: skip
    others = [each for name, each in missed.items() if name != curve.sample.name]
    return drift_of(list(missed.values())), drift_of(others)


def _others(frame: ScoreFrame, column: int, name: str) -> OtherModels:
    """Return the models of other groups, and of none."""
    values, codes = frame.values[:, column], frame.codes[:, column]
    rows = np.isfinite(values) & np.isfinite(frame.sizes) & (frame.sizes > 0)
    rows &= codes != list(frame.groups).index(name)
    return OtherModels(np.log10(frame.sizes[rows]), values[rows], codes[rows])


def _result(
    benchmark: FrameBenchmark,
    curve: _Curve,
    lowest: Mapping[FrameBenchmark, float],
    served: CurveDrift,
    left_out: CurveDrift,
    *,
    level: float,
) -> ScalingResult:
    sample, fit, held = curve
    slope, lower, upper, p = slope_test(fit, level=level)
    return ScalingResult(
        benchmark=benchmark.name,
        version=benchmark.version,
        group_name=sample.name,
        form="line" if fit.floor is None else "logistic",
        n=fit.n,
        sizes=len(np.unique(sample.amounts)),
        floor=fit.floor,
        floor_known=benchmark in lowest,
        slope=known(slope),
        slope_lower=known(lower),
        slope_upper=known(upper),
        p=known(p),
        deviation=known(np.sqrt(fit.variance)),
        r_squared=known(fit.r_squared),
        held_out=held.n if held else 0,
        error=known(held.error) if held else None,
        last_error=known(held.last_error) if held else None,
        line_error=known(held.line_error) if held else None,
        pooled_error=known(held.pooled_error) if held else None,
        shared_error=known(held.shared_error) if held else None,
        covered=known(held.missed.covered(left_out, level=level)) if held else None,
        shared_covered=known(held.shared_covered) if held else None,
        drift=known(served.deviation),
    )


def _points(
    benchmark: FrameBenchmark, curve: _Curve, drift: CurveDrift, level: float
) -> Iterator[CurvePoint]:
    sample, fit, _ = curve
    largest = float(sample.amounts.max())
    where = np.linspace(float(sample.amounts.min()), largest + BEYOND, STEPS)
    band = predict_beyond(fit, where, largest=largest, drift=drift, level=level)
    for place, (at, score, lower, upper) in enumerate(zip(where, *band, strict=True)):
        yield CurvePoint(
            benchmark=benchmark.name, version=benchmark.version, group_name=sample.name,
            position=place, amount=float(10**at), score=float(score),
            lower=known(lower), upper=known(upper), beyond=bool(at > largest),
        )  # fmt: skip


def _abilities(
    frame: ScoreFrame, columns: Sequence[int], notes: list[str], level: float
) -> Iterator[AbilityScaling]:
    """Yield the first principal ability of each group as a line of the logarithm."""
    rows = _complete_rows(frame, columns)
    if len(columns) < LEAST_FOR_ABILITIES:
        notes.append(
            f"No ability as a curve: it takes scores on {LEAST_FOR_ABILITIES} benchmarks, and these"
            f" are on {len(columns)}."
        )
        return
    if len(rows) <= (least := max(len(columns), 10)):
        notes.append(
            f"No ability as a curve: {len(rows):,} models have a known amount and a score on each"
            f" of the {len(columns)} benchmarks, and it takes more than {least}."
        )
        return
    values = frame.values[np.ix_(rows, np.asarray(columns, np.intp))]
    values = values[:, [not is_constant(column) for column in values.T]]
    ability = principal_abilities(values, 1)[:, 0]
    share = float(ability.var() / values.shape[1])
    codes = frame.codes[rows, columns[0]]
    where = np.log10(frame.sizes[rows])
    for place, name in [(-1, ALL), *enumerate(frame.groups)]:
        own = np.ones(len(rows), bool) if place < 0 else codes == place
        fit = fit_curve(where[own], ability[own], floor=None) if own.sum() >= LEAST else None
        if fit is None or len(np.unique(where[own])) < LEAST_SIZES:
            continue
        slope, lower, upper, p = slope_test(fit, level=level)
        yield AbilityScaling(
            group_name=name, n=fit.n,
            intercept=float(fit.coefficients[0] - slope * fit.centre[0]), slope=slope,
            slope_lower=lower, slope_upper=upper, p=known(p), r_squared=fit.r_squared,
            ability_share=share,
        )  # fmt: skip


def _complete_rows(frame: ScoreFrame, columns: Sequence[int]) -> Places:
    sized = np.isfinite(frame.sizes) & (frame.sizes > 0)
    return np.flatnonzero(sized & np.isfinite(frame.values[:, columns]).all(axis=1))
