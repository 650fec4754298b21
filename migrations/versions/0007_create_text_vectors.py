"""Create what keeps the vectors of texts: encoders, and a vector a text.

Why: encoding a benchmark takes minutes, its vectors are read in a second. They are halfvec, which
loses nothing that matters of a cosine and takes half the space, and have no index: they are read
whole, to train on and to search in.
"""

import pgvector.sqlalchemy
import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "encoders",
        sa.Column("encoder_id", sa.Integer(), sa.Identity(always=True), nullable=False),
        sa.Column("name", sa.Text(), nullable=False, comment="as it is opened by"),
        sa.Column(
            "dimension", sa.Integer(), nullable=False, comment="length of each of its vectors"
        ),
        sa.PrimaryKeyConstraint("encoder_id", name=op.f("encoders_pkey")),
        sa.UniqueConstraint("name", name=op.f("encoders_name_key")),
        schema="store",
    )
    op.create_table(
        "text_vectors",
        sa.Column("encoder_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column(
            "content_hash",
            sa.Uuid(),
            nullable=False,
            comment="of items: of their prompt and choices",
        ),
        sa.Column(
            "vector",
            pgvector.sqlalchemy.halfvec.HALFVEC(),
            nullable=False,
            comment="of the encoder's dimension, of length 1 or 0",
        ),
        sa.ForeignKeyConstraint(
            ["encoder_id"],
            ["store.encoders.encoder_id"],
            name=op.f("text_vectors_encoder_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("encoder_id", "content_hash", name=op.f("text_vectors_pkey")),
        schema="store",
    )


def downgrade() -> None:
    """Drop them."""
    op.drop_table("text_vectors", schema="store")
    op.drop_table("encoders", schema="store")
