"""Any table of evaluations - Parquet, CSV, JSON lines - by a mapping that says what is where.

A mapping is a YAML file or a built-in one: see `Layout` and the files in `presets`.
"""

from registry.evaluations.formats.tables.mapping import TableMapping
from registry.evaluations.formats.tables.open import ENDINGS
from registry.evaluations.formats.tables.presets import detect, load_mapping, override, presets
from registry.evaluations.formats.tables.reader import read

__all__ = ["ENDINGS", "TableMapping", "detect", "load_mapping", "override", "presets", "read"]
