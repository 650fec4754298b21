"""Work after the pages of a sync: lineage, families, indexes, statistics and scores."""

import logging
from collections.abc import Iterable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager

from sqlalchemy import Connection, Engine, text

from registry.catalog import feature_sets, indexes, resolution
from registry.catalog.prices.offers import resolve_offers
from registry.db.connection import prefer_indexes
from registry.db.jobs import Lock, exclusive
from registry.errors import LockHeldError
from registry.evaluations import hub_scores, item_statistics, load
from registry.sync import initial_load
from registry.sync.state import SyncState

_log = logging.getLogger(__name__)

ANALYZED_EARLY = ("models", "counters")
"""Tables that are analyzed once the pages of a large sync are stored."""


ANALYZED_LATE = (
    "edges", "model_families", "model_features", "feature_sets", "search_vocabulary",
)  # fmt: skip
"""Tables that are analyzed after lineage and vocabulary."""


def import_scores(engine: Engine, connection: Connection, state: SyncState) -> None:
    """Import the scores that the Hub shows with models, and resolve names without a model again."""
    try:
        with exclusive(engine, Lock.EVALUATIONS):
            while True:
                with connection.begin():
                    prefer_indexes(connection)
                    written = hub_scores.store_deferred(connection, as_of=state.as_of)
                if written is None:
                    break
                state.counts.scores_changed += written.added + written.changed
            if state.counts.new + state.counts.changed:
                with connection.begin():
                    prefer_indexes(connection)
                    resolution.resolve_again(connection)
                    resolve_offers(connection)
                with connection.begin():
                    item_statistics.refresh(connection)
            if state.counts.scores_changed:
                with connection.begin():
                    load.gather_statistics(connection, state.counts.scores_changed)
    except LockHeldError:
        _log.warning("Evaluations are being imported: the next sync imports the Hub's scores")


@contextmanager
def _repeatable(connection: Connection) -> Iterator[None]:
    """Open a transaction that the next sync repeats if a crash of the server loses it.

    It does not wait for the disk. Finishing the sync does, for everything written before; a sync
    that stays unfinished is tidied up again.
    """
    with connection.begin():
        connection.exec_driver_sql("SET LOCAL synchronous_commit = off")
        yield


def _analyze(engine: Engine, tables: Iterable[str]) -> None:
    """Gather the planner's statistics of tables that a large sync has written."""
    with engine.begin() as connection:
        connection.exec_driver_sql("SET LOCAL synchronous_commit = off")
        for table in tables:
            connection.exec_driver_sql(f"ANALYZE store.{table}")


def tidy(engine: Engine, connection: Connection, state: SyncState) -> None:
    """Finalize an initial load, and bring vocabulary and statistics up to date."""
    written = state.counts.new + state.counts.changed
    with connection.begin():
        unfinished = initial_load.unfinished(connection)
        models = connection.scalar(
            text("SELECT reltuples FROM pg_class WHERE oid = 'store.models'::regclass")
        )
        # Most of an initial load may have been written by a run that was killed.
        added = _models(connection) if unfinished else written
    large = added > max(1000, 0.05 * (models or 0))
    # Two sessions: lineage and words take as long as the indexes.
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="tidy") as second:
        pending: list[Future[None]] = []
        if unfinished:
            pending += _finalize_load(
                engine, connection, state, second, ANALYZED_EARLY if large else ()
            )
        else:
            with _repeatable(connection):
                item_statistics.refresh(connection)
            if large:
                pending.append(second.submit(_analyze, engine, ANALYZED_EARLY))
        if written or unfinished:
            with _repeatable(connection):
                since = None if large or unfinished else state.as_of
                indexes.refresh_vocabulary(connection, since=since)
        if large:
            with _repeatable(connection):
                feature_sets.delete_unused_sets(connection)
            _analyze(engine, ANALYZED_LATE)
        for each in pending:
            each.result()
    with connection.begin():
        if written:
            indexes.merge_pending(connection)
        if large:
            indexes.build_nearest(connection)


def _models(connection: Connection) -> int:
    return int(connection.scalar(text("SELECT count(*) FROM store.models")) or 0)


def _finalize_load(
    engine: Engine,
    connection: Connection,
    state: SyncState,
    second: Executor,
    analyzed: Iterable[str],
) -> list[Future[None]]:
    """Finalize an initial load.

    Args:
        engine: of a database at head.
        connection: of the sync, between transactions.
        state: of the sync that ends the load.
        second: runs the work of a second session, one task after the other.
        analyzed: tables to analyze before their indexes are built.

    Returns:
        Tasks that still run, such as the indexes of the models.
    """
    indexes.build_missing(engine, indexes.FOR_NAMES)
    pages = second.submit(indexes.build_missing, engine, indexes.OF_PAGES)
    with _repeatable(connection):
        initial_load.resolve(connection, as_of=state.as_of)
        # Stubs of evaluations may have been merged into the models that they name.
        item_statistics.refresh(connection)
    # Before the indexes, which take whatever cores are free towards the end.
    statistics = second.submit(_analyze, engine, analyzed)
    models = second.submit(indexes.build_missing, engine, indexes.OF_MODELS)
    with _repeatable(connection):
        state.counts.edges_changed += initial_load.finalize(connection)
    indexes.build_missing(engine, indexes.OF_LINEAGE)
    return [pages, statistics, models]
