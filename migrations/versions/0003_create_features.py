"""Create features and the weights of similarity.

Why: one sparse vector a model; what each relation weighs is configuration (SimRMF, appendix A).
"""

import pgvector.sqlalchemy
import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

weights = sa.table(
    "similarity_weights",
    sa.column("name", sa.Text),
    sa.column("weight", sa.Double),
    sa.column("description", sa.Text),
    schema="store",
)

WEIGHTS = [
    {"name": name, "weight": weight, "description": description}
    for name, weight, description in (
        ("alpha", 0.5, "share of features in the combined similarity; the rest is lineage"),
        (
            "parent_child",
            0.8,
            "one was made from the other by fine-tuning, an adapter or quantizing",
        ),
        ("same_base", 0.6, "both were made from the same model"),
        ("merge_source", 0.7, "one is a source of the other, a merge"),
        ("shared_merge_source", 0.5, "both are merges and share a source"),
    )
]


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "model_features",
        sa.Column(
            "model_id", sa.BigInteger(), autoincrement=False, nullable=False, comment="the model"
        ),
        sa.Column(
            "features",
            pgvector.sqlalchemy.sparsevec.SPARSEVEC(dim=16777216),
            nullable=False,
            comment="L2-normalised",
        ),
        sa.ForeignKeyConstraint(
            ["model_id"],
            ["store.models.model_id"],
            name=op.f("model_features_model_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("model_id", name=op.f("model_features_pkey")),
        schema="store",
    )
    op.create_table(
        "similarity_weights",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("weight", sa.Double(), nullable=False, comment="in [0, 1]"),
        sa.Column("description", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "weight >= 0 AND weight <= 1", name=op.f("similarity_weights_weight_check")
        ),
        sa.PrimaryKeyConstraint("name", name=op.f("similarity_weights_pkey")),
        schema="store",
    )
    # ### end Alembic commands ###
    op.bulk_insert(weights, WEIGHTS)


def downgrade() -> None:
    """Drop them."""
    op.drop_table("similarity_weights", schema="store")
    op.drop_table("model_features", schema="store")
