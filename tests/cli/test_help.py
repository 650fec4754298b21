"""Help: complete, true, and quick."""

import shlex
import subprocess
import sys
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path

import click
import pytest
from cli_commands import parse
from click.testing import CliRunner

from registry.cli import registry
from registry.cli.default_command import DefaultCommandGroup
from registry.version import __version__


def every_command(
    command: click.Command = registry, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        for name, below in command.commands.items():
            yield from every_command(below, (*path, name))


COMMANDS = dict(every_command())


def examples(command: click.Command) -> list[list[str]]:
    """Return the arguments of each `registry ...` in a command's help."""
    found = []
    for line in (command.help or "").partition("Example")[2].splitlines()[1:]:
        if not line.strip():
            break
        before, _, call = line.replace('"$(', "(").partition("registry ")
        if before.strip(" (") in {"", "psql", "crontab -l;"}:
            lexer = shlex.shlex(call.partition("   ")[0], posix=True, punctuation_chars="|&<>;)")
            lexer.whitespace_split = True
            found.append(list(takewhile(lambda word: word[0] not in "|&<>;)", lexer)))
    return found


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_has_help_with_an_example(path: tuple[str, ...]) -> None:
    result = CliRunner().invoke(registry, [*path, "--help"], prog_name="registry")
    assert result.exit_code == 0
    assert "Example" in result.output
    assert examples(COMMANDS[path])
    short = CliRunner().invoke(registry, [*path, "-h"], prog_name="registry")
    assert short.output == result.output


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_examples_parse(
    path: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "report.sql").write_text("SELECT 1")
    for words in examples(COMMANDS[path]):
        parse(words)


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_option_is_explained(path: tuple[str, ...]) -> None:
    command = COMMANDS[path]
    own = command.own.params if isinstance(command, DefaultCommandGroup) else []
    silent = [
        parameter.name
        for parameter in [*command.params, *own]
        if isinstance(parameter, click.Option) and not parameter.help
    ]
    assert silent == []


def test_summaries_are_not_cut_off() -> None:
    for path, command in COMMANDS.items():
        if isinstance(command, click.Group):
            result = CliRunner().invoke(registry, [*path, "--help"], prog_name="registry")
            assert "..." not in result.output.partition("Commands:")[2], path


def test_version() -> None:
    result = CliRunner().invoke(registry, ["--version"], prog_name="registry")
    assert result.exit_code == 0
    assert result.output == f"registry, version {__version__}\n"


def test_help_loads_nothing_heavy() -> None:
    program = """
import sys
sys.argv = ["registry", "--help"]
from registry.cli import main
try:
    main()
except SystemExit as end:
    assert end.code == 0
heavy = {"torch", "pandas", "numpy", "sqlalchemy", "psycopg", "alembic", "huggingface_hub", "rich",
         "orjson", "msgspec", "yaml"}
print("loaded:", sorted(heavy & set(sys.modules)))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "loaded: []"


def test_what_does_not_migrate_goes_without_alembic() -> None:
    program = """
import sys
import registry.sync.sync, registry.catalog.search, registry.evaluations.importer
import registry.embeddings.placement
print("loaded:", "alembic" in sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "loaded: False"


def test_completion_knows_the_commands() -> None:
    result = CliRunner().invoke(
        registry,
        [],
        prog_name="registry",
        complete_var="_REGISTRY_COMPLETE",
        env={"_REGISTRY_COMPLETE": "bash_complete", "COMP_WORDS": "registry li", "COMP_CWORD": "1"},
    )
    assert result.exit_code == 0
    assert result.output == "plain,lineage\n"
