"""Limits of a statement: of time, whatever it catches, and of memory, whatever it returns."""

import time

import pytest
from query_memory import queried
from sqlalchemy import Engine, text

from registry.db.query import run_query
from registry.db.query.kinds import QueryError

STUBBORN = """
CREATE FUNCTION public.stubborn() RETURNS int LANGUAGE plpgsql AS $$
BEGIN
    LOOP
        BEGIN
            PERFORM set_config('transaction_timeout', '0', true);
            PERFORM set_config('statement_timeout', '0', true);
            PERFORM pg_sleep(60);
        EXCEPTION WHEN query_canceled THEN NULL;
        END;
    END LOOP;
END $$"""
LEFT = """
SELECT count(*) FROM pg_stat_activity
 WHERE query LIKE '%stubborn()%' AND pid <> pg_backend_pid() AND datname = current_database()"""
MOST = 300  # megabytes


def test_a_statement_that_catches_its_end_is_ended(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql(STUBBORN)
    began = time.monotonic()
    with (
        pytest.raises(QueryError, match="took longer than 0.5 s"),
        run_query(engine, "SELECT stubborn()", timeout=0.5, max_rows=1) as result,
    ):
        next(result.rows)
    assert time.monotonic() - began < 10
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        deadline = time.monotonic() + 5
        while connection.scalar(text(LEFT)):
            assert time.monotonic() < deadline
            time.sleep(0.1)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("SELECT repeat('x', 400000000)",), 1),
        (("SELECT jsonb_agg('{}'::jsonb) FROM generate_series(1, 2000000)", "--format", "json"), 0),
    ],
)
def test_no_statement_takes_much_memory(
    database_url: str, arguments: tuple[str, ...], code: int
) -> None:
    ended, used = queried(database_url, *arguments)
    assert ended == code
    assert used < MOST
