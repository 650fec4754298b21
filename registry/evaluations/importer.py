"""Import of files of evaluations, one transaction a file, whatever the format."""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from os import PathLike
from typing import Any, TypeAlias

import orjson
from sqlalchemy import Connection, Engine

from registry.catalog import resolution
from registry.catalog.facts import statements
from registry.catalog.facts.values import ModelFact
from registry.catalog.prices.offers import resolve_offers
from registry.db.errors import translated_errors
from registry.db.jobs import Lock, job
from registry.enums import ImportFormat
from registry.errors import (
    DatabaseUnreachableError,
    RegistryError,
    UnreadableFileError,
    UsageError,
)
from registry.evaluations import benchmarks, import_log, item_statistics, load, staging
from registry.evaluations.formats import detect
from registry.evaluations.import_log import FileReport, counts, summary
from registry.evaluations.records import Block, Facts, Names, Notes, Run, Source
from registry.evaluations.remote.files import DEFAULT_LIMIT
from registry.evaluations.remote.inputs import InputFile, list_files, place_of
from registry.evaluations.removal import remove_former_readings, remove_readings_of_parts
from registry.evaluations.scales.measured import measured
from registry.evaluations.scales.stated import StatedScale
from registry.workers import Progress, infrequent_gc, no_progress

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportOptions:
    """How to read files, where they do not say it themselves.

    Attributes:
        format: name of a built-in or an installed format; None detects it for each file.
        mapping: preset or YAML file that says what the columns of tables mean.
        roles: columns or constants by role, in place of those of the mapping.
        source: who states the scores.
        benchmark: name of the only benchmark in the files.
        benchmark_version: version of all benchmarks in the files.
        model: name of the only model in the files.
        scale: of scores: percent, 0-1 or LOW:HIGH.
        better: which scores are better: higher or lower.
        dry_run: report what would change, and change nothing.
        max_download: bytes of remote files that may be fetched.
    """

    format: str | None = None
    mapping: str | None = None
    roles: Mapping[str, str] = field(default_factory=dict)
    source: str | None = None
    benchmark: str | None = None
    benchmark_version: str | None = None
    model: str | None = None
    scale: str | None = None
    better: str | None = None
    dry_run: bool = False
    max_download: int = DEFAULT_LIMIT

    @property
    def reading(self) -> str:
        """The options that what is read depends on, as a text; empty for none."""
        names = ("mapping", "roles", "source", "benchmark", "benchmark_version", "model", "scale")
        values = {name: getattr(self, name) for name in (*names, "better")}
        stated = {name: value for name, value in values.items() if value}
        return orjson.dumps(stated, option=orjson.OPT_SORT_KEYS).decode() if stated else ""

    @property
    def stated_scale(self) -> StatedScale:
        """The scale and the direction, which a UsageError refuses if they are neither."""
        return StatedScale.parse(self.scale, self.better)


_Transaction: TypeAlias = Callable[[], AbstractContextManager[object]]


@infrequent_gc()
def import_files(
    engine: Engine,
    paths: Sequence[str | PathLike[str]],
    options: ImportOptions | None = None,
    *,
    on_progress: Progress = no_progress,
    on_problem: Callable[[str], None] = _LOG.warning,
) -> list[FileReport]:
    """Import files of evaluations, each whole or not at all.

    Importing a file again changes nothing. Results of earlier imports are replaced where they
    differ; a file that contradicts an earlier one among `paths` fails.

    Args:
        engine: of a database at head.
        paths: files and addresses, and folders and patterns whose files are all tried.
        options: how to read them.
        on_progress: receives the progress.
        on_problem: receives a sentence about each installed format that fails.

    Returns:
        A report for each file, in their order; none for those beside results, such as a README.

    Raises:
        LockHeldError: when another process changes evaluations.
        UsageError: when a path does not exist, or the options do not fit.
        RemoteError: when a remote file cannot be read.
        HubError: when the Hub does not show one.
        RegistryError: when the database fails; the file under way is rolled back.
    """
    options = options or ImportOptions()
    roles = dict(options.roles)
    if roles and options.benchmark is not None:
        # The option takes the place of a column of the table.
        roles.setdefault("benchmark", f"={options.benchmark}")
    if roles and options.model is not None:
        roles.setdefault("model", f"={options.model}")
    reader = detect.Reader(
        options.format, options.mapping, roles, on_problem, stated=options.stated_scale
    )
    files = list_files(
        paths, reader.without_parts, limit=options.max_download, on_progress=on_progress
    )
    with job(
        engine, "evals import", lock=Lock.EVALUATIONS, doing="import", dry_run=options.dry_run
    ) as run:
        reports = _import_all(engine, reader, files, on_progress, options)
        run.summary = summary(reports)
        return reports


def _import_all(
    engine: Engine,
    reader: detect.Reader,
    files: Sequence[InputFile],
    on_progress: Progress,
    options: ImportOptions,
) -> list[FileReport]:
    reports = []
    alone = len(files) == 1
    # Opening a connection, and its first use of each table, takes longer than a small file.
    with engine.connect() as connection:
        if options.dry_run:
            # One transaction, so that each file is compared with those before, then rolled back.
            connection.begin()
            transaction: _Transaction = connection.begin_nested
        else:
            transaction = connection.begin
        with transaction():
            # Tables grow from file to file: a plan made for small ones may never end.
            connection.exec_driver_sql("SET plan_cache_mode = force_custom_plan")
            staging.begin_command(connection)
        for number, file in enumerate(files, 1):

            def read(count: int, name: str = file.path.name, number: int = number) -> None:
                on_progress(f"{count:,} runs of {name}", number, len(files))

            report = FileReport(file.shown, file.place)
            reports.append(report)
            with _reported(report, file):
                report.format = reader.format_of(file.path)
                if report.format is None and file.accompanies:
                    reports.pop()
                elif report.format is not None:
                    with transaction():
                        _import(connection, reader, file, report, options, read=read, alone=alone)
                elif file.by_name:
                    raise UsageError(reader.unknown(file.path))
        if not options.dry_run:
            with transaction():
                _finish(connection, reports)
    return reports


def _finish(connection: Connection, reports: Sequence[FileReport]) -> None:
    """Bring up to date what depends on the runs of all files."""
    touched = {key for report in reports for key in report.written.benchmarks}
    benchmarks.choose_measures(connection, sorted(touched))
    item_statistics.refresh(connection)
    if any(report.written.unresolved for report in reports):
        # What is priced may be known by name from now on.
        resolve_offers(connection)
    if changes := sum(report.written.changes for report in reports):
        load.gather_statistics(connection, changes)


@contextmanager
def _reported(report: FileReport, file: InputFile) -> Iterator[None]:
    """Put the error of a file into its report, so that the next file follows.

    Raises:
        DatabaseUnreachableError: when none can follow.
    """
    try:
        with translated_errors(f"import {report.path}"):
            yield
    except DatabaseUnreachableError:
        raise
    except OSError as error:
        report.fail(f"{report.path}: {error.strerror or error}.")
    except (RegistryError, UnicodeError) as error:
        # People know a remote file by its address, not by its copy.
        report.fail(str(error).replace(str(file.path), file.shown))


def _import(
    connection: Connection,
    reader: detect.Reader,
    file: InputFile,
    report: FileReport,
    options: ImportOptions,
    *,
    read: Callable[[int], None],
    alone: bool,
) -> None:
    format_ = report.format or ""
    notes = Notes()
    now = datetime.now(UTC)
    version = import_log.begin(connection, file, format_, now)
    contents = reader.read(file.path, format_, notes)
    facts: list[Facts] = []

    def blocks() -> Iterator[Block]:
        for content in contents:
            if isinstance(content, Facts):
                facts.append(content)
            elif isinstance(content, Names):
                stated = resolution.state_names(connection, content.names, as_of=now)
                report.names = _added(report.names, stated)
            else:
                yield _with_options(content, options, file)

    report.written = load.write_blocks(
        connection,
        _counted(
            measured(
                blocks(),
                notes,
                file=report.path,
                stated=options.stated_scale,
                is_log=format_ not in (ImportFormat.TABLE, ImportFormat.EVERY_EVAL_EVER),
            ),
            read,
        ),
        as_of=now,
        import_id=version.import_id,
        compared=not alone,
    )
    report.facts = _state_facts(connection, facts, options, version, now)
    if report.written.parts:
        notes.left_out("runs' outcomes on the other items of their score", report.written.parts)
    report.left_out, report.left_out_names = notes.counts, notes.names
    report.left_over = import_log.claim(
        connection, version, restates=report.written.added < report.written.runs
    )
    replaced: dict[int | None, int] = dict(report.written.replaced)
    parts = [place_of(str(part)) for part in reader.parts(file.path, format_)]
    if parts:
        replaced |= remove_readings_of_parts(connection, parts, report.path, now)
    if not version.is_new:
        # Earlier versions of the registry did not note how a file was read; most say it themselves.
        is_plain = not options.reading and format_ != ImportFormat.TABLE
        same = import_log.was_read_so(
            connection, version.import_id, options.reading, default=is_plain
        )
        former = remove_former_readings(connection, version.import_id, now, same_options=same)
        if former:
            replaced[version.import_id] = replaced.get(version.import_id, 0) + former
    report.replaced = import_log.by_path(connection, replaced)
    changed = report.written.changes + report.names.added + report.facts.changed
    report.status = "imported" if changed or replaced else "unchanged"
    import_log.finish(connection, version.import_id, counts(report), options.reading)


def _state_facts(
    connection: Connection,
    facts: Sequence[Facts],
    options: ImportOptions,
    version: import_log.ImportVersion,
    now: datetime,
) -> statements.StatedFacts:
    """Store the facts of a file, after its runs."""
    stated: dict[int, list[ModelFact]] = {}
    for each in facts:
        source = each.source if options.source is None else Source(name=options.source)
        key = benchmarks.source_id(connection, source)
        named = [fact for fact in each.facts if resolution.nameable(fact.model)]
        resolution.resolve(connection, {fact.model for fact in named}, as_of=now)
        stated.setdefault(key, []).extend(named)
    return statements.state_facts(
        connection, stated, import_id=version.import_id, former=version.former
    )


def _added(one: resolution.Stated, other: resolution.Stated) -> resolution.Stated:
    return resolution.Stated(*(a + b for a, b in zip(one, other, strict=True)))


def _with_options(block: Block, options: ImportOptions, file: InputFile) -> Block:
    """Replace the benchmark, the source and the model of a block by those of the options.

    Raises:
        UnreadableFileError: a run has no model.
    """
    benchmark = block.benchmark
    if options.benchmark is not None:
        benchmark = replace(benchmark, name=options.benchmark)
    if options.benchmark_version is not None:
        benchmark = replace(benchmark, version=options.benchmark_version)
    changes: dict[str, Any] = {}
    if options.source is not None:
        changes["source"] = Source(name=options.source)
    if options.model is not None:
        changes["model"] = options.model
    runs = (replace(run, **changes) for run in block.runs) if changes else block.runs
    return replace(block, benchmark=benchmark, runs=_of_models(runs, file))


def _of_models(runs: Iterable[Run], file: InputFile) -> Iterator[Run]:
    for run in runs:
        if not run.model:
            raise UnreadableFileError(
                file.path, "it does not state which model was evaluated: name it by --model NAME."
            )
        yield run


def _counted(blocks: Iterable[Block], read: Callable[[int], None]) -> Iterator[Block]:
    """Report how many runs were read so far."""
    count = 0

    def counted(runs: Iterable[Run]) -> Iterator[Run]:
        nonlocal count
        for run in runs:
            count += 1
            yield run
            read(count)

    for block in blocks:
        yield replace(block, runs=counted(block.runs))
