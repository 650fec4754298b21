"""Messages on standard error."""

from __future__ import annotations

import click


def say(message: str) -> None:
    """Print a message for people, apart from data, on stderr."""
    click.echo(message, err=True)
