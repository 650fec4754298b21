"""Tables of models, names, counters, documents, lineage, families and features."""

from datetime import datetime
from typing import Any

from pgvector.sqlalchemy import SPARSEVEC
from sqlalchemy import (
    REAL,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Double,
    ForeignKey,
    Identity,
    Index,
    Named,
    SmallInteger,
    Table,
    Text,
    TypedColumns,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, TSVECTOR

from registry.db.schema.base import lowered, metadata, model_key, one_of, texts, time, time_or_null
from registry.enums import FEATURE_DIMENSIONS, AliasSource, EdgeSource, ModelState, Relation


class ModelTable(TypedColumns):
    """One row per model; counters are apart, because they change daily and the rest hardly."""

    model_id = Column(BigInteger, Identity(always=True), primary_key=True)
    name: Named[str] = Column(Text, comment="the Hub's org/name, as it is now")
    hub_id: Named[str | None] = Column(Text, comment="the Hub's own key, kept through renames")
    author: Named[str | None] = Column(Text)
    state: Named[str] = Column(Text, comment="one of MODEL_STATES")
    sha: Named[str | None] = Column(Text, comment="commit of the main branch")
    created_at: Named[datetime | None] = time_or_null("on the Hub; never before 2022-03-02")
    last_modified: Named[datetime | None] = time_or_null("on the Hub")
    gated: Named[str | None] = Column(Text, comment="auto or manual; null where open")
    pipeline_tag: Named[str | None] = Column(Text, comment="task")
    library: Named[str | None] = Column(Text)
    license: Named[str | None] = Column(Text, comment="the Hub's identifier, lower case")
    license_name: Named[str | None] = Column(Text)
    license_link: Named[str | None] = Column(Text)
    languages: Named[list[str]] = texts("as the card states them")
    datasets: Named[list[str]] = texts("trained on, by card or tag")
    arxiv: Named[list[str]] = texts("arXiv ids, without version")
    tags: Named[list[str]] = texts("as the Hub lists them")
    architectures: Named[list[str]] = texts("of config.json")
    model_type: Named[str | None] = Column(Text, comment="of config.json")
    parameters: Named[int | None] = Column(BigInteger, comment="number of weights")
    parameters_source: Named[str | None] = Column(Text, comment="such as safetensors")
    dtypes: Named[Any] = Column(JSONB, nullable=True, comment="number of weights by data type")
    quantization: Named[str | None] = Column(Text, comment="method, such as gptq")
    new_version: Named[str | None] = Column(Text, comment="name of the successor the card names")
    unread: Named[list[str]] = texts("fields of the Hub's record that could not be read")
    digest: Named[int | None] = Column(
        BigInteger, comment="fingerprint of the record without its counters"
    )
    first_seen: Named[datetime] = time("when the registry first heard of it")
    changed_at: Named[datetime] = time("when the record last changed")
    gone_at: Named[datetime | None] = time_or_null("when it was found to be gone")
    popularity: Named[int] = Column(
        SmallInteger,
        server_default=text("0"),
        comment="floor(log10(downloads)), at most 4: searches look among the popular first",
    )
    search: Named[Any] = Column(
        TSVECTOR,
        nullable=True,
        comment="lexemes of name, tags, author, licence, size and popularity",
    )
    stored_parameters: Named[int | None] = Column(
        BigInteger,
        comment="number of stored weights, which packed formats count in fewer numbers",
    )
    license_source: Named[str | None] = Column(
        Text, comment="source of evaluations that states the licence; null: the Hub"
    )


models = Table(
    "models",
    metadata,
    ModelTable,
    UniqueConstraint("name"),
    CheckConstraint(one_of("state", ModelState), name="state"),
    Index("models_hub_id_idx", "hub_id", unique=True, postgresql_where=text("hub_id IS NOT NULL")),
    # Stubs are few: every new model is checked against their names.
    Index("models_stub_idx", lowered("name"), postgresql_where=text("state = 'stub'")),
    # Always empty: a trigger completes rows that are written without lexemes.
    Index("models_unsearchable_idx", "model_id", postgresql_where=text("search IS NULL")),
    Index("models_lower_name_idx", lowered("name"), postgresql_ops={"lowered": "text_pattern_ops"}),
    Index("models_author_idx", "author"),
    Index("models_last_modified_idx", "last_modified"),
    Index("models_created_at_idx", "created_at"),
    Index("models_tags_idx", "tags", postgresql_using="gin"),
    # One inverted index answers words, tags, author, licence and size together.
    Index("models_search_idx", "search", postgresql_using="gin"),
)


class VocabularyTable(TypedColumns):
    """Every lexeme of `models.search`; guides prefixes, spelling and where a search starts."""

    word = Column(Text(collation="C"), primary_key=True)
    models: Named[int] = Column(BigInteger, comment="number of models that have it")


search_vocabulary = Table(
    "search_vocabulary",
    metadata,
    VocabularyTable,
    # Only what may be a misspelt word: trigrams of numbers and of the marked lexemes say nothing.
    Index(
        "search_vocabulary_trigram_idx",
        "word",
        postgresql_using="gin",
        postgresql_ops={"word": "gin_trgm_ops"},
        postgresql_where=text("word ~ '^[^0-9#=]{3,30}$'"),
    ),
)


class AliasTable(TypedColumns):
    """Every name that a model has or had, besides its present one."""

    model_id = Column(
        BigInteger,
        ForeignKey("store.models.model_id", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
        comment="the model",
    )
    alias: Named[str] = Column(Text, primary_key=True)
    source: Named[str] = Column(Text, comment="one of ALIAS_SOURCES")
    confidence: Named[float] = Column(REAL)
    valid_from: Named[datetime | None] = time_or_null("when the name was first seen")
    valid_to: Named[datetime | None] = time_or_null("when the name ceased to be the present one")


model_aliases = Table(
    "model_aliases",
    metadata,
    AliasTable,
    CheckConstraint(one_of("source", AliasSource), name="source"),
    Index("model_aliases_alias_idx", "alias"),
    Index(
        "model_aliases_lower_alias_idx",
        lowered("alias"),
        postgresql_ops={"lowered": "text_pattern_ops"},
    ),
)


class CounterTable(TypedColumns):
    """The latest counters; narrow, because most models' downloads change every day."""

    model_id = model_key()
    downloads: Named[int | None] = Column(BigInteger, comment="last 30 days")
    downloads_all_time: Named[int | None] = Column(BigInteger)
    likes: Named[int | None] = Column(BigInteger)
    trending_score: Named[float | None] = Column(Double)


counters = Table(
    "counters",
    metadata,
    CounterTable,
    Index("counters_downloads_idx", text("downloads DESC NULLS LAST"), "model_id"),
    Index("counters_likes_idx", text("likes DESC NULLS LAST"), "model_id"),
    Index("counters_trending_score_idx", text("trending_score DESC NULLS LAST"), "model_id"),
)


class HistoryTable(TypedColumns):
    """The counters at each time at which one of them was seen to have changed."""

    model_id = model_key()
    observed_at = Column(DateTime(timezone=True), primary_key=True)
    downloads: Named[int | None] = Column(BigInteger)
    downloads_all_time: Named[int | None] = Column(BigInteger)
    likes: Named[int | None] = Column(BigInteger)
    trending_score: Named[float | None] = Column(Double)


model_history = Table(
    "model_history",
    metadata,
    HistoryTable,
    # Rows arrive in order of time: a block range index costs next to nothing and serves "since".
    Index("model_history_observed_at_idx", "observed_at", postgresql_using="brin"),
)


class DocumentTable(TypedColumns):
    """The raw card and configuration, apart from the columns that searches read."""

    model_id = model_key()
    card: Named[Any] = Column(JSONB, nullable=True, comment="front matter of the model card")
    config: Named[Any] = Column(JSONB, nullable=True, comment="what the Hub keeps of config.json")


documents = Table("documents", metadata, DocumentTable)


class EdgeTable(TypedColumns):
    """One statement that one model was made from another; several sources may state the same.

    Without foreign keys, as `base.model_key` says.
    """

    child_id = Column(BigInteger, primary_key=True, autoincrement=False, comment="the model")
    parent_id = Column(
        BigInteger, primary_key=True, autoincrement=False, comment="what it was made from"
    )
    relation = Column(Text, primary_key=True, comment="one of RELATIONS")
    source = Column(Text, primary_key=True, comment="one of EDGE_SOURCES")
    confidence: Named[float] = Column(REAL, comment="in (0, 1]")
    position: Named[int] = Column(SmallInteger, comment="place in the list it was read from")


edges = Table(
    "edges",
    metadata,
    EdgeTable,
    CheckConstraint(one_of("relation", Relation), name="relation"),
    CheckConstraint(one_of("source", EdgeSource), name="source"),
    CheckConstraint("confidence > 0 AND confidence <= 1", name="confidence"),
    Index("edges_parent_id_child_id_idx", "parent_id", "child_id"),
)


class PendingEdgeTable(TypedColumns):
    """Statements of parents, while the catalog is loaded for the first time."""

    child_id: Named[int] = Column(BigInteger)
    parent: Named[str] = Column(Text, comment="name, as the child has it")
    relation: Named[str] = Column(Text)
    source: Named[str] = Column(Text)
    confidence: Named[float] = Column(REAL)
    position: Named[int] = Column(SmallInteger)


pending_edges = Table("pending_edges", metadata, PendingEdgeTable)


class PendingRenameTable(TypedColumns):
    """Former names of parents, during the initial load."""

    former: Named[str] = Column(Text)
    present: Named[str] = Column(Text)


pending_renames = Table("pending_renames", metadata, PendingRenameTable)


class FamilyTable(TypedColumns):
    """A model's place in its family: the tree of first parents."""

    model_id = model_key()
    family_id: Named[int] = Column(BigInteger, comment="model_id of the family's root")
    primary_parent_id: Named[int | None] = Column(
        BigInteger, comment="the parent through which it belongs to the family"
    )
    generation: Named[int] = Column(SmallInteger, comment="steps from the root")
    in_cycle: Named[bool] = Column(
        Boolean, server_default=text("false"), comment="its first parents lead back to itself"
    )


model_families = Table(
    "model_families",
    metadata,
    FamilyTable,
    Index("model_families_family_id_idx", "family_id", "generation"),
    Index(
        "model_families_primary_parent_id_idx",
        "primary_parent_id",
        postgresql_where=text("primary_parent_id IS NOT NULL"),
    ),
)


class FeatureSetTable(TypedColumns):
    """A set of features that one or more models have, as a vector of length 1.

    Most models share theirs with others (411,000 sets for 1,000,000 generated models), so that
    what is nearest is looked for among sets and stays exact.
    """

    feature_set_id = Column(BigInteger, Identity(always=True), primary_key=True)
    fingerprint: Named[Any] = Column(Uuid, nullable=False, comment="md5 of the features")
    features: Named[Any] = Column(
        SPARSEVEC(FEATURE_DIMENSIONS),
        nullable=False,
        comment="L2-normalised; dimensions 1 to 18 are the size",
    )


feature_sets = Table(
    "feature_sets",
    metadata,
    FeatureSetTable,
    UniqueConstraint("fingerprint"),
)


class FeatureTable(TypedColumns):
    """Which set of features a model has; a model without known features has no row."""

    model_id = model_key()
    feature_set_id: Named[int] = Column(BigInteger, comment="of feature_sets")


model_features = Table(
    "model_features",
    metadata,
    FeatureTable,
    Index("model_features_feature_set_id_idx", "feature_set_id", "model_id"),
)


class WeightTable(TypedColumns):
    """Weight of each kind of evidence in the similarity of two models."""

    name = Column(Text, primary_key=True)
    weight: Named[float] = Column(Double, comment="in [0, 1]")
    description: Named[str] = Column(Text)


similarity_weights = Table(
    "similarity_weights",
    metadata,
    WeightTable,
    CheckConstraint("weight >= 0 AND weight <= 1", name="weight"),
)
