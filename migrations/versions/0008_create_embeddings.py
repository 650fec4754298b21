"""Create versions of learned embeddings, their vectors, and results of comparing trainings.

Why: the vectors of a version are a partition of their own, so that a version appears and goes
whole and has its own index. Vectors stay in their rows instead of apart: routing a prompt reads
all serving vectors of a version. The model comes first in the keys, since a partition has one
version only.
"""

import pgvector.sqlalchemy
import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "embedding_versions",
        sa.Column("version_id", sa.Integer(), sa.Identity(always=True), nullable=False),
        sa.Column("method", sa.Text(), nullable=False, comment="how it was trained"),
        sa.Column(
            "state",
            sa.Text(),
            nullable=False,
            comment="one of VERSION_STATES; one at most is current",
        ),
        sa.Column("reason", sa.Text(), nullable=True, comment="why it was promoted or refused"),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, comment="UTC"),
        sa.Column(
            "promoted_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="last time that it became current; UTC",
        ),
        sa.Column("dimension", sa.Integer(), nullable=False, comment="of the models' vectors"),
        sa.Column(
            "serving_dimension",
            sa.Integer(),
            nullable=True,
            comment="of the serving vectors: one more than a prompt's; null where none",
        ),
        sa.Column(
            "model_count", sa.Integer(), nullable=False, comment="number of models with a vector"
        ),
        sa.Column("item_count", sa.Integer(), nullable=False, comment="number of items trained on"),
        sa.Column(
            "outcome_count",
            sa.BigInteger(),
            nullable=False,
            comment="number of outcomes trained on",
        ),
        sa.Column("encoder", sa.Text(), nullable=True, comment="of the items' texts"),
        sa.Column(
            "data_fingerprint", sa.Text(), nullable=False, comment="of the outcomes trained on"
        ),
        sa.Column("code_version", sa.Text(), nullable=False),
        sa.Column("device", sa.Text(), nullable=False),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column("seconds", sa.Double(), nullable=False, comment="that training took"),
        sa.Column("settings", postgresql.JSONB(), nullable=False),
        sa.Column(
            "trials", postgresql.JSONB(), nullable=False, comment="of the search for settings"
        ),
        sa.Column(
            "metrics", postgresql.JSONB(), nullable=False, comment="held-out figures by split"
        ),
        sa.Column(
            "aligned_to",
            sa.Integer(),
            nullable=True,
            comment="version that the vectors were rotated onto; null where they were not",
        ),
        sa.Column(
            "alignment_residual",
            sa.Double(),
            nullable=True,
            comment="what the rotation leaves apart, relative to the older vectors' norm",
        ),
        sa.Column(
            "churn",
            sa.Double(),
            nullable=True,
            comment="share of nearest neighbours that are others than the version's before",
        ),
        sa.CheckConstraint(
            "state IN ('candidate', 'current', 'retired', 'refused')",
            name=op.f("embedding_versions_state_check"),
        ),
        sa.PrimaryKeyConstraint("version_id", name=op.f("embedding_versions_pkey")),
        schema="store",
    )
    op.create_index(
        "embedding_versions_current_idx",
        "embedding_versions",
        ["state"],
        unique=True,
        schema="store",
        postgresql_where=sa.text("state = 'current'"),
    )
    op.create_table(
        "embeddings",
        sa.Column(
            "model_id", sa.BigInteger(), autoincrement=False, nullable=False, comment="the model"
        ),
        sa.Column(
            "version_id", sa.Integer(), autoincrement=False, nullable=False, comment="the version"
        ),
        sa.Column(
            "uncertainty", sa.REAL(), nullable=True, comment="standard deviation of a coordinate"
        ),
        sa.Column("kind", sa.Text(), nullable=False, comment="one of VECTOR_KINDS"),
        sa.Column("vector", pgvector.sqlalchemy.VECTOR(), nullable=False),
        sa.CheckConstraint(
            "kind IN ('trained', 'folded', 'cold')", name=op.f("embeddings_kind_check")
        ),
        sa.PrimaryKeyConstraint("model_id", "version_id", name=op.f("embeddings_pkey")),
        schema="store",
        postgresql_partition_by="LIST (version_id)",
    )
    op.create_table(
        "serving_vectors",
        sa.Column(
            "model_id", sa.BigInteger(), autoincrement=False, nullable=False, comment="the model"
        ),
        sa.Column(
            "version_id", sa.Integer(), autoincrement=False, nullable=False, comment="the version"
        ),
        sa.Column(
            "vector",
            pgvector.sqlalchemy.VECTOR(),
            nullable=False,
            comment="its last entry is the constant",
        ),
        sa.PrimaryKeyConstraint("model_id", "version_id", name=op.f("serving_vectors_pkey")),
        schema="store",
        postgresql_partition_by="LIST (version_id)",
    )
    op.create_table(
        "item_embeddings",
        sa.Column(
            "benchmark_id",
            sa.Integer(),
            autoincrement=False,
            nullable=False,
            comment="the benchmark",
        ),
        sa.Column("ordinal", sa.Integer(), autoincrement=False, nullable=False, comment="of items"),
        sa.Column(
            "version_id", sa.Integer(), autoincrement=False, nullable=False, comment="the version"
        ),
        sa.Column("vector", pgvector.sqlalchemy.VECTOR(), nullable=False),
        sa.PrimaryKeyConstraint(
            "benchmark_id", "ordinal", "version_id", name=op.f("item_embeddings_pkey")
        ),
        schema="store",
        postgresql_partition_by="LIST (version_id)",
    )
    for table in ("embeddings", "serving_vectors", "item_embeddings"):
        op.execute(f"ALTER TABLE store.{table} ALTER vector SET STORAGE MAIN")
    op.create_table(
        "training_comparisons",
        sa.Column("comparison_id", sa.Integer(), sa.Identity(always=True), nullable=False),
        sa.Column("compared_at", sa.DateTime(timezone=True), nullable=False, comment="UTC"),
        sa.Column("data_fingerprint", sa.Text(), nullable=False, comment="of the outcomes"),
        sa.Column("settings", postgresql.JSONB(), nullable=False),
        sa.Column("seconds", sa.Double(), nullable=False, comment="that it took"),
        sa.PrimaryKeyConstraint("comparison_id", name=op.f("training_comparisons_pkey")),
        schema="store",
    )
    op.create_table(
        "training_results",
        sa.Column(
            "comparison_id",
            sa.Integer(),
            autoincrement=False,
            nullable=False,
            comment="of training_comparisons",
        ),
        sa.Column("split", sa.Text(), nullable=False, comment="which outcomes were held out"),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("metric", sa.Text(), nullable=False),
        sa.Column("mean", sa.Double(), nullable=False, comment="over the seeds"),
        sa.Column(
            "lower", sa.Double(), nullable=True, comment="end of the interval that holds 0.95"
        ),
        sa.Column(
            "upper", sa.Double(), nullable=True, comment="end of the interval that holds 0.95"
        ),
        sa.Column("seeds", sa.Integer(), nullable=False, comment="number of trainings"),
        sa.PrimaryKeyConstraint(
            "comparison_id", "split", "method", "metric", name=op.f("training_results_pkey")
        ),
        schema="store",
    )


def downgrade() -> None:
    """Drop them, whatever versions there are."""
    op.drop_table("training_results", schema="store")
    op.drop_table("training_comparisons", schema="store")
    op.drop_table("item_embeddings", schema="store")
    op.drop_table("serving_vectors", schema="store")
    op.drop_table("embeddings", schema="store")
    op.drop_index(
        "embedding_versions_current_idx",
        table_name="embedding_versions",
        schema="store",
        postgresql_where=sa.text("state = 'current'"),
    )
    op.drop_table("embedding_versions", schema="store")
