"""Add ratings of models by preferences to stored analyses.

Why: ratings were computed anew at each call and could not be queried. A new table costs nothing on
a large catalog.
"""

import sqlalchemy as sa
from alembic import op

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "preference_ratings",
        sa.Column(
            "analysis_id", sa.Integer(), autoincrement=False, nullable=False, comment="of analyses"
        ),
        sa.Column("model", sa.Text(), nullable=False, comment="its name then"),
        sa.Column(
            "rating", sa.Double(), nullable=True, comment="on Elo's scale; null where it has none"
        ),
        sa.Column("lower", sa.Double(), nullable=True, comment="end of its interval"),
        sa.Column("upper", sa.Double(), nullable=True, comment="its other end"),
        sa.Column("rank", sa.Integer(), nullable=True, comment="from 1; null without a rating"),
        sa.Column("best_rank", sa.Integer(), nullable=True, comment="that the intervals allow"),
        sa.Column("worst_rank", sa.Integer(), nullable=True, comment="likewise"),
        sa.Column("wins", sa.Integer(), nullable=False, comment="of comparisons on an item"),
        sa.Column("ties", sa.Integer(), nullable=False, comment="equal outcomes"),
        sa.Column("losses", sa.Integer(), nullable=False),
        sa.Column("items", sa.Integer(), nullable=False, comment="shared with another model"),
        sa.Column("unrated", sa.Text(), nullable=True, comment="why it has no rating"),
        sa.ForeignKeyConstraint(
            ["analysis_id"],
            ["store.analyses.analysis_id"],
            name=op.f("preference_ratings_analysis_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("analysis_id", "model", name=op.f("preference_ratings_pkey")),
        schema="store",
    )


def downgrade() -> None:
    """Drop it; ratings are computed again from outcomes."""
    op.drop_table("preference_ratings", schema="store")
