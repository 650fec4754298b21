"""Long tables: one outcome per row."""

from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from registry.evaluations.formats.tables.answers import AnswerReader
from registry.evaluations.formats.tables.cells import BadCellError, OutcomeCells
from registry.evaluations.formats.tables.interning import GroupEncoder
from registry.evaluations.formats.tables.items import ItemReader
from registry.evaluations.formats.tables.roles import BENCHMARK_ROLES, ITEM_TEXTS, RUN_ROLES
from registry.evaluations.formats.tables.rows import Sheet, TableRows
from registry.evaluations.formats.tables.runs import RunMetadata, RunReader
from registry.evaluations.formats.tables.spool import (
    BINARY,
    Cells,
    Chunk,
    Spool,
    decode_floats,
    encode_binary,
    encode_floats,
    is_binary,
    matrix,
)
from registry.evaluations.records import Benchmark, Block, Item, Run


def read_outcomes(sheet: Sheet) -> Iterator[Block]:
    """Yield a block for each benchmark.

    The file is read once, into a temporary file of 12 bytes an outcome; from there outcomes are
    written to a temporary matrix of runs by items. Distinct names, the items' texts, and the
    distinct answers if these are mapped, are held in memory.

    Raises:
        UnreadableFileError: a row cannot be read, or two rows contradict each other.
    """
    spool = Spool()
    try:
        table = _LongTable(sheet, spool)
        table.collect()
        blocks = table.arrange()
    finally:
        spool.close()
    yield from blocks


class _LongTable:
    """Outcomes of a long table, with the runs and items in it by number."""

    def __init__(self, sheet: Sheet, spool: Spool) -> None:
        layout = sheet.layout
        self._sheet, self._spool = sheet, spool
        benchmark = layout.columns_of(BENCHMARK_ROLES)
        details = [column for formula in layout.details.values() for column in formula.columns]
        run_columns = [*benchmark, *layout.columns_of(RUN_ROLES), *details]
        self._run_groups = GroupEncoder(tuple(dict.fromkeys(run_columns)))
        item_columns = [*benchmark, *layout.columns_of(("item",))]
        self._item_groups = GroupEncoder(tuple(dict.fromkeys(item_columns)))
        self._benchmark_columns = benchmark
        self._text_columns = (*layout.columns_of(ITEM_TEXTS), *layout.choices)
        self._outcome = layout.roles["outcome"].columns[0]
        self._answers = AnswerReader(sheet)
        self._run_reader = RunReader(sheet)
        self._item_reader = ItemReader(sheet)
        self._columns: dict[tuple[object, ...], _Columns] = {}
        self._runs: list[RunMetadata] = []
        self._items: list[Item] = []
        # Several groups of cells may be one run or item, as 1 and 1.0 are.
        self._run_of = array("i")
        self._item_of = array("i")
        self._run_numbers: dict[object, int] = {}
        self._cells = OutcomeCells(layout, sheet.notes)
        self._binary = True

    @property
    def _names(self) -> tuple[str, ...]:
        return (
            *self._run_groups.columns,
            *self._item_groups.columns,
            *self._text_columns,
            self._outcome,
            *self._answers.columns,
        )

    def collect(self) -> None:
        """Read the file into the spool."""
        for rows in self._sheet.rows(self._names):
            with self._sheet.places(rows):
                runs, items = self._numbers(rows)
                outcomes = self._cells.read(rows.columns[self._outcome], self._outcome)
                others = self._answers.read(rows)
            encoded = encode_floats(outcomes)
            self._binary = self._binary and is_binary(encoded)
            self._spool.write(Chunk(runs, items, [encoded, *others]))

    def _numbers(self, rows: TableRows) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Return the numbers of the runs and the items of rows; new ones are read."""
        runs = self._run_groups.group(
            [rows.columns[name] for name in self._run_groups.columns], rows.length
        )
        for cells, row in _new(self._run_groups.values_from(len(self._run_of)), runs.first_rows):
            with self._sheet.places(rows, row):
                self._add_run(self._run_reader.read(cells))
        items = self._item_groups.group(
            [rows.columns[name] for name in self._item_groups.columns], rows.length
        )
        self._add_items(rows, items.first_rows)
        return (
            np.asarray(self._run_of, np.int32)[runs.groups],
            np.asarray(self._item_of, np.int32)[items.groups],
        )

    def _add_items(self, rows: TableRows, at: NDArray[np.int64]) -> None:
        """Read the items that appear first in these rows."""
        values = self._item_groups.values_from(len(self._item_of))
        for name in self._text_columns:
            values[name] = rows.columns[name].take(pa.array(at)).to_pylist()
        try:
            items = self._item_reader.items(values, len(at))
        except BadCellError as bad:
            raise self._sheet.error(bad, rows.number(int(at[bad.row]))) from None
        benchmarks = [values[name] for name in self._benchmark_columns]
        keys = zip(*benchmarks, strict=True) if benchmarks else repeat((), len(items))
        for item, key in zip(items, keys, strict=True):
            columns = self._columns.get(key) or self._new_columns(key)
            number = columns.numbers.setdefault(item.item, len(self._items))
            if number == len(self._items):
                self._items.append(item)
            self._item_of.append(number)

    def _new_columns(self, key: tuple[object, ...]) -> "_Columns":
        cells = dict(zip(self._benchmark_columns, key, strict=True))
        benchmark = self._run_reader.benchmark(cells)
        for columns in self._columns.values():
            if columns.benchmark.key == benchmark.key:
                break
        else:
            columns = _Columns(benchmark, {})
        self._columns[key] = columns
        return columns

    def _add_run(self, run: RunMetadata) -> None:
        number = self._run_numbers.setdefault(run.key, len(self._runs))
        if number == len(self._runs):
            self._runs.append(run)
        self._run_of.append(number)

    def arrange(self) -> list[Block]:
        """Return blocks, whose outcomes are matrices end to end, one for each benchmark."""
        tables = self._tables()
        bases = np.zeros(len(self._runs), np.int64)
        places = np.zeros(len(self._items), np.int64)
        size = 0
        for table in tables:
            places[table.items] = np.arange(len(table.items))
            bases[table.runs] = size + np.arange(len(table.runs)) * len(table.items)
            table.start = size
            size += len(table.runs) * len(table.items)
        cells = self._filled(bases, places, size)
        return [
            Block(
                benchmark=table.benchmark,
                items=[self._items[number] for number in table.items],
                runs=self._runs_of(table, cells),
            )
            for table in tables
        ]

    def _tables(self) -> list["_Matrix"]:
        tables: dict[tuple[str, str], _Matrix] = {}
        for number, run in enumerate(self._runs):
            table = tables.setdefault(run.benchmark.key, _Matrix(run.benchmark, [], []))
            table.runs.append(number)
        for columns in self._columns.values():
            # Cells of a benchmark that differ, as 1 and 1.0 do, may have the same items.
            tables[columns.benchmark.key].items = list(columns.numbers.values())
        return list(tables.values())

    def _filled(
        self, bases: NDArray[np.int64], places: NDArray[np.int64], size: int
    ) -> list[Cells]:
        outcomes = matrix(size, np.uint8 if self._binary else np.int32)
        others = [matrix(size, np.int32) for _ in self._answers.columns]
        stated = 0
        for chunk in self._spool.read():
            at = bases[chunk.runs] + places[chunk.items]
            new: Cells = chunk.planes[0]
            if self._binary:
                new = encode_binary(chunk.planes[0])
            if not new.all():
                observed = np.flatnonzero(new)
                at, new = at[observed], new[observed]
                more = [plane[observed] for plane in chunk.planes[1:]]
            else:
                more = chunk.planes[1:]
            if self._sheet.layout.repeats == "best":
                _put_best(outcomes, at, new)
                for plane, values in zip(others, more, strict=True):
                    plane[at] = values
                stated += len(at)
                continue
            where = _places(at)
            old = outcomes[where].copy()
            outcomes[where] = new
            # With an earlier chunk, or between two rows of this one.
            clash = (old != new) & (old != 0) | (outcomes[where] != new)
            if clash.any():
                raise self._contradiction(bases, places, int(at[np.flatnonzero(clash)[0]]))
            for plane, values in zip(others, more, strict=True):
                plane[where] = values
            stated += len(at)
        self._note_left_out(stated, int(np.count_nonzero(outcomes)))
        return [outcomes, *others]

    def _note_left_out(self, stated: int, distinct: int) -> None:
        empty = self._spool.length - stated
        if empty:
            self._sheet.notes.left_out("rows without an outcome", empty)
        if stated > distinct:
            self._sheet.notes.left_out("rows that repeat another one", stated - distinct)

    def _contradiction(
        self, bases: NDArray[np.int64], places: NDArray[np.int64], cell: int
    ) -> Exception:
        """Return the error for two rows that contradict each other; reads the file again."""
        seen: float | None = None
        for rows in self._sheet.rows(self._names):
            runs, items = self._numbers(rows)
            outcomes = self._cells.read(rows.columns[self._outcome], self._outcome)
            for row in np.flatnonzero(bases[runs] + places[items] == cell).tolist():
                outcome = float(outcomes[row])
                if np.isnan(outcome):
                    continue
                if seen is not None and outcome != seen:
                    model = self._runs[int(runs[row])].model
                    item = self._items[int(items[row])].item
                    problem = (
                        f"Item {item!r} of {model!r} has another outcome in an earlier row. "
                        "Keep one of them, or map the column that distinguishes the two runs."
                    )
                    bad = BadCellError(problem, field=self._outcome)
                    return self._sheet.error(bad, rows.number(row))
                seen = outcome
        return self._sheet.table.error("It changed while it was read. Read it again.")

    def _runs_of(self, table: "_Matrix", cells: Sequence[Cells]) -> Iterator[Run]:
        width = len(table.items)
        for place, number in enumerate(table.runs):
            begin = table.start + place * width
            row: list[Cells] = [np.asarray(plane[begin : begin + width]) for plane in cells]
            if not row[0].any():
                self._sheet.notes.left_out("runs without any outcome")
                continue
            yield self._runs[number].run(
                outcomes=BINARY[row[0]] if self._binary else decode_floats(row[0].view(np.int32)),
                **self._answers.decode(row[1:]),
            )


def _put_best(outcomes: Cells, at: NDArray[np.int64], new: Cells) -> None:
    """Write encoded outcomes, the best of those at one place, earlier ones included."""
    if outcomes.dtype == np.uint8:  # encoded in their order, 0 being missing
        np.maximum.at(outcomes, at, new)
        return
    values, earlier = decode_floats(new.view(np.int32)), decode_floats(outcomes[at].view(np.int32))
    better = np.flatnonzero(~(values <= earlier))
    order = better[np.argsort(values[better], kind="stable")]
    outcomes[at[order]] = new[order]  # the last one at a place stays


def _places(at: NDArray[np.int64]) -> slice | NDArray[np.int64]:
    """Return places as a slice if they are consecutive, as those of a sorted file are.

    Writing there takes a fifth of the time.
    """
    if len(at) and int(at[-1] - at[0]) == len(at) - 1 and bool((np.diff(at) == 1).all()):
        return slice(int(at[0]), int(at[-1]) + 1)
    return at


def _new(
    values: Mapping[str, list[object]], rows: NDArray[np.int64]
) -> Iterator[tuple[dict[str, object], int]]:
    """Yield the cells of groups, by column, and the first row of each."""
    for place, row in enumerate(rows.tolist()):
        yield {name: column[place] for name, column in values.items()}, row


class _Columns(NamedTuple):
    """The items of a benchmark: their numbers by name."""

    benchmark: Benchmark
    numbers: dict[str, int]


@dataclass
class _Matrix:
    """The runs and items of a benchmark, by number, and where its cells start."""

    benchmark: Benchmark
    runs: list[int]
    items: list[int]
    start: int = 0
