"""Errors of the command line, each as one sentence on stderr and an exit code."""

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

from registry.cli.console import say, visible
from registry.errors import DatabaseUnreachableError, RegistryError, was_interrupted

if TYPE_CHECKING:
    import psycopg

    from registry.cli.application import Application

INTERRUPTED = 130
USAGE = 2

UNWRITABLE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})
"""Errors of a write to an open file."""


_LOST = re.compile(r"server closed the connection|connection is (?:lost|closed)|SYSCALL error")


class Failure(click.ClickException):
    """An error as a message, with its exit code."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(visible(message, kept="\n"))
        self.status = exit_code

    @property
    def exit_code(self) -> int:  # type: ignore[override]  # click has one for the whole class
        """Exit code of the process."""
        return self.status


class RegistryGroup(click.Group):
    """The whole command line: every error in it becomes one sentence.

    REGISTRY_DEBUG=1 shows the traceback as well.
    """

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        """Read the arguments, or print the requested help or version."""
        with _writing_to_stdout(), _visible():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command, and translate its errors."""
        with _logging_to_stderr(), _writing_to_stdout(), _visible():
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
def _visible() -> Iterator[None]:
    """Show what a terminal would obey in errors of click, which repeat the arguments."""
    try:
        yield
    except click.ClickException as error:
        error.message = visible(error.message, kept="\n")  # type: ignore[misc] # its own place of it
        raise


@contextmanager
def _writing_to_stdout() -> Iterator[None]:
    """End when nothing more can be written: silently if the reader, such as head, has closed."""
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
    """Return whether a write to stdout failed; writers of other files report their own errors."""
    return not error.filename and (isinstance(error, BrokenPipeError) or error.errno in UNWRITABLE)


def _write_no_more() -> None:
    """Discard unwritten output: the interpreter must not try again at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class _LogLines(logging.Handler):
    """Writes log lines to the present stderr."""

    def emit(self, record: logging.LogRecord) -> None:
        say(self.format(record))


@contextmanager
def _logging_to_stderr() -> Iterator[None]:
    """Show the log of the registry's own modules, such as waits for the Hub."""
    logger, handler = logging.getLogger("registry"), _LogLines()
    level = logger.level
    if os.environ.get("REGISTRY_DEBUG") != "1":
        # It logs tracebacks of failed cleanups; the error itself is shown in any case.
        logging.getLogger("sqlalchemy").addHandler(logging.NullHandler())
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


def explained(error: Exception, application: Application) -> Failure:
    """Return any error as a sentence without the password, with the fitting exit code."""
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
        failure = _database_failure(error, application)
        if failure is not None:
            return failure
    message = (
        f"Unexpected {type(error).__name__}: {_one_line(str(error))}. This is an error in the "
        "registry; REGISTRY_DEBUG=1 shows where it happened."
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
    failure = errors.translated(error)
    if isinstance(failure, DatabaseUnreachableError) and error.orig.sqlstate is None:
        where, reason = application.setting(), _connection_failure(error.orig)
        database = f"the database {where.shown} (from {where.origin})"
        if _LOST.search(reason) and "connection to server" not in str(error.orig):
            message = f"The connection to {database} was lost: {reason}. Run this again."
        else:
            message = f"Cannot connect to {database}: {reason}."
        return message, failure.exit_code
    return str(failure), failure.exit_code


def _connection_failure(error: psycopg.Error) -> str:
    """Return why a server could not be reached, without the rest of libpq's message."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    reason = lines[0] if lines else type(error).__name__
    reason = re.sub(r"^.*connection to server (?:at|on) .*? failed: ", "", reason)
    return re.sub(r"^(FATAL|ERROR):\s+", "", reason).rstrip(".")


def _one_line(text: str) -> str:
    return " ".join(text.split())[:500].rstrip(".")
