"""Resolution of the names in evaluations to models, with a method and a confidence.

A name that `matching` does not match becomes a stub of that name, so that its runs have a model;
they move when it is matched later.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, text

from registry.catalog import matching
from registry.catalog.facts.effective import move_facts
from registry.catalog.families import refresh_families
from registry.catalog.item_statistics import mark_stale
from registry.catalog.merge import drop_stubs
from registry.catalog.names import add_stubs
from registry.coerce import MAX_TEXT
from registry.db.copy import copy_rows


def resolve(connection: Connection, names: Iterable[str], *, as_of: datetime) -> int:
    """Resolve names in evaluations that are new.

    Args:
        connection: in a transaction.
        names: as their sources spell them; afterwards each has a row in `evaluated_names`.
        as_of: when they were observed.

    Returns:
        How many matched no model, and became stubs.
    """
    new = sorted(
        connection.scalars(
            text("""
            SELECT DISTINCT w.name FROM unnest(CAST(:names AS text[])) AS w (name)
             WHERE NOT EXISTS (SELECT FROM store.evaluated_names n WHERE n.name = w.name)"""),
            {"names": sorted(set(names))},
        )
    )
    matches = matching.match_names(connection, new)
    unresolved = [name for name in new if name not in matches]
    # Names that are aliases of several models, or match several in another case, are among them.
    stubs = _stubs(connection, unresolved, as_of=as_of)
    _place(connection, stubs.values())
    copy_rows(
        connection,
        "store.evaluated_names",
        ("name", "model_id", "method", "confidence"),
        [
            *((name, *each) for name, each in matches.items()),
            *((name, key, "unresolved", 0.0) for name, key in stubs.items()),
        ],
    )
    return len(stubs)


def _stubs(connection: Connection, names: Iterable[str], *, as_of: datetime) -> dict[str, int]:
    """Add the models that names resolve to by themselves, one for all spellings of a name."""
    plain = {name: matching.plain_name(name) for name in names}
    missing = sorted(set(plain.values()))
    keys = dict(zip(missing, add_stubs(connection, missing, as_of=as_of), strict=True))
    return {name: keys[each] for name, each in plain.items()}


def _place(connection: Connection, stubs: Iterable[int]) -> None:
    """Make new stubs families of their own, unless an initial load is to place all models."""
    if connection.scalar(text("SELECT EXISTS (SELECT FROM store.model_families)")):
        refresh_families(connection, (), unplaced=dict.fromkeys(stubs))


def resolve_again(connection: Connection) -> int:
    """Match the unresolved names again, and move the runs of those that match now.

    Returns:
        How many names were resolved.
    """
    # A stub that the sync has listed since is the model itself.
    listed = connection.execute(
        text("""
        UPDATE store.evaluated_names n SET method = 'exact', confidence = 1
          FROM store.models m
         WHERE n.method = 'unresolved' AND m.model_id = n.model_id AND m.state <> 'stub'""")
    ).rowcount
    names = connection.scalars(
        text("SELECT name FROM store.evaluated_names WHERE method = 'unresolved' ORDER BY name")
    ).all()
    matches = matching.match_names(connection, names)
    _move(connection, matches)
    return listed + len(matches)


def resolve_name_again(connection: Connection, name: str, *, as_of: datetime) -> None:
    """Discard the resolution of a name and match it again; its runs move along."""
    method = connection.execute(
        text("SELECT method FROM store.evaluated_names WHERE name = :name"), {"name": name}
    ).scalar_one_or_none()
    if method is None:
        return
    matches = matching.match_names(connection, [name])
    if name not in matches:
        if method == "unresolved":
            return
        stub = _stubs(connection, [name], as_of=as_of)[name]
        _place(connection, [stub])
        matches = {name: matching.NameMatch(stub, "unresolved", 0.0)}
    _move(connection, matches)


def _move(connection: Connection, matches: Mapping[str, matching.NameMatch]) -> None:
    """Move names to the models that they match, with their runs."""
    if not matches:
        return
    connection.exec_driver_sql("""
        CREATE TEMPORARY TABLE IF NOT EXISTS moved_names (
            name_id integer, before bigint, model_id bigint) ON COMMIT DROP""")
    connection.exec_driver_sql("TRUNCATE moved_names")
    connection.execute(
        text("""
        WITH matches AS (
            SELECT * FROM unnest(CAST(:names AS text[]), CAST(:keys AS bigint[]),
                                 CAST(:methods AS text[]), CAST(:confidences AS real[]))
                       AS f (name, model_id, method, confidence)
        ), targets AS (
            SELECT n.name_id, n.model_id AS before, f.model_id, f.method, f.confidence
              FROM matches f JOIN store.evaluated_names n USING (name)
             UNION ALL
            -- Other spellings of an unresolved name are resolved to its stub.
            SELECT o.name_id, o.model_id, f.model_id, o.method, least(o.confidence, f.confidence)
              FROM matches f
              JOIN store.evaluated_names n ON n.name = f.name AND n.method = 'unresolved'
              JOIN store.evaluated_names o ON o.model_id = n.model_id AND o.name_id <> n.name_id
        ), moved AS (
            UPDATE store.evaluated_names n
               SET model_id = w.model_id, method = w.method, confidence = w.confidence
              FROM targets w WHERE n.name_id = w.name_id
            RETURNING n.name_id, w.before, n.model_id
        )
        INSERT INTO moved_names SELECT name_id, before, model_id FROM moved"""),
        {
            "names": list(matches),
            "keys": [each.model_id for each in matches.values()],
            "methods": [each.method for each in matches.values()],
            "confidences": [each.confidence for each in matches.values()],
        },
    )
    moved = connection.scalars(
        text("SELECT DISTINCT benchmark_id FROM store.runs JOIN moved_names USING (name_id)")
    ).all()
    mark_stale(connection, moved)
    for statement in (
        """UPDATE store.answers a SET model_id = v.model_id
             FROM moved_names v, store.runs r
            WHERE r.name_id = v.name_id AND (a.model_id, a.run_id) = (r.model_id, r.run_id)""",
        """UPDATE store.runs r SET model_id = v.model_id
             FROM moved_names v WHERE r.name_id = v.name_id""",
    ):
        connection.exec_driver_sql(statement)
    moves = connection.execute(text("SELECT DISTINCT before, model_id FROM moved_names")).all()
    move_facts(connection, [(row.before, row.model_id) for row in moves])
    drop_stubs(connection, [row.before for row in moves])


@dataclass(frozen=True, slots=True)
class Unresolved:
    """A name that matches no known model: its runs, and models of similar names."""

    name: str
    runs: int
    benchmarks: int
    suggestions: tuple[str, ...]


def list_unresolved(connection: Connection, limit: int | None = None) -> list[Unresolved]:
    """Return the names that match no known model, those with most runs first.

    Suggestions are models of the same name but for case and punctuation, under any author.

    Args:
        connection: to read from.
        limit: most names; None is all.
    """
    rows = connection.execute(
        text("""
        WITH unresolved AS MATERIALIZED (
            SELECT n.name_id, n.name, n.model_id,
                   regexp_replace(lower(n.name), '^.*/|[^a-z0-9]', '', 'g') AS plain
              FROM store.evaluated_names n WHERE n.method = 'unresolved'
        ), known AS MATERIALIZED (
            SELECT m.name, regexp_replace(lower(m.name), '^.*/|[^a-z0-9]', '', 'g') AS plain
              FROM store.models m
             WHERE NOT EXISTS (SELECT FROM unresolved u WHERE u.model_id = m.model_id)
        ), alike AS (
            SELECT u.name_id, array_agg(k.name ORDER BY k.name COLLATE "C") AS names
              FROM unresolved u JOIN known k USING (plain)
             WHERE u.plain <> '' GROUP BY u.name_id
        ), counted AS (
            SELECT r.name_id, count(*) AS runs, count(DISTINCT r.benchmark_id) AS benchmarks
              FROM unresolved JOIN store.runs r USING (name_id) GROUP BY r.name_id
        )
        SELECT u.name, coalesce(c.runs, 0) AS runs, coalesce(c.benchmarks, 0) AS benchmarks,
               coalesce(a.names, '{}') AS suggestions
          FROM unresolved u LEFT JOIN alike a USING (name_id) LEFT JOIN counted c USING (name_id)
         ORDER BY runs DESC, u.name COLLATE "C"
         LIMIT :limit"""),
        {"limit": limit},
    )
    return [
        Unresolved(row.name, row.runs, row.benchmarks, tuple(row.suggestions[:3])) for row in rows
    ]


class Stated(NamedTuple):
    """How many names that a source states were added as aliases, known before, and rejected.

    A name is rejected if it is another model's own, is an alias of another model already, or is not
    one that a model can have; see `nameable`.
    """

    added: int
    known: int
    refused: int


def nameable(name: str) -> bool:
    """Return whether a model can have a name: 1 to MAX_TEXT printable characters, stripped."""
    return 0 < len(name) <= MAX_TEXT and name.isprintable() and name == name.strip()


class StatedName(NamedTuple):
    """A statement that a name is one of a model."""

    name: str
    model: str
    confidence: float = 1.0


def state_names(connection: Connection, names: Iterable[StatedName], *, as_of: datetime) -> Stated:
    """Add the names that a source states for models as aliases.

    Unknown models become stubs. Unresolved names are matched again, and their runs move.

    Args:
        connection: in a transaction.
        names: what the source states.
        as_of: when.
    """
    stated: dict[tuple[str, str], float] = {}
    unfit = 0
    for each in names:
        key = each.name.strip(), each.model.strip()
        if all(map(nameable, key)):
            stated[key] = max(each.confidence, stated.get(key, 0.0))
        else:
            unfit += 1
    named = sorted({model for _, model in stated})
    rows = connection.execute(
        text("SELECT name, model_id FROM store.models WHERE name = ANY (:names)"),
        {"names": named},
    )
    keys: dict[str, int] = {row.name: row.model_id for row in rows}
    matches = matching.match_names(connection, [name for name in named if name not in keys])
    keys |= {name: each.model_id for name, each in matches.items()}
    missing = [name for name in named if name not in keys]
    stubs = add_stubs(connection, missing, as_of=as_of)
    _place(connection, stubs)
    keys |= dict(zip(missing, stubs, strict=True))
    connection.exec_driver_sql("""
        CREATE TEMPORARY TABLE IF NOT EXISTS stated_names (
            name text, model_id bigint, confidence real) ON COMMIT DROP""")
    connection.exec_driver_sql("TRUNCATE stated_names")
    copy_rows(
        connection,
        "stated_names",
        ("name", "model_id", "confidence"),
        ((name, keys[model], confidence) for (name, model), confidence in stated.items()),
    )
    known = connection.scalar(
        text("""
        SELECT count(*) FROM stated_names s
         WHERE EXISTS (SELECT FROM store.models m
                        WHERE m.model_id = s.model_id AND m.name = s.name)
            OR EXISTS (SELECT FROM store.model_aliases a
                        WHERE a.model_id = s.model_id AND a.alias = s.name)
            OR EXISTS (SELECT FROM store.evaluated_names n
                        WHERE n.model_id = s.model_id AND n.name = s.name
                          AND n.confidence >= s.confidence)""")
    )
    added = connection.execute(
        text("""
        INSERT INTO store.model_aliases (model_id, alias, source, confidence, valid_from)
        SELECT DISTINCT ON (s.name) s.model_id, s.name, 'evaluation', s.confidence, :as_of
          FROM stated_names s
         WHERE NOT EXISTS (SELECT FROM store.model_aliases a WHERE a.alias = s.name)
           -- A name that resolves as surely without an alias needs none.
           AND NOT EXISTS (SELECT FROM store.evaluated_names n
                            WHERE n.model_id = s.model_id AND n.name = s.name
                              AND n.confidence >= s.confidence)
           AND NOT EXISTS (
                   SELECT FROM store.models m
                     LEFT JOIN store.evaluated_names n
                            ON n.model_id = m.model_id AND n.method = 'unresolved'
                    WHERE m.name = s.name AND n.name_id IS NULL)
           AND (SELECT count(DISTINCT o.model_id) FROM stated_names o WHERE o.name = s.name) = 1
         ORDER BY s.name
            ON CONFLICT DO NOTHING"""),
        {"as_of": as_of},
    ).rowcount
    resolve_again(connection)
    return Stated(added, int(known or 0), len(stated) + unfit - added - int(known or 0))
