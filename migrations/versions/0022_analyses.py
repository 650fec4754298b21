"""Add statistical analyses of scores, and their results.

Why: which differences between groups of models are more than chance is to be repeated and queried.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    _analyses()
    _analysis_groups()
    _anova_results()
    _tukey_results()
    _correlation_results()


def downgrade() -> None:
    """Drop them; analyses are computed again from scores."""
    for table in (
        "correlation_results", "tukey_results", "anova_results", "analysis_groups", "analyses",
    ):  # fmt: skip
        op.drop_table(table, schema="store")


def _analyses() -> None:
    op.create_table(
        "analyses",
        sa.Column("analysis_id", sa.Integer(), sa.Identity(always=True), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False, comment="what it computes, such as anova"),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, comment="UTC"),
        sa.Column(
            "slice", sa.Text(), nullable=True, comment="SQL condition on models; null for all"
        ),
        sa.Column(
            "options",
            postgresql.JSONB(),
            nullable=False,
            comment="grouping, cuts, level, benchmarks, least, most, complete",
        ),
        sa.Column("model_count", sa.Integer(), nullable=False, comment="models with a score"),
        sa.Column("row_count", sa.Integer(), nullable=False, comment="scores"),
        sa.Column(
            "request",
            sa.Text(),
            nullable=False,
            comment="digest of kind, slice, options, code version and libraries",
        ),
        sa.Column(
            "data_fingerprint", sa.Text(), nullable=False, comment="of scores, groups and sizes"
        ),
        sa.Column("code_version", sa.Text(), nullable=False, comment="of the registry"),
        sa.Column("libraries", postgresql.JSONB(), nullable=False, comment="versions by name"),
        sa.Column("seed", sa.BigInteger(), nullable=True, comment="null where nothing is drawn"),
        sa.Column("seconds", sa.Double(), nullable=False, comment="that it took"),
        sa.Column(
            "notes",
            postgresql.ARRAY(sa.Text()),
            server_default=sa.text("'{}'"),
            nullable=False,
            comment="what was left out, and why",
        ),
        sa.PrimaryKeyConstraint("analysis_id", name=op.f("analyses_pkey")),
        schema="store",
    )
    op.create_index(
        "analyses_request_data_fingerprint_idx",
        "analyses",
        ["request", "data_fingerprint"],
        unique=True,
        schema="store",
    )


def _analysis_groups() -> None:
    op.create_table(
        "analysis_groups",
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
        sa.Column(
            "position",
            sa.Integer(),
            nullable=False,
            comment="of the group, in the order of size or name",
        ),
        sa.Column("n", sa.Integer(), nullable=False, comment="scores"),
        sa.Column("mean", sa.Double(), nullable=False),
        sa.Column("median", sa.Double(), nullable=False),
        sa.Column("deviation", sa.Double(), nullable=False, comment="standard, of the scores"),
        sa.ForeignKeyConstraint(
            ["analysis_id"],
            ["store.analyses.analysis_id"],
            name=op.f("analysis_groups_analysis_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint(
            "analysis_id", "benchmark", "version", "group_name", name=op.f("analysis_groups_pkey")
        ),
        schema="store",
    )


def _anova_results() -> None:
    op.create_table(
        "anova_results",
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
        sa.Column("n", sa.Integer(), nullable=False, comment="scores"),
        sa.Column("groups", sa.Integer(), nullable=False),
        sa.Column(
            "f",
            sa.Double(),
            nullable=True,
            comment="ratio of the variance between groups to that within",
        ),
        sa.Column("df_between", sa.Integer(), nullable=False),
        sa.Column("df_within", sa.Integer(), nullable=False),
        sa.Column("p", sa.Double(), nullable=True, comment="of f"),
        sa.Column(
            "holm", sa.Double(), nullable=True, comment="p corrected for the number of benchmarks"
        ),
        sa.Column(
            "benjamini_hochberg",
            sa.Double(),
            nullable=True,
            comment="likewise, for the share of false findings",
        ),
        sa.Column(
            "eta_squared",
            sa.Double(),
            nullable=True,
            comment="share of the variance that groups explain",
        ),
        sa.Column(
            "omega_squared", sa.Double(), nullable=True, comment="estimate of it in the population"
        ),
        sa.Column(
            "effect_lower", sa.Double(), nullable=True, comment="end of the interval of that share"
        ),
        sa.Column("effect_upper", sa.Double(), nullable=True, comment="its other end"),
        sa.Column(
            "welch_f", sa.Double(), nullable=True, comment="ratio that needs no equal variances"
        ),
        sa.Column("welch_df", sa.Double(), nullable=True, comment="its degrees of freedom within"),
        sa.Column("welch_p", sa.Double(), nullable=True, comment="of it"),
        sa.Column(
            "welch_holm",
            sa.Double(),
            nullable=True,
            comment="corrected for the number of benchmarks",
        ),
        sa.Column("kruskal_h", sa.Double(), nullable=True, comment="statistic of ranks"),
        sa.Column("kruskal_p", sa.Double(), nullable=True, comment="of it"),
        sa.Column(
            "kruskal_holm",
            sa.Double(),
            nullable=True,
            comment="corrected for the number of benchmarks",
        ),
        sa.Column(
            "levene",
            sa.Double(),
            nullable=True,
            comment="statistic of equal variances, by Brown and Forsythe",
        ),
        sa.Column("levene_p", sa.Double(), nullable=True, comment="of it"),
        sa.Column("skewness", sa.Double(), nullable=True, comment="of the residuals"),
        sa.Column(
            "kurtosis", sa.Double(), nullable=True, comment="of the residuals, in excess of 3"
        ),
        sa.Column("normality_p", sa.Double(), nullable=True, comment="of normal residuals"),
        sa.Column(
            "verdict",
            sa.Text(),
            nullable=False,
            comment="differ, unclear, no difference found or unknown",
        ),
        sa.ForeignKeyConstraint(
            ["analysis_id"],
            ["store.analyses.analysis_id"],
            name=op.f("anova_results_analysis_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint(
            "analysis_id", "benchmark", "version", name=op.f("anova_results_pkey")
        ),
        schema="store",
    )


def _tukey_results() -> None:
    op.create_table(
        "tukey_results",
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
        sa.Column("group_name", sa.Text(), nullable=False, comment="first of the pair"),
        sa.Column("other_group", sa.Text(), nullable=False, comment="second of the pair"),
        sa.Column("n", sa.Integer(), nullable=False, comment="scores of the first"),
        sa.Column("other_n", sa.Integer(), nullable=False, comment="of the second"),
        sa.Column(
            "difference",
            sa.Double(),
            nullable=False,
            comment="mean of the first minus the second's",
        ),
        sa.Column(
            "p",
            sa.Double(),
            nullable=True,
            comment="of Tukey; corrected for the pairs of the benchmark",
        ),
        sa.Column("lower", sa.Double(), nullable=True, comment="end of the simultaneous interval"),
        sa.Column("upper", sa.Double(), nullable=True, comment="its other end"),
        sa.Column(
            "games_howell_p",
            sa.Double(),
            nullable=True,
            comment="likewise, without equal variances",
        ),
        sa.Column("games_howell_lower", sa.Double(), nullable=True, comment="end of its interval"),
        sa.Column("games_howell_upper", sa.Double(), nullable=True, comment="its other end"),
        sa.Column(
            "anova_p",
            sa.Double(),
            nullable=True,
            comment="of the analysis of variance of the benchmark",
        ),
        sa.Column(
            "levene_p", sa.Double(), nullable=True, comment="of equal variances on the benchmark"
        ),
        sa.Column(
            "differs",
            sa.Boolean(),
            nullable=True,
            comment="by Tukey, where the analysis of variance finds a difference",
        ),
        sa.Column(
            "verdict",
            sa.Text(),
            nullable=False,
            comment="higher, lower or no difference found, by the test that fits the variances",
        ),
        sa.ForeignKeyConstraint(
            ["analysis_id"],
            ["store.analyses.analysis_id"],
            name=op.f("tukey_results_analysis_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint(
            "analysis_id",
            "benchmark",
            "version",
            "group_name",
            "other_group",
            name=op.f("tukey_results_pkey"),
        ),
        schema="store",
    )


def _correlation_results() -> None:
    op.create_table(
        "correlation_results",
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
            "other", sa.Text(), nullable=False, comment="canonical name of the other benchmark"
        ),
        sa.Column("other_version", sa.Text(), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False, comment="models with both scores"),
        sa.Column("pearson", sa.Double(), nullable=True, comment="linear correlation"),
        sa.Column("pearson_lower", sa.Double(), nullable=True, comment="end of its interval"),
        sa.Column("pearson_upper", sa.Double(), nullable=True, comment="its other end"),
        sa.Column("pearson_p", sa.Double(), nullable=True, comment="of none"),
        sa.Column(
            "pearson_holm", sa.Double(), nullable=True, comment="corrected for the number of pairs"
        ),
        sa.Column("spearman", sa.Double(), nullable=True, comment="correlation of ranks"),
        sa.Column("spearman_lower", sa.Double(), nullable=True, comment="end of its interval"),
        sa.Column("spearman_upper", sa.Double(), nullable=True, comment="its other end"),
        sa.Column("spearman_p", sa.Double(), nullable=True, comment="of none"),
        sa.Column(
            "spearman_holm", sa.Double(), nullable=True, comment="corrected for the number of pairs"
        ),
        sa.Column("partial_n", sa.Integer(), nullable=False, comment="those whose size is known"),
        sa.Column(
            "partial", sa.Double(), nullable=True, comment="linear correlation given log size"
        ),
        sa.Column("partial_lower", sa.Double(), nullable=True, comment="end of its interval"),
        sa.Column("partial_upper", sa.Double(), nullable=True, comment="its other end"),
        sa.Column("partial_p", sa.Double(), nullable=True, comment="of none"),
        sa.Column(
            "partial_holm", sa.Double(), nullable=True, comment="corrected for the number of pairs"
        ),
        sa.Column(
            "partial_spearman",
            sa.Double(),
            nullable=True,
            comment="correlation of ranks given that of size",
        ),
        sa.Column(
            "partial_spearman_lower", sa.Double(), nullable=True, comment="end of its interval"
        ),
        sa.Column("partial_spearman_upper", sa.Double(), nullable=True, comment="its other end"),
        sa.ForeignKeyConstraint(
            ["analysis_id"],
            ["store.analyses.analysis_id"],
            name=op.f("correlation_results_analysis_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint(
            "analysis_id",
            "benchmark",
            "version",
            "other",
            "other_version",
            name=op.f("correlation_results_pkey"),
        ),
        schema="store",
    )
