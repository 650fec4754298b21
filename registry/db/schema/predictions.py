"""Tables of predicted scores: versions of the score model, and vectors of benchmarks and models."""

from datetime import datetime
from typing import Any

from pgvector.sqlalchemy import VECTOR
from sqlalchemy import (
    REAL,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    Named,
    SmallInteger,
    Table,
    Text,
    TypedColumns,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from registry.db.schema.base import metadata, model_key, one_of, time
from registry.enums import EvidenceKind, PredictionState


def _version_key() -> Column[int]:
    return Column(
        Integer,
        ForeignKey("store.prediction_versions.version_id", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
        comment="of prediction_versions",
    )


class PredictionVersionTable(TypedColumns):
    """One row per fit of the score model; one at most is current."""

    version_id = Column(Integer, Identity(always=True), primary_key=True)
    state: Named[str] = Column(Text, comment="one of PREDICTION_STATES")
    created_at: Named[datetime] = time("UTC")
    placed_at: Named[datetime] = time("last time that models got abilities of it; UTC")
    newest_model_id: Named[int] = Column(
        BigInteger, comment="greatest key of the catalog when it was last placed"
    )
    dimension: Named[int] = Column(Integer, comment="of abilities and loadings")
    model_count: Named[int] = Column(Integer, comment="models with scores that it was fitted to")
    benchmark_count: Named[int] = Column(Integer, comment="benchmarks that it predicts")
    score_count: Named[int] = Column(Integer, comment="scores that it was fitted to")
    reliable: Named[bool] = Column(
        Boolean, comment="whether intervals of level 0.9 held 0.85 to 0.95 of held-out scores"
    )
    data_fingerprint: Named[str] = Column(Text, comment="of the scores")
    code_version: Named[str] = Column(Text)
    seed: Named[int] = Column(BigInteger)
    seconds: Named[float] = Column(Double, comment="that the fit took")
    settings: Named[Any] = Column(JSONB, nullable=False)
    metrics: Named[Any] = Column(JSONB, nullable=False, comment="on held-out scores")
    fitted: Named[Any] = Column(
        LargeBinary, nullable=False, comment="numpy's npz: state that places other models"
    )


prediction_versions = Table(
    "prediction_versions",
    metadata,
    PredictionVersionTable,
    CheckConstraint(one_of("state", PredictionState), name="state"),
    Index(
        "prediction_versions_current_idx",
        "state",
        unique=True,
        postgresql_where=text("state = 'current'"),
    ),
)


class IntervalTable(TypedColumns):
    """Half-widths of intervals in predicted standard deviations, from held-out scores."""

    version_id = _version_key()
    evidence_group = Column(
        SmallInteger,
        primary_key=True,
        autoincrement=False,
        comment="0: no other scores of the model, 1: few, 2: few of the benchmark, 3: many, "
        "4: of other blocks alone",
    )
    held_out: Named[int] = Column(Integer, comment="held-out scores of the group")
    levels: Named[Any] = Column(
        ARRAY(Double), nullable=False, comment="shares of scores within, ascending, in [0, 1)"
    )
    ratios: Named[Any] = Column(
        ARRAY(Double), nullable=False, comment="half-width by level, in standard deviations"
    )
    ratio_90: Named[float] = Column(Double, comment="of them, that of level 0.9")


prediction_intervals = Table("prediction_intervals", metadata, IntervalTable)


class LoadingTable(TypedColumns):
    """One row per version and benchmark that it predicts.

    A model's score on the working scale is normal with mean intercept + abilities . vector and
    variance residual + (abilities' spread) . spread: one more benchmark is one more row.
    """

    version_id = _version_key()
    benchmark_id = Column(
        Integer,
        primary_key=True,
        autoincrement=False,
        comment="of several names, the first; negative: of a part that is stored of it",
    )
    measure_id: Named[int] = Column(Integer, comment="of measures: that of the scores")
    score_count: Named[int] = Column(Integer, comment="scores that it was fitted to")
    intercept: Named[float] = Column(Double)
    residual: Named[float] = Column(Double, comment="variance of a score about its mean")
    cold_factor: Named[float] = Column(
        Double, comment="on deviations, for models without other scores"
    )
    warm_factor: Named[float] = Column(Double, comment="on deviations, for models with some")
    crossed_factor: Named[float] = Column(
        Double, comment="on deviations, for models with scores in other blocks alone"
    )
    block: Named[int] = Column(
        BigInteger, comment="one bit: that of benchmarks which the same models took"
    )
    tied_blocks: Named[int] = Column(
        BigInteger, comment="bits of the blocks with enough models in common with its own"
    )
    centre: Named[float | None] = Column(
        Double, comment="of raw scores without bounds; null where the scale has bounds"
    )
    scale: Named[float | None] = Column(
        Double, comment="raw score for one on the working scale; negative if lower is better"
    )
    vector: Named[Any] = Column(VECTOR(), nullable=False, comment="loadings")
    spread: Named[Any] = Column(
        VECTOR(),
        nullable=False,
        comment="products of loadings and their covariance; then that with the intercept",
    )


benchmark_loadings = Table("benchmark_loadings", metadata, LoadingTable)


class AbilityTable(TypedColumns):
    """One row per version and model: its abilities, and how uncertain they are."""

    model_id = model_key()
    version_id = _version_key()
    kind: Named[str] = Column(Text, comment="evidence: outcomes, scores or catalog")
    score_count: Named[int] = Column(Integer, comment="its scores that count")
    support: Named[float] = Column(
        REAL, comment="share of the variance of abilities that is known, in [0, 1]"
    )
    vector: Named[Any] = Column(VECTOR(), nullable=False, comment="abilities, posterior mean")
    spread: Named[Any] = Column(
        VECTOR(),
        nullable=False,
        comment="upper triangles of their covariance, and of products of them and 1",
    )
    scale: Named[float] = Column(REAL, comment="factor on deviations of its predictions")
    blocks: Named[int] = Column(
        BigInteger,
        comment="bits of the blocks that it, or without scores those near, have scores in",
    )
    near_ids: Named[Any] = Column(
        ARRAY(BigInteger), nullable=False, comment="models with scores that weigh most in the prior"
    )
    near_weights: Named[Any] = Column(ARRAY(REAL), nullable=False, comment="their weights")


abilities = Table(
    "abilities",
    metadata,
    AbilityTable,
    CheckConstraint(one_of("kind", EvidenceKind), name="kind"),
    Index("abilities_version_id_idx", "version_id"),
)


class FittedScoreTable(TypedColumns):
    """One row per version and score that it was fitted to."""

    model_id = model_key()
    version_id = _version_key()
    benchmark_id = Column(
        Integer, primary_key=True, autoincrement=False, comment="of benchmark_loadings"
    )
    value: Named[float] = Column(Double, comment="on the working scale")
    variance: Named[float] = Column(REAL, comment="of its own error; 0 of a measured score")
    mean: Named[float] = Column(Double, comment="prediction by a fit without it, likewise")
    deviation: Named[float] = Column(
        Double, comment="standard deviation of that prediction, with the benchmark's factor"
    )
    evidence_group: Named[int] = Column(
        SmallInteger, comment="of prediction_intervals, of that prediction"
    )


fitted_scores = Table(
    "fitted_scores", metadata, FittedScoreTable, Index("fitted_scores_version_id_idx", "version_id")
)
