"""Indexes that cost a first load more than building them after it does."""

from sqlalchemy import Connection, Index, text

from registry.schema import counters, models

DEFERRED = (
    "models_search_idx",
    "models_tags_idx",
    "models_name_trigram_idx",
    "models_author_idx",
    "models_license_idx",
    "models_parameters_idx",
    "models_created_at_idx",
    "models_last_modified_idx",
    "counters_downloads_idx",
    "counters_likes_idx",
    "counters_trending_score_idx",
)


def _deferred() -> list[Index]:
    return sorted(
        (each for table in (models, counters) for each in table.indexes if each.name in DEFERRED),
        key=lambda index: str(index.name),
    )


def drop_before_load(connection: Connection) -> bool:
    """Drop the deferred indexes if the catalog is empty; return whether it was."""
    if connection.scalar(text("SELECT EXISTS (SELECT FROM store.models)")):
        return False
    for index in _deferred():
        connection.exec_driver_sql(f"DROP INDEX IF EXISTS store.{index.name}")
    return True


def build_missing(connection: Connection) -> list[str]:
    """Build the deferred indexes that are not there; return their names.

    Queries go on meanwhile; writers wait.
    """
    present = set(
        connection.scalars(text("SELECT indexname FROM pg_indexes WHERE schemaname = 'store'"))
    )
    missing = [index for index in _deferred() if index.name not in present]
    if missing:
        connection.exec_driver_sql("SET LOCAL maintenance_work_mem = '512MB'")
    for index in missing:
        index.create(connection)
    return [str(index.name) for index in missing]
