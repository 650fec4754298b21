"""Logins of users' SQL: one that may only read is found or made, and the owner's is never used."""

import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from cli_commands import Commands
from factories import rows
from readers import reader
from sqlalchemy import Engine, text

from registry.db import connection as database
from registry.db import roles
from registry.db.query import login, run_query
from registry.errors import DatabaseUnreachableError, RegistryError, SchemaNotAtHeadError
from registry.evaluations import upgrades

MADE = "SELECT rolname FROM pg_roles WHERE rolname ^@ 'registry_query_'"


def session(engine: Engine) -> str:
    with run_query(engine, "SELECT session_user", timeout=10, max_rows=1) as result:
        return str(next(result.rows)[0])


@pytest.fixture
def plain(engine: Engine) -> Iterator[Engine]:
    """The engine of an owner who may write, and create no roles."""
    name = f"plain_{secrets.token_hex(4)}"
    with engine.begin() as connection:
        connection.exec_driver_sql(f"CREATE ROLE {name} LOGIN PASSWORD 'x' IN ROLE registry_owner")
    opened = database.create_engine(engine.url.set(username=name, password="x"))
    yield opened
    opened.dispose()
    with engine.begin() as connection:
        connection.exec_driver_sql(f"DROP ROLE {name}")


def test_a_login_is_made_for_a_statement_and_dropped(engine: Engine) -> None:
    made = session(engine)
    assert made.startswith("registry_query_")
    with engine.connect() as connection:
        assert (made,) not in rows(connection, MADE)


def test_a_database_that_is_not_set_up_is_named_before_logins(
    plain: Engine, empty_database_url: str
) -> None:
    of = database.create_engine(empty_database_url).url
    url = of.set(username=plain.url.username, password="x")
    opened = database.create_engine(url)
    with pytest.raises(SchemaNotAtHeadError, match="not set up yet"):
        session(opened)
    opened.dispose()


def test_a_login_that_may_only_read_is_used_as_it_is(engine: Engine) -> None:
    with reader(engine) as url:
        own = database.create_engine(url)
        assert session(own) == own.url.username


def test_the_login_of_the_setting_is_used(
    plain: Engine, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    with reader(engine) as url:
        monkeypatch.setenv("REGISTRY_QUERY_URL", url)
        assert session(plain).startswith("reader_")


def test_the_owners_session_is_never_used(plain: Engine) -> None:
    with pytest.raises(RegistryError, match=r"may do more, but make no other\. Set REGISTRY_QUERY"):
        session(plain)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ("SUPERUSER", "is a superuser"),
        ("CREATEROLE", "may create roles"),
        ("CREATEDB", "may create databases"),
        ("REPLICATION", "may replicate"),
        ("BYPASSRLS", "bypasses row security"),
        ("IN ROLE pg_read_server_files", "has the role pg_read_server_files"),
        ("IN ROLE registry_owner", "owns schema"),
    ],
)
def test_a_login_of_the_setting_with_other_rights_is_refused(
    plain: Engine, engine: Engine, monkeypatch: pytest.MonkeyPatch, options: str, reason: str
) -> None:
    with reader(engine, options) as url:
        monkeypatch.setenv("REGISTRY_QUERY_URL", url)
        with pytest.raises(RegistryError, match=reason):
            session(plain)


def test_a_login_that_may_write_to_a_table_is_refused(
    plain: Engine, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    with reader(engine) as url:
        name = database.create_engine(url).url.username
        with engine.begin() as connection:
            connection.exec_driver_sql(f"GRANT DELETE ON store.lookups TO {name}")
        monkeypatch.setenv("REGISTRY_QUERY_URL", url)
        with pytest.raises(RegistryError, match="may write to store.lookups"):
            session(plain)
        with engine.begin() as connection:
            connection.exec_driver_sql(f"REVOKE DELETE ON store.lookups FROM {name}")


@pytest.mark.parametrize(
    ("right", "reason"),
    [
        ("CREATE ON DATABASE {database}", "may create schemas in database"),
        ("SELECT ON pg_authid", "may use pg_authid, which Postgres keeps from users"),
        ("SELECT (passwd) ON pg_shadow", "may use pg_shadow"),
        ("EXECUTE ON FUNCTION pg_read_file(text)", "may call pg_read_file"),
    ],
)
@pytest.mark.parametrize("to", ["login", "PUBLIC"])
def test_a_login_that_may_do_more_in_the_database_or_its_catalogs_is_refused(
    engine: Engine, right: str, reason: str, to: str
) -> None:
    right = right.format(database=engine.url.database)
    with reader(engine) as url:
        grantee = "PUBLIC" if to == "PUBLIC" else database.create_engine(url).url.username
        with engine.begin() as connection:
            connection.exec_driver_sql(f"GRANT {right} TO {grantee}")
        with pytest.raises(RegistryError, match=reason):
            login.checked(database.postgres_url(url, "test")).__enter__()
        with engine.begin() as connection:
            begin, end = f"REVOKE {right.split(' ON ')[0]} ON ", f"{right.split()[-1]} FROM PUBLIC"
            open_ = roles.open_to_all(connection)
            found = [each for each in open_ if each.startswith(begin) and each.endswith(end)]
            assert bool(found) == (to == "PUBLIC")
            connection.exec_driver_sql(f"REVOKE {right} FROM {grantee}")


def test_a_login_that_cannot_connect_says_why_without_its_password(
    plain: Engine, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = engine.url.set(drivername="postgresql", username="nobody", password="geheim")
    monkeypatch.setenv("REGISTRY_QUERY_URL", wrong.render_as_string(hide_password=False))
    with pytest.raises(DatabaseUnreachableError, match="cannot connect: ") as raised:
        session(plain)
    assert "geheim" not in str(raised.value)
    assert "password authentication failed" in str(raised.value)


def test_logins_that_a_killed_command_left_are_dropped(engine: Engine) -> None:
    left = f"registry_query_{secrets.token_hex(8)}"
    with engine.begin() as connection:
        connection.exec_driver_sql(f"CREATE ROLE {left} LOGIN VALID UNTIL '2026-01-01'")
    session(engine)
    with engine.connect() as connection:
        assert (left,) not in rows(connection, MADE)


def test_the_login_of_a_statement_that_runs_is_left_to_it(engine: Engine) -> None:
    with run_query(engine, "SELECT session_user", timeout=10, max_rows=1) as result:
        assert session(engine) != str(next(result.rows)[0])


def test_the_reader_of_the_embedded_server_is_limited(embedded_engine: Engine) -> None:
    with login.opened(embedded_engine) as reading, reading.connect() as connection:
        assert reading.url.username == "registry_reader"
        limits = rows(
            connection,
            "SELECT name, setting::int FROM pg_settings WHERE name IN ('temp_file_limit',"
            " 'statement_timeout', 'idle_in_transaction_session_timeout', 'lock_timeout')",
        )
        assert all(limit > 0 for _, limit in limits)
        with pytest.raises(Exception, match="permission denied to set parameter"):
            connection.exec_driver_sql("SET temp_file_limit = -1")
    with embedded_engine.connect() as connection:
        ((most,),) = rows(
            connection, "SELECT rolconnlimit FROM pg_roles WHERE rolname = 'registry_reader'"
        )
        others = connection.scalars(
            text(
                "SELECT datname FROM pg_database"
                " WHERE has_database_privilege('registry_reader', oid, 'CONNECT')"
                "   AND datallowconn AND datname IN ('postgres', 'template1', 'registry')"
            )
        ).all()
    assert 0 < most <= 40
    assert others == ["registry"]


def test_the_password_of_the_reader_is_its_owners_alone(embedded_engine: Engine) -> None:
    with login.opened(embedded_engine) as reading:
        password = reading.url.password
    path = Path(os.environ["REGISTRY_DATA_DIR"], "postgres.reader")
    assert path.read_text() == password
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_reader_with_another_password_is_done_without(embedded_engine: Engine) -> None:
    with embedded_engine.begin() as connection:
        connection.exec_driver_sql("ALTER ROLE registry_reader PASSWORD 'another'")
    assert session(embedded_engine).startswith("registry_query_")
    upgrades.upgrade(embedded_engine, embedded=True)
    assert session(embedded_engine) == "registry_reader"


def test_a_damaged_password_of_the_reader_is_done_without_and_made_again(
    embedded_engine: Engine,
) -> None:
    Path(os.environ["REGISTRY_DATA_DIR"], "postgres.reader").write_bytes(b"\xff\xfe")
    assert session(embedded_engine).startswith("registry_query_")
    upgrades.upgrade(embedded_engine, embedded=True)
    assert session(embedded_engine) == "registry_reader"


@pytest.mark.parametrize(
    "setting",
    [
        "SET statement_timeout = 1",
        "SET work_mem = '1GB'",
        "IN DATABASE registry SET search_path = nowhere",
    ],
)
def test_what_a_reader_sets_for_its_role_reaches_no_statement(
    embedded_engine: Engine, setting: str
) -> None:
    with login.opened(embedded_engine) as reading, reading.begin() as connection:
        connection.exec_driver_sql(f"ALTER ROLE CURRENT_USER {setting}")
    assert session(embedded_engine).startswith("registry_query_")
    upgrades.upgrade(embedded_engine, embedded=True)
    assert session(embedded_engine) == "registry_reader"


def test_the_url_of_the_reader_is_printed(embedded_engine: Engine) -> None:
    printed = Commands(None).done("db", "url", "--reader").strip()
    with psycopg.connect(printed) as connection:
        assert connection.execute("SELECT session_user").fetchone() == ("registry_reader",)
    assert str(embedded_engine.url.password) not in printed
