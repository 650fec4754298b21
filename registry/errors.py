"""Errors that the registry raises on purpose; each message is a sentence for a person."""

from collections.abc import Sequence
from typing import ClassVar


class RegistryError(Exception):
    """A failure that a person can act on.

    The message defaults to the first line of the class's docstring. `exit_code` is what the
    command line returns: 1 failed, 2 usage, 3 done with rows quarantined or a version refused, 4
    database unreachable or not at head, 5 another job holds the lock, 75 try again later.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (type(self).__doc__ or "").strip().splitlines()[0])


class UsageError(RegistryError):
    """The command was given a value that it cannot use."""

    exit_code = 2


class NoOutcomesError(UsageError):
    """There are no outcomes to learn from; `registry evals import PATH` adds some."""


class DatabaseUnreachableError(RegistryError):
    """The database cannot be reached."""

    exit_code = 4


class SchemaNotAtHeadError(RegistryError):
    """The database is not at the newest schema; run `registry db upgrade`."""

    exit_code = 4


class LockHeldError(RegistryError):
    """Another job of this kind is running; try again when it has finished."""

    exit_code = 5


class EmbeddedServerError(RegistryError):
    """The embedded Postgres server could not be started or stopped."""

    exit_code = 4


class HubError(RegistryError):
    """The Hub gave an answer that cannot be used."""


class HubUnavailableError(HubError):
    """The Hub cannot be reached or asks to come back later; try again in a few minutes."""

    exit_code = 75


class CursorExpiredError(HubError):
    """The Hub no longer knows the listing's cursor."""


class RemoteError(RegistryError):
    """A remote file cannot be used."""


class RemoteUnavailableError(RemoteError):
    """A remote file cannot be reached; try again in a few minutes."""

    exit_code = 75


class EncoderError(RegistryError):
    """An encoder of texts cannot be opened or used."""


class UnreadableFileError(RegistryError):
    """A file is not of the expected format."""

    def __init__(
        self,
        path: object,
        problem: str,
        *,
        line: int | None = None,
        row: int | None = None,
        field: str | None = None,
    ) -> None:
        """Compose the message from the position and the problem.

        Args:
            path: of the file.
            problem: a sentence: what is wrong, and what to do.
            line: its line, from 1, in a text file.
            row: its row, from 1, in a file that has no lines.
            field: its column, or the key in a document.
        """
        self.path, self.problem, self.line, self.row, self.field = path, problem, line, row, field
        places = [str(path)]
        places += [f"line {line}"] if line is not None else []
        places += [f"row {row}"] if row is not None else []
        places += [f"field {field!r}"] if field is not None else []
        super().__init__(f"{', '.join(places)}: {problem}")


class ModelNotFoundError(RegistryError):
    """No model of that name is in the registry."""

    def __init__(self, name: str, suggestions: tuple[str, ...] = ()) -> None:
        self.name, self.suggestions = name, suggestions
        hint = f" Did you mean {', '.join(suggestions)}?" if suggestions else ""
        super().__init__(f"No model named {name!r} is in the registry.{hint}")


def was_interrupted(error: BaseException | None) -> bool:
    """Return whether an error was raised while an interrupt was being handled.

    An interrupt in the middle of a statement leaves a connection that cannot be used, so that
    cleaning up fails.
    """
    while error is not None:
        if isinstance(error, KeyboardInterrupt):
            return True
        error = error.__context__
    return False


_SHOWN = 40
"""Characters of a value that a message shows."""


def shortened(value: object) -> str:
    """Return a value as a message shows it: its representation, cut when long."""
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def first_of(names: Sequence[str], most: int = 3, *, noun: str = "") -> str:
    """Return the first names of many for a sentence, and how many more there are.

    Args:
        names: of things, or what is said of each.
        most: how many are named.
        noun: what they are, in the singular, where the sentence does not say it.
    """
    more = len(names) - most
    if more <= 0:
        return ", ".join(names)
    named = f" {noun}{'s' if more > 1 else ''}" if noun else ""
    return f"{', '.join(names[:most])} and {more:,} more{named}"
