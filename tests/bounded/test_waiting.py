import fcntl
import logging
import os
import re
from itertools import count
from pathlib import Path

import pytest
from databases import REPOSITORY

from registry.bounded import waiting
from registry.bounded.waiting import attempts, lock


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """Lines come after a fraction of a second."""
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(waiting, "EVERY", 0.1)


@pytest.mark.usefixtures("soon")
def test_a_wait_says_what_it_is_for_and_ends_at_its_limit(caplog: pytest.LogCaptureFixture) -> None:
    numbers = count(1)
    assert sum(1 for _ in attempts(lambda: f"Waiting for {next(numbers)}", 0.65)) > 5
    said = [record.getMessage() for record in caplog.records]
    assert re.fullmatch(r"Waiting for 1 \(\d s so far, 1 s at most\)", said[0])
    assert said[1].startswith("Waiting for 2 (")
    assert len(caplog.records) <= 6


def test_a_short_wait_says_nothing(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    assert sum(1 for _ in attempts("Waiting", 0.1)) > 1
    assert next(attempts("Waiting", 0), ...) is None, "the first attempt is made in any case"
    assert caplog.records == []


@pytest.mark.usefixtures("soon")
def test_a_lock_that_another_process_holds(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "lock"
    holder, waiter = (os.open(path, os.O_RDWR | os.O_CREAT) for _ in range(2))
    try:
        assert lock(holder, "Waiting for nothing", 1)
        assert not lock(waiter, "Waiting for the other", 0.25)
        assert "Waiting for the other" in caplog.text
        fcntl.flock(holder, fcntl.LOCK_UN)
        assert lock(waiter, "Waiting for the other", 1)
    finally:
        os.close(holder)
        os.close(waiter)


def test_no_lock_of_a_file_is_waited_for_elsewhere() -> None:
    waits = [
        path.name
        for path in (REPOSITORY / "registry").rglob("*.py")
        for line in path.read_text().splitlines()
        if re.search(r"flock\(.*LOCK_(EX|SH)", line) and "LOCK_NB" not in line
    ]
    # A new file that nobody else knows, and the users of a server, who never exclude each other.
    assert sorted(waits) == ["__init__.py", "files.py"]
