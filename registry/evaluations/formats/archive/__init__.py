"""Archive, the registry's own format: everything about evaluations, as tables in Parquet or CSV.

A folder with `runs` (a row per run), `names` (spellings that resolve to a model of another name),
`facts` (what sources state of models besides scores, where there is any), `items` and `outcomes` (a
file for each version of a benchmark) and, written last, `manifest.json`, which lists every file
with its rows and its sha256. `layout` describes the columns.
"""

from registry.evaluations.formats.archive.manifest import parts, recognizes
from registry.evaluations.formats.archive.reader import read
from registry.evaluations.formats.archive.writer import write

__all__ = ["DESCRIPTION", "parts", "read", "recognizes", "write"]

DESCRIPTION = "manifest.json and its tables, as `registry evals export` writes"
