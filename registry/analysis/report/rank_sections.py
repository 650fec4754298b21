"""Sections of a report on the best models: their ranks, and whether they differ."""

from collections.abc import Sequence
from itertools import combinations

from sqlalchemy import Engine

from registry.analysis.p_values import p_value
from registry.analysis.paired_scores import PairedScore, compare_pairs
from registry.analysis.report.document import ReportSection, ReportTable
from registry.analysis.report.sections import SHOWN, first
from registry.analysis.report.sentences import interval, number
from registry.analysis.statistics.frame_scores import with_outcomes_of
from registry.analysis.statistics.score_frame import FrameOptions, ScoreFrame
from registry.db.connection import reading
from registry.evaluations.leaderboard import BoardFilters, Ranking, rank

BEST = 4
"""Models that are compared pair by pair."""


def _ranked(engine: Engine, options: FrameOptions, frame: ScoreFrame) -> Ranking:
    """Return the best models, by the scores of the frame."""
    models = None if options.condition is None else list(frame.models)
    filters = BoardFilters(models=models, source=options.source)
    # Scores of a benchmark may be stored under names of several measures: a ranking is by that of
    # the name that it is asked for, so the one that most scores of the frame have.
    names = [stated[0] for stated in frame.stated]
    with reading(engine, snapshot=True) as connection:
        return rank(connection, benchmarks=names, filters=filters, limit=SHOWN)


def rank_section(engine: Engine, options: FrameOptions, frame: ScoreFrame) -> ReportSection:
    """Return the best models, with the ranks that standard errors allow."""
    board = _ranked(engine, options, frame)
    rows = board.rows
    unknown = sum(row.rank_lower is None for row in rows)
    said = []
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


def comparison_section(
    engine: Engine, options: FrameOptions, frame: ScoreFrame, level: float
) -> ReportSection:
    """Return whether the best models differ, on the items that both answered."""
    board = _ranked(engine, options, frame)
    best = [row.model for row in board.rows[:BEST]]
    found: Sequence[PairedScore] = []
    if len(best) > 1:
        with reading(engine, snapshot=True) as connection:
            names = [name for stated in frame.stated for name in stated]
            names = with_outcomes_of(connection, names, options.source)
            # Without names it would be of all benchmarks.
            if names:
                found = compare_pairs(connection, best, benchmarks=names, level=level)
    if not found:
        alone = "" if options.source is None else f" of {options.source} alone"
        return ReportSection(
            title="Are the best models better?",
            sentences=[
                f"Not known: the best models have no outcomes{alone} on common items, only scores."
            ],
        )
    clear = sum(each.verdict in {"better", "worse"} for each in found)
    possible = len(list(combinations(best, 2))) * len(frame.benchmarks)
    said = [
        (
            f"Of the {len(best)} best models ({', '.join(best)}), {len(found)} of {possible} pairs"
            f" on a benchmark have outcomes on common items: {clear} of these differ, p corrected"
            " for their number. Where no difference was found, the models may still differ by less"
            " than so many items show."
        )
    ]
    return ReportSection(
        title="Are the best models better?",
        sentences=[
            *said,
            *(f"{each.model} and {each.other} on {each.benchmark}: {each.caution}."
              for each in found[:SHOWN] if each.caution),
        ],
        tables=[
            ReportTable(
                caption="Differences on common items, with clustered standard errors; p by Holm."
                + first(len(found)),
                headings=("model", "other", "benchmark", "items", "difference", "p", "verdict"),
                rows=[
                    [each.model, each.other, each.benchmark, f"{each.items:,}",
                     interval(each.difference, each.lower, each.upper), p_value(each.holm),
                     each.verdict] for each in found[:SHOWN]
                ],
            )
        ],
    )  # fmt: skip
