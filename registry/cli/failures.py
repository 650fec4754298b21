"""How every error ends: one sentence on stderr and an exit code, here and nowhere else."""

from __future__ import annotations

import errno
import logging
import os
import re
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from registry.errors import DatabaseUnreachableError, RegistryError, was_interrupted

if TYPE_CHECKING:
    import psycopg

    from registry.cli.application import Application

INTERRUPTED = 130
USAGE = 2

UNWRITABLE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})
"""What a write to a file that is open already fails with."""


class Failure(click.ClickException):
    """An error on its way out, with its exit code."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.status = exit_code

    @property
    def exit_code(self) -> int:  # type: ignore[override]  # click has one for the whole class
        """Exit code of the process."""
        return self.status


class RegistryGroup(click.Group):
    """The command line as a whole: what goes wrong inside it is told in one sentence.

    REGISTRY_DEBUG=1 shows the traceback as well.
    """

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        """Read the arguments, or print the help or the version that they ask for."""
        with _writing_to_stdout():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command, and map what it raises."""
        with _logging_to_stderr(), _writing_to_stdout():
            try:
                result = super().invoke(ctx)
                sys.stdout.flush()
            except (click.exceptions.Exit, click.ClickException, click.Abort):
                raise
            except KeyboardInterrupt:
                raise Failure("Interrupted.", INTERRUPTED) from None
            except Exception as error:
                if isinstance(error, OSError) and _is_of_stdout(error):
                    raise
                if was_interrupted(error):
                    raise Failure("Interrupted.", INTERRUPTED) from None
                if os.environ.get("REGISTRY_DEBUG") == "1":
                    traceback.print_exc()
                raise explained(error, ctx.obj) from error
            else:
                return result


@contextmanager
def _writing_to_stdout() -> Iterator[None]:
    """End where nothing more can be written: silently if the reader, such as head, has enough."""
    try:
        yield
    except OSError as error:
        if not _is_of_stdout(error):
            raise
        _write_no_more()
        if isinstance(error, BrokenPipeError):
            raise click.exceptions.Exit(0) from None
        raise Failure(f"The output could not be written: {error.strerror}.", 1) from error


def _is_of_stdout(error: OSError) -> bool:
    """Tell whether a write to stdout failed; errors of other files are told by who writes them."""
    return not error.filename and (isinstance(error, BrokenPipeError) or error.errno in UNWRITABLE)


def _write_no_more() -> None:
    """Drop what stdout could not take: the interpreter must not try again when it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class _LogLines(logging.Handler):
    """Writes log lines to whatever stderr is at the time."""

    def emit(self, record: logging.LogRecord) -> None:
        click.echo(self.format(record), err=True)


@contextmanager
def _logging_to_stderr() -> Iterator[None]:
    """Show what the registry's own modules report, such as waits for the Hub."""
    logger, handler = logging.getLogger("registry"), _LogLines()
    level = logger.level
    if os.environ.get("REGISTRY_DEBUG") != "1":
        # It logs tracebacks of what it could not tidy up; the error itself is told in any case.
        logging.getLogger("sqlalchemy").addHandler(logging.NullHandler())
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


def explained(error: Exception, application: Application) -> Failure:
    """Turn any error into a sentence without a password, and the exit code that fits it."""
    message, exit_code = _explained(error, application)
    return Failure(application.without_password(message), exit_code)


def _explained(error: Exception, application: Application) -> tuple[str, int]:
    if isinstance(error, RegistryError):
        return str(error), error.exit_code
    if isinstance(error, UnicodeEncodeError):
        return f"The text {error.object!r} cannot be encoded in UTF-8.", USAGE
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename}: {error.strerror}.", 1
    if "psycopg" in sys.modules:
        told = _database_failure(error, application)
        if told is not None:
            return told
    message = (
        f"Unexpected {type(error).__name__}: {_one_line(str(error))}. This is a mistake of the "
        "registry's; REGISTRY_DEBUG=1 shows where it happened."
    )
    return message, 1


def _database_failure(error: Exception, application: Application) -> tuple[str, int] | None:
    import psycopg
    from sqlalchemy.exc import DBAPIError

    from registry.db import errors

    if isinstance(error, psycopg.Error):
        error = DBAPIError(None, None, error)
    if not isinstance(error, DBAPIError) or not isinstance(error.orig, psycopg.Error):
        return None
    told = errors.translated(error)
    if isinstance(told, DatabaseUnreachableError) and error.orig.sqlstate is None:
        where = application.setting()
        said = refusal(error.orig)
        message = f"Cannot connect to the database {where.shown} (from {where.origin}): {said}."
        return message, told.exit_code
    return str(told), told.exit_code


def refusal(error: psycopg.Error) -> str:
    """Return why a server could not be reached, without what libpq says around it."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    said = lines[0] if lines else type(error).__name__
    said = re.sub(r"^.*connection to server (?:at|on) .*? failed: ", "", said)
    return re.sub(r"^(FATAL|ERROR):\s+", "", said).rstrip(".")


def _one_line(text: str) -> str:
    return " ".join(text.split())[:500].rstrip(".")
