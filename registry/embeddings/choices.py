"""Choices of settings in the database, kept until their training has made a version."""

import math
from collections.abc import Mapping
from typing import Any

import orjson
from sqlalchemy import Connection, Engine, text

from registry.learning.factorization.selection import Choice
from registry.learning.space import choices

KEPT_DAYS = 7
"""Days after which choices of a training that never ended are deleted."""


class KeptChoices:
    """The choices of one training: those of an earlier one that did not end, and its own."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._keys: list[str] = []

    def find(self, key: str) -> Choice | None:
        """Return the choice that was kept under a key; None without one."""
        self._keys.append(key)
        with self._engine.connect() as connection:
            values = connection.scalar(
                text("SELECT choice FROM store.training_choices WHERE choice_key = :key"),
                {"key": key},
            )
        return None if values is None else choices.from_json(_numbers(values))

    def keep(self, key: str, choice: Choice) -> None:
        """Store a choice at once, so that it outlives this process."""
        packed = orjson.dumps(choices.as_json(choice), option=orjson.OPT_SERIALIZE_NUMPY)
        with self._engine.begin() as connection:
            connection.execute(
                text("""
                INSERT INTO store.training_choices (choice_key, made_at, choice)
                VALUES (:key, clock_timestamp(), CAST(:choice AS jsonb))
                ON CONFLICT (choice_key) DO UPDATE
                   SET made_at = excluded.made_at, choice = excluded.choice"""),
                {"key": key, "choice": packed.decode()},
            )

    def forget(self, connection: Connection) -> None:
        """Delete the choices of this training, whose version has them, and old ones."""
        connection.execute(
            text("""
            DELETE FROM store.training_choices
             WHERE choice_key = ANY (:keys)
                OR made_at < clock_timestamp() - make_interval(days => :days)"""),
            {"keys": self._keys, "days": KEPT_DAYS},
        )


def _numbers(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a choice's JSON with NaN where a metric is unknown: JSON has null for it."""
    validation = {
        kind: {name: math.nan if value is None else value for name, value in metrics.items()}
        for kind, metrics in values["validation"].items()
    }
    return {**values, "validation": validation}
