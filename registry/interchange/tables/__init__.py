"""Any table of evaluations - Parquet, CSV, JSON lines - by a mapping that says what is where.

A mapping is a YAML file or a built-in one: see `Layout` and the files in `presets`.
"""

from registry.interchange.tables.loading import detect, load_mapping, override, presets
from registry.interchange.tables.mapping import Mapping_
from registry.interchange.tables.opening import ENDINGS
from registry.interchange.tables.reading import read

__all__ = ["ENDINGS", "Mapping_", "detect", "load_mapping", "override", "presets", "read"]
