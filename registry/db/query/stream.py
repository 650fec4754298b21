"""Rows of a statement, one by one from the server, within limits of time and of bytes.

libpq holds a whole row in memory, however large: so what has arrived of one is counted at the
socket, and a row that is too large is given up while it arrives.
"""

import array
import fcntl
import os
import selectors
import termios
import time
from collections.abc import Generator
from contextlib import closing, suppress

import psycopg
from psycopg import pq
from psycopg.adapt import Transformer

LARGEST_ROW = 8 << 20
"""Bytes of a row; in Python's objects it takes up to twenty times as much."""

GRACE = 2.0
"""Seconds that a server has to end a statement whose time is up."""


_SMALL = 1 << 16  # bytes of a row of which the values take little memory
_PAGE = os.sysconf("SC_PAGE_SIZE")


class OverdueError(Exception):
    """The server did not end a statement in time."""


class LargeRowError(Exception):
    """A row has too many bytes; the connection is closed."""


class Arrival:
    """What has arrived of a row that is not complete, and the memory that libpq takes for it.

    libpq reads on for as long as a server sends, hundreds of megabytes in one call; but before that
    it makes room for the whole row. Where a process cannot see its own size, as on macOS, what
    waits at the socket is counted alone.
    """

    def __init__(self, descriptor: int) -> None:
        self.descriptor, self.bytes = descriptor, 0
        self._memory = -1
        with suppress(OSError):
            self._memory = os.open("/proc/self/statm", os.O_RDONLY | os.O_CLOEXEC)
        self._room = self._now()

    def close(self) -> None:
        """Close what the process's size is read from."""
        if self._memory >= 0:
            os.close(self._memory)

    def begin(self, previous: int) -> None:
        """Begin with a row; the one before had so many bytes."""
        self.bytes = 0
        if previous > _SMALL:  # its values took memory, too
            self._room = self._now()

    def is_too_large(self) -> bool:
        """Return whether more than a row may have is on its way."""
        before, self._room = self._room, self._now()
        return max(self.bytes, self._room - before) > LARGEST_ROW * 2

    def count(self) -> None:
        """Count what waits at the socket."""
        waits = array.array("i", [0])
        fcntl.ioctl(self.descriptor, termios.FIONREAD, waits)
        self.bytes += waits[0]

    def _now(self) -> int:
        return int(os.pread(self._memory, 20, 0).split()[0]) * _PAGE if self._memory >= 0 else 0


def rows(
    cursor: psycopg.Cursor[tuple[object, ...]], statement: bytes, seconds: float
) -> Generator[tuple[tuple[object, ...], int], None, None]:
    """Run a statement by the extended protocol, which takes one alone; yield rows and their bytes.

    Args:
        cursor: whose loaders make values of the rows.
        statement: that the server has parsed and that has columns.
        seconds: until the server should have ended it.

    Raises:
        psycopg.Error: as the server says.
        OverdueError: nothing was heard of it in time.
        LargeRowError: a row is too large.
    """
    pgconn = cursor.connection.pgconn
    deadline = time.monotonic() + seconds + GRACE
    pgconn.send_query_params(statement, None)
    pgconn.set_single_row_mode()
    transformer = Transformer(cursor)
    with closing(Arrival(pgconn.socket)) as arrival, selectors.DefaultSelector() as selector:
        selector.register(pgconn.socket, selectors.EVENT_READ)
        _flush(pgconn, deadline)
        while (result := _next(pgconn, selector, deadline, arrival)) is not None:
            if result.status not in {pq.ExecStatus.SINGLE_TUPLE, pq.ExecStatus.TUPLES_OK}:
                while _next(pgconn, selector, deadline, arrival) is not None:
                    pass
                raise psycopg.errors.error_from_result(result, "utf-8")
            for row in range(result.ntuples):
                size = sum(len(result.get_value(row, at) or b"") for at in range(result.nfields))
                if size > LARGEST_ROW:
                    raise LargeRowError
                transformer.set_pgresult(result, set_loaders=transformer.pgresult is None)
                yield transformer.load_row(row, tuple), size
                arrival.begin(size)


def _flush(pgconn: pq.abc.PGconn, deadline: float) -> None:
    """Send all of the statement; a server may have something to say meanwhile."""
    with selectors.DefaultSelector() as selector:
        selector.register(pgconn.socket, selectors.EVENT_READ | selectors.EVENT_WRITE)
        while pgconn.flush():
            for _, events in selector.select(max(0.0, deadline - time.monotonic())):
                if events & selectors.EVENT_READ:
                    pgconn.consume_input()
            if time.monotonic() > deadline:
                raise OverdueError


def _next(
    pgconn: pq.abc.PGconn, selector: selectors.BaseSelector, deadline: float, arrival: Arrival
) -> pq.abc.PGresult | None:
    while pgconn.is_busy():
        if arrival.is_too_large():
            raise LargeRowError
        if not selector.select(max(0.0, deadline - time.monotonic())):
            raise OverdueError
        arrival.count()
        pgconn.consume_input()
    return pgconn.get_result()
