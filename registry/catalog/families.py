"""Families in the database: each model's place in the tree of first parents."""

from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import Connection, text

from registry.catalog.rows import NULL
from registry.db.copy import copy_lines, copy_rows

_INCOMING_FAMILIES = """
CREATE TEMPORARY TABLE IF NOT EXISTS incoming_families (
    model_id bigint PRIMARY KEY, primary_parent_id bigint, family_id bigint,
    generation smallint, in_cycle boolean
) ON COMMIT DELETE ROWS;
DELETE FROM incoming_families;  -- empty already, unless one transaction moves models twice
"""

_FAMILY_COLUMNS = ("model_id", "primary_parent_id", "family_id", "generation", "in_cycle")

FOLLOWED = {"finetune": 1, "adapter": 1, "quantized": 1, "merge": 2, "base_unknown": 3}
"""Rank of a relation as the first parent: one parent alone, then the sources of a merge."""

_RANK = " ".join(f"WHEN '{relation}' THEN {rank}" for relation, rank in FOLLOWED.items())

BEST_PARENT_FIRST = (
    f'CASE e.relation {_RANK} END, e.confidence DESC, e.position, parent.name COLLATE "C"'
)
"""Order of a model's edges `e` to models `parent`: a family follows the first."""


def refresh_families(
    connection: Connection,
    model_ids: Iterable[int],
    *,
    unplaced: Mapping[int, int | None] | None = None,
) -> int:
    """Compute the place in their families of the given models and of all that descend from them.

    A model's first parent is the one it was fine-tuned, adapted or quantized from, else the first
    source of a merge; a family is the tree of first parents below one root. Where first parents
    form a cycle, the member whose name sorts first is the root.

    Args:
        connection: in a transaction.
        model_ids: models whose edges are as stored.
        unplaced: models that have no place yet, with the key of their first parent.

    Returns:
        How many models changed their place.
    """
    unplaced = unplaced or {}
    parents, known = _moved(connection, sorted({*model_ids} - unplaced.keys()))
    parents |= unplaced
    if not parents:
        return 0
    # A model without a place has no descendants yet.
    _add_descendants(connection, parents, known)
    # Models that are not below a moved one keep their places, where the way up ends.
    outside = {parent for parent in parents.values() if parent is not None} - parents.keys()
    unmoved = connection.execute(
        text(
            "SELECT model_id, family_id, generation FROM store.model_families"
            " WHERE model_id = ANY (:ids)"
        ),
        {"ids": list(outside)},
    )
    places = {row.model_id: (row.family_id, row.generation, False) for row in unmoved}
    _place(connection, parents, places)
    copy_lines(
        connection,
        "store.model_families",
        _FAMILY_COLUMNS,
        (
            "\t".join(map(str, (model, NULL if parent is None else parent, *places[model])))
            for model, parent in unplaced.items()
        ),
    )
    moved = {model: parent for model, parent in parents.items() if model not in unplaced}
    return len(unplaced) + _move(connection, moved, places)


def _moved(connection: Connection, ids: Sequence[int]) -> tuple[dict[int, int | None], list[int]]:
    """Return the first parents of those models that have another one now or no place yet.

    And which of them have a place.
    """
    if not ids:
        return {}, []
    rows = connection.execute(
        text(f"""
        SELECT c.model_id, p.parent_id, f.model_id IS NOT NULL AS known,
               f.primary_parent_id IS DISTINCT FROM p.parent_id AS moved
          FROM unnest(cast(:ids AS bigint[])) AS c (model_id)
          LEFT JOIN store.model_families f USING (model_id)
          LEFT JOIN LATERAL (
              SELECT e.parent_id
                FROM store.edges e JOIN store.models parent ON parent.model_id = e.parent_id
               WHERE e.child_id = c.model_id AND e.parent_id <> e.child_id
               ORDER BY {BEST_PARENT_FIRST}
               LIMIT 1) p ON true"""),  # noqa: S608
        {"ids": ids},
    ).all()
    parents = {row.model_id: row.parent_id for row in rows if row.moved or not row.known}
    return parents, [row.model_id for row in rows if row.known and row.moved]


def _move(
    connection: Connection,
    parents: Mapping[int, int | None],
    places: Mapping[int, tuple[int, int, bool]],
) -> int:
    """Write the places of models that may have one; return how many have another now."""
    if not parents:
        return 0
    connection.exec_driver_sql(_INCOMING_FAMILIES)
    copy_rows(
        connection,
        "incoming_families",
        _FAMILY_COLUMNS,
        ((model, parent, *places[model]) for model, parent in parents.items()),
    )
    result = connection.execute(
        text("""
        INSERT INTO store.model_families AS f
               (model_id, primary_parent_id, family_id, generation, in_cycle)
        SELECT model_id, primary_parent_id, family_id, generation, in_cycle
          FROM incoming_families
            ON CONFLICT (model_id) DO UPDATE
           SET primary_parent_id = excluded.primary_parent_id, family_id = excluded.family_id,
               generation = excluded.generation, in_cycle = excluded.in_cycle
         WHERE (f.primary_parent_id, f.family_id, f.generation, f.in_cycle)
               IS DISTINCT FROM (excluded.primary_parent_id, excluded.family_id,
                                 excluded.generation, excluded.in_cycle)""")
    )
    return result.rowcount


def _add_descendants(
    connection: Connection, parents: dict[int, int | None], known: Sequence[int]
) -> None:
    """Add to `parents` the first parent of each model below one of them that is known already."""
    frontier = [model for model in known if model in parents]
    # One index scan a generation; a recursive query was planned as a join with the whole table.
    while frontier:
        rows = connection.execute(
            text(
                "SELECT model_id, primary_parent_id FROM store.model_families"
                " WHERE primary_parent_id = ANY (:ids)"
            ),
            {"ids": frontier},
        ).all()
        added = {model: parent for model, parent in rows if model not in parents}
        parents |= added
        frontier = list(added)


def _place(
    connection: Connection,
    parents: Mapping[int, int | None],
    places: dict[int, tuple[int, int, bool]],
) -> None:
    """Add to `places` the (root, steps from it, in a cycle) of each model in `parents`."""
    for start in parents:
        path: list[int] = []
        on_path: dict[int, int] = {}
        model: int | None = start
        while model is not None and model not in places and model not in on_path:
            on_path[model] = len(path)
            path.append(model)
            model = parents[model]
        if model is None:
            root = path.pop()
            places[root] = (root, 0, False)
        elif model in on_path:
            _place_cycle(connection, path[on_path[model] :], parents, places)
            path = path[: on_path[model]]
        for below in reversed(path):
            parent = parents[below]
            assert parent is not None
            family, generation, _ = places[parent]
            places[below] = (family, min(generation + 1, 32767), False)


def _place_cycle(
    connection: Connection,
    cycle: Sequence[int],
    parents: Mapping[int, int | None],
    places: dict[int, tuple[int, int, bool]],
) -> None:
    root = connection.scalar(
        text(
            "SELECT model_id FROM store.models WHERE model_id = ANY (:ids)"
            ' ORDER BY name COLLATE "C" LIMIT 1'
        ),
        {"ids": list(cycle)},
    )
    assert root is not None
    children = {parents[model]: model for model in cycle}
    model, generation = root, 0
    for _ in cycle:
        places[model] = (root, generation, True)
        model, generation = children[model], generation + 1
