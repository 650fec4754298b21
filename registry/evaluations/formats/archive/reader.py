"""Reader of archives."""

from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from registry.catalog.facts.values import ModelFact, is_fact
from registry.catalog.resolution import StatedName
from registry.errors import UnreadableFileError
from registry.evaluations.formats.archive import manifest
from registry.evaluations.formats.archive.layout import (
    FACTS,
    ITEMS,
    NAMES,
    OUTCOMES,
    item_from_row,
    run_fields,
    runs_schema,
)
from registry.evaluations.formats.archive.manifest import BenchmarkContents, Manifest
from registry.evaluations.formats.table_files import batches
from registry.evaluations.records import (
    Block,
    Content,
    Facts,
    Item,
    Names,
    Notes,
    Run,
    Setup,
    Source,
)

SOURCE = Source(name="registry")
"""Source of the names."""


def read(path: Path, notes: Notes) -> Iterator[Content]:  # noqa: ARG001 - nothing is left out
    """Yield the names and facts, then the blocks of the archive with this manifest.

    All its files are verified before anything is yielded. Runs of a block are read before the
    next block.

    Raises:
        UnreadableFileError: for the file that is missing, or not as it was written.
    """
    archive = _Archive(path.absolute().parent, manifest.load(path))
    manifest.verify(archive.manifest, archive.folder)
    names = [StatedName(**_renamed(row)) for row in archive.dicts(archive.manifest.names, NAMES)]
    if names:
        yield Names(source=SOURCE, names=names)
    yield from archive.facts()
    runs = archive.dicts(archive.manifest.runs, runs_schema(archive.manifest.schema_version))
    setups: dict[object, Setup] = {}
    for contents in archive.manifest.contents:
        items = archive.items(contents)
        block_runs = archive.runs(contents, items, runs, setups)
        yield Block(benchmark=contents.benchmark, items=items, runs=block_runs)
        for _ in block_runs:  # those that the caller did not read
            pass
    for _ in runs:
        raise archive.error(archive.manifest.runs, "it has more runs than the manifest says.")


def _renamed(row: Mapping[str, Any]) -> dict[str, Any]:
    return {"name": row["spelling"], "model": row["model"], "confidence": row["confidence"]}


class _Rows(NamedTuple):
    """Rows of outcomes of one run."""

    run: int
    batch: pa.RecordBatch


class _Archive(NamedTuple):
    """An archive's folder and manifest."""

    folder: Path
    manifest: Manifest

    def error(self, name: str, problem: str) -> UnreadableFileError:
        """Return an error of one of the files."""
        return UnreadableFileError(self.folder / name, problem)

    def batches(self, name: str, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        """Yield the rows of a file, and check their number."""
        rows, expected = 0, self.manifest.files[name].rows
        for batch in batches(self.folder / name, schema):
            rows += batch.num_rows
            yield batch
        if rows != expected:
            raise self.error(name, f"it has {rows:,} rows, but the manifest says {expected:,}.")

    def dicts(self, name: str, schema: pa.Schema) -> Iterator[dict[str, Any]]:
        """Yield the rows of a file as dictionaries."""
        for batch in self.batches(name, schema):
            for start in range(0, batch.num_rows, 1000):
                yield from batch.slice(start, 1000).to_pylist()

    def facts(self) -> Iterator[Facts]:
        """Yield the facts of each source."""
        path = self.manifest.facts
        stated: dict[Source, list[ModelFact]] = {}
        for row in () if path is None else self.dicts(path, FACTS):
            source = Source(name=row["source"] or "", url=row["source_url"])
            fact = ModelFact(row["model"] or "", row["fact"] or "", row["value"] or "")
            if not source.name or not is_fact(fact):
                raise self.error(
                    str(path), f"{fact.fact} {fact.value!r:.80} is no fact of a model."
                )
            stated.setdefault(source, []).append(fact)
        yield from (Facts(source=source, facts=facts) for source, facts in stated.items())

    def items(self, contents: BenchmarkContents) -> list[Item]:
        """Return the items of a benchmark."""
        if contents.items is None:
            return []
        return [item_from_row(row) for row in self.dicts(contents.items, ITEMS)]

    def runs(
        self,
        contents: BenchmarkContents,
        items: list[Item],
        rows: Iterator[dict[str, Any]],
        setups: dict[object, Setup],
    ) -> Iterator[Run]:
        """Yield the runs of a benchmark, given the remaining rows of all runs."""
        name, benchmark = self.manifest.runs, contents.benchmark
        outcomes = _Outcomes(self, contents, items)
        for _ in range(contents.runs):
            row = next(rows, None)
            if row is None:
                raise self.error(name, "it has fewer runs than the manifest says.")
            if (row["benchmark"], row["version"]) != (benchmark.name, benchmark.version):
                raise self.error(name, f"run {row['run']} is not of {benchmark.name}.")
            try:
                fields = run_fields(row, setups)
            except ValueError as error:
                raise self.error(name, f"run {row['run']} cannot be read: {error}.") from error
            number = row["rows"]
            yield Run(**fields, **({} if number is None else outcomes.of(row["run"], number)))
        outcomes.check_end()


class _Outcomes:
    """The outcomes of a benchmark's runs, one run after the other."""

    def __init__(self, archive: _Archive, contents: BenchmarkContents, items: list[Item]) -> None:
        self._archive, self._name, self._length = archive, contents.outcomes, len(items)
        self._items = pa.array([item.item for item in items], pa.string())
        batches = archive.batches(self._name, OUTCOMES) if self._name else iter(())
        self._pieces = _pieces(batches)

    def of(self, run: int, number: int) -> dict[str, Any]:
        """Return the attributes of a run that the next rows have."""
        pieces = []
        missing = number
        while missing:
            piece = next(self._pieces, None)
            if piece is None or piece.run != run or piece.batch.num_rows > missing:
                raise self._error(f"it does not have {number:,} rows of run {run} here.")
            pieces.append(piece.batch)
            missing -= piece.batch.num_rows
        table = pa.Table.from_batches(pieces, schema=OUTCOMES).combine_chunks()
        places = pc.index_in(table["item"], value_set=self._items)
        if places.null_count:
            raise self._error(f"run {run} has items that the benchmark does not have.")
        at = places.to_numpy()
        if len(np.unique(at)) != number:
            raise self._error(f"run {run} has an item twice.")
        outcomes = self._filled(table["outcome"], at, np.nan, np.float32)
        return {
            "outcomes": outcomes,
            "answers": self._optional(table["answer"], at, self._answers),
            "input_tokens": self._optional(table["input_tokens"], at, self._tokens),
            "output_tokens": self._optional(table["output_tokens"], at, self._tokens),
            "latencies": self._optional(table["latency_ms"], at, self._latencies),
        }

    def check_end(self) -> None:
        """Check that no rows remain."""
        for piece in self._pieces:
            raise self._error(
                f"it has rows of run {piece.run}, which the table of runs does not have."
            )

    def _error(self, problem: str) -> UnreadableFileError:
        return self._archive.error(self._name or self._archive.manifest.runs, problem)

    @staticmethod
    def _optional(
        column: pa.ChunkedArray,
        at: NDArray[np.int32],
        read: Callable[[pa.ChunkedArray, NDArray[np.int32]], Any],
    ) -> Any:
        return None if column.null_count == len(column) else read(column, at)

    def _answers(self, column: pa.ChunkedArray, at: NDArray[np.int32]) -> list[str | None]:
        answers: list[str | None] = [None] * self._length
        for place, answer in zip(at.tolist(), column.to_pylist(), strict=True):
            answers[place] = answer
        return answers

    def _tokens(self, column: pa.ChunkedArray, at: NDArray[np.int32]) -> Any:
        return self._filled(column, at, -1, np.int32)

    def _latencies(self, column: pa.ChunkedArray, at: NDArray[np.int32]) -> Any:
        return self._filled(column, at, np.nan, np.float32)

    def _filled(
        self, column: pa.ChunkedArray, at: NDArray[np.int32], missing: float, kind: type
    ) -> Any:
        values: NDArray[Any] = np.full(self._length, missing, kind)
        values[at] = column.fill_null(missing).to_numpy()
        return values


def _pieces(batches: Iterator[pa.RecordBatch]) -> Iterator[_Rows]:
    """Split batches into rows of one run each; a run may have several."""
    for batch in batches:
        runs = batch.column("run").to_numpy()
        starts = [0, *(np.flatnonzero(runs[1:] != runs[:-1]) + 1).tolist(), len(runs)]
        for start, stop in pairwise(starts):
            if stop > start:
                yield _Rows(int(runs[start]), batch.slice(start, stop - start))
