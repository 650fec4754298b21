"""Add evaluations of routers, and a log of their decisions.

Why: whether a router helps shows on held-out items, and later in what became of its decisions.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    _evaluations()
    _results()
    _decisions()


def downgrade() -> None:
    """Drop them; evaluations are computed again from outcomes, decisions are lost."""
    for table in ("route_decisions", "routing_results", "routing_evaluations"):
        op.drop_table(table, schema="store")


def _evaluations() -> None:
    op.create_table(
        "routing_evaluations",
        sa.Column("evaluation_id", sa.Integer(), sa.Identity(always=True), nullable=False),
        sa.Column("evaluated_at", sa.DateTime(timezone=True), nullable=False, comment="UTC"),
        sa.Column(
            "data_fingerprint",
            sa.Text(),
            nullable=False,
            comment="of outcomes, vectors, groups, costs and answers",
        ),
        sa.Column("code_version", sa.Text(), nullable=False, comment="of the registry"),
        sa.Column(
            "seed",
            sa.BigInteger(),
            nullable=False,
            comment="of the first split; the others count on",
        ),
        sa.Column("seeds", sa.Integer(), nullable=False, comment="number of splits of each kind"),
        sa.Column("seconds", sa.Double(), nullable=False, comment="that it took"),
        sa.Column("settings", postgresql.JSONB(), nullable=False),
        sa.Column(
            "details",
            postgresql.JSONB(),
            nullable=False,
            comment="by split and router: curves, picks, confusions, pick rates",
        ),
        sa.PrimaryKeyConstraint("evaluation_id", name=op.f("routing_evaluations_pkey")),
        schema="store",
    )
    op.create_index(
        "routing_evaluations_data_fingerprint_idx",
        "routing_evaluations",
        ["data_fingerprint"],
        schema="store",
    )


def _results() -> None:
    op.create_table(
        "routing_results",
        sa.Column(
            "evaluation_id",
            sa.Integer(),
            autoincrement=False,
            nullable=False,
            comment="of routing_evaluations",
        ),
        sa.Column(
            "split",
            sa.Text(),
            nullable=False,
            comment="what was held out: item, subject or benchmark",
        ),
        sa.Column(
            "router",
            sa.Text(),
            nullable=False,
            comment="router, baseline, oracle or single model",
        ),
        sa.Column("metric", sa.Text(), nullable=False),
        sa.Column("value", sa.Double(), nullable=False),
        sa.Column(
            "lower",
            sa.Double(),
            nullable=True,
            comment="end of the interval that holds 0.95",
        ),
        sa.Column("upper", sa.Double(), nullable=True, comment="its other end"),
        sa.Column(
            "n", sa.Integer(), nullable=False, comment="held-out prompts, those of all splits"
        ),
        sa.ForeignKeyConstraint(
            ["evaluation_id"],
            ["store.routing_evaluations.evaluation_id"],
            name=op.f("routing_results_evaluation_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint(
            "evaluation_id", "split", "router", "metric", name=op.f("routing_results_pkey")
        ),
        schema="store",
    )


def _decisions() -> None:
    op.create_table(
        "route_decisions",
        sa.Column("decision_id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=False, comment="UTC"),
        sa.Column("model_id", sa.BigInteger(), nullable=False, comment="the model that was chosen"),
        sa.Column("name", sa.Text(), nullable=False, comment="of the model then"),
        sa.Column("router", sa.Text(), nullable=False),
        sa.Column(
            "version",
            sa.Integer(),
            nullable=True,
            comment="of embeddings; null where none is used",
        ),
        sa.Column(
            "prompt_hash",
            sa.Text(),
            nullable=False,
            comment="SHA-256 of the prompt in UTF-8, as hex",
        ),
        sa.Column(
            "prompt",
            sa.Text(),
            nullable=True,
            comment="its text; null where it was not asked for",
        ),
        sa.Column(
            "probability",
            sa.REAL(),
            nullable=True,
            comment="that the answer is right, as stated",
        ),
        sa.Column(
            "expected_cost",
            sa.Double(),
            nullable=True,
            comment="dollars; null where unknown",
        ),
        sa.Column(
            "alternatives",
            postgresql.JSONB(),
            nullable=False,
            server_default=sa.text("'[]'"),
            comment="the models offered, best first: model, probability, cost",
        ),
        sa.Column(
            "outcome",
            sa.REAL(),
            nullable=True,
            comment="in [0, 1], as fed back; null: not yet",
        ),
        sa.Column(
            "outcome_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="when it was fed back; UTC",
        ),
        sa.PrimaryKeyConstraint("decision_id", name=op.f("route_decisions_pkey")),
        schema="store",
    )
    for name, where in (("decided_at", None), ("prompt_hash", None),
                        ("model_id", sa.text("outcome IS NOT NULL"))):  # fmt: skip
        op.create_index(
            f"route_decisions_{name}_idx",
            "route_decisions",
            [name],
            schema="store",
            postgresql_where=where,
        )
