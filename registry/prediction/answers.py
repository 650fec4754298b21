"""Answers of a model to some items of a benchmark, from a file or from the store."""

from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np

from registry.errors import UnreadableFileError, shortened
from registry.evaluations.formats import json_files
from registry.evaluations.formats.tables.text_sources import CsvTable
from registry.learning.adaptive_testing.neighbourhood import Answers
from registry.prediction.item_bank import ItemBank

JSON_LINES = (".jsonl", ".ndjson", ".json")


class AnswerFile(NamedTuple):
    """Answers in a file, and the number of rows whose outcome is empty."""

    answers: Answers
    unanswered: int


def stored_answers(bank: ItemBank) -> Answers:
    """Return the outcomes that the registry has of the bank's model as its answers."""
    places = np.flatnonzero(~np.isnan(bank.own))
    return Answers(places, bank.own[places].astype(np.float64))


def read_answers(path: Path, bank: ItemBank) -> AnswerFile:
    """Read answers from a file with columns item and outcome, one row an item.

    CSV or JSON lines, by the suffix, plain or .gz. Columns benchmark and version say which
    benchmark an item is of; without them it may be written as benchmark:item. A row with an empty
    outcome is not answered yet.

    Raises:
        UnreadableFileError: with line and field, for a file that is not such a table, an item that
            is in none of the bank's benchmarks or in several, an outcome that is not in [0, 1], and
            two different outcomes of an item.
    """
    names = _Names(bank)
    outcomes: dict[int, float] = {}
    lines: dict[int, int] = {}
    unanswered = 0
    for line, row in _rows(path):
        if "item" not in row:
            raise UnreadableFileError(path, "the item is missing.", line=line, field="item")
        if "outcome" not in row:
            raise UnreadableFileError(
                path, "the outcome is missing: a number in [0, 1].", line=line, field="outcome"
            )
        place = names.place(path, line, row)
        if row["outcome"] is None or row["outcome"] == "":
            unanswered += 1
            continue
        outcome = _outcome(path, line, row["outcome"])
        if outcomes.setdefault(place, outcome) != outcome:
            raise UnreadableFileError(
                path,
                f"item {row['item']!r} has outcome {outcome:g} here and {outcomes[place]:g} in "
                f"line {lines[place]}. Keep one of them.",
                line=line,
                field="outcome",
            )
        lines.setdefault(place, line)
    places = np.array(list(outcomes), np.intp)
    return AnswerFile(Answers(places, np.array(list(outcomes.values()), np.float64)), unanswered)


def _rows(path: Path) -> Iterator[tuple[int, Mapping[str, object]]]:
    """Yield the rows of a file with their lines."""
    suffix = Path(path.name.removesuffix(".gz")).suffix.lower()
    if suffix in JSON_LINES:
        yield from json_files.rows(path)
        return
    table = CsvTable.open(path, "\t" if suffix == ".tsv" else ",")
    columns = table.columns
    for column in ("item", "outcome"):
        if column not in columns:
            raise UnreadableFileError(
                path,
                f"there is no column {column!r}; answers have the columns item and outcome.",
                line=1,
            )
    for column in ("item", "benchmark", "version", "outcome"):
        if columns.count(column) > 1:
            raise UnreadableFileError(
                path, f"there are several columns {column!r}. Keep one of them.", line=1
            )
    for line, cells in islice(table.records(), 1, None):
        if len(cells) != len(columns):
            raise UnreadableFileError(
                path,
                f"it has {len(cells)} cells where there are {len(columns)} columns.",
                line=line,
            )
        yield line, dict(zip(columns, cells, strict=True))


class _Names:
    """Places of items by their names; -1 for a name that several items have."""

    def __init__(self, bank: ItemBank) -> None:
        self._titles = ", ".join(each.title for each in bank.benchmarks)
        self._places: dict[str, int] = {}
        for place, column in enumerate(bank.items):
            benchmark = bank.benchmarks[bank.groups[place]]
            spellings = {benchmark.title, benchmark.name, benchmark.asked}
            spellings.add(f"{benchmark.name}@{benchmark.version}")
            for spelling in spellings:
                self._add(f"{spelling}:{column.item}", place)
        # A bare name after all others, which may look like a name with a benchmark.
        whole = dict(self._places)
        for place, column in enumerate(bank.items):
            if column.item not in whole:
                self._add(column.item, place)

    def _add(self, name: str, place: int) -> None:
        if self._places.setdefault(name, place) != place:
            self._places[name] = -1

    def place(self, path: Path, line: int, row: Mapping[str, object]) -> int:
        """Return the place of a row's item."""
        item, benchmark, version = (
            "" if row.get(name) is None else str(row[name])
            for name in ("item", "benchmark", "version")
        )
        name = item
        if benchmark:
            name = f"{benchmark}@{version}:{item}" if version else f"{benchmark}:{item}"
        place = self._places.get(name)
        if place is None:
            raise UnreadableFileError(
                path,
                f"there is no item {shortened(name)} in {self._titles}; `registry query` on view "
                "items lists them.",
                line=line,
                field="item",
            )
        if place < 0:
            raise UnreadableFileError(
                path,
                f"item {shortened(name)} is in several of {self._titles}; write it as "
                "benchmark@version:item.",
                line=line,
                field="item",
            )
        return place


_TRUTH = {"true": 1.0, "false": 0.0}


def _outcome(path: Path, line: int, value: object) -> float:
    try:
        number = _TRUTH.get(str(value).strip().lower())
        number = float(str(value)) if number is None else number
    except ValueError:
        number = np.nan
    if not 0 <= number <= 1:
        raise UnreadableFileError(
            path,
            f"{shortened(value)} is not an outcome: a number in [0, 1], 1 for a right answer.",
            line=line,
            field="outcome",
        )
    return number
