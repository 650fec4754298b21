"""Tables of prices: models as providers offer them, and what each offer cost from when to when."""

from datetime import datetime

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
    Integer,
    Named,
    Table,
    Text,
    TypedColumns,
    UniqueConstraint,
    literal_column,
    text,
)

from registry.db.schema.base import metadata, one_of, time, time_or_null
from registry.enums import OfferMethod


class PriceOfferTable(TypedColumns):
    """One row per model as a provider offers it, and source that lists its price."""

    offer_id = Column(Integer, Identity(always=True), primary_key=True)
    source: Named[str] = Column(Text, comment="list of prices, such as litellm")
    provider: Named[str] = Column(Text, comment="who sells it")
    name: Named[str] = Column(Text, comment="as the provider names the model")
    model_id: Named[int | None] = Column(
        BigInteger, comment="the model; null where the name resolves to none"
    )
    method: Named[str | None] = Column(Text, comment="one of OFFER_METHODS; null without a model")
    seen_at: Named[datetime] = time("last time that the source is known to state it; UTC")
    confidence: Named[float | None] = Column(REAL, comment="in (0, 1]; null without a model")


price_offers = Table(
    "price_offers",
    metadata,
    PriceOfferTable,
    UniqueConstraint("source", "provider", "name"),
    CheckConstraint(one_of("method", OfferMethod), name="method"),
    CheckConstraint("(model_id IS NULL) = (method IS NULL)", name="resolved"),
    Index("price_offers_model_id_idx", "model_id"),
    Index("price_offers_lowered_idx", literal_column("lower(name)", Text).label("lowered")),
)


class PriceTable(TypedColumns):
    """One row per change of an offer: its price from then on, or that it was withdrawn."""

    offer_id = Column(
        Integer,
        ForeignKey("store.price_offers.offer_id", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
        comment="of price_offers",
    )
    valid_from = Column(DateTime(timezone=True), primary_key=True, comment="UTC")
    valid_to: Named[datetime | None] = time_or_null("when the next row of the offer begins; UTC")
    input_per_million: Named[float | None] = Column(
        Double, comment="of a million input tokens; null where withdrawn"
    )
    output_per_million: Named[float | None] = Column(
        Double, comment="of a million output tokens; null where withdrawn"
    )
    cached_input_per_million: Named[float | None] = Column(
        Double, comment="of a million input tokens that are read from the provider's cache"
    )
    context: Named[int | None] = Column(BigInteger, comment="tokens of input and output, at most")
    currency: Named[str] = Column(Text, comment="code of ISO 4217")
    tiered: Named[bool] = Column(
        Boolean, comment="whether prompts above some length, or at some hours, cost otherwise"
    )


prices = Table(
    "prices",
    metadata,
    PriceTable,
    CheckConstraint(
        "(input_per_million IS NULL) = (output_per_million IS NULL)", name="both_prices"
    ),
    CheckConstraint(
        "input_per_million >= 0 AND output_per_million >= 0 AND input_per_million < 'Infinity'"
        " AND output_per_million < 'Infinity'",
        name="prices",
    ),
    CheckConstraint("valid_to > valid_from", name="valid"),
    Index("prices_current_idx", "offer_id", postgresql_where=text("valid_to IS NULL")),
)
