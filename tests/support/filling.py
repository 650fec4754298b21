"""A generated catalog in a database at once, without a Hub: what places models reads of it."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, NamedTuple

import numpy as np
from generated_hub.naming import Families
from generated_hub.vocabulary import LANGUAGES, TOPICS
from sqlalchemy import Connection, text

from registry.catalog.indexes import FOR_NAMES, drop_before_load
from registry.db.copy import copy_rows
from registry.db.schema import models
from registry.demo.draws import ADAPTER, MERGE, QUANTIZED, descend, heavy, shares

AT_ONCE = 20_000
OPENING, SPACING = 1_646_263_744, 12
RELATIONS = {ADAPTER: "adapter", QUANTIZED: "quantized", MERGE: "merge"}
UNSTATED, NAMELESS = 0.15, 0.02
"""Shares of models that state no architecture, and of stubs, of which only the name is known."""

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
COLUMNS = (
    "model_id", "name", "author", "state", "parameters", "pipeline_tag", "tags", "model_type",
    "architectures", "created_at", "first_seen", "changed_at", "search",
)  # fmt: skip


class Batch(NamedTuple):
    """Rows of `store.models`, and of `store.edges`."""

    models: list[tuple[Any, ...]]
    edges: list[tuple[Any, ...]]


def fill(connection: Connection, count: int) -> None:
    """Load the generated models 0 to `count` - 1, whose keys are one more, and their lineage."""
    drop_before_load(connection)
    edges: list[tuple[Any, ...]] = []
    for batch in batches(count):
        copy_rows(connection, "store.models", COLUMNS, batch.models)
        edges += batch.edges
    copy_rows(
        connection,
        "store.edges",
        ("child_id", "parent_id", "relation", "source", "confidence", "position"),
        edges,
    )
    connection.execute(
        text("SELECT setval(pg_get_serial_sequence('store.models', 'model_id'), :last)"),
        {"last": count},
    )
    for index in models.indexes:
        if index.name in (*FOR_NAMES, "models_author_idx"):
            index.create(connection)
    for table in ("models", "edges"):
        connection.exec_driver_sql(f"ANALYZE store.{table}")


def batches(count: int, seed: int = 0) -> Iterator[Batch]:
    """Yield the generated models and edges, some after others."""
    for first in range(0, count, AT_ONCE):
        numbers = np.arange(first, min(first + AT_ONCE, count))
        descent = descend(numbers, seed)
        sources = np.where(descent.sources < count, descent.sources, -1)
        sources[descent.missing] = -1
        families = Families(numbers, descent.root, seed)
        draws = np.stack([shares(numbers, seed, 30 + at) for at in range(3)], axis=1).tolist()
        topics = np.stack(
            [heavy(shares(numbers, seed, 50 + at), 60 + numbers // 3) for at in range(5)], axis=1
        ).tolist()
        rows: list[tuple[Any, ...]] = []
        edges: list[tuple[Any, ...]] = []
        for number, root, made, parents, (share, stated, stub), ranks in zip(
            numbers.tolist(),
            descent.root.tolist(),
            descent.kind.tolist(),
            sources.tolist(),
            draws,
            topics,
            strict=True,
        ):
            kind, size, shape, _ = families.of(root)
            name = families.name(number, root)
            author = name.partition("/")[0]
            model_type, _, architecture = shape.partition(":")
            if stub < NAMELESS:
                row: tuple[Any, ...] = (None, None, [], None, [], None)
            else:
                told = bool(shape) and stated >= UNSTATED
                created = datetime.fromtimestamp(OPENING + number * SPACING, UTC)
                tags = [
                    *(tag for tag in (kind.library, "safetensors", model_type, kind.task) if tag),
                    *(TOPICS[rank % len(TOPICS)] for rank in ranks[: int(share * 6.5)]),
                    LANGUAGES[number % len(LANGUAGES)],
                    f"dataset:{author}/{number % 997}",
                    f"license:{number % 7}",
                    "endpoints_compatible",
                    "region:us",
                ]
                row = (
                    size or None,
                    kind.task,
                    tags,
                    model_type if told else None,
                    [architecture] if told else [],
                    created,
                )
            state = "stub" if stub < NAMELESS else "available"
            rows.append((number + 1, name, author, state, *row, NOON, NOON, ""))
            relation = RELATIONS.get(made, "finetune")
            for place, parent in enumerate(dict.fromkeys(parents)):
                if parent >= 0:
                    edges.append((number + 1, parent + 1, relation, "tag", 1.0, place))
        yield Batch(rows, edges)
