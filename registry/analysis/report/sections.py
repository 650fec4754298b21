"""Sections of a report on scores: each an analysis, in sentences, figures and tables."""

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from sqlalchemy import Engine

from registry.analysis.p_values import p_value
from registry.analysis.report.document import ReportSection, ReportTable, Span, SpanFigure
from registry.analysis.report.sentences import interval, number, range_of, titled
from registry.analysis.statistics.benchmark_correlations import (
    BenchmarkCorrelation,
    run_correlations,
)
from registry.analysis.statistics.group_differences import AnovaResult, run_anova, run_tukey
from registry.analysis.statistics.score_frame import FrameOptions, ScoreFrame
from registry.analysis.statistics.stored_analyses import StoredAnalysis

SHOWN = 20
"""Models or pairs that a table shows; all others are in SQL."""

DEPENDENT = (
    "Models of one family or author are not independent, so that intervals are narrower and p"
    " smaller than they should be; groups may differ in more than what they are named by."
)


def slice_section(frame: ScoreFrame, left_out: Sequence[str]) -> ReportSection:
    """Return what the scores are: benchmarks, how many models have them, and their spread."""
    rows = []
    for column, benchmark in enumerate(frame.benchmarks):
        values = frame.values[np.isfinite(frame.values[:, column]), column]
        quartiles = np.quantile(values, [0.25, 0.5, 0.75])
        numbers = [values.mean(), *quartiles, values.min(), values.max()]
        rows.append([benchmark.title, f"{len(values):,}", *(f"{each:.4g}" for each in numbers)])
    full = int(np.isfinite(frame.values).all(axis=1).sum())
    said = [
        (
            f"{frame.count:,} scores of {len(frame.models):,} models on {len(frame.benchmarks)}"
            f" benchmarks. The size of {int(np.isfinite(frame.sizes).sum()):,} of the models is"
            " known."
        )
    ]
    if not full:
        said.append(
            "No model has a score on each of the benchmarks, so that there are no abilities and no"
            " map, and two benchmarks differ in their models too."
        )
    elif full < len(frame.models):
        said.append(
            f"{full:,} of the models have a score on each of the benchmarks: abilities and the map"
            " are of these, while what is said of one benchmark is of all models with a score on"
            " it, so that two benchmarks differ in their models too."
        )
    return ReportSection(
        title="The data",
        sentences=[*said, *left_out],
        notes=frame.notes,
        tables=[
            ReportTable(
                caption="Scores by benchmark: shares in [0, 1] where the measure has bounds, else"
                " raw.",
                headings=("benchmark", "models", "mean", "lower quartile", "median",
                          "upper quartile", "least", "most"),
                rows=rows,
            )
        ],
    )  # fmt: skip


def anova_section(engine: Engine, options: FrameOptions, level: float) -> ReportSection:
    """Return whether groups differ, on each benchmark."""
    found = run_anova(engine, options, level=level)
    counts = Counter(each.verdict for each in found.results)
    said = [
        (
            f"Scores differ by {options.grouping} on {counts['differ']} of {len(found.results)}"
            f" benchmarks"
            + _on(counts["no difference found"], "no difference was found")
            + _on(counts["unclear"], "the tests disagree")
            + _on(counts["unknown"], "a test is not defined")
            + "."
        )
    ]
    effects = [each for each in found.results if each.eta_squared is not None]
    if counts["differ"] and effects:
        most = max(effects, key=lambda each: each.eta_squared or 0)
        said.append(
            f"{str(options.grouping).capitalize()} goes with {most.eta_squared:.0%} of the variance"
            f" of {most.n:,} models' scores on {titled(most.benchmark, most.version)}, the most."
        )
    unequal = unequal_variances(found.results, level)
    if unequal:
        said.append(
            f"Variances of groups differ on {len(unequal)} of {len(found.results)} benchmarks:"
            " there Welch's p is the one to trust."
        )
    means = {(each.group_name, titled(each.benchmark, each.version)): each
             for each in found.groups}  # fmt: skip
    names = [titled(each.benchmark, each.version) for each in found.results]
    groups = dict.fromkeys(each.group_name for each in found.groups)
    group_rows = [
        [group, *(f"{means[group, name].mean:.3g} ({means[group, name].n:,})"
                  if (group, name) in means else "too few" for name in names)]
        for group in groups
    ]  # fmt: skip
    return ReportSection(
        title=f"Differences by {options.grouping}",
        sentences=[*said, DEPENDENT],
        notes=found.stored.notes,
        figures=[
            SpanFigure(
                caption=f"Share of the variance of scores that goes with {options.grouping} (eta"
                f" squared), with {level:.0%} intervals. {analysed(found.stored)}",
                spans=[
                    Span(name=titled(each.benchmark, each.version), value=each.eta_squared or 0,
                         lower=each.effect_lower, upper=each.effect_upper, said=interval(
                             each.eta_squared, each.effect_lower, each.effect_upper)
                         + f", n={each.n:,}")
                    for each in effects
                ],
                low=0, high=1,
            )
        ] if effects else [],
        tables=[
            ReportTable(
                caption="Tests of equal means, p corrected for the number of benchmarks (Holm). A"
                f" difference is found where F's p and Welch's are below {1 - level:.2g}, or that"
                f" of ranks where Welch's is not defined. {analysed(found.stored)}",
                headings=("benchmark", "n", "groups", "F", "p", "p Welch", "p ranks", "verdict"),
                rows=[
                    [titled(each.benchmark, each.version), f"{each.n:,}", str(each.groups),
                     number(each.f),
                     p_value(each.holm), p_value(each.welch_holm), p_value(each.kruskal_holm),
                     each.verdict]
                    for each in found.results
                ],
            ),
            ReportTable(
                caption="Mean scores by group, and numbers of models: where these differ, a group"
                " is of other models on one benchmark than on another."
                f" {analysed(found.stored)}",
                headings=("group", *names),
                rows=group_rows,
            ),
        ],
    )  # fmt: skip


def unequal_variances(results: Sequence[AnovaResult], level: float) -> list[AnovaResult]:
    """Return the results of benchmarks on which variances of groups differ (Levene)."""
    return [each for each in results if each.levene_p is not None and each.levene_p < 1 - level]


def _on(count: int, what: str) -> str:
    return f"; on {count} {what}" if count else ""


def tukey_section(engine: Engine, options: FrameOptions, level: float) -> ReportSection:
    """Return on how many benchmarks each pair of groups differs."""
    found = run_tukey(engine, options, level=level)
    tested = Counter((each.group_name, each.other_group) for each in found.results)
    higher, lower = (
        Counter((each.group_name, each.other_group) for each in found.results
                if each.verdict == said) for said in ("higher", "lower")
    )  # fmt: skip
    # Pairs that differ as often are in the order of their groups, such as of size.
    pairs = sorted(tested, key=lambda pair: -higher[pair] - lower[pair])
    always = [pair for pair in pairs if higher[pair] + lower[pair] == tested[pair]]
    never = [pair for pair in pairs if not higher[pair] + lower[pair]]
    said = [
        f"Of {len(pairs)} pairs of groups {len(always)} differ on each benchmark that both have."
    ]
    if never:
        said.append(
            f"No difference was found of {len(never)} on any benchmark, which is not to say that"
            f" they are equal: {'; '.join(' and '.join(pair) for pair in never[:SHOWN])}."
        )
    return ReportSection(
        title=f"Pairs of groups by {options.grouping}",
        sentences=[*said, DEPENDENT],
        notes=found.stored.notes,
        tables=[
            ReportTable(
                caption="Number of benchmarks on which the first group of a pair is higher or"
                " lower, by Tukey's test, or Games and Howell's where variances differ; p is"
                " corrected for the pairs of each benchmark, not for the number of benchmarks."
                f" {analysed(found.stored)}"
                + first(len(pairs)),
                headings=("group", "other", "benchmarks", "higher", "lower", "not found"),
                rows=[
                    [*pair, str(tested[pair]), str(higher[pair]), str(lower[pair]),
                     str(tested[pair] - higher[pair] - lower[pair])] for pair in pairs[:SHOWN]
                ],
            )
        ],
    )  # fmt: skip


def correlation_section(engine: Engine, options: FrameOptions, level: float) -> ReportSection:
    """Return how benchmarks go together, plain and given size."""
    found = run_correlations(engine, options, level=level)
    pairs = {
        (titled(each.benchmark, each.version), titled(each.other, each.other_version)): each
        for each in found.results
    }
    names = sorted({name for pair in pairs for name in pair})
    known = [(pair, each) for pair, each in pairs.items() if each.pearson is not None]
    said = []
    if known:
        high, low = (choose(known, key=lambda each: each[1].pearson or 0) for choose in (max, min))
        said = [
            f"{' and '.join(pair)} go together {how}: correlation"
            f" {interval(one.pearson, one.pearson_lower, one.pearson_upper)} over {one.n:,} models"
            + ("." if one.partial is None else
               f", {one.partial:+.2f} given size, over the {one.partial_n:,} whose size is known.")
            for (pair, one), how in ((high, "most"), (low, "least"))[: len(known)]
        ]  # fmt: skip
    values = [[_pearson(pairs, row, column) for column in names] for row in names]
    return ReportSection(
        title="Correlations of benchmarks",
        sentences=[
            *said,
            (
                "A correlation is of these models, and no cause: size and training may be behind"
                " it. Intervals take models as independent."
            ),
        ],
        notes=found.stored.notes,
        tables=[
            ReportTable(
                caption="Linear correlations, over"
                f" {range_of([each.n for each in found.results])} models a pair; blue is positive,"
                f" red negative. {analysed(found.stored)}",
                headings=("", *names),
                rows=[
                    [name, *("" if value is None else f"{value:.2f}" for value in row)]
                    for name, row in zip(names, values, strict=True)
                ],
                shades=[[None, *row] for row in values],
            )
        ],
    )


def _pearson(
    pairs: Mapping[tuple[str, str], BenchmarkCorrelation], row: str, column: str
) -> float | None:
    if row == column:
        return 1.0
    found = pairs.get((row, column)) or pairs.get((column, row))
    return None if found is None else found.pearson


def analysed(stored: StoredAnalysis) -> str:
    """Say which analysis it is, of how much, and when."""
    of = f"{stored.row_count:,} scores of {stored.model_count:,} models"
    if stored.tested_scores not in {None, stored.row_count}:
        of = f"{stored.tested_scores:,} scores of {stored.tested_models:,} models, among {of}"
    return f"Analysis {stored.analysis_id} of {of}, {stored.created_at:%Y-%m-%d}."


def first(count: int) -> str:
    """Say that a table has the first rows of many; nothing where it has all."""
    return f" The first {SHOWN} of {count:,}." if count > SHOWN else ""
