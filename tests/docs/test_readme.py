import re
import subprocess
from pathlib import Path

import click
import pytest

from registry.cli import registry
from registry.cli.default_command import DefaultCommandGroup

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()


def commands() -> list[str]:
    found = []
    for name, command in registry.commands.items():
        if isinstance(command, click.Group):
            found += [f"{name} {each}" for each in command.commands]
        else:
            found.append(name)
    return found


@pytest.mark.parametrize("command", commands())
def test_every_command_is_in_the_readme(command: str) -> None:
    group, _, name = command.partition(" ")
    rows = [row for row in README.splitlines() if row.startswith(f"| `registry {group}")] or [
        row for row in README.splitlines() if row.startswith("|") and f"`registry {group}`" in row
    ]
    assert rows, f"no row of the table is about {group}"
    assert not name or any(re.search(rf"`(registry {group} )?{name}`", row) for row in rows)


def test_ci_runs_the_second_command_of_the_readme() -> None:
    first, second = re.findall(r"^```sh\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)[:2]
    assert first.rstrip().endswith("registry demo")
    script = (ROOT / ".ci" / "run").read_text()
    extraction = next(line for line in script.splitlines() if line.startswith("command="))
    found = subprocess.run(
        ["bash", "-c", f'{extraction}; printf %s "$command"'],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.strip() == second.strip()
    assert "pytest" in second


def test_every_option_named_in_the_readme_exists() -> None:
    known = {
        option
        for command in [registry, *walk(registry)]
        for parameter in command.params
        for option in parameter.opts
    }
    # Those of other programs: pip's, apt's.
    named = set(re.findall(r"`(--[a-z-]+)", README)) - {"--help"}
    assert named - known == set()


def walk(group: click.Group) -> list[click.Command]:
    found: list[click.Command] = []
    for command in group.commands.values():
        found.append(command)
        if isinstance(command, click.Group):
            found += walk(command)
        if isinstance(command, DefaultCommandGroup):
            found.append(command.own)
    return found
