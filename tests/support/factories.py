"""Rows for tests: plain functions that insert one and return its key; and `rows`, to ask."""

from datetime import UTC, datetime
from itertools import count
from typing import Any

from sqlalchemy import Connection, select, text

from registry.catalog import feature_sets
from registry.catalog.features import Traits, feature_set
from registry.db import schema

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
"""When things happen in tests, unless they say otherwise."""

_numbers = count(1)


def rows(connection: Connection, query: str, /, **parameters: Any) -> list[tuple[Any, ...]]:
    """Return the rows of a query, as tuples."""
    return [tuple(row) for row in connection.execute(text(query), parameters)]


def model(connection: Connection, name: str | None = None, **columns: Any) -> int:
    """Insert a model, available unless told otherwise, and return its key."""
    name = name or f"org/model-{next(_numbers)}"
    values = {
        "author": name.partition("/")[0] if "/" in name else None,
        "state": "available",
        "first_seen": NOON,
        "changed_at": NOON,
        **columns,
    }
    if values["state"] != "stub":
        values.setdefault("created_at", NOON)
        values.setdefault("last_modified", NOON)
    key = connection.scalar(
        schema.models.insert().values(name=name, **values).returning(schema.models.c.model_id)
    )
    assert isinstance(key, int)
    return key


def stub(connection: Connection, name: str) -> int:
    """Insert a model that is known only as a parent, and return its key."""
    return model(connection, name, state="stub")


def alias(connection: Connection, of: int | str, name: str, **columns: Any) -> None:
    """Give a model another name."""
    values = {"source": "user", "confidence": 1.0, **columns}
    connection.execute(
        schema.model_aliases.insert().values(model_id=_key(connection, of), alias=name, **values)
    )


def counters(connection: Connection, of: int | str, **columns: Any) -> None:
    """Insert the latest counters of a model."""
    connection.execute(schema.counters.insert().values(model_id=_key(connection, of), **columns))


def history(connection: Connection, of: int | str, observed_at: datetime, **columns: Any) -> None:
    """Insert a line of a model's history."""
    connection.execute(
        schema.model_history.insert().values(
            model_id=_key(connection, of), observed_at=observed_at, **columns
        )
    )


def document(connection: Connection, of: int | str, **columns: Any) -> None:
    """Insert the card and configuration of a model."""
    connection.execute(schema.documents.insert().values(model_id=_key(connection, of), **columns))


def edge(
    connection: Connection,
    child: int | str,
    parent: int | str,
    relation: str = "finetune",
    **columns: Any,
) -> None:
    """Insert a statement that one model was made from another; names are made as needed."""
    values = {"source": "tag", "confidence": 1.0, "position": 0, **columns}
    connection.execute(
        schema.edges.insert().values(
            child_id=_key(connection, child),
            parent_id=_key(connection, parent),
            relation=relation,
            **values,
        )
    )


def family(
    connection: Connection,
    of: int | str,
    root: int | str,
    *,
    parent: int | str | None = None,
    generation: int = 0,
    in_cycle: bool = False,
) -> None:
    """Insert a model's place in its family."""
    connection.execute(
        schema.model_families.insert().values(
            model_id=_key(connection, of),
            family_id=_key(connection, root),
            primary_parent_id=None if parent is None else _key(connection, parent),
            generation=generation,
            in_cycle=in_cycle,
        )
    )


def _key(connection: Connection, of: int | str) -> int:
    """Return the key of a model given by key or name, making it where there is none."""
    if isinstance(of, int):
        return of
    key = connection.scalar(select(schema.models.c.model_id).where(schema.models.c.name == of))
    return model(connection, of) if key is None else key


def refresh_features(connection: Connection) -> int:
    """Compute the features of all models from their rows; return how many models changed."""
    rows = connection.execute(
        text(
            "SELECT model_id, parameters, model_type, architectures, pipeline_tag, tags"
            "  FROM store.models"
        )
    )
    return feature_sets.replace_features(
        connection, {row[0]: feature_set(Traits(*row[1:])) for row in rows}
    )
