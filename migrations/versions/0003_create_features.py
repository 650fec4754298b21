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
        ("feature", 0.5, "share of features in the combined similarity; the rest is lineage"),
        ("parent", 0.8, "one was made from the other by fine-tuning, an adapter or quantizing"),
        ("base", 0.6, "both were made from the same model"),
        ("merge", 0.7, "one is a source of the other, a merge"),
        ("shared_merge", 0.5, "as base, but at least one of them merged that model with others"),
    )
]


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "feature_sets",
        sa.Column("feature_set_id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("fingerprint", sa.Uuid(), nullable=False, comment="md5 of the features"),
        sa.Column(
            "features",
            pgvector.sqlalchemy.sparsevec.SPARSEVEC(dim=16777216),
            nullable=False,
            comment="L2-normalised; dimension 1 is the size",
        ),
        sa.PrimaryKeyConstraint("feature_set_id", name=op.f("feature_sets_pkey")),
        sa.UniqueConstraint("fingerprint", name=op.f("feature_sets_fingerprint_key")),
        schema="store",
    )
    op.create_table(
        "model_features",
        sa.Column(
            "model_id", sa.BigInteger(), autoincrement=False, nullable=False, comment="the model"
        ),
        sa.Column("feature_set_id", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["feature_set_id"],
            ["store.feature_sets.feature_set_id"],
            name=op.f("model_features_feature_set_id_fkey"),
        ),
        sa.PrimaryKeyConstraint("model_id", name=op.f("model_features_pkey")),
        schema="store",
    )
    op.create_index(
        "model_features_feature_set_id_idx",
        "model_features",
        ["feature_set_id", "model_id"],
        unique=False,
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
    op.bulk_insert(weights, WEIGHTS)


def downgrade() -> None:
    """Drop them."""
    op.drop_table("similarity_weights", schema="store")
    op.drop_table("model_features", schema="store")
    op.drop_table("feature_sets", schema="store")
