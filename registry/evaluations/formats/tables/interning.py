"""Dictionary encoding of values, and of combinations of values, a column at a time."""

from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from registry.evaluations.formats.tables.cells import BadCellError, text_of

Codes: TypeAlias = NDArray[np.int64]
"""A code per row."""

_MAX_SMALL = 1 << 20


class DictionaryEncoder:
    """Codes of the distinct values of a column, from 1 in order of appearance; 0 is null.

    Values that no row has may have codes: dictionaries of Parquet contain such.
    """

    def __init__(self) -> None:
        self._values: pa.Array | None = None
        self._last: tuple[pa.Array, Codes] | None = None

    def codes(self, array: pa.Array) -> Codes:
        """Return the codes of an array's values; new values get the next codes."""
        if pa.types.is_integer(array.type) and len(array) and not array.null_count:
            integers = array.to_numpy()
            least, most = int(integers.min()), int(integers.max())
            if least >= 0 and most < _MAX_SMALL:
                return self._codes_of_small(integers, most)
        if not isinstance(array, pa.DictionaryArray):
            array = array.dictionary_encode()
        mapped = self._codes_of(array.dictionary)
        indices = array.indices
        if indices.null_count:
            indices = indices.fill_null(len(mapped) - 1)
        codes: Codes = mapped.take(indices.to_numpy())
        return codes

    def _codes_of_small(self, integers: NDArray[np.integer], most: int) -> Codes:
        """Return the codes of small integers, several times faster than by hashing them."""
        present = np.zeros(most + 1, np.bool_)
        present[integers] = True
        values = np.flatnonzero(present)
        mapped = np.zeros(most + 1, np.int64)
        mapped[values] = self._codes_of(pa.array(values.astype(integers.dtype)))[:-1]
        return mapped.take(integers)

    def _codes_of(self, values: pa.Array) -> Codes:
        """Return the codes of distinct values, followed by that of null."""
        if self._last is not None and values.equals(self._last[0]):
            return self._last[1]  # batches of a file often share their dictionary
        if self._values is None:
            self._values = values.slice(0, 0)
        places = pc.index_in(values, value_set=self._values)
        if places.null_count:
            new = values.filter(pc.and_(places.is_null(), values.is_valid())).unique()
            self._values = pa.concat_arrays([self._values, new])
            places = pc.index_in(values, value_set=self._values)
        codes: Codes = np.append(places.fill_null(-1).to_numpy().astype(np.int64) + 1, 0)
        self._last = values, codes
        return codes

    def values(self, codes: Codes) -> list[object]:
        """Return the values of codes."""
        if self._values is None or not len(self._values):
            return [None] * len(codes)
        # The place before the first value is null's.
        places = pa.array(codes - 1, mask=codes == 0)
        values: list[object] = self._values.take(places).to_pylist()
        return values

    def texts(self) -> NDArray[np.object_]:
        """Return all values as texts, by code; null and empty ones are None."""
        values = [] if self._values is None else self._values.to_pylist()
        texts = np.empty(len(values) + 1, object)
        texts[1:] = [text_of(value) or None for value in values]
        return texts


class GroupedRows(NamedTuple):
    """The group of each row, and the first row of each new group, in order."""

    groups: NDArray[np.int32]
    first_rows: NDArray[np.int64]


class GroupEncoder:
    """Groups of rows by the values of columns, numbered from 0 in order of appearance."""

    def __init__(self, columns: Sequence[str]) -> None:
        self.columns = tuple(columns)
        self.size = 0
        self._encoders = [DictionaryEncoder() for _ in self.columns]
        self._pairs = [DictionaryEncoder() for _ in self.columns[1:]]
        self._group_of_code: NDArray[np.int32] = np.empty(0, np.int32)
        self._codes: list[int] = []

    def group(self, arrays: Sequence[pa.Array], length: int) -> GroupedRows:
        """Return the groups of the rows of a batch, whose columns are given in their order.

        Raises:
            BadCellError: a column holds lists or objects, which are no names.
        """
        for name, array in zip(self.columns, arrays, strict=True):
            if pa.types.is_nested(array.type):
                raise BadCellError(f"A column of type {array.type} holds no names.", field=name)
        if length == 0:
            return GroupedRows(np.empty(0, np.int32), np.empty(0, np.int64))
        codes: Codes = np.zeros(length, np.int64)
        for index, (array, encoder) in enumerate(zip(arrays, self._encoders, strict=True)):
            own = encoder.codes(array)
            pairs = self._pairs[index - 1] if index else None
            codes = pairs.codes(pa.array((codes << 32) | own)) if pairs else own
        return self._dense(codes)

    def values_from(self, group: int) -> dict[str, list[object]]:
        """Return the values of this and all later groups, by column."""
        if group == self.size:
            return {name: [] for name in self.columns}
        codes = np.asarray(self._codes[group:], np.int64)
        columns: list[list[object]] = []
        for index in range(len(self.columns) - 1, 0, -1):
            pairs = np.asarray(self._pairs[index - 1].values(codes), np.int64)
            columns.append(self._encoders[index].values(pairs & 0xFFFFFFFF))
            codes = pairs >> 32
        columns += [encoder.values(codes) for encoder in self._encoders[:1]]
        return dict(zip(self.columns, reversed(columns), strict=True))

    def _dense(self, codes: Codes) -> GroupedRows:
        """Return the groups of codes that rows have; new codes get the next numbers."""
        missing = int(codes.max()) + 1 - len(self._group_of_code)
        if missing > 0:
            more = np.full(missing + len(self._group_of_code), -1, np.int32)
            self._group_of_code = np.concatenate([self._group_of_code, more])
        groups = self._group_of_code.take(codes)
        new_rows = np.flatnonzero(groups < 0)
        if not len(new_rows):
            return GroupedRows(groups, np.empty(0, np.int64))
        first = np.full(len(self._group_of_code), -1, np.int64)
        # The last of several assignments to one place holds: hence backwards.
        first[codes[new_rows[::-1]]] = new_rows[::-1]
        first_rows = np.sort(first[first >= 0])
        new_codes = codes[first_rows]
        self._group_of_code[new_codes] = np.arange(
            self.size, self.size + len(new_codes), dtype=np.int32
        )
        self._codes += new_codes.tolist()
        self.size += len(new_codes)
        return GroupedRows(self._group_of_code.take(codes), first_rows)
