"""The end of a sync: lineage, families, indexes and statistics, after the pages."""

import logging
from collections.abc import Iterable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager

from sqlalchemy import Connection, Engine, text

from registry.catalog import feature_sets, indexes, resolution
from registry.db.connection import prefer_indexes
from registry.db.jobs import Lock, exclusive
from registry.errors import LockHeldError
from registry.evaluations import hub_scores, item_statistics, load
from registry.sync import initial_load
from registry.sync.state import SyncState

_log = logging.getLogger(__name__)

ANALYZED_EARLY = ("models", "counters")
"""Tables whose statistics a large pass brings up to date once its pages are in."""


ANALYZED_LATE = (
    "edges", "model_families", "model_features", "feature_sets", "search_vocabulary",
)  # fmt: skip
"""Those for which that comes when lineage and words are, too."""


def take_up_scores(engine: Engine, connection: Connection, walk: SyncState) -> None:
    """Take up the scores that the Hub shows with models, and find models for names without one."""
    try:
        with exclusive(engine, Lock.EVALUATIONS):
            while True:
                with connection.begin():
                    prefer_indexes(connection)
                    written = hub_scores.take_up(connection, as_of=walk.as_of)
                if written is None:
                    break
                walk.counts.scores_changed += written.added + written.changed
            if walk.counts.new + walk.counts.changed:
                with connection.begin():
                    prefer_indexes(connection)
                    resolution.resolve_again(connection)
                with connection.begin():
                    item_statistics.refresh(connection)
            if walk.counts.scores_changed:
                with connection.begin():
                    load.gather_statistics(connection, walk.counts.scores_changed)
    except LockHeldError:
        _log.warning("Evaluations are being imported: the next sync takes up the Hub's scores")


@contextmanager
def _remade(connection: Connection) -> Iterator[None]:
    """Open a transaction of what the next sync makes again if a crash of the server takes it.

    It does not wait for the disk. Closing the pass does, for all that was written before; a pass
    that stays under way is tidied up again.
    """
    with connection.begin():
        connection.exec_driver_sql("SET LOCAL synchronous_commit = off")
        yield


def _analyze(engine: Engine, tables: Iterable[str]) -> None:
    """Let the planner know of what a large pass has written."""
    with engine.begin() as connection:
        connection.exec_driver_sql("SET LOCAL synchronous_commit = off")
        for table in tables:
            connection.exec_driver_sql(f"ANALYZE store.{table}")


def tidy(engine: Engine, connection: Connection, walk: SyncState) -> None:
    """Settle a first load, and bring words and statistics up to date."""
    written = walk.counts.new + walk.counts.changed
    with connection.begin():
        unsettled = initial_load.unsettled(connection)
        known = connection.scalar(
            text("SELECT reltuples FROM pg_class WHERE oid = 'store.models'::regclass")
        )
        # Most of a first load may have been written by a run that was killed.
        came = _models(connection) if unsettled else written
    large = came > max(1000, 0.05 * (known or 0))
    # Two sessions: lineage and words take as long as the indexes.
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="beside") as beside:
        under_way: list[Future[None]] = []
        if unsettled:
            under_way += _settle(engine, connection, walk, beside, ANALYZED_EARLY if large else ())
        else:
            with _remade(connection):
                item_statistics.refresh(connection)
            if large:
                under_way.append(beside.submit(_analyze, engine, ANALYZED_EARLY))
        if written or unsettled:
            with _remade(connection):
                anew = large or unsettled
                indexes.refresh_vocabulary(connection, since=None if anew else walk.as_of)
        if large:
            with _remade(connection):
                feature_sets.forget_unused_sets(connection)
            _analyze(engine, ANALYZED_LATE)
        for each in under_way:
            each.result()
    with connection.begin():
        if written:
            indexes.merge_pending(connection)
        if large:
            indexes.build_nearest(connection)


def _models(connection: Connection) -> int:
    return int(connection.scalar(text("SELECT count(*) FROM store.models")) or 0)


def _settle(
    engine: Engine,
    connection: Connection,
    walk: SyncState,
    beside: Executor,
    analyzed: Iterable[str],
) -> list[Future[None]]:
    """Settle a first load.

    Args:
        engine: of a database at head.
        connection: the sync's, between transactions.
        walk: the pass that ends the load.
        beside: does what a second session can do, one thing after the other.
        analyzed: tables to gather statistics of before their indexes are built.

    Returns:
        What is still under way, such as the indexes of the models.
    """
    indexes.build_missing(engine, indexes.FOR_NAMES)
    pages = beside.submit(indexes.build_missing, engine, indexes.OF_PAGES)
    with _remade(connection):
        initial_load.resolve(connection, as_of=walk.as_of)
        # Stubs that evaluations made may have gone into the models they stand for.
        item_statistics.refresh(connection)
    # Before the indexes, which take whatever cores are free towards the end.
    statistics = beside.submit(_analyze, engine, analyzed)
    models = beside.submit(indexes.build_missing, engine, indexes.OF_MODELS)
    with _remade(connection):
        walk.counts.edges_changed += initial_load.settle(connection)
    indexes.build_missing(engine, indexes.OF_LINEAGE)
    return [pages, statistics, models]
