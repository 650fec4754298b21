"""Panels of stored analyses: partial effects, scaling curves, and scores over time."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import groupby

import numpy as np

from registry.analysis.p_values import integrated_p_value
from registry.analysis.plots.charts import Panel, PanelSeries
from registry.analysis.report.sentences import range_of, titled
from registry.analysis.statistics.additive_models import GamAnalysis
from registry.analysis.statistics.additive_results import GamPoint
from registry.analysis.statistics.benchmark_saturation import SaturationAnalysis
from registry.analysis.statistics.scaling_curves import ALL, ScalingAnalysis
from registry.enums import Period, ScalingAxis

AXES: Mapping[ScalingAxis, str] = {
    ScalingAxis.SIZE: "weights",
    ScalingAxis.TOKENS: "training tokens",
    ScalingAxis.COMPUTE: "operations of training",
}
"""What is on the horizontal axis of scaling curves."""


def gam_caption(found: GamAnalysis, *, log: bool = False, level: float = 0.95) -> str:
    """Return what the panels of partial effects are of, and how they were made."""
    unit = "logarithms of scores" if log else "scores"
    return (
        f"Partial effects on {unit}, all other terms alike, with pointwise {level:.0%} bands; over"
        f" {range_of([each.n for each in found.fits])} models. The marks below are fifths of the"
        f" models. Analysis {found.stored.analysis_id}, {found.stored.created_at:%Y-%m-%d}."
    )


def gam_panels(found: GamAnalysis) -> Iterator[Panel]:
    """Yield a panel of each smooth: its curve with a band."""
    counts = {(each.response, each.version): each.n for each in found.fits}
    points = {
        key: list(of)
        for key, of in groupby(
            found.points, lambda each: (each.response, each.version, each.position)
        )
    }
    for term in found.terms:
        if term.kind != "smooth":
            continue
        of = points[term.response, term.version, term.position]
        name = term.term if term.group_name is None else f"{term.term} of {term.group_name}"
        yield Panel(
            title=f"{titled(term.response, term.version)} on {name}",
            note=f"{term.shape}, p {integrated_p_value(term.holm)}, edf {term.edf:.1f},"
            f" n={counts[term.response, term.version]:,}"
            + ("" if term.group_name is None else " in all groups"),
            across="number of weights" if term.term == "size" else term.term,
            up="partial effect",
            series=[
                PanelSeries(
                    name="partial effect",
                    curve=np.array(
                        [(each.x, each.effect, each.lower, each.upper) for each in of], np.float64
                    ),
                )
            ],
            marks=fifths(of),
            logarithmic=term.term == "size",
        )


def fifths(points: Sequence[GamPoint]) -> list[float]:
    """Return the places of a curve that divide the models into fifths."""
    return [next(each.x for each in points if each.below >= share / 5) for share in range(1, 5)]


def scaling_caption(found: ScalingAnalysis, *, level: float) -> str:
    """Return what the panels of scaling curves are of, and how they were made."""
    return (
        f"Bands hold a new model's score in {level:.0%}, if the curve has the right form; curves go"
        " on beyond the largest model by half a power of ten, and there bands are as wide, besides,"
        " as larger models were from curves; none is where that is not known. Analysis"
        f" {found.stored.analysis_id}, {found.stored.created_at:%Y-%m-%d}."
    )


def scaling_panels(
    found: ScalingAnalysis, axis: ScalingAxis, *, groups: Collection[str] | None = None
) -> Iterator[Panel]:
    """Yield a panel of each benchmark: models, curves and bands by group, and the curve of all.

    Args:
        found: the analysis.
        axis: that it is over.
        groups: that are drawn beside the curve of all; None for each.
    """
    frame = found.frame
    curves = {
        key: np.array(
            [(each.amount, each.score, each.lower, each.upper) for each in of], np.float64
        )
        for key, of in groupby(
            found.curves, lambda each: (each.benchmark, each.version, each.group_name)
        )
    }
    for column, benchmark in enumerate(frame.benchmarks):
        of = [
            each for each in found.fits
            if (each.benchmark, each.version) == (benchmark.name, benchmark.version)
            and (groups is None or each.group_name in {*groups, ALL})
        ]  # fmt: skip
        if not of:
            continue
        known = np.isfinite(frame.values[:, column]) & np.isfinite(frame.sizes)
        series = []
        # The curve through all lies behind, without a band if there are others.
        for fit in sorted(of, key=lambda each: each.group_name != ALL):
            curve = curves[fit.benchmark, fit.version, fit.group_name]
            if fit.group_name == ALL and len(of) > 1:
                series.append(PanelSeries(name=ALL, curve=curve[:, :2], muted=True))
                continue
            rows = known
            if fit.group_name != ALL:
                rows = known & (frame.codes[:, column] == list(frame.groups).index(fit.group_name))
            points = np.column_stack([frame.sizes[rows], frame.values[rows, column]])
            series.append(PanelSeries(name=fit.group_name, points=points, curve=curve))
        counts = {each.group_name: each.n for each in of}
        all_ = f"n={counts[ALL]:,}" if ALL in counts else ""
        if own := [count for name, count in counts.items() if name != ALL]:
            all_ = f"all models {all_}; " * bool(all_) + f"by group n={range_of(own)}"
        yield Panel(
            title=benchmark.title, note=all_, across=AXES[axis], up=f"score ({benchmark.unit})",
            series=series, logarithmic=True,
        )  # fmt: skip


def saturation_caption(found: SaturationAnalysis) -> str:
    """Return what the panels of scores over time are of."""
    return (
        "Best score so far, and median of the models of each period with quartiles; models of"
        " unknown date are in none. Analysis"
        f" {found.stored.analysis_id}, {found.stored.created_at:%Y-%m-%d}."
    )


def saturation_panels(found: SaturationAnalysis, period: Period) -> Iterator[Panel]:
    """Yield a panel of each benchmark: the best score so far, and the median with quartiles."""
    for (name, version), results in groupby(
        found.results, lambda each: (each.benchmark, each.version)
    ):
        of = list(results)
        # The last row is of all models, and the only one where no date is known.
        rows = of[:-1] or of
        places = np.arange(len(rows), dtype=np.float64)
        best = np.column_stack([places, [each.best for each in rows]])
        median = np.array(
            [
                (place, each.median, each.lower_quartile, each.upper_quartile)
                for place, each in enumerate(rows)
            ],
            np.float64,
        )
        yield Panel(
            title=titled(name, version), note=f"verdict: {of[-1].verdict}",
            across=f"{period} of the models", up="score (share)",
            series=[
                PanelSeries(name="best so far", curve=best, points=best),
                PanelSeries(name="median, quartiles", curve=median, points=median[:, :2]),
            ],
            ticks=[f"{_period(each.period)}\nn={each.n:,}" for each in rows],
        )  # fmt: skip


def _period(name: str) -> str:
    first = name.removesuffix(" or before")
    return name if first == name else f"to {first}"
