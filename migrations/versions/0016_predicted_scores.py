"""Add predicted scores: versions of the score model, and vectors of benchmarks and models.

Why: most cells of a leaderboard are empty. A score is an inner product of a model's abilities and a
benchmark's loadings, and its variance another, so that one more model or benchmark is one more row.
"""

import sqlalchemy as sa
from alembic import op
from pgvector.sqlalchemy import VECTOR
from sqlalchemy.dialects import postgresql

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    _versions()
    _intervals()
    _loadings()
    _abilities()
    _fitted_scores()


def downgrade() -> None:
    """Drop them; predictions are fitted again by the next training."""
    for table in (
        "fitted_scores",
        "abilities",
        "benchmark_loadings",
        "prediction_intervals",
        "prediction_versions",
    ):
        op.drop_table(table, schema="store")


def _versions() -> None:
    op.create_table(
        "prediction_versions",
        sa.Column("version_id", sa.Integer(), sa.Identity(always=True), nullable=False),
        sa.Column("state", sa.Text(), nullable=False, comment="one of PREDICTION_STATES"),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, comment="UTC"),
        sa.Column(
            "placed_at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="last time that models got abilities of it; UTC",
        ),
        sa.Column(
            "newest_model_id",
            sa.BigInteger(),
            nullable=False,
            comment="greatest key of the catalog when it was last placed",
        ),
        sa.Column("dimension", sa.Integer(), nullable=False, comment="of abilities and loadings"),
        sa.Column(
            "model_count",
            sa.Integer(),
            nullable=False,
            comment="models with scores that it was fitted to",
        ),
        sa.Column(
            "benchmark_count", sa.Integer(), nullable=False, comment="benchmarks that it predicts"
        ),
        sa.Column(
            "score_count", sa.Integer(), nullable=False, comment="scores that it was fitted to"
        ),
        sa.Column(
            "reliable",
            sa.Boolean(),
            nullable=False,
            comment="whether intervals of level 0.9 held 0.85 to 0.95 of held-out scores",
        ),
        sa.Column("data_fingerprint", sa.Text(), nullable=False, comment="of the scores"),
        sa.Column("code_version", sa.Text(), nullable=False),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column("seconds", sa.Double(), nullable=False, comment="that the fit took"),
        sa.Column("settings", postgresql.JSONB(), nullable=False),
        sa.Column("metrics", postgresql.JSONB(), nullable=False, comment="on held-out scores"),
        sa.Column(
            "fitted",
            sa.LargeBinary(),
            nullable=False,
            comment="numpy's npz: state that places other models",
        ),
        sa.CheckConstraint(
            "state IN ('current', 'retired')", name=op.f("prediction_versions_state_check")
        ),
        sa.PrimaryKeyConstraint("version_id", name=op.f("prediction_versions_pkey")),
        schema="store",
    )
    op.create_index(
        "prediction_versions_current_idx",
        "prediction_versions",
        ["state"],
        unique=True,
        schema="store",
        postgresql_where=sa.text("state = 'current'"),
    )


def _of_version(table: str) -> tuple[sa.Column[int], sa.ForeignKeyConstraint]:
    return (
        sa.Column(
            "version_id",
            sa.Integer(),
            autoincrement=False,
            nullable=False,
            comment="of prediction_versions",
        ),
        sa.ForeignKeyConstraint(
            ["version_id"],
            ["store.prediction_versions.version_id"],
            name=op.f(f"{table}_version_id_fkey"),
            ondelete="CASCADE",
        ),
    )


def _model() -> sa.Column[int]:
    return sa.Column(
        "model_id", sa.BigInteger(), autoincrement=False, nullable=False, comment="the model"
    )


def _intervals() -> None:
    version, reference = _of_version("prediction_intervals")
    op.create_table(
        "prediction_intervals",
        version,
        sa.Column(
            "evidence_group",
            sa.SmallInteger(),
            autoincrement=False,
            nullable=False,
            comment="0: no other scores of the model, 1: few, 2: few of the benchmark, 3: many, "
            "4: of other blocks alone",
        ),
        sa.Column("held_out", sa.Integer(), nullable=False, comment="held-out scores of the group"),
        sa.Column(
            "levels",
            postgresql.ARRAY(sa.Double()),
            nullable=False,
            comment="shares of scores within, ascending, in [0, 1)",
        ),
        sa.Column(
            "ratios",
            postgresql.ARRAY(sa.Double()),
            nullable=False,
            comment="half-width by level, in standard deviations",
        ),
        sa.Column("ratio_90", sa.Double(), nullable=False, comment="of them, that of level 0.9"),
        reference,
        sa.PrimaryKeyConstraint(
            "version_id", "evidence_group", name=op.f("prediction_intervals_pkey")
        ),
        schema="store",
    )


def _loadings() -> None:
    version, reference = _of_version("benchmark_loadings")
    op.create_table(
        "benchmark_loadings",
        version,
        sa.Column(
            "benchmark_id",
            sa.Integer(),
            autoincrement=False,
            nullable=False,
            comment="of several names, the first; negative: a part of its items",
        ),
        sa.Column(
            "measure_id", sa.Integer(), nullable=False, comment="of measures: that of the scores"
        ),
        sa.Column(
            "score_count", sa.Integer(), nullable=False, comment="scores that it was fitted to"
        ),
        sa.Column("intercept", sa.Double(), nullable=False),
        sa.Column(
            "residual", sa.Double(), nullable=False, comment="variance of a score about its mean"
        ),
        sa.Column(
            "cold_factor",
            sa.Double(),
            nullable=False,
            comment="on deviations, for models without other scores",
        ),
        sa.Column(
            "warm_factor",
            sa.Double(),
            nullable=False,
            comment="on deviations, for models with some",
        ),
        sa.Column(
            "crossed_factor",
            sa.Double(),
            nullable=False,
            comment="on deviations, for models with scores in other blocks alone",
        ),
        sa.Column(
            "block",
            sa.BigInteger(),
            nullable=False,
            comment="one bit: that of benchmarks which the same models took",
        ),
        sa.Column(
            "tied_blocks",
            sa.BigInteger(),
            nullable=False,
            comment="bits of the blocks with enough models in common with its own",
        ),
        sa.Column(
            "centre",
            sa.Double(),
            nullable=True,
            comment="of raw scores without bounds; null where the scale has bounds",
        ),
        sa.Column(
            "scale",
            sa.Double(),
            nullable=True,
            comment="raw score for one on the working scale; negative if lower is better",
        ),
        sa.Column("vector", VECTOR(), nullable=False, comment="loadings"),
        sa.Column(
            "spread",
            VECTOR(),
            nullable=False,
            comment="products of loadings and their covariance; then that with the intercept",
        ),
        reference,
        sa.PrimaryKeyConstraint("version_id", "benchmark_id", name=op.f("benchmark_loadings_pkey")),
        schema="store",
    )


def _abilities() -> None:
    version, reference = _of_version("abilities")
    op.create_table(
        "abilities",
        _model(),
        version,
        sa.Column(
            "kind", sa.Text(), nullable=False, comment="evidence: outcomes, scores or catalog"
        ),
        sa.Column("score_count", sa.Integer(), nullable=False, comment="its scores that count"),
        sa.Column(
            "support",
            sa.REAL(),
            nullable=False,
            comment="share of the variance of abilities that is known, in [0, 1]",
        ),
        sa.Column("vector", VECTOR(), nullable=False, comment="abilities, posterior mean"),
        sa.Column(
            "spread",
            VECTOR(),
            nullable=False,
            comment="upper triangles of their covariance, and of products of them and 1",
        ),
        sa.Column(
            "scale",
            sa.REAL(),
            nullable=False,
            comment="factor on deviations of its predictions",
        ),
        sa.Column(
            "blocks",
            sa.BigInteger(),
            nullable=False,
            comment="bits of the blocks that it, or without scores those near, have scores in",
        ),
        sa.Column(
            "near_ids",
            postgresql.ARRAY(sa.BigInteger()),
            nullable=False,
            comment="models with scores that weigh most in the prior",
        ),
        sa.Column(
            "near_weights", postgresql.ARRAY(sa.REAL()), nullable=False, comment="their weights"
        ),
        sa.CheckConstraint(
            "kind IN ('outcomes', 'scores', 'catalog')", name=op.f("abilities_kind_check")
        ),
        reference,
        sa.PrimaryKeyConstraint("model_id", "version_id", name=op.f("abilities_pkey")),
        schema="store",
    )
    op.create_index("abilities_version_id_idx", "abilities", ["version_id"], schema="store")


def _fitted_scores() -> None:
    version, reference = _of_version("fitted_scores")
    op.create_table(
        "fitted_scores",
        _model(),
        version,
        sa.Column(
            "benchmark_id",
            sa.Integer(),
            autoincrement=False,
            nullable=False,
            comment="of benchmark_loadings",
        ),
        sa.Column("value", sa.Double(), nullable=False, comment="on the working scale"),
        sa.Column(
            "variance",
            sa.REAL(),
            nullable=False,
            comment="of its own error; 0 of a measured score",
        ),
        sa.Column(
            "mean",
            sa.Double(),
            nullable=False,
            comment="prediction by a fit without it, likewise",
        ),
        sa.Column(
            "deviation",
            sa.Double(),
            nullable=False,
            comment="standard deviation of that prediction, with the benchmark's factor",
        ),
        sa.Column(
            "evidence_group",
            sa.SmallInteger(),
            nullable=False,
            comment="of prediction_intervals, of that prediction",
        ),
        reference,
        sa.PrimaryKeyConstraint(
            "model_id", "version_id", "benchmark_id", name=op.f("fitted_scores_pkey")
        ),
        schema="store",
    )
    op.create_index("fitted_scores_version_id_idx", "fitted_scores", ["version_id"], schema="store")
