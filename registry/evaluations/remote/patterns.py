"""Patterns of paths: `*`, `?` and `[...]` within a name, `**` over folders."""

import re
from collections.abc import Callable
from glob import glob, has_magic
from pathlib import Path

from fsspec.utils import glob_translate

from registry.errors import UsageError


def is_pattern(path: str) -> bool:
    """Return whether a path is a pattern."""
    return has_magic(path)


def fixed_folder(pattern: str) -> str:
    """Return the folder that all paths of a pattern are in."""
    fixed = []
    for part in pattern.split("/")[:-1]:
        if has_magic(part):
            break
        fixed.append(part)
    return "/".join(fixed)


def is_flat(pattern: str) -> bool:
    """Return whether all paths of a pattern lie in `fixed_folder` itself."""
    folder = fixed_folder(pattern)
    rest = pattern.removeprefix(f"{folder}/") if folder else pattern
    return "/" not in rest and "**" not in rest


def matcher(pattern: str) -> Callable[[str], bool]:
    """Return a function that says which paths fit.

    Raises:
        UsageError: when the pattern is invalid.
    """
    try:
        expression = re.compile(glob_translate(pattern))
    except (ValueError, re.error) as error:
        raise UsageError(f"{pattern!r} is no pattern of paths: {error}.") from error
    return lambda path: expression.match(path) is not None


def local_matches(pattern: Path) -> list[Path]:
    """Return the files that fit a pattern, in the order of their names."""
    # `Path.glob` leaves out a pattern's own folder, and what is an absolute path.
    matches = glob(str(pattern), recursive=True, include_hidden=True)  # noqa: PTH207
    return [path for path in map(Path, sorted(matches)) if path.is_file()]
