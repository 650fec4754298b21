"""Catalog facts of models, read in batches for `registry.learning.coldstart`.

Several processes read a whole catalog, each over its own connection: `census` and `map_catalog`.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Engine, text

from registry import workers
from registry.catalog.features import architecture_family
from registry.db import connection as database
from registry.learning.coldstart import features
from registry.learning.coldstart.corpus import CorpusStatistics
from registry.learning.coldstart.features import Description, Featurizer
from registry.learning.coldstart.kernel_features import kernel_features
from registry.learning.coldstart.lineage_kernel import MOST_HOPS, ParentLink

AT_ONCE = 20_000
"""Models of a batch; this bounds memory."""

MOST_OTHERS = 2_000
"""Latest models of an author that describe the author."""

# Reading one text takes a fifth of the time of reading an array.
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
    """Keys of models, and what the catalog says of each."""

    keys: Sequence[int]
    descriptions: Sequence[Description]


class KeyRange(NamedTuple):
    """Keys from `first` to `last`."""

    first: int
    last: int


class CatalogExtent(NamedTuple):
    """When the catalog was read, its number of models, and its greatest key."""

    read_at: datetime
    models: int
    newest: int


def read_extent(connection: Connection) -> CatalogExtent:
    """Read the time of the transaction, the number of models, and the greatest key."""
    row = connection.execute(
        text("SELECT now(), count(*), coalesce(max(model_id), 0) FROM store.models")
    ).one()
    return CatalogExtent(*row)


def stream(connection: Connection, at_once: int = AT_ONCE) -> Iterator[ModelBatch]:
    """Yield all models of the catalog, stubs and models that are gone included, by key."""
    for keys in ranges(connection, at_once):
        yield between(connection, keys)


def ranges(connection: Connection, at_once: int = AT_ONCE) -> list[KeyRange]:
    """Return ranges of keys that cover the catalog, with `at_once` models each."""
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
    """Read the models of a range of keys, by key."""
    return _read(
        connection,
        "m.model_id BETWEEN :first AND :last",
        "s.child_id BETWEEN :first AND :last",
        first=keys.first,
        last=keys.last,
    )


def read(connection: Connection, keys: Sequence[int]) -> ModelBatch:
    """Read models by their keys, in order of the keys; missing ones are left out."""
    return _read(
        connection, "m.model_id = ANY (:keys)", "s.child_id = ANY (:keys)", keys=list(keys)
    )


def read_named(connection: Connection, names: Sequence[str]) -> ModelBatch:
    """Read models by their present names, in order of their keys."""
    keys = connection.scalars(
        text("SELECT model_id FROM store.models WHERE name = ANY (:names)"), {"names": list(names)}
    )
    return read(connection, list(keys))


def census(engine: Engine, count: int | None = None) -> CorpusStatistics:
    """Count words, authors and families of the whole catalog.

    Args:
        engine: of the database.
        count: number of processes, as in `map_catalog`.
    """
    total = CorpusStatistics()
    for part in map_catalog(engine, _counted, None, count=count):
        total.join(part)
    return total


def read_kernel_features(engine: Engine, names: Sequence[str]) -> NDArray[np.float32]:
    """Return features of models, M x f, whose inner products are the catalog's similarities.

    Args:
        engine: of the database.
        names: of the M models, in the order of the rows; an unknown one has zeros.
    """
    featurizer = Featurizer.fitted(census(engine))
    with engine.connect() as connection:
        batch = read_named(connection, names)
    known = kernel_features(featurizer.blocks(batch.descriptions))
    # They come in order of their keys.
    places = {name: place for place, name in enumerate(names)}
    rows = np.zeros((len(names), known.shape[1]), np.float32)
    rows[[places[each.name] for each in batch.descriptions]] = known
    return rows


def _counted(setting: None, batch: ModelBatch) -> CorpusStatistics:  # noqa: ARG001 - there is none
    counts = CorpusStatistics()
    features.add_models(counts, batch.descriptions)
    return counts


def map_catalog(
    engine: Engine, work: Callable[[_S, ModelBatch], _R], setting: _S, *, count: int | None = None
) -> Iterator[_R]:
    """Yield the result of a function for each batch of the catalog, in order of the keys.

    Args:
        engine: of the database; each process connects by its URL.
        work: a function of a module, of the setting and a batch.
        setting: its first argument, which can be pickled.
        count: number of processes, as in `workers.map_in_order`. This process reads a small
            catalog by itself.
    """
    with engine.connect() as connection:
        key_ranges = ranges(connection)
    url = engine.url.render_as_string(hide_password=False)
    yield from workers.map_in_order(_work, (url, work, setting), key_ranges, count)


def _work(call: tuple[str, Callable[[_S, ModelBatch], _R], _S], keys: KeyRange) -> _R:
    url, work, setting = call
    engine = database.create_engine(url)
    with engine.connect() as connection:
        batch = between(connection, keys)
    engine.dispose()
    return work(setting, batch)


def read_context(
    connection: Connection, keys: Sequence[int], *, others: int = MOST_OTHERS
) -> ModelBatch:
    """Read models with their ancestors and the latest other models of their authors.

    Args:
        connection: to read from.
        keys: of the models.
        others: most models of an author, besides the given ones.
    """
    related = connection.scalars(
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
        {"keys": list(keys), "hops": MOST_HOPS, "others": others},
    )
    return read(connection, list(related))


def _read(connection: Connection, models: str, edges: str, **given: Any) -> ModelBatch:
    parents: dict[int, list[ParentLink]] = {}
    query = text(f"{_EDGES} {edges} {_BEST_FIRST}")
    for child, parent, relation in connection.execute(query, given).all():
        parents.setdefault(child, []).append(ParentLink(parent, relation))
    query = text(f"{_MODELS} WHERE {models} ORDER BY m.model_id")
    keys, descriptions = [], []
    for key, name, parameters, task, tags, model_type, architecture, created in connection.execute(
        query, {**given, "between": _BETWEEN_TAGS}
    ).all():
        family = architecture_family(model_type, architecture)
        tagged = tuple(tags.split(_BETWEEN_TAGS)) if tags else ()
        kin = tuple(parents.get(key, ()))
        keys.append(key)
        descriptions.append(Description(name, parameters, family, task, tagged, created, kin))
    return ModelBatch(keys, descriptions)
