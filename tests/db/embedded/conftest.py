"""Data directories of embedded servers."""

import contextlib
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from servers import FAST

from registry.db import embedded
from registry.errors import EmbeddedServerError


@pytest.fixture
def empty_dir() -> Iterator[Path]:
    """A place that the server's account may enter, unlike pytest's own."""
    path = Path(tempfile.mkdtemp(prefix="registry-test-", dir="/tmp"))
    path.chmod(0o755)
    try:
        yield path
    finally:
        for pgdata in path.rglob("PG_VERSION"):
            with contextlib.suppress(EmbeddedServerError):
                embedded.stop(pgdata.parents[1])
        shutil.rmtree(path)


@pytest.fixture(scope="session")
def made() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="registry-test-", dir="/tmp"))
    path.chmod(0o755)
    try:
        embedded.start(path, keep=True, settings=FAST)
        assert embedded.stop(path)
        yield path
    finally:
        embedded.stop(path)
        shutil.rmtree(path)


@pytest.fixture
def data_dir(made: Path) -> Iterator[Path]:
    """A stopped server, for tests that may stop or kill it but leave its files alone."""
    yield made
    embedded.stop(made)


@pytest.fixture
def spare_dir(made: Path, empty_dir: Path) -> Path:
    """A stopped server whose files may be spoilt; quicker to copy than to make."""
    path = empty_dir / "data"
    subprocess.run(["cp", "-a", made, path], check=True)
    return path
