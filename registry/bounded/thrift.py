"""Reader of Thrift's compact protocol, in which Parquet files describe themselves.

Values are passed over without being kept, so that a description takes no more memory than its
bytes, and every step takes at least one of them, so that reading ends. The protocol:
https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md
"""

from collections.abc import Iterator

INT32, INT64, BINARY, LIST, STRUCT = 5, 6, 8, 9, 12
"""Types of values that are read; all are known to `skip`."""

_TRUE, _FALSE = 1, 2
_LONG_LIST = 15
_MOST_BITS = 63


class CompactReader:
    """Reader of values one after another; `place` is the offset of the next one.

    All methods raise `IndexError` where the bytes end, and `ValueError` for what is no value.
    """

    def __init__(self, data: bytes) -> None:
        self._data, self.place = data, 0

    def fields(self) -> Iterator[tuple[int, int]]:
        """Yield the number and type of each field of a struct, to be read or skipped."""
        number = 0
        while head := self._byte():
            delta, kind = head >> 4, head & 15
            number = number + delta if delta else self.integer()
            yield number, kind

    def items(self, kind: int) -> Iterator[None]:
        """Yield once for each item of a list of one type, to be read or skipped.

        Raises:
            ValueError: when they are of another type.
        """
        for found in self._items():
            if found != kind:
                raise ValueError(found)
            yield

    def integer(self) -> int:
        """Return an integer of 16, 32 or 64 bits."""
        value = self._varint()
        return (value >> 1) ^ -(value & 1)

    def binary(self) -> bytes:
        """Return bytes."""
        length = self._varint()
        self._pass(length)
        return self._data[self.place - length : self.place]

    def skip(self, kind: int) -> None:
        """Pass over the value of a field."""
        if kind not in {_TRUE, _FALSE}:  # which the type of the field says
            self._skip_item(kind)

    def _skip_item(self, kind: int) -> None:
        match kind:
            case 1 | 2 | 3:  # truth values in lists and maps are bytes
                self._byte()
            case 4 | 5 | 6:
                self._varint()
            case 7:
                self._pass(8)
            case 8:
                self._pass(self._varint())
            case 9 | 10:
                for of_item in self._items():
                    self._skip_item(of_item)
            case 11:
                self._skip_map()
            case 12:
                for _, of_field in self.fields():
                    self.skip(of_field)
            case _:
                raise ValueError(kind)

    def _skip_map(self) -> None:
        count = self._varint()
        kinds = self._byte() if count else 0
        for _ in range(count):
            self._skip_item(kinds >> 4)
            self._skip_item(kinds & 15)

    def _items(self) -> Iterator[int]:
        head = self._byte()
        count = head >> 4
        if count == _LONG_LIST:
            count = self._varint()
        for _ in range(count):
            yield head & 15

    def _pass(self, length: int) -> None:
        self.place += length
        if self.place > len(self._data):
            raise IndexError(length)

    def _byte(self) -> int:
        value = self._data[self.place]
        self.place += 1
        return value

    def _varint(self) -> int:
        value = shift = 0
        while True:
            byte = self._byte()
            value |= (byte & 127) << shift
            if byte <= 127:  # noqa: PLR2004 - the last
                return value
            shift += 7
            if shift > _MOST_BITS:
                raise ValueError(shift)
