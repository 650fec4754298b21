"""Formats that other installed packages add, by entry points of the group `llm_registry.formats`.

What such a package does wrong costs its own files, or its own format, never the import.
"""

from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

from registry.errors import RegistryError, UnreadableFileError
from registry.evaluations.formats.protocol import Format
from registry.evaluations.records import Block, Content, Names, Notes, Run

GROUP = "llm_registry.formats"
"""Group of the entry points; each is named as its format, and refers to a `Format`."""

_MEMBERS = ("DESCRIPTION", "recognizes", "read", "parts")


def names() -> list[str]:
    """Return the names of the installed formats, without loading them."""
    return sorted(each.name for each in entry_points(group=GROUP))


def load(built_in: Collection[str], on_problem: Callable[[str], None]) -> dict[str, Format]:
    """Load the installed formats.

    Args:
        built_in: names that are taken.
        on_problem: receives a sentence about each format that cannot be used.

    Returns:
        The others, by their names.
    """
    formats: dict[str, Format] = {}
    points = list(entry_points(group=GROUP))
    for point in points:
        package = _package(point)
        rivals = sorted(_package(each) for each in points if each.name == point.name)
        if point.name in built_in:
            on_problem(f"{package} adds a format {point.name}, which is built in; it is not used.")
        elif len(rivals) > 1:
            if rivals[0] == package:
                on_problem(
                    f"{' and '.join(rivals)} both add a format {point.name}; neither is used. "
                    "Uninstall one of them."
                )
        elif (loaded := _loaded(point, package, on_problem)) is not None:
            formats[point.name] = Plugin(point.name, package, loaded, on_problem)
    return formats


def _package(point: EntryPoint) -> str:
    return f"{point.dist.name} {point.dist.version}" if point.dist else point.value


def _loaded(point: EntryPoint, package: str, on_problem: Callable[[str], None]) -> Format | None:
    try:
        loaded: Format = point.load()
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a foreign module may raise anything
        on_problem(
            f"The format {point.name} of {package} cannot be loaded ({_shown(error)}); files are "
            "imported without it. Update or uninstall that package."
        )
        return None
    missing = [name for name in _MEMBERS if not hasattr(loaded, name)]
    if missing:
        on_problem(
            f"The format {point.name} of {package} has no {', '.join(missing)}; files are imported "
            "without it. Update or uninstall that package."
        )
        return None
    return loaded


def _shown(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:200]


class Plugin:
    """An installed format, whose errors are sentences."""

    def __init__(
        self, name: str, package: str, format_: Format, on_problem: Callable[[str], None]
    ) -> None:
        self._title = f"The format {name} of {package}"
        self._format, self._on_problem = format_, on_problem

    @property
    def DESCRIPTION(self) -> str:  # noqa: N802 - of the protocol
        """Its files, in a few words."""
        return str(self._format.DESCRIPTION)

    def recognizes(self, path: Path) -> bool:
        """Tell whether a file is in the format; not where the format fails on it."""
        try:
            return bool(self._format.recognizes(path))
        except Exception as error:  # noqa: BLE001 - foreign code may raise anything
            self._on_problem(f"{self._title} cannot recognize {path} ({_shown(error)}).")
            return False

    def read(self, path: Path, notes: Notes) -> Iterator[Content]:
        """Yield the contents of a file."""
        with self._errors(path):
            for content in self._format.read(path, notes):
                if isinstance(content, Block):
                    yield replace(content, runs=self._runs(path, content))
                elif isinstance(content, Names):
                    yield content
                else:
                    raise TypeError(
                        f"it yielded a {type(content).__name__}, neither a Block nor Names"
                    )

    def parts(self, path: Path) -> Iterable[Path]:
        """Return the other files that are read with this one."""
        try:
            return [Path(part) for part in self._format.parts(path)]
        except Exception as error:  # noqa: BLE001 - foreign code may raise anything
            self._on_problem(f"{self._title} cannot list the parts of {path} ({_shown(error)}).")
            return ()

    def _runs(self, path: Path, block: Block) -> Iterator[Run]:
        with self._errors(path):
            for run in block.runs:
                if not isinstance(run, Run):
                    raise TypeError(f"a block has a {type(run).__name__}, not a Run")
                yield run

    @contextmanager
    def _errors(self, path: Path) -> Iterator[None]:
        """Make an error of the foreign code one of the file."""
        try:
            yield
        except (RegistryError, OSError, GeneratorExit):
            raise
        except Exception as error:
            problem = f"{self._title} failed on it ({_shown(error)})."
            raise UnreadableFileError(path, problem) from error
