"""Messages for people on standard error."""

from __future__ import annotations

import click


def say(message: str) -> None:
    """Tell the person at the terminal something that is not data."""
    click.echo(message, err=True)
