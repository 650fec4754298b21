"""Script of an archive, which pg_restore writes, run in a transaction of the caller's.

So a restore is one transaction on any server, whatever rights its user has, and can be verified
before it is committed.
"""

import re
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import psycopg

from registry.db.backup.archive import BackupError
from registry.db.backup.programs import Program, running

_BLOCK = 1 << 20
_ENTRY = re.compile(rb"^--\n-- (?:Data for )?Name: ", re.MULTILINE)
# Commands of psql, which protect it from scripts that it runs; and settings of newer servers.
_NOT_SQL = re.compile(rb"^(?:\\(?:un)?restrict \w+|SET transaction_timeout = 0;)$", re.MULTILINE)

Rows = Callable[[int], None]
"""Receives how many rows have been loaded just now."""


class Script:
    """The script of one archive."""

    def __init__(self, program: Program, file: Path) -> None:
        self._program, self._file = program, file

    def entries(self) -> str:
        """Return the archive's table of contents.

        Raises:
            BackupError: when the archive cannot be read.
        """
        with self._output("--list") as output:
            return output.read().decode()

    def define(self, connection: psycopg.Connection[tuple[object, ...]], *options: str) -> None:
        """Run everything before the rows: schemas, tables, views and functions."""
        with self._output("--section=pre-data", *options, "--file=-") as output:
            body = _NOT_SQL.sub(b"", output.read())
        connection.execute(body)

    def steps(self, *options: str) -> Sequence[bytes]:
        """Return statements, those of one object together; the first are settings."""
        with self._output(*options, "--file=-") as output:
            body = _NOT_SQL.sub(b"", output.read())
        starts = [found.start() for found in _ENTRY.finditer(body)]
        steps: list[bytes] = []
        for start, end in zip([0, *starts], [*starts, len(body)], strict=True):
            if steps and _is_open(steps[-1]):
                # It began within a text or a name that reads like the head of an object.
                steps[-1] += body[start:end]
            else:
                steps.append(body[start:end])
        return steps

    def load(self, connection: psycopg.Connection[tuple[object, ...]], on_rows: Rows) -> None:
        """Load the rows of all tables, and set sequences."""
        with self._output("--section=data", "--file=-") as output:
            pending = statement = b""
            while line := output.readline():
                if not (statement or line.startswith(b"COPY ")):
                    pending += line
                    continue
                statement += line  # of several lines, where a name has some
                if line.endswith(b" FROM stdin;\n") and statement.count(b'"') % 2 == 0:
                    _execute(connection, pending)
                    _copy(connection, statement, output, on_rows)
                    pending = statement = b""
            _execute(connection, pending)

    @contextmanager
    def _output(self, *options: str) -> Iterator[IO[bytes]]:
        """Yield what pg_restore writes; raise what it complains of."""
        command: list[str | Path] = [self._program.path, *options, self._file.absolute()]
        with tempfile.TemporaryFile() as complaints:
            environment = {"LC_ALL": "C"}
            with running(
                command, environment=environment, stdout=subprocess.PIPE, stderr=complaints
            ) as process:
                assert process.stdout is not None
                yield process.stdout
                failed = process.wait()
            complaints.seek(0)
            said = complaints.read().decode(errors="replace").strip()
        if failed:
            reason = said.splitlines()[-1] if said else "it ended without a message"
            raise BackupError(
                f"{self._file} cannot be read; {reason.removeprefix('pg_restore: ').rstrip('.')}."
            )


def _is_open(statements: bytes) -> bool:
    """Return whether a text or a name goes on after the end; a quote within one is doubled.

    An apostrophe in a name or in a comment of pg_restore looks like one: then, too, what follows is
    only taken together with it.
    """
    return bool(statements.count(b"'") % 2 or statements.count(b'"') % 2)


def _execute(connection: psycopg.Connection[tuple[object, ...]], body: bytes) -> None:
    """Run statements that stand between the rows of two tables."""
    statements = _NOT_SQL.sub(b"", body)
    if statements.strip():
        connection.execute(statements)


def _copy(
    connection: psycopg.Connection[tuple[object, ...]],
    statement: bytes,
    output: IO[bytes],
    on_rows: Rows,
) -> None:
    """Send the lines after a COPY statement, up to the one that ends them."""
    on_rows(0)
    with connection.cursor() as cursor, cursor.copy(statement.rstrip(b";\n")) as copy:
        size = 0
        block: list[bytes] = []
        for line in output:
            if line == b"\\.\n":
                break
            block.append(line)
            size += len(line)
            if size >= _BLOCK:
                copy.write(b"".join(block))
                on_rows(len(block))
                block, size = [], 0
        copy.write(b"".join(block))
    on_rows(len(block))
