"""Answers, tokens and latencies: further columns of a long table."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from registry.coerce import storable
from registry.errors import shortened
from registry.evaluations.formats.tables.cells import BadCellError, number_of
from registry.evaluations.formats.tables.interning import DictionaryEncoder
from registry.evaluations.formats.tables.mapping import Layout
from registry.evaluations.formats.tables.rows import Sheet, TableRows
from registry.evaluations.formats.tables.spool import Cells, decode_floats, encode_floats

_FIELDS = {
    "answer": "answers",
    "input_tokens": "input_tokens",
    "output_tokens": "output_tokens",
    "latency": "latencies",
}
_MAX_TOKENS = 2**31 - 2


class AnswerReader:
    """Conversion of these columns to encoded cells, 0 being missing, and back to fields of a run.

    The distinct answers are held in memory.
    """

    @staticmethod
    def roles(layout: Layout) -> tuple[str, ...]:
        """Return the roles of these columns that a layout maps."""
        return tuple(role for role in _FIELDS if role in layout.roles)

    def __init__(self, sheet: Sheet) -> None:
        self._sheet = sheet
        self._roles = self.roles(sheet.layout)
        self.columns = tuple(sheet.layout.roles[role].columns[0] for role in self._roles)
        self._answers = DictionaryEncoder()
        self._texts: NDArray[np.object_] | None = None

    def read(self, rows: TableRows) -> list[NDArray[np.int32]]:
        """Return the encoded cells of rows, by role.

        Raises:
            BadCellError: a cell is not a number of its role.
        """
        return [
            self._read(role, column, rows.columns[column])
            for role, column in zip(self._roles, self.columns, strict=True)
        ]

    def decode(self, cells: Sequence[Cells]) -> dict[str, object]:
        """Return a run's fields from its cells."""
        return {
            _FIELDS[role]: self._decode(role, row)
            for role, row in zip(self._roles, cells, strict=True)
        }

    def _read(self, role: str, column: str, array: pa.Array) -> NDArray[np.int32]:
        if pa.types.is_nested(array.type):
            raise BadCellError(f"A column of type {array.type} is no {role}.", field=column)
        if role == "answer":
            return self._answers.codes(array).astype(np.int32)
        numbers = self._numbers(array, column)
        if role == "latency":
            return encode_floats(numbers.astype(np.float32))
        bad = np.flatnonzero((numbers != np.floor(numbers)) | (numbers > _MAX_TOKENS))
        bad = bad[~np.isnan(numbers[bad])]
        if len(bad):
            problem = f"{shortened(float(numbers[bad[0]]))} is not a number of tokens."
            raise BadCellError(problem, field=column, row=int(bad[0]))
        return np.nan_to_num(numbers + 1).astype(np.int32)

    def _numbers(self, array: pa.Array, column: str) -> NDArray[np.float64]:
        numbers: NDArray[np.float64]
        if pa.types.is_dictionary(array.type):
            array = array.dictionary_decode()
        if pa.types.is_integer(array.type) or pa.types.is_floating(array.type):
            numbers = array.to_numpy(zero_copy_only=False).astype(np.float64)
        else:
            numbers = np.full(len(array), np.nan)
            for row, cell in enumerate(array.to_pylist()):
                if cell is None or str(cell).strip().lower() in self._sheet.layout.missing:
                    continue
                try:
                    numbers[row] = number_of(str(cell), column)
                except BadCellError as bad:
                    bad.row = row
                    raise
        bad_rows = np.flatnonzero((numbers < 0) | np.isinf(numbers))
        if len(bad_rows):
            problem = f"{shortened(float(numbers[bad_rows[0]]))} is not a number from 0."
            raise BadCellError(problem, field=column, row=int(bad_rows[0]))
        return numbers

    def _decode(self, role: str, row: Cells) -> object:
        if role == "answer":
            if self._texts is None:
                self._texts = self._answers.texts()
            return [None if text is None else storable(text) for text in self._texts[row]]
        if role == "latency":
            return decode_floats(row.astype(np.int32))
        return row.astype(np.int32) - 1
