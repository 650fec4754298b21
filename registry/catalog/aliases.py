"""Aliases of a model: read, added and removed by a person."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Connection, text

from registry.catalog.families import refresh_families
from registry.catalog.merge import merge_stub
from registry.catalog.names import model_id
from registry.catalog.resolution import resolve_name_again
from registry.errors import RegistryError, UsageError

LONGEST = 255
"""Characters of an alias, at most."""


@dataclass(frozen=True, slots=True)
class Alias:
    """One name of a model; `source` and the times are those of `registry.model_aliases`."""

    alias: str
    source: str
    confidence: float
    valid_from: datetime | None
    valid_to: datetime | None


def list_aliases(connection: Connection, model: str) -> list[Alias]:
    """Return every name of a model, the present one first, then by name.

    Raises:
        ModelNotFoundError: with the nearest names there are.
    """
    return read_aliases(connection, model_id(connection, model))


def read_aliases(connection: Connection, model_id: int) -> list[Alias]:
    """Return every name of the model of a key, the present one first, then by name."""
    rows = connection.execute(
        text("""
        SELECT a.alias, a.source, a.confidence, a.valid_from, a.valid_to
          FROM registry.model_aliases a JOIN store.models m ON m.name = a.model
         WHERE m.model_id = :model
         ORDER BY a.source <> 'name', a.alias"""),
        {"model": model_id},
    )
    return [Alias(*row) for row in rows]


@dataclass(frozen=True, slots=True)
class AbsorbedStub:
    """A stub whose runs and aliases move to the model that takes its name as an alias."""

    name: str
    runs: int
    aliases: Sequence[str]


def absorbed_stubs(
    connection: Connection, model: str, aliases: Sequence[str]
) -> list[AbsorbedStub]:
    """Return the stubs with aliases of their own that adding some aliases to a model absorbs.

    A stub without aliases is not among them: removing the alias undoes its absorption.

    Raises:
        ModelNotFoundError: with the nearest names there are.
    """
    rows = connection.execute(
        text("""
        SELECT m.name, (SELECT count(*) FROM store.runs r WHERE r.model_id = m.model_id) AS runs,
               ARRAY(SELECT a.alias FROM store.model_aliases a
                      WHERE a.model_id = m.model_id ORDER BY a.alias) AS aliases
          FROM unnest(cast(:aliases AS text[])) WITH ORDINALITY AS given (name, position)
          JOIN store.models m USING (name)
         WHERE m.state = 'stub' AND m.model_id <> :model
           AND EXISTS (SELECT FROM store.model_aliases a WHERE a.model_id = m.model_id)
         ORDER BY given.position"""),
        {"aliases": [alias.strip() for alias in aliases], "model": model_id(connection, model)},
    )
    return [AbsorbedStub(*row) for row in rows]


def add_alias(connection: Connection, model_id: int, alias: str) -> int:
    """Add an alias to a model, and move the runs that go by it to the model.

    Nothing happens if it is one already.

    Returns:
        How many runs moved to the model.

    Raises:
        UsageError: when the alias is empty or too long.
        RegistryError: when it is a name of another model.
    """
    alias = alias.strip()
    if not alias or len(alias) > LONGEST or not alias.isprintable():
        raise UsageError(f"An alias is 1 to {LONGEST} printable characters; {alias[:60]!r} is not.")
    before = _count_runs(connection, model_id)
    holder = connection.execute(
        text("""
        SELECT m.model_id, m.name, m.state, m.name = :alias AS is_name FROM store.models m
          LEFT JOIN store.model_aliases a ON a.model_id = m.model_id AND a.alias = :alias
         WHERE (m.name = :alias OR a.alias IS NOT NULL) AND m.model_id <> :model
         ORDER BY is_name DESC LIMIT 1"""),
        {"alias": alias, "model": model_id},
    ).one_or_none()
    if holder is not None and holder.is_name and holder.state == "stub":
        # Known only by that name, as a parent or from an evaluation.
        now = datetime.now(UTC)
        children = merge_stub(connection, holder.model_id, into=model_id, source="user", as_of=now)
        refresh_families(connection, children)
        return _count_runs(connection, model_id) - before
    if holder is not None and holder.is_name:
        raise RegistryError(
            f"{alias} is the present name of another model, so it cannot be an alias."
        )
    if holder is not None:
        raise RegistryError(
            f"{alias} is an alias of {holder.name}; remove it there first: "
            f"registry models alias remove {shlex.quote(holder.name)} {shlex.quote(alias)}"
        )
    connection.execute(
        text("""
        INSERT INTO store.model_aliases (model_id, alias, source, confidence)
        SELECT model_id, :alias, 'user', 1 FROM store.models
         WHERE model_id = :model AND name <> :alias
            ON CONFLICT DO NOTHING"""),
        {"alias": alias, "model": model_id},
    )
    resolve_name_again(connection, alias, as_of=datetime.now(UTC))
    return _count_runs(connection, model_id) - before


def remove_alias(connection: Connection, model_id: int, alias: str) -> int:
    """Remove an alias of a model, and resolve again the name of the runs that go by it.

    Returns:
        How many runs moved away from the model.

    Raises:
        RegistryError: when the model has no such alias.
    """
    before = _count_runs(connection, model_id)
    removed = connection.execute(
        text("DELETE FROM store.model_aliases WHERE model_id = :model AND alias = :alias"),
        {"alias": alias.strip(), "model": model_id},
    )
    if removed.rowcount == 0:
        name = read_aliases(connection, model_id)[0].alias
        raise RegistryError(f"{alias.strip()} is not an alias of {name}.")
    resolve_name_again(connection, alias.strip(), as_of=datetime.now(UTC))
    return before - _count_runs(connection, model_id)


def _count_runs(connection: Connection, model_id: int) -> int:
    query = text("SELECT count(*) FROM store.runs WHERE model_id = :model")
    return int(connection.execute(query, {"model": model_id}).scalar_one())
