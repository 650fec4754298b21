"""Data on stdout: as a table for people, as JSON, CSV or bare names for programs."""

from __future__ import annotations

import csv
import functools
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, TypeVar, get_args

import click

from registry.cli import figures
from registry.cli.console import say, visible

if TYPE_CHECKING:
    from rich.console import Console

# In UTF-8: DEL, controls of ISO 6429, ends of lines and marks of direction beyond ASCII.
_OBEYED = re.compile(
    rb"\x7f|\xc2[\x80-\x9f]|\xd8\x9c|\xe2\x80[\x8e\x8f\xa8-\xae]|\xe2\x81[\xa6-\xa9]"
)

Format = Literal["table", "json", "jsonl", "csv", "quiet"]

KEYED: tuple[Format, ...] = ("json", "jsonl")
"""Formats that identify values by the names of their columns."""

WIDE = 10_000
"""Width of tables that are not shown on a terminal."""

WRAPPED = 24
"""Characters that a column which is always shown needs; others get the rest of the width."""

CLIPPED = 60
"""Characters of a cell that a table shows; other formats show all."""


def plain(value: Any) -> str:
    """Write any value for a table's cell."""
    match value:
        case bool():
            return "yes" if value else "no"
        case datetime():
            return figures.minute(value)
        case float():
            return f"{value:.6g}"
        case list() | tuple() if all(isinstance(each, str) for each in value):
            return ", ".join(value)
        case _:
            return flat(value)


def short(value: Any) -> str:
    """Write a count for a table's cell: 7.2B."""
    return "" if value is None else figures.short(value)


def grouped(value: Any) -> str:
    """Write a count in full, with commas."""
    return "" if value is None else f"{value:,}"


def day(value: Any) -> str:
    """Write the date of a time."""
    return "" if value is None else figures.minute(value)[:10]


def decimals(value: Any) -> str:
    """Write a share or a distance with three decimals."""
    return "" if value is None else f"{value:.3f}"


def printable(text: str) -> str:
    """Return text on one line, with what a terminal would obey written as escapes."""
    if text.isprintable():
        return text
    return visible("".join(" " if each.isspace() else each for each in text))


@dataclass(frozen=True, slots=True)
class Field:
    """One column of a result: its name for programs, its heading and look for people.

    `tabled` is False for columns that tables leave out. A table that is too wide loses columns from
    the right, but none with `kept`, which are wrapped instead. Long values are wrapped in the first
    column and in those that are `whole`, and cut in others.
    """

    name: str
    heading: str | None = None
    look: Callable[[Any], str] = plain
    right: bool = False
    tabled: bool = True
    kept: bool = False
    whole: bool = False

    @property
    def title(self) -> str:
        """Heading of the column in a table."""
        return self.name.replace("_", " ") if self.heading is None else self.heading


def count(name: str, heading: str | None = None) -> Field:
    """Return a column of counts, short in tables."""
    return Field(name, heading, look=short, right=True)


@dataclass(frozen=True, slots=True)
class Output:
    """Writer of a command's data in one format."""

    format: Format

    def rows(
        self, fields: Sequence[Field], rows: Iterable[Sequence[Any]], *, empty: str | None = None
    ) -> int:
        """Write rows, one value per field, as they arrive; return how many there were.

        Args:
            fields: the columns.
            rows: consumed one by one, but for tables, which need all of them for their widths.
            empty: message on stderr if there is none.
        """
        written = _Counted(rows)
        names = [field.name for field in fields]
        match self.format:
            case "table":
                _print_table(fields, list(written))
            case "json":
                _print_array(names, written)
            case "jsonl":
                for row in written:
                    _write(to_json(dict(zip(names, row, strict=True))) + b"\n")
            case "csv":
                writer = csv.writer(sys.stdout, lineterminator="\n")
                begun = _begun(written)
                writer.writerow(names)
                cell = _cell()
                writer.writerows([cell(value) for value in row] for row in begun)
            case "quiet":
                for row in written:
                    click.echo(visible(flat(row[0])))
        if written.count == 0 and empty is not None:
            say(empty)
        return written.count

    def document(self, content: Mapping[str, Any], show: Callable[[Console], None]) -> None:
        """Write one object; `show` draws it for people."""
        match self.format:
            case "table":
                show(console())
            case "json":
                _write(to_json(content, indent=True) + b"\n")
            case "jsonl":
                _write(to_json(content) + b"\n")
            case "csv":
                writer = csv.writer(sys.stdout, lineterminator="\n")
                writer.writerow(["field", "value"])
                cell = _cell()
                writer.writerows((name, cell(value)) for name, value in _leaves(content))
            case "quiet":
                click.echo(visible(flat(next(iter(content.values())))))


Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


def output_options(command: Callable[Parameters, Result]) -> Callable[..., Result]:
    """Give a command the option `--format`, and pass it the Output as `output`."""

    @click.option(
        "--format",
        "format_",
        type=click.Choice(get_args(Format)),
        help="How to write the result; quiet is the first column alone.  [default: table on a "
        "terminal, else csv]",
    )
    @functools.wraps(command)
    def with_output(*args: Any, format_: Format | None, **kwargs: Any) -> Result:
        chosen: Format = format_ or ("table" if sys.stdout.isatty() else "csv")
        return command(*args, output=Output(chosen), **kwargs)  # type: ignore[arg-type]  # by name

    return with_output


class _Counted:
    """Iterates over rows and counts them."""

    def __init__(self, rows: Iterable[Sequence[Any]]) -> None:
        self.rows, self.count = rows, 0

    def __iter__(self) -> Iterator[Sequence[Any]]:
        for row in self.rows:
            self.count += 1
            yield row


def _begun(rows: Iterable[Sequence[Any]]) -> Iterator[Sequence[Any]]:
    """Read the first row before anything is written, so that an early failure writes nothing."""
    iterator = iter(rows)
    return chain(list(islice(iterator, 1)), iterator)


def to_json(value: Any, *, indent: bool = False) -> bytes:
    """Write a value as JSON, with times in UTC, and escapes for all that a terminal obeys."""
    import orjson

    options = orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS
    if indent:
        options |= orjson.OPT_INDENT_2
    try:
        written = orjson.dumps(value, default=_simpler, option=options)
    except orjson.JSONEncodeError:
        written = orjson.dumps(_fitting(value), default=_simpler, option=options)
    if written.isascii() and b"\x7f" not in written:
        return written
    return _OBEYED.sub(lambda found: f"\\u{ord(found[0].decode()):04x}".encode(), written)


def _fitting(value: Any) -> Any:
    """Replace integers beyond 64 bits, which orjson rejects, by their digits."""
    import orjson

    match value:
        case dict():
            return {name: _fitting(each) for name, each in value.items()}
        case list() | tuple():
            return [_fitting(each) for each in value]
        case int() if abs(value) >= 2**63:
            return orjson.Fragment(str(value))
        case _:
            return value


def _simpler(value: Any) -> Any:
    """Return a value of a type that JSON lacks as one of JSON's."""
    import orjson

    if isinstance(value, Decimal):
        return orjson.Fragment(f"{value:f}") if value.is_finite() else None
    if isinstance(value, bytes | bytearray | memoryview):
        return f"\\x{bytes(value).hex()}"
    if isinstance(value, set | frozenset):
        return sorted(value)
    return str(value)


def _cell() -> Callable[[Any], str]:
    """Return how cells of CSV are written: exactly, but on a terminal as a person may see them."""
    if not sys.stdout.isatty():
        return flat
    return lambda value: visible(flat(value), kept="\n\t")


def flat(value: Any) -> str:
    """Write a value as one cell of CSV."""
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case datetime():
            return figures.iso(value)
        case bytes() | bytearray() | memoryview():
            return f"\\x{bytes(value).hex()}"
        case list() | tuple() | dict():
            return to_json(value).decode()
        case _:
            return str(value)


def _leaves(content: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in content.items():
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _write(data: bytes) -> None:
    click.echo(data, nl=False)


def _print_array(names: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write a JSON array, an object a line, without all of it in memory."""
    before = b"[\n"
    for row in rows:
        _write(before + to_json(dict(zip(names, row, strict=True))))
        before = b",\n"
    _write(b"[]\n" if before == b"[\n" else b"\n]\n")


def console() -> Console:
    """Return a console on stdout: in colours on a terminal, without wrapping elsewhere."""
    import os

    from rich.console import Console
    from rich.segment import Segment

    class Piped(Console):
        """A console whose pipe may close; rich itself would end the process with exit code 1."""

        def on_broken_pipe(self) -> None:
            raise BrokenPipeError

        def render(self, *args: Any, **kwargs: Any) -> Iterator[Segment]:
            """Render, with what a terminal would obey written as escapes."""
            for each in super().render(*args, **kwargs):
                shown = each.text if each.control else visible(each.text, kept="\n")
                yield each if shown == each.text else Segment(shown, each.style)

    width = None if sys.stdout.isatty() or os.environ.get("COLUMNS", "").isdigit() else WIDE
    return Piped(
        file=sys.stdout, width=width, markup=False, highlight=False, emoji=False, soft_wrap=False
    )


def _print_table(fields: Sequence[Field], rows: Sequence[Sequence[Any]]) -> None:
    if rows:
        screen = console()
        screen.print(table(fields, rows, width=screen.width, on_hidden=say))


def table(
    fields: Sequence[Field],
    rows: Sequence[Sequence[Any]],
    *,
    width: int,
    on_hidden: Callable[[str], None] | None = None,
) -> Any:
    """Draw rows as a table that is at most `width` wide, without the columns that do not fit.

    Args:
        fields: the columns; those not `tabled` are left out.
        rows: one value per field.
        width: in characters.
        on_hidden: receives a message about the columns that do not fit.

    Returns:
        An object for a rich console to print.
    """
    from rich.box import SIMPLE_HEAD
    from rich.cells import cell_len
    from rich.table import Table
    from rich.text import Text

    shown = [index for index, field in enumerate(fields) if field.tabled]
    cells = {index: [printable(fields[index].look(row[index])) for row in rows] for index in shown}
    for index in shown[1:]:
        if not fields[index].whole:
            cells[index] = [_clipped(cell) for cell in cells[index]]
    widths = {
        index: max(map(cell_len, chain([fields[index].title], cells[index]))) for index in shown
    }
    hidden = _hidden(fields, widths, width)
    if hidden and on_hidden is not None:
        names = ", ".join(fields[index].title for index in sorted(hidden))
        on_hidden(f"No room for: {names}. A wider window or --format shows all.")
    drawn = Table(
        box=SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="bold", padding=(0, 1, 0, 0)
    )
    visible = [index for index in shown if index not in hidden]
    for index in visible:
        drawn.add_column(
            Text(fields[index].title),
            justify="right" if fields[index].right else "left",
            overflow="fold",
        )
    for number in range(len(rows)):
        drawn.add_row(*(Text(cells[index][number]) for index in visible))
    return drawn


def _hidden(fields: Sequence[Field], widths: Mapping[int, int], width: int) -> list[int]:
    """Return the columns that do not fit, from the right; `widths` are those of all shown ones."""
    needed = {
        index: min(each, WRAPPED) if fields[index].kept else each for index, each in widths.items()
    }
    hidden: list[int] = []
    for index in list(widths)[:0:-1]:
        if sum(size + 2 for each, size in needed.items() if each not in hidden) <= width:
            break
        if not fields[index].kept:
            hidden.append(index)
    return hidden


def _clipped(text: str) -> str:
    return text if len(text) <= CLIPPED else f"{text[: CLIPPED - 1]}…"
