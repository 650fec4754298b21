"""Add generalised additive models of scores: fits, terms and curves.

Why: how scores rise with size and with other abilities is to be repeated and queried.
"""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    _gam_fits()
    _gam_terms()
    _gam_curves()


def downgrade() -> None:
    """Drop them; analyses are computed again from scores."""
    for table in ("gam_curves", "gam_terms", "gam_fits"):
        op.drop_table(table, schema="store")
    op.execute("DELETE FROM store.analyses WHERE kind = 'gam'")


def _gam_fits() -> None:
    op.create_table(
        "gam_fits",
        sa.Column(
            "analysis_id", sa.Integer(), autoincrement=False, nullable=False, comment="of analyses"
        ),
        sa.Column(
            "response", sa.Text(), nullable=False, comment="canonical name of a benchmark, or size"
        ),
        sa.Column(
            "version",
            sa.Text(),
            nullable=False,
            comment="of the benchmark; empty where none is stated",
        ),
        sa.Column("n", sa.Integer(), nullable=False, comment="models"),
        sa.Column(
            "df", sa.Double(), nullable=False, comment="effective degrees of freedom of all terms"
        ),
        sa.Column("r_squared", sa.Double(), nullable=False, comment="adjusted"),
        sa.Column("explained", sa.Double(), nullable=False, comment="share of the deviance"),
        sa.Column(
            "residual",
            sa.Double(),
            nullable=False,
            comment="standard deviation of what is left, in units of the response",
        ),
        sa.Column(
            "converged",
            sa.Boolean(),
            nullable=False,
            comment="whether the search for the amounts of smoothing ended",
        ),
        sa.ForeignKeyConstraint(
            ["analysis_id"],
            ["store.analyses.analysis_id"],
            name=op.f("gam_fits_analysis_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("analysis_id", "response", "version", name=op.f("gam_fits_pkey")),
        schema="store",
    )


def _gam_terms() -> None:
    op.create_table(
        "gam_terms",
        sa.Column(
            "analysis_id", sa.Integer(), autoincrement=False, nullable=False, comment="of analyses"
        ),
        sa.Column(
            "response", sa.Text(), nullable=False, comment="canonical name of a benchmark, or size"
        ),
        sa.Column(
            "version",
            sa.Text(),
            nullable=False,
            comment="of the benchmark; empty where none is stated",
        ),
        sa.Column(
            "position",
            sa.Integer(),
            autoincrement=False,
            nullable=False,
            comment="of the term, from 0",
        ),
        sa.Column("kind", sa.Text(), nullable=False, comment="smooth or random"),
        sa.Column(
            "term",
            sa.Text(),
            nullable=False,
            comment="size, a benchmark, or what a random effect groups by",
        ),
        sa.Column(
            "term_version",
            sa.Text(),
            nullable=False,
            comment="of the benchmark; empty where none is stated",
        ),
        sa.Column(
            "group_name",
            sa.Text(),
            nullable=True,
            comment="of models that it is the smooth of; null for all",
        ),
        sa.Column("groups", sa.Integer(), nullable=True, comment="of a random effect"),
        sa.Column("edf", sa.Double(), nullable=False, comment="effective degrees of freedom"),
        sa.Column("rank", sa.Double(), nullable=False, comment="degrees of freedom of the test"),
        sa.Column("f", sa.Double(), nullable=True, comment="statistic of no effect"),
        sa.Column("p", sa.Double(), nullable=True, comment="of no effect"),
        sa.Column("holm", sa.Double(), nullable=True, comment="corrected for the number of terms"),
        sa.Column("deviation", sa.Double(), nullable=True, comment="standard, of a random effect"),
        sa.Column(
            "shape",
            sa.Text(),
            nullable=True,
            comment="rising, falling, both or neither; of a smooth",
        ),
        sa.ForeignKeyConstraint(
            ["analysis_id"],
            ["store.analyses.analysis_id"],
            name=op.f("gam_terms_analysis_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint(
            "analysis_id", "response", "version", "position", name=op.f("gam_terms_pkey")
        ),
        schema="store",
    )


def _gam_curves() -> None:
    op.create_table(
        "gam_curves",
        sa.Column(
            "analysis_id", sa.Integer(), autoincrement=False, nullable=False, comment="of analyses"
        ),
        sa.Column(
            "response", sa.Text(), nullable=False, comment="canonical name of a benchmark, or size"
        ),
        sa.Column(
            "version",
            sa.Text(),
            nullable=False,
            comment="of the benchmark; empty where none is stated",
        ),
        sa.Column(
            "position", sa.Integer(), autoincrement=False, nullable=False, comment="of the term"
        ),
        sa.Column("point", sa.Integer(), autoincrement=False, nullable=False, comment="from 0"),
        sa.Column("x", sa.Double(), nullable=False, comment="score, or number of weights"),
        sa.Column(
            "effect", sa.Double(), nullable=False, comment="partial, in units of the response"
        ),
        sa.Column("error", sa.Double(), nullable=False, comment="standard"),
        sa.Column("lower", sa.Double(), nullable=False, comment="end of the pointwise band"),
        sa.Column("upper", sa.Double(), nullable=False, comment="its other end"),
        sa.Column("below", sa.Double(), nullable=False, comment="share of models at or below x"),
        sa.ForeignKeyConstraint(
            ["analysis_id"],
            ["store.analyses.analysis_id"],
            name=op.f("gam_curves_analysis_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint(
            "analysis_id", "response", "version", "position", "point", name=op.f("gam_curves_pkey")
        ),
        schema="store",
    )
