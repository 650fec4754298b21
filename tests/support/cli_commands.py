"""The command line in tests: called in this process, or as one of its own."""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import orjson
import pytest
from click.testing import CliRunner, Result
from forks import forks

from registry.cli import registry
from registry.db import connection as database
from registry.demo.hub.server import HubServer
from registry.demo.models import RENAMED, models
from registry.hub.client import Hub
from registry.sync.sync import SyncOptions, sync_models

if TYPE_CHECKING:
    from databases import Databases

REPOSITORY = Path(__file__).resolve().parents[2]


class Commands:
    """Runs commands on one database, in this process."""

    def __init__(self, url: str | None) -> None:
        self.url = url

    def __call__(self, *arguments: str, stdin: str | None = None, **environ: str) -> Result:
        """Run a command, whatever its exit code."""
        options = ["--database-url", self.url] if self.url else []
        return CliRunner().invoke(
            registry, [*options, *arguments], input=stdin, env=environ, prog_name="registry"
        )

    def done(self, *arguments: str, **environ: str) -> str:
        """Run a command that must succeed; return what it wrote to stdout."""
        result = self(*arguments, **environ)
        assert result.exit_code == 0, result.output
        return result.stdout

    def json(self, *arguments: str) -> Any:
        """Run a command that must succeed and return its JSON."""
        return orjson.loads(self.done(*arguments, "--format", "json"))

    def refused(self, exit_code: int, *arguments: str, **environ: str) -> str:
        """Run a command that must fail with this exit code; return what it wrote to stderr."""
        result = self(*arguments, **environ)
        assert result.exit_code == exit_code, result.output
        assert "Traceback" not in result.stderr
        return result.stderr


def parse(words: Sequence[str]) -> None:
    """Parse the words after `registry`, as it does, and run nothing.

    Commands keep what they have made of their settings, which come from the one above: so each is
    reached by way of that.
    """
    command: click.Command = registry
    with ExitStack() as stack:
        context = stack.enter_context(command.make_context("registry", list(words)))
        while isinstance(command, click.Group):
            remaining = [*context._protected_args, *context.args]
            if not remaining and command.invoke_without_command:
                break
            name, below, rest = command.resolve_command(context, remaining)
            assert below is not None
            command = below
            context = stack.enter_context(below.make_context(name, rest, parent=context))


def start(*arguments: str, **environ: str) -> subprocess.Popen[str]:
    """Start `registry` as a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "registry", *arguments],
        cwd=REPOSITORY,
        env={**os.environ, **environ},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(*arguments: str, **environ: str) -> tuple[int, str, str]:
    """Run `registry` in a process of its own; return exit code, stdout and stderr."""
    return forks().run("-m", "registry", *arguments, environ=environ)


@pytest.fixture
def commands(database_url: str) -> Commands:
    """Commands on a migrated, empty database."""
    return Commands(database_url)


@pytest.fixture(scope="session")
def sample_hub() -> Iterator[str]:
    """The sample Hub as it is on one day; return its address."""
    with HubServer(models(date(2026, 3, 1)), moved=RENAMED) as server:
        yield server.url


@pytest.fixture(scope="session")
def sample_url(databases: "Databases", sample_hub: str) -> Iterator[str]:
    """A database with the sample Hub's models, for commands that only read."""
    with databases.made(template=databases.template()) as url:
        sync_models(
            database.create_engine(url), SyncOptions(full=True), source=Hub(sample_hub, token=False)
        )
        yield url.render_as_string(hide_password=False)


@pytest.fixture(scope="session")
def sample(sample_url: str) -> Commands:
    """Commands on the sample Hub's models; they must only read."""
    return Commands(sample_url)
