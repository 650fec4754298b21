"""One name for one thing: classes in the whole package, modules within their room."""

import ast
from collections import defaultdict
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "registry"
MODULES = sorted(PACKAGE.rglob("*.py"))


def room(module: Path) -> str:
    """Return the top-level package of a module; among formats and commands, its folder."""
    parts = module.relative_to(PACKAGE).parent.parts
    if parts[:2] == ("evaluations", "formats") or parts[0] == "cli":
        return "/".join(parts)
    return parts[0]


def test_every_public_class_has_a_name_of_its_own() -> None:
    homes = defaultdict(list)
    for module in MODULES:
        for node in ast.parse(module.read_text()).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                homes[node.name].append(module.relative_to(PACKAGE).as_posix())
    assert {name: where for name, where in homes.items() if len(where) > 1} == {}


def test_every_module_of_a_room_has_a_name_of_its_own() -> None:
    homes = defaultdict(list)
    for module in MODULES:
        if module.parent != PACKAGE and module.name != "__init__.py":
            homes[room(module), module.stem].append(module.relative_to(PACKAGE).as_posix())
    assert {name: where for name, where in homes.items() if len(where) > 1} == {}


def test_the_house_stays_small() -> None:
    top = [path for path in PACKAGE.iterdir() if path.name != "__pycache__"]
    assert len([path for path in top if path.is_dir()]) <= 12
    assert len([path for path in top if path.is_file() and path.suffix == ".py"]) <= 8


@pytest.mark.parametrize(
    "folder", sorted({module.parent for module in MODULES}), ids=lambda folder: folder.name
)
def test_no_folder_has_more_than_twenty_modules(folder: Path) -> None:
    assert len(list(folder.glob("*.py"))) <= 20
