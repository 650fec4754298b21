"""Rows of a table that match the mapping's conditions, with their numbers in the file."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from registry.errors import UnreadableFileError
from registry.evaluations.formats.tables.cells import BadCellError, text_of
from registry.evaluations.formats.tables.mapping import Layout, Like
from registry.evaluations.formats.tables.roles import DATE, FILE, ROW, Scalar, Text
from registry.evaluations.formats.tables.sources import CellBatch, Table
from registry.evaluations.records import Notes
from registry.workers import prefetch

_DATE = re.compile(r"(?<!\d)(\d{4})[-_]?(\d\d)[-_]?(\d\d)(?!\d)")


class TableRows(NamedTuple):
    """Rows of a batch that match the conditions.

    `numbers` are their places in the file, from 0; None if they are the whole batch.
    """

    start: int
    length: int
    columns: Mapping[str, pa.Array]
    numbers: NDArray[np.int64] | None = None

    def number(self, row: int) -> int:
        """Return the place of a row in the file."""
        return self.start + row if self.numbers is None else int(self.numbers[row])


class Sheet(NamedTuple):
    """A table, its layout, and the notes of what is left out."""

    table: Table
    layout: Layout
    notes: Notes

    def rows(self, columns: Sequence[str]) -> Iterator[TableRows]:
        """Yield the rows that match the conditions, with these columns.

        Raises:
            UnreadableFileError: the file cannot be read, or has no rows at all.
        """
        where = self.layout.where
        # A batch without columns has no rows.
        names = tuple(dict.fromkeys([*columns, *where])) or tuple(self.table.columns[:1])
        empty = True
        for batch in prefetch(self.table.batches(names)):
            empty = empty and batch.length == 0
            for name in where:
                if pa.types.is_nested(kind := batch.columns[name].type):
                    problem = f"A column of type {kind} cannot be compared with a text."
                    raise self.table.error(problem, field=name)
            yield _matching(batch, where) if where else TableRows(*batch)
        if empty:
            raise self.table.error("It has columns, but no rows.")

    @property
    def file(self) -> str:
        """The file's name without its extensions."""
        return self.table.path.name.split(".")[0]

    @property
    def date(self) -> str | None:
        """The date in the file's name; None if there is none."""
        match = _DATE.search(self.table.path.name)
        return "-".join(match.groups()) if match else None

    @contextmanager
    def places(self, rows: TableRows, row: int = 0) -> Iterator[None]:
        """Add the row of the file to errors about cells.

        `row` is the first of the rows that the errors count from.
        """
        try:
            yield
        except BadCellError as bad:
            raise self.error(bad, rows.number(row + bad.row)) from None

    def error(self, bad: BadCellError, row: int) -> UnreadableFileError:
        """Return the error of a cell in a row of the file."""
        return self.table.error(bad.problem, row=row, field=bad.field)

    def cell_texts(
        self, values: Mapping[str, object], row: int | None = None
    ) -> Callable[[str], str | None]:
        """Return a function of the texts in a row's cells, for formulas; missing ones are None."""
        missing = self.layout.missing

        def cell(column: str) -> str | None:
            if column == FILE:
                return self.file
            if column == DATE:
                return self.date
            if column == ROW:
                return None if row is None else str(row + 1)
            try:
                text = text_of(values[column])
            except BadCellError as bad:
                bad.field = column
                raise
            return None if text is None or text.strip().lower() in missing else text

        return cell


def _matching(batch: CellBatch, where: Mapping[str, Like | Scalar]) -> TableRows:
    keep = None
    for column, condition in where.items():
        texts = batch.columns[column]
        if pa.types.is_dictionary(texts.type):
            texts = texts.dictionary_decode()
        texts = texts.cast(pa.large_string())
        if isinstance(condition, Like):
            matches = pc.match_substring_regex(texts, condition.like.pattern)
        else:
            matches = pc.equal(pc.utf8_lower(texts), Text.read(condition).lower())
        matches = matches.fill_null(False)  # noqa: FBT003 - Arrow's
        keep = matches if keep is None else pc.and_(keep, matches)
    numbers = pc.indices_nonzero(keep).to_numpy().astype(np.int64)
    columns = {name: array.filter(keep) for name, array in batch.columns.items()}
    return TableRows(batch.start, len(numbers), columns, numbers + batch.start)
