"""Count the models and scores that results of an analysis are of, beside those of its slice.

Why: captions said how many scores a slice has, of which a grouping may test a tenth. New columns
without a default cost nothing on a large catalog.
"""

import sqlalchemy as sa
from alembic import op

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns."""
    op.add_column(
        "analyses",
        sa.Column(
            "tested_models",
            sa.Integer(),
            nullable=True,
            comment="those that results are of; null before they were counted",
        ),
        schema="store",
    )
    op.add_column(
        "analyses",
        sa.Column("tested_scores", sa.Integer(), nullable=True, comment="likewise"),
        schema="store",
    )


def downgrade() -> None:
    """Drop them; analyses are computed again from scores."""
    op.drop_column("analyses", "tested_scores", schema="store")
    op.drop_column("analyses", "tested_models", schema="store")
