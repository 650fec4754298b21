"""Tables of evaluations (Parquet, CSV, JSON lines), read by mappings of their columns.

A mapping is built in or a YAML file: see `Layout` and the files in `presets`.
"""

from registry.evaluations.formats.tables.mapping import TableMapping
from registry.evaluations.formats.tables.presets import (
    detect,
    load_mapping,
    of_columns,
    on_scale,
    override,
    presets,
)
from registry.evaluations.formats.tables.reader import TableFormat, read

__all__ = [
    "TableFormat",
    "TableMapping",
    "detect",
    "load_mapping",
    "of_columns",
    "on_scale",
    "override",
    "presets",
    "read",
]
