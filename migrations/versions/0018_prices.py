"""Add prices: models as providers offer them, and what each offer cost from when to when.

Why: which model should answer depends on what it costs, and what a run cost on its date.
"""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    _offers()
    _prices()


def downgrade() -> None:
    """Drop them; prices are imported again from their sources."""
    for table in ("prices", "price_offers"):
        op.drop_table(table, schema="store")


def _offers() -> None:
    op.create_table(
        "price_offers",
        sa.Column("offer_id", sa.Integer(), sa.Identity(always=True), nullable=False),
        sa.Column("source", sa.Text(), nullable=False, comment="list of prices, such as litellm"),
        sa.Column("provider", sa.Text(), nullable=False, comment="who sells it"),
        sa.Column("name", sa.Text(), nullable=False, comment="as the provider names the model"),
        sa.Column(
            "model_id",
            sa.BigInteger(),
            nullable=True,
            comment="the model; null where the name resolves to none",
        ),
        sa.Column(
            "method",
            sa.Text(),
            nullable=True,
            comment="one of OFFER_METHODS; null without a model",
        ),
        sa.Column(
            "seen_at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="last time that the source is known to state it; UTC",
        ),
        sa.Column(
            "confidence",
            sa.REAL(),
            nullable=True,
            comment="in (0, 1]; null without a model",
        ),
        sa.CheckConstraint(
            "method IN ('exact', 'alias', 'case', 'spelling', 'maker')",
            name=op.f("price_offers_method_check"),
        ),
        sa.CheckConstraint(
            "(model_id IS NULL) = (method IS NULL)", name=op.f("price_offers_resolved_check")
        ),
        sa.PrimaryKeyConstraint("offer_id", name=op.f("price_offers_pkey")),
        sa.UniqueConstraint(
            "source", "provider", "name", name=op.f("price_offers_source_provider_name_key")
        ),
        schema="store",
    )
    op.create_index("price_offers_model_id_idx", "price_offers", ["model_id"], schema="store")
    op.create_index(
        "price_offers_lowered_idx",
        "price_offers",
        [sa.literal_column("lower(name)")],
        schema="store",
    )


def _prices() -> None:
    op.create_table(
        "prices",
        sa.Column("offer_id", sa.Integer(), nullable=False, comment="of price_offers"),
        sa.Column("valid_from", sa.DateTime(timezone=True), nullable=False, comment="UTC"),
        sa.Column(
            "valid_to",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="when the next row of the offer begins; UTC",
        ),
        sa.Column(
            "input_per_million",
            sa.Double(),
            nullable=True,
            comment="of a million input tokens; null where withdrawn",
        ),
        sa.Column(
            "output_per_million",
            sa.Double(),
            nullable=True,
            comment="of a million output tokens; null where withdrawn",
        ),
        sa.Column(
            "cached_input_per_million",
            sa.Double(),
            nullable=True,
            comment="of a million input tokens that are read from the provider's cache",
        ),
        sa.Column(
            "context",
            sa.BigInteger(),
            nullable=True,
            comment="tokens of input and output, at most",
        ),
        sa.Column("currency", sa.Text(), nullable=False, comment="code of ISO 4217"),
        sa.Column(
            "tiered",
            sa.Boolean(),
            nullable=False,
            comment="whether prompts above some length, or at some hours, cost otherwise",
        ),
        sa.CheckConstraint(
            "(input_per_million IS NULL) = (output_per_million IS NULL)",
            name=op.f("prices_both_prices_check"),
        ),
        sa.CheckConstraint(
            "input_per_million >= 0 AND output_per_million >= 0 AND input_per_million < 'Infinity'"
            " AND output_per_million < 'Infinity'",
            name=op.f("prices_prices_check"),
        ),
        sa.CheckConstraint("valid_to > valid_from", name=op.f("prices_valid_check")),
        sa.ForeignKeyConstraint(
            ["offer_id"],
            ["store.price_offers.offer_id"],
            name=op.f("prices_offer_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("offer_id", "valid_from", name=op.f("prices_pkey")),
        schema="store",
    )
    op.create_index(
        "prices_current_idx",
        "prices",
        ["offer_id"],
        schema="store",
        postgresql_where=sa.text("valid_to IS NULL"),
    )
