"""Tables of scores: one a row, or one a column. Kept in memory until the file is read."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from registry.errors import shortened
from registry.evaluations.formats.tables.cells import BadCellError, count_of, number_of
from registry.evaluations.formats.tables.mapping import WideColumn
from registry.evaluations.formats.tables.roles import Formula
from registry.evaluations.formats.tables.rows import Sheet
from registry.evaluations.formats.tables.runs import NO_TEXTS, RunMetadata, RunReader
from registry.evaluations.records import Benchmark, Block, Measure, Run

_Number = TypeVar("_Number", int, float)


def read_scores(sheet: Sheet) -> Iterator[Block]:
    """Yield a block a benchmark, of a table with one score a row.

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
    """Yield a block a benchmark, of a table with one model a row and one score a column.

    Raises:
        UnreadableFileError: as `read_scores`.
    """
    scores = _Scores(sheet)
    columns = list(sheet.layout.wide_columns(sheet.table.columns))
    wanted = (*sheet.layout.columns, *(column.name for column in columns))
    for values, row in _rows(sheet, wanted):
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
    """Scores as they are met, without those that are said again."""

    sheet: Sheet
    _runs: dict[Benchmark, list[Run]] = field(default_factory=dict)
    _known: dict[object, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._heads = RunReader(self.sheet)

    def add(
        self,
        values: Mapping[str, object],
        score: Formula,
        error: Formula | None,
        items: Formula | None,
        column: WideColumn | None = None,
    ) -> None:
        """Read a score and what belongs to it.

        Raises:
            BadCellError: a cell is not what it should be, or says otherwise than another.
        """
        head = self._heads.head(
            values,
            series=column.series if column else None,
            texts=column.texts if column else NO_TEXTS,
        )
        number = self._read(values, score, number_of)
        if number is None:
            self.sheet.notes.left_out("cells without a score")
            return
        _check(number, head.measure, score.label)
        if self._is_known(head, number, score.label):
            self.sheet.notes.left_out("scores that are said again")
            return
        self._runs.setdefault(head.benchmark, []).append(
            head.run(
                score=number,
                standard_error=self._read(values, error, number_of),
                items=self._read(values, items, count_of),
            )
        )

    def blocks(self) -> Iterator[Block]:
        """Yield what was read."""
        for benchmark, runs in self._runs.items():
            yield Block(benchmark=benchmark, runs=runs)

    def _read(
        self,
        values: Mapping[str, object],
        formula: Formula | None,
        number: Callable[[str, str], _Number],
    ) -> _Number | None:
        text = formula.text(self.sheet.teller(values)) if formula else None
        return number(text, formula.label) if formula and text is not None else None

    def _is_known(self, head: RunMetadata, score: float, column: str) -> bool:
        key = head.key
        known = self._known.get(key)
        if known is None:
            self._known[key] = score
            return False
        if known != score:
            problem = (
                f"{head.model!r} has another score on {head.benchmark.name!r} in a row before, "
                f"{known:g}. Keep one of them, or map the column that tells the two runs apart."
            )
            raise BadCellError(problem, field=column)
        return True


def _check(score: float, measure: Measure, column: str) -> None:
    if not measure.allows(score):
        problem = (
            f"The score {shortened(score)} of {measure.metric} is not {measure.span}. "
            "Correct it, or state lower and upper in the mapping."
        )
        raise BadCellError(problem, field=column)
