"""The revisions with rows in place, and what an upgrade must not do to what is not its own."""

import re
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from alembic.script import ScriptDirectory
from databases import SETTINGS, Databases
from factories import NOON
from sqlalchemy import Connection, Engine, inspect, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError

from registry.db import connection as database
from registry.db import embedded, jobs, migrate, revisions, roles, schema, sql
from registry.db.embedded.directory import DataDirectory
from registry.db.embedded.installation import Account, find_binaries
from registry.errors import LockHeldError, RegistryError, SchemaNotAtHeadError, UsageError

REVISIONS = [
    script.revision
    for script in reversed(
        [*ScriptDirectory.from_config(migrate.alembic_config()).walk_revisions("base", "heads")]
    )
]

# What is put into the tables that each revision makes; a revision that makes one has to add a row.
ROWS: dict[str, tuple[str, ...]] = {
    "0001": (
        """INSERT INTO store.models (name, hub_id, author, state, license, tags, parameters, dtypes,
                                     first_seen, changed_at)
           VALUES ('org/base', '1', 'org', 'available', 'mit', '{gguf}', 7, '{"F16": 7}', :t, :t),
                  ('org/child', NULL, 'org', 'stub', NULL, '{}', NULL, NULL, :t, :t)""",
        "INSERT INTO store.search_vocabulary VALUES ('base', 1)",
        "INSERT INTO store.model_aliases VALUES (1, 'org/old', 'rename', 1, :t, NULL)",
        "INSERT INTO store.counters VALUES (1, 10, 100, 2, 0.5)",
        "INSERT INTO store.model_history VALUES (1, :t, 10, 100, 2, 0.5)",
        """INSERT INTO store.documents VALUES (1, '{"license": "mit"}', '{}')""",
    ),
    "0002": (
        "INSERT INTO store.edges VALUES (2, 1, 'finetune', 'tag', 1, 0)",
        "INSERT INTO store.model_families VALUES (1, 1, NULL, 0), (2, 1, 1, 1)",
    ),
    "0003": (
        """INSERT INTO store.feature_sets (fingerprint, features)
           VALUES (gen_random_uuid(), '{3:0.6,5:0.8}/16777216')""",
        "INSERT INTO store.model_features VALUES (1, 1)",
        "UPDATE store.similarity_weights SET weight = 0.25 WHERE name = 'alpha'",
    ),
    "0004": (
        "INSERT INTO store.sync_passes (scope, kind, watermark) VALUES ('hub', 'delta', :t)",
        "INSERT INTO store.sweep_pages VALUES ('hub', 1, '{1,2}')",
        "INSERT INTO store.lookups VALUES (2, :t, 'gone')",
        "INSERT INTO store.quarantine VALUES ('hub', 'org/odd', 'no name', '{}', :t)",
        "INSERT INTO store.job_runs (job, started_at, status) VALUES ('sync', :t, 'running')",
    ),
    "0005": (
        "INSERT INTO store.pending_edges VALUES (1, 'org/base', 'finetune', 'tag', 1, 0)",
        "INSERT INTO store.pending_renames VALUES ('org/old', 'org/base')",
    ),
    "0006": (
        "INSERT INTO store.benchmarks (name, version, item_count) VALUES ('arc', '1', 2)",
        """INSERT INTO store.measures (benchmark_id, metric, filter, higher_is_better)
           VALUES (1, 'acc', '', true)""",
        "UPDATE store.benchmarks SET measure_id = 1",
        "INSERT INTO store.items (benchmark_id, ordinal, item) VALUES (1, 0, 'arc.1')",
        "INSERT INTO store.item_statistics VALUES (1, '{1}', '{1}')",
        "INSERT INTO store.setups (fingerprint, details) VALUES (gen_random_uuid(), '{}')",
        "INSERT INTO store.sources (name) VALUES ('leaderboard')",
        """INSERT INTO store.imports (path, format, bytes, sha256, imported_at, summary)
           VALUES ('a.csv', 'table', 1, 'ab', :t, '{}')""",
        """INSERT INTO store.evaluated_names (name, model_id, method, confidence)
           VALUES ('org__base', 1, 'harness', 1)""",
        """INSERT INTO store.runs (model_id, run_id, benchmark_id, measure_id, setup_id, source_id,
                                   name_id, complete, verified, right_bits)
           VALUES (1, 7, 1, 1, 1, 1, 1, true, false, B'1')""",
        "INSERT INTO store.answers (model_id, run_id, benchmark_id) VALUES (1, 7, 1)",
        "INSERT INTO store.pending_evaluations VALUES (1, '[]')",
        "INSERT INTO store.model_aliases VALUES (1, 'org__base', 'evaluation', 1, NULL, NULL)",
    ),
    "0007": (
        "INSERT INTO store.encoders (name, dimension) VALUES ('hashing-512', 2)",
        "INSERT INTO store.text_vectors VALUES (1, gen_random_uuid(), '[1,0]')",
    ),
    "0008": (
        """INSERT INTO store.embedding_versions
               (method, state, created_at, dimension, serving_dimension, model_count, item_count,
                outcome_count, data_fingerprint, code_version, device, seed, seconds, settings,
                trials, metrics)
           VALUES ('mf', 'current', :t, 2, 3, 1, 1, 1, 'ab', '0', 'cpu', 0, 1, '{}', '[]', '{}')""",
        "CREATE TABLE store.embeddings_1 PARTITION OF store.embeddings FOR VALUES IN (1)",
        "ALTER TABLE store.embeddings_1 OWNER TO registry_owner",
        "INSERT INTO store.embeddings VALUES (1, 1, NULL, 'trained', '[1,2]')",
        "CREATE TABLE store.serving_vectors_1 PARTITION OF store.serving_vectors FOR VALUES IN (1)",
        "INSERT INTO store.serving_vectors VALUES (1, 1, '[1,2,3]')",
        "CREATE TABLE store.item_embeddings_1 PARTITION OF store.item_embeddings FOR VALUES IN (1)",
        "INSERT INTO store.item_embeddings VALUES (1, 0, 1, '[1,2]')",
        """INSERT INTO store.training_comparisons (compared_at, data_fingerprint, settings, seconds)
           VALUES (:t, 'ab', '{}', 1)""",
        "INSERT INTO store.training_results VALUES (1, 'A', 'mf', 'log_loss', 0.5, 0.4, 0.6, 3)",
    ),
    "0009": ("UPDATE store.embedding_versions SET placed_at = :t, likeness = '{\"words\": 1}'",),
    "0010": (
        "INSERT INTO store.priors VALUES (1, 1, 'ab')",
        "UPDATE store.embeddings SET support = 0.5, near_ids = '{1}', near_weights = '{0.5}'",
    ),
    "0011": (
        "INSERT INTO store.benchmark_aliases VALUES ('ARC', 'arc', NULL, 'user', 1)",
        "INSERT INTO store.model_facts VALUES (1, 1, 'parameters', '7000000000', 1)",
        "INSERT INTO store.score_changes VALUES (1, 7, :t, 0.8, 0.008, 'scale')",
        "INSERT INTO store.restated_runs VALUES (7, 1, false)",
        "UPDATE store.benchmarks SET canonical = 'arc', variant = 'cot'",
        "UPDATE store.setups SET variant = 'best-of-16'",
        "UPDATE store.imports SET revision = 'ab'",
        "UPDATE store.models SET stored_parameters = 7",
        "UPDATE store.text_vectors SET cut = true",
        # Last: changes of the others compute it again.
        "INSERT INTO store.shown_runs VALUES (1, 1, 7)",
    ),
    # It builds indexes again, which only versions of many vectors have.
    "0012": (),
    "0013": ("UPDATE store.embedding_versions SET unexplained = '{{0.5,0},{0,0.5}}'",),
    "0014": ("INSERT INTO store.training_choices VALUES ('ab', :t, '{}')",),
    # Its views have no rows.
    "0015": (),
    "0016": (
        """INSERT INTO store.prediction_versions
               (state, created_at, placed_at, newest_model_id, dimension, model_count,
                benchmark_count, score_count, reliable, data_fingerprint, code_version, seed,
                seconds, settings, metrics, fitted)
           VALUES ('current', :t, :t, 1, 1, 1, 1, 1, true, 'ab', '0', 0, 1, '{}', '{}', 'ab')""",
        "INSERT INTO store.prediction_intervals VALUES (1, 3, 50, '{0.9}', '{1.6}', 1.6)",
        """INSERT INTO store.benchmark_loadings
           VALUES (1, 1, 1, 1, 0, 1, 1, 1, 1, 1, 1, NULL, NULL, '[1]', '[1,0,0,0]')""",
        """INSERT INTO store.abilities VALUES (1, 1, 'scores', 1, 0.5, '[1]', '[1,1,1,1]', 1, 1,
           '{1}', '{1}')""",
        "INSERT INTO store.fitted_scores VALUES (1, 1, 1, 0.5, 0, 0.4, 1, 3)",
    ),
    "0017": (
        """UPDATE store.embedding_versions
              SET axes = ARRAY[vector '[1,0]'], item_variance = 0.5, text_residual = '{}',
                  text_map = ARRAY[vector '[1,0,1]'], text_spread = '[1]'""",
        "UPDATE store.embeddings SET variances = '[0.5]'",
    ),
    "0018": (
        """INSERT INTO store.price_offers
               (source, provider, name, model_id, method, confidence, seen_at)
           VALUES ('litellm', 'openrouter', 'org/base', 1, 'exact', 1, :t)""",
        "INSERT INTO store.prices VALUES (1, :t, NULL, 0.5, 1.5, 0.1, 4096, 'USD', false)",
    ),
    "0019": (
        """INSERT INTO store.routing_evaluations
               (evaluated_at, data_fingerprint, code_version, seed, seeds, seconds, settings,
                details)
           VALUES (:t, 'ab', '0', 0, 5, 1, '{}', '{}')""",
        "INSERT INTO store.routing_results VALUES (1, 'item', 'knn', 'aiq', 0.5, 0.4, 0.6, 9)",
        """INSERT INTO store.route_decisions
               (decided_at, model_id, name, router, version, prompt_hash, alternatives, outcome)
           VALUES (:t, 1, 'org/base', 'knn', 1, 'ab', '[]', 0.5)""",
    ),
    "0020": (
        """INSERT INTO store.route_blends
           VALUES (1, '{"[1,2]"}', 9, 8, 1, 1, 1.5, 0.1, 0.2, 0.3, 0.4, '{}')""",
        *(
            f"CREATE TABLE store.route_{name}_1 PARTITION OF store.route_{name} FOR VALUES IN (1)"
            for name in ("models", "items", "landmarks")
        ),
        "INSERT INTO store.route_models VALUES (1, 1, 1, 0.5, 9, '[1]')",
        "INSERT INTO store.route_items VALUES (1, 0, 1, '[1,2]', '[1]', NULL)",
        "INSERT INTO store.route_landmarks VALUES (1, 1, '[1,2]')",
    ),
    "0021": (
        "INSERT INTO store.domain_sets (name, source) VALUES ('ours', 'user')",
        "INSERT INTO store.domains VALUES (1, 0, 'math', false)",
        "INSERT INTO store.domain_subjects VALUES (1, 'mmlu', 'anatomy', 0)",
        """INSERT INTO store.domain_classifiers
           VALUES (1, 'minilm', 1, :t, 9, 1, 1, 1, 0, 0.5, '\\x00', '{}', '{}')""",
        "INSERT INTO store.domain_vectors VALUES (1, 0, 0, '[1,2]')",
        "INSERT INTO store.domain_scores VALUES (1, 1, 0, 20, 0.5, 0.1, 0.1)",
        "INSERT INTO store.domain_experts VALUES (1, 0, 8000000000, 1)",
    ),
    "0022": (
        """INSERT INTO store.analyses
               (kind, created_at, options, model_count, row_count, request, data_fingerprint,
                code_version, libraries, seconds)
           VALUES ('anova', :t, '{}', 9, 9, 'ab', 'cd', '0', '{}', 1)""",
        "INSERT INTO store.analysis_groups VALUES (1, 'exam', '', '3-7B', 0, 9, 0.5, 0.5, 0.1)",
        """INSERT INTO store.anova_results
               (analysis_id, benchmark, version, n, groups, df_between, df_within, verdict)
           VALUES (1, 'exam', '', 9, 2, 1, 7, 'differ')""",
        """INSERT INTO store.tukey_results
               (analysis_id, benchmark, version, group_name, other_group, n, other_n, difference,
                verdict)
           VALUES (1, 'exam', '', '3-7B', '7-13B', 4, 5, 0.1, 'higher')""",
        """INSERT INTO store.correlation_results
               (analysis_id, benchmark, version, other, other_version, n, partial_n)
           VALUES (1, 'exam', '', 'quiz', '', 9, 9)""",
    ),
    "0023": (
        "INSERT INTO store.projections VALUES (1, 'org/a', 0.5, 1.5, '3-7B')",
        """INSERT INTO store.projection_checks
               (analysis_id, layout, models, benchmarks, grouped_models, groups, verdict)
           VALUES (1, 'tsne', 9, 2, 0, 0, 'unknown')""",
        "INSERT INTO store.ability_factors VALUES (1, 1, 2.5, 1.1, true, 0.8, 0.7, 0.9, 0.8)",
        "INSERT INTO store.factor_loadings VALUES (1, 1, 'exam', '', 0.9, 0.8, 1, 0.8)",
    ),
    "0024": (
        "INSERT INTO store.gam_fits VALUES (1, 'exam', '', 30, 4, 0.5, 0.5, 0.1, true)",
        """INSERT INTO store.gam_terms
               (analysis_id, response, version, position, kind, term, term_version, edf, rank)
           VALUES (1, 'exam', '', 0, 'smooth', 'size', '', 3, 4)""",
        """INSERT INTO store.gam_curves
           VALUES (1, 'exam', '', 0, 0, 1e9, 0.1, 0.1, 0, 0.2, 0.5)""",
    ),
    "0025": (
        """INSERT INTO store.scaling_fits
               (analysis_id, benchmark, version, group_name, form, n, sizes, floor_known, held_out)
           VALUES (1, 'exam', '', 'kin', 'logistic', 9, 4, true, 0)""",
        "INSERT INTO store.scaling_points VALUES (1, 'exam', '', 'kin', 0, 1, 0, 0, 1, false)",
        "INSERT INTO store.ability_scaling VALUES (1, 'kin', 9, 0, 1, 0.5, 1.5, 0.01, 0.9, 0.8)",
    ),
    "0026": (
        """INSERT INTO store.mixed_effects
               (analysis_id, benchmark, version, position, kind, term, n)
           VALUES (1, 'exam', '', 0, 'fixed', 'size', 30)""",
    ),
    "0027": (
        """INSERT INTO store.saturation_results
               (analysis_id, benchmark, version, period, position, n, models, median,
                lower_quartile, upper_quartile, best, best_model, headroom, pairs, paired, verdict)
           VALUES (1, 'exam', '', '2024', 0, 9, 9, 1, 1, 1, 1, 'a', 0, 0, false, 'unknown')
        """,
    ),
    "0028": (),
    "0029": (),
    "0030": (
        """INSERT INTO store.preference_ratings
           VALUES (1, 'org/a', 1010.5, 1000, 1020, 1, 1, 2, 9, 1, 4, 14, NULL)""",
    ),
    "0031": (),
}

SAMPLES = {
    "text": "'org/a'",
    "bigint": "1",
    "integer": "1",
    "double precision": "0.5",
    "double precision[]": "'{}'",
    "text[]": "'{}'",
    "timestamp with time zone": "'2026-01-01'",
    "jsonb": "'{}'",
    "boolean": "true",
    "public.vector": "NULL",
    "public.vector[]": "NULL",
    "sort": "'name'",  # by the argument's name
    "by_source": "NULL",
    "by_variant": "'plain'",
    "tier": "'8B'",
    "choices": "2",
}


@pytest.fixture
def empty(empty_database_url: str) -> Iterator[Engine]:
    opened = database.create_engine(empty_database_url)
    yield opened
    opened.dispose()


@pytest.fixture(scope="module")
def bare_server() -> Iterator[str]:
    """The URL of a server where no roles of the registry exist yet."""
    directory = Path(tempfile.mkdtemp(prefix="registry-bare-", dir="/tmp"))
    directory.chmod(0o755)
    try:
        yield embedded.start(directory, keep=True, settings=SETTINGS).url
    finally:
        embedded.stop(directory)
        shutil.rmtree(directory)


@pytest.fixture
def bare(bare_server: str) -> Iterator[Engine]:
    """A database of its own on `bare_server`, with the extensions, and again no roles."""
    engine = database.create_engine(bare_server).execution_options(isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql("CREATE DATABASE fresh")
    fresh = database.create_engine(make_url(bare_server).set(database="fresh"))
    with fresh.begin() as connection:
        for extension in ("vector", "pg_trgm"):
            connection.exec_driver_sql(f"CREATE EXTENSION {extension}")
    yield fresh
    with engine.connect() as connection:
        connection.exec_driver_sql("DROP DATABASE fresh WITH (FORCE)")
        for role in connection.scalars(
            text("SELECT rolname FROM pg_roles WHERE rolname ~ '^(registry_|visitor_)'")
        ).all():
            connection.exec_driver_sql(f"DROP ROLE {role}")


def dump(engine: Engine, *options: str) -> str:
    """Everything in the database, as pg_dump writes it."""
    binaries = find_binaries(DataDirectory(Path("/nonexistent")), Account())
    url = engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    ran = subprocess.run(
        [binaries / "pg_dump", "--restrict-key=none", *options, url],
        check=True,
        capture_output=True,
        text=True,
    )
    return ran.stdout


@contextmanager
def changing_nothing(engine: Engine) -> Iterator[None]:
    before = dump(engine)
    yield
    assert dump(engine) == before


def contents(connection: Connection) -> dict[str, list[dict[str, Any]]]:
    """All rows of all tables, apart from those that say what is installed."""
    return {
        table: sorted(
            (
                dict(row)
                for row in connection.execute(text(f"SELECT * FROM store.{table}")).mappings()
            ),
            key=str,
        )
        for table in inspect(connection).get_table_names("store")
        if table not in ("alembic_version", "sql_objects")
    }


def fill(engine: Engine, revision: str) -> None:
    with engine.begin() as connection:
        for statement in ROWS[revision]:
            connection.execute(text(statement), {"t": NOON})


def execute(engine: Engine, *statements: str) -> None:
    with engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def make_stale(engine: Engine) -> None:
    """Let the installed views and functions pass for those of another version."""
    execute(engine, "UPDATE store.sql_objects SET fingerprint = 'of another version'")


def objects(connection: Connection) -> set[str]:
    return {
        *connection.scalars(
            text("SELECT viewname FROM pg_views WHERE schemaname IN ('registry', 'store')")
        ),
        *connection.scalars(
            text(
                "SELECT proname FROM pg_proc"
                " WHERE pronamespace::regnamespace::text IN ('registry', 'store')"
            )
        ),
    }


def test_there_is_one_head() -> None:
    script = ScriptDirectory.from_config(migrate.alembic_config())
    assert script.get_heads() == [REVISIONS[-1]] == [revisions.head_revision()]


def test_revisions_make_the_tables_of_the_code(engine: Engine) -> None:
    assert migrate.drift(engine) is None


@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE store.models ADD COLUMN colour text",
        "ALTER TABLE store.models ALTER COLUMN name DROP NOT NULL",
        "DROP INDEX store.models_lower_name_idx",
        "CREATE TABLE store.stray (id integer)",
        "ALTER TABLE store.model_families ALTER COLUMN in_cycle SET DEFAULT true",
    ],
)
def test_drift_is_noticed(engine: Engine, change: str) -> None:
    execute(engine, change)
    assert migrate.drift(engine)


def test_what_is_not_in_schema_store_is_no_drift(engine: Engine) -> None:
    execute(engine, "CREATE TABLE public.notes (id integer)", "CREATE SCHEMA mine")
    assert migrate.drift(engine) is None


@pytest.mark.parametrize("revision", REVISIONS)
def test_each_revision_goes_up_and_down_with_rows_in_place(empty: Engine, revision: str) -> None:
    earlier = REVISIONS[: REVISIONS.index(revision)]
    for each in earlier:
        migrate.upgrade(empty, each)
        fill(empty, each)
    with empty.connect() as connection:
        before = contents(connection)

    migrate.upgrade(empty, revision)
    with empty.connect() as connection:
        after = contents(connection)
    for table, rows in before.items():
        assert [
            {name: value for name, value in row.items() if name in kept}
            for row, kept in zip(after[table], rows, strict=True)
        ] == rows

    fill(empty, revision)
    with empty.connect() as connection:
        full = contents(connection)
    assert all(full.values()), "each table needs a row in ROWS"

    migrate.downgrade(empty, earlier[-1] if earlier else "base")
    with empty.connect() as connection:
        assert contents(connection) == before

    migrate.upgrade(empty, revision)
    with empty.connect() as connection:
        assert contents(connection) == after


def test_an_upgrade_drops_vectors_of_long_texts_and_counts_outcomes(empty: Engine) -> None:
    """Of long texts the beginning was encoded; hashing reads them as before."""
    for each in REVISIONS[: REVISIONS.index("0011")]:
        migrate.upgrade(empty, each)
        fill(empty, each)
    with empty.begin() as connection:
        connection.exec_driver_sql("""
            INSERT INTO store.encoders (name, dimension) VALUES ('minilm', 2);
            INSERT INTO store.items (benchmark_id, ordinal, item, content_hash, prompt, choices)
            SELECT 1, n, 'i' || n, gen_random_uuid(),
                   repeat('x', CASE n WHEN 1 THEN 126 ELSE 120 END),
                   CASE n WHEN 3 THEN '{"a long choice"}' ELSE '{}' END::text[]
              FROM generate_series(1, 3) n;
            INSERT INTO store.text_vectors
            SELECT e.encoder_id, i.content_hash, '[1,0]' FROM store.encoders e, store.items i
             WHERE i.content_hash IS NOT NULL;
            UPDATE store.items SET prompt = prompt || 'x' WHERE item = 'i1'""")
    migrate.upgrade(empty, "0011")
    with empty.connect() as connection:
        left = connection.execute(
            text("""
            SELECT e.name, i.item, v.cut FROM store.text_vectors v JOIN store.encoders e
             USING (encoder_id) JOIN store.items i USING (content_hash) ORDER BY 1, 2""")
        )
        assert [tuple(row) for row in left] == [
            ("hashing-512", "i1", False), ("hashing-512", "i2", False),
            ("hashing-512", "i3", False), ("minilm", "i2", False),
        ]  # fmt: skip
        counted = connection.execute(text("SELECT outcome_count FROM store.runs"))
        assert counted.scalars().all() == [1]


def test_indexes_of_stored_versions_are_built_again_for_euclidean_distances(
    empty: Engine,
) -> None:
    for each in REVISIONS[: REVISIONS.index("0012")]:
        migrate.upgrade(empty, each)
        fill(empty, each)
    execute(
        empty,
        "CREATE INDEX embeddings_1_hnsw_idx ON store.embeddings_1"
        " USING hnsw ((vector::halfvec(2)) halfvec_cosine_ops) WITH (m = 24, ef_construction = 99)",
    )

    def definition() -> str:
        with empty.connect() as connection:
            query = text("SELECT pg_get_indexdef('store.embeddings_1_hnsw_idx'::regclass)")
            return str(connection.scalar(query))

    before = definition()
    migrate.upgrade(empty, "0012")
    assert definition() == before.replace("halfvec_cosine_ops", "halfvec_l2_ops") != before
    migrate.downgrade(empty, "0011")
    assert definition() == before


def test_up_down_up_makes_the_same_schema(empty: Engine) -> None:
    migrate.upgrade(empty)
    first = dump(empty, "--schema-only")
    migrate.downgrade(empty, "base")
    migrate.upgrade(empty)
    assert dump(empty, "--schema-only") == first


def test_all_sql_files_are_installed_at_head_and_none_below(engine: Engine) -> None:
    with engine.connect() as connection:
        installed = objects(connection)
    for name, body in sql.files().items():
        created = name.partition("_")[2].removesuffix(".sql")
        assert created in installed
        definition = rf"^CREATE (VIEW|FUNCTION) (registry|store)\.{created}\b"
        assert re.search(definition, body, re.MULTILINE), f"{name} creates something else"

    migrate.downgrade(engine, "-1")
    with engine.connect() as connection:
        assert objects(connection) == {
            "is_telling",
            "search_words",
            "search_document",
            "complete_search_documents",
            "renew_search_document",
            "renew_shown_runs",
            *(f"lock_{name}" for name in ("catalog", "evaluations", "placement", "schema")),
            *(f"lock_{name}" for name in ("training", "versions")),
        }
        assert connection.scalar(text("SELECT count(*) FROM store.sql_objects")) == 0

    migrate.downgrade(engine, "base")
    with engine.connect() as connection:
        assert not {"store", "registry"} & set(inspect(connection).get_schema_names())
        assert revisions.current_revision(connection) is None


def test_an_upgrade_tells_where_it_came_from(empty: Engine) -> None:
    assert migrate.upgrade(empty, "0001") == (None, "0001")
    assert migrate.upgrade(empty) == ("0001", REVISIONS[-1])
    assert migrate.upgrade(empty) == (REVISIONS[-1], REVISIONS[-1])
    assert migrate.downgrade(empty, "base") == (REVISIONS[-1], None)


@pytest.mark.parametrize("table", schema.LARGE_TABLES, ids=lambda table: table.name)
def test_large_tables_are_keyed_by_model(engine: Engine, table: Any) -> None:
    with engine.connect() as connection:
        found = inspect(connection)
        key = set(found.get_pk_constraint(table.name, "store")["constrained_columns"])
        models = {
            column
            for foreign in found.get_foreign_keys(table.name, "store")
            if foreign["referred_table"] == "models"
            for column in foreign["constrained_columns"]
        }
    assert key & (models or {"model_id", "child_id"})


def test_every_other_table_is_small_by_nature() -> None:
    assert {table.name for table in schema.metadata.tables.values()} - {
        table.name for table in schema.LARGE_TABLES
    } == {
        # By word and by feature set: reference tables, the same on every node.
        "search_vocabulary",
        "feature_sets",
        # Empty but while the catalog is loaded for the first time.
        "pending_edges",
        "pending_renames",
        "similarity_weights",
        "sync_passes",
        "sweep_pages",
        "quarantine",
        "job_runs",
        "sql_objects",
        # By benchmark, by setup or by spelling: reference tables.
        "benchmark_aliases",
        "benchmark_loadings",
        "benchmarks",
        "measures",
        "items",
        "item_statistics",
        "setups",
        "sources",
        "imports",
        "evaluated_names",
        # Of the runs that more than one file states, which are few.
        "restated_runs",
        # Of what providers sell.
        "price_offers",
        "prices",
        # By version that routes, and by item and landmark of it.
        "route_blends",
        "route_items",
        "route_landmarks",
        # By set of domains.
        "domain_sets",
        "domains",
        "domain_subjects",
        "domain_classifiers",
        "domain_vectors",
        "domain_experts",
        # By version of predictions, and by benchmark.
        "prediction_versions",
        "prediction_intervals",
        # By evaluation of routers; by use of them, where that is logged.
        "routing_evaluations",
        "routing_results",
        "route_decisions",
        # By analysis, benchmark and group.
        "analyses",
        "analysis_groups",
        "anova_results",
        "correlation_results",
        "tukey_results",
        # By analysis, response and term.
        "gam_fits",
        "gam_terms",
        "gam_curves",
        "mixed_effects",
        "projections",
        "projection_checks",
        "ability_factors",
        "factor_loadings",
        "scaling_fits",
        "scaling_points",
        "ability_scaling",
        "saturation_results",
        "preference_ratings",
        # By encoder, and by text of an item.
        "encoders",
        "text_vectors",
        # By version, with the items of benchmarks; by comparison.
        "embedding_versions",
        "priors",
        "item_embeddings",
        "training_choices",
        "training_comparisons",
        "training_results",
    }


def test_changed_sql_files_are_installed(engine: Engine) -> None:
    execute(
        engine,
        "CREATE OR REPLACE VIEW registry.quarantine AS SELECT source, key, 'of old' AS reason,"
        " seen_at, payload FROM store.quarantine",
        "INSERT INTO store.quarantine VALUES ('hub', 'org/odd', 'no name', '{}', now())",
    )
    make_stale(engine)
    migrate.upgrade(engine)
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT reason FROM registry.quarantine")) == "no name"
        assert sql.is_current(connection)


def test_a_repeated_upgrade_leaves_everything_alone(engine: Engine) -> None:
    execute(engine, "CREATE VIEW public.mine AS SELECT name FROM registry.models")
    with changing_nothing(engine):
        migrate.upgrade(engine)


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        ("CREATE VIEW public.mine AS SELECT name FROM registry.models", "view mine"),
        ("CREATE VIEW registry.mine AS SELECT name FROM registry.models", "view registry.mine"),
        (
            "CREATE MATERIALIZED VIEW public.mine AS SELECT * FROM registry.ancestors('org/a')",
            "materialized view mine",
        ),
        (
            "CREATE FUNCTION registry.mine() RETURNS bigint RETURN (SELECT 1 FROM registry.models)",
            "function registry.mine()",
        ),
    ],
    ids=["view", "view in our schema", "materialized view", "function"],
)
def test_an_object_of_a_user_that_depends_on_ours_stops_the_upgrade(
    engine: Engine, statement: str, named: str
) -> None:
    execute(engine, statement)
    make_stale(engine)
    with changing_nothing(engine), pytest.raises(RegistryError, match="depends on") as raised:
        migrate.upgrade(engine)
    assert named in str(raised.value)
    with changing_nothing(engine), pytest.raises(RegistryError, match="depends on"):
        migrate.downgrade(engine, "-1")


def test_all_objects_that_stop_a_downgrade_are_named(engine: Engine) -> None:
    execute(
        engine,
        "CREATE VIEW public.first AS SELECT name FROM registry.models",
        "CREATE VIEW public.second AS SELECT * FROM registry.family('org/a')",
        "CREATE VIEW public.third AS SELECT m.name FROM registry.families, registry.models m",
        "CREATE VIEW public.not_in_the_way AS SELECT name FROM store.models",
    )
    with (
        changing_nothing(engine),
        pytest.raises(RegistryError, match=r"^Cannot downgrade the database: ") as raised,
    ):
        migrate.downgrade(engine, "-1")
    for name, of in {"first": "view", "second": "function", "third": "view"}.items():
        assert f"view {name} depends on {of} registry." in str(raised.value)
    assert str(raised.value).count("third depends on") == 2
    assert "not_in_the_way" not in str(raised.value)


@pytest.mark.parametrize(
    ("ours", "theirs", "named"),
    [
        (
            "VIEW registry.quarantine",
            "CREATE VIEW registry.quarantine AS SELECT 1 AS mine",
            '"quarantine"',
        ),
        (
            "FUNCTION registry.family(text)",
            "CREATE FUNCTION registry.family(text) RETURNS text RETURN 'mine'",
            '"family"',
        ),
    ],
    ids=["view", "function"],
)
def test_an_object_of_a_user_that_has_a_new_name_of_ours_stops_the_upgrade(
    engine: Engine, ours: str, theirs: str, named: str
) -> None:
    # As if the version before had not had the object.
    name = ours.partition(" ")[2].partition("(")[0]
    execute(
        engine,
        f"DROP {ours}",
        f"DELETE FROM store.sql_objects WHERE starts_with(identity, '{name}')",
        theirs,
    )
    make_stale(engine)
    with changing_nothing(engine), pytest.raises(RegistryError, match="has a name that") as raised:
        migrate.upgrade(engine)
    assert named in str(raised.value)


def test_objects_of_users_in_our_schema_survive_an_upgrade(engine: Engine) -> None:
    """Whoever made them, and whatever they may be read by."""
    execute(
        engine,
        "CREATE VIEW registry.mine AS SELECT name FROM store.models",
        "CREATE FUNCTION registry.family(integer) RETURNS text RETURN 'mine'",
        "CREATE TABLE registry.notes AS SELECT 1 AS note",
    )
    make_stale(engine)
    with engine.connect() as connection:
        before = grants(connection)
    migrate.upgrade(engine)
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT registry.family(1)")) == "mine"
        assert connection.scalar(text("SELECT count(*) FROM registry.mine")) == 0
        assert grants(connection) == before
    with changing_nothing(engine), pytest.raises(RegistryError, match=r"registry\.mine"):
        migrate.downgrade(engine, "base")


def grants(connection: Connection) -> list[tuple[Any, ...]]:
    """Who may do what with the relations of users in our schema."""
    rows = connection.execute(
        text(
            "SELECT relname, relowner::regrole::text, relacl::text FROM pg_class"
            " WHERE relname IN ('mine', 'notes') ORDER BY relname"
        )
    )
    return [tuple(row) for row in rows]


def test_a_view_of_ours_that_somebody_dropped_comes_back(engine: Engine) -> None:
    execute(engine, "DROP VIEW registry.quarantine", "DROP FUNCTION registry.family(text)")
    make_stale(engine)
    migrate.upgrade(engine)
    with engine.connect() as connection:
        assert {"quarantine", "family"} <= objects(connection)


def test_a_revision_that_nobody_knows_is_refused(engine: Engine) -> None:
    execute(engine, "UPDATE store.alembic_version SET version_num = '9999'")
    with changing_nothing(engine):
        with pytest.raises(SchemaNotAtHeadError, match="9999"), engine.connect() as connection:
            revisions.require_head(connection)
        with pytest.raises(SchemaNotAtHeadError, match="9999, which this version does not know"):
            migrate.upgrade(engine)


def test_a_destination_that_nobody_knows_is_refused(engine: Engine) -> None:
    with changing_nothing(engine), pytest.raises(UsageError, match="nowhere"):
        migrate.upgrade(engine, "nowhere")


def test_an_older_database_is_refused(empty: Engine) -> None:
    with pytest.raises(SchemaNotAtHeadError, match="not set up"), empty.connect() as connection:
        revisions.require_head(connection)
    migrate.upgrade(empty, "0001")
    with pytest.raises(SchemaNotAtHeadError, match="0001"), empty.connect() as connection:
        revisions.require_head(connection)
    migrate.upgrade(empty)
    with empty.connect() as connection:
        revisions.require_head(connection)


def test_of_two_upgrades_at_once_one_is_turned_away(empty: Engine) -> None:
    """Or both succeed, where the first is done before the second begins."""
    outcomes: list[object] = []
    together = threading.Barrier(2)

    def upgrade() -> None:
        together.wait()
        try:
            outcomes.append(migrate.upgrade(empty))
        except RegistryError as error:
            outcomes.append(type(error))

    threads = [threading.Thread(target=upgrade) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    head = REVISIONS[-1]
    assert (None, head) in outcomes
    outcomes.remove((None, head))
    assert outcomes[0] in (LockHeldError, (head, head))
    assert migrate.drift(empty) is None


def test_an_upgrade_is_turned_away_while_another_holds_the_lock(empty: Engine) -> None:
    with jobs.exclusive(empty, jobs.Lock.SCHEMA), pytest.raises(LockHeldError):
        migrate.upgrade(empty)


def test_an_upgrade_does_not_wait_for_a_reader_for_ever(engine: Engine) -> None:
    with engine.connect() as connection:
        connection.exec_driver_sql(
            f"ALTER DATABASE {engine.url.database} SET lock_timeout = '50ms'"
        )
        connection.commit()
        make_stale(engine)
        connection.exec_driver_sql("SELECT FROM registry.models")
        with pytest.raises(
            RegistryError, match=r"session \d+ of \S+ \(registry, idle .*holds a lock"
        ):
            migrate.upgrade(engine)
        connection.rollback()
    migrate.upgrade(engine)


@contextmanager
def offered(engine: Engine, **versions: str) -> Iterator[None]:
    """Let the server offer these extensions, with these versions, and no others."""
    with tempfile.TemporaryDirectory(dir="/tmp") as place, engine.connect() as connection:
        if connection.connection.driver_connection.info.server_version < 180000:  # type: ignore[union-attr]
            pytest.skip("extension_control_path is new in Postgres 18")
        Path(place).chmod(0o755)
        extensions = Path(place, "extension")
        extensions.mkdir()
        for name, version in versions.items():
            (extensions / f"{name}.control").write_text(f"default_version = '{version}'\n")
        connection.exec_driver_sql(
            f"ALTER DATABASE {engine.url.database} SET extension_control_path = '{place}'"
        )
        connection.commit()
        yield


@pytest.mark.parametrize(
    ("versions", "message"),
    [
        ({"vector": "0.8.0"}, "does not offer the extension pg_trgm; install the postgresql-contr"),
        ({"pg_trgm": "1.6"}, "does not offer the extension vector; install pgvector on it"),
        ({"pg_trgm": "1.6", "vector": "0.7.4"}, "pgvector is 0.7.4; the registry needs 0.8"),
    ],
    ids=["no pg_trgm", "no pgvector", "old pgvector"],
)
def test_what_the_server_lacks_is_named(
    empty: Engine, versions: dict[str, str], message: str
) -> None:
    with (
        offered(empty, **versions),
        changing_nothing(empty),
        pytest.raises(RegistryError, match=message),
    ):
        migrate.upgrade(empty)


def visitor(bare: Engine, rights: str) -> Engine:
    """A user of the bare server who owns the database but is no superuser."""
    execute(
        bare,
        f"CREATE ROLE visitor_{rights.lower()} LOGIN PASSWORD 'visitor' {rights}",
        f"ALTER DATABASE fresh OWNER TO visitor_{rights.lower()}",
    )
    return database.create_engine(
        bare.url.set(username=f"visitor_{rights.lower()}", password="visitor")
    )


def test_a_user_who_may_create_roles_gets_them(bare: Engine) -> None:
    engine = visitor(bare, "CREATEROLE")
    migrate.upgrade(engine)
    make_stale(engine)
    migrate.upgrade(engine)
    with engine.connect() as connection:
        assert roles.can_read_as_reader(connection)
        assert connection.scalars(
            text("SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'store'")
        ).all() == [roles.OWNER]
        assert_reads_everything_and_writes_nothing(connection)
    migrate.downgrade(engine, "base")


def test_a_user_who_may_not_create_roles_does_without(bare: Engine) -> None:
    engine = visitor(bare, "NOCREATEROLE")
    migrate.upgrade(engine)
    with engine.connect() as connection:
        assert not roles.can_read_as_reader(connection)
        assert connection.scalar(text("SELECT count(*) FROM registry.models")) == 0
        connection.execute(text(ROWS["0001"][0]), {"t": NOON})
    # Roles that somebody made since are not needed either.
    execute(bare, f"CREATE ROLE {roles.OWNER}", f"CREATE ROLE {roles.READER}")
    make_stale(engine)
    migrate.upgrade(engine)
    with bare.connect() as connection:
        assert_reads_everything_and_writes_nothing(connection)
    migrate.downgrade(engine, "base")


def test_a_database_that_a_superuser_upgraded_is_not_for_everybody(bare: Engine) -> None:
    migrate.upgrade(bare)
    execute(bare, "CREATE ROLE visitor_other LOGIN PASSWORD 'visitor'")
    other = database.create_engine(bare.url.set(username="visitor_other", password="visitor"))
    make_stale(bare)
    with changing_nothing(bare), pytest.raises(RegistryError, match="permission denied"):
        migrate.upgrade(other)


def test_a_user_without_the_extensions_is_told_so(bare: Engine) -> None:
    execute(bare, "DROP EXTENSION vector")
    engine = visitor(bare, "NOCREATEROLE")
    with (
        changing_nothing(bare),
        pytest.raises(RegistryError, match='permission denied to create extension "vector"'),
    ):
        migrate.upgrade(engine)


def test_the_reader_reads_everything_and_writes_nothing(engine: Engine) -> None:
    with engine.connect() as connection:
        assert_reads_everything_and_writes_nothing(connection)


def assert_reads_everything_and_writes_nothing(connection: Connection) -> None:
    connection.exec_driver_sql(f"SET ROLE {roles.READER}")
    # What a function needs it must find by itself.
    connection.exec_driver_sql("SET search_path = ''")
    for name in inspect(connection).get_view_names("registry"):
        connection.exec_driver_sql(f"SELECT * FROM registry.{name}")
    functions = connection.execute(
        text("""
        SELECT p.oid::regproc::text AS name,
               array(SELECT format_type(unnest(p.proargtypes), NULL)) AS types,
               p.proargnames[1:p.pronargs] AS arguments
          FROM pg_proc p WHERE pronamespace = 'registry'::regnamespace""")
    ).all()
    assert functions
    for name, types, names in functions:
        arguments = ", ".join(
            f"{SAMPLES.get(argument, SAMPLES[type_])}::{type_}"
            for argument, type_ in zip(names, types, strict=True)
        )
        try:
            with connection.begin_nested():
                connection.exec_driver_sql(f"SELECT * FROM {name}({arguments})")
        except DBAPIError as error:
            # What needs learned vectors says that there are none.
            if not isinstance(error.orig, psycopg.errors.NoDataFound):
                raise
    relations = connection.scalars(
        text("""
        SELECT oid::regclass::text FROM pg_class
         WHERE relnamespace::regnamespace::text IN ('registry', 'store')
           AND relkind IN ('r', 'p', 'v', 'm', 'S')""")
    ).all()
    assert "store.models" in relations
    for relation in relations:
        rights = connection.scalar(
            text(
                "SELECT has_table_privilege(cast(:name AS text),"
                " 'INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER')"
            ),
            {"name": relation},
        )
        assert rights is False, relation
    for space in ("registry", "store", "public"):
        rights = connection.scalar(
            text("SELECT has_schema_privilege(:name, 'CREATE')"), {"name": space}
        )
        assert rights is False, space


def test_the_template_is_at_head(databases: Databases, connection: Connection) -> None:
    assert databases.template().startswith(databases.prefix)
    assert revisions.current_revision(connection) == REVISIONS[-1]
