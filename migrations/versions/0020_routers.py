"""Keep what each version routes prompts by: outcomes by item, landmarks, and weights of both.

Why: serving vectors alone pick the same model for almost every prompt. Neighbours need the outcomes
of all models on an item together: reading them from runs would read every run whole.
"""

import pgvector.sqlalchemy
import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

WEIGHTS = {
    "common_neighbours": "of what models have in common",
    "common_regression": "of what models have in common",
    "apart_neighbours": "of what tells models apart",
    "apart_regression": "of what tells models apart",
}


def upgrade() -> None:
    """Create the tables; versions of before have no such routers until the next training."""
    _blends()
    _models()
    _items()
    _landmarks()
    # A search reads all vectors of items, and outcomes of the nearest alone.
    op.execute("ALTER TABLE store.route_items ALTER vector SET STORAGE PLAIN")
    op.execute("ALTER TABLE store.route_items ALTER outcomes SET STORAGE EXTENDED")
    op.execute("ALTER TABLE store.route_items ALTER seen SET STORAGE EXTENDED")
    for table in ("route_models", "route_landmarks"):
        op.execute(f"ALTER TABLE store.{table} ALTER vector SET STORAGE MAIN")


def downgrade() -> None:
    """Drop them; the next training makes them again."""
    for table in ("route_landmarks", "route_items", "route_models", "route_blends"):
        op.drop_table(table, schema="store")


def _blends() -> None:
    op.create_table(
        "route_blends",
        sa.Column("version_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column(
            "subjects",
            postgresql.ARRAY(pgvector.sqlalchemy.VECTOR()),
            nullable=False,
            comment="weights of each subject's logit on a prompt's vector and 1",
        ),
        sa.Column(
            "neighbours",
            sa.Integer(),
            nullable=False,
            comment="items that a prompt is compared with",
        ),
        sa.Column(
            "sharpness",
            sa.REAL(),
            nullable=False,
            comment="of their weights: softmax of this times the inner product",
        ),
        sa.Column(
            "subject_weight",
            sa.REAL(),
            nullable=False,
            comment="of subjects in vectors of route_items",
        ),
        sa.Column(
            "kernel_subject_weight",
            sa.REAL(),
            nullable=False,
            comment="in vectors of route_landmarks",
        ),
        sa.Column(
            "width",
            sa.REAL(),
            nullable=False,
            comment="of the kernel: exp(width (2 cosine - 2))",
        ),
        *(
            sa.Column(name, sa.Double(), nullable=False, comment=comment)
            for name, comment in WEIGHTS.items()
        ),
        sa.Column(
            "metrics",
            postgresql.JSONB(),
            nullable=False,
            comment="of each router on items that were left out",
        ),
        sa.ForeignKeyConstraint(
            ["version_id"],
            ["store.embedding_versions.version_id"],
            name=op.f("route_blends_version_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("version_id", name=op.f("route_blends_pkey")),
        schema="store",
    )


def _version() -> sa.Column[int]:
    return sa.Column(
        "version_id", sa.Integer(), autoincrement=False, nullable=False, comment="the version"
    )


def _models() -> None:
    op.create_table(
        "route_models",
        sa.Column(
            "model_id", sa.BigInteger(), autoincrement=False, nullable=False, comment="the model"
        ),
        _version(),
        sa.Column(
            "place",
            sa.Integer(),
            nullable=False,
            comment="of its entry in route_items' vectors, from 1",
        ),
        sa.Column("level", sa.REAL(), nullable=False, comment="its mean outcome"),
        sa.Column("outcomes", sa.Integer(), nullable=False, comment="number of its outcomes"),
        sa.Column(
            "vector",
            pgvector.sqlalchemy.VECTOR(),
            nullable=False,
            comment="weight of each landmark",
        ),
        sa.PrimaryKeyConstraint("model_id", "version_id", name=op.f("route_models_pkey")),
        schema="store",
        postgresql_partition_by="LIST (version_id)",
    )


def _items() -> None:
    op.create_table(
        "route_items",
        sa.Column(
            "benchmark_id",
            sa.Integer(),
            autoincrement=False,
            nullable=False,
            comment="the benchmark",
        ),
        sa.Column("ordinal", sa.Integer(), autoincrement=False, nullable=False, comment="of items"),
        _version(),
        sa.Column(
            "vector",
            pgvector.sqlalchemy.HALFVEC(),
            nullable=False,
            comment="of its text and roots of its subjects' probabilities",
        ),
        sa.Column(
            "outcomes",
            pgvector.sqlalchemy.HALFVEC(),
            nullable=False,
            comment="of each model of route_models; 0 where not observed",
        ),
        sa.Column(
            "seen",
            pgvector.sqlalchemy.HALFVEC(),
            nullable=True,
            comment="1 where observed, else 0; null where all are",
        ),
        sa.PrimaryKeyConstraint(
            "benchmark_id", "ordinal", "version_id", name=op.f("route_items_pkey")
        ),
        schema="store",
        postgresql_partition_by="LIST (version_id)",
    )


def _landmarks() -> None:
    op.create_table(
        "route_landmarks",
        sa.Column(
            "place",
            sa.Integer(),
            autoincrement=False,
            nullable=False,
            comment="of its weight, from 1",
        ),
        _version(),
        sa.Column(
            "vector",
            pgvector.sqlalchemy.VECTOR(),
            nullable=False,
            comment="of a text and roots of its subjects' probabilities",
        ),
        sa.PrimaryKeyConstraint("place", "version_id", name=op.f("route_landmarks_pkey")),
        schema="store",
        postgresql_partition_by="LIST (version_id)",
    )
