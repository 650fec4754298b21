"""Reader of a table by a mapping: blocks of evaluations, or names of models."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from registry.errors import UnreadableFileError, UsageError
from registry.evaluations.formats import pickles
from registry.evaluations.formats.tables.lists import read_facts, read_items, read_names
from registry.evaluations.formats.tables.long import read_outcomes
from registry.evaluations.formats.tables.mapping import Layout, TableMapping
from registry.evaluations.formats.tables.open import ENDINGS, open_table
from registry.evaluations.formats.tables.presets import GENERAL, detect, on_scale, presets
from registry.evaluations.formats.tables.rows import Sheet
from registry.evaluations.formats.tables.scores import read_scores, read_scores_by_model
from registry.evaluations.formats.tables.sources import Table
from registry.evaluations.formats.tables.wide import read_by_item, read_by_model
from registry.evaluations.records import Content, Notes
from registry.evaluations.scales.stated import NOT_STATED, StatedScale

_READERS: Mapping[str, Callable[[Sheet], Iterator[Content]]] = {
    "outcomes": read_outcomes,
    "outcomes-by-model": read_by_model,
    "outcomes-by-item": read_by_item,
    "scores": read_scores,
    "scores-by-model": read_scores_by_model,
    "items": read_items,
    "names": read_names,
}


class TableFormat:
    """Tables as a format: by a given mapping, or the built-in one that fits their columns."""

    DESCRIPTION = "Parquet, CSV, JSON lines (.gz too) or pandas pickles, by a mapping of columns"

    def __init__(
        self, mapping: TableMapping | None = None, stated: StatedScale = NOT_STATED
    ) -> None:
        """Configure the format.

        Args:
            mapping: of all tables; None takes the built-in one that fits.
            stated: scale of outcomes, where neither the mapping nor a known layout has one.

        Raises:
            UsageError: the mapping has another scale.
        """
        self._mapping = mapping and on_scale(mapping, stated)
        self._stated = stated
        self._detected: dict[Path, TableMapping | None] = {}

    def recognizes(self, path: Path) -> bool:
        """Tell whether a built-in mapping fits a table's columns.

        Raises:
            UnreadableFileError: the file has the name of a table, and is not one.
        """
        return self._fitting(path) is not None

    def read(self, path: Path, notes: Notes) -> Iterator[Content]:
        """Yield the blocks of a table, or its names; see the function `read`."""
        mapping = self._mapping or self._fitting(path)
        if mapping is None:
            raise UsageError(
                f"What the columns of {path} mean is not known; name a mapping by --mapping "
                f"({', '.join(presets())}, or a YAML file), or columns by --column ROLE=COLUMN."
            )
        return read(path, mapping, notes)

    def parts(self, path: Path) -> Iterable[Path]:  # noqa: ARG002 - of the protocol
        """Return no file: a table is read alone."""
        return ()

    def _fitting(self, path: Path) -> TableMapping | None:
        if not path.name.lower().removesuffix(".gz").endswith(ENDINGS):
            return None
        if path not in self._detected:
            try:
                found = detect(path)
                if found is not None and found.name == GENERAL:
                    found = on_scale(found, self._stated)
                self._detected = {path: found}
            except UnreadableFileError:
                # Most pickles are no tables: those of weights, and of anything else.
                if not path.name.lower().endswith(pickles.ENDINGS):
                    raise
                self._detected = {path: None}
        return self._detected[path]


def read(path: Path, mapping: TableMapping, notes: Notes) -> Iterator[Content]:
    """Yield the blocks of a table, one for each benchmark, or its names.

    Runs of a block can be read once; a bad row may raise only then. What is left out is counted in
    `notes`. Answers are held in memory; outcomes of long tables are in a temporary file.

    Raises:
        UnreadableFileError: the file cannot be read completely; names the place.
    """
    table = open_table(path)
    layout = mapping.layout(path.name, table.columns, table.has)
    if layout is None:
        meant = ", ".join(layout.match or "*" for layout in mapping.layouts)
        problem = (
            f"Neither its name nor its columns are those of the mapping {mapping.name!r} ({meant})."
        )
        raise UnreadableFileError(path, problem)
    _check_columns(table, layout, notes)
    sheet = Sheet(table, layout, notes)
    yield from _READERS[layout.kind](sheet)
    if layout.facts:
        yield from read_facts(sheet)


def _role_of(column: str, layout: Layout) -> str:
    """Return the part of a message that names a column's role, and how to map another column."""
    for role, formula in layout.roles.items():
        if column in formula.columns:
            return f" for the {role}; --column {role}=NAME names another"
    return ""


def _check_columns(table: Table, layout: Layout, notes: Notes) -> None:
    columns = ", ".join(map(repr, table.columns[:50]))
    for column in layout.columns:
        if not table.has(column):
            raise table.error(
                f"There is no such column{_role_of(column, layout)}. There are: {columns}.",
                field=column,
            )
    if layout.is_wide:
        wide = list(layout.wide_columns(table.columns))
        if not wide:
            raise table.error(f"The mapping covers none of its columns. There are: {columns}.")
        used = {column.name for column in wide} | {column.answer for column in wide}
        used.update(layout.columns, layout.tops(table.columns))
        used.update(*(each.columns for each in layout.formulas_of_facts()))
        unused = [column for column in table.columns if column not in used]
        notes.left_out_named("columns that hold no outcome or score", unused)
