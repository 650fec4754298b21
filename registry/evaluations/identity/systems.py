"""Names of systems that earlier versions of the registry took for the models they are around."""

from collections.abc import Sequence
from datetime import UTC, datetime

from sqlalchemy import Connection, Engine, text

from registry.catalog.resolution import resolve_name_again
from registry.db.jobs import Lock, locked
from registry.evaluations.identity.variants import NameRule, split

_KNOWS_SYSTEMS = "0011"
"""Revision from which a system's run is a variant of its model's."""


def part_systems(engine: Engine, before: str | None, rules: Sequence[NameRule]) -> int:
    """Remove aliases that are names of systems, after an upgrade from revision `before`.

    Their runs move to models of those names. A later import of their files states them as variants
    of the models.

    Args:
        engine: of a database at head.
        before: revision before the upgrade; None for an empty database.
        rules: of names of systems.

    Returns:
        How many names no longer are those of the models.
    """
    if before is None or before >= _KNOWS_SYSTEMS:
        return 0
    doing = "part systems from their models"
    with locked(engine, Lock.EVALUATIONS, doing=doing), engine.begin() as connection:
        return _part(connection, rules)


def _part(connection: Connection, rules: Sequence[NameRule]) -> int:
    stated = connection.execute(
        text("""
        SELECT a.alias, m.name AS model FROM store.model_aliases a
          JOIN store.models m USING (model_id)
         WHERE a.source = 'evaluation' ORDER BY a.alias""")
    ).all()
    systems = [row.alias for row in stated if _is_around(row.alias, row.model, rules)]
    connection.execute(
        text(
            "DELETE FROM store.model_aliases WHERE source = 'evaluation' AND alias = ANY (:names)"
        ),
        {"names": systems},
    )
    for name in systems:
        resolve_name_again(connection, name, as_of=datetime.now(UTC))
    return len(systems)


def _is_around(alias: str, model: str, rules: Sequence[NameRule]) -> bool:
    """Return whether an alias names a system around a model that is not one by its own name."""
    return split(alias, rules).variant is not None and split(model, rules).variant is None
