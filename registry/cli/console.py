"""Messages on standard error, and texts without what a terminal would obey."""

from __future__ import annotations

import click

_JOINERS = "\u200c\u200d"
"""Characters that emoji and some scripts are written with, and that no terminal obeys."""


def visible(text: str, *, kept: str = "") -> str:
    r"""Return a text with `\x1b` and the like in place of what a terminal obeys.

    Those are control characters, line ends, and marks that change the direction of writing; a
    person sees that they are there, and nothing happens.

    Args:
        text: from anywhere.
        kept: characters that stay.
    """
    if text.isprintable():
        return text
    return "".join(
        each
        if each.isprintable() or each in _JOINERS or each in kept
        else each.encode("unicode_escape", "surrogatepass").decode()
        for each in text
    )


def say(message: str) -> None:
    """Print a message for people, apart from data, on stderr."""
    click.echo(visible(message, kept="\n"), err=True)
