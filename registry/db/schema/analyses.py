"""Tables of statistical analyses of scores, and of their results."""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Identity,
    Index,
    Integer,
    Named,
    Table,
    Text,
    TypedColumns,
)
from sqlalchemy.dialects.postgresql import JSONB

from registry.db.schema.base import metadata, texts, time


def analysis_key() -> Column[int]:
    """Return the key of the analysis, with which its results go."""
    return Column(
        Integer,
        ForeignKey("store.analyses.analysis_id", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
        comment="of analyses",
    )


def benchmark_key() -> Column[str]:
    """Return a column of names of benchmarks, part of the key."""
    return Column(Text, primary_key=True, comment="canonical name")


def version_key() -> Column[str]:
    """Return a column of versions of benchmarks, part of the key."""
    return Column(Text, primary_key=True, comment="of the benchmark; empty where none is stated")


def number(comment: str) -> Column[float | None]:
    """Return a column of numbers, null where they are not defined."""
    return Column(Double, comment=comment)


class AnalysisTable(TypedColumns):
    """One row per analysis of one slice of models, on the data of one moment."""

    analysis_id = Column(Integer, Identity(always=True), primary_key=True)
    kind: Named[str] = Column(Text, comment="what it computes, such as anova")
    created_at: Named[datetime] = time("UTC")
    slice: Named[str | None] = Column(Text, comment="SQL condition on models; null for all")
    options: Named[Any] = Column(
        JSONB, nullable=False, comment="grouping, cuts, level, benchmarks, least, most, complete"
    )
    model_count: Named[int] = Column(Integer, comment="models with a score")
    row_count: Named[int] = Column(Integer, comment="scores")
    tested_models: Named[int | None] = Column(
        Integer, comment="those that results are of; null before they were counted"
    )
    tested_scores: Named[int | None] = Column(Integer, comment="likewise")
    request: Named[str] = Column(
        Text, comment="digest of kind, slice, options, code version and libraries"
    )
    data_fingerprint: Named[str] = Column(Text, comment="of scores, groups and sizes")
    code_version: Named[str] = Column(Text, comment="of the registry")
    libraries: Named[Any] = Column(JSONB, nullable=False, comment="versions by name")
    seed: Named[int | None] = Column(BigInteger, comment="null where nothing is drawn")
    seconds: Named[float] = Column(Double, comment="that it took")
    notes = texts("what was left out, and why")


analyses = Table(
    "analyses",
    metadata,
    AnalysisTable,
    Index("analyses_request_data_fingerprint_idx", "request", "data_fingerprint", unique=True),
)


class AnalysisGroupTable(TypedColumns):
    """One row per group and benchmark of an analysis by groups."""

    analysis_id = analysis_key()
    benchmark = benchmark_key()
    version = version_key()
    group_name = Column(Text, primary_key=True)
    position: Named[int] = Column(Integer, comment="of the group, in the order of size or name")
    n: Named[int] = Column(Integer, comment="scores")
    mean: Named[float] = Column(Double)
    median: Named[float] = Column(Double)
    deviation: Named[float] = Column(Double, comment="standard, of the scores")


analysis_groups = Table("analysis_groups", metadata, AnalysisGroupTable)


class AnovaTable(TypedColumns):
    """One row per benchmark of an analysis of variance."""

    analysis_id = analysis_key()
    benchmark = benchmark_key()
    version = version_key()
    n: Named[int] = Column(Integer, comment="scores")
    groups: Named[int] = Column(Integer)
    f = number("ratio of the variance between groups to that within")
    df_between: Named[int] = Column(Integer)
    df_within: Named[int] = Column(Integer)
    p = number("of f")
    holm = number("p corrected for the number of benchmarks")
    benjamini_hochberg = number("likewise, for the share of false findings")
    eta_squared = number("share of the variance that groups explain")
    omega_squared = number("estimate of it in the population")
    effect_lower = number("end of the interval of that share")
    effect_upper = number("its other end")
    welch_f = number("ratio that needs no equal variances")
    welch_df = number("its degrees of freedom within")
    welch_p = number("of it")
    welch_holm = number("corrected for the number of benchmarks")
    kruskal_h = number("statistic of ranks")
    kruskal_p = number("of it")
    kruskal_holm = number("corrected for the number of benchmarks")
    levene = number("statistic of equal variances, by Brown and Forsythe")
    levene_p = number("of it")
    skewness = number("of the residuals")
    kurtosis = number("of the residuals, in excess of 3")
    normality_p = number("of normal residuals")
    verdict: Named[str] = Column(Text, comment="differ, unclear, no difference found or unknown")


anova_results = Table("anova_results", metadata, AnovaTable)


class TukeyTable(TypedColumns):
    """One row per pair of groups and benchmark."""

    analysis_id = analysis_key()
    benchmark = benchmark_key()
    version = version_key()
    group_name = Column(Text, primary_key=True, comment="first of the pair")
    other_group = Column(Text, primary_key=True, comment="second of the pair")
    n: Named[int] = Column(Integer, comment="scores of the first")
    other_n: Named[int] = Column(Integer, comment="of the second")
    difference: Named[float] = Column(Double, comment="mean of the first minus the second's")
    p = number("of Tukey; corrected for the pairs of the benchmark")
    lower = number("end of the simultaneous interval")
    upper = number("its other end")
    games_howell_p = number("likewise, without equal variances")
    games_howell_lower = number("end of its interval")
    games_howell_upper = number("its other end")
    anova_p = number("of the analysis of variance of the benchmark")
    levene_p = number("of equal variances on the benchmark")
    differs: Named[bool | None] = Column(
        Boolean, comment="by Tukey, where the analysis of variance finds a difference"
    )
    verdict: Named[str] = Column(
        Text, comment="higher, lower or no difference found, by the test that fits the variances"
    )


tukey_results = Table("tukey_results", metadata, TukeyTable)


class CorrelationTable(TypedColumns):
    """One row per pair of benchmarks."""

    analysis_id = analysis_key()
    benchmark = benchmark_key()
    version = version_key()
    other = Column(Text, primary_key=True, comment="canonical name of the other benchmark")
    other_version = Column(Text, primary_key=True)
    n: Named[int] = Column(Integer, comment="models with both scores")
    pearson = number("linear correlation")
    pearson_lower = number("end of its interval")
    pearson_upper = number("its other end")
    pearson_p = number("of none")
    pearson_holm = number("corrected for the number of pairs")
    spearman = number("correlation of ranks")
    spearman_lower = number("end of its interval")
    spearman_upper = number("its other end")
    spearman_p = number("of none")
    spearman_holm = number("corrected for the number of pairs")
    partial_n: Named[int] = Column(Integer, comment="those whose size is known")
    partial = number("linear correlation given log size")
    partial_lower = number("end of its interval")
    partial_upper = number("its other end")
    partial_p = number("of none")
    partial_holm = number("corrected for the number of pairs")
    partial_spearman = number("correlation of ranks given that of size")
    partial_spearman_lower = number("end of its interval")
    partial_spearman_upper = number("its other end")


correlation_results = Table("correlation_results", metadata, CorrelationTable)


def _response_key() -> Column[str]:
    return Column(Text, primary_key=True, comment="canonical name of a benchmark, or size")


class GamFitTable(TypedColumns):
    """One row per generalised additive model of an analysis: its fit."""

    analysis_id = analysis_key()
    response = _response_key()
    version = version_key()
    n: Named[int] = Column(Integer, comment="models")
    df: Named[float] = Column(Double, comment="effective degrees of freedom of all terms")
    r_squared: Named[float] = Column(Double, comment="adjusted")
    explained: Named[float] = Column(Double, comment="share of the deviance")
    residual: Named[float] = Column(
        Double, comment="standard deviation of what is left, in units of the response"
    )
    converged: Named[bool] = Column(
        Boolean, comment="whether the search for the amounts of smoothing ended"
    )


class GamTermTable(TypedColumns):
    """One row per term of a generalised additive model."""

    analysis_id = analysis_key()
    response = _response_key()
    version = version_key()
    position = Column(Integer, primary_key=True, autoincrement=False, comment="of the term, from 0")
    kind: Named[str] = Column(Text, comment="smooth or random")
    term: Named[str] = Column(Text, comment="size, a benchmark, or what a random effect groups by")
    term_version: Named[str] = Column(Text, comment="of the benchmark; empty where none is stated")
    group_name: Named[str | None] = Column(
        Text, comment="of models that it is the smooth of; null for all"
    )
    groups: Named[int | None] = Column(Integer, comment="of a random effect")
    edf: Named[float] = Column(Double, comment="effective degrees of freedom")
    rank: Named[float] = Column(Double, comment="degrees of freedom of the test")
    f: Named[float | None] = number("statistic of no effect")
    p: Named[float | None] = number("of no effect")
    holm: Named[float | None] = number("corrected for the number of terms")
    deviation: Named[float | None] = number("standard, of a random effect")
    shape: Named[str | None] = Column(Text, comment="rising, falling, both or neither; of a smooth")


class GamCurveTable(TypedColumns):
    """One row per point of the partial effect of a smooth."""

    analysis_id = analysis_key()
    response = _response_key()
    version = version_key()
    position = Column(Integer, primary_key=True, autoincrement=False, comment="of the term")
    point = Column(Integer, primary_key=True, autoincrement=False, comment="from 0")
    x: Named[float] = Column(Double, comment="score, or number of weights")
    effect: Named[float] = Column(Double, comment="partial, in units of the response")
    error: Named[float] = Column(Double, comment="standard")
    lower: Named[float] = Column(Double, comment="end of the pointwise band")
    upper: Named[float] = Column(Double, comment="its other end")
    below: Named[float] = Column(Double, comment="share of models at or below x")


gam_fits = Table("gam_fits", metadata, GamFitTable)
gam_terms = Table("gam_terms", metadata, GamTermTable)
gam_curves = Table("gam_curves", metadata, GamCurveTable)


class MixedEffectTable(TypedColumns):
    """One row per effect of a mixed model of a benchmark: fixed, joint test or random."""

    analysis_id = analysis_key()
    benchmark = benchmark_key()
    version = version_key()
    position = Column(Integer, primary_key=True, autoincrement=False, comment="from 0")
    kind: Named[str] = Column(Text, comment="fixed, test or random")
    term: Named[str] = Column(Text, comment="grouping, time, parent or residual")
    group_name: Named[str | None] = Column(Text, comment="of a fixed effect")
    reference: Named[str | None] = Column(Text, comment="group that it is compared with")
    n: Named[int] = Column(Integer, comment="scores of the group, or all")
    groups: Named[int | None] = Column(Integer, comment="of a random effect, or tested")
    estimate: Named[float | None] = number("difference, or deviation of a random effect")
    error: Named[float | None] = number("its standard error")
    lower: Named[float | None] = number("end of its interval")
    upper: Named[float | None] = number("its other end")
    share: Named[float | None] = number("of the variance, of a random effect")
    statistic: Named[float | None] = number("t, or F of a test")
    df: Named[float | None] = number("degrees of freedom of its denominator")
    p: Named[float | None] = number("of no effect")
    holm: Named[float | None] = number("corrected for the number of effects of its kind")
    plain_estimate: Named[float | None] = number("as if models were independent")
    plain_error: Named[float | None] = number("likewise")
    plain_p: Named[float | None] = number("likewise")


mixed_effects = Table("mixed_effects", metadata, MixedEffectTable)
