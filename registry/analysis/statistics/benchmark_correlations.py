"""Analyses of pairs of benchmarks: how scores on them correlate, also given the models' size."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import NamedTuple

import numpy as np
from sqlalchemy import Engine

from registry.analysis.statistics.score_frame import FrameOptions, ScoreFrame, read_frame
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
from registry.db.schema import correlation_results
from registry.enums import AnalysisKind
from registry.errors import UsageError
from registry.learning.arrays import Reals
from registry.learning.statistics import correlations
from registry.learning.statistics.corrections import corrected
from registry.learning.statistics.correlations import Correlation
from registry.learning.statistics.one_way import is_constant

MOST_BENCHMARKS = 40
"""Benchmarks that are correlated where none is named: those of the most scores."""

LEAST_MODELS = 10
"""Models with scores on both benchmarks, with which a pair counts."""

NOTHING = Correlation(0, np.nan, np.nan, np.nan, np.nan)


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchmarkCorrelation:
    """Correlation of scores on two benchmarks; see view `registry.correlations`.

    Numbers are None where they are not defined.
    """

    benchmark: str
    version: str
    other: str
    other_version: str
    n: int
    pearson: float | None
    pearson_lower: float | None
    pearson_upper: float | None
    pearson_p: float | None
    pearson_holm: float | None = None
    spearman: float | None
    spearman_lower: float | None
    spearman_upper: float | None
    spearman_p: float | None
    spearman_holm: float | None = None
    partial_n: int
    partial: float | None
    partial_lower: float | None
    partial_upper: float | None
    partial_p: float | None
    partial_holm: float | None = None
    partial_spearman: float | None
    partial_spearman_lower: float | None
    partial_spearman_upper: float | None


class CorrelationAnalysis(NamedTuple):
    """A stored analysis of correlations, one result for each pair of benchmarks."""

    stored: StoredAnalysis
    results: Sequence[BenchmarkCorrelation]


def run_correlations(
    engine: Engine, options: FrameOptions, *, level: float = 0.95
) -> CorrelationAnalysis:
    """Correlate the scores on each pair of benchmarks, and store the analysis.

    Each pair over the models that have both scores. One that is stored of the same request and data
    is read instead.

    Args:
        engine: of a database at head.
        options: which scores; without a grouping.
        level: share of intervals that hold the correlation, in (0, 1).

    Raises:
        UsageError: as `read_frame` does; for a level that is none; and where no two benchmarks have
            enough models in common.
    """
    check_level(level)
    options = replace(options, grouping=None)
    frame = read_frame(engine, options)
    request = AnalysisRequest.of(AnalysisKind.CORRELATE, options, level=level)

    def compute(notes: list[str]) -> ResultRows:
        chosen = _chosen(frame, notes, named=options.benchmarks is not None)
        return {correlation_results: _corrected(list(_correlations(frame, chosen, notes, level)))}

    stored = analysed_once(engine, request, frame, compute)
    with reading(engine) as connection:
        found = read_results(
            connection, correlation_results, BenchmarkCorrelation, stored.analysis_id
        )
    return CorrelationAnalysis(stored, found)


def _chosen(frame: ScoreFrame, notes: list[str], *, named: bool) -> list[int]:
    """Return the columns that vary, the most widely measured where none was named."""
    counts = np.isfinite(frame.values).sum(axis=0)
    columns = []
    for column, benchmark in enumerate(frame.benchmarks):
        values = frame.values[:, column]
        if counts[column] < LEAST_MODELS:
            notes.append(f"{benchmark.title}: left out, with fewer than {LEAST_MODELS} scores.")
        elif is_constant(values[~np.isnan(values)]):
            notes.append(f"{benchmark.title}: left out, as all scores are alike.")
        else:
            columns.append(column)
    if len(columns) > MOST_BENCHMARKS and not named:
        columns.sort(key=lambda column: (-counts[column], column))
        left = len(columns) - MOST_BENCHMARKS
        said = "1 benchmark left out, that" if left == 1 else f"{left} benchmarks left out, those"
        notes.append(f"{said} with the fewest scores; name benchmarks to correlate others.")
        columns = sorted(columns[:MOST_BENCHMARKS])
    if len(columns) < 2:  # noqa: PLR2004
        have = "one benchmark alone has" if columns else "no benchmark has"
        raise UsageError(
            f"Correlating takes two benchmarks; {have} {LEAST_MODELS} scores of these models that"
            " are not all alike."
        )
    return columns


def _correlations(
    frame: ScoreFrame, columns: Sequence[int], notes: list[str], level: float
) -> Iterator[BenchmarkCorrelation]:
    few = count = 0
    for one, other in combinations(columns, 2):
        both = np.isfinite(frame.values[:, one]) & np.isfinite(frame.values[:, other])
        x, y = frame.values[both, one], frame.values[both, other]
        if len(x) < LEAST_MODELS or is_constant(x) or is_constant(y):
            few += 1
            continue
        frame.used[both, one] = frame.used[both, other] = True
        count += 1
        first, second = frame.benchmarks[one], frame.benchmarks[other]
        plain, ranks = (
            correlations.pearson(x, y, level=level),
            correlations.spearman(x, y, level=level),
        )
        given, given_ranks, number = _given_size(x, y, frame.sizes[both], level)
        yield BenchmarkCorrelation(
            benchmark=first.name, version=first.version,
            other=second.name, other_version=second.version,
            n=plain.n,
            pearson=known(plain.r), pearson_lower=known(plain.lower),
            pearson_upper=known(plain.upper), pearson_p=known(plain.p),
            spearman=known(ranks.r), spearman_lower=known(ranks.lower),
            spearman_upper=known(ranks.upper), spearman_p=known(ranks.p),
            partial_n=number,
            partial=known(given.r), partial_lower=known(given.lower),
            partial_upper=known(given.upper), partial_p=known(given.p),
            partial_spearman=known(given_ranks.r),
            partial_spearman_lower=known(given_ranks.lower),
            partial_spearman_upper=known(given_ranks.upper),
        )  # fmt: skip
    if few:
        said = f"{few} pairs of benchmarks" if few > 1 else "One pair of benchmarks"
        notes.append(f"{said} left out, without {LEAST_MODELS} models in common whose scores vary.")
    if not count:
        raise UsageError(
            f"No two benchmarks have {LEAST_MODELS} models in common; name others, or a wider"
            " slice."
        )


def _given_size(
    x: Reals, y: Reals, sizes: Reals, level: float
) -> tuple[Correlation, Correlation, int]:
    """Return the correlations given log size, and the number of models of known size."""
    kept = np.isfinite(sizes) & (sizes > 0)
    count = int(kept.sum())
    x, y, size = x[kept], y[kept], np.log(sizes[kept])
    if count < LEAST_MODELS or any(is_constant(each) for each in (x, y, size)):
        return NOTHING, NOTHING, count
    return (
        correlations.partial(x, y, size, level=level),
        correlations.partial_spearman(x, y, size, level=level),
        count,
    )


def _corrected(results: Sequence[BenchmarkCorrelation]) -> list[BenchmarkCorrelation]:
    """Return results with p-values corrected for the number of pairs (Holm)."""
    of = [
        corrected(np.array([np.nan if p is None else p for p in column]), "holm")
        for column in zip(
            *((each.pearson_p, each.spearman_p, each.partial_p) for each in results), strict=True
        )
    ]
    return [
        replace(
            each,
            pearson_holm=known(of[0][place]),
            spearman_holm=known(of[1][place]),
            partial_holm=known(of[2][place]),
        )
        for place, each in enumerate(results)
    ]
