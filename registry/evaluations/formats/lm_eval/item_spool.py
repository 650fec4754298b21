"""Spool of a file's items, whose texts may not fit in memory while the file is read."""

from array import array
from collections.abc import Iterator, Mapping, Sequence
from tempfile import SpooledTemporaryFile
from typing import overload

import orjson

from registry.evaluations.records import Item

IN_MEMORY = 1 << 26
"""Bytes up to which no file is written."""


class ItemSpool(Sequence[Item]):
    """Items in their order, each read from the spool when it is accessed.

    They are in an unlinked temporary file in the directory that TMPDIR names, which is gone with
    the spool or the process.
    """

    def __init__(self) -> None:
        self._file = SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115 - closed by __del__
        self._ends = array("q", [0])
        self._names: Mapping[int, str] = {}

    def __del__(self) -> None:
        self._file.close()

    def append(self, item: Item) -> None:
        """Append an item."""
        # Reading may have moved the position.
        self._file.seek(self._ends[-1])
        self._ends.append(self._ends[-1] + self._file.write(orjson.dumps(tuple(item))))

    def rename(self, names: Mapping[int, str]) -> None:
        """Give items other names, by place."""
        self._names = names

    def __len__(self) -> int:
        return len(self._ends) - 1

    def __iter__(self) -> Iterator[Item]:
        # By place, so that several iterators may read at once.
        return (self[place] for place in range(len(self)))

    @overload
    def __getitem__(self, place: int) -> Item: ...
    @overload
    def __getitem__(self, place: slice) -> list[Item]: ...
    def __getitem__(self, place: int | slice) -> Item | list[Item]:
        if isinstance(place, slice):
            return [self[each] for each in range(*place.indices(len(self)))]
        if not -len(self) <= place < len(self):
            raise IndexError(place)
        place %= len(self)
        start, end = self._ends[place], self._ends[place + 1]
        self._file.seek(start)
        name, prompt, choices, answer, domain = orjson.loads(self._file.read(end - start))
        return Item(self._names.get(place, name), prompt, tuple(choices), answer, domain)
