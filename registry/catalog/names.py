"""Which model a name stands for: renames, stubs that turn out to be known models, and aliases."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from difflib import SequenceMatcher

from sqlalchemy import Connection, text

from registry.catalog.item_statistics import mark_stale
from registry.errors import ModelNotFoundError


def add_stubs(connection: Connection, names: Iterable[str], *, as_of: datetime) -> list[int]:
    """Add models of which nothing is known but a name: as a parent, or in an evaluation.

    Args:
        connection: in a transaction.
        names: that no model has.
        as_of: when they were heard of.

    Returns:
        Their keys, in the names' byte order.
    """
    return list(
        connection.scalars(
            text("""
            WITH stubs AS (
                SELECT name, CASE WHEN name LIKE '%/%' THEN split_part(name, '/', 1) END AS author
                  FROM unnest(CAST(:names AS text[])) AS n (name)
            )
            INSERT INTO store.models (name, author, state, first_seen, changed_at, search)
            SELECT name, author, 'stub', :as_of, :as_of,
                   store.search_document(name, author, NULL, NULL, 0::smallint, '{}')
              FROM stubs ORDER BY name COLLATE "C"
            RETURNING model_id"""),
            {"as_of": as_of, "names": list(names)},
        )
    )


def merge_stub(
    connection: Connection, stub_id: int, *, into: int, source: str, as_of: datetime
) -> list[int]:
    """Make a stub an alias of the model that it turned out to be, which takes over its runs.

    Args:
        connection: in a transaction.
        stub_id: key of the stub; its row disappears.
        into: key of the model that takes over its children and names.
        source: what told that they are one, as in `schema.ALIAS_SOURCES`.
        as_of: until when the stub's name is known to have been in use.

    Returns:
        Keys of the children whose families need to be computed again.
    """
    key = {"stub": stub_id, "model": into, "source": source, "as_of": as_of}
    children = connection.scalars(
        text("SELECT DISTINCT child_id FROM store.edges WHERE parent_id = :stub"), key
    ).all()
    # Where both have outcomes, one model was counted as two.
    counted_twice = connection.scalars(
        text("""
        SELECT benchmark_id FROM store.runs WHERE model_id = :stub AND right_bits IS NOT NULL
        INTERSECT
        SELECT benchmark_id FROM store.runs WHERE model_id = :model AND right_bits IS NOT NULL"""),
        key,
    ).all()
    mark_stale(connection, counted_twice)
    for statement in (
        """INSERT INTO store.edges (child_id, parent_id, relation, source, confidence, position)
           SELECT child_id, :model, relation, source, confidence, position
             FROM store.edges WHERE parent_id = :stub ON CONFLICT DO NOTHING""",
        """INSERT INTO store.model_aliases (model_id, alias, source, confidence, valid_to)
           SELECT :model, alias, source, confidence, valid_to
             FROM store.model_aliases WHERE model_id = :stub
           UNION ALL SELECT :model, name, :source, 1, :as_of
             FROM store.models WHERE model_id = :stub
           ON CONFLICT DO NOTHING""",
        "UPDATE store.runs SET model_id = :model WHERE model_id = :stub",
        "UPDATE store.answers SET model_id = :model WHERE model_id = :stub",
        # Where both have a vector of one version, the model keeps its own.
        """DELETE FROM store.embeddings e WHERE e.model_id = :stub
              AND EXISTS (SELECT FROM store.embeddings o
                           WHERE o.model_id = :model AND o.version_id = e.version_id)""",
        """DELETE FROM store.serving_vectors e WHERE e.model_id = :stub
              AND EXISTS (SELECT FROM store.serving_vectors o
                           WHERE o.model_id = :model AND o.version_id = e.version_id)""",
        "UPDATE store.embeddings SET model_id = :model WHERE model_id = :stub",
        "UPDATE store.serving_vectors SET model_id = :model WHERE model_id = :stub",
        """UPDATE store.evaluated_names SET model_id = :model,
                  method = CASE WHEN method <> 'unresolved' THEN method
                                WHEN :source IN ('case', 'user') THEN :source ELSE 'alias' END,
                  confidence = CASE WHEN method <> 'unresolved' THEN confidence ELSE 1 END
            WHERE model_id = :stub""",
        "DELETE FROM store.edges WHERE parent_id = :stub",
        "DELETE FROM store.model_families WHERE model_id = :stub",
        "DELETE FROM store.lookups WHERE model_id = :stub",
        "DELETE FROM store.models WHERE model_id = :stub",
    ):
        connection.execute(text(statement), key)
    return list(children)


def drop_stubs(connection: Connection, model_ids: Sequence[int]) -> list[str]:
    """Forget those of some models that are stubs and that nothing names any more.

    Args:
        connection: in a transaction.
        model_ids: keys of models.

    Returns:
        The names of those that were forgotten.
    """
    dropped = connection.execute(
        text("""
        DELETE FROM store.models m
         WHERE m.model_id = ANY (:models) AND m.state = 'stub'
           AND NOT EXISTS (SELECT FROM store.evaluated_names n WHERE n.model_id = m.model_id)
           AND NOT EXISTS (SELECT FROM store.model_aliases a WHERE a.model_id = m.model_id)
           AND NOT EXISTS (SELECT FROM store.edges e
                            WHERE e.parent_id = m.model_id OR e.child_id = m.model_id)
        RETURNING m.model_id, m.name"""),
        {"models": list(model_ids)},
    ).all()
    for table in ("model_families", "lookups"):
        connection.execute(
            text(f"DELETE FROM store.{table} WHERE model_id = ANY (:models)"),  # noqa: S608
            {"models": [row.model_id for row in dropped]},
        )
    return [row.name for row in dropped]


def settle_stub(connection: Connection, stub_id: int, name: str, *, as_of: datetime) -> list[int]:
    """Make a stub that the Hub knows under another name an alias of the model of that name.

    Returns:
        Keys of the children whose families need to be computed again.
    """
    model = connection.scalar(
        text("""
        SELECT m.model_id FROM store.models m, store.models stub
         WHERE m.name = :name AND stub.model_id = :stub AND stub.state = 'stub'
           AND m.model_id <> stub.model_id"""),
        {"name": name, "stub": stub_id},
    )
    if model is None:
        return []
    return merge_stub(connection, stub_id, into=model, source="rename", as_of=as_of)


def model_id(connection: Connection, name: str) -> int:
    """Return the key of the model that a name stands for, whatever alias it is.

    Raises:
        ModelNotFoundError: with the nearest names there are.
    """
    key = connection.scalar(text("SELECT registry.model_id(:name)"), {"name": name})
    if key is None:
        raise ModelNotFoundError(name, suggestions(connection, name))
    return int(key)


CANDIDATES = 20
"""Names that a search finds, of which the likest are suggested."""


def suggestions(connection: Connection, name: str, limit: int = 3) -> tuple[str, ...]:
    """Return the names most like one that does not exist, the likeliest first.

    Where nothing has all of its words, or words spelled alike, one of them is left out.
    """
    words = connection.scalar(text("SELECT store.search_terms(:name)"), {"name": name}) or []
    if not words:
        return ()
    without = [
        " ".join(word for place, word in enumerate(words) if place != left_out)
        # The shortest first: it tells least, and is the hardest to mend.
        for left_out in sorted(range(len(words)), key=lambda place: len(words[place]))
    ]
    for query in (name, *(each for each in without if each)):
        found = connection.scalars(
            text("SELECT name FROM registry.search_models(:query, :limit)"),
            {"query": query, "limit": CANDIDATES},
        ).all()
        if found:
            # Whoever leaves the organisation out, or mistakes it, names the rest all the same.
            return tuple(
                sorted(found, key=lambda each: _likeness(each, name), reverse=True)[:limit]
            )
    return ()


def _likeness(name: str, asked: str) -> tuple[float, float]:
    name, asked = name.lower(), asked.lower()
    own = SequenceMatcher(None, name.rpartition("/")[2], asked.rpartition("/")[2]).ratio()
    return own, SequenceMatcher(None, name, asked).ratio()
