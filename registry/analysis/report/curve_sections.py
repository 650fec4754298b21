"""Sections of a report on scores that have a course: over size, and over time."""

from sqlalchemy import Engine

from registry.analysis.report.document import ReportSection, ReportTable
from registry.analysis.report.sections import analysed, new_notes, number, p_value
from registry.analysis.statistics.additive_models import run_gam
from registry.analysis.statistics.benchmark_saturation import run_saturation
from registry.analysis.statistics.score_frame import FrameOptions

NO_CAUSE = "A curve is of these models, and no cause: larger models are later and trained on more."


def size_section(engine: Engine, options: FrameOptions, level: float) -> ReportSection:
    """Return how scores go with size, beside a random effect of architecture."""
    found = run_gam(engine, options, level=level)
    curves = {
        (each.response, each.version): each
        for each in found.terms
        if each.kind == "smooth" and each.term == "size"
    }
    fits = [each for each in found.fits if (each.response, each.version) in curves]
    clear = [
        each
        for each in fits
        if (curves[each.response, each.version].holm or 0) < 1 - level
        and curves[each.response, each.version].holm is not None
    ]
    said = [f"Scores go with size on {len(clear)} of {len(fits)} benchmarks, given architecture."]
    if rising := [each for each in clear if curves[each.response, each.version].shape == "rising"]:
        said.append(f"On {len(rising)} of them they rise over all sizes.")
    if clear:
        most = max(clear, key=lambda each: each.explained)
        said.append(
            f"Size and architecture explain {most.explained:.0%} of the deviance on"
            f" {most.response}, the most."
        )
    rows = [
        [
            each.response, f"{each.n:,}", f"{each.r_squared:.3f}", f"{curve.edf:.1f}",
            p_value(curve.holm), curve.shape or "not known",
        ]
        for each in fits
        for curve in [curves[each.response, each.version]]
    ]  # fmt: skip
    return ReportSection(
        title="Scores over size",
        sentences=[*said, NO_CAUSE, *new_notes(found.stored)],
        tables=[
            ReportTable(
                caption="Smooth of the logarithm of size, with a random effect of architecture;"
                " effective degrees of freedom (1 is a straight line), p corrected for the number"
                f" of terms (Holm). {analysed(found.stored)}",
                headings=("benchmark", "n", "adjusted R2", "edf", "p", "shape"),
                rows=rows,
            )
        ],
    )


def saturation_section(engine: Engine, options: FrameOptions, level: float) -> ReportSection:
    """Return how near the ceiling scores are, by year of the models."""
    found = run_saturation(engine, options, level=level)
    latest = {(each.benchmark, each.version): each for each in found.results}
    said = [
        f"{each.benchmark}, {each.period}: {each.verdict}; the best score is {each.best:.3f}"
        f" ({each.best_model})."
        for each in latest.values()
    ]
    return ReportSection(
        title="Benchmarks over time",
        sentences=[*said, *new_notes(found.stored)],
        tables=[
            ReportTable(
                caption=f"Scores by year of the models. {analysed(found.stored)}",
                headings=("benchmark", "year", "models", "median", "best so far", "left to 1",
                          "best pairs told apart", "verdict"),
                rows=[
                    [each.benchmark, each.period, f"{each.n:,}", number(each.median),
                     number(each.best), number(each.headroom), number(each.separated),
                     each.verdict]
                    for each in found.results
                ],
            )
        ],
    )  # fmt: skip
