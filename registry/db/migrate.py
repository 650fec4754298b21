"""Migrations of the schema, and its comparison with the code."""

import io
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TypeAlias

import psycopg
from alembic import command, util
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from registry.db import comments, embedded, grants, lock_waits, roles, sql
from registry.db.embedded import reader
from registry.db.errors import translated
from registry.db.guard import guarded
from registry.db.locks import Lock, hold
from registry.db.revisions import current_revision, migrations_directory, require_head
from registry.db.server import require_extensions
from registry.errors import RegistryError, SchemaNotAtHeadError, UsageError

Around: TypeAlias = Callable[[Connection], AbstractContextManager[None]]
"""What is done in the transaction of a migration, before and after it."""


def _alone(_: Connection) -> AbstractContextManager[None]:
    return nullcontext()


def alembic_config(connection: Connection | None = None) -> Config:
    """Return Alembic's configuration; its commands run on `connection` if one is given."""
    # Alembic prints to stdout, which is for data.
    config = Config(stdout=io.StringIO())
    config.set_main_option("script_location", str(migrations_directory()).replace("%", "%%"))
    if connection is not None:
        config.attributes["connection"] = connection
    return config


def upgrade(
    opened: Engine, revision: str = "head", *, around: Around = _alone
) -> tuple[str | None, str | None]:
    """Bring the database to a revision in one transaction; return the revisions before and after.

    Args:
        opened: engine of the database.
        revision: where to stop.
        around: what else is done in the transaction, before and after.

    Raises:
        RegistryError: when an extension is missing or too old, or an object of a user's prevents
            it; nothing has then been changed.
    """
    return _migrate(opened, revision, command.upgrade, "upgrade", around)


def upgrade_embedded(
    opened: Engine, revision: str = "head", *, around: Around = _alone
) -> tuple[str | None, str | None]:
    """Upgrade the embedded database, reserve it for the registry, and let readers log in.

    Other programs have no data in it, as they may have in a database on a user's own server.
    """
    revisions = upgrade(opened, revision, around=around)
    reserve_embedded(opened, embedded.default_data_directory())
    return revisions


def reserve_embedded(opened: Engine, data_dir: Path) -> None:
    """Reserve the embedded database for the registry, and let readers log in.

    Args:
        opened: engine of the database.
        data_dir: data directory of the server.
    """
    with opened.begin() as connection:
        roles.revoke_from_public(connection)
        reader.prepare(connection, data_dir)
    with opened.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        reader.bound_notifications(connection)


def downgrade(opened: Engine, revision: str) -> tuple[str | None, str | None]:
    """Take the database back to a revision in one transaction, as `upgrade` does forward."""
    return _migrate(opened, revision, command.downgrade, "downgrade")


def _migrate(
    opened: Engine,
    revision: str,
    migrate: Callable[[Config, str], None],
    verb: str,
    around: Around = _alone,
) -> tuple[str | None, str | None]:
    try:
        with guarded(opened), opened.begin() as connection:
            # By this transaction, which may have to drop what is locked.
            hold(connection, Lock.SCHEMA, str(Lock.SCHEMA))
            before = current_revision(connection)
            known = ScriptDirectory.from_config(alembic_config())
            if before is not None and before not in {s.revision for s in known.walk_revisions()}:
                raise SchemaNotAtHeadError(
                    f"The database is at revision {before}, which this version does not know; "
                    "install the version of llm-registry that made it, or a newer one."
                )
            require_extensions(connection)
            with around(connection):
                migrate(alembic_config(connection), revision)
            return before, current_revision(connection)
    except DBAPIError as error:
        raise translated(
            error,
            doing=f"{verb} the database",
            dependents=_dependents(opened, error),
            holders=_holders(opened, error),
        ) from error
    except util.CommandError as error:
        raise UsageError(f"Cannot migrate to {revision!r}: {error}.") from error


def _dependents(opened: Engine, error: DBAPIError) -> list[str]:
    """Name all objects of users that prevent it: Postgres names those of the first drop alone."""
    if not isinstance(error.orig, psycopg.errors.DependentObjectsStillExist):
        return []
    with opened.connect() as connection:
        return sql.dependents(connection)


def _holders(opened: Engine, error: DBAPIError) -> list[str]:
    """Name the sessions whose locks prevent it."""
    if not isinstance(error.orig, psycopg.errors.LockNotAvailable):
        return []
    return lock_waits.holders(opened)


def check(opened: Engine) -> None:
    """Compare the database with the code: its revision, objects, owners, grants and comments.

    Raises:
        SchemaNotAtHeadError: when an upgrade is due.
        RegistryError: when the tables differ.
    """
    with opened.connect() as connection:
        require_head(connection)
        sql.require_current(connection)
        require_grants(connection)
    differences = drift(opened)
    if differences is not None:
        raise RegistryError(
            f"The tables differ from this version's: {' '.join(differences.split())} "
            "Somebody changed them by hand; undo that, or restore a backup."
        )


def require_grants(connection: Connection) -> None:
    """Check owners, grants and comments of the registry's objects.

    Raises:
        SchemaNotAtHeadError: when an upgrade would change some.
    """
    found = grants.differences(connection)
    differing = comments.differences(connection)
    if differing:
        found.append(f"{differing:,} comments are missing or differ.")
    if found:
        raise SchemaNotAtHeadError(f"{' '.join(found)} `registry db upgrade` restores that.")


def drift(opened: Engine) -> str | None:
    """Compare the tables with the code; return what differs, or None if nothing does."""
    with opened.connect() as connection:
        try:
            command.check(alembic_config(connection))
        except util.AutogenerateDiffsDetected as error:
            return str(error)
    return None
