"""Create lineage: what each model was made from, and the families that follow from it.

Why: an edge keeps its source and confidence, because tags, cards and merge configurations disagree.
A family id is kept per model: walking a large family on each question takes seconds.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "edges",
        sa.Column("child_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("parent_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("relation", sa.Text(), nullable=False, comment="one of RELATIONS"),
        sa.Column("source", sa.Text(), nullable=False, comment="one of EDGE_SOURCES"),
        sa.Column("confidence", sa.REAL(), nullable=False, comment="in (0, 1]"),
        sa.Column(
            "position",
            sa.SmallInteger(),
            nullable=False,
            comment="place in the list it was read from",
        ),
        sa.CheckConstraint(
            "relation IN ('finetune', 'adapter', 'merge', 'quantized', 'base_unknown')",
            name=op.f("edges_relation_check"),
        ),
        sa.CheckConstraint(
            "source IN ('tag', 'card', 'merge_config')", name=op.f("edges_source_check")
        ),
        sa.CheckConstraint(
            "confidence > 0 AND confidence <= 1", name=op.f("edges_confidence_check")
        ),
        sa.ForeignKeyConstraint(
            ["child_id"],
            ["store.models.model_id"],
            name=op.f("edges_child_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["parent_id"],
            ["store.models.model_id"],
            name=op.f("edges_parent_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint(
            "child_id", "parent_id", "relation", "source", name=op.f("edges_pkey")
        ),
        schema="store",
    )
    op.create_index(
        "edges_parent_id_child_id_idx",
        "edges",
        ["parent_id", "child_id"],
        unique=False,
        schema="store",
    )
    op.create_table(
        "model_families",
        sa.Column(
            "model_id", sa.BigInteger(), autoincrement=False, nullable=False, comment="the model"
        ),
        sa.Column(
            "family_id", sa.BigInteger(), nullable=False, comment="model_id of the family's root"
        ),
        sa.Column(
            "primary_parent_id",
            sa.BigInteger(),
            nullable=True,
            comment="the parent through which it belongs to the family",
        ),
        sa.Column("generation", sa.SmallInteger(), nullable=False, comment="steps from the root"),
        sa.Column(
            "in_cycle",
            sa.Boolean(),
            server_default=sa.text("false"),
            nullable=False,
            comment="its first parents lead back to itself",
        ),
        sa.PrimaryKeyConstraint("model_id", name=op.f("model_families_pkey")),
        schema="store",
    )
    op.create_index(
        "model_families_family_id_idx",
        "model_families",
        ["family_id", "generation"],
        unique=False,
        schema="store",
    )
    op.create_index(
        "model_families_primary_parent_id_idx",
        "model_families",
        ["primary_parent_id"],
        unique=False,
        schema="store",
        postgresql_where=sa.text("primary_parent_id IS NOT NULL"),
    )


def downgrade() -> None:
    """Drop them."""
    op.drop_table("model_families", schema="store")
    op.drop_table("edges", schema="store")
