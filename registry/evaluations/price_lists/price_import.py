"""Import of price lists: files and addresses, each whole or not at all."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from os import PathLike

from sqlalchemy import Connection, Engine, text

from registry.catalog.prices.checks import check
from registry.catalog.prices.offers import resolve_offers
from registry.catalog.prices.store import WrittenPrices, write_prices
from registry.catalog.resolution import nameable
from registry.db.jobs import Lock, job
from registry.enums import PriceFormat
from registry.errors import RegistryError, UsageError, shortened
from registry.evaluations.price_lists.price_files import read_list
from registry.evaluations.remote.files import DEFAULT_LIMIT
from registry.evaluations.remote.inputs import InputFile, list_files
from registry.workers import Progress, no_progress


@dataclass(frozen=True, slots=True)
class PriceImportOptions:
    """How price lists are read.

    Attributes:
        format: of all files; None: detected for each.
        as_of: when lists without dates were true, and until when dated ones are read; None: now.
        source: name under which they are kept; None: that of the format.
        part: whether offers that a file lacks stay.
        dry_run: whether to change nothing.
        max_download: bytes of remote files, at most.
    """

    format: PriceFormat | None = None
    as_of: datetime | None = None
    source: str | None = None
    part: bool = False
    dry_run: bool = False
    max_download: int = DEFAULT_LIMIT


@dataclass(slots=True)
class PriceReport:
    """What the import of one file did."""

    path: str
    format: PriceFormat | None = None
    source: str | None = None
    written: WrittenPrices | None = None
    left_out: dict[str, list[str]] = field(default_factory=dict)
    methods: Mapping[str, int] = field(default_factory=dict)
    error: str | None = None


def import_prices(
    engine: Engine,
    paths: Sequence[str | PathLike[str]],
    options: PriceImportOptions | None = None,
    *,
    on_progress: Progress = no_progress,
) -> list[PriceReport]:
    """Import price lists, each whole or not at all; importing one again changes nothing.

    Args:
        engine: of a database at head.
        paths: files and addresses, and folders and patterns.
        options: how to read them.
        on_progress: receives the progress.

    Returns:
        A report for each file.

    Raises:
        LockHeldError: when another process changes evaluations or prices.
        UsageError: when a path does not exist, or `as_of` is to come.
        RemoteError: when a remote file cannot be read.
        RegistryError: when the database fails; the file under way is rolled back.
    """
    options = options or PriceImportOptions()
    now = datetime.now(UTC)
    as_of = options.as_of or now
    if as_of > now:
        raise UsageError(f"--as-of {as_of:%Y-%m-%d} is to come; prices are of today or before.")
    if options.source is not None and not nameable(options.source):
        raise UsageError(f"{shortened(options.source)} is no name of a list: give printable text.")
    files = list_files(paths, lambda found: found, limit=options.max_download,
                       on_progress=on_progress)  # fmt: skip
    with job(
        engine, "prices import", lock=Lock.EVALUATIONS, doing="import prices",
        dry_run=options.dry_run,
    ) as run:  # fmt: skip
        reports = []
        for number, file in enumerate(files, 1):
            on_progress(file.path.name, number, len(files))
            reports.append(_import(engine, file, options, as_of))
        run.summary = {
            "files": len(reports),
            "failed": sum(report.error is not None for report in reports),
            "changed": sum(report.written.changed for report in reports if report.written),
        }
        return reports


def _import(
    engine: Engine, file: InputFile, options: PriceImportOptions, as_of: datetime
) -> PriceReport:
    report = PriceReport(file.shown)
    try:
        report.format, prices = read_list(
            file.path, options.format, as_of=as_of, source=options.source
        )
    except RegistryError as error:
        # People know a remote file by its address, not by its copy.
        report.error = str(error).replace(str(file.path), file.shown)
        return report
    except OSError as error:
        report.error = f"{file.shown}: {error.strerror or error}."
        return report
    check(prices)
    prices.complete &= not options.part
    report.source, report.left_out = prices.source, prices.left_out
    with engine.connect() as connection, connection.begin() as transaction:
        report.written = write_prices(connection, prices, as_of=as_of)
        # Before the names are matched, which joins them.
        connection.exec_driver_sql("ANALYZE store.price_offers, store.prices")
        resolve_offers(connection)
        report.methods = _methods(connection, prices.source)
        if options.dry_run:
            transaction.rollback()
    return report


def _methods(connection: Connection, source: str) -> dict[str, int]:
    """Return how many offers of a source were resolved by each method; none is `unresolved`."""
    rows = connection.execute(
        text("""
        SELECT coalesce(method, 'unresolved') AS method, count(*) AS offers
          FROM store.price_offers WHERE source = :source GROUP BY 1 ORDER BY 2 DESC, 1"""),
        {"source": source},
    )
    return {row.method: row.offers for row in rows}
