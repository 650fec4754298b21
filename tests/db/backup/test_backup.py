"""Backups and restores: everything comes back, or nothing happens."""

import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import evaluated
import factories
import learned
import priced
import psycopg
import pytest
from cli_commands import Commands, start
from databases import REPOSITORY, Databases
from exported import exported
from servers import own_directory
from sqlalchemy import Engine, text
from sqlalchemy.engine import make_url

from registry.db import connection as database
from registry.db import embedded, grants, migrate, revisions
from registry.db.backup import archive, contents, programs
from registry.db.backup.archive import BackupError
from registry.db.backup.dump import back_up
from registry.db.backup.restore import restore
from registry.errors import SchemaNotAtHeadError, UsageError

READER_SEES = """
SELECT (SELECT count(*) FROM registry.models), (SELECT count(*) FROM registry.leaderboard),
       (SELECT count(*) FROM registry.nearest_models('org/m0', 3)),
       (SELECT 1 + count(*) FROM registry.search_models('odd')),
       (SELECT 1 + count(*) FROM registry.similar_models('org/odd', 3))"""


def fill(engine: Engine) -> None:
    """Store something of everything: odd texts, lineage, outcomes, and versions of vectors."""
    with engine.begin() as connection:
        odd = factories.model(connection, "org/odd", tags=["tab\tend\\. \n\\.\n'\"\u2028"])
        factories.model(connection, "org/child")
        factories.edge(connection, "org/child", "org/odd")
        factories.history(connection, odd, factories.NOON, downloads=1)
        factories.document(connection, odd)
        priced.offer(connection, "odd\t:free", odd, (0.5, 1.5), None, (0.0, 0.0))
        blocks = (
            evaluated.grid("exam", evaluated.generated(1, 6, 40)),
            evaluated.grid("graded", evaluated.generated(2, 4, 9, graded=True)),
        )
        evaluated.write(connection, *blocks)
        for seed in range(3):
            learned.kept(connection, learned.drawn(5, seed=seed), serving=learned.drawn(5))


PAIRS = """
SELECT count(*), count(h.model_id) FROM store.models m
  LEFT JOIN store.model_history h USING (model_id)
 WHERE name LIKE 'org/pair%'"""


@pytest.fixture(scope="module")
def source(databases: Databases) -> Iterator[Engine]:
    """A database that only tests of this module read."""
    with databases.made(template=databases.filled("backup", fill)) as url:
        yield database.create_engine(url)


@pytest.fixture(scope="module")
def saved(source: Engine, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A backup of it."""
    file = tmp_path_factory.mktemp("backup") / "registry.backup"
    back_up(source, file)
    return file


@pytest.fixture
def target(empty_database_url: str) -> Engine:
    """An empty database."""
    return database.create_engine(empty_database_url)


def setting(of: Engine) -> database.Setting:
    return database.Setting(of.url, "test")


def states(of: Engine) -> dict[str, Any]:
    """Return all that readers see, and all that the tables hold."""
    with of.connect() as connection:
        contents.settle_texts(connection)
        tables = [name for name, size in contents.tables(connection).items() if size is not None]
        return {
            **exported(connection),
            **evaluated.contents(connection),
            **{name: contents.contents(connection, name) for name in tables},
        }


def execute(of: Engine, *statements: str) -> None:
    with of.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def is_empty(of: Engine) -> bool:
    with of.connect() as connection:
        return not contents.tables(connection) and not connection.scalar(
            text("SELECT count(*) FROM pg_namespace WHERE nspname IN ('store', 'registry')")
        )


def altered(saved: Path, at: Path, **changed: Any) -> Path:
    """Write the backup with another manifest, as a backup of somebody else."""
    manifest = archive.read(saved)
    at.write_bytes(saved.read_bytes()[: manifest.length])
    archive.append(at, replace(manifest, **changed))
    return at


def test_everything_comes_back_and_the_reader_reads_it(
    source: Engine, saved: Path, target: Engine
) -> None:
    restored = restore(setting(target), saved)
    assert states(target) == states(source)
    assert (restored.created, restored.left_out, restored.with_owners) == ([], [], True)
    migrate.check(target)
    with target.connect() as connection:
        connection.exec_driver_sql("SET ROLE registry_reader")
        seen = connection.exec_driver_sql(READER_SEES).one()
        assert all(seen), seen
        with pytest.raises(Exception, match="permission denied"):
            connection.exec_driver_sql("DELETE FROM store.models")
    # What is stored afterwards gets keys of its own.
    with target.begin() as connection:
        factories.model(connection, "org/new")


def files(folder: Path) -> dict[Path, bytes]:
    """Return the bytes of all files below a folder, without the time at which they were written."""
    return {
        path.relative_to(folder): re.sub(rb'"created_at": "[^"]+"', b"", path.read_bytes())
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_exports_are_the_same_byte_for_byte(
    source: Engine, saved: Path, target: Engine, tmp_path: Path
) -> None:
    file, url = tmp_path / "cli", target.url.render_as_string(hide_password=False)
    said = Commands(source.url.render_as_string(hide_password=False))("backup", str(file)).stderr
    assert f"rows of {len(archive.read(file).tables)} tables to {file}" in said
    assert "writing tables" in said
    said = Commands(url)("restore", str(file)).stderr
    assert "Restored and verified" in said
    assert "loading tables" in said
    for name, engine in (("before", source), ("after", target)):
        commands = Commands(engine.url.render_as_string(hide_password=False))
        commands.done("evals", "export", str(tmp_path / name))
        commands.done("embeddings", "export", str(tmp_path / name / "vectors.parquet"))
    before, after = (files(tmp_path / name) for name in ("before", "after"))
    assert len(before) > 3
    assert before == after


def test_a_database_that_is_not_there_is_created(
    saved: Path, source: Engine, databases: Databases
) -> None:
    url = databases.url(f"{databases.prefix}_new-database")
    engine = database.create_engine(url)
    try:
        restore(setting(engine), saved)
        assert states(engine) == states(source)
    finally:
        databases._drop(f'"{url.database}"')


def test_what_fails_in_a_created_database_leaves_none(
    saved: Path, databases: Databases, tmp_path: Path
) -> None:
    file = altered(saved, tmp_path / "altered", extensions={"postgis_of_mars": "public"})
    url = databases.url(f"{databases.prefix}_never")
    with pytest.raises(BackupError, match="needs the extension postgis_of_mars"):
        restore(setting(database.create_engine(url)), file)
    with databases.administration() as connection:
        query = text("SELECT count(*) FROM pg_database WHERE datname = :name")
        assert connection.scalar(query, {"name": url.database}) == 0


def test_a_registry_without_data_may_be_replaced(
    saved: Path, source: Engine, databases: Databases
) -> None:
    with databases.made(template=databases.template()) as url:
        engine = database.create_engine(url)
        restore(setting(engine), saved)
        assert states(engine) == states(source)


HELD = {
    "CREATE TABLE public.notes (n int)": ("table public.notes", "DROP TABLE public.notes"),
    "CREATE VIEW registry.mine AS SELECT 1 AS one": (
        "view registry.mine",
        "DROP VIEW registry.mine",
    ),
    "CREATE TABLE store.mine (n int)": ("table store.mine", "DROP TABLE store.mine"),
    "CREATE FUNCTION registry.f() RETURNS int LANGUAGE sql AS 'SELECT 1'": (
        r"function registry.f\(\)",
        "DROP FUNCTION registry.f()",
    ),
    "CREATE FUNCTION public.f() RETURNS int LANGUAGE sql AS 'SELECT 1'": (
        r"function public.f\(\)",
        "DROP FUNCTION public.f()",
    ),
    "CREATE SCHEMA mine": ("schema mine", "DROP SCHEMA mine"),
    "INSERT INTO store.job_runs (job, started_at, status) VALUES ('sync', now(), 'done')": (
        "rows in table store.job_runs",
        "DELETE FROM store.job_runs",
    ),
    "INSERT INTO store.benchmark_aliases VALUES ('mine', 'mmlu', NULL, 'user', 1)": (
        "aliases of benchmarks",
        "DELETE FROM store.benchmark_aliases WHERE source = 'user'",
    ),
}


def test_a_database_that_holds_anything_is_refused(saved: Path, engine: Engine) -> None:
    before = states(engine)
    for statement, (held, undo) in HELD.items():
        execute(engine, statement)
        with pytest.raises(BackupError, match=rf"is not empty: it holds {held}\."):
            restore(setting(engine), saved)
        execute(engine, undo)
    assert states(engine) == before
    migrate.check(engine)


ODD = (
    """CREATE TABLE public."o'brien
COPY x FROM stdin;
" ("two
lines" text)""",
    """INSERT INTO public."o'brien
COPY x FROM stdin;
" VALUES ('one'), (E'\\\\.'), (NULL)""",
    'CREATE TABLE public."an ACL list" AS SELECT 1 AS whole_row, 2 AS two',
    'CREATE TABLE public."a COMMENT - EXTENSION b\u2028 c\x85" AS SELECT 1 AS one',
    'CREATE INDEX "it\'s" ON public."an ACL list" (two)',
    """COMMENT ON INDEX "it's" IS E'a\n--\n-- Name: index; it''s quoted'""",
    'CREATE INDEX "last" ON public."an ACL list" (two)',
    "CREATE MATERIALIZED VIEW public.near AS SELECT * FROM registry.nearest_models('org/m0', 2)",
    'GRANT SELECT ON public."an ACL list" TO registry_reader',
)
"""Objects of users, whose names and texts read like parts of an archive."""

SHOWN = """
SELECT (SELECT array_agg(name ORDER BY name) FROM public.near),
       (SELECT array_agg("two
lines" ORDER BY 1) FROM public."o'brien
COPY x FROM stdin;
"),
       obj_description('"it''s"'::regclass), to_regclass('"last"') IS NOT NULL,
       has_table_privilege('registry_reader', 'public."an ACL list"', 'SELECT')"""


def test_names_and_texts_that_read_like_parts_of_an_archive_come_back(
    databases: Databases, target: Engine, tmp_path: Path
) -> None:
    with databases.made(template=databases.filled("backup", fill)) as url:
        engine = database.create_engine(url)
        with engine.begin() as connection:
            for statement in ODD:
                connection.exec_driver_sql(statement)
        back_up(engine, tmp_path / "saved")
        restored = restore(setting(target), tmp_path / "saved")
        assert not restored.left_out
        assert states(target) == states(engine)
        with engine.connect() as before, target.connect() as after:
            shown = before.exec_driver_sql(SHOWN).one()
            assert after.exec_driver_sql(SHOWN).one() == shown
            assert all(shown)


def test_what_is_no_whole_backup_of_ours_is_refused(
    saved: Path, target: Engine, tmp_path: Path
) -> None:
    manifest, whole = archive.read(saved), saved.read_bytes()
    middle = manifest.length // 2
    turned = bytes([whole[middle] ^ 1])
    other = whole[: manifest.length] + whole[manifest.length :].replace(
        b'"product":"llm-registry"', b'"product":"llm-registrx"'
    )
    later = whole[: manifest.length] + whole[manifest.length :].replace(
        b'"format":1', b'"format":2'
    )
    garbled = whole[: manifest.length] + whole[manifest.length :].replace(
        b'"format":1', b'"form":1'
    )
    cases = {
        "truncated": (whole[:middle], "no manifest at its end: it is truncated"),
        "by a byte": (whole[:-1], "no manifest at its end: it is truncated"),
        "pg_dump's": (whole[: manifest.length], "or pg_dump wrote it"),
        "empty": (b"", "is not a backup"),
        "text": (b"SELECT 1;\n" * 100, "is not a backup"),
        "damaged": (whole[:middle] + turned + whole[middle + 1 :], "is damaged"),
        "another product's": (other, "is a backup of llm-registrx, not of llm-registry"),
        "a later format": (later, "install that version or a newer one"),
        "a ruined manifest": (garbled, "manifest .* is damaged"),
    }
    for name, (body, message) in cases.items():
        file = tmp_path / name
        file.write_bytes(body)
        with pytest.raises(BackupError, match=message):
            restore(setting(target), file)
    with pytest.raises(BackupError, match="nowhere cannot be read: No such file"):
        restore(setting(target), tmp_path / "nowhere")
    with pytest.raises(BackupError, match="cannot be read: Is a directory"):
        restore(setting(target), tmp_path)
    assert is_empty(target)


def test_a_backup_of_something_newer_is_refused(
    saved: Path, target: Engine, tmp_path: Path
) -> None:
    head = revisions.head_revision()
    for changed, message in (
        ({"revision": "9999"}, f"at revision 9999 .* knows {head}: install"),
        ({"server": 990001}, "made on PostgreSQL 99, and this server is PostgreSQL"),
        ({"dumped_by": 99}, "takes pg_restore of PostgreSQL 99 or newer, and there is 1"),
    ):
        file = altered(saved, tmp_path / "newer", **changed)
        with pytest.raises(BackupError, match=message):
            restore(setting(target), file)
    assert is_empty(target)


def test_a_backup_of_an_older_version_or_server_is_restored_as_it_is_and_upgraded(
    engine: Engine, target: Engine, tmp_path: Path
) -> None:
    with engine.begin() as connection:
        factories.model(connection, "org/old")
    migrate.downgrade(engine, "0012")
    back_up(engine, tmp_path / "now")
    file = altered(tmp_path / "now", tmp_path / "old", server=160004)
    said = Commands(target.url.render_as_string(hide_password=False))("restore", str(file)).stderr
    assert "It is at revision 0012; bring it to" in said
    migrate.upgrade(target)
    migrate.check(target)
    with target.connect() as connection:
        connection.exec_driver_sql("SET ROLE registry_reader")
        assert connection.exec_driver_sql("SELECT name FROM registry.models").all() == [
            ("org/old",)
        ]


def test_a_restore_that_differs_changes_nothing(
    saved: Path, target: Engine, tmp_path: Path
) -> None:
    tables = dict(archive.read(saved).tables)
    tables["store.models"] = replace(tables["store.models"], fingerprint="0" * 16)
    for name, expected in (
        ("store.models", tables),
        ("store.runs", {**tables, "store.runs": replace(tables["store.runs"], rows=1)}),
        ("public.lost", {**archive.read(saved).tables, "public.lost": archive.Contents(0, "0")}),
    ):
        file = altered(saved, tmp_path / "differs", tables=expected)
        with pytest.raises(BackupError, match=f"differ from the backup's .*{name}"):
            restore(setting(target), file)
        assert is_empty(target)


def test_a_backup_is_of_one_moment_while_jobs_write(
    engine: Engine, databases: Databases, tmp_path: Path
) -> None:
    """Rows that come in pairs, and versions that come and go, while backups are made."""
    fill(engine)
    stop = threading.Event()
    failed: list[Exception] = []

    def work() -> None:
        number = 0
        try:
            while not stop.is_set():
                number += 1
                with engine.begin() as connection:
                    key = factories.model(connection, f"org/pair{number}")
                    factories.history(connection, key, factories.NOON, downloads=number)
                with engine.begin() as connection:
                    learned.kept(connection, learned.drawn(5, seed=number), current=False)
                with engine.begin() as connection:
                    connection.exec_driver_sql("SET LOCAL lock_timeout = '4s'")
                    newest = connection.scalar(
                        text("SELECT max(version_id) FROM store.embedding_versions")
                    )
                    connection.exec_driver_sql(
                        f"DROP TABLE IF EXISTS store.embeddings_{newest},"
                        f" store.serving_vectors_{newest}, store.item_embeddings_{newest}"
                    )
        except psycopg.errors.LockNotAvailable:
            return
        except Exception as error:  # noqa: BLE001 - reported by the test
            if "LockNotAvailable" not in repr(error):
                failed.append(error)

    worker = threading.Thread(target=work)
    worker.start()
    try:
        for number in range(3):
            back_up(engine, tmp_path / f"{number}.backup")
    finally:
        stop.set()
        worker.join(30)
    assert not failed
    for number in range(3):
        where = database.Setting(databases.url(f"{databases.prefix}_moment{number}"), "test")
        try:
            restore(where, tmp_path / f"{number}.backup")
            with database.engine(where) as restored, restored.connect() as opened:
                pairs, observed = opened.execute(text(PAIRS)).one()
                assert pairs == observed
        finally:
            databases._drop(f"{databases.prefix}_moment{number}")


def test_an_existing_file_stays(source: Engine, tmp_path: Path) -> None:
    file = tmp_path / "there"
    file.write_text("mine")
    with pytest.raises(UsageError, match="There is a file"):
        back_up(source, file)
    assert file.read_text() == "mine"


def test_a_database_without_tables_is_probably_the_wrong_one(
    target: Engine, tmp_path: Path
) -> None:
    with pytest.raises(BackupError, match="no tables, so there is nothing to back up: is it the"):
        back_up(target, tmp_path / "nothing")
    assert list(tmp_path.iterdir()) == []


def test_a_disk_without_room_gets_a_sentence_and_no_file(source: Engine, tmp_path: Path) -> None:
    code = (
        "import resource, sys; from pathlib import Path\n"
        "from registry.db import connection; from registry.db.backup.dump import back_up\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536))\n"
        "back_up(connection.create_engine(sys.argv[1]), Path(sys.argv[2]))"
    )
    url = source.url.render_as_string(hide_password=False)
    ended = subprocess.run(
        [sys.executable, "-c", code, url, tmp_path / "full"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "BackupError: There is no room for the backup in" in ended.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_killed_backup_leaves_nothing_in_the_way(source: Engine, tmp_path: Path) -> None:
    file, url = tmp_path / "killed", source.url.render_as_string(hide_password=False)
    process = start("--database-url", url, "backup", str(file))
    deadline = time.monotonic() + 30
    while not list(tmp_path.iterdir()) and time.monotonic() < deadline:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=30)
    assert not file.exists()
    back_up(source, file)
    assert [path.name for path in tmp_path.iterdir()] == ["killed"]


def test_a_killed_restore_leaves_the_database_empty_or_whole(
    saved: Path, source: Engine, target: Engine
) -> None:
    url, whole = target.url.render_as_string(hide_password=False), states(source)
    for seconds in (0.0, 0.05):
        process = start("--database-url", url, "restore", str(saved))
        assert process.stderr is not None
        for line in process.stderr:
            if "loading tables" in line:
                break
        time.sleep(seconds)
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=30)
        assert is_empty(target) or states(target) == whole
    if is_empty(target):
        restore(setting(target), saved)
    assert states(target) == whole


def test_no_room_for_a_restore_is_said_before_it_begins(
    saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REGISTRY_DATA_DIR", str(tmp_path / "data"))
    file = altered(saved, tmp_path / "huge", size=1 << 60)
    with pytest.raises(BackupError, match="GiB free, and the restored database takes about"):
        restore(database.Setting(None, "test"), file)
    assert not (tmp_path / "data").exists()


def test_an_owner_of_a_database_restores_without_other_rights(
    saved: Path, source: Engine, databases: Databases
) -> None:
    name = f"{databases.prefix}_plain"
    with databases.administration() as connection:
        connection.exec_driver_sql(f"CREATE ROLE {name} LOGIN PASSWORD 'x' NOINHERIT")
    try:
        with databases.made() as url:
            with databases.administration() as connection:
                connection.exec_driver_sql(f"ALTER DATABASE {url.database} OWNER TO {name}")
            with database.create_engine(url).begin() as connection:
                connection.exec_driver_sql("CREATE EXTENSION vector; CREATE EXTENSION pg_trgm")
            engine = database.create_engine(url.set(username=name, password="x"))
            restored = restore(setting(engine), saved)
            assert not restored.with_owners
            assert states(engine) == states(source)
            with database.create_engine(url).connect() as connection:
                connection.exec_driver_sql("SET ROLE registry_reader")
                assert all(connection.exec_driver_sql(READER_SEES).one())
    finally:
        with databases.administration() as connection:
            connection.exec_driver_sql(f"DROP ROLE {name}")


def test_a_role_that_is_there_gets_no_rights_by_a_restore(
    saved: Path, target: Engine, databases: Databases, tmp_path: Path
) -> None:
    name = f"{databases.prefix}_known"
    given = archive.Role(name, login=True, superuser=False, member_of=["registry_reader"])
    file = altered(saved, tmp_path / "of another", roles=[*archive.read(saved).roles, given])
    with databases.administration() as connection:
        connection.exec_driver_sql(f"CREATE ROLE {name}")
    try:
        assert restore(setting(target), file).created == []
        with target.connect() as connection:
            member = text("SELECT pg_has_role(:name, 'registry_reader', 'MEMBER')")
            assert connection.scalar(member, {"name": name}) is False
    finally:
        with databases.administration() as connection:
            connection.exec_driver_sql(f"DROP ROLE {name}")


def test_programs_are_found_or_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert programs.find("pg_dump", 16).major >= 16
    with pytest.raises(BackupError, match=r"takes pg_dump of PostgreSQL 99 .*client-99"):
        programs.find("pg_dump", 99)
    monkeypatch.setattr(programs, "_WHEEL", Path("nowhere"))
    monkeypatch.setattr(programs, "_DEBIAN", Path("/nowhere"))
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(BackupError, match="and there is none here"):
        programs.find("pg_dump", 16)


@pytest.fixture(scope="module")
def new_server() -> Iterator[Path]:
    """A server that has never known the registry, nor its roles."""
    with own_directory() as directory:
        yield directory


def test_on_a_new_server_roles_come_back_and_a_plain_dump_is_repaired(
    source: Engine, databases: Databases, new_server: Path, tmp_path: Path
) -> None:
    with databases.made(template=databases.filled("backup", fill)) as url:
        engine = database.create_engine(url)
        _with_users(engine, databases.prefix)
        try:
            back_up(engine, tmp_path / "saved")
            plain = tmp_path / "plain"
            program = programs.find("pg_dump", 16)
            address, environment = programs.connecting(url)
            subprocess.run(
                [program.path, "-Fc", f"--file={plain}", address], env=environment, check=True
            )
        finally:
            _without_users(engine, databases.prefix)
    server = embedded.start(new_server, keep=True, settings={"fsync": "off"})
    _natural_restore_is_noticed_and_repaired(server.url, plain)
    _dropped_roles(server.url)
    place = {"REGISTRY_DATA_DIR": str(new_server)}
    done = Commands(None)("restore", str(tmp_path / "saved"), **place)
    assert done.exit_code == 0, done.output
    # Which ones, is checked below: roles are the whole server's, and other tests' may be named.
    assert "Created the roles " in done.stderr
    assert "Left out" not in done.stderr
    asked = Commands(None).done("query", "SELECT count(*) > 0 AS some FROM models", **place)
    assert asked == "some\ntrue\n"
    Commands(None).done("db", "check", **place)
    restored = database.create_engine(server.url)
    found = states(restored)
    assert found.pop("public.notes").rows == 1
    assert found == states(source)
    with restored.connect() as connection:
        # The embedded database is the registry's alone, and stays so.
        allowed = "SELECT has_function_privilege('registry_reader', 'lo_create(oid)', 'EXECUTE')"
        assert connection.exec_driver_sql(allowed).scalar() is False
        for role, statement in (
            (f"{databases.prefix}_alice", READER_SEES),
            (f"{databases.prefix}_bob", "SELECT * FROM public.mine"),
        ):
            connection.exec_driver_sql(f'SET ROLE "{role}"')
            assert all(connection.exec_driver_sql(statement).one())
            connection.exec_driver_sql("RESET ROLE")


def _with_users(engine: Engine, prefix: str) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql(f"CREATE ROLE {prefix}_alice LOGIN IN ROLE registry_reader")
        connection.exec_driver_sql(f"CREATE ROLE {prefix}_bob")
        connection.exec_driver_sql(f"CREATE ROLE registry_query_{prefix} IN ROLE registry_reader")
        connection.exec_driver_sql("REVOKE USAGE ON LANGUAGE plpgsql FROM PUBLIC")
        connection.exec_driver_sql(
            "CREATE VIEW public.mine AS SELECT count(*) FROM registry.models"
        )
        connection.exec_driver_sql(f"GRANT SELECT ON public.mine TO {prefix}_bob")
        connection.exec_driver_sql("CREATE TABLE public.notes AS SELECT 'mine' AS note")


def _without_users(engine: Engine, prefix: str) -> None:
    with engine.begin() as connection:
        for name in (f"{prefix}_alice", f"{prefix}_bob", f"registry_query_{prefix}"):
            connection.exec_driver_sql(f"DROP OWNED BY {name}; DROP ROLE {name}")


def _natural_restore_is_noticed_and_repaired(url: str, plain: Path) -> None:
    """What pg_restore alone makes of a dump: healthy tables that the reader does not see."""
    with psycopg.connect(url, autocommit=True) as administration:
        administration.execute("CREATE DATABASE natural_one")
    engine = database.create_engine(make_url(url).set(database="natural_one"))
    program = programs.find("pg_restore", 16)
    address, environment = programs.connecting(engine.url)
    ended = subprocess.run(
        [program.path, f"--dbname={address}", plain],
        env={**environment},
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert 'role "registry_owner" does not exist' in ended.stderr
    text_url = engine.url.render_as_string(hide_password=False)
    with pytest.raises(SchemaNotAtHeadError, match="There is no role registry_owner and"):
        migrate.check(engine)
    doctor = Commands(text_url)("doctor", "--format", "csv")
    assert doctor.exit_code == 4
    assert "grants,fail" in doctor.stdout
    Commands(text_url).done("db", "upgrade")
    migrate.check(engine)
    with engine.connect() as connection:
        connection.exec_driver_sql("SET ROLE registry_reader")
        assert all(connection.exec_driver_sql(READER_SEES).one())


def _dropped_roles(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as administration:
        administration.execute("DROP DATABASE natural_one")
        administration.execute("DROP ROLE registry_reader, registry_owner")


CHANGED = {
    "REVOKE SELECT ON registry.models FROM registry_reader": "view registry.models",
    "REVOKE SELECT ON store.models FROM registry_reader": "table store.models",
    "REVOKE USAGE ON SCHEMA registry FROM registry_reader": "may not read schema registry",
    "REVOKE EXECUTE ON FUNCTION registry.model_id(text) FROM PUBLIC": "function registry.model_id",
    "ALTER TABLE store.runs OWNER TO CURRENT_USER": "table store.runs",
    "ALTER VIEW registry.runs OWNER TO CURRENT_USER": "view registry.runs",
    "ALTER SCHEMA store OWNER TO CURRENT_USER": "schema store, table .* should belong to registry_",
    "ALTER VIEW store.lock_training OWNER TO CURRENT_USER": "should belong to registry_owner",
    "GRANT DELETE ON store.items TO registry_reader": "may change schema registry, table store.it",
    "GRANT CREATE ON SCHEMA registry TO PUBLIC": "reader may change schema registry",
    "GRANT UPDATE ON store.lock_catalog TO registry_reader": "lock store.lock_catalog",
    "COMMENT ON VIEW registry.models IS NULL": "2 comments are missing or differ",
    "COMMENT ON COLUMN store.models.name IS 'else'": "2 comments are missing or differ",
}


def test_a_check_finds_what_an_upgrade_restores(engine: Engine) -> None:
    execute(engine, *CHANGED)
    with pytest.raises(SchemaNotAtHeadError) as found:
        migrate.check(engine)
    for message in CHANGED.values():
        assert re.search(message, str(found.value)), message
    migrate.upgrade(engine)
    migrate.check(engine)
    execute(engine, "DROP VIEW registry.quarantine")
    with pytest.raises(SchemaNotAtHeadError, match="not those of this version"):
        migrate.check(engine)
    migrate.upgrade(engine)
    migrate.check(engine)


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        ("ALTER ROLE registry_reader SUPERUSER CREATEDB", "has SUPERUSER and CREATEDB"),
        ("GRANT registry_owner TO registry_reader", "is a member of registry_owner"),
        ("GRANT pg_read_server_files TO registry_reader", "is a member of pg_read_server_files"),
        ("GRANT UPDATE (name) ON store.models TO registry_reader", "may change table store.models"),
        ("GRANT SELECT ON pg_authid TO registry_reader", "may use pg_authid"),
        ("GRANT SELECT (passwd) ON pg_shadow TO registry_reader", "may use pg_shadow"),
        ("GRANT SELECT (subconninfo) ON pg_subscription TO registry_reader", "pg_subscription"),
        ("GRANT UPDATE ON pg_database TO registry_reader", "may use pg_database"),
        ("GRANT EXECUTE ON FUNCTION pg_read_file(text) TO registry_reader", "call pg_read_file"),
        ("GRANT SET ON PARAMETER temp_file_limit TO registry_reader", "may set temp_file_limit"),
        (
            """DO $$BEGIN EXECUTE format('GRANT CREATE ON DATABASE %%I TO registry_reader',
               current_database()); END$$""",
            "may create schemas in database",
        ),
    ],
)
def test_rights_of_the_reader_are_found_and_taken(
    engine: Engine, statement: str, found: str
) -> None:
    # Never committed: the role is that of all databases of the server.
    with engine.connect() as connection:
        connection.exec_driver_sql(statement)
        assert any(found in each for each in grants.differences(connection))
        grants.restore(connection)
        assert grants.differences(connection) == []


def test_a_newer_database_asks_for_a_newer_registry(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE store.alembic_version SET version_num = '9999'")
    with pytest.raises(SchemaNotAtHeadError) as refused, database.reading(engine):
        pass
    assert "a newer one set it up; install that" in str(refused.value)
    assert "db upgrade" not in str(refused.value)
