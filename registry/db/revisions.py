"""Revisions of the schema: the one that the database is at, and the one that the code needs.

Every command checks them, so this does without Alembic, which takes a fifth of a second to load.
"""

from importlib import resources
from pathlib import Path

from sqlalchemy import Connection, text

from registry.errors import SchemaNotAtHeadError


def migrations_directory() -> Path:
    """Return the folder of the Alembic revisions: in the wheel, or at the top of the checkout."""
    package = Path(str(resources.files("registry")))
    packaged = package / "migrations"
    return packaged if packaged.is_dir() else package.parent / "migrations"


def head_revision() -> str:
    """Return the newest revision that this version of the code knows.

    Files of revisions are named by their numbers, and each follows the one before.
    """
    files = (migrations_directory() / "versions").glob("[0-9]*.py")
    return max(file.name.partition("_")[0] for file in files)


def current_revision(connection: Connection) -> str | None:
    """Return the revision that the database is at, or None where the registry is not installed."""
    if connection.scalar(text("SELECT to_regclass('store.alembic_version')")) is None:
        return None
    revision: str | None = connection.scalar(text("SELECT version_num FROM store.alembic_version"))
    return revision


def require_head(connection: Connection) -> None:
    """Check that the database is at the revision that the code needs.

    Raises:
        SchemaNotAtHeadError: when the database is older or newer than the code.
    """
    current, head = current_revision(connection), head_revision()
    if current is not None and current > head:
        raise SchemaNotAtHeadError(
            f"The database is at revision {current}, and this version of llm-registry knows "
            f"{head}: a newer one set it up; install that, or one newer still."
        )
    if current != head:
        state = f"at revision {current}" if current else "not set up yet"
        raise SchemaNotAtHeadError(
            f"The database is {state}, this version needs {head}; run `registry db upgrade`."
        )
