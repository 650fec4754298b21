"""Wide tables of outcomes: a row per model and a column per item, or the other way round."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b

import numpy as np
import pyarrow as pa

from registry.coerce import storable
from registry.evaluations.formats.tables.cells import (
    BadCellError,
    OutcomeCells,
    name_of,
    text_of,
)
from registry.evaluations.formats.tables.items import ItemReader
from registry.evaluations.formats.tables.mapping import WideColumn
from registry.evaluations.formats.tables.rows import Sheet
from registry.evaluations.formats.tables.runs import RunReader
from registry.evaluations.records import Benchmark, Block, Item, Outcomes, Run


def read_by_model(sheet: Sheet) -> Iterator[Block]:
    """Yield a block for each benchmark of a table with one model per row, one item per column.

    The file is read once for each benchmark in it, while the block's runs are read.

    Raises:
        UnreadableFileError: a cell cannot be read, or two rows of a model contradict each other.
    """
    reader = RunReader(sheet)
    benchmarks: dict[tuple[str, str], tuple[Benchmark, list[WideColumn]]] = {}
    for column in sheet.layout.wide_columns(sheet.table.columns):
        try:
            benchmark = reader.benchmark({}, column.texts)
        except BadCellError as bad:
            raise sheet.table.error(bad.problem, field=column.name) from None
        # Two names in the table may be one benchmark by the mapping.
        benchmarks.setdefault(benchmark.key, (benchmark, []))[1].append(column)
    for benchmark, columns in benchmarks.values():
        yield _by_model(sheet, benchmark, columns)


def _by_model(sheet: Sheet, benchmark: Benchmark, columns: list[WideColumn]) -> Block:
    items: dict[str, Item] = {}
    for column in columns:
        try:
            name = name_of(column.texts.get("item", column.name), "item's name", column.name)
        except BadCellError as bad:
            raise sheet.table.error(bad.problem, field=column.name) from None
        if name in items:
            problem = f"Another column is item {name!r} as well. Rename one of them."
            raise sheet.table.error(problem, field=column.name)
        items[name] = Item(name, domain=column.texts.get("domain"))
    return Block(
        benchmark=benchmark, items=list(items.values()), runs=_runs_by_model(sheet, columns)
    )


def _runs_by_model(sheet: Sheet, columns: list[WideColumn]) -> Iterator[Run]:
    cells, reader = OutcomeCells(sheet.layout, sheet.notes), RunReader(sheet)
    digests: dict[object, bytes] = {}
    own = sheet.layout.columns
    texts = {key: text for key, text in columns[0].texts.items() if key in _SHARED}
    for rows in sheet.rows((*own, *(column.name for column in columns))):
        values = {name: rows.columns[name].to_pylist() for name in own}
        with sheet.places(rows):
            outcomes = np.stack(
                [cells.read(rows.columns[column.name], column.name) for column in columns], axis=1
            )
        for row in range(rows.length):
            with sheet.places(rows, row):
                head = reader.read(
                    {name: column[row] for name, column in values.items()},
                    series=columns[0].series,
                    texts=texts,
                )
                if _is_repeated(sheet, digests, head.key, outcomes[row], head.model):
                    continue
            if np.isnan(outcomes[row]).all():
                sheet.notes.left_out("runs without any outcome")
                continue
            yield head.run(outcomes=outcomes[row])


_SHARED = ("benchmark", "version", "metric", "filter", "shots")


def _is_repeated(
    sheet: Sheet, digests: dict[object, bytes], key: object, outcomes: Outcomes, name: str
) -> bool:
    """Tell whether an earlier row has the same run or item, with the same outcomes."""
    digest = blake2b(outcomes.tobytes(), digest_size=16).digest()
    earlier = digests.setdefault(key, digest)
    if earlier is digest:
        return False
    if earlier != digest:
        problem = (
            f"{name!r} has other outcomes in an earlier row. "
            "Keep one of them, or map the column that distinguishes the two."
        )
        raise BadCellError(problem)
    sheet.notes.left_out("rows that repeat another one")
    return True


def read_by_item(sheet: Sheet) -> Iterator[Block]:
    """Yield a block for each benchmark of a table with one item per row, one model per column.

    Held in memory until the file is read: 4 bytes an outcome, and the items with their texts.

    Raises:
        UnreadableFileError: a cell cannot be read, or two rows of an item contradict each other.
    """
    columns = list(sheet.layout.wide_columns(sheet.table.columns))
    cells, runs, reader = (
        OutcomeCells(sheet.layout, sheet.notes),
        RunReader(sheet),
        ItemReader(sheet),
    )
    own = sheet.layout.columns
    present = set(sheet.table.columns)
    answers = [each.answer if each.answer in present else None for each in columns]
    read = (*own, *(column.name for column in columns), *filter(None, answers))
    tables: dict[tuple[str, str], _Table] = {}
    for rows in sheet.rows(read):
        texts = [_texts(rows.columns[each]) if each else None for each in answers]
        values = {name: rows.columns[name].to_pylist() for name in own}
        with sheet.places(rows):
            outcomes = np.stack(
                [cells.read(rows.columns[column.name], column.name) for column in columns], axis=1
            )
        for row in range(rows.length):
            row_values = {name: column[row] for name, column in values.items()}
            with sheet.places(rows, row):
                benchmark = runs.benchmark(row_values)
                item = reader.item(row_values, rows.number(row))
                table = tables.setdefault(benchmark.key, _Table(benchmark, row_values))
                if _is_repeated(sheet, table.digests, item.item, outcomes[row], item.item):
                    continue
            table.items.append(item)
            table.rows.append(outcomes[row])
            table.answers.append([each[row] if each else None for each in texts])
    for table in tables.values():
        yield Block(
            benchmark=table.benchmark,
            items=table.items,
            runs=_runs_by_item(sheet, runs, columns, table),
        )


def _texts(column: pa.Array) -> list[str | None]:
    """Return texts that can be stored; None for missing ones."""
    cells = (text_of(cell) for cell in column.to_pylist())
    return [storable(cell) if cell else None for cell in cells]


@dataclass
class _Table:
    """The items of a benchmark and their outcomes; `values` are the cells of the first row."""

    benchmark: Benchmark
    values: Mapping[str, object]
    items: list[Item] = field(default_factory=list)
    rows: list[Outcomes] = field(default_factory=list)
    answers: list[list[str | None]] = field(default_factory=list)
    digests: dict[object, bytes] = field(default_factory=dict)


def _runs_by_item(
    sheet: Sheet, reader: RunReader, columns: list[WideColumn], table: _Table
) -> Iterator[Run]:
    by_model = np.stack(table.rows, axis=1)
    keys: set[object] = set()
    for place, (column, outcomes) in enumerate(zip(columns, by_model, strict=True)):
        texts = {"model": column.name, **column.texts}
        try:
            head = reader.read(table.values, series=column.series, texts=texts)
        except BadCellError as bad:
            raise sheet.table.error(bad.problem, field=column.name) from None
        if head.key in keys:
            problem = f"Another column is model {head.model!r} as well. Rename one of them."
            raise sheet.table.error(problem, field=column.name)
        keys.add(head.key)
        if np.isnan(outcomes).all():
            sheet.notes.left_out("runs without any outcome")
            continue
        answers = [each[place] for each in table.answers] if column.answer else None
        yield head.run(
            outcomes=np.ascontiguousarray(outcomes),
            answers=answers if answers and any(answers) else None,
        )
