"""Commands on an embedded server, disturbed by kill -9 of a backend, the server or the command.

Each round begins a command, kills at a random moment, runs another command at once, which has to
work within a minute, repeats the first, and looks whether anything is lost or doubled.
"""

import os
import random
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import evaluated
import psycopg
from exported import exported
from forks import Ended, Forked, forks
from generated_hub.models import generate
from planted import planted, prompt

from registry.db import connection as database
from registry.db import embedded
from registry.db.embedded import postmaster, processes
from registry.demo.hub.server import HubServer

DAY = "2026-06-01T00:00:00+00:00"
WITHIN = 60.0
"""Seconds within which the command after a kill has to work."""

MODELS, STEP = 400, 100
ITEMS, IMPORTS = 60, 100
TRAIN = ("train", "--method", "irt", "--encoder", "none", "--device", "cpu")
LEARNING = ("registry.embeddings.training", "registry.embeddings.placement")
"""What training and placing import, which takes seconds."""

TARGETS = ("backend", "postmaster", "command")
NEXT: Sequence[tuple[str, ...]] = (
    ("status",),
    ("query", "SELECT count(*) FROM models"),
    ("models", "search", "--limit", "3"),
    ("doctor",),
    ("db", "start"),
    ("db", "stop"),
)

Command: TypeAlias = tuple[str, ...]


@dataclass
class Disturbed:
    """A registry whose commands are killed, and what has been completed in it."""

    directory: Path
    files: Path
    hub: HubServer
    seed: int
    modules: Sequence[str] = ()
    completed: list[tuple[str, int]] = field(default_factory=list)
    """Syncs and imports with their numbers."""
    lines: list[str] = field(default_factory=list)
    struck: int = 0
    """Kills that met a command under way."""

    longest: float = 0.0
    """Seconds that a command after a kill took at most."""

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self._outcomes = planted(40, ITEMS * IMPORTS, rank=2).outcomes
        self._environ = {
            "REGISTRY_DATA_DIR": str(self.directory),
            "HF_ENDPOINT": self.hub.url,
            "COLUMNS": "200",
        }
        self._models, self._imports, self._backups = MODELS, 0, 0
        self._seconds: dict[str, float] = {}
        self._actions: Mapping[str, Callable[[], tuple[Command, int]]] = {
            "sync": self._sync,
            "import": self._import,
            "train": lambda: (TRAIN, 0),
            "place": lambda: (("embeddings", "place"), 0),
            "promote": self._promote,
            "upgrade": self._upgrade,
            "backup": self._backup,
        }

    def prepare(self, *actions: str) -> None:
        """Run each action once, undisturbed."""
        self.run("db", "upgrade")
        for action in actions:
            self.prepare_one(action)

    def prepare_one(self, action: str) -> None:
        """Run an action once, undisturbed."""
        command, number = self._actions[action]()
        self._complete(action, command, number)

    def expect(self, action: str, seconds: float) -> None:
        """Take an action to last so long, without running it."""
        self._seconds[action] = seconds

    def round(self, action: str, target: str, *, keeps: bool | None = None) -> None:
        """Disturb a command by a kill, and check that nothing is lost or doubled.

        Args:
            action: that is disturbed.
            target: what is killed.
            keeps: whether the server runs before and after; None for either, by chance.
        """
        command, number = self._actions[action]()
        keeps = self._random.random() < 0.5 if keeps is None else keeps
        if keeps:
            self.run("db", "start")
        before = self.counts()
        moment = self._random.uniform(0, self._seconds[action])
        with self._started(command) as process:
            at, under_way = self._kill(target, process, moment)
            ended = self._waited(process)
        self.struck += under_way
        assert "Traceback" not in ended.stderr, ended.stderr
        after = self._next(action, command)
        began = time.monotonic()
        result = self.run(*after, codes=(0, 3))
        seconds = time.monotonic() - began
        said = (ended.stderr.strip().splitlines() or [""])[-1]
        self.longest = max(self.longest, seconds)
        server, when = "kept" if keeps else "own", "" if under_way else ", after its end"
        self.lines.append(
            f"{len(self.lines) + 1:3} {action:8} on its {server:4} server, kill -9 {target:10} at "
            f"{at:5.2f} s of {self._seconds[action]:5.2f}{when}: exit {ended.returncode:3}; "
            f"then {' '.join(after)[:34]:34}: exit {result.returncode} in {seconds:4.1f} s | "
            f"{said[:90]}"
        )
        print(self.lines[-1], flush=True)
        if not under_way:
            self._seconds[action] = at
        assert seconds < WITHIN, result.stderr
        kept = self.counts()
        lost = {name: (count, kept[name]) for name, count in before.items() if kept[name] < count}
        assert not lost, lost
        self._complete(action, command, number)
        self.require_whole()

    def counts(self) -> dict[str, int]:
        """Return how many rows of each kind there are."""
        return self._asked(
            """
            SELECT (SELECT count(*) FROM store.models) AS models,
                   (SELECT count(*) FROM store.counters) AS counters,
                   (SELECT count(*) FROM store.edges) AS edges,
                   (SELECT count(*) FROM store.runs) AS runs,
                   (SELECT count(*) FROM store.items) AS items,
                   (SELECT coalesce(sum(outcome_count), 0) FROM store.runs)::int AS outcomes,
                   (SELECT count(*) FROM store.embedding_versions) AS versions,
                   (SELECT count(*) FROM store.embeddings) AS vectors"""
        )

    def require_whole(self) -> None:
        """Check that everything is there once, and that no version is a part of one."""
        found = self._asked("""
            SELECT (SELECT count(*) FROM store.models WHERE state <> 'stub')
                   - (SELECT count(DISTINCT lower(name)) FROM store.models WHERE state <> 'stub')
                   AS models_twice,
                   (SELECT count(*) - count(DISTINCT (model, benchmark)) FROM registry.runs
                     WHERE benchmark ~ '^b[0-9]+$') AS runs_twice,
                   (SELECT count(*) FROM registry.job_runs WHERE status = 'running') AS running,
                   (SELECT count(*) FROM pg_class
                     WHERE relnamespace = 'store'::regnamespace AND relkind = 'r'
                       AND relname ~ '^embeddings_[0-9]+(_next)?$'
                       AND NOT EXISTS (SELECT FROM store.embedding_versions
                                        WHERE relname = 'embeddings_' || version_id)) AS orphans,
                   (SELECT abs(count(*) - 1) FROM registry.embedding_versions WHERE current)
                   * (SELECT least(count(*), 1) FROM store.embedding_versions)::int AS currents
            """)
        assert not any(found.values()), found

    def contents(self) -> dict[str, object]:
        """Return all that is in the catalog and in evaluations, independent of keys."""
        with embedded.running(self.directory) as server:
            engine = database.create_engine(server.url)
            with engine.connect() as connection:
                stored: dict[str, object] = {**exported(connection)}
                evaluations = evaluated.contents(connection)
            engine.dispose()
        # An import that was repeated says so.
        return {**stored, **{key: value for key, value in evaluations.items() if key != "imports"}}

    def back_up(self) -> dict[str, object]:
        """Make another backup; return what is in it."""
        self.run(*self._backup()[0])
        return self.contents()

    def restored(self, elsewhere: Path) -> "Disturbed":
        """Restore the last backup elsewhere."""
        other = Disturbed(elsewhere, self.files, self.hub, self.seed)
        other.run("restore", str(self.files / f"{self._backups}.backup"))
        return other

    def replay(self, completed: Sequence[tuple[str, int]]) -> None:
        """Run what was completed elsewhere, undisturbed."""
        self.run("db", "upgrade")
        for action, number in completed:
            if action == "sync":
                self._models = number - STEP
            if action == "import":
                self._imports = number - 1
            self._complete(action, self._actions[action]()[0], number)

    def run(self, *command: str, codes: Sequence[int] = (0,)) -> Ended:
        """Run a command to its end."""
        with self._started(command) as process:
            ended = self._waited(process)
        assert ended.returncode in codes, (command, ended)
        return ended

    def _sync(self) -> tuple[Command, int]:
        self._models += STEP
        self.hub.replace(generate(self._models))
        return ("sync", "--full", "--as-of", DAY, "--lookups", "0"), self._models

    def _import(self) -> tuple[Command, int]:
        self._imports += 1
        first = ITEMS * self._imports
        made = self._outcomes[:, first : first + ITEMS]
        path = self.files / f"benchmark-{self._imports}.csv"
        evaluated.long_table(
            path,
            (
                (
                    f"org/m{model}",
                    f"b{self._imports}",
                    f"{prompt(item)} {first + item}",
                    int(outcome),
                )
                for model, row in enumerate(made)
                for item, outcome in enumerate(row)
            ),
        )
        return ("evals", "import", str(path)), self._imports

    def _promote(self) -> tuple[Command, int]:
        versions = self._rows(
            "SELECT version_id, state = 'current' FROM store.embedding_versions ORDER BY random()"
        )
        version = next((each for each, current in versions if not current), versions[0][0])
        return ("embeddings", "promote", str(version), "--force"), int(str(version))

    def _upgrade(self) -> tuple[Command, int]:
        self._rows("UPDATE store.sql_objects SET fingerprint = 'of another version' RETURNING 1")
        return ("db", "upgrade"), 0

    def _backup(self) -> tuple[Command, int]:
        self._backups += 1
        return ("backup", str(self.files / f"{self._backups}.backup")), self._backups

    def _next(self, action: str, command: Command) -> Command:
        """Choose what is run after a kill."""
        if action == "backup" and Path(command[1]).exists():
            return ("status",)
        # The views are of another version until the upgrade is repeated, which doctor reports.
        others = [each for each in NEXT if action != "upgrade" or each != ("doctor",)]
        return self._random.choice([*others, command])

    def _complete(self, action: str, command: Command, number: int) -> None:
        if action == "backup" and Path(command[1]).exists():
            return  # it is whole: it had been renamed
        began = time.monotonic()
        self.run(*command, codes=(0, 3) if action == "train" else (0,))
        took = time.monotonic() - began
        self._seconds[action] = (self._seconds.get(action, took) + took) / 2
        if action == "backup":
            left = {path.name for path in self.files.iterdir()} - {Path(command[1]).name}
            assert not {each for each in left if "partial" in each}, left
        if action in {"sync", "import"}:
            self.completed.append((action, number))

    def _started(self, command: Command) -> AbstractContextManager[Forked]:
        return forks().started(
            "-m", "registry", *command, environ=self._environ, modules=self.modules
        )

    def _waited(self, process: Forked) -> Ended:
        end = time.monotonic() + WITHIN
        while process.running():
            assert time.monotonic() < end, "the command has not ended in a minute"
            time.sleep(0.02)
        return process.wait()

    def _kill(self, target: str, process: Forked, moment: float) -> tuple[float, bool]:
        """Kill after a number of seconds, or as soon as there is what to kill.

        Returns:
            When, and whether the process was under way.
        """
        began = time.monotonic()
        while process.running():
            at = time.monotonic() - began
            if at >= moment:
                if target == "command":
                    process.kill()
                    return at, True
                if self._kill_server(target):
                    return at, True
            time.sleep(0.005)
        # It was faster than before: a server that is kept is killed all the same.
        at = time.monotonic() - began
        self._kill_server(target)
        return at, False

    def _kill_server(self, target: str) -> bool:
        """Kill the server, or a process of it, if there is one."""
        victim = self._victim(target)
        if victim is None:
            return False
        try:
            os.kill(victim, signal.SIGKILL)
        except ProcessLookupError:  # it has just ended
            return False
        return True

    def _victim(self, target: str) -> int | None:
        server = postmaster.find(self.directory / "postgres")
        if server is None or target == "postmaster":
            return server.pid if server else None
        running = processes.children(server.pid)
        clients = [each for each in running if "127.0.0.1" in each.title]
        chosen = clients or ([] if target == "command" else running)
        return self._random.choice(chosen).pid if chosen else None

    def _asked(self, query: str) -> dict[str, int]:
        with (
            embedded.running(self.directory) as server,
            psycopg.connect(server.url, row_factory=psycopg.rows.dict_row) as connection,
        ):
            row = connection.execute(query.encode()).fetchone()
        assert row
        return row

    def _rows(self, query: str) -> list[tuple[object, ...]]:
        with (
            embedded.running(self.directory) as server,
            psycopg.connect(server.url) as connection,
        ):
            return connection.execute(query.encode()).fetchall()
