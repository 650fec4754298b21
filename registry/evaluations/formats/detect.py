"""Detection of a file's format, and its reader."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from registry.enums import ImportFormat
from registry.errors import UsageError
from registry.evaluations.formats import (
    archive,
    benchpress,
    every_eval_ever,
    helm,
    hub,
    inspect_logs,
    lighteval,
    llmrouterbench,
    lm_eval,
    plugins,
    routereval,
    tables,
)
from registry.evaluations.formats.protocol import Format
from registry.evaluations.records import Content, Notes
from registry.evaluations.scales.stated import NOT_STATED, StatedScale

_LOG = logging.getLogger(__name__)

FORMATS: Mapping[str, Format] = {
    ImportFormat.REGISTRY: archive,
    ImportFormat.LM_EVAL: lm_eval,
    ImportFormat.EVERY_EVAL_EVER: every_eval_ever,
    ImportFormat.HUB: hub,
    ImportFormat.INSPECT: inspect_logs,
    ImportFormat.LIGHTEVAL: lighteval,
    ImportFormat.HELM: helm,
    ImportFormat.LLMROUTERBENCH: llmrouterbench,
    ImportFormat.BENCHPRESS: benchpress,
    ImportFormat.ROUTEREVAL: routereval,
    ImportFormat.TABLE: tables.TableFormat(),
}
"""The built-in formats, in the order in which they are tried; those that are installed follow, and
the tables, which any data set may be, are last."""


class Reader:
    """Reader of files of evaluations, in a given format or the one that is detected."""

    def __init__(
        self,
        format_: str | None = None,
        mapping: str | None = None,
        roles: Mapping[str, str] | None = None,
        on_problem: Callable[[str], None] = _LOG.warning,
        *,
        stated: StatedScale = NOT_STATED,
    ) -> None:
        """Configure the reader.

        Args:
            format_: name of a built-in or an installed format for all files; None detects it.
            mapping: a preset's name, or the path of a YAML file; makes every file a table.
            roles: columns, over those of the mapping; without one, see `tables.of_columns`.
            on_problem: receives a sentence about each installed format that fails, once.
            stated: scale of the outcomes of tables, where their mapping has none.

        Raises:
            UsageError: there is no such format or mapping, or columns are given for another format.
        """
        self._problems: dict[str, None] = {}
        self._on_problem = on_problem
        tried = {name: each for name, each in FORMATS.items() if name != ImportFormat.TABLE}
        tried |= plugins.load(FORMATS, self._problem)
        known = tables.TableFormat(stated=stated)
        self._formats: dict[str, Format] = {**tried, ImportFormat.TABLE: known}
        if format_ is not None and format_ not in self._formats:
            names = ", ".join(self._formats)
            problems = "".join(f" {each}" for each in self._problems if f" {format_} " in each)
            raise UsageError(f"There is no format {format_!r}; there are {names}.{problems}")
        if format_ not in {None, ImportFormat.TABLE} and (mapping or roles):
            raise UsageError(f"Only tables have columns to be mapped, not {format_}.")
        own = tables.load_mapping(mapping) if mapping is not None else None
        if roles:
            own = tables.override(own, roles) if own else tables.of_columns(roles)
        if own is not None:
            self._formats[ImportFormat.TABLE] = tables.TableFormat(own, stated)
        self._format = ImportFormat.TABLE.value if own is not None else format_

    def _problem(self, sentence: str) -> None:
        if sentence not in self._problems:
            self._problems[sentence] = None
            self._on_problem(sentence)

    def descriptions(self) -> Iterator[tuple[str, str]]:
        """Yield the names of the formats, with their files."""
        for name, each in self._formats.items():
            yield name, each.DESCRIPTION

    def format_of(self, path: Path) -> str | None:
        """Return the format of a file, None where none fits."""
        if self._format is not None:
            return self._format
        fitting = (name for name, each in self._formats.items() if each.recognizes(path))
        return next(fitting, None)

    def read(self, path: Path, format_: str, notes: Notes) -> Iterator[Content]:
        """Yield the contents of a file in a format.

        Raises:
            UnreadableFileError: the file is invalid; names the line or row, and the field.
            UsageError: it is a table that no mapping fits.
        """
        return self._formats[format_].read(path, notes)

    def parts(self, path: Path, format_: str) -> list[Path]:
        """Return the other files that are read with a file of a format."""
        return [part for part in self._formats[format_].parts(path) if part != path.absolute()]

    def unknown(self, path: Path) -> str:
        """Return the sentence for a file that no format fits."""
        return (
            f"The format of {path} cannot be detected from its name or its columns; name it by "
            f"--as ({', '.join(self._formats)}), or its columns by --mapping "
            f"({', '.join(tables.presets())}, or a YAML file) or --column ROLE=COLUMN."
        )

    def without_parts(self, files: Sequence[Path]) -> list[Path]:
        """Return files without those that are read together with another of them."""
        parts = {
            part
            for path in files
            for each in self._formats.values()
            for part in each.parts(path)
            if part != path.absolute()
        }
        return [path for path in files if path.absolute() not in parts]
