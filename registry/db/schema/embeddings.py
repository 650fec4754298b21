"""Tables of vectors, of texts and of models and items by version, and of comparisons."""

from datetime import datetime
from typing import Any

from pgvector.sqlalchemy import HALFVEC, VECTOR
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
    Table,
    Text,
    TypedColumns,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from registry.db.schema.base import metadata, model_key, one_of, time, time_or_null
from registry.enums import VectorKind, VersionState


class EncoderTable(TypedColumns):
    """One row per encoder that has vectors of texts."""

    encoder_id = Column(Integer, Identity(always=True), primary_key=True)
    name: Named[str] = Column(Text, comment="as it is opened by")
    dimension: Named[int] = Column(Integer, comment="length of each of its vectors")


encoders = Table("encoders", metadata, EncoderTable, UniqueConstraint("name"))


class TextVectorTable(TypedColumns):
    """Vectors of items' texts: a row for each text, however many items share it."""

    encoder_id = Column(
        Integer,
        ForeignKey("store.encoders.encoder_id", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    )
    content_hash: Named[Any] = Column(
        Uuid, primary_key=True, comment="of items: of their prompt and choices"
    )
    # Without a length, since encoders differ in theirs.
    vector: Named[Any] = Column(
        HALFVEC, nullable=False, comment="of the encoder's dimension, of length 1 or 0"
    )
    cut: Named[bool] = Column(
        Boolean,
        server_default=text("false"),
        comment="whether the text is longer than what the encoder reads",
    )


text_vectors = Table("text_vectors", metadata, TextVectorTable)


class VersionTable(TypedColumns):
    """One row per stored training: its settings, and its state."""

    version_id = Column(Integer, Identity(always=True), primary_key=True)
    method: Named[str] = Column(Text, comment="how it was trained")
    state: Named[str] = Column(Text, comment="one of VERSION_STATES; one at most is current")
    reason: Named[str | None] = Column(Text, comment="why it was promoted or refused")
    created_at: Named[datetime] = time("UTC")
    promoted_at: Named[datetime | None] = time_or_null("last time that it became current; UTC")
    dimension: Named[int] = Column(Integer, comment="of the models' vectors")
    serving_dimension: Named[int | None] = Column(
        Integer, comment="of the serving vectors: one more than a prompt's; null where none"
    )
    model_count: Named[int] = Column(Integer, comment="number of models with a vector")
    item_count: Named[int] = Column(Integer, comment="number of items trained on")
    outcome_count: Named[int] = Column(BigInteger, comment="number of outcomes trained on")
    encoder: Named[str | None] = Column(Text, comment="of the items' texts")
    data_fingerprint: Named[str] = Column(Text, comment="of the outcomes trained on")
    code_version: Named[str] = Column(Text)
    device: Named[str] = Column(Text)
    seed: Named[int] = Column(BigInteger)
    seconds: Named[float] = Column(Double, comment="that training took")
    settings: Named[Any] = Column(JSONB, nullable=False)
    trials: Named[Any] = Column(JSONB, nullable=False, comment="of the search for settings")
    metrics: Named[Any] = Column(JSONB, nullable=False, comment="held-out figures by split")
    aligned_to: Named[int | None] = Column(
        Integer, comment="version that the vectors were rotated onto; null where they were not"
    )
    alignment_residual: Named[float | None] = Column(
        Double, comment="what the rotation leaves apart, relative to the older vectors' norm"
    )
    churn: Named[float | None] = Column(
        Double, comment="share of nearest neighbours that are others than the version's before"
    )
    placed_at: Named[datetime | None] = time_or_null(
        "last time that models it was not trained on got vectors; UTC"
    )
    likeness: Named[Any] = Column(
        JSONB, nullable=True, comment="weights of what makes models alike; null before placing"
    )
    unexplained: Named[Any] = Column(
        ARRAY(REAL, dimensions=2),
        nullable=True,
        comment="covariance of vectors about what the catalog predicts; null if independent of it",
    )
    axes: Named[Any] = Column(
        ARRAY(VECTOR()),
        nullable=True,
        comment="along which errors of vectors are uncorrelated; null where models have no "
        "variances",
    )
    item_variance: Named[float | None] = Column(
        REAL, comment="of a logit, apart from the model's; null where unknown"
    )
    text_map: Named[Any] = Column(
        ARRAY(VECTOR()),
        nullable=True,
        comment="weights of an item's entries, and of its offset, on its text's vector and 1",
    )
    text_residual: Named[Any] = Column(
        ARRAY(VECTOR()),
        nullable=True,
        comment="rows whose outer products add up to the covariance of items about text_map",
    )
    text_spread: Named[Any] = Column(
        VECTOR(), nullable=True, comment="variance of items about text_map along each axis"
    )


embedding_versions = Table(
    "embedding_versions",
    metadata,
    VersionTable,
    CheckConstraint(one_of("state", VersionState), name="state"),
    Index(
        "embedding_versions_current_idx",
        "state",
        unique=True,
        postgresql_where=text("state = 'current'"),
    ),
)


class EmbeddingTable(TypedColumns):
    """One vector per model and version; each version is a partition."""

    model_id = model_key()
    version_id = Column(Integer, primary_key=True, autoincrement=False, comment="the version")
    uncertainty: Named[float | None] = Column(REAL, comment="standard deviation of a coordinate")
    kind: Named[str] = Column(Text, comment="one of VECTOR_KINDS")
    vector: Named[Any] = Column(VECTOR(), nullable=False)
    support: Named[float | None] = Column(
        REAL, comment="share of its own likeness that trained models explain; null where trained"
    )
    near_ids: Named[Any] = Column(
        ARRAY(BigInteger),
        nullable=True,
        comment="trained models that weigh most in the guess, the heaviest first",
    )
    near_weights: Named[Any] = Column(ARRAY(REAL), nullable=True, comment="their weights")
    variances: Named[Any] = Column(
        HALFVEC(), nullable=True, comment="along the axes of the version; null where unknown"
    )


embeddings = Table(
    "embeddings",
    metadata,
    EmbeddingTable,
    CheckConstraint(one_of("kind", VectorKind), name="kind"),
    postgresql_partition_by="LIST (version_id)",
)


class PriorTable(TypedColumns):
    """The fitted state that places new models in a version; see `embeddings.placement_state`."""

    version_id = Column(
        Integer,
        ForeignKey("store.embedding_versions.version_id", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    )
    newest_model_id: Named[int] = Column(
        BigInteger,
        comment="greatest key of the catalog when it was last placed; later ones came since",
    )
    fitted: Named[Any] = Column(
        LargeBinary,
        nullable=False,
        comment="numpy's npz: rarity of words, features of trained models, coefficients",
    )


priors = Table("priors", metadata, PriorTable)


class ServingTable(TypedColumns):
    """One vector per model and version whose inner product with a prompt's is the logit."""

    model_id = model_key()
    version_id = Column(Integer, primary_key=True, autoincrement=False, comment="the version")
    vector: Named[Any] = Column(VECTOR(), nullable=False, comment="its last entry is the constant")


serving_vectors = Table(
    "serving_vectors",
    metadata,
    ServingTable,
    postgresql_partition_by="LIST (version_id)",
)


class ItemVectorTable(TypedColumns):
    """One vector per item and version, in the space of the models' vectors."""

    benchmark_id = Column(Integer, primary_key=True, autoincrement=False, comment="the benchmark")
    ordinal = Column(Integer, primary_key=True, autoincrement=False, comment="of items")
    version_id = Column(Integer, primary_key=True, autoincrement=False, comment="the version")
    vector: Named[Any] = Column(VECTOR(), nullable=False)


item_embeddings = Table(
    "item_embeddings",
    metadata,
    ItemVectorTable,
    postgresql_partition_by="LIST (version_id)",
)


class ChoiceTable(TypedColumns):
    """Settings that trainings which have not ended have chosen: one row an exam."""

    choice_key = Column(
        Text, primary_key=True, comment="digest of outcomes, texts, method, seed and device"
    )
    made_at: Named[datetime] = time("UTC")
    choice: Named[Any] = Column(JSONB, nullable=False, comment="settings, trials and metrics")


training_choices = Table("training_choices", metadata, ChoiceTable)


class ComparisonTable(TypedColumns):
    """One row per comparison of training methods on held-out data."""

    comparison_id = Column(Integer, Identity(always=True), primary_key=True)
    compared_at: Named[datetime] = time("UTC")
    data_fingerprint: Named[str] = Column(Text, comment="of the outcomes")
    settings: Named[Any] = Column(JSONB, nullable=False)
    seconds: Named[float] = Column(Double, comment="that it took")


training_comparisons = Table("training_comparisons", metadata, ComparisonTable)


class ResultTable(TypedColumns):
    """One row per figure of a comparison: over some seeds, with an interval."""

    comparison_id = Column(
        Integer, primary_key=True, autoincrement=False, comment="of training_comparisons"
    )
    split = Column(Text, primary_key=True, comment="which outcomes were held out")
    method = Column(Text, primary_key=True)
    metric = Column(Text, primary_key=True)
    mean: Named[float] = Column(Double, comment="over the seeds")
    lower: Named[float | None] = Column(Double, comment="end of the interval that holds 0.95")
    upper: Named[float | None] = Column(Double, comment="end of the interval that holds 0.95")
    seeds: Named[int] = Column(Integer, comment="number of trainings")


training_results = Table("training_results", metadata, ResultTable)
