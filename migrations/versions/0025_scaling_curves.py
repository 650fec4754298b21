"""Add curves of scores by size, tokens or compute to stored analyses.

Why: how scores grow within a family is to be queried and drawn again. Three new tables cost nothing
on a large catalog.
"""

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    _ability_scaling()
    _scaling_fits()
    _scaling_points()


def downgrade() -> None:
    """Drop them; analyses are computed again from scores."""
    for table in ("scaling_points", "scaling_fits", "ability_scaling"):
        op.drop_table(table, schema="store")


def _ability_scaling() -> None:
    op.create_table(
        "ability_scaling",
        sa.Column(
            "analysis_id", sa.Integer(), autoincrement=False, nullable=False, comment="of analyses"
        ),
        sa.Column("group_name", sa.Text(), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False, comment="models with all scores"),
        sa.Column("intercept", sa.Double(), nullable=False, comment="at an amount of one"),
        sa.Column("slope", sa.Double(), nullable=False, comment="by factor of ten"),
        sa.Column("slope_lower", sa.Double(), nullable=False, comment="end of its interval"),
        sa.Column("slope_upper", sa.Double(), nullable=False, comment="its other end"),
        sa.Column("p", sa.Double(), nullable=True, comment="of no slope"),
        sa.Column(
            "r_squared",
            sa.Double(),
            nullable=False,
            comment="share of the variance that the line explains",
        ),
        sa.Column(
            "ability_share",
            sa.Double(),
            nullable=False,
            comment="of the variance of all scores, by the ability",
        ),
        sa.ForeignKeyConstraint(
            ["analysis_id"],
            ["store.analyses.analysis_id"],
            name=op.f("ability_scaling_analysis_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("analysis_id", "group_name", name=op.f("ability_scaling_pkey")),
        schema="store",
    )


def _scaling_fits() -> None:
    op.create_table(
        "scaling_fits",
        sa.Column(
            "analysis_id", sa.Integer(), autoincrement=False, nullable=False, comment="of analyses"
        ),
        sa.Column("benchmark", sa.Text(), nullable=False, comment="canonical name"),
        sa.Column(
            "version",
            sa.Text(),
            nullable=False,
            comment="of the benchmark; empty where none is stated",
        ),
        sa.Column(
            "group_name", sa.Text(), nullable=False, comment="all models is the curve through all"
        ),
        sa.Column(
            "form",
            sa.Text(),
            nullable=False,
            comment="logistic, or line where scores are no shares",
        ),
        sa.Column("n", sa.Integer(), nullable=False, comment="scores"),
        sa.Column("sizes", sa.Integer(), nullable=False, comment="different amounts"),
        sa.Column(
            "floor",
            sa.Double(),
            nullable=True,
            comment="score of chance that a logistic curve rises from",
        ),
        sa.Column(
            "floor_known",
            sa.Boolean(),
            nullable=False,
            comment="false where it is 0 for want of better",
        ),
        sa.Column(
            "slope",
            sa.Double(),
            nullable=True,
            comment="by factor of ten, in log odds or in scores",
        ),
        sa.Column("slope_lower", sa.Double(), nullable=True, comment="end of its interval"),
        sa.Column("slope_upper", sa.Double(), nullable=True, comment="its other end"),
        sa.Column("p", sa.Double(), nullable=True, comment="of no slope"),
        sa.Column(
            "deviation", sa.Double(), nullable=True, comment="standard, of scores about the curve"
        ),
        sa.Column(
            "r_squared",
            sa.Double(),
            nullable=True,
            comment="share of the variance that the curve explains",
        ),
        sa.Column(
            "held_out",
            sa.Integer(),
            nullable=False,
            comment="largest models, predicted from the smaller",
        ),
        sa.Column("error", sa.Double(), nullable=True, comment="mean absolute one of them"),
        sa.Column(
            "last_error",
            sa.Double(),
            nullable=True,
            comment="likewise, of the score at the largest size not held out",
        ),
        sa.Column("line_error", sa.Double(), nullable=True, comment="likewise, of a line"),
        sa.Column(
            "pooled_error",
            sa.Double(),
            nullable=True,
            comment="likewise, of a curve through all groups",
        ),
        sa.Column(
            "covered", sa.Double(), nullable=True, comment="share of them that their interval holds"
        ),
        sa.ForeignKeyConstraint(
            ["analysis_id"],
            ["store.analyses.analysis_id"],
            name=op.f("scaling_fits_analysis_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint(
            "analysis_id", "benchmark", "version", "group_name", name=op.f("scaling_fits_pkey")
        ),
        schema="store",
    )


def _scaling_points() -> None:
    op.create_table(
        "scaling_points",
        sa.Column(
            "analysis_id", sa.Integer(), autoincrement=False, nullable=False, comment="of analyses"
        ),
        sa.Column("benchmark", sa.Text(), nullable=False, comment="canonical name"),
        sa.Column(
            "version",
            sa.Text(),
            nullable=False,
            comment="of the benchmark; empty where none is stated",
        ),
        sa.Column("group_name", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("amount", sa.Double(), nullable=False, comment="weights, tokens or operations"),
        sa.Column("score", sa.Double(), nullable=False, comment="of the curve"),
        sa.Column(
            "lower", sa.Double(), nullable=True, comment="end of the interval of a new score"
        ),
        sa.Column("upper", sa.Double(), nullable=True, comment="its other end"),
        sa.Column(
            "beyond", sa.Boolean(), nullable=False, comment="the largest model it was fitted to"
        ),
        sa.ForeignKeyConstraint(
            ["analysis_id"],
            ["store.analyses.analysis_id"],
            name=op.f("scaling_points_analysis_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint(
            "analysis_id",
            "benchmark",
            "version",
            "group_name",
            "position",
            name=op.f("scaling_points_pkey"),
        ),
        schema="store",
    )
