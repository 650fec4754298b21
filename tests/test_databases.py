from contextlib import closing

import psycopg
import pytest
from databases import Databases
from factories import edge, model
from learned import drawn, kept
from sqlalchemy import Engine, text
from sqlalchemy.engine import URL

from registry.db import connection as database


def opened(url: URL) -> Engine:
    return database.create_engine(url)


@pytest.fixture
def lender(databases: Databases) -> Databases:
    """One that has lent nothing yet."""
    return Databases(databases.server, None, databases.prefix)


def test_what_is_lent_again_is_as_new(lender: Databases) -> None:
    with lender.lent() as first, opened(first).begin() as connection:
        assert model(connection, "org/a") == 1
        edge(connection, "org/b", "org/a")
        kept(connection, drawn(3))
        connection.exec_driver_sql("ANALYZE")
        connection.exec_driver_sql("DROP INDEX store.models_author_idx")
        connection.exec_driver_sql("CREATE INDEX models_author_idx ON store.models (author)")
    with lender.lent() as second, opened(second).begin() as connection:
        assert second == first
        for table in ("models", "edges", "embedding_versions", "embeddings"):
            assert connection.scalar(text(f"SELECT count(*) FROM store.{table}")) == 0
        assert model(connection, "org/a") == 1
        assert kept(connection, drawn(3)) == 1


@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE store.models ADD COLUMN more int",
        "DROP INDEX store.models_author_idx",
        "DROP VIEW registry.job_runs CASCADE",
        "GRANT SELECT ON store.models TO PUBLIC",
        "CREATE SCHEMA more",
        "UPDATE store.similarity_weights SET weight = weight / 2",
    ],
)
def test_what_cannot_be_emptied_is_replaced(lender: Databases, change: str) -> None:
    with lender.lent() as first, opened(first).begin() as connection:
        connection.exec_driver_sql(change)
    with lender.lent() as second:
        assert second != first
        with opened(second).connect() as connection:
            assert not connection.scalar(text("SELECT count(*) FROM store.models"))


def test_what_is_still_open_does_not_hold_up_the_next(lender: Databases) -> None:
    with lender.lent() as url:
        left = psycopg.connect(
            url.set(drivername="postgresql").render_as_string(hide_password=False)
        )
        left.execute("LOCK TABLE store.models")
    with closing(left), lender.lent() as again:
        assert again == url
        with opened(again).connect() as connection:
            assert not connection.scalar(text("SELECT count(*) FROM store.models"))
