"""Analyses of groups of models: whether their scores differ, and which pairs of groups do."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from sqlalchemy import Connection, Engine

from registry.analysis.listing import listed
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
from registry.db.schema import analysis_groups, anova_results, tukey_results
from registry.enums import AnalysisKind
from registry.errors import UsageError
from registry.learning.arrays import Reals
from registry.learning.statistics.corrections import corrected
from registry.learning.statistics.group_pairs import group_pairs
from registry.learning.statistics.one_way import OneWay, is_constant, one_way

LEVEL = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupMean:
    """Scores of a group of models on a benchmark; see view `registry.analysis_groups`."""

    benchmark: str
    version: str
    group_name: str
    position: int
    n: int
    mean: float
    median: float
    deviation: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AnovaResult:
    """Analysis of variance of a benchmark; see view `registry.anova`.

    Numbers are as in `learning.statistics.one_way.OneWay`, None where they are not defined;
    `holm`, `welch_holm` and `kruskal_holm` are corrected for the number of benchmarks. The verdict
    is `differ` where the corrected p of both the classic and Welch's test are below 1 minus the
    level, `no difference found` where neither is, and `unclear` where they disagree. Where Welch's
    is not defined, as a group's scores are all alike, that of Kruskal and Wallis is in its place.
    """

    benchmark: str
    version: str
    n: int
    groups: int
    f: float | None
    df_between: int
    df_within: int
    p: float | None
    holm: float | None = None
    benjamini_hochberg: float | None = None
    eta_squared: float | None
    omega_squared: float | None
    effect_lower: float | None
    effect_upper: float | None
    welch_f: float | None
    welch_df: float | None
    welch_p: float | None
    welch_holm: float | None = None
    kruskal_h: float | None
    kruskal_p: float | None
    kruskal_holm: float | None = None
    levene: float | None
    levene_p: float | None
    skewness: float | None
    kurtosis: float | None
    normality_p: float | None
    verdict: str = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class TukeyResult:
    """Difference of two groups on a benchmark; see view `registry.tukey`.

    `differs` is that of the classic procedure: by Tukey, on a benchmark where the analysis of
    variance finds a difference by its own p, not corrected for the number of benchmarks. The
    verdict (higher, lower, no difference found) is by Games and Howell where the test of Brown and
    Forsythe finds variances unequal, else by Tukey. It is `unknown` where that of these tests is
    not defined, or they disagree and whether variances are equal cannot be tested.
    """

    benchmark: str
    version: str
    group_name: str
    other_group: str
    n: int
    other_n: int
    difference: float
    p: float | None
    lower: float | None
    upper: float | None
    games_howell_p: float | None
    games_howell_lower: float | None
    games_howell_upper: float | None
    anova_p: float | None
    levene_p: float | None
    differs: bool | None
    verdict: str


class AnovaAnalysis(NamedTuple):
    """A stored analysis of variance: results and group means, by benchmark."""

    stored: StoredAnalysis
    results: Sequence[AnovaResult]
    groups: Sequence[GroupMean]


class TukeyAnalysis(NamedTuple):
    """A stored comparison of pairs of groups, by benchmark."""

    stored: StoredAnalysis
    results: Sequence[TukeyResult]
    groups: Sequence[GroupMean]


def run_anova(engine: Engine, options: FrameOptions, *, level: float = LEVEL) -> AnovaAnalysis:
    """Test on each benchmark whether groups of models differ, and store the analysis.

    One that is stored of the same request and data is read instead.

    Args:
        engine: of a database at head.
        options: which scores and groups.
        level: share of intervals that hold the effect, in (0, 1).

    Raises:
        UsageError: as `read_frame` does; for a level or sizes of groups that are none; and where
            no benchmark has two groups.
    """
    request, frame = _prepared(engine, options, AnalysisKind.ANOVA, level)

    def compute(notes: list[str]) -> ResultRows:
        samples = list(_samples(frame, options.least, notes))
        return {
            anova_results: _judged([_anova(sample, level) for sample in samples], level),
            analysis_groups: [mean for sample in samples for mean in _means(frame, sample)],
        }

    stored = analysed_once(engine, request, frame, compute)
    with reading(engine) as connection:
        return AnovaAnalysis(
            stored,
            read_results(connection, anova_results, AnovaResult, stored.analysis_id),
            _stored_means(connection, stored),
        )


def run_tukey(engine: Engine, options: FrameOptions, *, level: float = LEVEL) -> TukeyAnalysis:
    """Compare each pair of groups on each benchmark, and store the analysis.

    Arguments and errors are as in `run_anova`.
    """
    request, frame = _prepared(engine, options, AnalysisKind.TUKEY, level)

    def compute(notes: list[str]) -> ResultRows:
        samples = list(_samples(frame, options.least, notes))
        return {
            tukey_results: [pair for sample in samples for pair in _pairs(frame, sample, level)],
            analysis_groups: [mean for sample in samples for mean in _means(frame, sample)],
        }

    stored = analysed_once(engine, request, frame, compute)
    with reading(engine) as connection:
        means = _stored_means(connection, stored)
        order = {(each.benchmark, each.version, each.group_name): each.position for each in means}
        found = read_results(connection, tukey_results, TukeyResult, stored.analysis_id)
    return TukeyAnalysis(stored, sorted(found, key=lambda pair: _order(pair, order)), means)


def _order(pair: TukeyResult, order: dict[tuple[str, str, str], int]) -> tuple[str, str, int, int]:
    of = pair.benchmark, pair.version
    return *of, order[*of, pair.group_name], order[*of, pair.other_group]


def _stored_means(connection: Connection, stored: StoredAnalysis) -> list[GroupMean]:
    found = read_results(connection, analysis_groups, GroupMean, stored.analysis_id)
    return sorted(found, key=lambda each: (each.benchmark, each.version, each.position))


def _prepared(
    engine: Engine, options: FrameOptions, kind: AnalysisKind, level: float
) -> tuple[AnalysisRequest, ScoreFrame]:
    """Return the request, and the frame."""
    check_level(level)
    if options.grouping is None:
        raise UsageError("Name what to group models by.")
    if options.least < 2 or options.most < 2:  # noqa: PLR2004
        raise UsageError("Groups have two scores or more, and there are two groups or more.")
    frame = read_frame(engine, options)
    return AnalysisRequest.of(kind, options, level=level), frame


class _Sample(NamedTuple):
    """Scores on a benchmark by group.

    Attributes:
        benchmark: that they are on.
        places: of the groups among those of the frame.
        scores: of each group.
    """

    benchmark: FrameBenchmark
    places: Sequence[int]
    scores: Sequence[Reals]


def _samples(frame: ScoreFrame, least: int, notes: list[str]) -> Iterator[_Sample]:
    """Yield the groups of each benchmark that can be compared; note what is left out.

    Raises:
        UsageError: where no benchmark has two groups that are not all of one value.
    """
    small: dict[str, int] = {}
    untested: dict[str, list[str]] = {}
    count = 0
    for column, benchmark in enumerate(frame.benchmarks):
        values, codes = frame.values[:, column], frame.codes[:, column]
        of_groups = [
            values[(codes == place) & ~np.isnan(values)] for place in range(len(frame.groups))
        ]
        places = [place for place, scores in enumerate(of_groups) if len(scores) >= least]
        for place, scores in enumerate(of_groups):
            if 0 < len(scores) < least:
                small[frame.groups[place]] = small.get(frame.groups[place], 0) + 1
        chosen = [of_groups[place] for place in places]
        if len(places) < 2:  # noqa: PLR2004
            untested.setdefault(_few(len(places), least), []).append(benchmark.title)
        elif is_constant(np.concatenate(chosen)):
            untested.setdefault("all scores are alike", []).append(benchmark.title)
        else:
            count += 1
            frame.used[:, column] = np.isin(codes, places) & ~np.isnan(values)
            yield _Sample(benchmark, places, chosen)
    for why, titles in untested.items():
        notes.append(f"{listed(titles)}: not tested, as {why}.")
    for name, number in small.items():
        where = "one benchmark" if number == 1 else f"{number} benchmarks"
        notes.append(f"{name}: left out on {where}, with fewer than {least} scores.")
    if not count:
        raise UsageError(
            "No benchmark has two groups to compare: "
            + " ".join([*notes[:3], "Name another grouping, other cuts, or a wider slice."])
        )


def _few(groups: int, least: int) -> str:
    have = "no group has" if groups == 0 else "one group alone has"
    return f"{have} {least} scores"


def _means(frame: ScoreFrame, sample: _Sample) -> Iterator[GroupMean]:
    for place, scores in zip(sample.places, sample.scores, strict=True):
        yield GroupMean(
            benchmark=sample.benchmark.name,
            version=sample.benchmark.version,
            group_name=frame.groups[place],
            position=place,
            n=len(scores),
            mean=float(scores.mean()),
            median=float(np.median(scores)),
            deviation=float(scores.std(ddof=1)),
        )


def _anova(sample: _Sample, level: float) -> AnovaResult:
    found = one_way(sample.scores, level=level)
    return AnovaResult(
        benchmark=sample.benchmark.name,
        version=sample.benchmark.version,
        n=sum(map(len, sample.scores)),
        groups=len(sample.scores),
        f=known(found.f),
        df_between=found.df_between,
        df_within=found.df_within,
        p=known(found.p),
        eta_squared=known(found.eta_squared),
        omega_squared=known(found.omega_squared),
        effect_lower=known(found.lower),
        effect_upper=known(found.upper),
        welch_f=known(found.welch_f),
        welch_df=known(found.welch_df),
        welch_p=known(found.welch_p),
        kruskal_h=known(found.kruskal_h),
        kruskal_p=known(found.kruskal_p),
        levene=known(found.levene),
        levene_p=known(found.levene_p),
        skewness=known(found.skewness),
        kurtosis=known(found.kurtosis),
        normality_p=known(found.normality_p),
    )


def _judged(results: Sequence[AnovaResult], level: float) -> list[AnovaResult]:
    """Return results with p-values corrected for the number of benchmarks, and verdicts."""
    classic = np.array([_or_nan(each.p) for each in results])
    holm, rate = corrected(classic, "holm"), corrected(classic, "fdr_bh")
    welch = corrected(np.array([_or_nan(each.welch_p) for each in results]), "holm")
    kruskal = corrected(np.array([_or_nan(each.kruskal_p) for each in results]), "holm")
    return [
        replace(
            each,
            holm=known(holm[place]),
            benjamini_hochberg=known(rate[place]),
            welch_holm=known(welch[place]),
            kruskal_holm=known(kruskal[place]),
            verdict=_verdict(
                [holm[place], kruskal[place] if np.isnan(welch[place]) else welch[place]], 1 - level
            ),
        )
        for place, each in enumerate(results)
    ]


def _or_nan(value: float | None) -> float:
    return np.nan if value is None else value


def _verdict(p: Sequence[float], limit: float) -> str:
    if any(np.isnan(each) for each in p):
        return "unknown"
    found = [each < limit for each in p]
    if all(found):
        return "differ"
    return "unclear" if any(found) else "no difference found"


def _pairs(frame: ScoreFrame, sample: _Sample, level: float) -> Iterator[TukeyResult]:
    tests, found = one_way(sample.scores, level=level), group_pairs(sample.scores, level=level)
    names = [frame.groups[place] for place in sample.places]
    for place, (first, second) in enumerate(zip(found.first, found.second, strict=True)):
        p, robust = float(found.p[place]), float(found.games_howell_p[place])
        yield TukeyResult(
            benchmark=sample.benchmark.name,
            version=sample.benchmark.version,
            group_name=names[first],
            other_group=names[second],
            n=len(sample.scores[first]),
            other_n=len(sample.scores[second]),
            difference=float(found.difference[place]),
            p=known(p),
            lower=known(found.lower[place]),
            upper=known(found.upper[place]),
            games_howell_p=known(robust),
            games_howell_lower=known(found.games_howell_lower[place]),
            games_howell_upper=known(found.games_howell_upper[place]),
            anova_p=known(tests.p),
            levene_p=known(tests.levene_p),
            differs=None if np.isnan([p, tests.p]).any() else max(p, tests.p) < 1 - level,
            verdict=_direction(tests, p, robust, float(found.difference[place]), 1 - level),
        )


def _direction(tests: OneWay, p: float, robust: float, difference: float, limit: float) -> str:
    """Return which of two groups is higher, by the test that fits the variances."""
    fitting = robust if tests.levene_p < limit else p
    disagree = np.isnan(robust) or (robust < limit) != (p < limit)
    if np.isnan(fitting) or (np.isnan(tests.levene_p) and disagree):
        return "unknown"
    if fitting >= limit:
        return "no difference found"
    return "higher" if difference > 0 else "lower"
