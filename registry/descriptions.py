"""What the catalog says of models, read in parts, as `registry.coldstart` takes it."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from sqlalchemy import Connection, text

from registry.coldstart.description import Description
from registry.coldstart.kinship import MOST_HOPS, Kin

AT_ONCE = 20_000
"""Models read at a time: what bounds memory."""

MOST_OTHERS = 2_000
"""Models of one author, the latest, that tell what the author makes."""

_SELECT = """
    SELECT m.model_id, m.name, m.parameters, m.pipeline_tag AS task, m.tags,
           store.architecture_family(m.model_type, m.architectures) AS family,
           extract(epoch FROM m.created_at) / 86400 AS created, e.parents, e.relations
      FROM store.models AS m
      LEFT JOIN LATERAL (
               SELECT array_agg(p.name ORDER BY s.confidence DESC, s.position) AS parents,
                      array_agg(s.relation ORDER BY s.confidence DESC, s.position) AS relations
                 FROM store.edges AS s JOIN store.models AS p ON p.model_id = s.parent_id
                WHERE s.child_id = m.model_id AND s.parent_id <> s.child_id) AS e ON true"""


class Part(NamedTuple):
    """Some models: their keys, and what is known of each."""

    keys: Sequence[int]
    descriptions: Sequence[Description]


def stream(connection: Connection, at_once: int = AT_ONCE) -> Iterator[Part]:
    """Yield all models of the catalog, stubs and vanished ones included, by key."""
    query = text(f"{_SELECT} WHERE m.model_id > :last ORDER BY m.model_id LIMIT :count")
    last = -1
    while True:
        part = _read(connection, query, last=last, count=at_once)
        if not part.keys:
            return
        yield part
        last = part.keys[-1]


def read(connection: Connection, keys: Sequence[int]) -> Part:
    """Return some models, by key; those that are not there are left out."""
    query = text(f"{_SELECT} WHERE m.model_id = ANY (:keys) ORDER BY m.model_id")
    return _read(connection, query, keys=list(keys))


def around(connection: Connection, keys: Sequence[int]) -> Part:
    """Return what tells of some models: they, their ancestors, and their authors' latest others."""
    found = connection.scalars(
        text("""
        WITH RECURSIVE up AS (
            SELECT unnest(CAST(:keys AS bigint[])) AS model_id, 0 AS steps
            UNION
            SELECT e.parent_id, u.steps + 1
              FROM up AS u JOIN store.edges AS e ON e.child_id = u.model_id
             WHERE u.steps < :hops)
        SELECT model_id FROM up
        UNION
        SELECT o.model_id
          FROM (SELECT DISTINCT m.author FROM store.models AS m
                 WHERE m.model_id = ANY (:keys) AND m.author IS NOT NULL) AS a
          CROSS JOIN LATERAL (
                    SELECT m.model_id FROM store.models AS m WHERE m.author = a.author
                     ORDER BY m.model_id DESC LIMIT :others) AS o"""),
        {"keys": list(keys), "hops": MOST_HOPS, "others": MOST_OTHERS},
    )
    return read(connection, list(found))


def _read(connection: Connection, query: object, **given: object) -> Part:
    rows = connection.execute(query, given).all()  # type: ignore[call-overload] # of text()
    return Part(
        [row.model_id for row in rows],
        [
            Description(
                name=row.name,
                parameters=row.parameters,
                family=row.family,
                task=row.task,
                tags=tuple(row.tags or ()),
                created=None if row.created is None else float(row.created),
                parents=tuple(map(Kin, row.parents or (), row.relations or ())),
            )
            for row in rows
        ],
    )
