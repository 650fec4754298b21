"""Opening of tables, by the ending of the file's name."""

from pathlib import Path

from registry.bounded.limits import COLUMNS, too_many_columns
from registry.errors import UnreadableFileError
from registry.evaluations.formats import pickles
from registry.evaluations.formats.tables.sources import ParquetTable, PickledTable, Table
from registry.evaluations.formats.tables.text_sources import CsvTable, JsonlTable

ENDINGS = (".parquet", ".csv", ".tsv", ".jsonl", ".ndjson", *pickles.ENDINGS)
"""Endings of the names of tables; text files may have .gz after theirs."""


def open_table(path: Path) -> Table:
    """Open a table and read the names of its columns.

    Raises:
        UnreadableFileError: it is not a table, is empty, or has two columns of one name.
    """
    ending = Path(path.name.lower().removesuffix(".gz")).suffix
    if not path.is_file():
        raise UnreadableFileError(path, "There is no such file.")
    if path.stat().st_size == 0:
        raise UnreadableFileError(path, "It is empty.")
    table: Table
    if ending == ".parquet":
        table = ParquetTable.open(path)
    elif ending in (".csv", ".tsv"):
        table = CsvTable.open(path, "\t" if ending == ".tsv" else ",")
    elif ending in (".jsonl", ".ndjson"):
        table = JsonlTable.open(path)
    elif ending in pickles.ENDINGS:
        table = PickledTable.open(path)
    else:
        known = ", ".join(ENDINGS)
        raise UnreadableFileError(path, f"Its name ends in none of {known} (or .gz after these).")
    if len(table.columns) > COLUMNS:
        raise too_many_columns(path)
    names: set[str] = set()
    for name in table.columns:
        if name in names:
            problem = "There are two columns of this name. Rename one of them."
            raise table.error(problem, field=name)
        names.add(name)
    return table
