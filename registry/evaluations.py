"""Imports of evaluations: one file and one transaction at a time, whatever the format."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import orjson
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from registry import benchmarks, families, item_statistics, joblog, resolution, runs
from registry.db import exclusive, require_head, translated
from registry.errors import DatabaseUnreachableError, RegistryError, UsageError
from registry.evaluation import Block, Names, Notes, Run, Source
from registry.interchange import formats

JOB = "evals import"

NOT_LOOKED_INTO = frozenset({".git", ".cache", "__pycache__", "node_modules", ".venv"})
"""Folders in which no evaluations are looked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How to read files, where they do not tell it themselves.

    Attributes:
        format: one of `formats.FORMATS`; None finds it out for each file.
        mapping: preset or YAML file that tells what the columns of tables mean.
        roles: columns or constants by role, over those of the mapping.
        source: who states the scores.
        benchmark: name of the benchmark, for files that are of one.
        benchmark_version: version of all benchmarks in the files.
        dry_run: tell what would change, and change nothing.
    """

    format: str | None = None
    mapping: str | None = None
    roles: Mapping[str, str] = field(default_factory=dict)
    source: str | None = None
    benchmark: str | None = None
    benchmark_version: str | None = None
    dry_run: bool = False


@dataclass(slots=True)
class FileReport:
    """What became of one file.

    `status` is imported, unchanged (all of it was known), failed (nothing of it landed; `error`
    says why) or skipped (no format fits; only of files found in a folder).
    """

    path: str
    format: str | None = None
    status: str = "skipped"
    written: runs.Written = field(default_factory=runs.Written)
    names: resolution.Stated = field(default_factory=lambda: resolution.Stated(0, 0, 0))
    left_out: Mapping[str, int] = field(default_factory=dict)
    error: str | None = None


Watcher = Callable[[str, int, int, int], None]
"""Is told the file under way, its number from 1, how many there are, and the runs read of it."""


def import_files(
    engine: Engine,
    paths: Sequence[Path],
    options: Options | None = None,
    *,
    watch: Watcher | None = None,
) -> list[FileReport]:
    """Import files of evaluations; each lands whole or not at all.

    What is known already is left as it is, so importing a file again changes nothing.

    Args:
        engine: of a database at head.
        paths: files, and folders whose files are all looked at.
        options: how to read them.
        watch: is told of progress.

    Returns:
        What became of each file, in their order.

    Raises:
        LockHeldError: when another import is running.
        UsageError: when a path does not exist, or the options do not fit.
        RegistryError: when the database fails; the file under way is undone.
    """
    options = options or Options()
    roles = dict(options.roles)
    if roles and options.benchmark is not None:
        # The table need not have a column for what is told here.
        roles.setdefault("benchmark", f"={options.benchmark}")
    reader = formats.Reader(options.format, options.mapping, roles)
    files = list(_files(paths, reader))
    try:
        with engine.connect() as connection:
            require_head(connection)
        with exclusive(engine, JOB):
            if options.dry_run:
                return _import_all(engine, reader, files, options, watch or _ignore)
            with joblog.recorded(engine, JOB) as job:
                reports = _import_all(engine, reader, files, options, watch or _ignore)
                job.summary = _summary(reports)
                return reports
    except DBAPIError as error:
        raise translated(error, doing="import") from error


def _ignore(path: str, number: int, of: int, read: int) -> None: ...


def _files(paths: Sequence[Path], reader: formats.Reader) -> Iterator[tuple[Path, bool]]:
    """Yield files, and whether each was asked for by name."""
    for path in paths:
        if path.is_dir():
            found = sorted(
                each
                for each in path.rglob("*")
                if each.is_file() and NOT_LOOKED_INTO.isdisjoint(each.relative_to(path).parts)
            )
            for each in reader.without_parts(found):
                yield each, False
        elif path.is_file():
            yield path, True
        else:
            raise UsageError(f"There is no file or folder {path}.")


def _import_all(
    engine: Engine,
    reader: formats.Reader,
    files: Sequence[tuple[Path, bool]],
    options: Options,
    watch: Watcher,
) -> list[FileReport]:
    reports = []
    for number, (path, by_name) in enumerate(files, 1):

        def read(count: int, path: Path = path, number: int = number) -> None:
            watch(str(path), number, len(files), count)

        report = FileReport(str(path))
        reports.append(report)
        _attempt(engine, reader, report, options, read, by_name=by_name)
    if not options.dry_run:
        with engine.begin() as connection:
            touched = {key for report in reports for key in report.written.benchmarks}
            benchmarks.show_commonest(connection, sorted(touched))
            item_statistics.refresh(connection)
            if changes := sum(report.written.changes for report in reports):
                runs.gather_statistics(connection, changes)
    return reports


def _attempt(
    engine: Engine,
    reader: formats.Reader,
    report: FileReport,
    options: Options,
    read: Callable[[int], None],
    *,
    by_name: bool,
) -> None:
    """Import one file; what is wrong with it is told in its report."""
    path = Path(report.path)
    try:
        report.format = reader.format_of(path)
        if report.format is not None:
            _import(engine, reader, report, options, read)
        elif by_name:
            report.status, report.error = "failed", reader.unknown(path)
    except (RegistryError, OSError, UnicodeError, DBAPIError) as error:
        if isinstance(error, DBAPIError):
            sentence = str(known := translated(error, doing=f"import {path}"))
            if isinstance(known, DatabaseUnreachableError):
                raise
        elif isinstance(error, DatabaseUnreachableError):
            raise
        elif isinstance(error, OSError):
            sentence = f"{path}: {error.strerror or error}."
        else:
            sentence = str(error)
        report.status, report.error = "failed", sentence
        report.written, report.names = runs.Written(), resolution.Stated(0, 0, 0)


def _import(
    engine: Engine,
    reader: formats.Reader,
    report: FileReport,
    options: Options,
    read: Callable[[int], None],
) -> None:
    path = Path(report.path)
    notes = Notes()
    now = datetime.now(UTC)
    with engine.begin() as connection:
        families.prepare(connection)
        key = _import_id(connection, path, report.format or "", now)
        contents = reader.read(path, report.format or "", notes)

        def blocks() -> Iterator[Block]:
            for content in contents:
                if isinstance(content, Names):
                    stated = resolution.state_names(connection, content, as_of=now)
                    report.names = _added(report.names, stated)
                else:
                    yield _as_asked(content, options)

        report.written = runs.write_blocks(
            connection, _counted(blocks(), read), as_of=now, import_id=key
        )
        report.left_out = notes.counts
        changed = report.written.changes + report.names.added
        report.status = "imported" if changed else "unchanged"
        _keep_summary(connection, key, report)
        if options.dry_run:
            connection.rollback()


def _added(one: resolution.Stated, other: resolution.Stated) -> resolution.Stated:
    return resolution.Stated(*(a + b for a, b in zip(one, other, strict=True)))


def _as_asked(block: Block, options: Options) -> Block:
    """Give a block the benchmark and the source that the options name."""
    benchmark = block.benchmark
    if options.benchmark is not None:
        benchmark = replace(benchmark, name=options.benchmark)
    if options.benchmark_version is not None:
        benchmark = replace(benchmark, version=options.benchmark_version)
    runs_ = block.runs
    if options.source is not None:
        source = Source(name=options.source)
        runs_ = (replace(run, source=source) for run in block.runs)
    return replace(block, benchmark=benchmark, runs=runs_)


def _counted(blocks: Iterable[Block], read: Callable[[int], None]) -> Iterator[Block]:
    """Tell how many runs were read so far."""
    count = 0

    def counted(runs_: Iterable[Run]) -> Iterator[Run]:
        nonlocal count
        for run in runs_:
            count += 1
            yield run
            read(count)

    for block in blocks:
        yield replace(block, runs=counted(block.runs))


def _import_id(connection: Connection, path: Path, format_: str, now: datetime) -> int:
    """Return the key of this very file's import; a file that changed has another."""
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    values = {
        "path": str(path),
        "format": format_,
        "sha256": sha256,
        "bytes": path.stat().st_size,
        "now": now,
    }
    connection.execute(
        text("""
        INSERT INTO store.imports (path, format, bytes, sha256, imported_at, summary)
        VALUES (:path, :format, :bytes, :sha256, :now, '{}') ON CONFLICT DO NOTHING"""),
        values,
    )
    return int(
        connection.execute(
            text("""
            SELECT import_id FROM store.imports
             WHERE path = :path AND format = :format AND sha256 = :sha256"""),
            values,
        ).scalar_one()
    )


def _keep_summary(connection: Connection, key: int, report: FileReport) -> None:
    connection.execute(
        text("""
        UPDATE store.imports SET summary = CAST(:summary AS jsonb)
         WHERE import_id = :key AND summary = '{}'"""),
        {"key": key, "summary": orjson.dumps(counts(report)).decode()},
    )


def counts(report: FileReport) -> dict[str, object]:
    """Return the counts of a report by name, for people and programs alike."""
    written = report.written
    return {
        "runs": written.runs,
        "new": written.added,
        "changed": written.changed,
        "unchanged": written.unchanged,
        "outcomes": written.outcomes,
        "new_items": written.items_added,
        "unresolved": written.unresolved,
        "aliases": report.names.added,
        "left_out": dict(report.left_out),
    }


def _summary(reports: Sequence[FileReport]) -> dict[str, object]:
    statuses = [report.status for report in reports]
    return {
        "files": len(reports),
        **{status: statuses.count(status) for status in sorted(set(statuses))},
        "runs": sum(report.written.runs for report in reports),
        "new": sum(report.written.added for report in reports),
        "outcomes": sum(report.written.outcomes for report in reports),
        "errors": [report.error for report in reports if report.error][:20],
    }
