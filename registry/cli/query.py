"""`registry query`: SQL for everything that has no command."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import IO, TYPE_CHECKING

import click

from registry.cli.application import Application, pass_application
from registry.cli.console import say
from registry.cli.output import KEYED, Field, Output, output_options
from registry.cli.parameters import AT_LEAST_ONE, Finite
from registry.errors import UsageError

if TYPE_CHECKING:
    from registry.db.query import QueryResult

ENCODING = "utf-8-sig"
"""UTF-8, with or without the mark that editors on Windows put before it."""

TABLE_CELLS = 100_000
"""Cells of a table, which is drawn in memory; the other formats write row by row."""

TABLE_BYTES = 8 << 20
"""Bytes of values in a table."""

MEGABYTES = Finite(min=0, min_open=True, max=1_000_000)

_BEGINS_WITH_REMARK = re.compile(r"--(\s|[^=\n]*\n)")


class SqlCommand(click.Command):
    """A command whose argument is SQL, which may begin with a remark as options begin."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the arguments, with such SQL behind all options."""
        remarks = [each for each in args if _BEGINS_WITH_REMARK.match(each)]
        if remarks and "--" not in args:
            args = [*(each for each in args if each not in remarks), "--", *remarks]
        return super().parse_args(ctx, args)


@click.command(cls=SqlCommand)
@click.argument("sql", required=False)
@click.option(
    "-f",
    "--file",
    "source",
    type=click.File(encoding=ENCODING),
    help="Read the SQL from a file, in UTF-8.",
)
@click.option(
    "--timeout",
    type=Finite(min=0, min_open=True, max=86_400),
    default=30.0,
    show_default=True,
    metavar="SECONDS",
    help="Time limit.",
)
@click.option(
    "--max-rows",
    type=AT_LEAST_ONE,
    default=10_000,
    show_default=True,
    help="Print no more rows than this.",
)
@click.option(
    "--max-bytes",
    type=MEGABYTES,
    default=64.0,
    show_default=True,
    metavar="MB",
    help="Print no more megabytes of values than this.",
)
@output_options
@pass_application
def query(
    application: Application,
    /,
    *,
    sql: str | None,
    source: IO[str] | None,
    timeout: float,
    max_rows: int,
    max_bytes: float,
    output: Output,
) -> None:
    """Run one SQL statement that only reads.

    It runs as a login with no rights but the reader's: the one that REGISTRY_QUERY_URL names, else
    one that the registry makes. As `-` the statement is read from stdin. Views and functions of
    schema registry need no prefix; `registry db dictionary` lists them.

    \b
    Examples:
      registry query "SELECT name, downloads FROM models ORDER BY downloads DESC LIMIT 5"
      registry query "SELECT * FROM ancestors('org/model')" --format json
      registry query -f report.sql --format csv > report.csv
    """
    from registry.db.query import run_query

    statement = _statement(sql, source)
    most = round(max_bytes * 2**20)
    if output.format == "table":
        most = min(most, TABLE_BYTES)
    with (
        application.query_engine() as engine,
        run_query(engine, statement, timeout=timeout, max_rows=max_rows, max_bytes=most) as result,
    ):
        if output.format in KEYED:
            _require_distinct(result.columns)
        fields = [Field(name) for name in result.columns]
        rows = result.rows
        if output.format == "table" and fields:
            rows = _tabled(result, TABLE_CELLS // len(fields))
        if fields:
            output.rows(fields, rows, empty=None if result.cut_off else "No rows.")
        if result.cut_off:
            full = output.format == "table" and (result.cut_off == "cells" or most == TABLE_BYTES)
            say(_cut_off(result.cut_off, result.count, full_table=full))


def _tabled(result: QueryResult, most: int) -> Iterator[Sequence[object]]:
    """Yield the rows that a table has room for in memory."""
    for number, row in enumerate(result.rows):
        if number == most:
            result.cut_off, result.count = "cells", most
            return
        yield row


def _cut_off(by: str, count: int, *, full_table: bool) -> str:
    if by == "rows":
        more = "--max-rows allows more"
    elif full_table:
        more = f"a table has {TABLE_CELLS:,} cells and {TABLE_BYTES >> 20} MB at most; "
        more += "--format csv writes all"
    else:
        more = "--max-bytes allows more"
    return f"Cut off after {count:,} rows; {more}."


def _require_distinct(columns: Sequence[str]) -> None:
    """Reject columns of one name, of which a JSON object has only one."""
    for name in columns:
        if columns.count(name) > 1:
            raise UsageError(
                f"Columns of one name, {name!r}, overwrite each other in JSON; name them with AS."
            )


def _statement(sql: str | None, source: IO[str] | None) -> str:
    if (sql is None) == (source is None):
        raise UsageError("Give the SQL as an argument, or as -f FILE, or as - for stdin.")
    if source is None:
        assert sql is not None
        if sql != "-":
            return sql
        source = click.open_file("-", encoding=ENCODING)
    try:
        return source.read()
    except UnicodeDecodeError as error:
        raise UsageError(
            f"{source.name} is not in UTF-8: byte {error.object[error.start]:#04x} "
            f"cannot be read ({error.reason}). Store it in UTF-8."
        ) from error
