"""Files of plots: their endings, pages without surrogates, and text that is no formula."""

from collections.abc import Sequence
from pathlib import Path

from registry.errors import UsageError
from registry.files import check_target, new_file

SUFFIXES = (".png", ".html")


def check_endings(paths: Sequence[Path], what: str) -> None:
    """Check that something can be written to new files, a PNG or a page each.

    Args:
        paths: of the files.
        what: subject and verb of the message, such as "A map is".

    Raises:
        UsageError: for a file that is there, a folder that is not, or another ending.
    """
    for path in paths:
        if path.suffix.lower() not in SUFFIXES:
            raise UsageError(f"{what} written as .png or .html, not as {path.name}.")
        check_target(path)


def write_html(page: str, path: Path) -> None:
    """Write a page to a new file; what no encoding takes, as in names of models, is replaced."""
    with new_file(path) as file:
        file.write_text(encodable(page), encoding="utf-8")


def encodable(text: str) -> str:
    """Return text without what no encoding takes."""
    return text.encode(errors="replace").decode()


def plain(text: str) -> str:
    """Return text for matplotlib, of which a dollar sign would start a formula."""
    return encodable(text).replace("$", r"\$")
