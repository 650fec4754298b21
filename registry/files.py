"""Atomic files and folders: written beside their target, then renamed to it."""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex

from registry.errors import UsageError


@contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """Yield a folder to write into, which becomes `target` at the end of the block.

    Until then it is a hidden one beside the target. If the block fails, it is removed; if the
    process is killed, it stays until the next write to this target.

    Raises:
        UsageError: when `target` exists and is no empty folder, or its parent does not exist.
    """
    if target.is_dir():
        if any(target.iterdir()):
            raise UsageError(f"The folder {target} is not empty; name one that does not exist.")
    else:
        check_target(target)
    with _beside(target, is_folder=True) as folder:
        yield folder


@contextmanager
def new_file(target: Path) -> Iterator[Path]:
    """Yield a file to write, which becomes `target` at the end of the block, as in `new_folder`."""
    check_target(target)
    with _beside(target, is_folder=False) as file:
        yield file


def check_target(target: Path) -> None:
    """Check that a file can be created.

    Raises:
        UsageError: when `target` exists, or its parent does not.
    """
    if target.exists() or target.is_symlink():
        raise UsageError(f"There is a file {target} already; name one that does not exist.")
    if not target.absolute().parent.is_dir():
        raise UsageError(f"There is no folder {target.parent} to write into.")


@contextmanager
def _beside(target: Path, *, is_folder: bool) -> Iterator[Path]:
    """Create a hidden file or folder, locked by this process, and rename it at the end."""
    # The suffixes stay last: they select the format.
    name = target.absolute().name[-100:]
    _remove_left_over(target.absolute().parent, name)
    while True:
        path = target.absolute().with_name(f".partial-{token_hex(4)}-{name}")
        if is_folder:
            path.mkdir()
        else:
            path.touch(exist_ok=False)
        descriptor = _locked(path)
        if descriptor is not None:
            break
    try:
        yield path
        path.rename(target)
    except BaseException:
        _remove(path)
        raise
    finally:
        os.close(descriptor)


def _locked(path: Path) -> int | None:
    """Lock a new path; None if another process removed it as a left-over just before."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    with suppress(OSError):  # without locks, left-overs stay
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    if path.exists():
        return descriptor
    os.close(descriptor)
    return None


def _remove_left_over(folder: Path, name: str) -> None:
    """Remove what killed processes left of files of this name.

    A lock ends with its process, so what is not locked is a left-over.
    """
    with suppress(OSError):  # a left-over does no harm
        for path in folder.iterdir():
            random, dash, rest = path.name.removeprefix(".partial-").partition("-")
            ours = path.name.startswith(".partial-") and len(random) == 8 and dash  # noqa: PLR2004
            if not ours or rest != name:
                continue
            with suppress(OSError):
                descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    _remove(path)
                finally:
                    os.close(descriptor)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
