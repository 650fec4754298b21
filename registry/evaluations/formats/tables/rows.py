"""The rows of a table that count, with the numbers that they have in their file."""

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
from registry.evaluations.formats.tables.roles import FILE, ROW, Scalar, Text
from registry.evaluations.formats.tables.sources import CellBatch, Table
from registry.evaluations.records import Notes
from registry.workers import prefetch


class TableRows(NamedTuple):
    """Rows of a batch that count.

    `numbers` are their places in the file, from 0; None where they are all of the batch.
    """

    start: int
    length: int
    columns: Mapping[str, pa.Array]
    numbers: NDArray[np.int64] | None = None

    def number(self, row: int) -> int:
        """Return the place in the file of one of the rows."""
        return self.start + row if self.numbers is None else int(self.numbers[row])


class Sheet(NamedTuple):
    """A table, how it is laid out, and where to note what is left out."""

    table: Table
    layout: Layout
    notes: Notes

    def rows(self, columns: Sequence[str]) -> Iterator[TableRows]:
        """Yield the rows that count, with these columns.

        Raises:
            UnreadableFileError: the file cannot be read, or has no rows at all.
        """
        where = self.layout.where
        # Without any column there would be no rows either.
        wanted = tuple(dict.fromkeys([*columns, *where])) or tuple(self.table.columns[:1])
        empty = True
        for batch in prefetch(self.table.batches(wanted)):
            empty = empty and batch.length == 0
            for name in where:
                if pa.types.is_nested(kind := batch.columns[name].type):
                    problem = f"A column of type {kind} cannot be compared with a text."
                    raise self.table.error(problem, field=name)
            yield _counting(batch, where) if where else TableRows(*batch)
        if empty:
            raise self.table.error("It has columns, but no rows.")

    @property
    def file(self) -> str:
        """The file's name without its extensions."""
        return self.table.path.name.split(".")[0]

    @contextmanager
    def places(self, rows: TableRows, row: int = 0) -> Iterator[None]:
        """Tell in errors about cells which row of the file it is.

        `row` is the one in question, for errors that do not tell themselves.
        """
        try:
            yield
        except BadCellError as bad:
            raise self.error(bad, rows.number(row + bad.row)) from None

    def error(self, bad: BadCellError, row: int) -> UnreadableFileError:
        """Make an error of a cell of a row of the file."""
        return self.table.error(bad.problem, row=row, field=bad.field)

    def teller(
        self, values: Mapping[str, object], row: int | None = None
    ) -> Callable[[str], str | None]:
        """Return what tells formulas the cells of a row as texts; missing ones are None."""
        missing = self.layout.missing

        def tell(column: str) -> str | None:
            if column == FILE:
                return self.file
            if column == ROW:
                return None if row is None else str(row + 1)
            try:
                text = text_of(values[column])
            except BadCellError as bad:
                bad.field = column
                raise
            return None if text is None or text.strip().lower() in missing else text

        return tell


def _counting(batch: CellBatch, where: Mapping[str, Like | Scalar]) -> TableRows:
    keep = None
    for column, condition in where.items():
        texts = batch.columns[column]
        if pa.types.is_dictionary(texts.type):
            texts = texts.dictionary_decode()
        texts = texts.cast(pa.large_string())
        if isinstance(condition, Like):
            true = pc.match_substring_regex(texts, condition.like.pattern)
        else:
            true = pc.equal(pc.utf8_lower(texts), Text.read(condition).lower())
        true = true.fill_null(False)  # noqa: FBT003 - Arrow's
        keep = true if keep is None else pc.and_(keep, true)
    numbers = pc.indices_nonzero(keep).to_numpy().astype(np.int64)
    columns = {name: array.filter(keep) for name, array in batch.columns.items()}
    return TableRows(batch.start, len(numbers), columns, numbers + batch.start)
