"""Tables of domains of prompts: their sets, classifiers, scores of models in them, and experts."""

from datetime import datetime
from typing import Any

from pgvector.sqlalchemy import VECTOR
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    LargeBinary,
    Named,
    SmallInteger,
    Table,
    Text,
    TypedColumns,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from registry.db.schema.base import metadata, model_key, time


class DomainSetTable(TypedColumns):
    """One row per set of domains."""

    set_id = Column(Integer, Identity(always=True), primary_key=True)
    name: Named[str] = Column(Text)
    description: Named[str | None] = Column(Text)
    source: Named[str] = Column(Text, comment="registry for a shipped set, else user")


domain_sets = Table("domain_sets", metadata, DomainSetTable, UniqueConstraint("name"))


def _set_key() -> Column[int]:
    return Column(
        Integer,
        ForeignKey("store.domain_sets.set_id", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
        comment="the set",
    )


class DomainTable(TypedColumns):
    """One row per domain of a set."""

    set_id = _set_key()
    domain = Column(SmallInteger, primary_key=True, autoincrement=False, comment="from 0")
    name: Named[str] = Column(Text)
    fallback: Named[bool] = Column(
        Boolean,
        server_default=text("false"),
        comment="whether its prompts go to the best general model; of one at most",
    )


domains = Table(
    "domains",
    metadata,
    DomainTable,
    UniqueConstraint("set_id", "name"),
    Index("domains_fallback_idx", "set_id", unique=True, postgresql_where=text("fallback")),
)


def _of_domains() -> ForeignKeyConstraint:
    return ForeignKeyConstraint(
        ["set_id", "domain"],
        ["store.domains.set_id", "store.domains.domain"],
        ondelete="CASCADE",
    )


class DomainSubjectTable(TypedColumns):
    """Which subject of which benchmark is of which domain."""

    set_id = Column(Integer, primary_key=True, autoincrement=False, comment="the set")
    benchmark = Column(Text, primary_key=True, comment="canonical name; empty for any benchmark")
    subject = Column(Text, primary_key=True, comment="empty for all that no other row names")
    domain: Named[int] = Column(SmallInteger, comment="of domains")


domain_subjects = Table("domain_subjects", metadata, DomainSubjectTable, _of_domains())


class DomainClassifierTable(TypedColumns):
    """The classifier of a set: how it was trained, and what calibrates it."""

    set_id = _set_key()
    encoder: Named[str] = Column(Text, comment="of the prompts' vectors")
    dimension: Named[int] = Column(Integer, comment="of a prompt's vector")
    trained_at: Named[datetime] = time("UTC")
    item_count: Named[int] = Column(Integer, comment="items that it was trained on")
    sharpness: Named[float] = Column(Double, comment="factor on scores by the vector alone")
    vector_weight: Named[float] = Column(Double, comment="of those scores beside words")
    word_weight: Named[float] = Column(Double, comment="of the evidence of words")
    least_energy: Named[float] = Column(
        Double, comment="below which a prompt is like none of the training"
    )
    least_probability: Named[float] = Column(
        Double, comment="of the likeliest domain, below which it is not relied on"
    )
    words: Named[Any] = Column(
        LargeBinary, nullable=False, comment="numpy's npz: evidence of hashed words, float16"
    )
    metrics: Named[Any] = Column(JSONB, nullable=False, comment="figures on items left out")
    settings: Named[Any] = Column(JSONB, nullable=False, comment="how it was trained")


domain_classifiers = Table("domain_classifiers", metadata, DomainClassifierTable)


class DomainVectorTable(TypedColumns):
    """Vectors of domains: a few each, whose log-sum-exp with a prompt is the domain's score."""

    set_id = Column(Integer, primary_key=True, autoincrement=False, comment="the set")
    part = Column(SmallInteger, primary_key=True, autoincrement=False, comment="from 0")
    domain: Named[int] = Column(SmallInteger, comment="of domains")
    vector: Named[Any] = Column(VECTOR(), nullable=False, comment="its last entry is the constant")


domain_vectors = Table("domain_vectors", metadata, DomainVectorTable, _of_domains())


class DomainScoreTable(TypedColumns):
    """Score of each model in each domain that it was observed in."""

    model_id = model_key()
    set_id = _set_key()
    domain = Column(
        SmallInteger,
        primary_key=True,
        autoincrement=False,
        comment="of domains; -1 for all of them",
    )
    item_count: Named[int] = Column(Integer, comment="items that it was observed on")
    score: Named[float] = Column(Double, comment="in [0, 1]")
    standard_error: Named[float] = Column(Double, comment="of the score")
    residual_error: Named[float] = Column(
        Double, comment="likewise, without what makes items easy or hard for all models"
    )


domain_scores = Table("domain_scores", metadata, DomainScoreTable)


class DomainExpertTable(TypedColumns):
    """Experts that people state; others are chosen by scores."""

    set_id = Column(Integer, primary_key=True, autoincrement=False, comment="the set")
    domain = Column(SmallInteger, primary_key=True, autoincrement=False, comment="of domains")
    max_parameters = Column(
        BigInteger,
        primary_key=True,
        autoincrement=False,
        comment="of the size tier that it is for; the greatest number for any size",
    )
    model_id: Named[int] = Column(BigInteger, comment="the expert")


domain_experts = Table("domain_experts", metadata, DomainExpertTable, _of_domains())
