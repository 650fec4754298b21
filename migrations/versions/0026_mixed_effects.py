"""Add effects in mixed models of scores.

Why: models of one family are not independent, and what is significant without them may not be.
"""

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "mixed_effects",
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
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False, comment="from 0"),
        sa.Column("kind", sa.Text(), nullable=False, comment="fixed, test or random"),
        sa.Column("term", sa.Text(), nullable=False, comment="grouping, time, parent or residual"),
        sa.Column("group_name", sa.Text(), nullable=True, comment="of a fixed effect"),
        sa.Column("reference", sa.Text(), nullable=True, comment="group that it is compared with"),
        sa.Column("n", sa.Integer(), nullable=False, comment="scores of the group, or all"),
        sa.Column("groups", sa.Integer(), nullable=True, comment="of a random effect, or tested"),
        sa.Column(
            "estimate",
            sa.Double(),
            nullable=True,
            comment="difference, or deviation of a random effect",
        ),
        sa.Column("error", sa.Double(), nullable=True, comment="its standard error"),
        sa.Column("lower", sa.Double(), nullable=True, comment="end of its interval"),
        sa.Column("upper", sa.Double(), nullable=True, comment="its other end"),
        sa.Column(
            "share", sa.Double(), nullable=True, comment="of the variance, of a random effect"
        ),
        sa.Column("statistic", sa.Double(), nullable=True, comment="t, or F of a test"),
        sa.Column(
            "df", sa.Double(), nullable=True, comment="degrees of freedom of its denominator"
        ),
        sa.Column("p", sa.Double(), nullable=True, comment="of no effect"),
        sa.Column(
            "holm",
            sa.Double(),
            nullable=True,
            comment="corrected for the number of effects of its kind",
        ),
        sa.Column(
            "plain_estimate", sa.Double(), nullable=True, comment="as if models were independent"
        ),
        sa.Column("plain_error", sa.Double(), nullable=True, comment="likewise"),
        sa.Column("plain_p", sa.Double(), nullable=True, comment="likewise"),
        sa.ForeignKeyConstraint(
            ["analysis_id"],
            ["store.analyses.analysis_id"],
            name=op.f("mixed_effects_analysis_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint(
            "analysis_id", "benchmark", "version", "position", name=op.f("mixed_effects_pkey")
        ),
        schema="store",
    )


def downgrade() -> None:
    """Drop it; analyses are computed again from scores."""
    op.drop_table("mixed_effects", schema="store")
    op.execute("DELETE FROM store.analyses WHERE kind = 'mixed'")
