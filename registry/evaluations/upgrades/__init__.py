"""Upgrades of a database: its schema, and what earlier versions stored, brought to this version.

All of it is one transaction, so that an upgrade that is interrupted can be repeated.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Connection, Engine, text

from registry.catalog.facts.refresh import refresh
from registry.db import migrate
from registry.db.locks import all_locks, exclusive
from registry.db.revisions import current_revision, head_revision
from registry.evaluations import item_statistics, load
from registry.evaluations.benchmarks import ship_benchmarks
from registry.evaluations.formats.tables.presets import load_mapping
from registry.evaluations.identity.systems import part_systems
from registry.evaluations.scales.rescaling import forget_directions, rescale_stored
from registry.evaluations.upgrades import cards, shown
from registry.workers import Progress, no_progress

_READS_OTHERWISE = "0011"
"""Revision whose version reads models, benchmarks and scales otherwise than those before."""

STEPS = (
    "the schema", "names of benchmarks", "sizes of models", "scales of scores", "scores in cards",
    "leaderboards",
)  # fmt: skip


@dataclass(slots=True)
class UpgradeReport:
    """The result of an upgrade.

    Attributes:
        before: revision before it; None for an empty database.
        after: revision after it.
        parted: how many names of systems no longer are those of their models.
        changed: how many scores are listed as changed.
        earlier: folders of files that an earlier version read, and this one has not.
    """

    before: str | None = None
    after: str | None = None
    parted: int = 0
    changed: int = 0
    earlier: tuple[str, ...] = ()


def upgrade(
    engine: Engine,
    revision: str = "head",
    *,
    embedded: bool = False,
    on_progress: Progress = no_progress,
) -> UpgradeReport:
    """Bring a database to a revision; at head, what is stored is brought to this version too.

    Args:
        engine: of the database.
        revision: where to stop.
        embedded: whether the database is the embedded server's.
        on_progress: receives the steps.

    Raises:
        LockHeldError: when a sync or an import is running.
        RegistryError: as `migrate.upgrade`; nothing has then been changed.
    """
    report = UpgradeReport()
    run = migrate.upgrade_embedded if embedded else migrate.upgrade

    @contextmanager
    def brought_up_to_date(connection: Connection) -> Iterator[None]:
        on_progress(STEPS[0], 0, len(STEPS))
        before = current_revision(connection)
        was_shown = before is not None and shown.note(connection)
        yield
        if current_revision(connection) == head_revision():
            now = datetime.now(UTC)
            report.parted = _bring_up_to_date(connection, before, now, on_progress)
            on_progress(STEPS[5], 5, len(STEPS))
            if was_shown:
                shown.list_changes(connection, now)
            report.changed = _listed(connection, now)
            report.earlier = earlier_folders(connection)
        on_progress(STEPS[-1], len(STEPS), len(STEPS))

    with engine.connect() as connection:
        locks = all_locks(connection)
    with exclusive(engine, *locks, name="db upgrade"):
        report.before, report.after = run(engine, revision, around=brought_up_to_date)
    return report


def _bring_up_to_date(
    connection: Connection, before: str | None, now: datetime, on_progress: Progress
) -> int:
    """Bring what is stored to this version; return how many names of systems were parted."""
    on_progress(STEPS[1], 1, len(STEPS))
    if before is None:
        ship_benchmarks(connection)
        return 0
    if before < _READS_OTHERWISE:
        # Without statistics of what the revisions wrote, plans are made for empty tables.
        connection.exec_driver_sql("ANALYZE store.shown_runs, store.runs, store.models")
    ship_benchmarks(connection)
    parted = part_systems(connection, before, load_mapping("alpaca-eval").layouts[0].models)
    on_progress(STEPS[2], 2, len(STEPS))
    refresh(connection, before)
    on_progress(STEPS[3], 3, len(STEPS))
    rescale_stored(connection, now)
    if before >= _READS_OTHERWISE:
        return parted
    on_progress(STEPS[4], 4, len(STEPS))
    changes = cards.read_again(connection, now)
    forget_directions(connection)
    item_statistics.refresh(connection)
    runs = connection.scalar(text("SELECT count(*) FROM store.runs")) or 0
    load.gather_statistics(connection, max(int(runs), changes))
    return parted


def _listed(connection: Connection, now: datetime) -> int:
    query = text("SELECT count(*) FROM store.score_changes WHERE changed_at = :now")
    return int(connection.scalar(query, {"now": now}) or 0)


def earlier_folders(connection: Connection) -> tuple[str, ...]:
    """Return the folders of files that an earlier version read, and this one has not."""
    return tuple(
        connection.scalars(
            text("""
            SELECT DISTINCT regexp_replace(path, '[^/]*$', '') AS folder FROM store.imports
             WHERE NOT jsonb_exists(summary, 'readings') ORDER BY folder""")
        )
    )
