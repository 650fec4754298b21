"""The tree of modules in docs/architecture.md, from their docstrings.

`python tests/support/architecture.py` writes it again.
"""

import ast
import re
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "architecture.md"
_COMMENT = re.compile("--")
_TREE = re.compile(r"(?<=<!-- tree -->\n)(.*?)(?=<!-- end of tree -->)", re.DOTALL)


def summary(module: Path) -> str:
    """Return the first line of a module's docstring."""
    docstring = ast.get_docstring(ast.parse(module.read_text())) or ""
    return docstring.partition("\n")[0]


def statement(script: Path) -> str:
    """Return the first sentence of the comment at the top of a SQL file, without the name."""
    lines = script.read_text().splitlines()
    comment = " ".join(line[2:].strip() for line in takewhile(_COMMENT.match, lines))
    return re.split(r"(?<=[.;]) ", comment.partition(": ")[2])[0].rstrip(".;")


def folders() -> Iterator[Path]:
    """Yield the folders of the package in the order of their paths, the package itself first."""
    package = ROOT / "registry"
    inner = (path for path in package.rglob("*") if path.is_dir() and path.name != "__pycache__")
    yield from (package, *sorted(inner))


def tree() -> str:
    """Return the tree as Markdown: a heading a folder, a line a module or SQL file."""
    parts = []
    for folder in folders():
        modules = sorted(path for path in folder.glob("*.py"))
        scripts = sorted(folder.glob("*.sql"))
        if not modules and not scripts:
            continue
        name = folder.relative_to(ROOT).as_posix()
        package = folder / "__init__.py"
        heading = f": {summary(package)}" if package in modules else ""
        lines = [f"**{name}/**{heading}", ""]
        lines += [f"- `{path.name}`: {summary(path)}" for path in modules if path != package]
        lines += [f"- `{path.name}`: {statement(path)}" for path in scripts]
        parts.append("\n".join(lines).rstrip("\n"))
    return "\n\n".join(parts) + "\n"


def current() -> str:
    """Return the tree as the page has it."""
    match = _TREE.search(PAGE.read_text())
    assert match, f"{PAGE.name} has no tree"
    return match[1]


if __name__ == "__main__":
    page = PAGE.read_text()
    PAGE.write_text(_TREE.sub(lambda _: tree(), page))
