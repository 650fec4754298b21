"""Bulk load by COPY, as text."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import psycopg
from sqlalchemy import Connection

from registry.db.connection import driver_connection
from registry.db.errors import driver_errors

LINES_AT_ONCE = 5_000
"""Lines of a COPY that are sent at once: no fewer than a page of the Hub's listing has."""

CHARACTERS_AT_ONCE = 1 << 24
"""Characters at which a batch of fewer lines is sent: an item's text may be long."""


@contextmanager
def copying(
    connection: Connection, statement: str, parameters: Mapping[str, object] | None = None
) -> Iterator[psycopg.Copy]:
    """Run a COPY statement in the connection's transaction, with errors as SQLAlchemy's.

    Args:
        connection: which nothing else may use meanwhile.
        statement: trusted SQL; its parameters are written as %(name)s.
        parameters: by name.
    """
    with (
        driver_errors(statement),
        driver_connection(connection).cursor() as cursor,
        cursor.copy(statement.encode(), parameters) as copy,
    ):
        yield copy


def copy_rows(
    connection: Connection, table: str, columns: Sequence[str], rows: Iterable[Sequence[object]]
) -> int:
    """Load rows, in the connection's transaction; return how many there were.

    Args:
        connection: to load by.
        table: trusted name of the table, as SQL.
        columns: trusted names of its columns.
        rows: one value per column; None is NULL, a list an array, text is taken for jsonb.
    """
    count = 0
    with copying(connection, f"COPY {table} ({', '.join(columns)}) FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)
            count += 1
    return count


def copy_lines(
    connection: Connection, table: str, columns: Sequence[str], lines: Iterable[str]
) -> None:
    """Load rows that are COPY text already, in the connection's transaction.

    Args:
        connection: to load by.
        table: trusted name of the table, as SQL.
        columns: trusted names of its columns.
        lines: one for each row, without its line end; LINES_AT_ONCE are sent at once.
    """
    texts = ("\n".join([*batch, ""]).encode() for batch in _batches(lines))
    copy_texts(connection, table, columns, texts)


def _batches(lines: Iterable[str]) -> Iterator[list[str]]:
    """Yield lines that are sent at once: fewer where they are long."""
    batch: list[str] = []
    size = 0
    for line in lines:
        batch.append(line)
        size += len(line)
        if len(batch) >= LINES_AT_ONCE or size >= CHARACTERS_AT_ONCE:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def copy_texts(
    connection: Connection, table: str, columns: Sequence[str], texts: Iterable[bytes]
) -> None:
    """Load COPY text in UTF-8, in the connection's transaction.

    Args:
        connection: to load by.
        table: trusted name of the table, as SQL.
        columns: trusted names of its columns.
        texts: pieces that end with a line's end.
    """
    pieces = iter(texts)
    piece = next(pieces, None)
    if piece is None:
        return
    with copying(connection, f"COPY {table} ({', '.join(columns)}) FROM STDIN") as copy:
        while piece is not None:
            # The server loads this piece while the next one is made.
            copy.write(piece)
            piece = next(pieces, None)
