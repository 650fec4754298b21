"""From a file and a mapping to the common form."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from registry.errors import UnreadableFileError
from registry.evaluations.formats.tables.lists import read_items, read_names
from registry.evaluations.formats.tables.long import read_outcomes
from registry.evaluations.formats.tables.mapping import Layout, TableMapping
from registry.evaluations.formats.tables.open import open_table
from registry.evaluations.formats.tables.rows import Sheet
from registry.evaluations.formats.tables.scores import read_scores, read_scores_by_model
from registry.evaluations.formats.tables.sources import Table
from registry.evaluations.formats.tables.wide import read_by_item, read_by_model
from registry.evaluations.records import Content, Notes

_READERS: Mapping[str, Callable[[Sheet], Iterator[Content]]] = {
    "outcomes": read_outcomes,
    "outcomes-by-model": read_by_model,
    "outcomes-by-item": read_by_item,
    "scores": read_scores,
    "scores-by-model": read_scores_by_model,
    "items": read_items,
    "names": read_names,
}


def read(path: Path, mapping: TableMapping, notes: Notes) -> Iterator[Content]:
    """Yield what a table says: blocks, one a benchmark, or names.

    Runs of a block can be read once; a bad row may be met only then. What is left out is told to
    `notes`. Answers are kept in memory; outcomes of long tables are in a temporary file.

    Raises:
        UnreadableFileError: the file cannot be read wholly; names the line or row, and the field.
    """
    table = open_table(path)
    layout = mapping.layout(path.name, table.columns)
    if layout is None:
        meant = ", ".join(layout.match or "*" for layout in mapping.layouts)
        problem = (
            f"It is neither named nor laid out as the mapping {mapping.name!r} says ({meant})."
        )
        raise UnreadableFileError(path, problem)
    _check_columns(table, layout, notes)
    yield from _READERS[layout.kind](Sheet(table, layout, notes))


def _wanted_for(column: str, layout: Layout) -> str:
    """Say which role a column is looked for in, and how to name another."""
    for role, formula in layout.roles.items():
        if column in formula.columns:
            return f" for the {role}; --column {role}=NAME tells another"
    return ""


def _check_columns(table: Table, layout: Layout, notes: Notes) -> None:
    there = ", ".join(map(repr, table.columns[:50]))
    for column in layout.columns:
        if column not in table.columns:
            raise table.error(
                f"There is no such column{_wanted_for(column, layout)}. There are: {there}.",
                field=column,
            )
    if layout.is_wide:
        used = {column.name for column in layout.wide_columns(table.columns)}
        if not used:
            raise table.error(f"No column is one that the mapping looks for. There are: {there}.")
        unused = len(set(table.columns) - used - set(layout.columns))
        if unused:
            notes.left_out("columns that hold no outcome or score", unused)
