"""The server below a database: its version, its extensions, and what its user may do."""

from typing import NamedTuple

from sqlalchemy import Connection, text

from registry.db.connection import driver_connection
from registry.errors import RegistryError

OLDEST_POSTGRES = 160000
OLDEST_PGVECTOR = (0, 8)

PACKAGES = {"vector": "pgvector", "pg_trgm": "the postgresql-contrib package"}
"""Extensions that the registry needs, and what to install on a server that lacks one."""


class Extension(NamedTuple):
    """An extension that the server offers; `installed` is its version in the database, if any."""

    name: str
    installed: str | None
    offered: str


class Rights(NamedTuple):
    """What the current user may do; `writes` is False where there are no tables yet."""

    user: str
    temporary: bool
    read_only: bool
    writes: bool


def version(connection: Connection) -> str:
    """Return the version of Postgres, such as 18.4."""
    return str(driver_connection(connection).info.parameter_status("server_version"))


def extensions(connection: Connection) -> list[Extension]:
    """Return those of the needed extensions that the server offers, pgvector first."""
    rows = connection.execute(
        text("""
        SELECT name, installed_version, default_version FROM pg_available_extensions
         WHERE name = ANY (:names) ORDER BY name DESC"""),
        {"names": list(PACKAGES)},
    )
    return [Extension(*row) for row in rows]


def require_extensions(connection: Connection) -> None:
    """Check that the server is recent enough and offers the extensions.

    Raises:
        RegistryError: naming what is missing or too old, and what to do.
    """
    if driver_connection(connection).info.server_version < OLDEST_POSTGRES:
        raise RegistryError(
            f"The server is Postgres {version(connection)}; "
            f"the registry needs {OLDEST_POSTGRES // 10000} or newer."
        )
    versions = {name: installed or offered for name, installed, offered in extensions(connection)}
    for name, package in PACKAGES.items():
        if name not in versions:
            raise RegistryError(
                f"The server does not offer the extension {name}; install {package} on it."
            )
    if tuple(int(part) for part in versions["vector"].split(".")[:2]) < OLDEST_PGVECTOR:
        raise RegistryError(
            f"The server's pgvector is {versions['vector']}; the registry needs 0.8 or newer: "
            "update it, then run ALTER EXTENSION vector UPDATE."
        )


def rights(connection: Connection) -> Rights:
    """Return what the current user may do."""
    row = connection.execute(
        text("""
        SELECT current_user, has_database_privilege(current_database(), 'TEMPORARY'),
               current_setting('transaction_read_only') = 'on',
               coalesce(has_table_privilege(to_regclass('store.models'), 'INSERT, UPDATE'), false)
        """)
    )
    return Rights(*row.one())
