"""Sections of a report on scores: each an analysis, in sentences, figures and tables."""

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from sqlalchemy import Engine

from registry.analysis.paired_scores import PairedScore, compare_pairs
from registry.analysis.report.document import ReportSection, ReportTable, Span, SpanFigure
from registry.analysis.statistics.benchmark_correlations import (
    BenchmarkCorrelation,
    run_correlations,
)
from registry.analysis.statistics.group_differences import run_anova, run_tukey
from registry.analysis.statistics.score_frame import FrameOptions, ScoreFrame
from registry.analysis.statistics.stored_analyses import StoredAnalysis
from registry.db.connection import reading
from registry.evaluations.leaderboard import BoardFilters, rank

SHOWN = 20
"""Models or pairs that a table shows; all others are in SQL."""

BEST = 4
"""Models that are compared pair by pair."""

DEPENDENT = (
    "Models of one family are not independent, so that p-values are smaller than they should be;"
    " groups differ in more than what they are named by."
)


def slice_section(frame: ScoreFrame, left_out: Sequence[str]) -> ReportSection:
    """Return what the scores are: benchmarks, how many models have them, and their spread."""
    rows = []
    for column, benchmark in enumerate(frame.benchmarks):
        values = frame.values[np.isfinite(frame.values[:, column]), column]
        quartiles = np.quantile(values, [0.25, 0.5, 0.75])
        numbers = [values.mean(), *quartiles, values.min(), values.max()]
        rows.append([benchmark.title, f"{len(values):,}", *(f"{each:.4g}" for each in numbers)])
    return ReportSection(
        title="The data",
        sentences=[
            (f"{frame.count:,} scores of {len(frame.models):,} models on"
            f" {len(frame.benchmarks)} benchmarks. The size of"
            f" {int(np.isfinite(frame.sizes).sum()):,} of the models is known."),
            *frame.notes,
            *left_out,
        ],
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
    differ = [each for each in found.results if each.verdict == "differ"]
    said = [
        (
            f"Scores differ by {options.grouping} on {counts['differ']} of {len(found.results)}"
            f" benchmarks; on {counts['no difference found']} no difference was found, on"
            f" {counts['unclear'] + counts['unknown']} the tests disagree or are not defined."
        )
    ]
    effects = [each for each in found.results if each.eta_squared is not None]
    if differ and effects:
        most = max(effects, key=lambda each: each.eta_squared or 0)
        said.append(
            f"{str(options.grouping).capitalize()} goes with {most.eta_squared:.0%} of the variance"
            f" on {most.benchmark}, the most."
        )
    if unequal := [each.benchmark for each in found.results if (each.levene_p or 1) < 1 - level]:
        said.append(f"Variances differ on {len(unequal)} of them: there, Welch's p counts.")
    means = {(each.group_name, each.benchmark): each for each in found.groups}
    names = [each.benchmark for each in found.results]
    groups = dict.fromkeys(each.group_name for each in found.groups)
    group_rows = [
        [group, *(f"{means[group, name].mean:.3g} ({means[group, name].n:,})"
                  if (group, name) in means else "too few" for name in names)]
        for group in groups
    ]  # fmt: skip
    return ReportSection(
        title=f"Differences by {options.grouping}",
        sentences=[*said, DEPENDENT, *new_notes(found.stored)],
        figures=[
            SpanFigure(
                caption=f"Share of the variance of scores that goes with {options.grouping} (eta"
                f" squared), with {level:.0%} intervals. {analysed(found.stored)}",
                spans=[
                    Span(name=each.benchmark, value=each.eta_squared or 0, lower=each.effect_lower,
                         upper=each.effect_upper, said=_interval(
                             each.eta_squared, each.effect_lower, each.effect_upper))
                    for each in effects
                ],
                low=0, high=1,
            )
        ] if effects else [],
        tables=[
            ReportTable(
                caption=f"Tests of equal means, p corrected for the number of benchmarks (Holm)."
                f" {analysed(found.stored)}",
                headings=("benchmark", "n", "groups", "F", "p", "p Welch", "p ranks", "verdict"),
                rows=[
                    [each.benchmark, f"{each.n:,}", str(each.groups), number(each.f),
                     p_value(each.holm), p_value(each.welch_holm), p_value(each.kruskal_holm),
                     each.verdict]
                    for each in found.results
                ],
            ),
            ReportTable(
                caption=f"Mean scores by group, and numbers of models. {analysed(found.stored)}",
                headings=("group", *names),
                rows=group_rows,
            ),
        ],
    )  # fmt: skip


def tukey_section(engine: Engine, options: FrameOptions, level: float) -> ReportSection:
    """Return on how many benchmarks each pair of groups differs."""
    found = run_tukey(engine, options, level=level)
    tested = Counter((each.group_name, each.other_group) for each in found.results)
    higher, lower = (
        Counter((each.group_name, each.other_group) for each in found.results
                if each.verdict == said) for said in ("higher", "lower")
    )  # fmt: skip
    pairs = sorted(tested, key=lambda pair: (-higher[pair] - lower[pair], pair))
    always = [pair for pair in pairs if higher[pair] + lower[pair] == tested[pair]]
    never = [pair for pair in pairs if not higher[pair] + lower[pair]]
    said = [
        (
            f"Of {len(pairs)} pairs of groups {len(always)} differ on each benchmark that both"
            f" have, and {len(never)} on none, which is not to say that they are equal."
        )
    ]
    if never:
        said.append(
            "No difference was found of "
            + "; ".join(" and ".join(pair) for pair in never[:SHOWN])
            + "."
        )
    return ReportSection(
        title=f"Pairs of groups by {options.grouping}",
        sentences=said,
        tables=[
            ReportTable(
                caption="Number of benchmarks on which the first group of a pair is higher or"
                " lower, by Tukey's test, or Games and Howell's where variances differ; p"
                f" corrected for the pairs of each benchmark. {analysed(found.stored)}"
                + _first(len(pairs)),
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
    pairs = {(each.benchmark, each.other): each for each in found.results}
    names = sorted({name for pair in pairs for name in pair})
    known = [each for each in found.results if each.pearson is not None]
    said = []
    if known:
        high, low = (choose(known, key=lambda each: each.pearson or 0) for choose in (max, min))
        said = [
            f"{one.benchmark} and {one.other} go together {how}: correlation"
            f" {_interval(one.pearson, one.pearson_lower, one.pearson_upper)} over {one.n:,} models"
            + ("." if one.partial is None else f", {one.partial:+.2f} given size.")
            for one, how in ((high, "most"), (low, "least"))[: len(known)]
        ]
    values = [[_pearson(pairs, row, column) for column in names] for row in names]
    return ReportSection(
        title="Correlations of benchmarks",
        sentences=[
            *said,
            "A correlation is of these models, and no cause: size and training are behind many.",
            *new_notes(found.stored),
        ],
        tables=[
            ReportTable(
                caption="Linear correlations; blue is positive, red negative."
                f" {analysed(found.stored)}",
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


def rank_section(engine: Engine, options: FrameOptions, frame: ScoreFrame) -> ReportSection:
    """Return the best models, with the ranks that standard errors allow."""
    models = None if options.condition is None else list(frame.models)
    filters = BoardFilters(models=models)
    with reading(engine, snapshot=True) as connection:
        names = [each.title for each in frame.benchmarks]
        board = rank(connection, benchmarks=names, filters=filters, limit=SHOWN)
        # A name stands for scores by one measure, those of the frame may be by another's.
        apart = {each.benchmark.partition("@")[0] for each in board.columns if each.apart}
        single = [each.title for each in frame.benchmarks if each.name not in apart]
        several = sorted(set(names) - set(single))
        if several and single:
            board = rank(connection, benchmarks=single, filters=filters, limit=SHOWN)
    rows = board.rows
    unknown = sum(row.rank_lower is None for row in rows)
    said = []
    if several and single:
        said.append(f"Ranked without {', '.join(several)}, whose scores are by several measures.")
    if not rows:
        said.append("No model has a score on each of the benchmarks, so that none is ranked.")
    elif unknown == len(rows):
        said.append(
            "How sure these ranks are is not known: no standard error of some of the scores is"
            " known, so that neighbours may differ by chance."
        )
    else:
        alike = sum(row.rank_lower == 1 for row in rows)
        said.append(
            f"{alike} of the first {len(rows)} models may be the best by the standard errors"
            " of the scores; ranges hold the true ranks of all models at once in 95% of cases."
        )
        if unknown:
            said.append(f"The range is not known of {unknown} of them.")
    if ties := [row.model for row in rows if row.tied]:
        said.append(f"Exactly as good as another: {', '.join(ties)}.")
    if board.incomplete:
        said.append(f"{board.incomplete:,} models lack some of the scores and are not ranked.")
    return ReportSection(
        title="The best models",
        sentences=said,
        tables=[
            ReportTable(
                caption=f"Mean of the shares on {len(board.columns)} benchmarks, the first"
                f" {len(rows)} models.",
                headings=("model", "rank", "range of ranks", "mean", "error"),
                rows=[
                    [row.model, str(row.rank), "not known" if row.rank_lower is None else
                     f"{row.rank_lower} to {row.rank_upper}", number(row.average),
                     number(row.standard_error)] for row in rows
                ],
            )
        ] if rows else [],
    )  # fmt: skip


def comparison_section(engine: Engine, frame: ScoreFrame, level: float) -> ReportSection:
    """Return whether the best models differ, on the items that both answered."""
    shares = [place for place, each in enumerate(frame.benchmarks) if each.unit == "share"]
    full = np.isfinite(frame.values[:, shares]).all(axis=1) & bool(shares)
    places = np.flatnonzero(full)
    order = places[np.argsort(-frame.values[places][:, shares].mean(axis=1), kind="stable")]
    best = [frame.models[place] for place in order[:BEST]]
    found: Sequence[PairedScore] = []
    if len(best) > 1:
        with reading(engine, snapshot=True) as connection:
            found = compare_pairs(
                connection, best, benchmarks=[each.title for each in frame.benchmarks], level=level
            )
    if not found:
        return ReportSection(
            title="Are the best models better?",
            sentences=["Not known: the best models have no outcomes on common items, only scores."],
        )
    clear = sum(each.verdict in {"better", "worse"} for each in found)
    return ReportSection(
        title="Are the best models better?",
        sentences=[
            (f"{clear} of {len(found)} paired comparisons of the {len(best)} best models find a"
            f" difference, corrected for their number; the others are ties: {', '.join(best)}."),
            *(f"{each.model} and {each.other} on {each.benchmark}: {each.caution}."
              for each in found[:SHOWN] if each.caution),
        ],
        tables=[
            ReportTable(
                caption="Differences on common items, with clustered standard errors; p by Holm."
                + _first(len(found)),
                headings=("model", "other", "benchmark", "items", "difference", "p", "verdict"),
                rows=[
                    [each.model, each.other, each.benchmark, f"{each.items:,}",
                     _interval(each.difference, each.lower, each.upper), p_value(each.holm),
                     each.verdict] for each in found[:SHOWN]
                ],
            )
        ],
    )  # fmt: skip


def analysed(stored: StoredAnalysis) -> str:
    """Say which analysis it is, of how much, and when."""
    return (
        f"Analysis {stored.analysis_id} of {stored.row_count:,} scores of {stored.model_count:,}"
        f" models, {stored.created_at:%Y-%m-%d}."
    )


def new_notes(stored: StoredAnalysis) -> list[str]:
    """Return the notes of an analysis."""
    return [note for note in stored.notes if note]


def _first(count: int) -> str:
    return f" The first {SHOWN} of {count:,}." if count > SHOWN else ""


def _interval(value: float | None, lower: float | None, upper: float | None) -> str:
    if value is None:
        return "not known"
    ends = "" if lower is None or upper is None else f" [{lower:.2f}, {upper:.2f}]"
    return f"{value:.2f}{ends}"


def number(value: float | None) -> str:
    """Write a number that may not be known."""
    return "not known" if value is None else f"{value:.4g}"


def p_value(value: float | None) -> str:
    """Write a p-value that may not be known."""
    if value is None:
        return "not known"
    return f"{value:.2g}" if value else "<1e-300"
