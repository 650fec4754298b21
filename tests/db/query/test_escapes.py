"""Ways out of a statement that only reads: none works, on the embedded server or on another."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from registry.db.query import run_query
from registry.errors import RegistryError

TARGET = Path("/tmp/registry-escaped")
PROGRAM = f"COPY (SELECT 1) TO PROGRAM 'touch {TARGET}'"

REFUSED = (
    # Statements of other kinds, in every disguise.
    "DO $$ BEGIN RESET ROLE; END $$",
    f"DO $$ BEGIN RESET ROLE; EXECUTE $q${PROGRAM}$q$; END $$",
    "DO $$ BEGIN LOOP BEGIN PERFORM pg_sleep(9); EXCEPTION WHEN others THEN END; END LOOP; END $$",
    "RESET ROLE",
    "RESET SESSION AUTHORIZATION",
    "SET ROLE registry_owner",
    "SET SESSION AUTHORIZATION DEFAULT",
    "SET TRANSACTION READ WRITE",
    "SET statement_timeout = 0",
    PROGRAM,
    f"COPY (SELECT 1) TO '{TARGET}'",
    "COPY store.models FROM '/etc/passwd'",
    "COPY (SELECT 1) TO STDOUT",
    "COMMIT",
    "ROLLBACK",
    "BEGIN",
    "SAVEPOINT s",
    "PREPARE p AS DELETE FROM store.models",
    "EXECUTE p",
    'EXECUTE ""',
    "DEALLOCATE ALL",
    "DECLARE c CURSOR FOR SELECT 1",
    "FETCH ALL FROM c",
    "CALL nothing()",
    "CREATE TABLE public.escaped ()",
    "CREATE TEMP TABLE escaped AS SELECT 1",
    "CREATE FUNCTION public.escaped() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "CREATE EXTENSION dblink",
    "ALTER ROLE CURRENT_USER SUPERUSER",
    "ALTER SYSTEM SET work_mem = '1GB'",
    "GRANT registry_owner TO CURRENT_USER",
    "LISTEN escaped",
    "NOTIFY escaped",
    "LOCK TABLE store.models IN ACCESS EXCLUSIVE MODE",
    "LOAD 'dblink'",
    "VACUUM",
    "CHECKPOINT",
    "DISCARD ALL",
    "TRUNCATE store.models CASCADE",
    "INSERT INTO store.models (name) VALUES ('escaped') RETURNING name",
    "DELETE FROM store.models RETURNING name",
    "UPDATE store.models SET name = 'escaped' RETURNING name",
    "MERGE INTO store.models m USING (VALUES (1)) v (x) ON true WHEN MATCHED THEN DELETE",
    "IMPORT FOREIGN SCHEMA x FROM SERVER y INTO z",
    # Several statements in one.
    "SELECT 1; DROP TABLE store.models",
    "SELECT 1; COMMIT; DROP TABLE store.models",
    "SELECT 1;\n-- a remark\nSELECT 2",
    "/* SELECT */ DO $$ BEGIN END $$",
    "/* /* nested */ SELECT */ DELETE FROM store.models",
    "/*/**/SELECT 1*/ TRUNCATE store.models",
    "-- SELECT\rDELETE FROM store.models",
    "-- SELECT\nDELETE FROM store.models",
    "; ; DELETE FROM store.models",
    "((DELETE FROM store.models))",
    "\ufeffDELETE FROM store.models",
    "SELECT 1\0; DROP TABLE store.models",
    # Writes within statements that read.
    "WITH gone AS (DELETE FROM store.models RETURNING 1) SELECT * FROM gone",
    "WITH one AS (SELECT 1) INSERT INTO store.models (name) SELECT 'x' RETURNING name",
    "WITH one AS (SELECT 1) DELETE FROM store.models",
    "SELECT 1 INTO TABLE escaped",
    "SELECT 1 INTO TEMP escaped",
    "SELECT * FROM store.models FOR UPDATE",
    "SELECT * FROM store.models FOR KEY SHARE",
    "EXPLAIN ANALYZE DELETE FROM store.models",
    "EXPLAIN (ANALYZE) INSERT INTO store.models (name) VALUES ('x')",
    "EXPLAIN ANALYZE WITH gone AS (DELETE FROM store.models RETURNING 1) SELECT * FROM gone",
    "EXPLAIN (ANALYZE, VERBOSE) CREATE TABLE escaped AS SELECT 1",
    "EXPLAIN ANALYZE EXECUTE p",
    "EXPLAIN (VERBOSE) /* SELECT */ DECLARE c CURSOR FOR SELECT 1",
    # Functions.
    "SELECT nextval('store.job_runs_job_run_id_seq')",
    "SELECT setval('store.job_runs_job_run_id_seq', 1)",
    "SELECT set_config('role', 'registry_owner', false)",
    "SELECT set_config('session_authorization', 'registry', false)",
    "SELECT set_config('transaction_read_only', 'off', false)",
    "SELECT set_config('temp_file_limit', '-1', false)",
    "SELECT set_config('session_preload_libraries', 'x', false)",
    "SELECT * FROM ts_stat('SELECT pg_read_file(''/etc/passwd'')::tsvector')",
    "SELECT * FROM ts_stat($$SELECT set_config('role', 'registry_owner', false)::tsvector$$)",
    "SELECT * FROM ts_stat('DELETE FROM store.models RETURNING to_tsvector(name)')",
    "SELECT ts_rewrite('a'::tsquery, 'DELETE FROM store.models RETURNING NULL, NULL')",
    "SELECT query_to_xml('DELETE FROM store.models', true, true, '')",
    "SELECT query_to_xml('TABLE pg_authid', true, true, '')",
    "SELECT query_to_xml('COPY (SELECT 1) TO PROGRAM ''true''', true, true, '')",
    "SELECT query_to_xml('RESET ROLE', true, true, '')",
    "SELECT cursor_to_xml('c', 1, true, true, '')",
    "SELECT table_to_xml('pg_authid', true, true, '')",
    "SELECT pg_read_file('/etc/passwd')",
    "SELECT pg_read_binary_file('postgresql.conf')",
    "SELECT pg_stat_file('PG_VERSION')",
    "SELECT pg_ls_dir('.')",
    "SELECT pg_ls_logdir()",
    "SELECT pg_ls_waldir()",
    "SELECT pg_ls_tmpdir()",
    "SELECT lo_import('/etc/passwd')",
    f"SELECT lo_export(1, '{TARGET}')",
    "SELECT lo_create(0)",
    "SELECT lo_from_bytea(0, 'x')",
    "SELECT lo_put(1, 0, 'x')",
    "SELECT pg_reload_conf()",
    "SELECT pg_rotate_logfile()",
    "SELECT pg_switch_wal()",
    "SELECT pg_create_restore_point('x')",
    "SELECT pg_promote()",
    "SELECT pg_stat_reset()",
    "SELECT pg_log_backend_memory_contexts(pid) FROM pg_stat_activity",
    "SELECT pg_create_logical_replication_slot('x', 'pgoutput')",
    "SELECT pg_create_physical_replication_slot('x')",
    "SELECT pg_drop_replication_slot('x')",
    "SELECT pg_logical_slot_get_changes('x', NULL, NULL)",
    "SELECT pg_replication_origin_create('x')",
    "SELECT pg_import_system_collations('public')",
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'registry'",
    "SELECT dblink('dbname=registry', 'DELETE FROM store.models')",
    "SELECT pg_sleep(60)",
    "SELECT count(*) FROM generate_series(1, 1000000000000)",
    # Secrets.
    "TABLE pg_authid",
    "SELECT rolpassword FROM pg_authid",
    "SELECT passwd FROM pg_shadow",
    "TABLE pg_hba_file_rules",
    "TABLE pg_file_settings",
    "TABLE pg_user_mapping",
    "TABLE pg_largeobject",
    "TABLE pg_subscription",
    "TABLE pg_statistic",
    "SHOW data_directory",
    "SHOW hba_file",
    "SHOW primary_conninfo",
    "TABLE store.lock_catalog",
)
RESERVED = (
    "SELECT pg_advisory_lock(1)",
    "SELECT pg_try_advisory_xact_lock(n) FROM generate_series(1, 10) n",
    "SELECT pg_logical_emit_message(false, 'x', 'y')",
    "SELECT pg_export_snapshot()",
    "SELECT pg_notify('embeddings', 'x')",
    "SELECT pg_cancel_backend(pid) FROM pg_stat_activity",
    "SELECT lo_creat(-1)",
    "SELECT query_to_xml('SELECT pg_notify(''x'', ''y'')', true, true, '')",
)
HARMLESS = (
    "SELECT set_config('statement_timeout', '0', false)",
    "SELECT set_config('search_path', 'pg_temp', true)",
    "SELECT pg_current_xact_id_if_assigned()",
    "EXPLAIN (ANALYZE, FORMAT json) SELECT 1",
    "SELECT query FROM pg_stat_activity WHERE query LIKE '%PASSWORD%' AND pid <> pg_backend_pid()",
    "SELECT setting FROM pg_settings WHERE name = 'data_directory'",
)
# But for logins that another test's statement has for a moment: roles are the whole server's.
STATE = """
SELECT (SELECT count(*) FROM store.models),
       (SELECT md5(string_agg(oid::text || relname, ',' ORDER BY oid)) FROM pg_class
         WHERE oid >= 16384 AND relpersistence <> 't'),
       (SELECT string_agg(rolname || rolsuper::text, ',' ORDER BY oid) FROM pg_roles
         WHERE rolname LIKE 'registry%' AND rolname NOT LIKE 'registry\\_query\\_%'),
       (SELECT count(*) FROM pg_largeobject_metadata), (SELECT count(*) FROM pg_replication_slots),
       (SELECT count(*) FROM pg_proc WHERE oid >= 16384), current_setting('work_mem'),
       (SELECT last_value FROM store.job_runs_job_run_id_seq)"""


def tried(engine: Engine, statement: str) -> list[tuple[object, ...]]:
    with run_query(engine, statement, timeout=1, max_rows=100) as result:
        return [tuple(row) for row in result.rows]


@pytest.fixture(autouse=True, scope="module")
def unchanged(owner: Engine) -> Iterator[None]:
    """Check that all tests leave the database, its roles and the disk as they were."""
    with owner.connect() as connection:
        before = connection.execute(text(STATE)).all()
    yield
    with owner.connect() as connection:
        assert connection.execute(text(STATE)).all() == before
    assert not TARGET.exists()


@pytest.mark.parametrize("statement", REFUSED)
def test_a_way_out_is_refused(owner: Engine, statement: str) -> None:
    with pytest.raises(RegistryError):
        tried(owner, statement)


@pytest.mark.parametrize("statement", RESERVED)
def test_what_every_login_may_do_elsewhere_is_refused_in_the_embedded_server(
    embedded_engine: Engine, statement: str
) -> None:
    with pytest.raises(RegistryError, match="permission denied"):
        tried(embedded_engine, statement)


@pytest.mark.parametrize("statement", HARMLESS)
def test_what_does_no_harm_is_let_be(owner: Engine, statement: str) -> None:
    rows = tried(owner, statement)
    assert "PASSWORD" not in str(rows)


def test_the_session_is_one_of_a_login_without_other_rights(owner: Engine) -> None:
    ((session, user, other),) = tried(
        owner,
        "SELECT session_user = 'registry', current_user = session_user,"
        "       (SELECT count(*) FROM pg_roles WHERE rolname <> session_user"
        "           AND rolname <> 'registry_reader' AND pg_has_role(session_user, oid, 'MEMBER'))",
    )
    assert (session, user, other) == (False, True, 0)
