"""Keep variances of vectors along axes of their version, and what predicts items from their texts.

Why: one standard deviation for all coordinates makes intervals of outcomes and scores that hold far
fewer of them than they state.
"""

import pgvector.sqlalchemy
import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

OF_VERSIONS = {
    "axes": (
        postgresql.ARRAY(pgvector.sqlalchemy.vector.VECTOR()),
        "along which errors of vectors are uncorrelated; null where models have no variances",
    ),
    "item_variance": (sa.REAL(), "of a logit, apart from the model's; null where unknown"),
    "text_map": (
        postgresql.ARRAY(pgvector.sqlalchemy.vector.VECTOR()),
        "weights of an item's entries, and of its offset, on its text's vector and 1",
    ),
    "text_residual": (
        postgresql.ARRAY(pgvector.sqlalchemy.vector.VECTOR()),
        "rows whose outer products add up to the covariance of items about text_map",
    ),
    "text_spread": (
        pgvector.sqlalchemy.vector.VECTOR(),
        "variance of items about text_map along each axis",
    ),
}


def upgrade() -> None:
    """Add the columns; versions of before have none, and their intervals are marked as weak."""
    for name, (kind, comment) in OF_VERSIONS.items():
        column: sa.Column[object] = sa.Column(name, kind, nullable=True, comment=comment)
        op.add_column("embedding_versions", column, schema="store")
    op.add_column(
        "embeddings",
        sa.Column(
            "variances",
            pgvector.sqlalchemy.halfvec.HALFVEC(),
            nullable=True,
            comment="along the axes of the version; null where unknown",
        ),
        schema="store",
    )


def downgrade() -> None:
    """Drop them; vectors and the single number of each stay."""
    op.drop_column("embeddings", "variances", schema="store")
    for name in reversed(OF_VERSIONS):
        op.drop_column("embedding_versions", name, schema="store")
