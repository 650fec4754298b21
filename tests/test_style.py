import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TOOLS = Path(sys.executable).parent


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(["ruff", "check"], id="ruff"),
        pytest.param(["ruff", "format", "--check"], id="format"),
        pytest.param(["mypy"], id="mypy", marks=pytest.mark.long),
        pytest.param(["lint-imports"], id="layers"),
    ],
)
def test_the_tree_is_clean(command: list[str]) -> None:
    result = subprocess.run(
        [str(TOOLS / command[0]), *command[1:]],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr


def test_commands_and_jobs_run_no_sql() -> None:
    """They call functions of the rooms below, which a web page or another job can call too."""
    uses = []
    for path in [*ROOT.glob("registry/cli/**/*.py"), *ROOT.glob("jobs/*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Attribute(attr="execute" | "exec_driver_sql" | "scalar" | "scalars"):
                    name = node.attr
                case ast.ImportFrom(module="sqlalchemy"):
                    names = {alias.name for alias in node.names}
                    name = ", ".join(sorted(names - {"Connection", "Engine"}))
                case _:
                    continue
            if name:
                uses.append(f"{path.relative_to(ROOT)}:{node.lineno}: {name}")
    assert uses == []


def test_each_temporary_table_is_named_by_one_module_alone() -> None:
    modules = {path: path.read_text() for path in (ROOT / "registry").rglob("*.py")}
    created = r"CREATE TEMPORARY TABLE (?:IF NOT EXISTS )?(\w+)"
    tables = {table for text in modules.values() for table in re.findall(created, text)}
    users = {
        table: sorted(
            str(path.relative_to(ROOT))
            for path, text in modules.items()
            if re.search(rf"\b{table}\b", text)
        )
        for table in tables
    }
    assert len(tables) > 10
    assert {table: paths for table, paths in users.items() if len(paths) > 1} == {}
