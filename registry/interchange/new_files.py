"""Files and folders that are there whole or not at all: made beside their place, then moved."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex

from registry.errors import UsageError


@contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """Have a folder to write into, which becomes `target` at the end of the block.

    It is beside the target and hidden meanwhile. Where the block fails, it is removed; where the
    process is killed, it stays, and `target` is not there.

    Raises:
        UsageError: when there is something at `target` already, or no folder to put it into.
    """
    if target.is_dir():
        if any(target.iterdir()):
            raise UsageError(f"The folder {target} is not empty; name one that does not exist.")
    else:
        _refuse(target)
    folder = _beside(target)
    folder.mkdir()
    try:
        yield folder
        folder.rename(target)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


@contextmanager
def new_file(target: Path) -> Iterator[Path]:
    """Have a file to write, which becomes `target` at the end of the block; as `new_folder`."""
    _refuse(target)
    file = _beside(target)
    try:
        yield file
        file.rename(target)
    except BaseException:
        file.unlink(missing_ok=True)
        raise


def _refuse(target: Path) -> None:
    if target.exists() or target.is_symlink():
        raise UsageError(f"There is a file {target} already; name one that does not exist.")
    if not target.absolute().parent.is_dir():
        raise UsageError(f"There is no folder {target.parent} to write into.")


def _beside(target: Path) -> Path:
    # The name's endings stay last: they tell what to write.
    place = target.absolute()
    return place.with_name(f".partial-{token_hex(4)}-{place.name[-100:]}")
