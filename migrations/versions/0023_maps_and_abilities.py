"""Add maps of models by their scores, and the abilities behind scores, to stored analyses.

Why: maps and loadings are to be read again, and joined with what is known of models. Four new
tables cost nothing on a large catalog.
"""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    _ability_factors()
    _factor_loadings()
    _projection_checks()
    _projections()


def downgrade() -> None:
    """Drop them; analyses are computed again from scores."""
    for table in ("projections", "projection_checks", "factor_loadings", "ability_factors"):
        op.drop_table(table, schema="store")


def _ability_factors() -> None:
    op.create_table(
        "ability_factors",
        sa.Column(
            "analysis_id", sa.Integer(), autoincrement=False, nullable=False, comment="of analyses"
        ),
        sa.Column(
            "factor",
            sa.Integer(),
            autoincrement=False,
            nullable=False,
            comment="from 1 on, the largest first",
        ),
        sa.Column("eigenvalue", sa.Double(), nullable=False, comment="of the correlation matrix"),
        sa.Column(
            "by_chance", sa.Double(), nullable=False, comment="that normal scores reach by chance"
        ),
        sa.Column("kept", sa.Boolean(), nullable=False, comment="by parallel analysis"),
        sa.Column(
            "share", sa.Double(), nullable=False, comment="of the variance of standardised scores"
        ),
        sa.Column("share_lower", sa.Double(), nullable=False, comment="end of its interval"),
        sa.Column("share_upper", sa.Double(), nullable=False, comment="its other end"),
        sa.Column(
            "rotated_share",
            sa.Double(),
            nullable=True,
            comment="of the variance, by the rotated factor",
        ),
        sa.ForeignKeyConstraint(
            ["analysis_id"],
            ["store.analyses.analysis_id"],
            name=op.f("ability_factors_analysis_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("analysis_id", "factor", name=op.f("ability_factors_pkey")),
        schema="store",
    )


def _factor_loadings() -> None:
    op.create_table(
        "factor_loadings",
        sa.Column(
            "analysis_id", sa.Integer(), autoincrement=False, nullable=False, comment="of analyses"
        ),
        sa.Column(
            "factor",
            sa.Integer(),
            autoincrement=False,
            nullable=False,
            comment="of ability_factors",
        ),
        sa.Column("benchmark", sa.Text(), nullable=False, comment="canonical name"),
        sa.Column(
            "version",
            sa.Text(),
            nullable=False,
            comment="of the benchmark; empty where none is stated",
        ),
        sa.Column("loading", sa.Double(), nullable=False, comment="after varimax"),
        sa.Column("lower", sa.Double(), nullable=False, comment="end of its interval"),
        sa.Column("upper", sa.Double(), nullable=False, comment="its other end"),
        sa.Column(
            "communality",
            sa.Double(),
            nullable=False,
            comment="share of the variance by all kept factors",
        ),
        sa.ForeignKeyConstraint(
            ["analysis_id"],
            ["store.analyses.analysis_id"],
            name=op.f("factor_loadings_analysis_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint(
            "analysis_id", "factor", "benchmark", "version", name=op.f("factor_loadings_pkey")
        ),
        schema="store",
    )


def _projection_checks() -> None:
    op.create_table(
        "projection_checks",
        sa.Column(
            "analysis_id", sa.Integer(), autoincrement=False, nullable=False, comment="of analyses"
        ),
        sa.Column("layout", sa.Text(), nullable=False, comment="tsne or umap"),
        sa.Column("models", sa.Integer(), nullable=False),
        sa.Column("benchmarks", sa.Integer(), nullable=False),
        sa.Column(
            "trustworthiness",
            sa.Double(),
            nullable=True,
            comment="1 where no neighbours on the plane are not neighbours by scores",
        ),
        sa.Column(
            "kept_neighbours",
            sa.Double(),
            nullable=True,
            comment="share of the ten nearest models that are so on the plane",
        ),
        sa.Column(
            "grouped_models", sa.Integer(), nullable=False, comment="in groups of two or more"
        ),
        sa.Column("groups", sa.Integer(), nullable=False),
        sa.Column("silhouette", sa.Double(), nullable=True, comment="mean, of standardised scores"),
        sa.Column(
            "silhouette_p", sa.Double(), nullable=True, comment="share of random orders as high"
        ),
        sa.Column(
            "purity",
            sa.Double(),
            nullable=True,
            comment="share of the ten nearest models that are of the same group",
        ),
        sa.Column(
            "purity_by_chance", sa.Double(), nullable=True, comment="mean over random orders"
        ),
        sa.Column("purity_p", sa.Double(), nullable=True, comment="share of random orders as high"),
        sa.Column(
            "adjusted_rand",
            sa.Double(),
            nullable=True,
            comment="agreement with k-means, 0 by chance",
        ),
        sa.Column("map_silhouette", sa.Double(), nullable=True, comment="on the plane"),
        sa.Column("map_purity", sa.Double(), nullable=True, comment="on the plane"),
        sa.Column("map_adjusted_rand", sa.Double(), nullable=True, comment="on the plane"),
        sa.Column(
            "verdict",
            sa.Text(),
            nullable=False,
            comment="apart, overlapping, no difference found or unknown",
        ),
        sa.ForeignKeyConstraint(
            ["analysis_id"],
            ["store.analyses.analysis_id"],
            name=op.f("projection_checks_analysis_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("analysis_id", name=op.f("projection_checks_pkey")),
        schema="store",
    )


def _projections() -> None:
    op.create_table(
        "projections",
        sa.Column(
            "analysis_id", sa.Integer(), autoincrement=False, nullable=False, comment="of analyses"
        ),
        sa.Column("model", sa.Text(), nullable=False, comment="its name then"),
        sa.Column("x", sa.Double(), nullable=False),
        sa.Column("y", sa.Double(), nullable=False),
        sa.Column("group_name", sa.Text(), nullable=True, comment="null where it is in none"),
        sa.ForeignKeyConstraint(
            ["analysis_id"],
            ["store.analyses.analysis_id"],
            name=op.f("projections_analysis_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("analysis_id", "model", name=op.f("projections_pkey")),
        schema="store",
    )
