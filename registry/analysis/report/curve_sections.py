"""Sections of a report on scores that have a course: over size, and over time."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby

import numpy as np
from sqlalchemy import Engine

from registry.analysis.listing import listed
from registry.analysis.p_values import integrated_p_value
from registry.analysis.plots.charts import short
from registry.analysis.report.analysis_panels import (
    fifths,
    gam_caption,
    gam_panels,
    saturation_caption,
    saturation_panels,
    scaling_caption,
    scaling_panels,
)
from registry.analysis.report.document import PanelFigure, ReportSection, ReportTable
from registry.analysis.report.sections import analysed
from registry.analysis.report.sentences import held_out_sentence, interval, number, range_of, titled
from registry.analysis.statistics.additive_models import GamAnalysis, run_gam
from registry.analysis.statistics.additive_results import GamFit, GamPoint, GamTerm
from registry.analysis.statistics.benchmark_saturation import SaturationResult, run_saturation
from registry.analysis.statistics.scaling_curves import (
    ALL,
    CurvePoint,
    ScalingAnalysis,
    ScalingResult,
    run_scaling,
)
from registry.analysis.statistics.score_frame import MOST_GROUPS, FrameOptions
from registry.enums import Grouping, Period, ScalingAxis
from registry.learning.statistics.corrections import corrected

NO_CAUSE = (
    "A curve is of these models, and no cause: larger models may be later, and trained on more."
)

DRAWN_SERIES = 6
"""Series that are drawn on a panel; more cannot be told apart."""

Key = tuple[str, str]


def size_section(engine: Engine, options: FrameOptions, level: float) -> ReportSection:
    """Return how scores go with size, beside a random effect of architecture."""
    found = run_gam(engine, options, level=level)
    curves = {
        (each.response, each.version): each
        for each in found.terms
        if each.kind == "smooth" and each.term == "size"
    }
    fits = [each for each in found.fits if (each.response, each.version) in curves]
    return ReportSection(
        title="Scores over size",
        sentences=[
            *_size_sentences(fits, curves, level),
            ("The random effect is of architecture alone: models of one family or author count as"
            " independent, so that bands are narrower and p smaller than they should be."),
            NO_CAUSE,
        ],
        notes=found.stored.notes,
        figures=[
            PanelFigure(
                caption=gam_caption(found, level=level), panels=list(gam_panels(found)),
                table=_size_table(found),
            )
        ],
        tables=[
            ReportTable(
                caption="Smooth of the logarithm of size, with a random effect of architecture;"
                " effective degrees of freedom (1 is a straight line), p corrected for the number"
                f" of terms (Holm). {analysed(found.stored)}",
                headings=("benchmark", "n", "adjusted R2", "edf", "p", "shape"),
                rows=[
                    [titled(each.response, each.version), f"{each.n:,}", f"{each.r_squared:.3f}",
                     f"{curve.edf:.1f}", integrated_p_value(curve.holm), curve.shape or "not known"]
                    for each in fits for curve in [curves[each.response, each.version]]
                ],
            )
        ],
    )  # fmt: skip


def _size_sentences(fits: Sequence[GamFit], curves: dict[Key, GamTerm], level: float) -> list[str]:
    of = {(each.response, each.version): each for each in fits}
    known = [key for key in of if curves[key].holm is not None]
    clear = [key for key in known if (curves[key].holm or 0) < 1 - level]
    said = [f"Scores go with size on {len(clear)} of {len(fits)} benchmarks, given architecture."]
    if none := [titled(*key) for key in known if key not in clear]:
        said.append(f"On {listed(none)} no relation with size was found.")
    if unknown := [titled(*key) for key in of if key not in known]:
        said.append(f"On {listed(unknown)} there is no test.")
    for shape, count in Counter(str(curves[key].shape) for key in clear).most_common():
        names = listed([titled(*key) for key in clear if str(curves[key].shape) == shape])
        said.append(f"The curve is {shape} beyond noise on {count} of them: {names}.")
    if clear:
        most = max(clear, key=lambda key: of[key].explained)
        said.append(
            f"Size and architecture together explain {of[most].explained:.0%} of the deviance of"
            f" {of[most].n:,} models on {titled(*most)}, the most."
        )
    return said


def _size_table(found: GamAnalysis) -> ReportTable:
    """Return the curves at their ends and at the fifths of the models."""
    rows = []
    for (response, version, _), points in groupby(
        found.points, lambda each: (each.response, each.version, each.position)
    ):
        of = list(points)
        places = [of[0].x, *fifths(of), of[-1].x]
        shown = [next(each for each in of if each.x >= place) for place in places]
        # Many models may be of one size: what stands left of a cell is not said again.
        cells = [
            "" if place and point is shown[place - 1] else _effect(point)
            for place, point in enumerate(shown)
        ]
        rows.append([titled(response, version), *cells])
    return ReportTable(
        caption="Sizes and partial effects with bands, at the smallest model, at fifths of the"
        " models, and at the largest, where these are of other sizes. Effects are centred: they are"
        " differences from the mean over these models, which is 0, and no scores."
        f" {analysed(found.stored)}",
        headings=("benchmark", "smallest", "20%", "40%", "60%", "80%", "largest"), rows=rows,
    )  # fmt: skip


def _effect(point: GamPoint) -> str:
    return f"{short(point.x)}: {interval(point.effect, point.lower, point.upper)}"


def scaling_section(engine: Engine, options: FrameOptions, level: float) -> ReportSection:
    """Return how scores of series of models grow with size, and what that says of larger ones."""
    of = replace(options, grouping=Grouping.SERIES, most=max(options.most, MOST_GROUPS))
    found = run_scaling(engine, of, level=level)
    series = Counter(each.group_name for each in found.fits if each.group_name != ALL)
    sizes = {name: max(each.n for each in found.fits if each.group_name == name) for name in series}
    drawn = sorted(series, key=lambda name: (-series[name], -sizes[name], name))[:DRAWN_SERIES]
    left = (
        f" Of {len(series)} series with curves the {len(drawn)} with the most are drawn."
        if len(series) > len(drawn) else ""
    )  # fmt: skip
    shown = [each for each in found.fits if each.group_name in {*drawn, ALL}]
    return ReportSection(
        title="Scaling curves",
        sentences=_scaling_sentences(found, level),
        notes=found.stored.notes,
        figures=[
            PanelFigure(
                caption="Scores by number of weights; a series is of models whose names differ by"
                f" their size. {scaling_caption(found, level=level)}{left}",
                panels=list(scaling_panels(found, ScalingAxis.SIZE, groups=drawn)),
                table=_scaling_table(found, shown, level),
            )
        ],
        tables=[
            ReportTable(
                caption="Slopes by factor of ten of weights: of log odds above chance, or of raw"
                f" scores (line), with {level:.0%} intervals; mean error of the largest third,"
                " predicted from the smaller models, in the unit of the score."
                f" {analysed(found.stored)}{left}",
                headings=("benchmark", "models", "n", "form", "slope", "R2", "held out", "error"),
                rows=[
                    [titled(each.benchmark, each.version), each.group_name, f"{each.n:,}",
                     each.form, interval(each.slope, each.slope_lower, each.slope_upper),
                     number(each.r_squared), str(each.held_out), number(each.error)]
                    for each in shown
                ],
            )
        ],
    )  # fmt: skip


def _scaling_sentences(found: ScalingAnalysis, level: float) -> list[str]:
    own = [each for each in found.fits if each.group_name != ALL]
    said = []
    if own:
        p = corrected(np.array([np.nan if each.p is None else each.p for each in own]), "holm")
        clear = [each for each, of in zip(own, p, strict=True) if of < 1 - level]
        rising = sum((each.slope or 0) > 0 for each in clear)
        names = len({each.group_name for each in own})
        said.append(
            f"{names} series have {len(own)} curves, of {range_of([each.n for each in own])} models"
            f" each: {rising} rise with size, {len(clear) - rising} fall, and of"
            f" {len(own) - len(clear)} no slope was found (p corrected for their number by Holm),"
            " which is not to say that they are flat."
        )
    else:
        said.append("No series has enough models of different sizes for a curve of its own.")
    if held := held_out_sentence(found.fits):
        said.append(held)
        said.append(
            f"Intervals should hold {level:.0%}; where they hold fewer they are too narrow, and"
            " bands of a few models say little."
        )
    assumed = dict.fromkeys(
        titled(each.benchmark, each.version) for each in found.fits
        if each.form == "logistic" and not each.floor_known
    )  # fmt: skip
    if assumed:
        said.append(
            f"No source states the score of chance on {listed(list(assumed))}: 0 is taken, which"
            " bends curves near the true one."
        )
    said.append(
        "The curve of all models takes them as independent, and mixes series that differ in more"
        " than size."
    )
    return said


def _scaling_table(
    found: ScalingAnalysis, shown: Sequence[ScalingResult], level: float
) -> ReportTable:
    """Return the ends of curves, and their largest model."""
    points = {
        key: list(of)
        for key, of in groupby(
            found.curves, lambda each: (each.benchmark, each.version, each.group_name)
        )
    }
    rows = []
    for each in shown:
        of = points[each.benchmark, each.version, each.group_name]
        largest = [point for point in of if not point.beyond][-1]
        rows.append([
            titled(each.benchmark, each.version), each.group_name,
            *(_predicted(point) for point in (of[0], largest, of[-1])),
        ])  # fmt: skip
    return ReportTable(
        caption=f"Sizes and scores by the curves, with {level:.0%} intervals of a new model's"
        f" score. {analysed(found.stored)}",
        headings=("benchmark", "models", "smallest model", "near the largest", "beyond it"),
        rows=rows,
    )


def _predicted(point: CurvePoint) -> str:
    return f"{short(point.amount)}: {interval(point.score, point.lower, point.upper)}"


def saturation_section(engine: Engine, options: FrameOptions, level: float) -> ReportSection:
    """Return how near the ceiling scores are, by year of the models."""
    found = run_saturation(engine, options, level=level)
    of = [
        (titled(*key), list(results))
        for key, results in groupby(found.results, lambda each: (each.benchmark, each.version))
    ]
    over_time = any(len(results) > 1 for _, results in of)
    said = [_saturated(title, results, over_time=over_time) for title, results in of]
    if over_time:
        said.append(
            "A year is that of a model's creation or upload; later models may be others in size"
            " and training too, so that a rise is no change of one kind of model."
        )
    else:
        said.append("No year of a model is known, so that nothing is said of a course over time.")
    return ReportSection(
        title="Benchmarks over time",
        sentences=said,
        notes=found.stored.notes,
        figures=[
            PanelFigure(
                caption=saturation_caption(found),
                panels=list(saturation_panels(found, Period.YEAR)),
            )
        ] if over_time else [],
        tables=[
            ReportTable(
                caption="Scores by year of the models. Best, what is left to 1 and pairs told apart"
                " are of all models up to then, the median and quartiles of those of the year; the"
                f" row of all models has those of unknown year too. {analysed(found.stored)}",
                headings=("benchmark", "year", "models", "median [quartiles]", "best so far",
                          "left to 1", "best pairs told apart", "verdict"),
                rows=[
                    [titled(each.benchmark, each.version), each.period, f"{each.n:,}",
                     interval(each.median, each.lower_quartile, each.upper_quartile),
                     f"{each.best:.3f}", f"{each.headroom:.3f}",
                     "not known" if each.separated is None else
                     f"{each.separated:.0%} of {each.pairs}", each.verdict]
                    for each in found.results
                ],
            )
        ],
    )  # fmt: skip


def _saturated(title: str, results: Sequence[SaturationResult], *, over_time: bool) -> str:
    *periods, latest = results
    verdict = {
        "saturated": "saturated",
        "separates": "tells its best models apart",
        "separates little": "tells few of its best models apart",
    }.get(latest.verdict, "whether it is saturated is not known")
    dated = sum(each.n for each in periods)
    known = f"; the year of {dated:,} of them is known" if over_time else ""
    return (
        f"{title}: {verdict}; the best score of {latest.n:,} models is {latest.best:.3f}"
        f" ({latest.best_model}){known}."
    )
