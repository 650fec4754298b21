"""Names of systems that earlier versions of the registry took for the models they are around."""

from collections.abc import Sequence
from datetime import UTC, datetime

from sqlalchemy import Connection, text

from registry.catalog.resolution import resolve_name_again
from registry.evaluations.identity.variants import NameRule, split

_KNOWS_SYSTEMS = "0011"
"""Revision from which a system's run is a variant of its model's."""


def part_systems(connection: Connection, before: str, rules: Sequence[NameRule]) -> int:
    """Remove aliases that are names of systems, after an upgrade from revision `before`.

    Their runs move to models of those names. A later import of their files states them as variants
    of the models.

    Args:
        connection: in a transaction, at head.
        before: revision before the upgrade.
        rules: of names of systems.

    Returns:
        How many names no longer are those of the models.
    """
    if before >= _KNOWS_SYSTEMS:
        return 0
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
