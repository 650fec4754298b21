"""Exports of evaluations to every format, in one snapshot, whole or not at all."""

import re
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np
from sqlalchemy import Connection, Engine

from registry.catalog.facts.statements import stored_facts
from registry.db.connection import reading
from registry.db.errors import translated_errors
from registry.enums import ExportFormat
from registry.errors import RegistryError, UsageError
from registry.evaluations.formats import archive, embedllm, every_eval_ever, lm_eval, losses
from registry.evaluations.formats.hub import files as hub_eval_files
from registry.evaluations.read import count_runs, ranked_blocks, stored_blocks, stored_names
from registry.evaluations.records import Block, Facts, Notes, Run, Source
from registry.evaluations.selection import ALL_RUNS, RunSelection
from registry.files import new_file, new_folder
from registry.workers import Progress, no_progress

FORMATS: Mapping[str, str] = {
    ExportFormat.PARQUET: "all that is known: tables of runs, items and outcomes, and a manifest",
    ExportFormat.CSV: "the same as gzipped CSV",
    ExportFormat.LONG: "one table, an outcome a row: EmbedLLM's columns, and which run it is of",
    ExportFormat.LM_EVAL: "results and samples of lm-evaluation-harness",
    ExportFormat.HUB: ".eval_results/*.yaml for models' repositories on the Hub",
    ExportFormat.EVERY_EVAL_EVER: "aggregates and instances of Every Eval Ever 0.3.0",
}
"""Names of formats, and what is in them."""

LONG_FILE = "outcomes.parquet"
"""Name of the table of a long export into a folder."""

_HUB_MODEL = re.compile(r"(?!\.{1,2}/)[\w.-]+/(?!\.{1,2}$)[\w.-]+", re.ASCII)


class WrittenFile(NamedTuple):
    """A file of an export; `rows` is None where it is no table."""

    path: Path
    rows: int | None
    bytes: int


@dataclass(frozen=True, slots=True)
class ExportReport:
    """The files of an export, and counts of what the format has no place for."""

    files: Sequence[WrittenFile]
    runs: int
    outcomes: int
    left_out: Mapping[str, int]


def export(
    engine: Engine,
    target: Path,
    format_: str,
    selection: RunSelection = ALL_RUNS,
    *,
    on_progress: Progress = no_progress,
) -> ExportReport:
    """Write evaluations to a new folder or file, from one snapshot of the database.

    Where anything fails, nothing is left at the target.

    Args:
        engine: of a database at head; it is read only.
        target: a folder that does not exist or is empty; a file, where the format is long and
            the name ends as a table's does.
        format_: one of FORMATS.
        selection: which runs.
        on_progress: receives the progress.

    Raises:
        UsageError: when the target exists, it is named as a table and the format is none, or the
            format, a benchmark or a source does not exist.
        ModelNotFoundError: when a model does not exist.
        RegistryError: when there is nothing to export, the format has no place for any of it, or
            it cannot be written or read.
    """
    if format_ not in FORMATS:
        raise UsageError(f"There is no format {format_!r}; there are {', '.join(FORMATS)}.")
    is_file = target.name.endswith(embedllm.ENDINGS)
    if is_file and format_ != "long":
        raise UsageError(
            f"{target} is named as a table, and the format {format_} makes a folder; the format "
            "long is one table (--as long)."
        )
    place = new_file(target) if is_file else new_folder(target)
    try:
        with (
            translated_errors("export evaluations"),
            reading(engine, snapshot=True) as connection,
            place as folder,
        ):
            job = _Export(connection, format_, selection, on_progress)
            rows = job.write(folder)
            return ExportReport(
                sorted(_files(folder, target, rows)), job.runs, job.outcomes, job.notes.counts
            )
    except OSError as error:
        raise RegistryError(
            f"Cannot write {target}: {error.strerror or error}. Nothing was left there."
        ) from error


def _files(folder: Path, target: Path, rows: Mapping[Path, int]) -> Iterator[WrittenFile]:
    """Yield the written files by their paths at the target."""
    for path in [folder] if folder.is_file() else folder.rglob("*"):
        if path.is_file():
            size = path.stat().st_size
            yield WrittenFile(target / path.relative_to(folder), rows.get(path), size)


class _Export:
    """An export under way, and its counts so far."""

    def __init__(
        self, connection: Connection, format_: str, selection: RunSelection, on_progress: Progress
    ) -> None:
        self._connection, self._format, self._on_progress = connection, format_, on_progress
        self._selection = selection
        self.notes = Notes()
        self._names: set[str] = set()
        self.runs = self.outcomes = self._blocks = self._unread = 0

    def write(self, place: Path) -> dict[Path, int]:
        """Write the selected runs to a folder or file; return the rows of tables by path."""
        with closing(self._stored()) as blocks:
            return self._write(blocks, place)

    def _write(self, blocks: Iterable[Block], place: Path) -> dict[Path, int]:
        if self._format == "hub":
            blocks = self._on_hub(losses.whole(blocks, self.notes))
            blocks = hub_eval_files.with_place(blocks, self.notes)
        blocks = losses.counted(blocks, self._format, self.notes)
        rows: dict[Path, int] = {}
        match self._format:
            case "long":
                rows = self._write_long(blocks, place)
            case "lm-eval":
                paths = lm_eval.write(losses.with_one_version(blocks, self.notes), place)
                rows = _lines(paths)
            case "every-eval-ever":
                now = datetime.now(UTC)
                rows = _lines(every_eval_ever.write(blocks, place, now=now))
            case "hub":
                self._write_hub(blocks, place)
            case encoding:
                parts = archive.write(
                    blocks,
                    place,
                    encoding="csv" if encoding == "csv" else "parquet",
                    names=stored_names(self._connection, self._selection),
                    facts=self._facts(),
                    now=datetime.now(UTC),
                )
                rows = {place / part.path: part.rows for part in parts}
        if not self._blocks:
            raise RegistryError("There are no such evaluations; `registry evals import` adds some.")
        if not any(rows.values() if self._format == "long" else place.iterdir()):
            reasons = ", ".join(f"{times:,} {what}" for what, times in self.notes.counts.items())
            raise RegistryError(
                f"Nothing of these {self.runs + self._unread:,} runs has a place in the format "
                f"{self._format}, which holds {FORMATS[self._format]}"
                f"{f'; there are {reasons}' if reasons else ''}."
            )
        return rows

    def _stored(self) -> Generator[Block, None, None]:
        """Yield the stored blocks, and count their runs as they are read."""
        read = ranked_blocks if self._format == "long" else stored_blocks
        with closing(read(self._connection, self._selection)) as stored:
            for block in stored:
                self._blocks += 1
                self._on_progress(block.benchmark.name, self.runs, 0)
                yield replace(block, runs=self._counted(block))

    def _facts(self) -> Iterator[Facts]:
        """Yield what sources state of the models of the runs that were read."""
        names = None if self._selection == ALL_RUNS else self._names
        stated = stored_facts(self._connection, names, self._selection.sources)
        for (name, url), facts in stated.items():
            yield Facts(source=Source(name=name, url=url), facts=facts)

    def _counted(self, block: Block) -> Iterator[Run]:
        for run in block.runs:
            self.runs += 1
            self._names.add(run.model)
            if run.outcomes is not None:
                self.outcomes += int(np.count_nonzero(~np.isnan(run.outcomes)))
            self._on_progress(block.benchmark.name, self.runs, 0)
            yield run

    def _write_long(self, blocks: Iterable[Block], place: Path) -> dict[Path, int]:
        path = place / LONG_FILE if place.is_dir() else place
        names = stored_names(self._connection, self._selection)
        rows = {path: embedllm.write(blocks, path, names)}
        self._unread = count_runs(self._connection, self._selection) - self.runs
        if self._unread:
            self.notes.left_out("runs that have no outcomes", self._unread)
        return rows

    def _write_hub(self, blocks: Iterable[Block], folder: Path) -> None:
        """Write a file for each model, in a folder named as its repository."""
        for model, content in hub_eval_files.write(blocks).items():
            # Two underscores in a folder's name stand for the slash of the model's name.
            place = folder / (model.replace("/", "__") if "__" in model else model)
            path = place / ".eval_results" / "registry.yaml"
            path.parent.mkdir(parents=True)
            path.write_text(content, encoding="utf-8")

    def _on_hub(self, blocks: Iterable[Block]) -> Iterator[Block]:
        """Yield blocks with the runs of models of the Hub, by their present names."""
        names = stored_names(self._connection, self._selection)
        renamed = {each.name: each.model for each in names}
        for block in blocks:
            yield replace(block, runs=self._runs_on_hub(block.runs, renamed))

    def _runs_on_hub(self, runs: Iterable[Run], renamed: Mapping[str, str]) -> Iterator[Run]:
        for run in runs:
            name = renamed.get(run.model, run.model)
            if _HUB_MODEL.fullmatch(name):
                yield replace(run, model=name)
            else:
                self.notes.left_out("runs of models that are not on the Hub by name (org/name)")


def _lines(paths: Iterable[Path]) -> dict[Path, int]:
    """Return the number of rows of files of JSON lines."""
    rows = {}
    for path in paths:
        if path.suffix == ".jsonl":
            with path.open("rb") as file:
                rows[path] = sum(1 for _ in file)
    return rows
