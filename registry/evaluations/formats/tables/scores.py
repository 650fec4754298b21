"""Tables of scores: one per row, or one per column. Held in memory until the file is read."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from registry.evaluations.formats.tables.cells import BadCellError, count_of, number_of
from registry.evaluations.formats.tables.mapping import WideColumn
from registry.evaluations.formats.tables.roles import Formula
from registry.evaluations.formats.tables.rows import Sheet
from registry.evaluations.formats.tables.runs import NO_TEXTS, RunMetadata, RunReader
from registry.evaluations.records import Benchmark, Block, Run

_Number = TypeVar("_Number", int, float)


def read_scores(sheet: Sheet) -> Iterator[Block]:
    """Yield a block for each benchmark of a table with one score per row.

    Raises:
        UnreadableFileError: a row cannot be read, or two rows contradict each other.
    """
    scores = _Scores(sheet)
    roles = sheet.layout.roles
    for values, row in _rows(sheet, sheet.layout.columns):
        try:
            scores.add(values, roles["score"], roles.get("standard_error"), roles.get("items"))
        except BadCellError as bad:
            raise sheet.error(bad, row) from None
    yield from scores.blocks()


def read_scores_by_model(sheet: Sheet) -> Iterator[Block]:
    """Yield a block for each benchmark of a table with one model per row, one score per column.

    Raises:
        UnreadableFileError: as `read_scores`.
    """
    scores = _Scores(sheet)
    columns = list(sheet.layout.wide_columns(sheet.table.columns))
    names = (*sheet.layout.columns, *(column.name for column in columns))
    for values, row in _rows(sheet, names):
        for column in columns:
            error, items = column.series.standard_error, column.series.items
            try:
                scores.add(
                    values,
                    _plain(column.name),
                    _plain(error) if error is not None else None,
                    _plain(items) if items is not None else None,
                    column,
                )
            except BadCellError as bad:
                raise sheet.error(bad, row) from None
    yield from scores.blocks()


def _plain(column: str) -> Formula:
    return Formula((("", column),))


def _rows(sheet: Sheet, columns: tuple[str, ...]) -> Iterator[tuple[dict[str, object], int]]:
    for rows in sheet.rows(columns):
        lists = {name: array.to_pylist() for name, array in rows.columns.items()}
        for row in range(rows.length):
            yield {name: cells[row] for name, cells in lists.items()}, rows.number(row)


@dataclass
class _Scores:
    """Scores in the order of the table, without repeated ones."""

    sheet: Sheet
    _runs: dict[Benchmark, list[Run]] = field(default_factory=dict)
    _scores: dict[object, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._reader = RunReader(self.sheet)

    def add(
        self,
        values: Mapping[str, object],
        score: Formula,
        error: Formula | None,
        items: Formula | None,
        column: WideColumn | None = None,
    ) -> None:
        """Read a score, its standard error and its number of items.

        Raises:
            BadCellError: a cell is invalid, or contradicts another one.
        """
        head = self._reader.read(
            values,
            series=column.series if column else None,
            texts=column.texts if column else NO_TEXTS,
        )
        number = self._read(values, score, number_of)
        if number is None:
            self.sheet.notes.left_out("cells without a score")
            return
        if self._is_repeated(head, number, score.label):
            self.sheet.notes.left_out("scores that repeat another one")
            return
        self._runs.setdefault(head.benchmark, []).append(
            head.run(
                score=number,
                standard_error=self._read(values, error, number_of),
                items=self._read(values, items, count_of),
            )
        )

    def blocks(self) -> Iterator[Block]:
        """Yield a block for each benchmark."""
        for benchmark, runs in self._runs.items():
            yield Block(benchmark=benchmark, runs=runs)

    def _read(
        self,
        values: Mapping[str, object],
        formula: Formula | None,
        number: Callable[[str, str], _Number],
    ) -> _Number | None:
        text = formula.text(self.sheet.cell_texts(values)) if formula else None
        return number(text, formula.label) if formula and text is not None else None

    def _is_repeated(self, head: RunMetadata, score: float, column: str) -> bool:
        key = head.key
        earlier = self._scores.get(key)
        if earlier is None:
            self._scores[key] = score
            return False
        if earlier != score:
            problem = (
                f"{head.model!r} has another score on {head.benchmark.name!r} in an earlier row, "
                f"{earlier:g}. Keep one of them, or map the column that distinguishes the two runs."
            )
            raise BadCellError(problem, field=column)
        return True
