"""Errors of the database driver, translated to sentences with exit codes."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import psycopg
from sqlalchemy.exc import DBAPIError, IntegrityError

from registry.errors import DatabaseUnreachableError, RegistryError, SchemaNotAtHeadError

_MISSING = (
    psycopg.errors.UndefinedColumn,
    psycopg.errors.UndefinedFunction,
    psycopg.errors.UndefinedTable,
)


@contextmanager
def translated_errors(doing: str) -> Iterator[None]:
    """Raise the driver's errors of a block as errors of the registry.

    Args:
        doing: what fails then, after "Cannot".

    Raises:
        RegistryError: as `translated` returns it.
    """
    try:
        yield
    except DBAPIError as error:
        raise translated(error, doing) from error


@contextmanager
def driver_errors(statement: str) -> Iterator[None]:
    """Raise errors of the driver, called directly in a block, as SQLAlchemy would.

    Args:
        statement: that the block runs.
    """
    try:
        yield
    except psycopg.IntegrityError as error:
        raise IntegrityError(statement, None, error) from error
    except psycopg.Error as error:
        raise DBAPIError(statement, None, error) from error


def translated(
    error: DBAPIError,
    doing: str = "use the database",
    *,
    dependents: Sequence[str] = (),
    holders: Sequence[str] = (),
) -> RegistryError:
    """Return an error of the driver as a sentence with the fitting exit code.

    Args:
        error: of the driver.
        doing: what failed, after "Cannot".
        dependents: objects that prevent a drop, besides those that the error names.
        holders: sessions that hold locks.
    """
    cause = error.orig
    if isinstance(cause, psycopg.errors.DependentObjectsStillExist):
        named = dict.fromkeys([*(cause.diag.message_detail or "").splitlines(), *dependents])
        return RegistryError(
            f"Cannot {doing}: objects of yours depend on the registry's ({'; '.join(named)}). "
            "Nothing was changed; drop them, run this again, and create those again that still "
            "find what they need."
        )
    if isinstance(cause, psycopg.errors.DuplicateTable | psycopg.errors.DuplicateFunction):
        return RegistryError(
            f"Cannot {doing}: an object of yours has a name that the registry needs "
            f"({_primary(cause)}). Nothing was changed; rename it and run this again."
        )
    if isinstance(cause, psycopg.errors.InsufficientPrivilege):
        return RegistryError(
            f"Cannot {doing}: {_primary(cause)}. Connect as a user that may, or ask the "
            "database's owner to grant it."
        )
    if isinstance(cause, _MISSING) and re.search(r"\b(registry|store)\.", _primary(cause)):
        return SchemaNotAtHeadError(
            f"Cannot {doing}: {_primary(cause)}. Another version of llm-registry set up the "
            "database; run `registry db upgrade`."
        )
    if isinstance(cause, psycopg.errors.DiskFull):
        return RegistryError(
            f"Cannot {doing}: the database server's disk is full ({_primary(cause)}). "
            "What was stored before is intact; free some space and run this again."
        )
    if isinstance(cause, psycopg.errors.LockNotAvailable):
        return RegistryError(
            f"Cannot {doing}: {holders[0] if holders else 'another session'} holds a lock for too "
            "long; try again when it ends."
        )
    if isinstance(cause, psycopg.OperationalError) and (
        error.connection_invalidated or is_lost(cause)
    ):
        return DatabaseUnreachableError(
            f"Cannot {doing}: the database cannot be reached ({_primary(cause)})."
        )
    return RegistryError(f"Cannot {doing}: {_primary(cause)}.")


def is_lost(error: psycopg.Error) -> bool:
    """Return whether an error ended the connection, or prevented one."""
    # Without an SQLSTATE no server answered. A server says ERROR where only the statement failed,
    # whatever the state: 08 is "connection exception", but also a parameter without value.
    return not error.sqlstate or (
        error.diag.severity_nonlocalized != "ERROR"
        # 57P is "operator intervention" (shutdown, starting up), 53300 "too many connections".
        and error.sqlstate.startswith(("08", "57P", "53300"))
    )


def _primary(cause: BaseException | None) -> str:
    if isinstance(cause, psycopg.Error) and cause.diag.message_primary:
        return cause.diag.message_primary
    return " ".join(str(cause).split()).removesuffix(".")
