"""Lineage in the database: edges, stubs for parents not seen yet, and families."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from sqlalchemy import Connection, text

from registry.db import copy_rows
from registry.identity import merge_stub
from registry.records import ModelRecord

_TEMPORARY = """
CREATE TEMPORARY TABLE IF NOT EXISTS incoming_edges (
    child text, parent text, relation text, source text, confidence real, position smallint,
    parent_id bigint
) ON COMMIT DELETE ROWS;
CREATE INDEX IF NOT EXISTS incoming_edges_child_idx ON incoming_edges (child);
CREATE TEMPORARY TABLE IF NOT EXISTS incoming_families (
    model_id bigint PRIMARY KEY, primary_parent_id bigint, family_id bigint,
    generation smallint, in_cycle boolean
) ON COMMIT DELETE ROWS;
"""


def prepare(connection: Connection) -> None:
    """Make the temporary tables that pages go through, once per connection."""
    connection.exec_driver_sql(_TEMPORARY)


def upsert_edges(
    connection: Connection,
    records: Sequence[ModelRecord],
    *,
    orphans: Iterable[int] = (),
    as_of: datetime,
) -> int:
    """Make the edges of the given models those of their records, and place them in families.

    Args:
        connection: in the page's transaction, after `catalog.upsert_models`.
        records: the new and changed models of the page.
        orphans: other models whose first parent needs to be found again.
        as_of: when they were observed.

    Returns:
        How many edges were added, changed or removed.
    """
    adopted = _adopt_stubs(connection, records, as_of)
    connection.exec_driver_sql("DELETE FROM incoming_edges")
    copy_rows(
        connection,
        "incoming_edges",
        ("child", "parent", "relation", "source", "confidence", "position"),
        (
            (record.name, p.name, p.relation, p.source, p.confidence, p.position)
            for record in records
            for p in record.parents
        ),
    )
    stubs = _resolve_parents(connection, as_of)
    changed = _replace_edges(connection)
    new = connection.scalars(
        text("""
        SELECT i.model_id FROM incoming_keys i
         WHERE NOT EXISTS (SELECT FROM store.model_families f WHERE f.model_id = i.model_id)""")
    ).all()
    refresh_families(connection, {*orphans, *adopted, *stubs, *changed, *new})
    return len(changed)


def _adopt_stubs(
    connection: Connection, records: Sequence[ModelRecord], as_of: datetime
) -> list[int]:
    """Let stubs that are a model of the page under another spelling or a former name go into it."""
    children = _inherit_children(connection)
    spelled = connection.execute(
        text("""
        SELECT stub.model_id AS stub_id, i.model_id
          FROM incoming_keys i
          JOIN store.models stub ON lower(stub.name) = lower(i.name) AND stub.state = 'stub'
         WHERE stub.model_id <> i.model_id""")
    ).all()
    for stub_id, model_id in spelled:
        children += merge_stub(connection, stub_id, into=model_id, source="case", as_of=as_of)
    renames = {old: new for record in records for old, new in record.renames if old != new}
    if renames:
        # What a card calls its parent is another name of it, unless a model goes by that name.
        connection.execute(
            text("""
            INSERT INTO store.model_aliases (model_id, alias, source, confidence)
            SELECT m.model_id, r.old, 'card', 0.8
              FROM unnest(cast(:old AS text[]), cast(:new AS text[])) AS r (old, new)
              JOIN store.models m ON m.name = r.new
             WHERE NOT EXISTS (
                       SELECT FROM store.models other
                        WHERE other.name = r.old AND other.state <> 'stub')
                ON CONFLICT DO NOTHING"""),
            {"old": list(renames), "new": list(renames.values())},
        )
        aliased = connection.execute(
            text("""
            SELECT stub.model_id AS stub_id, min(a.model_id) AS model_id
              FROM store.models stub JOIN store.model_aliases a ON a.alias = stub.name
             WHERE stub.state = 'stub' AND stub.name = ANY (:old) AND a.model_id <> stub.model_id
             GROUP BY stub.model_id"""),
            {"old": list(renames)},
        ).all()
        for stub_id, model_id in aliased:
            children += merge_stub(connection, stub_id, into=model_id, source="card", as_of=as_of)
    return children


def _inherit_children(connection: Connection) -> list[int]:
    """Let models of the page that took the name of another take over the children too.

    A record states its parent by name. Where a repository was deleted and made again the children
    stay as they are; where the former holder was renamed they will be listed with its new name.
    """
    return list(
        connection.scalars(
            text("""
            WITH moved AS (
                DELETE FROM store.edges e
                 USING incoming_keys i, store.model_aliases a, store.models former
                 WHERE a.alias = i.name AND former.model_id = a.model_id
                   AND starts_with(former.name, i.name || '@') AND e.parent_id = former.model_id
                RETURNING e.*, i.model_id AS holder_id
            )
            INSERT INTO store.edges (child_id, parent_id, relation, source, confidence, position)
            SELECT child_id, holder_id, relation, source, confidence, position FROM moved
                ON CONFLICT DO NOTHING
            RETURNING child_id""")
        )
    )


def _resolve_parents(connection: Connection, as_of: datetime) -> list[int]:
    """Find the model that each parent's name stands for; make and return stubs of the rest."""
    for condition in (
        "m.name = i.parent",
        "lower(m.name) = lower(i.parent)",
    ):
        connection.execute(
            text(f"""
            UPDATE incoming_edges i SET parent_id = m.model_id
              FROM store.models m WHERE i.parent_id IS NULL AND {condition}""")  # noqa: S608
        )
    connection.execute(
        text("""
        UPDATE incoming_edges i SET parent_id = a.model_id
          FROM (SELECT alias, max(model_id) AS model_id, max(confidence) AS confidence
                  FROM store.model_aliases
                 WHERE alias IN (SELECT parent FROM incoming_edges WHERE parent_id IS NULL)
                 GROUP BY alias HAVING count(*) = 1) a
         WHERE i.parent_id IS NULL AND a.alias = i.parent""")
    )
    stubs = connection.scalars(
        text("""
        WITH unknown AS (
            SELECT DISTINCT ON (lower(parent)) parent FROM incoming_edges
             WHERE parent_id IS NULL ORDER BY lower(parent), parent
        )
        INSERT INTO store.models (name, author, state, first_seen, changed_at)
        SELECT parent, CASE WHEN parent LIKE '%/%' THEN split_part(parent, '/', 1) END,
               'stub', :as_of, :as_of
          FROM unknown ORDER BY parent
        RETURNING model_id"""),
        {"as_of": as_of},
    ).all()
    if stubs:
        connection.execute(
            text("""
            UPDATE incoming_edges i SET parent_id = m.model_id FROM store.models m
             WHERE i.parent_id IS NULL AND lower(m.name) = lower(i.parent)""")
        )
    return list(stubs)


def _replace_edges(connection: Connection) -> list[int]:
    """Write the edges that differ from the stored ones; return the children concerned."""
    removed = connection.scalars(
        text("""
        DELETE FROM store.edges e
         USING incoming_keys i
         WHERE e.child_id = i.model_id
           AND NOT EXISTS (
                   SELECT FROM incoming_edges n
                    WHERE n.child = i.name AND n.parent_id = e.parent_id
                      AND n.relation = e.relation AND n.source = e.source)
        RETURNING e.child_id""")
    ).all()
    written = connection.scalars(
        text("""
        INSERT INTO store.edges AS e (child_id, parent_id, relation, source, confidence, position)
        SELECT DISTINCT ON (i.model_id, n.parent_id, n.relation, n.source)
               i.model_id, n.parent_id, n.relation, n.source, n.confidence, n.position
          FROM incoming_edges n JOIN incoming_keys i ON i.name = n.child
         ORDER BY i.model_id, n.parent_id, n.relation, n.source, n.position
            ON CONFLICT (child_id, parent_id, relation, source) DO UPDATE
           SET confidence = excluded.confidence, position = excluded.position
         WHERE (e.confidence, e.position) IS DISTINCT FROM (excluded.confidence, excluded.position)
        RETURNING child_id""")
    ).all()
    return [*removed, *written]


def refresh_families(connection: Connection, model_ids: Iterable[int]) -> int:
    """Compute the place in their families of the given models and of all that descend from them.

    A model's first parent is the one it was fine-tuned, adapted or quantized from, else the first
    source of a merge; a family is the tree of first parents below one root. Where first parents
    lead in a circle, the member whose name sorts first is taken for the root.

    Returns:
        How many models changed their place.
    """
    ids = sorted(model_ids)
    if not ids:
        return 0
    found = connection.execute(
        text("""
        SELECT c.model_id, p.parent_id, f.model_id IS NOT NULL AS known,
               f.primary_parent_id IS DISTINCT FROM p.parent_id AS moved
          FROM unnest(cast(:ids AS bigint[])) AS c (model_id)
          LEFT JOIN store.model_families f USING (model_id)
          LEFT JOIN LATERAL (
              SELECT e.parent_id
                FROM store.edges e JOIN store.models parent ON parent.model_id = e.parent_id
               WHERE e.child_id = c.model_id AND e.parent_id <> e.child_id
               ORDER BY CASE e.relation WHEN 'merge' THEN 2 WHEN 'base_unknown' THEN 3 ELSE 1 END,
                        e.confidence DESC, e.position, parent.name
               LIMIT 1) p ON true"""),
        {"ids": ids},
    ).all()
    parents = {row.model_id: row.parent_id for row in found if row.moved or not row.known}
    if not parents:
        return 0
    # Nothing hangs below a model that has had no place yet.
    _add_descendants(connection, parents, [row.model_id for row in found if row.known])
    # Who is not below a moved model has kept its place, and the walk upwards ends there.
    outside = {parent for parent in parents.values() if parent is not None} - parents.keys()
    kept = connection.execute(
        text(
            "SELECT model_id, family_id, generation FROM store.model_families"
            " WHERE model_id = ANY (:ids)"
        ),
        {"ids": list(outside)},
    )
    places = {row.model_id: (row.family_id, row.generation, False) for row in kept}
    _place(connection, parents, places)
    copy_rows(
        connection,
        "incoming_families",
        ("model_id", "primary_parent_id", "family_id", "generation", "in_cycle"),
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
    connection.exec_driver_sql("DELETE FROM incoming_families")
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
        fresh = {model: parent for model, parent in rows if model not in parents}
        parents |= fresh
        frontier = list(fresh)


def _place(
    connection: Connection,
    parents: Mapping[int, int | None],
    places: dict[int, tuple[int, int, bool]],
) -> None:
    """Add to `places` the (root, steps from it, in a circle) of each model in `parents`."""
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
            _place_circle(connection, path[on_path[model] :], parents, places)
            path = path[: on_path[model]]
        for below in reversed(path):
            parent = parents[below]
            assert parent is not None
            family, generation, _ = places[parent]
            places[below] = (family, min(generation + 1, 32767), False)


def _place_circle(
    connection: Connection,
    circle: Sequence[int],
    parents: Mapping[int, int | None],
    places: dict[int, tuple[int, int, bool]],
) -> None:
    root = connection.scalar(
        text(
            "SELECT model_id FROM store.models WHERE model_id = ANY (:ids)"
            ' ORDER BY name COLLATE "C" LIMIT 1'
        ),
        {"ids": list(circle)},
    )
    assert root is not None
    children = {parents[model]: model for model in circle}
    model, generation = root, 0
    for _ in circle:
        places[model] = (root, generation, True)
        model, generation = children[model], generation + 1
