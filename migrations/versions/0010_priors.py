"""Keep what places new models in a version, and of each placed vector which models it rests on.

Why: a sync brings a few hundred models an hour; to place them takes what was learned from the whole
catalog (how rare words are, the fitted prior), which is too much to learn again each time. What a
vector rests on is kept with it, since SQL cannot compute it.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table and add the columns."""
    op.create_table(
        "priors",
        sa.Column("version_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column(
            "newest_model_id",
            sa.BigInteger(),
            nullable=False,
            comment="greatest key of the catalog when it was last placed; later ones came since",
        ),
        sa.Column(
            "fitted",
            sa.LargeBinary(),
            nullable=False,
            comment="numpy's npz: rarity of words, features of trained models, coefficients",
        ),
        sa.ForeignKeyConstraint(
            ["version_id"],
            ["store.embedding_versions.version_id"],
            name=op.f("priors_version_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("version_id", name=op.f("priors_pkey")),
        schema="store",
    )
    op.add_column(
        "embeddings",
        sa.Column(
            "support",
            sa.REAL(),
            nullable=True,
            comment="share of its own likeness that trained models explain; null where trained",
        ),
        schema="store",
    )
    op.add_column(
        "embeddings",
        sa.Column(
            "near_ids",
            postgresql.ARRAY(sa.BigInteger()),
            nullable=True,
            comment="trained models that weigh most in the guess, the heaviest first",
        ),
        schema="store",
    )
    op.add_column(
        "embeddings",
        sa.Column(
            "near_weights", postgresql.ARRAY(sa.REAL()), nullable=True, comment="their weights"
        ),
        schema="store",
    )


def downgrade() -> None:
    """Drop them; vectors that were placed stay."""
    op.drop_column("embeddings", "near_weights", schema="store")
    op.drop_column("embeddings", "near_ids", schema="store")
    op.drop_column("embeddings", "support", schema="store")
    op.drop_table("priors", schema="store")
