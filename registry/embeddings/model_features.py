"""What the catalog says of models, read in parts, as `registry.learning.coldstart` takes it.

A whole catalog is read by several processes, each over its own connection: `census` and `worked`.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import Connection, Engine, text

from registry import workers
from registry.catalog.features import architecture_family
from registry.db import connection as database
from registry.learning.coldstart import features
from registry.learning.coldstart.corpus import Census
from registry.learning.coldstart.features import Description
from registry.learning.coldstart.lineage_kernel import MOST_HOPS, Kin

AT_ONCE = 20_000
"""Models read at a time: what bounds memory."""

MOST_OTHERS = 2_000
"""Models of one author, the latest, that tell what the author makes."""

# One text is read in a fifth of the time of an array.
_BETWEEN_TAGS = "\x1f"

_MODELS = """
    SELECT m.model_id, m.name, m.parameters, m.pipeline_tag, array_to_string(m.tags, :between),
           m.model_type, m.architectures[1],
           CAST(extract(epoch FROM m.created_at) AS double precision) / 86400
      FROM store.models AS m"""

_EDGES = """
    SELECT s.child_id, p.name, s.relation
      FROM store.edges AS s JOIN store.models AS p ON p.model_id = s.parent_id
     WHERE s.parent_id <> s.child_id AND"""

_BEST_FIRST = "ORDER BY s.child_id, s.confidence DESC, s.position"

_S = TypeVar("_S")
_R = TypeVar("_R")


class ModelBatch(NamedTuple):
    """Some models: their keys, and what is known of each."""

    keys: Sequence[int]
    descriptions: Sequence[Description]


class KeyRange(NamedTuple):
    """Keys from `first` to `last`."""

    first: int
    last: int


def stream(connection: Connection, at_once: int = AT_ONCE) -> Iterator[ModelBatch]:
    """Yield all models of the catalog, stubs and vanished ones included, by key."""
    for each in ranges(connection, at_once):
        yield between(connection, each)


def ranges(connection: Connection, at_once: int = AT_ONCE) -> list[KeyRange]:
    """Return ranges of keys that have so many models each, and together all there are."""
    rows = connection.execute(
        text("""
        SELECT min(model_id), max(model_id)
          FROM (SELECT model_id, (row_number() OVER (ORDER BY model_id) - 1) / :count AS part
                  FROM store.models) AS m
         GROUP BY part ORDER BY 1"""),
        {"count": at_once},
    )
    return [KeyRange(first, last) for first, last in rows]


def between(connection: Connection, keys: KeyRange) -> ModelBatch:
    """Return the models of a range, by key."""
    return _read(
        connection,
        "m.model_id BETWEEN :first AND :last",
        "s.child_id BETWEEN :first AND :last",
        first=keys.first,
        last=keys.last,
    )


def read(connection: Connection, keys: Sequence[int]) -> ModelBatch:
    """Return some models, by key; those that are not there are left out."""
    return _read(
        connection, "m.model_id = ANY (:keys)", "s.child_id = ANY (:keys)", keys=list(keys)
    )


def census(engine: Engine, count: int | None = None) -> Census:
    """Return what a describer learns from the whole catalog.

    Args:
        engine: of the database.
        count: of processes, as `worked`.
    """
    whole = Census()
    for part in worked(engine, _counted, None, count=count):
        whole.join(part)
    return whole


def _counted(setting: None, part: ModelBatch) -> Census:  # noqa: ARG001 - it takes nothing
    made = Census()
    features.count(made, part.descriptions)
    return made


def worked(
    engine: Engine, work: Callable[[_S, ModelBatch], _R], setting: _S, *, count: int | None = None
) -> Iterator[_R]:
    """Yield what work makes of each part of the catalog, by key.

    Args:
        engine: of the database; each process connects by its URL.
        work: a function of a module; it is given the setting and a part, nothing else.
        setting: what it takes, which can be pickled.
        count: of processes, as `workers.map_in_order`. A small catalog is read by this one.
    """
    with engine.connect() as connection:
        parts = ranges(connection)
    url = engine.url.render_as_string(hide_password=False)
    yield from workers.map_in_order(_work, (url, work, setting), parts, count)


def _work(told: tuple[str, Callable[[_S, ModelBatch], _R], _S], keys: KeyRange) -> _R:
    url, work, setting = told
    engine = database.create_engine(url)
    with engine.connect() as connection:
        part = between(connection, keys)
    engine.dispose()
    return work(setting, part)


def around(connection: Connection, keys: Sequence[int]) -> ModelBatch:
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


def _read(connection: Connection, models: str, edges: str, **given: Any) -> ModelBatch:
    parents: dict[int, list[Kin]] = {}
    query = text(f"{_EDGES} {edges} {_BEST_FIRST}")
    for child, parent, relation in connection.execute(query, given).all():
        parents.setdefault(child, []).append(Kin(parent, relation))
    query = text(f"{_MODELS} WHERE {models} ORDER BY m.model_id")
    keys, found = [], []
    for key, name, parameters, task, tags, model_type, architecture, created in connection.execute(
        query, {**given, "between": _BETWEEN_TAGS}
    ).all():
        family = architecture_family(model_type, architecture)
        told = tuple(tags.split(_BETWEEN_TAGS)) if tags else ()
        kin = tuple(parents.get(key, ()))
        keys.append(key)
        found.append(Description(name, parameters, family, task, told, created, kin))
    return ModelBatch(keys, found)
