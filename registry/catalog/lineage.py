"""Lineage in the database: edges, and stubs for parents not seen yet."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, text

from registry.catalog import families
from registry.catalog.merge import merge_stub
from registry.catalog.names import add_stubs
from registry.catalog.rows import Entry
from registry.db.copy import copy_lines, copy_rows

_INCOMING_EDGES = """
CREATE TEMPORARY TABLE IF NOT EXISTS incoming_edges (
    child_id bigint, parent_id bigint, relation text, source text, confidence real,
    position smallint, PRIMARY KEY (child_id, parent_id, relation, source)
) ON COMMIT DELETE ROWS;
CREATE TEMPORARY TABLE IF NOT EXISTS incoming_keys (
    model_id bigint PRIMARY KEY, name text UNIQUE
) ON COMMIT DELETE ROWS;
DELETE FROM incoming_edges;  -- empty already, unless one transaction stores several pages
DELETE FROM incoming_keys;
"""

_EDGE_COLUMNS = ("child_id", "parent_id", "relation", "source", "confidence", "position")


class _Target(NamedTuple):
    """The model that a parent's name resolves to."""

    model_id: int
    name: str


class _Edge(NamedTuple):
    child_id: int
    parent_id: int
    relation: str
    source: str
    confidence: float
    position: int
    parent: str


def write_edges(
    connection: Connection,
    new: dict[int, Entry],
    existing: dict[int, Entry],
    *,
    orphans: Iterable[int] = (),
    as_of: datetime,
) -> int:
    """Make the edges of the given models those of their records, and place them in families.

    Args:
        connection: in the page's transaction, after the models were written.
        new: the models of the page, by key, that had no row before.
        existing: the other new and changed models of the page.
        orphans: models whose first parent is to be computed again.
        as_of: when they were observed.

    Returns:
        How many edges were added, changed or removed.
    """
    entries = [*new.values(), *existing.values()]
    connection.exec_driver_sql(_INCOMING_EDGES)
    copy_lines(
        connection,
        "incoming_keys",
        ("model_id", "name"),
        (f"{key}\t{entry.name}" for key, entry in (new | existing).items()),
    )
    adopted = _adopt_stubs(connection, as_of)
    named = {parent.name for entry in entries for parent in entry.parents}
    parents, stubs = resolve_parents(connection, named, as_of)
    merged = _apply_renames(connection, entries, as_of)
    if merged:
        parents, _ = resolve_parents(connection, named, as_of)
        stubs = [stub for stub in stubs if stub not in merged]
        adopted += [child for children in merged.values() for child in children]
    added = _edges(new, parents)
    copy_lines(
        connection,
        "store.edges",
        _EDGE_COLUMNS,
        ("\t".join(map(str, edge[:6])) for edge in added),
    )
    changed = _replace_edges(connection, existing, _edges(existing, parents))
    first: dict[int, int | None] = dict.fromkeys([*new, *stubs])
    first |= _first_parents(added)
    families.refresh_families(connection, {*orphans, *adopted, *changed}, unplaced=first)
    return len(added) + len(changed)


def _adopt_stubs(connection: Connection, as_of: datetime) -> list[int]:
    """Merge stubs into the models of the page whose names they spell in another case.

    Returns:
        Keys of their children.
    """
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
    return children


def _apply_renames(
    connection: Connection, entries: Sequence[Entry], as_of: datetime
) -> dict[int, list[int]]:
    """Add the former names of parents that cards state as aliases, unless a model has the name.

    Returns:
        Keys of the stubs of such names, merged into their models, with those of their children.
    """
    renames = {old: new for entry in entries for old, new in entry.renames if old != new}
    if not renames:
        return {}
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
    return {
        stub_id: merge_stub(connection, stub_id, into=model_id, source="card", as_of=as_of)
        for stub_id, model_id in aliased
    }


def _inherit_children(connection: Connection) -> list[int]:
    """Move children to the models of the page that have the name of another now.

    A record states its parent by name. Where a repository was deleted and created again, this keeps
    the children; where the former holder was renamed, they will be listed with its new name.
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


def resolve_parents(
    connection: Connection, names: Iterable[str], as_of: datetime
) -> tuple[dict[str, _Target], list[int]]:
    """Resolve the names of parents to models; add stubs for the rest.

    Returns:
        The models by name, and the keys of new stubs.
    """
    ordered = sorted(names)
    targets = _by_name(connection, ordered)
    missing = [name for name in ordered if name not in targets]
    if not missing:
        return targets, []
    aliased = connection.execute(
        text("""
        SELECT a.alias, m.model_id, m.name
          FROM (SELECT alias, min(model_id) AS model_id FROM store.model_aliases
                 WHERE alias = ANY (:missing) GROUP BY alias HAVING count(*) = 1) a
          JOIN store.models m USING (model_id)"""),
        {"missing": missing},
    )
    targets |= {alias: _Target(model_id, name) for alias, model_id, name in aliased}
    missing = [name for name in missing if name not in targets]
    if not missing:
        return targets, []
    # Children may spell a parent in several cases.
    spelt = {name.lower(): name for name in sorted(missing, reverse=True)}
    stubs = add_stubs(connection, spelt.values(), as_of=as_of)
    return targets | _by_name(connection, missing), stubs


def _by_name(connection: Connection, names: Sequence[str]) -> dict[str, _Target]:
    """Return models by name, in another case where there is none in the same."""
    if not names:
        return {}
    rows = connection.execute(
        text("""
        SELECT DISTINCT ON (n.name) n.name AS given, m.model_id, m.name
          FROM unnest(cast(:names AS text[])) AS n (name)
          JOIN store.models m ON lower(m.name) = lower(n.name)
         ORDER BY n.name, m.name = n.name DESC, m.state = 'stub', m.model_id"""),
        {"names": names},
    )
    return {given: _Target(model_id, name) for given, model_id, name in rows}


def _edges(children: Mapping[int, Entry], parents: Mapping[str, _Target]) -> list[_Edge]:
    """Return the edges of the given models, each once."""
    edges: dict[tuple[int, int, str, str], _Edge] = {}
    for child_id, entry in children.items():
        for parent in entry.parents:
            model_id, name = parents[parent.name]
            edge = _Edge(
                child_id,
                model_id,
                parent.relation,
                parent.source,
                parent.confidence,
                parent.position,
                name,
            )
            first = edges.setdefault(edge[:4], edge)
            if first.position > edge.position:
                edges[edge[:4]] = edge
    return list(edges.values())


def _first_parents(edges: Iterable[_Edge]) -> dict[int, int | None]:
    """Return the parent that each child belongs to a family through."""
    best: dict[int, tuple[tuple[int, float, int, str], int]] = {}
    for edge in edges:
        if edge.parent_id != edge.child_id:
            rank = (families.FOLLOWED[edge.relation], -edge.confidence, edge.position, edge.parent)
            if edge.child_id not in best or rank < best[edge.child_id][0]:
                best[edge.child_id] = rank, edge.parent_id
    return {child: parent for child, (_, parent) in best.items()}


def _replace_edges(
    connection: Connection, children: Mapping[int, Entry], edges: Sequence[_Edge]
) -> list[int]:
    """Write the edges that differ from the stored ones; return the children concerned."""
    if not children:
        return []
    copy_rows(connection, "incoming_edges", _EDGE_COLUMNS, (edge[:6] for edge in edges))
    removed = connection.scalars(
        text("""
        DELETE FROM store.edges e
         WHERE e.child_id = ANY (:children)
           AND NOT EXISTS (
                   SELECT FROM incoming_edges n
                    WHERE n.child_id = e.child_id AND n.parent_id = e.parent_id
                      AND n.relation = e.relation AND n.source = e.source)
        RETURNING e.child_id"""),
        {"children": list(children)},
    ).all()
    written = connection.scalars(
        text("""
        INSERT INTO store.edges AS e (child_id, parent_id, relation, source, confidence, position)
        SELECT child_id, parent_id, relation, source, confidence, position
          FROM incoming_edges ORDER BY child_id, parent_id
            ON CONFLICT (child_id, parent_id, relation, source) DO UPDATE
           SET confidence = excluded.confidence, position = excluded.position
         WHERE (e.confidence, e.position) IS DISTINCT FROM (excluded.confidence, excluded.position)
        RETURNING child_id""")
    ).all()
    return [*removed, *written]
