import logging
import re

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import OperationalError

from registry.bounded import waiting
from registry.db import connection as database
from registry.db import lock_waits


def test_a_command_says_for_which_lock_it_waits(
    database_url: str,
    engine: Engine,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(waiting, "EVERY", 0.1)
    with engine.begin() as holder, database.engine(database.setting(database_url)) as waits:
        holder.exec_driver_sql("LOCK TABLE store.models")
        number = holder.scalar(text("SELECT pg_backend_pid()"))
        with waits.begin() as connection:
            connection.exec_driver_sql("SET LOCAL lock_timeout = '1s'")
            with pytest.raises(OperationalError, match="lock timeout"):
                connection.exec_driver_sql("SELECT FROM store.models")
    said = [record.getMessage() for record in caplog.records]
    assert said
    expected = re.compile(
        rf"Waiting for a lock that session {number} of \S+ \(registry, idle in transaction for "
        r"\d s\) holds \(\d s so far\)"
    )
    for line in said:
        assert expected.fullmatch(line)


def test_nothing_is_said_of_what_waits_for_no_lock(
    database_url: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(waiting, "EVERY", 0.05)
    with database.engine(database.setting(database_url)) as waits, waits.begin() as connection:
        connection.exec_driver_sql("SELECT pg_sleep(0.3)")
    assert caplog.records == []


def test_holders_are_those_with_locks_on_the_registrys_tables(engine: Engine) -> None:
    with engine.begin() as holder, engine.begin() as other:
        other.exec_driver_sql("SELECT FROM pg_class")
        holder.exec_driver_sql("SELECT FROM store.models")
        number = holder.scalar(text("SELECT pg_backend_pid()"))
        (named,) = lock_waits.holders(engine)
        assert named.startswith(f"session {number} of ")
    assert lock_waits.holders(engine) == []
