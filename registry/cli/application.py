"""Database of a call of the command line, and how commands open it."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus

import click

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection, Engine

    from registry.db.connection import Setting

SHORTEST_HIDDEN = 4
"""Length from which a password is blotted out of messages; a shorter one is part of any word."""


@dataclass(frozen=True, slots=True)
class Application:
    """One call of the command line."""

    database_url: str | None

    def setting(self) -> Setting:
        """Return the setting of the database."""
        from registry.db import connection as database

        return database.setting(self.database_url)

    def without_password(self, message: str) -> str:
        """Return a message with the database's password blotted out, in every spelling."""
        from registry.errors import UsageError

        try:
            url = self.setting().url
        except UsageError:
            return message
        password = url.password if url is not None else None
        if password is None or len(password) < SHORTEST_HIDDEN:
            return message
        for spelling in (password, quote(password), quote_plus(password)):
            message = message.replace(spelling, "***")
        return message

    @contextmanager
    def engine(self) -> Iterator[Engine]:
        """Open the database at any revision."""
        from registry.db import connection as database

        with database.engine(self.setting()) as opened:
            yield opened

    @contextmanager
    def query_engine(self) -> Iterator[Engine]:
        """Open the database for a user's SQL: by REGISTRY_QUERY_URL, where no flag names one."""
        import os

        from registry.db import connection as database
        from registry.db.query.login import SETTING, checked

        given = None if self.database_url else os.environ.get(SETTING)
        if not given:
            with self.engine() as opened:
                yield opened
            return
        with checked(database.postgres_url(given, SETTING)) as opened:
            yield opened

    def set_up(self, engine: Engine) -> None:
        """Bring an empty embedded database to head; any other is its owner's to upgrade."""
        from registry.cli.console import say
        from registry.db import connection as database

        if not database.is_empty_embedded(self.setting(), engine):
            return
        from registry.evaluations.upgrades import upgrade

        report = upgrade(engine, embedded=True)
        say(f"Set up the embedded database, at revision {report.after}.")

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Open the database at head, in a transaction that cannot write."""
        from registry.db import connection as database

        with self.engine() as opened, database.reading(opened) as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Open the database at head, in a transaction that is committed at the end."""
        from registry.db import connection as database

        with self.engine() as opened, database.writing(opened) as connection:
            yield connection


pass_application = click.make_pass_decorator(Application)
