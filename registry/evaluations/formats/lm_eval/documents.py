"""Documents of lm-eval's tasks: their names, and their places in the data set."""

import json
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path

import orjson

from registry.coerce import count, short_text
from registry.errors import UnreadableFileError
from registry.evaluations.formats import json_files


def document_numbers(path: Path) -> dict[str, int]:
    """Return the `doc_id` of each document in a file of samples, by the name of its item.

    Raises:
        UnreadableFileError: a line is not a sample, or has no `doc_id`.
    """
    documents, numbers = Documents(), dict[int, int]()
    names: list[str] = []
    for line, row in json_files.rows(path):
        name, number = document_name(path, line, row), count(row.get("doc_id"))
        if number is None:
            raise UnreadableFileError(
                path, "a sample of lm-eval has this: a whole number.", line=line, field="doc_id"
            )
        place = documents.place(name, number)
        if place == len(names):
            names.append(name)
            numbers[place] = number
    for place, name in documents.repeated().items():
        names[place] = name
    return {name: numbers[place] for place, name in enumerate(names)}


def numbers_in_names(items: Sequence[str]) -> list[int] | None:
    """Return the numbers that items are named by; None unless all names are numbers, each once."""
    if not all(item.isascii() and item.isdigit() for item in items):
        return None
    numbers = [int(item) for item in items]
    return numbers if len(set(numbers)) == len(numbers) else None


def samples_option(tasks: Iterable[tuple[str, Sequence[int]]]) -> bytes:
    """Return the file that lm-eval's option `--samples` reads: places of documents, by task."""
    return orjson.dumps(dict(tasks), option=orjson.OPT_INDENT_2) + b"\n"


class Documents:
    """Places of a file's documents, in order of appearance.

    The same document under another `doc_id` has a place of its own.
    """

    def __init__(self) -> None:
        self._first: dict[str, int] = {}
        self._further: dict[str, dict[int, int]] = {}
        self._numbers: list[int | None] = []

    def place(self, name: str, number: int | None) -> int:
        """Return the place of a document, new or existing."""
        place = self._first.setdefault(name, len(self._numbers))
        if place < len(self._numbers):
            if number is None or self._numbers[place] in (None, number):
                return place
            place = self._further.setdefault(name, {}).setdefault(number, len(self._numbers))
        if place == len(self._numbers):
            self._numbers.append(number)
        return place

    def repeated(self) -> dict[int, str]:
        """Return the names of documents with several places, by place."""
        names = {}
        for name, places in self._further.items():
            by_number = sorted([self._first[name], *places.values()], key=self._number)
            for nth, place in enumerate(by_number, 1):
                names[place] = name if nth == 1 else f"{name}/{nth}"
        return names

    def _number(self, place: int) -> int:
        return self._numbers[place] or 0


def document_name(path: Path, line: int, row: Mapping[str, object]) -> str:
    """Return the hash that names the document of a sample.

    Raises:
        UnreadableFileError: it has none, and no document to make it from.
    """
    name = row.get("doc_hash")
    if name is None:
        if "doc" not in row:
            raise UnreadableFileError(
                path, "a sample needs this, or else its doc.", line=line, field="doc_hash"
            )
        name = _hash(path, line, row["doc"])
    name = short_text(name)
    if name is None:
        raise UnreadableFileError(path, "this is not a hash.", line=line, field="doc_hash")
    return name


def _hash(path: Path, line: int, document: object) -> str:
    try:
        content = orjson.dumps(document, option=orjson.OPT_SORT_KEYS)
    except TypeError:  # lone surrogates, huge integers
        try:
            content = json.dumps(document, sort_keys=True).encode()
        except (RecursionError, ValueError) as error:
            raise UnreadableFileError(
                path, "this is nested too deeply.", line=line, field="doc"
            ) from error
    return sha256(content).hexdigest()
