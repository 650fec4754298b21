"""Merge of a stub into the model that it names, and removal of stubs that nothing names.

Tables hold keys of models without foreign keys (see `registry.db.schema.base.model_key`). Which
columns they are, and the exceptions among them, are stated here; a test holds them to the schema.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy import Column, Connection, text

from registry.catalog.facts.effective import apply
from registry.catalog.item_statistics import mark_stale
from registry.db import schema

KEYS = {
    f"{table.name}.{column.name}": column
    for table in schema.metadata.sorted_tables
    for column in table.columns
    if table is not schema.models and column.name in {"model_id", "child_id", "parent_id"}
}
"""Columns that hold the key of a model, by table and name: a merge moves their rows to the model.

Where the model has a row of the same primary key otherwise, it keeps its own.
"""

# Listed models alone have rows, while the catalog is loaded; there is no index to find them by.
del KEYS["pending_edges.child_id"]

DERIVED = ("model_families.model_id", "lookups.model_id", "shown_runs.model_id")
"""Keys whose rows a merge deletes: families and shown runs are computed again, lookups have had
their answer."""

STATED = (
    "evaluated_names.model_id", "model_aliases.model_id", "edges.child_id", "edges.parent_id",
    "runs.model_id", "answers.model_id", "domain_experts.model_id",
)  # fmt: skip
"""Keys whose rows name a stub; one that has none of them is removed, with all its other rows."""


KEPT = ("score_changes.model_id", "route_decisions.model_id")
"""Keys whose rows outlive a stub: they have its name."""

RELEASED = ("price_offers.model_id",)
"""Keys whose rows outlive a stub that nothing else names: their names resolve to no model then."""


def _move(key: str, column: Column[int]) -> Iterable[str]:
    """Return the statements that move the rows of a stub to a model."""
    table, name = column.table, column.name
    if key == "evaluated_names.model_id":
        yield """
            UPDATE store.evaluated_names SET model_id = :model,
                   method = CASE WHEN method <> 'unresolved' THEN method
                                 WHEN :source IN ('case', 'user') THEN :source ELSE 'alias' END,
                   confidence = CASE WHEN method <> 'unresolved' THEN confidence ELSE 1 END
             WHERE model_id = :stub"""
        return
    if key in DERIVED:
        yield f"DELETE FROM {table} WHERE {name} = :stub"  # noqa: S608 - names of the schema
        return
    if column.primary_key:
        same = "".join(
            f" AND own.{other.name} = t.{other.name}"
            for other in table.primary_key
            if other is not column
        )
        yield f"""
            DELETE FROM {table} t
             WHERE t.{name} = :stub
               AND EXISTS (SELECT FROM {table} own WHERE own.{name} = :model{same})"""  # noqa: S608
    yield f"UPDATE {table} SET {name} = :model WHERE {name} = :stub"  # noqa: S608


_MERGE = tuple(
    text(statement)
    for statement in (
        """INSERT INTO store.model_aliases (model_id, alias, source, confidence, valid_to)
           SELECT :model, name, :source, 1, :as_of FROM store.models WHERE model_id = :stub
               ON CONFLICT DO NOTHING""",
        # Vectors that rest on that of the stub rest on it still.
        """UPDATE store.embeddings e SET near_ids = array_replace(e.near_ids, :stub, :model)
             FROM (SELECT version_id FROM store.embeddings
                    WHERE model_id = :stub AND kind = 'trained' OFFSET 0) v
            WHERE e.version_id = v.version_id AND :stub = ANY (e.near_ids)""",
        # Abilities of the one with more scores, and these scores alone, until all are counted: what
        # counts then is found by comparing them with those of runs.
        """DELETE FROM store.abilities own USING store.abilities t
            WHERE own.model_id = :model AND t.model_id = :stub
              AND t.version_id = own.version_id AND t.score_count > own.score_count""",
        """DELETE FROM store.fitted_scores f USING store.abilities t
            WHERE f.model_id = :model AND t.model_id = :stub AND t.version_id = f.version_id
              AND NOT EXISTS (SELECT FROM store.abilities own
                               WHERE own.model_id = :model AND own.version_id = f.version_id)""",
        """DELETE FROM store.fitted_scores f USING store.abilities own
            WHERE f.model_id = :stub AND own.model_id = :model
              AND own.version_id = f.version_id""",
        *(statement for key, column in KEYS.items() for statement in _move(key, column)),
        "DELETE FROM store.models WHERE model_id = :stub",
    )
)


def merge_stub(
    connection: Connection, stub_id: int, *, into: int, source: str, as_of: datetime
) -> list[int]:
    """Make a stub an alias of the model that it names, and move all its rows to the model.

    Args:
        connection: in a transaction.
        stub_id: key of the stub; its row is deleted.
        into: key of the model.
        source: evidence that they are one, as in `enums.AliasSource`.
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
    for statement in _MERGE:
        connection.execute(statement, key)
    apply(connection, [into])
    return list(children)


def merge_renamed_stub(
    connection: Connection, stub_id: int, name: str, *, as_of: datetime
) -> list[int]:
    """Merge a stub into the model of the name that the Hub has for it now, if there is one.

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


_UNNAMED = " AND ".join(
    f"NOT EXISTS (SELECT FROM {column.table} t WHERE t.{column.name} = m.model_id)"
    for column in map(KEYS.__getitem__, STATED)
)


def drop_stubs(connection: Connection, model_ids: Sequence[int]) -> list[str]:
    """Delete the stubs among models that nothing names any more.

    Args:
        connection: in a transaction.
        model_ids: keys of models.

    Returns:
        The names of the deleted stubs, sorted.
    """
    dropped = connection.execute(
        text(f"""
        DELETE FROM store.models m
         WHERE m.model_id = ANY (:models) AND m.state = 'stub' AND {_UNNAMED}
        RETURNING m.model_id, m.name"""),  # noqa: S608
        {"models": list(model_ids)},
    ).all()
    keys = {"models": [row.model_id for row in dropped]}
    for key, column in KEYS.items() if dropped else ():
        if key in RELEASED:
            connection.execute(
                text(f"""
                UPDATE {column.table} SET {column.name} = NULL, method = NULL, confidence = NULL
                 WHERE {column.name} = ANY (:models)"""),  # noqa: S608
                keys,
            )
        elif key not in (*STATED, *KEPT):
            connection.execute(
                text(f"DELETE FROM {column.table} WHERE {column.name} = ANY (:models)"),  # noqa: S608
                keys,
            )
    return sorted(row.name for row in dropped)
