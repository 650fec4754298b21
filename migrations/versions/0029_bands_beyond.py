"""Add to scaling curves how far larger models are from them, which bands beyond now know.

Why: bands that take curves to go on as they were held three of four larger models. A new column
that is null in earlier analyses costs nothing.
"""

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column."""
    op.add_column(
        "scaling_fits",
        sa.Column(
            "drift",
            sa.Double(),
            nullable=True,
            comment="deviation of larger models from curves, by factor of ten",
        ),
        schema="store",
    )


def downgrade() -> None:
    """Drop it."""
    op.drop_column("scaling_fits", "drift", schema="store")
