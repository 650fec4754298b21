"""Analyses of abilities: the factors behind scores on many benchmarks."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from sqlalchemy import Engine

from registry.analysis.statistics.complete_scores import read_complete
from registry.analysis.statistics.score_frame import FrameBenchmark, FrameOptions
from registry.analysis.statistics.stored_analyses import (
    LIBRARIES,
    AnalysisRequest,
    ResultRows,
    StoredAnalysis,
    analysed_once,
    check_level,
    check_seed,
    known,
    read_results,
)
from registry.db.connection import reading
from registry.db.schema import ability_factors, factor_loadings
from registry.enums import AnalysisKind
from registry.errors import UsageError
from registry.learning.statistics.ability_factoring import FactoredAbilities, abilities

SEED = 42
LEAST_MODELS, LEAST_BENCHMARKS = 20, 3
"""That an analysis of abilities takes; of two benchmarks one factor is not unique."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AbilityFactor:
    """A factor behind scores; see view `registry.ability_factors`.

    `share` is of the variance of all standardised scores, by the eigenvalue, that of the first
    being what one general ability explains; `rotated_share` is that of the rotated factor of this
    number, None where the factor is not kept.
    """

    factor: int
    eigenvalue: float
    by_chance: float
    kept: bool
    share: float
    share_lower: float
    share_upper: float
    rotated_share: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FactorLoading:
    """Correlation of a benchmark with a rotated factor; see view `registry.factor_loadings`."""

    factor: int
    benchmark: str
    version: str
    loading: float
    lower: float
    upper: float
    communality: float


class FactorAnalysisOfScores(NamedTuple):
    """A stored analysis of abilities: all factors, and the loadings of those that are kept."""

    stored: StoredAnalysis
    factors: Sequence[AbilityFactor]
    loadings: Sequence[FactorLoading]


def run_factors(
    engine: Engine, options: FrameOptions, *, seed: int = SEED, level: float = 0.95
) -> FactorAnalysisOfScores:
    """Find the factors behind scores on several benchmarks, and store the analysis.

    One that is stored of the same request and data is read instead.

    Args:
        engine: of a database at head.
        options: which scores; models with a score on each benchmark count, without a grouping.
        seed: of random samples.
        level: share of intervals that hold what they are of, and the quantile of what chance does.

    Raises:
        UsageError: as `read_complete` does, for a level or seed that is none, and where there are
            not more models than benchmarks.
    """
    check_level(level)
    check_seed(seed)
    options = replace(options, grouping=None)
    frame = read_complete(
        engine, options, models=LEAST_MODELS, benchmarks=LEAST_BENCHMARKS, doing="Factor analysis"
    )
    if len(frame.models) <= len(frame.benchmarks):
        raise UsageError(
            f"Factor analysis takes more models than benchmarks; {len(frame.models)} models have a"
            f" score on each of {len(frame.benchmarks)}. Name fewer benchmarks."
        )
    request = replace(
        AnalysisRequest.of(AnalysisKind.FACTORS, options, level=level),
        seed=seed,
        libraries=(*LIBRARIES, "scikit-learn"),
    )

    def compute(notes: list[str]) -> ResultRows:
        frame.use_all()
        found = abilities(frame.values, seed=seed, level=level)
        if not found.kept:
            notes.append("No factor explains more than chance does: there are no loadings.")
        return {
            ability_factors: _factors(found),
            factor_loadings: _loadings(found, frame.benchmarks),
        }

    stored = analysed_once(engine, request, frame, compute)
    with reading(engine) as connection:
        return FactorAnalysisOfScores(
            stored,
            read_results(connection, ability_factors, AbilityFactor, stored.analysis_id),
            read_results(connection, factor_loadings, FactorLoading, stored.analysis_id),
        )


def _factors(found: FactoredAbilities) -> list[AbilityFactor]:
    return [
        AbilityFactor(
            factor=place + 1,
            eigenvalue=float(found.eigenvalues[place]),
            by_chance=float(found.by_chance[place]),
            kept=place < found.kept,
            share=float(found.shares[place]),
            share_lower=float(found.share_lower[place]),
            share_upper=float(found.share_upper[place]),
            rotated_share=known(found.rotated_shares[place]) if place < found.kept else None,
        )
        for place in range(len(found.eigenvalues))
    ]


def _loadings(
    found: FactoredAbilities, benchmarks: Sequence[FrameBenchmark]
) -> list[FactorLoading]:
    communality = (found.loadings**2).sum(axis=1)
    return [
        FactorLoading(
            factor=factor + 1,
            benchmark=benchmark.name,
            version=benchmark.version,
            loading=float(found.loadings[place, factor]),
            lower=float(found.lower[place, factor]),
            upper=float(found.upper[place, factor]),
            communality=float(communality[place]),
        )
        for factor in range(found.kept)
        for place, benchmark in enumerate(benchmarks)
    ]
