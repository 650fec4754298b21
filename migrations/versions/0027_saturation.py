"""Add the saturation of benchmarks over time to stored analyses.

Why: which benchmarks still tell models apart, and since when they do not, is to be queried. A new
table costs nothing on a large catalog.
"""

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "saturation_results",
        sa.Column(
            "analysis_id", sa.Integer(), autoincrement=False, nullable=False, comment="of analyses"
        ),
        sa.Column("benchmark", sa.Text(), nullable=False, comment="canonical name"),
        sa.Column(
            "version",
            sa.Text(),
            nullable=False,
            comment="of the benchmark; empty where none is stated",
        ),
        sa.Column("period", sa.Text(), nullable=False, comment="all models is the row of all"),
        sa.Column("position", sa.Integer(), nullable=False, comment="in the order of time"),
        sa.Column("n", sa.Integer(), nullable=False, comment="models of the period"),
        sa.Column("models", sa.Integer(), nullable=False, comment="of it and all before"),
        sa.Column("median", sa.Double(), nullable=False, comment="of the period"),
        sa.Column("lower_quartile", sa.Double(), nullable=False, comment="of the period"),
        sa.Column("upper_quartile", sa.Double(), nullable=False, comment="of the period"),
        sa.Column("deviation", sa.Double(), nullable=True, comment="standard, of the period"),
        sa.Column("best", sa.Double(), nullable=False, comment="score so far"),
        sa.Column("best_model", sa.Text(), nullable=False, comment="its name then"),
        sa.Column("headroom", sa.Double(), nullable=False, comment="from the best score to 1"),
        sa.Column(
            "noise", sa.Double(), nullable=True, comment="half the interval of the best score"
        ),
        sa.Column(
            "near_best",
            sa.Double(),
            nullable=True,
            comment="share of models so far that are not told apart from the best",
        ),
        sa.Column(
            "pairs", sa.Integer(), nullable=False, comment="of the ten best models, compared"
        ),
        sa.Column(
            "separated", sa.Double(), nullable=True, comment="share of them that are told apart"
        ),
        sa.Column("paired", sa.Boolean(), nullable=False, comment="compared on shared items"),
        sa.Column(
            "verdict",
            sa.Text(),
            nullable=False,
            comment="separates, separates little, saturated or unknown",
        ),
        sa.ForeignKeyConstraint(
            ["analysis_id"],
            ["store.analyses.analysis_id"],
            name=op.f("saturation_results_analysis_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint(
            "analysis_id", "benchmark", "version", "period", name=op.f("saturation_results_pkey")
        ),
        schema="store",
    )


def downgrade() -> None:
    """Drop it; analyses are computed again from scores."""
    op.drop_table("saturation_results", schema="store")
