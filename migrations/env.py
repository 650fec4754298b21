"""Alembic environment: one transaction, with views and functions rebuilt at head."""

import re
from typing import Any

from alembic import context
from sqlalchemy import Connection, text

from registry.db import comments, grants, revisions, roles, sql
from registry.db import connection as database
from registry.db.schema import metadata

# Indexes that are built after a bulk load, by size; they come and go without a revision.
UNMANAGED_INDEXES = {"feature_sets_hnsw_idx"}
# Partitions of one version of embeddings each; they come and go with their versions.
VERSIONS = re.compile(
    r"(embeddings|serving_vectors|item_embeddings|route_(models|items|landmarks))_\d+"
)


def include_object(
    object_: Any,
    name: str | None,
    type_: str,
    reflected: bool,
    compare_to: Any,
) -> bool:
    """Leave indexes that are built by size out of the comparison."""
    return not (type_ == "index" and name in UNMANAGED_INDEXES)


def include_name(name: str | None, type_: str, parent_names: Any) -> bool:
    """Compare schema `store` alone; anything else in the database is not the registry's."""
    if type_ == "table" and name is not None and VERSIONS.fullmatch(name):
        return False
    return name == "store" if type_ == "schema" else True


def run(connection: Connection) -> None:
    """Run the requested revisions, in the connection's transaction."""
    context.configure(
        connection=connection,
        target_metadata=metadata,
        version_table_schema="store",
        include_schemas=True,
        include_name=include_name,
        include_object=include_object,
        compare_server_default=True,
    )
    migration = context.get_context()
    # Alembic also runs this file for `check`, `current` and `revision`, which name no destination.
    migrating = "destination_rev" in migration.opts
    with context.begin_transaction():
        if migrating:
            prepare(connection)
        context.run_migrations()
        if migrating:
            finish(connection, migration.get_current_revision())


def prepare(connection: Connection) -> None:
    """Create extensions, roles and schemas, and drop the views and functions to be rebuilt."""
    # A migration that waits for a lock stops every query behind it: give up instead.
    connection.exec_driver_sql(
        "SELECT set_config('lock_timeout', '4s', true) WHERE current_setting('lock_timeout') = '0'"
    )
    for extension in ("vector", "pg_trgm"):
        connection.exec_driver_sql(f"CREATE EXTENSION IF NOT EXISTS {extension}")
    sql.find_types(connection)
    roles.ensure(connection)
    grants.restore_owners(connection)
    roles.become_owner(connection)
    connection.exec_driver_sql("CREATE SCHEMA IF NOT EXISTS store")
    stays = (
        revisions.current_revision(connection)
        == context.get_revision_argument()
        == revisions.head_revision()
    )
    if not stays or sql.must_install(connection):
        sql.drop(connection)


def finish(connection: Connection, revision: str | None) -> None:
    """Rebuild views and functions at head; below head there are none."""
    if revision == revisions.head_revision():
        if sql.must_install(connection):
            sql.install(connection)
            roles.grant(connection)
            renew_shown_runs(connection)
        grants.restore_grants(connection)
        comments.restore(connection)
    if revision is None:
        connection.execute(text("DROP TABLE IF EXISTS store.alembic_version"))
        connection.exec_driver_sql("DROP SCHEMA IF EXISTS registry")
        connection.exec_driver_sql("DROP SCHEMA IF EXISTS store")


def renew_shown_runs(connection: Connection) -> None:
    """Compute again which runs leaderboards show, by this version's rule."""
    connection.exec_driver_sql("DELETE FROM store.shown_runs")
    connection.exec_driver_sql("""
        INSERT INTO store.shown_runs (model_id, benchmark_id, run_id)
        SELECT model_id, benchmark_id, run_id FROM store.ranked_runs WHERE rank = 1 AND is_shown""")


shared = context.config.attributes.get("connection")
if shared is not None:
    run(shared)
else:
    with database.engine(database.setting()) as engine, engine.begin() as own:
        run(own)
