"""The registry's own layout: all that the common form holds, as tables in Parquet or CSV.

A folder with `runs` (a row a run), `names` (spellings that stand for a model of another name),
`items` and `outcomes` (a file for each version of a benchmark) and, written last, `manifest.json`,
which lists every file with its rows and its sha256. `layout` says what the columns are.
"""

from registry.evaluations.formats.archive.manifest import parts, reads
from registry.evaluations.formats.archive.reader import read
from registry.evaluations.formats.archive.writer import write

__all__ = ["parts", "read", "reads", "write"]
