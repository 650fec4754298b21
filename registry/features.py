"""Feature vectors of models, kept as sets that models share, for similarity.

What a model's features are stands twice: here, where a first sync computes a hundred thousand of
them (20 us each; in SQL it took 150), and in `registry.features`, where people read them. A test
holds both together.
"""

import hashlib
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from sqlalchemy import Connection, text

from registry.db import copy_rows
from registry.schema import FEATURE_DIMENSIONS

SIZE = 1
"""Dimension of the size; every other feature is hashed to one from 2."""

MOST_TAGS = 200

_VERSION = re.compile(r"([_-]v|[_-]|V)?[0-9].*$", re.DOTALL)
_CLASS_SUFFIX = re.compile(r"(For[A-Z].*|LMHeadModel|Model|HeadModel)$", re.DOTALL)
_SHORTEST_FAMILY = 3


@dataclass(frozen=True, slots=True)
class Traits:
    """What the features of a model are computed from, as in the columns of `store.models`."""

    parameters: int | None
    model_type: str | None
    architectures: Sequence[str]
    pipeline_tag: str | None
    tags: Sequence[str]


@dataclass(frozen=True, slots=True)
class FeatureSet:
    """The features of a model as a vector of length 1.

    Attributes:
        fingerprint: the same for the same features, 32 hexadecimal digits.
        vector: in pgvector's text form of a sparse vector.
    """

    fingerprint: str
    vector: str


@lru_cache(maxsize=200_000)
def dimension(feature: str) -> int:
    """Return the dimension, from 2, that a feature's name is hashed to.

    Of 100,000 features one in 168 shares its dimension with another.
    """
    digest = hashlib.blake2b(feature.encode(), digest_size=8).digest()
    return 2 + int.from_bytes(digest) % (FEATURE_DIMENSIONS - 1)


@lru_cache(maxsize=10_000)
def architecture_family(model_type: str | None, architecture: str | None) -> str | None:
    """Return a model type without its version, as `store.architecture_family` does."""
    if model_type is not None:
        whole = model_type.lower()
    elif architecture is not None:
        whole = _CLASS_SUFFIX.sub("", architecture, count=1)
    else:
        return None
    short = _VERSION.sub("", whole, count=1)
    return (short if len(short) >= _SHORTEST_FAMILY else whole).lower() or None


def feature_set(traits: Traits) -> FeatureSet | None:
    """Return the features of a model (SimRMF, appendix A.1), None where nothing is known of it.

    The size is log2(millions of weights, at least 1) / 12, rounded to two decimals, a step of 9%,
    so that models of the same make share it; all others are there or not.
    """
    size = 0.0
    if traits.parameters is not None and traits.parameters > 0:
        size = round(math.log2(max(traits.parameters / 1e6, 1)) / 12, 2)
    dimensions = tuple(sorted({dimension(name) for name in _names(traits)}))
    squares = size * size + len(dimensions)
    if squares == 0:
        return None
    written = f"{size}:{dimensions}".encode()
    one = f"{1 / math.sqrt(squares):.7g}"
    entries = [f"{SIZE}:{size / math.sqrt(squares):.7g}"] if size else []
    entries += [f"{each}:{one}" for each in dimensions]
    return FeatureSet(
        hashlib.blake2b(written, digest_size=16).hexdigest(),
        f"{{{','.join(entries)}}}/{FEATURE_DIMENSIONS}",
    )


def _names(traits: Traits) -> Iterator[str]:
    first = traits.architectures[0] if traits.architectures else None
    family = architecture_family(traits.model_type, first)
    task = traits.pipeline_tag
    if family is not None:
        yield f"architecture:{family}"
    if task is not None:
        yield f"task:{task}"
    for tag in traits.tags[:MOST_TAGS]:
        lowered = tag.lower()
        if ":" not in tag and not tag.endswith("_compatible") and lowered not in {task, family}:
            yield f"tag:{lowered}"


def write_features(connection: Connection, found: Iterable[tuple[int, FeatureSet | None]]) -> int:
    """Write the features of models by key; None takes away what a model had.

    Returns:
        How many models have other features than before.
    """
    rows = list(found)
    sets = {features.fingerprint: features for _, features in rows if features is not None}
    connection.exec_driver_sql(
        "CREATE TEMPORARY TABLE IF NOT EXISTS incoming_sets (fingerprint uuid PRIMARY KEY,"
        " features sparsevec) ON COMMIT DELETE ROWS;"
        "CREATE TEMPORARY TABLE IF NOT EXISTS incoming_features (model_id bigint PRIMARY KEY,"
        " fingerprint uuid) ON COMMIT DELETE ROWS;"
        "DELETE FROM incoming_sets; DELETE FROM incoming_features"
    )
    copy_rows(
        connection,
        "incoming_sets",
        ("fingerprint", "features"),
        ((each.fingerprint, each.vector) for each in sets.values()),
    )
    copy_rows(
        connection,
        "incoming_features",
        ("model_id", "fingerprint"),
        ((key, None if each is None else each.fingerprint) for key, each in rows),
    )
    connection.exec_driver_sql("""
        INSERT INTO store.feature_sets (fingerprint, features)
        SELECT fingerprint, features FROM incoming_sets i
         WHERE NOT EXISTS (
                   SELECT FROM store.feature_sets s WHERE s.fingerprint = i.fingerprint)
            ON CONFLICT DO NOTHING""")
    written = connection.exec_driver_sql("""
        INSERT INTO store.model_features AS f (model_id, feature_set_id)
        SELECT i.model_id, s.feature_set_id
          FROM incoming_features i JOIN store.feature_sets s USING (fingerprint)
            ON CONFLICT (model_id) DO UPDATE SET feature_set_id = excluded.feature_set_id
         WHERE f.feature_set_id <> excluded.feature_set_id""").rowcount
    lost = connection.exec_driver_sql("""
        DELETE FROM store.model_features f USING incoming_features i
         WHERE f.model_id = i.model_id AND i.fingerprint IS NULL""").rowcount
    return written + lost


def refresh_features(connection: Connection, model_ids: Sequence[int] | None = None) -> int:
    """Compute the features of some models, or of all, from what is stored of them.

    Returns:
        How many models have other features than before.
    """
    rows = connection.execute(
        text(
            "SELECT model_id, parameters, model_type, architectures, pipeline_tag, tags"
            "  FROM store.models WHERE cast(:ids AS bigint[]) IS NULL OR model_id = ANY (:ids)"
            " ORDER BY model_id"
        ),
        {"ids": None if model_ids is None else list(model_ids)},
        execution_options={"yield_per": 10_000},
    )
    return sum(
        write_features(connection, ((row[0], feature_set(Traits(*row[1:]))) for row in page))
        for page in rows.partitions()
    )


def forget_unused_sets(connection: Connection) -> int:
    """Delete the feature sets that no model has any more; return how many there were."""
    return connection.exec_driver_sql("""
        DELETE FROM store.feature_sets s
         WHERE NOT EXISTS (SELECT FROM store.model_features f
                            WHERE f.feature_set_id = s.feature_set_id)""").rowcount
