import ast
import re
from pathlib import Path

import pytest
from architecture import PAGE, ROOT, current, tree

TEXT = PAGE.read_text() + (ROOT / "CONTRIBUTING.md").read_text()
NAMED = sorted(set(re.findall(r"`([\w./]+\.(?:py|sql|toml|md|yml))(?::(\w[\w.]*))?`", TEXT)))
"""Files that the pages name, relative to the repository or to registry/, and what is in them."""


def test_the_tree_is_that_of_the_files() -> None:
    assert current() == tree(), "run `python tests/support/architecture.py`"


def test_every_module_says_what_is_in_it() -> None:
    empty = [path for path in (ROOT / "registry").rglob("*.py") if not first_line(path)]
    assert empty == []


def first_line(path: Path) -> str:
    return (ast.get_docstring(ast.parse(path.read_text())) or "").partition("\n")[0]


@pytest.mark.parametrize(("file", "name"), [each for each in NAMED if "/" in each[0]])
def test_what_the_pages_name_exists(file: str, name: str) -> None:
    path = next((each for each in (ROOT / file, ROOT / "registry" / file) if each.exists()), None)
    assert path, f"there is no {file}"
    if name and path.suffix == ".py":
        outer, _, inner = name.partition(".")
        definitions = {
            node.name: node
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.ClassDef | ast.FunctionDef)
        }
        assert outer in definitions, f"{file} defines no {outer}"
        assert not inner or inner in definitions, f"{outer} of {file} has no {inner}"
