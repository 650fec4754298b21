import os
import random
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from databases import Databases
from exported import exported
from forks import Forked, Forks
from generated_hub.models import generate
from hub_faults import listing
from servers import FAST
from sqlalchemy import Engine, text

from registry.db import connection as database
from registry.db import embedded, jobs, migrate
from registry.demo.hub.http import Exchange, Request
from registry.demo.hub.server import Fault, HubServer
from registry.errors import DatabaseUnreachableError, RegistryError
from registry.hub.client import Hub
from registry.sync import sync
from registry.sync.sync import SyncOptions

DAY = "2026-06-01T00:00:00+00:00"
KILLS = 20


def command(url: str) -> list[str]:
    return [
        "-m", "registry", "--database-url", url,
        "sync", "--as-of", DAY, "--lookups", "0", "--full",
    ]  # fmt: skip


def contents(url: str) -> dict[str, str]:
    engine = database.create_engine(url)
    try:
        with engine.connect() as connection:
            return exported(connection)
    finally:
        engine.dispose()


class KillAt:
    """Kills a process that asks for a page, a moment after it did; the page it does not get.

    So it is under way when it is killed, however fast the machine is.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: Forked | None = None
        self._requests = 0

    def arm(self, process: Forked, requests: int) -> None:
        """Kill this process at its request of that number."""
        with self._lock:
            self._process, self._requests = process, requests

    def __call__(self, request: Request) -> Fault | None:
        with self._lock:
            if self._process is None or not listing(request):
                return None
            self._requests -= 1
            if self._requests > 0:
                return None
            process, self._process = self._process, None

        def kill(exchange: Exchange) -> None:
            time.sleep(random.uniform(0, 0.1))
            process.kill()
            exchange.reset()

        return kill


@pytest.mark.long
def test_a_sync_killed_at_twenty_random_moments_ends_as_if_undisturbed(
    database_url: str, databases: Databases, forks: Forks
) -> None:
    random.seed(20261122)
    kill_at = KillAt()
    # More pages than all that are killed get together.
    records = list(generate(4 * KILLS * 20))
    with HubServer(records, page_limit=20, rate_limit=None, faults=kill_at) as server:
        hub = {"HF_ENDPOINT": server.url}
        for _ in range(KILLS):
            with forks.started(*command(database_url), environ=hub) as process:
                kill_at.arm(process, random.randint(1, 3))
                assert process.wait().returncode == -signal.SIGKILL
        finished = forks.run(*command(database_url), environ=hub)
        assert finished.returncode == 0, finished.stderr
        killed = contents(database_url)
        with databases.lent() as other:
            url = other.render_as_string(hide_password=False)
            undisturbed = forks.run(*command(url), environ=hub)
            assert undisturbed.returncode == 0, undisturbed.stderr
            assert killed == contents(url)
    engine = database.create_engine(database_url)
    with engine.connect() as connection:
        ended = connection.execute(
            text("SELECT status, count(*) FROM store.job_runs GROUP BY 1 ORDER BY 1")
        ).all()
    engine.dispose()
    assert [tuple(row) for row in ended] == [("done", 1), ("interrupted", KILLS)]


def test_a_database_that_dies_in_mid_sync_is_said_and_the_next_run_goes_on(
    own_server: Path,
) -> None:
    server = embedded.start(own_server, keep=True, settings=FAST)
    engine = database.create_engine(server.url)
    migrate.upgrade(engine)
    options = SyncOptions(as_of=datetime.fromisoformat(DAY), lookups=0)

    def die_after_two(what: str, done: int, total: int) -> None:
        if done == 100:
            postmaster = embedded.status(own_server)
            assert postmaster is not None
            os.kill(postmaster.pid, signal.SIGKILL)
            time.sleep(0.5)

    with HubServer(generate(200), page_limit=50) as hub_server:
        hub = Hub(hub_server.url)
        with pytest.raises(DatabaseUnreachableError, match="cannot be reached"):
            sync.sync_models(engine, options, source=hub, on_progress=die_after_two)
        engine.dispose()
        server = embedded.start(own_server, keep=True, settings=FAST)
        engine = database.create_engine(server.url)
        report = sync.sync_models(engine, options, source=hub)
    assert report.resumed
    assert report.counts.new == 200
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM store.counters")) == 200
        runs = connection.scalars(text("SELECT status FROM store.job_runs ORDER BY started_at"))
        assert runs.all() == ["interrupted", "done"]
    engine.dispose()


def test_a_full_disk_undoes_one_page_and_no_more() -> None:
    directory = Path(tempfile.mkdtemp(prefix="registry-full-"))
    directory.chmod(0o755)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=260m,mode=755", "tmpfs", str(directory)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode != 0:
        directory.rmdir()
        pytest.skip("mounting a small tmpfs needs to be root and permitted")
    ballast = directory / "ballast"
    settings = {"max_wal_size": "64MB", "min_wal_size": "32MB", "fsync": "off"}
    try:
        server = embedded.start(directory, keep=True, settings=settings)
        engine = database.create_engine(server.url)
        migrate.upgrade(engine)
        options = SyncOptions(as_of=datetime.fromisoformat(DAY), lookups=0)

        def fill_after_two(what: str, done: int, total: int) -> None:
            if done == 1000:
                room = shutil.disk_usage(directory).free
                ballast.write_bytes(b"\0" * (room - 300_000))

        with HubServer(generate(4000), page_limit=500, rate_limit=None) as hub_server:
            hub = Hub(hub_server.url)
            with pytest.raises(RegistryError) as failure:
                sync.sync_models(engine, options, source=hub, on_progress=fill_after_two)
            # Either the data files or the write-ahead log hit the limit; the second takes the
            # server down, and it comes back when there is room.
            assert "disk is full" in str(failure.value) or "reached" in str(failure.value)
            ballast.unlink()
            engine.dispose()
            server = embedded.start(directory, keep=True, settings=settings)
            engine = database.create_engine(server.url)
            with engine.connect() as connection:
                kept = connection.scalar(text("SELECT count(*) FROM store.counters")) or 0
                pages = connection.scalar(text("SELECT pages FROM store.sync_passes"))
            assert kept == 500 * (pages or 0) >= 1000
            report = sync.sync_models(engine, replace(options), source=hub)
            assert report.resumed
            assert report.counts.new == 4000
        engine.dispose()
    finally:
        embedded.stop(directory)
        subprocess.run(["umount", "-l", str(directory)], check=True)
        directory.rmdir()


def test_two_syncs_at_once_by_command(engine: Engine, database_url: str, forks: Forks) -> None:
    with (
        HubServer(generate(300), page_limit=20) as server,
        jobs.exclusive(engine, jobs.Lock.CATALOG),
    ):
        second = forks.run(*command(database_url), environ={"HF_ENDPOINT": server.url})
    assert second.returncode == 5
    assert "Another sync is running" in second.stderr
    assert "Traceback" not in second.stderr


def test_clock_of_the_pass_survives_the_kill(engine: Engine) -> None:
    first = datetime(2026, 6, 1, tzinfo=UTC)
    with HubServer(generate(100), page_limit=20) as server:
        hub = Hub(server.url)
        sync.sync_models(engine, SyncOptions(as_of=first, limit=20, lookups=0), source=hub)
        sync.sync_models(engine, SyncOptions(lookups=0), source=hub)
    with engine.connect() as connection:
        moments = connection.scalars(text("SELECT DISTINCT observed_at FROM store.model_history"))
        assert moments.all() == [first]
