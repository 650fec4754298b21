"""Add to scaling curves how well a slope that all groups share predicts larger models.

Why: curves through a few small models of one series predict larger ones worse. Two new columns that
are null in earlier analyses cost nothing.
"""

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns."""
    for name, comment in (
        ("shared_error", "likewise, of a curve with the slope of all groups"),
        ("shared_covered", "likewise, by its intervals"),
    ):
        op.add_column(
            "scaling_fits",
            sa.Column(name, sa.Double(), nullable=True, comment=comment),
            schema="store",
        )


def downgrade() -> None:
    """Drop them."""
    for name in ("shared_covered", "shared_error"):
        op.drop_column("scaling_fits", name, schema="store")
