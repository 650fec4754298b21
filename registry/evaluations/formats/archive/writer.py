"""Writer of archives."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import blake2b
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from registry.catalog.resolution import StatedName
from registry.evaluations.formats.archive import manifest
from registry.evaluations.formats.archive.layout import (
    FACTS,
    ITEMS,
    NAMES,
    OUTCOMES,
    RUNS,
    item_columns,
    run_row,
)
from registry.evaluations.formats.archive.manifest import ArchivePart, BenchmarkContents, Manifest
from registry.evaluations.formats.table_files import ENDINGS, Encoding, TableFile
from registry.evaluations.records import Block, Facts, Item, Run
from registry.version import __version__

ROWS_AT_ONCE = 1 << 19
_CHARACTERS_AT_ONCE = 1 << 26  # of answers
_ITEMS_AT_ONCE = 2_000  # prompts may be long
_RUNS_AT_ONCE = 2_000
_LONGEST_NAME = 150  # of the 255 bytes that file systems allow


def write(
    blocks: Iterable[Block],
    folder: Path,
    *,
    encoding: Encoding,
    names: Sequence[StatedName] = (),
    facts: Iterable[Facts] = (),
    now: datetime,
) -> list[ArchivePart]:
    """Write blocks to an empty folder, the manifest last.

    Held in memory are the items of one block and several hundred thousand outcomes.

    Args:
        blocks: one for each version of a benchmark; each is read before the next.
        folder: an empty one.
        encoding: of the tables.
        names: spellings in the blocks that resolve to a model of another name.
        facts: what sources state of models; read after the blocks.
        now: the time of the export.

    Returns:
        The files, without the manifest.
    """
    ending = ENDINGS[encoding]
    runs_path, names_path = f"runs{ending}", f"names{ending}"
    contents: list[BenchmarkContents] = []
    rows: dict[str, int] = {}
    paths = _Paths(ending)
    models = {each.name: each.model for each in names}
    with TableFile(folder / names_path, NAMES) as file:
        columns = zip(*names, strict=True) if names else ((), (), ())
        file.write(dict(zip(NAMES.names, map(list, columns), strict=True)))
    with TableFile(folder / runs_path, RUNS) as runs:
        for block in blocks:
            items_path, outcomes_path = paths.of(block.benchmark.name)
            rows |= _write_items(folder, items_path, block.items)
            before = runs.rows
            run_writer = _RunWriter(runs, block, models)
            outcome_rows = _write_outcomes(folder, outcomes_path, block, run_writer)
            rows |= outcome_rows
            contents.append(
                BenchmarkContents(
                    block.benchmark,
                    items_path if block.items else None,
                    outcomes_path if outcome_rows else None,
                    runs.rows - before,
                )
            )
    rows |= {runs_path: runs.rows, names_path: file.rows}
    facts_rows = _write_facts(folder, f"facts{ending}", facts)
    rows |= facts_rows
    files = {path: manifest.describe_file(folder, path, number) for path, number in rows.items()}
    listed = Manifest(
        runs_path, names_path, contents, files, facts=next(iter(facts_rows), None)
    )  # fmt: skip
    manifest.save(listed, folder, version=__version__, now=now)
    return list(files.values())


@dataclass
class _Paths:
    """Paths of benchmarks: distinct ones, also on file systems that ignore case."""

    ending: str
    _used: dict[str, int] = field(default_factory=dict)

    def of(self, name: str) -> tuple[str, str]:
        """Return new paths for the items and the outcomes of a version of a benchmark."""
        safe = quote(name, safe=" ")
        if len(safe) > _LONGEST_NAME:
            digest = blake2b(name.encode(), digest_size=8).hexdigest()
            safe = f"{safe[:_LONGEST_NAME].rpartition('%')[0]}~{digest}"
        number = self._used.get(safe.lower(), 0)
        self._used[safe.lower()] = number + 1
        place = f"benchmark={safe}/part-{number}{self.ending}"
        return f"items/{place}", f"outcomes/{place}"


def _write_facts(folder: Path, path: str, facts: Iterable[Facts]) -> dict[str, int]:
    """Write facts, if there are any; return the number of rows by path."""
    rows = [(each.source.name, each.source.url, *fact) for each in facts for fact in each.facts]
    if not rows:
        return {}
    with TableFile(folder / path, FACTS) as file:
        columns = zip(*rows, strict=True)
        file.write(dict(zip(FACTS.names, map(list, columns), strict=True)))
    return {path: len(rows)}


def _write_items(folder: Path, path: str, items: Sequence[Item]) -> dict[str, int]:
    """Write items, if there are any; return the number of rows by path."""
    if not items:
        return {}
    with TableFile(folder / path, ITEMS) as file:
        for start in range(0, len(items), _ITEMS_AT_ONCE):
            file.write(item_columns(items[start : start + _ITEMS_AT_ONCE]))
    return {path: file.rows}


class _RunWriter:
    """Writer of the rows of a block's runs."""

    def __init__(self, file: TableFile, block: Block, models: dict[str, str]) -> None:
        self._file, self._block, self._models = file, block, models
        self._rows: list[dict[str, object]] = []

    def add(self, run: Run, rows: int | None) -> int:
        """Add a run with its number of rows of outcomes; return its key."""
        model = self._models.get(run.model, run.model)
        self._rows.append(run_row(self._block.benchmark, run, model=model, rows=rows))
        key = self._rows[-1]["run"]
        assert isinstance(key, int)
        if len(self._rows) >= _RUNS_AT_ONCE:
            self.flush()
        return key

    def flush(self) -> None:
        """Write the buffered rows."""
        self._file.write({name: [row[name] for row in self._rows] for name in RUNS.names})
        self._rows.clear()


def _write_outcomes(
    folder: Path, path: str, block: Block, run_writer: _RunWriter
) -> dict[str, int]:
    """Write the runs of a block; return the number of rows of outcomes by path."""
    if not block.items:
        for run in block.runs:
            run_writer.add(run, None)
        run_writer.flush()
        return {}
    names = pa.array([item.item for item in block.items], pa.string())
    rows = _Rows(names)
    with TableFile(folder / path, OUTCOMES) as file:
        for run in block.runs:
            if run.outcomes is None:
                run_writer.add(run, None)
                continue
            places = _observed(run)
            rows.add(run_writer.add(run, len(places)), run, places)
            if rows.is_full():
                file.write(rows.take())
        file.write(rows.take())
        run_writer.flush()
    if file.rows:
        return {path: file.rows}
    (folder / path).unlink()
    # Another version of the benchmark may have its file there.
    if not any((folder / path).parent.iterdir()):
        (folder / path).parent.rmdir()
    return {}


def _observed(run: Run) -> NDArray[np.int32]:
    """Return the places of the items that a run has any value of."""
    assert run.outcomes is not None
    observed = ~np.isnan(run.outcomes)
    if run.answers is not None:
        observed |= np.array([answer is not None for answer in run.answers], bool)
    for tokens in (run.input_tokens, run.output_tokens):
        observed |= False if tokens is None else tokens >= 0
    observed |= False if run.latencies is None else run.latencies >= 0
    return np.flatnonzero(observed).astype(np.int32)


class _Rows:
    """Buffer of rows of outcomes."""

    def __init__(self, names: pa.Array) -> None:
        self._names = names
        self._clear()

    def _clear(self) -> None:
        self._rows = self._characters = 0
        self._runs: list[NDArray[np.int64]] = []
        self._items: list[NDArray[np.int32]] = []
        self._columns: dict[str, list[pa.Array]] = {name: [] for name in OUTCOMES.names[2:]}

    def add(self, key: int, run: Run, places: NDArray[np.int32]) -> None:
        """Add the rows of a run on the items at these places."""
        self._rows += len(places)
        self._runs.append(np.full(len(places), key, np.int64))
        self._items.append(places)
        for name, values in zip(self._columns, self._values(run, places), strict=True):
            self._columns[name].append(values)

    def _values(self, run: Run, places: NDArray[np.int32]) -> Iterator[pa.Array]:
        assert run.outcomes is not None
        outcomes = run.outcomes[places]
        yield pa.array(outcomes, pa.float32(), mask=np.isnan(outcomes))
        if run.answers is None:
            yield pa.nulls(len(places), pa.string())
        else:
            answers = [run.answers[place] for place in places.tolist()]
            self._characters += sum(len(answer) for answer in answers if answer)
            yield pa.array(answers, pa.string())
        for tokens in (run.input_tokens, run.output_tokens):
            yield _numbers(tokens, places, pa.int32())
        yield _numbers(run.latencies, places, pa.float32())

    def is_full(self) -> bool:
        """Tell whether it is time to write the rows."""
        return self._rows >= ROWS_AT_ONCE or self._characters >= _CHARACTERS_AT_ONCE

    def take(self) -> dict[str, pa.Array]:
        """Return the columns of the rows, and empty the buffer."""
        items = np.concatenate([np.zeros(0, np.int32), *self._items])
        columns = {
            "run": pa.array(np.concatenate([np.zeros(0, np.int64), *self._runs])),
            "item": pa.DictionaryArray.from_arrays(items, self._names),
        }
        for name, arrays in self._columns.items():
            columns[name] = pa.concat_arrays([pa.nulls(0, OUTCOMES.field(name).type), *arrays])
        self._clear()
        return columns


def _numbers(
    numbers: NDArray[np.int32] | NDArray[np.float32] | None,
    places: NDArray[np.int32],
    kind: pa.DataType,
) -> pa.Array:
    if numbers is None:
        return pa.nulls(len(places), kind)
    values = numbers[places]
    return pa.array(values, kind, mask=~(values >= 0))  # NaN is not
