from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from readers import reader
from sqlalchemy import Engine

from registry.db.connection import create_engine, setting

OWN, ANY = "REGISTRY_DATABASE_URL", "DATABASE_URL"


def test_the_first_setting_that_is_given_counts() -> None:
    environ = {ANY: "postgresql://host/any", OWN: "postgresql://host/own"}
    expected = [("--database-url", "flag"), (OWN, "own"), (ANY, "any"), ("embedded default", None)]
    found = [
        setting("postgresql://host/flag", environ),
        setting(None, environ),
        setting(None, {**environ, OWN: ""}),
        setting(None, {}),
    ]
    assert [(each.origin, each.url and each.url.database) for each in found] == expected


def test_a_full_server_is_asked_again(engine: Engine) -> None:
    with reader(engine, "CONNECTION LIMIT 1") as url, ThreadPoolExecutor(1) as thread:
        first = psycopg.connect(url)
        own = create_engine(url)

        def second() -> object:
            with own.connect() as connection:
                return connection.exec_driver_sql("SELECT 1").scalar()

        waits = thread.submit(second)
        with pytest.raises(TimeoutError):
            waits.result(0.5)
        first.close()
        assert waits.result(5) == 1
