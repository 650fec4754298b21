"""Bulk load by COPY."""

from collections.abc import Iterable, Iterator, Sequence

import psycopg
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError, IntegrityError

from registry.db.connection import driver_connection

LINES_AT_ONCE = 5_000
"""Lines of a COPY that are sent at once: no fewer than a page of the Hub's listing has."""


CHARACTERS_AT_ONCE = 1 << 24
"""Characters after which no more lines are waited for: what items ask may be long."""


def copy_rows(
    connection: Connection, table: str, columns: Sequence[str], rows: Iterable[Sequence[object]]
) -> int:
    """Load rows by COPY, as the connection's transaction; return how many there were.

    Args:
        connection: where to load.
        table: trusted name of the table, as SQL.
        columns: trusted names of its columns.
        rows: one value per column; None is NULL, a list an array, text is taken for jsonb.
    """
    count = 0
    statement = f"COPY {table} ({', '.join(columns)}) FROM STDIN"
    try:
        with (
            driver_connection(connection).cursor() as cursor,
            cursor.copy(statement.encode()) as copy,
        ):
            for row in rows:
                copy.write_row(row)
                count += 1
    except psycopg.Error as error:
        # The driver was called directly: fail as SQLAlchemy would have.
        raise DBAPIError(statement, None, error) from error
    return count


def _batches(lines: Iterable[str]) -> Iterator[list[str]]:
    """Yield lines that are sent at once: fewer where they are long."""
    some: list[str] = []
    size = 0
    for line in lines:
        some.append(line)
        size += len(line)
        if len(some) >= LINES_AT_ONCE or size >= CHARACTERS_AT_ONCE:
            yield some
            some, size = [], 0
    if some:
        yield some


def copy_lines(
    connection: Connection, table: str, columns: Sequence[str], lines: Iterable[str]
) -> None:
    """Load rows that are COPY text already, as the connection's transaction.

    Args:
        connection: where to load.
        table: trusted name of the table, as SQL.
        columns: trusted names of its columns.
        lines: one for each row, without its line end; LINES_AT_ONCE are sent at once.
    """
    batches = _batches(lines)
    copy_texts(connection, table, columns, ("\n".join([*some, ""]).encode() for some in batches))


def copy_texts(
    connection: Connection, table: str, columns: Sequence[str], texts: Iterable[bytes]
) -> None:
    """Load COPY text in UTF-8, as the connection's transaction.

    Args:
        connection: where to load.
        table: trusted name of the table, as SQL.
        columns: trusted names of its columns.
        texts: pieces that end with a line's end.
    """
    pieces = iter(texts)
    piece = next(pieces, None)
    if piece is None:
        return
    statement = f"COPY {table} ({', '.join(columns)}) FROM STDIN"
    try:
        with (
            driver_connection(connection).cursor() as cursor,
            cursor.copy(statement.encode()) as copy,
        ):
            while piece is not None:
                # The server takes this one while the next is made.
                copy.write(piece)
                piece = next(pieces, None)
    except psycopg.IntegrityError as error:
        raise IntegrityError(statement, None, error) from error
    except psycopg.Error as error:
        raise DBAPIError(statement, None, error) from error
