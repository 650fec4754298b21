"""Keep how much of the vectors of a version the catalog does not explain.

Why: vectors are learned with what the catalog says of their models, so their distance from what the
catalog predicts understates the error of a prediction for a model without outcomes.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; versions of before have none and stay as they are."""
    op.add_column(
        "embedding_versions",
        sa.Column(
            "unexplained",
            postgresql.ARRAY(sa.REAL(), dimensions=2),
            nullable=True,
            comment="covariance of vectors about what the catalog predicts; "
            "null if independent of it",
        ),
        schema="store",
    )


def downgrade() -> None:
    """Drop it; vectors stay."""
    op.drop_column("embedding_versions", "unexplained", schema="store")
