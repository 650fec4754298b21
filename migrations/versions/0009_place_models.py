"""Keep when models that a version was not trained on got vectors in it, and by what likeness.

Why: the weights of what makes models alike are learned once a version; the next models are placed
with the same ones, so that vectors of one version stay comparable and placing takes seconds.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns."""
    op.add_column(
        "embedding_versions",
        sa.Column(
            "placed_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="last time that models it was not trained on got vectors; UTC",
        ),
        schema="store",
    )
    op.add_column(
        "embedding_versions",
        sa.Column(
            "likeness",
            postgresql.JSONB(),
            nullable=True,
            comment="weights of what makes models alike; null before placing",
        ),
        schema="store",
    )


def downgrade() -> None:
    """Drop them; vectors that were placed stay."""
    op.drop_column("embedding_versions", "likeness", schema="store")
    op.drop_column("embedding_versions", "placed_at", schema="store")
