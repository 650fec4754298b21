"""Create what evaluations need: benchmarks, items, runs with packed outcomes, names.

Why: outcomes are kept packed, one row a run: as rows of their own they take 67 bytes each, packed
a fraction of one. Bits are stored as they are, since compressing them saves nothing and makes
every question about all runs of a benchmark slower.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

ALIAS_SOURCES = "source IN ('rename', 'case', 'card', 'user', 'evaluation')"
ALIAS_SOURCES_BEFORE = "source IN ('rename', 'case', 'card', 'user')"


def upgrade() -> None:
    """Create the tables."""
    op.drop_constraint("model_aliases_source_check", "model_aliases", schema="store")
    op.create_check_constraint(
        op.f("model_aliases_source_check"), "model_aliases", ALIAS_SOURCES, schema="store"
    )
    op.create_table(
        "answers",
        sa.Column(
            "model_id", sa.BigInteger(), autoincrement=False, nullable=False, comment="the model"
        ),
        sa.Column(
            "run_id", sa.BigInteger(), autoincrement=False, nullable=False, comment="of runs"
        ),
        sa.Column("benchmark_id", sa.Integer(), nullable=False, comment="the benchmark"),
        sa.Column(
            "codes",
            sa.LargeBinary(),
            nullable=True,
            comment="by ordinal: 1, 2 or 4 bytes, place in texts from 1; 0 for none",
        ),
        sa.Column(
            "texts", postgresql.ARRAY(sa.Text()), nullable=True, comment="the distinct answers"
        ),
        sa.Column(
            "input_tokens", postgresql.ARRAY(sa.Integer()), nullable=True, comment="by ordinal"
        ),
        sa.Column(
            "output_tokens", postgresql.ARRAY(sa.Integer()), nullable=True, comment="by ordinal"
        ),
        sa.Column(
            "latencies",
            postgresql.ARRAY(sa.REAL()),
            nullable=True,
            comment="by ordinal, milliseconds",
        ),
        sa.PrimaryKeyConstraint("model_id", "run_id", name=op.f("answers_pkey")),
        schema="store",
    )
    op.create_index(
        "answers_benchmark_id_idx", "answers", ["benchmark_id"], unique=False, schema="store"
    )
    op.create_table(
        "benchmarks",
        sa.Column("benchmark_id", sa.Integer(), sa.Identity(always=True), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column(
            "version", sa.Text(), nullable=False, comment="empty where no source knows of one"
        ),
        sa.Column("domain", sa.Text(), nullable=True),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("url", sa.Text(), nullable=True, comment="where it is from"),
        sa.Column(
            "item_count",
            sa.Integer(),
            server_default=sa.text("0"),
            nullable=False,
            comment="number of its items; also the next ordinal",
        ),
        sa.Column(
            "measure_id",
            sa.Integer(),
            nullable=True,
            comment="of measures: the one that leaderboards show",
        ),
        sa.PrimaryKeyConstraint("benchmark_id", name=op.f("benchmarks_pkey")),
        sa.UniqueConstraint("name", "version", name=op.f("benchmarks_name_version_key")),
        schema="store",
    )
    op.create_table(
        "evaluated_names",
        sa.Column("name_id", sa.Integer(), sa.Identity(always=True), nullable=False),
        sa.Column("name", sa.Text(), nullable=False, comment="as a source spells it"),
        sa.Column(
            "model_id",
            sa.BigInteger(),
            nullable=False,
            comment="the model; a stub of this name where it is unresolved",
        ),
        sa.Column("method", sa.Text(), nullable=False, comment="one of NAME_METHODS"),
        sa.Column("confidence", sa.REAL(), nullable=False, comment="in [0, 1]"),
        sa.CheckConstraint(
            "method IN ('exact', 'alias', 'case', 'harness', 'tail', 'user', 'unresolved')",
            name=op.f("evaluated_names_method_check"),
        ),
        sa.PrimaryKeyConstraint("name_id", name=op.f("evaluated_names_pkey")),
        sa.UniqueConstraint("name", name=op.f("evaluated_names_name_key")),
        schema="store",
    )
    op.create_index(
        "evaluated_names_model_id_idx",
        "evaluated_names",
        ["model_id"],
        unique=False,
        schema="store",
    )
    op.create_index(
        "evaluated_names_unresolved_idx",
        "evaluated_names",
        ["name_id"],
        unique=False,
        schema="store",
        postgresql_where=sa.text("method = 'unresolved'"),
    )
    op.create_table(
        "imports",
        sa.Column("import_id", sa.Integer(), sa.Identity(always=True), nullable=False),
        sa.Column("path", sa.Text(), nullable=False, comment="as it was given"),
        sa.Column("format", sa.Text(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False, comment="of the file"),
        sa.Column(
            "imported_at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="since when it is the newest of its path, UTC",
        ),
        sa.Column(
            "summary",
            postgresql.JSONB(),
            nullable=False,
            comment="counts, and what was left out",
        ),
        sa.PrimaryKeyConstraint("import_id", name=op.f("imports_pkey")),
        sa.UniqueConstraint(
            "path", "sha256", "format", name=op.f("imports_path_sha256_format_key")
        ),
        schema="store",
    )
    op.create_table(
        "item_statistics",
        sa.Column(
            "benchmark_id",
            sa.Integer(),
            autoincrement=False,
            nullable=False,
            comment="the benchmark",
        ),
        sa.Column(
            "models",
            postgresql.ARRAY(sa.Integer()),
            nullable=False,
            comment="by ordinal: number of models observed",
        ),
        sa.Column(
            "means",
            postgresql.ARRAY(sa.REAL()),
            nullable=False,
            comment="by ordinal: their mean outcome; NaN where none",
        ),
        sa.PrimaryKeyConstraint("benchmark_id", name=op.f("item_statistics_pkey")),
        schema="store",
    )
    op.create_table(
        "items",
        sa.Column(
            "benchmark_id",
            sa.Integer(),
            autoincrement=False,
            nullable=False,
            comment="the benchmark",
        ),
        sa.Column("ordinal", sa.Integer(), autoincrement=False, nullable=False, comment="from 0"),
        sa.Column("item", sa.Text(), nullable=False, comment="name by which its source knows it"),
        sa.Column(
            "content_hash",
            sa.Uuid(),
            nullable=True,
            comment="of prompt and choices, where they are known",
        ),
        sa.Column("prompt", sa.Text(), nullable=True),
        sa.Column(
            "choices",
            postgresql.ARRAY(sa.Text()),
            server_default=sa.text("'{}'"),
            nullable=False,
            comment="what there is to choose from",
        ),
        sa.Column("answer", sa.Text(), nullable=True, comment="the right one"),
        sa.Column("domain", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("benchmark_id", "ordinal", name=op.f("items_pkey")),
        sa.UniqueConstraint("item", "benchmark_id", name=op.f("items_item_key")),
        schema="store",
    )
    op.create_index(
        "items_content_hash_idx",
        "items",
        ["benchmark_id", "content_hash"],
        unique=False,
        schema="store",
        postgresql_where=sa.text("content_hash IS NOT NULL"),
    )
    op.create_table(
        "measures",
        sa.Column("measure_id", sa.Integer(), sa.Identity(always=True), nullable=False),
        sa.Column("benchmark_id", sa.Integer(), nullable=False, comment="the benchmark"),
        sa.Column("metric", sa.Text(), nullable=False),
        sa.Column(
            "filter",
            sa.Text(),
            nullable=False,
            comment="how answers were extracted; empty if plainly",
        ),
        sa.Column(
            "lower", sa.Double(), nullable=True, comment="raw score of the worst; null: no bound"
        ),
        sa.Column(
            "upper", sa.Double(), nullable=True, comment="raw score of the best; null: no bound"
        ),
        sa.Column("higher_is_better", sa.Boolean(), nullable=False),
        sa.Column("random_baseline", sa.Double(), nullable=True, comment="raw score of guessing"),
        sa.Column("unit", sa.Text(), nullable=True, comment="null for a share"),
        sa.PrimaryKeyConstraint("measure_id", name=op.f("measures_pkey")),
        sa.UniqueConstraint(
            "benchmark_id",
            "metric",
            "filter",
            "lower",
            "upper",
            "unit",
            name=op.f("measures_key"),
            postgresql_nulls_not_distinct=True,
        ),
        schema="store",
    )
    op.create_table(
        "runs",
        sa.Column(
            "model_id", sa.BigInteger(), autoincrement=False, nullable=False, comment="the model"
        ),
        sa.Column(
            "run_id", sa.BigInteger(), autoincrement=False, nullable=False, comment="fingerprint"
        ),
        sa.Column("score", sa.Double(), nullable=True, comment="raw"),
        sa.Column("evaluated_at", sa.DateTime(timezone=True), nullable=True, comment="UTC"),
        sa.Column("benchmark_id", sa.Integer(), nullable=False, comment="the benchmark"),
        sa.Column("measure_id", sa.Integer(), nullable=False, comment="of measures"),
        sa.Column("setup_id", sa.Integer(), nullable=False, comment="of setups"),
        sa.Column("source_id", sa.Integer(), nullable=False, comment="of sources"),
        sa.Column(
            "name_id",
            sa.Integer(),
            nullable=False,
            comment="of evaluated_names: how the source spells it",
        ),
        sa.Column(
            "import_id", sa.Integer(), nullable=True, comment="of imports: what wrote it last"
        ),
        sa.Column("item_count", sa.Integer(), nullable=True, comment="items that the score is of"),
        sa.Column("standard_error", sa.REAL(), nullable=True, comment="of the raw score"),
        sa.Column(
            "complete", sa.Boolean(), nullable=False, comment="false where limited to some items"
        ),
        sa.Column("verified", sa.Boolean(), nullable=False, comment="vouched for by its source"),
        sa.Column(
            "right_bits",
            postgresql.BIT(varying=True),
            nullable=True,
            comment="by ordinal: outcome of at least 0.5; null where only the score is known",
        ),
        sa.Column(
            "present_bits",
            postgresql.BIT(varying=True),
            nullable=True,
            comment="by ordinal: observed; null: all of right_bits",
        ),
        sa.Column(
            "grades",
            postgresql.ARRAY(sa.REAL()),
            nullable=True,
            comment="by ordinal: outcomes; null where all are 0 or 1",
        ),
        sa.Column("revision", sa.Text(), nullable=True, comment="of the model"),
        sa.PrimaryKeyConstraint("model_id", "run_id", name=op.f("runs_pkey")),
        schema="store",
    )
    op.create_index("runs_benchmark_id_idx", "runs", ["benchmark_id"], unique=False, schema="store")
    op.create_index("runs_name_id_idx", "runs", ["name_id"], unique=False, schema="store")
    op.create_index("runs_import_id_idx", "runs", ["import_id"], unique=False, schema="store")
    op.create_table(
        "setups",
        sa.Column("setup_id", sa.Integer(), sa.Identity(always=True), nullable=False),
        sa.Column("fingerprint", sa.Uuid(), nullable=False),
        sa.Column("harness", sa.Text(), nullable=True),
        sa.Column("harness_version", sa.Text(), nullable=True),
        sa.Column("task_version", sa.Text(), nullable=True),
        sa.Column("shots", sa.Integer(), nullable=True, comment="examples in the prompt"),
        sa.Column("prompt_template", sa.Text(), nullable=True),
        sa.Column("chat_template", sa.Text(), nullable=True, comment="empty if none was used"),
        sa.Column("precision", sa.Text(), nullable=True),
        sa.Column("details", postgresql.JSONB(), nullable=False),
        sa.PrimaryKeyConstraint("setup_id", name=op.f("setups_pkey")),
        sa.UniqueConstraint("fingerprint", name=op.f("setups_fingerprint_key")),
        schema="store",
    )
    op.create_table(
        "sources",
        sa.Column("source_id", sa.Integer(), sa.Identity(always=True), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("url", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("source_id", name=op.f("sources_pkey")),
        sa.UniqueConstraint("name", name=op.f("sources_name_key")),
        schema="store",
    )
    op.create_table(
        "pending_evaluations",
        sa.Column(
            "model_id", sa.BigInteger(), autoincrement=False, nullable=False, comment="the model"
        ),
        sa.Column(
            "eval_results",
            postgresql.JSONB(),
            nullable=True,
            comment="of .eval_results; those of model-index are in the card",
        ),
        sa.PrimaryKeyConstraint("model_id", name=op.f("pending_evaluations_pkey")),
        schema="store",
    )
    op.execute("ALTER TABLE store.runs ALTER right_bits SET STORAGE EXTERNAL")


def downgrade() -> None:
    """Drop them, and the aliases that evaluations brought."""
    op.execute("DELETE FROM store.model_aliases WHERE source = 'evaluation'")
    op.drop_constraint("model_aliases_source_check", "model_aliases", schema="store")
    op.create_check_constraint(
        op.f("model_aliases_source_check"), "model_aliases", ALIAS_SOURCES_BEFORE, schema="store"
    )
    op.drop_table("sources", schema="store")
    op.drop_table("setups", schema="store")
    op.drop_table("pending_evaluations", schema="store")
    op.drop_index("runs_import_id_idx", table_name="runs", schema="store")
    op.drop_index("runs_name_id_idx", table_name="runs", schema="store")
    op.drop_index("runs_benchmark_id_idx", table_name="runs", schema="store")
    op.drop_table("runs", schema="store")
    op.drop_table("measures", schema="store")
    op.drop_index(
        "items_content_hash_idx",
        table_name="items",
        schema="store",
        postgresql_where=sa.text("content_hash IS NOT NULL"),
    )
    op.drop_table("items", schema="store")
    op.drop_table("item_statistics", schema="store")
    op.drop_table("imports", schema="store")
    op.drop_index(
        "evaluated_names_unresolved_idx",
        table_name="evaluated_names",
        schema="store",
        postgresql_where=sa.text("method = 'unresolved'"),
    )
    op.drop_index("evaluated_names_model_id_idx", table_name="evaluated_names", schema="store")
    op.drop_table("evaluated_names", schema="store")
    op.drop_table("benchmarks", schema="store")
    op.drop_index("answers_benchmark_id_idx", table_name="answers", schema="store")
    op.drop_table("answers", schema="store")
