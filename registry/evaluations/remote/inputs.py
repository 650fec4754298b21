"""Files that a command names: paths, folders, patterns and addresses."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from os import PathLike, fspath
from pathlib import Path

from registry.errors import UsageError
from registry.evaluations.remote import patterns
from registry.evaluations.remote.fetch import fetch_all
from registry.evaluations.remote.files import accompanies, is_address, without_signature
from registry.workers import Progress

SKIPPED_FOLDERS = frozenset({".git", ".cache", "__pycache__", "node_modules", ".venv"})
"""Names of folders that are not searched for evaluations."""


@dataclass(frozen=True, slots=True)
class InputFile:
    """A file to import.

    Attributes:
        path: where it is read.
        shown: its address, or its path as it was given.
        place: its address, or its path without links and relative parts, by which it is known.
        revision: of a remote file, such as a commit.
        by_name: whether it was named itself, rather than found.
    """

    path: Path
    shown: str
    place: str
    revision: str | None
    by_name: bool

    @property
    def accompanies(self) -> bool:
        """Whether its name says that it holds no results, and nobody named it."""
        return not self.by_name and accompanies(self.path.name)


def list_files(
    paths: Iterable[str | PathLike[str]],
    whole: Callable[[Sequence[Path]], Sequence[Path]],
    *,
    limit: int,
    on_progress: Progress,
) -> list[InputFile]:
    """Return the files of paths and addresses; remote ones are copied to the cache before.

    Args:
        paths: files, folders, patterns and addresses.
        whole: returns files without those that are read together with another of them.
        limit: bytes that may be fetched.
        on_progress: receives the progress of that.

    Raises:
        UsageError: when there is no file at one, or what would be fetched is too large.
        RemoteError: when a remote file cannot be read.
        HubError: when the Hub does not show one.
    """
    given = [fspath(path) for path in paths]
    addresses = [each for each in given if is_address(each)]
    local = {each: _local(Path(each), whole) for each in given if not is_address(each)}
    fetched = fetch_all(addresses, limit=limit, on_progress=on_progress)
    remote = dict(zip(addresses, fetched, strict=True))
    files: list[InputFile] = []
    for each in given:
        if each in local:
            files += local[each]
            continue
        copies = {copy.path: copy for copy in remote[each].files}
        read = whole([*copies]) if len(copies) > 1 else copies
        files += [
            InputFile(
                path,
                copies[path].address,
                copies[path].address,
                copies[path].revision,
                remote[each].by_name,
            )
            for path in read
        ]
    return files


def place_of(path: str) -> str:
    """Return what a file is known by: its address without signature, or its path without links."""
    if not is_address(path):
        return str(Path(path).resolve())
    return without_signature(path) if path.lower().startswith(("https:", "http:")) else path


def _local(path: Path, whole: Callable[[Sequence[Path]], Sequence[Path]]) -> list[InputFile]:
    if path.is_file():
        return [_input(path, by_name=True)]
    if path.is_dir():
        inside = sorted(
            each
            for each in path.rglob("*")
            if each.is_file() and SKIPPED_FOLDERS.isdisjoint(each.relative_to(path).parts)
        )
        return [_input(each, by_name=False) for each in whole(inside)]
    if not patterns.is_pattern(str(path)):
        raise UsageError(f"There is no file or folder {path}.")
    matches = patterns.local_matches(path)
    if not matches:
        raise UsageError(f"No file fits {path}.")
    return [_input(each, by_name=False) for each in whole(matches)]


def _input(path: Path, *, by_name: bool) -> InputFile:
    return InputFile(path, str(path), place_of(str(path)), None, by_name)
