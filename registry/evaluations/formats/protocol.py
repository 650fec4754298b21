"""Protocol of a format of files of evaluations, built-in or installed."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol

from registry.evaluations.records import Content, Notes


class Format(Protocol):
    """A format of files of evaluations. A module that has these four names is one."""

    @property
    def DESCRIPTION(self) -> str:  # noqa: N802 - a constant of a module
        """Its files, in a few words."""

    def recognizes(self, path: Path) -> bool:
        """Tell by its name or its content whether a file is in the format; never raises."""

    def read(self, path: Path, notes: Notes) -> Iterator[Content]:
        """Yield the contents of a file; count what is left out in `notes`.

        Raises:
            UnreadableFileError: the file is invalid; names the line or row, and the field.
        """

    def parts(self, path: Path) -> Iterable[Path]:
        """Return the other files that are read with this one, absolute; none for a foreign file.

        They are not read on their own where a folder is imported.
        """


def no_parts(path: Path) -> Iterable[Path]:  # noqa: ARG001 - of the protocol
    """Return that a file is read alone."""
    return ()
