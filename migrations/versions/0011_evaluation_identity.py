"""Add what tells evaluations apart and together: benchmark names, variants, model facts, changes.

Why: sources name one benchmark in several ways, run systems that are more than their model, state
facts of models, and have outcomes on a part of a score's items. Scores that a new version reads
otherwise are listed with both values.

The run that leaderboards show is kept for each model and benchmark: a join of leaderboards ranked
all runs once a row, as planners do not know how many rows a rank leaves. Triggers keep it, so that
whatever changes runs need not think of it.
"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_MEASURE_KEY = ["benchmark_id", "metric", "filter", "lower", "upper", "unit"]


RENEW_SHOWN_RUNS = """
CREATE FUNCTION store.renew_shown_runs() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
    -- Within a migration there is none; afterwards all are computed again.
    IF to_regclass('store.ranked_runs') IS NULL THEN
        RETURN NULL;
    ELSIF TG_TABLE_NAME = 'benchmarks' THEN
        PERFORM store.show_runs(array_agg(r.model_id), array_agg(r.benchmark_id))
           FROM (SELECT DISTINCT model_id, benchmark_id FROM store.runs
                  WHERE benchmark_id = NEW.benchmark_id) r;
    ELSIF TG_OP = 'INSERT' THEN
        PERFORM store.show_runs(array_agg(r.model_id), array_agg(r.benchmark_id))
           FROM (SELECT DISTINCT model_id, benchmark_id FROM added) r;
    ELSIF TG_OP = 'DELETE' THEN
        PERFORM store.show_runs(array_agg(r.model_id), array_agg(r.benchmark_id))
           FROM (SELECT DISTINCT model_id, benchmark_id FROM removed) r;
    ELSE
        -- Packed outcomes do not matter, and comparing them takes long.
        PERFORM store.show_runs(array_agg(r.model_id), array_agg(r.benchmark_id))
           FROM (
        WITH before AS (
            SELECT model_id, benchmark_id, run_id, evaluated_at, measure_id, setup_id, source_id,
                   item_count, complete, verified, right_bits IS NULL, revision, outcome_count
              FROM removed
        ), after AS (
            SELECT model_id, benchmark_id, run_id, evaluated_at, measure_id, setup_id, source_id,
                   item_count, complete, verified, right_bits IS NULL, revision, outcome_count
              FROM added
        )
        SELECT DISTINCT model_id, benchmark_id
          FROM ((TABLE before EXCEPT ALL TABLE after)
                UNION ALL (TABLE after EXCEPT ALL TABLE before)) changed) r;
    END IF;
    RETURN NULL;
END;
$$;

CREATE TRIGGER runs_shown_after_insert AFTER INSERT ON store.runs
    REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION store.renew_shown_runs();

CREATE TRIGGER runs_shown_after_delete AFTER DELETE ON store.runs
    REFERENCING OLD TABLE AS removed
    FOR EACH STATEMENT EXECUTE FUNCTION store.renew_shown_runs();

CREATE TRIGGER runs_shown_after_update AFTER UPDATE ON store.runs
    REFERENCING OLD TABLE AS removed NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION store.renew_shown_runs();

CREATE TRIGGER benchmarks_shown_runs AFTER UPDATE ON store.benchmarks
    FOR EACH ROW WHEN (OLD.measure_id IS DISTINCT FROM NEW.measure_id)
    EXECUTE FUNCTION store.renew_shown_runs();
"""


def upgrade() -> None:
    """Create the tables and add the columns."""
    op.create_table(
        "benchmark_aliases",
        sa.Column("alias", sa.Text(), nullable=False),
        sa.Column("benchmark", sa.Text(), nullable=False, comment="canonical name"),
        sa.Column(
            "variant",
            sa.Text(),
            nullable=True,
            comment="prompting that the alias stands for, such as cot; null: the plain one",
        ),
        sa.Column("source", sa.Text(), nullable=False, comment="registry or user"),
        sa.Column("confidence", sa.REAL(), nullable=False, comment="in (0, 1]"),
        sa.PrimaryKeyConstraint("alias", name=op.f("benchmark_aliases_pkey")),
        schema="store",
    )
    op.create_index(
        "benchmark_aliases_key_idx",
        "benchmark_aliases",
        [sa.literal_column("translate(lower(alias), '-_ ', '')")],
        schema="store",
    )
    op.create_table(
        "model_facts",
        sa.Column(
            "model_id", sa.BigInteger(), autoincrement=False, nullable=False, comment="the model"
        ),
        sa.Column(
            "source_id", sa.Integer(), autoincrement=False, nullable=False, comment="of sources"
        ),
        sa.Column(
            "fact", sa.Text(), nullable=False, comment="such as parameters, license, base_model"
        ),
        sa.Column("value", sa.Text(), nullable=False, comment="as the registry reads it"),
        sa.Column("import_id", sa.Integer(), nullable=True, comment="of imports: the file"),
        sa.PrimaryKeyConstraint("model_id", "source_id", "fact", name=op.f("model_facts_pkey")),
        schema="store",
    )
    op.create_table(
        "score_changes",
        sa.Column(
            "model_id", sa.BigInteger(), autoincrement=False, nullable=False, comment="the model"
        ),
        sa.Column("run_id", sa.BigInteger(), nullable=False, comment="of runs"),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False, comment="UTC"),
        sa.Column("old_score", sa.Double(), nullable=True, comment="share, or raw without bounds"),
        sa.Column("new_score", sa.Double(), nullable=True, comment="likewise; null: not measured"),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=True, comment="of the model then"),
        sa.Column("benchmark_id", sa.Integer(), nullable=True, comment="the benchmark then"),
        sa.Column("measure_id", sa.Integer(), nullable=True, comment="of measures, then"),
        sa.Column("import_id", sa.Integer(), nullable=True, comment="of imports, then"),
        sa.PrimaryKeyConstraint(
            "model_id", "run_id", "changed_at", name=op.f("score_changes_pkey")
        ),
        schema="store",
    )
    op.create_table(
        "restated_runs",
        sa.Column(
            "run_id", sa.BigInteger(), autoincrement=False, nullable=False, comment="of runs"
        ),
        sa.Column(
            "import_id",
            sa.Integer(),
            autoincrement=False,
            nullable=False,
            comment="of imports: a file that states the run, besides the one that the run is of",
        ),
        sa.Column(
            "with_outcomes", sa.Boolean(), nullable=False, comment="whether it states outcomes"
        ),
        sa.PrimaryKeyConstraint("run_id", "import_id", name=op.f("restated_runs_pkey")),
        schema="store",
    )
    op.create_index("restated_runs_import_id_idx", "restated_runs", ["import_id"], schema="store")
    op.add_column(
        "benchmarks",
        sa.Column(
            "canonical", sa.Text(), nullable=True, comment="canonical name; null: its own name"
        ),
        schema="store",
    )
    op.add_column(
        "benchmarks",
        sa.Column(
            "variant",
            sa.Text(),
            nullable=True,
            comment="prompting that its name stands for, such as cot; null: the plain one",
        ),
        schema="store",
    )
    op.add_column(
        "benchmarks",
        sa.Column(
            "comparable",
            sa.Boolean(),
            server_default=sa.text("true"),
            nullable=False,
            comment="whether its shown measure is that of most models under its canonical name",
        ),
        schema="store",
    )
    op.create_index(
        "benchmarks_canonical_idx",
        "benchmarks",
        [sa.literal_column("coalesce(canonical, name)")],
        schema="store",
    )
    op.add_column(
        "setups",
        sa.Column(
            "variant",
            sa.Text(),
            nullable=True,
            comment="what makes it a system around the model, such as best-of-16; null: plain",
        ),
        schema="store",
    )
    op.add_column(
        "runs",
        sa.Column(
            "outcome_count",
            sa.Integer(),
            nullable=True,
            comment="items with an outcome; null where only the score is known",
        ),
        schema="store",
    )
    op.create_table(
        "shown_runs",
        sa.Column(
            "model_id", sa.BigInteger(), autoincrement=False, nullable=False, comment="the model"
        ),
        sa.Column(
            "benchmark_id",
            sa.Integer(),
            autoincrement=False,
            nullable=False,
            comment="the benchmark",
        ),
        sa.Column("run_id", sa.BigInteger(), nullable=False, comment="of runs: the preferred one"),
        sa.PrimaryKeyConstraint("model_id", "benchmark_id", name=op.f("shown_runs_pkey")),
        schema="store",
    )
    op.drop_index("runs_benchmark_id_idx", table_name="runs", schema="store")
    op.create_index(
        "runs_benchmark_id_model_id_idx", "runs", ["benchmark_id", "model_id"], schema="store"
    )
    op.create_index("shown_runs_benchmark_id_idx", "shown_runs", ["benchmark_id"], schema="store")
    # Planners take from it that each shown run is one run. A foreign key would say so too, but it
    # looks up every run by itself when runs are added or moved, which takes longer than the rest.
    op.create_index("runs_run_id_idx", "runs", ["run_id"], unique=True, schema="store")
    # After the indexes: one that is made over changed rows serves no query of this transaction.
    op.execute("""
        UPDATE store.runs
           SET outcome_count = coalesce(bit_count(present_bits), length(right_bits))
         WHERE right_bits IS NOT NULL""")
    op.get_bind().execution_options(no_parameters=True).exec_driver_sql(RENEW_SHOWN_RUNS)
    op.alter_column("measures", "higher_is_better", nullable=True, schema="store")
    op.drop_constraint("measures_key", "measures", schema="store")
    op.create_unique_constraint(
        "measures_key",
        "measures",
        [*_MEASURE_KEY, "higher_is_better"],
        schema="store",
        postgresql_nulls_not_distinct=True,
    )
    op.add_column(
        "imports",
        sa.Column(
            "revision", sa.Text(), nullable=True, comment="of a remote source, such as a commit"
        ),
        schema="store",
    )
    op.add_column(
        "models",
        sa.Column(
            "stored_parameters",
            sa.BigInteger(),
            nullable=True,
            comment="number of stored weights, which packed formats count in fewer numbers",
        ),
        schema="store",
    )
    op.alter_column(
        "feature_sets",
        "features",
        comment="L2-normalised; dimensions 1 to 18 are the size",
        existing_comment="L2-normalised; dimension 1 is the size",
        schema="store",
    )
    op.alter_column(
        "models",
        "parameters_source",
        comment="such as safetensors",
        existing_comment="safetensors, gguf or name",
        schema="store",
    )
    op.add_column(
        "models",
        sa.Column(
            "license_source",
            sa.Text(),
            nullable=True,
            comment="source of evaluations that states the licence; null: the Hub",
        ),
        schema="store",
    )
    op.add_column(
        "text_vectors",
        sa.Column(
            "cut",
            sa.Boolean(),
            server_default=sa.text("false"),
            nullable=False,
            comment="whether the text is longer than what the encoder reads",
        ),
        schema="store",
    )
    # Of longer texts the beginning was read, and now the end is: the next training encodes them.
    # A token has at least one character, and no model reads fewer than 128.
    op.execute("""
        DELETE FROM store.text_vectors v USING store.encoders e, store.items i
         WHERE e.encoder_id = v.encoder_id AND e.name NOT LIKE 'hashing%'
           AND i.content_hash = v.content_hash
           AND length(i.prompt) + length(array_to_string(i.choices, ' ')) > 126""")


def downgrade() -> None:
    """Drop them; a measure whose direction is not known counts as higher being better."""
    op.execute("DROP TRIGGER benchmarks_shown_runs ON store.benchmarks")
    for event in ("insert", "delete", "update"):
        op.execute(f"DROP TRIGGER runs_shown_after_{event} ON store.runs")
    op.execute("DROP FUNCTION store.renew_shown_runs()")
    op.drop_table("shown_runs", schema="store")
    op.drop_index("runs_run_id_idx", table_name="runs", schema="store")
    op.drop_index("runs_benchmark_id_model_id_idx", table_name="runs", schema="store")
    op.create_index("runs_benchmark_id_idx", "runs", ["benchmark_id"], schema="store")
    op.drop_column("text_vectors", "cut", schema="store")
    op.alter_column(
        "feature_sets",
        "features",
        comment="L2-normalised; dimension 1 is the size",
        existing_comment="L2-normalised; dimensions 1 to 18 are the size",
        schema="store",
    )
    op.alter_column(
        "models",
        "parameters_source",
        comment="safetensors, gguf or name",
        existing_comment="such as safetensors",
        schema="store",
    )
    op.drop_column("models", "license_source", schema="store")
    op.drop_column("models", "stored_parameters", schema="store")
    op.drop_column("imports", "revision", schema="store")
    op.drop_constraint("measures_key", "measures", schema="store")
    op.execute("UPDATE store.measures SET higher_is_better = true WHERE higher_is_better IS NULL")
    # Of measures that differ in their direction alone, the first holds the runs of all.
    op.execute(f"""
        CREATE TEMPORARY TABLE same_measures ON COMMIT DROP AS
        SELECT measure_id, min(measure_id) OVER (PARTITION BY {", ".join(_MEASURE_KEY)}) AS first_id
          FROM store.measures""")  # noqa: S608 - fixed names
    for table in ("runs", "benchmarks"):
        op.execute(f"""
            UPDATE store.{table} t SET measure_id = s.first_id
              FROM same_measures s
             WHERE t.measure_id = s.measure_id AND s.measure_id <> s.first_id""")  # noqa: S608
    op.execute("""
        DELETE FROM store.measures m USING same_measures s
         WHERE m.measure_id = s.measure_id AND s.measure_id <> s.first_id""")
    op.create_unique_constraint(
        "measures_key",
        "measures",
        _MEASURE_KEY,
        schema="store",
        postgresql_nulls_not_distinct=True,
    )
    op.alter_column("measures", "higher_is_better", nullable=False, schema="store")
    op.drop_column("runs", "outcome_count", schema="store")
    op.drop_column("setups", "variant", schema="store")
    op.drop_index("benchmarks_canonical_idx", table_name="benchmarks", schema="store")
    op.drop_column("benchmarks", "comparable", schema="store")
    op.drop_column("benchmarks", "variant", schema="store")
    op.drop_column("benchmarks", "canonical", schema="store")
    op.drop_table("restated_runs", schema="store")
    op.drop_table("score_changes", schema="store")
    op.drop_table("model_facts", schema="store")
    op.drop_table("benchmark_aliases", schema="store")
