"""Tables of evaluations of routers, and of routers' decisions."""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    REAL,
    BigInteger,
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
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from registry.db.schema.base import metadata, time, time_or_null


class RoutingEvaluationTable(TypedColumns):
    """One row per evaluation of routers on held-out items of stored outcomes."""

    evaluation_id = Column(Integer, Identity(always=True), primary_key=True)
    evaluated_at: Named[datetime] = time("UTC")
    data_fingerprint: Named[str] = Column(
        Text, comment="of outcomes, vectors, groups, costs and answers"
    )
    code_version: Named[str] = Column(Text, comment="of the registry")
    seed: Named[int] = Column(BigInteger, comment="of the first split; the others count on")
    seeds: Named[int] = Column(Integer, comment="number of splits of each kind")
    seconds: Named[float] = Column(Double, comment="that it took")
    settings: Named[Any] = Column(JSONB, nullable=False)
    details: Named[Any] = Column(
        JSONB,
        nullable=False,
        comment="by split and router: curves, picks, confusions, pick rates",
    )


routing_evaluations = Table(
    "routing_evaluations",
    metadata,
    RoutingEvaluationTable,
    Index("routing_evaluations_data_fingerprint_idx", "data_fingerprint"),
)


class RoutingResultTable(TypedColumns):
    """One row per metric of a router in an evaluation."""

    evaluation_id = Column(
        Integer,
        ForeignKey("store.routing_evaluations.evaluation_id", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
        comment="of routing_evaluations",
    )
    split = Column(Text, primary_key=True, comment="what was held out: item, subject or benchmark")
    router = Column(Text, primary_key=True, comment="router, baseline, oracle or single model")
    metric = Column(Text, primary_key=True)
    value: Named[float] = Column(Double)
    lower: Named[float | None] = Column(Double, comment="end of the interval that holds 0.95")
    upper: Named[float | None] = Column(Double, comment="its other end")
    n: Named[int] = Column(Integer, comment="held-out prompts, those of all splits")


routing_results = Table("routing_results", metadata, RoutingResultTable)


class RouteDecisionTable(TypedColumns):
    """One row per logged decision of a router."""

    decision_id = Column(BigInteger, Identity(always=True), primary_key=True)
    decided_at: Named[datetime] = time("UTC")
    model_id: Named[int] = Column(BigInteger, comment="the model that was chosen")
    name: Named[str] = Column(Text, comment="of the model then")
    router: Named[str] = Column(Text)
    version: Named[int | None] = Column(Integer, comment="of embeddings; null where none is used")
    prompt_hash: Named[str] = Column(Text, comment="SHA-256 of the prompt in UTF-8, as hex")
    prompt: Named[str | None] = Column(Text, comment="its text; null where it was not asked for")
    probability: Named[float | None] = Column(REAL, comment="that the answer is right, as stated")
    expected_cost: Named[float | None] = Column(Double, comment="dollars; null where unknown")
    alternatives: Named[Any] = Column(
        JSONB,
        nullable=False,
        server_default=text("'[]'"),
        comment="the models offered, best first: model, probability, cost",
    )
    outcome: Named[float | None] = Column(REAL, comment="in [0, 1], as fed back; null: not yet")
    outcome_at: Named[datetime | None] = time_or_null("when it was fed back; UTC")


route_decisions = Table(
    "route_decisions",
    metadata,
    RouteDecisionTable,
    Index("route_decisions_decided_at_idx", "decided_at"),
    Index("route_decisions_prompt_hash_idx", "prompt_hash"),
    Index("route_decisions_model_id_idx", "model_id", postgresql_where=text("outcome IS NOT NULL")),
)
