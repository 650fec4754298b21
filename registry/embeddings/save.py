"""What a training hands over, and how it is kept: as a new version, whole or not at all."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray
from sqlalchemy import Connection, text

from registry.db.binary_copy import copy_out
from registry.embeddings.partitions import create_partition
from registry.embeddings.versions import EmbeddingVersion, current_version
from registry.enums import VectorKind
from registry.errors import RegistryError
from registry.evaluations.outcomes import Column
from registry.learning import alignment

MOST_DIMENSIONS = 16_000
"""Dimensions that pgvector stores."""

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrainedVersion:
    """What came out of a training, with all that is needed to tell how.

    Attributes:
        method: how it was trained, such as mf or simrmf.
        models: any names of the M models.
        vectors: float32, (M, d), their embeddings.
        uncertainties: float32, (M,), at least 0: standard deviation of a coordinate of each
            vector; None where the method tells none.
        serving: float32, (M, t + 1): the logit of model m on a prompt with the encoder's vector q
            of t dimensions is the inner product of serving[m] and [q, 1]; None where the method
            cannot route.
        encoder: which one made the vectors of texts; None where none was used.
        items: the N items that it was trained on.
        item_vectors: float32, (N, d + 1): the logit of model m on item i is the inner product of
            [vectors[m], 1] and item_vectors[i]; or (N, d), without offsets; or of other
            dimensions, which mean something else; None where the method has none.
        settings: all that it takes to train again, apart from the data.
        trials: of a search for settings: what was tried, and what came out.
        metrics: figures on held-out data, such as {"validation": {"log_loss": 0.52}}.
        data_fingerprint: of the outcomes.
        code_version: of the code.
        device: such as cpu, or the name of a GPU.
        seed: of all random numbers.
        seconds: that it took.
        outcomes: number of outcomes that it was trained on.
        kinds: of each vector, one of `enums.VectorKind`: trained from outcomes, folded in
            later, or cold, from what is known of a model without any; None: all trained.
    """

    method: str
    models: Sequence[str]
    vectors: Floats
    uncertainties: Floats | None = None
    serving: Floats | None = None
    encoder: str | None = None
    items: Sequence[Column] = ()
    item_vectors: Floats | None = None
    settings: Mapping[str, object]
    trials: Sequence[Mapping[str, object]] = ()
    metrics: Mapping[str, object]
    data_fingerprint: str
    code_version: str
    device: str
    seed: int
    seconds: float
    outcomes: int
    kinds: Sequence[str] | None = None


def save(connection: Connection, trained: TrainedVersion) -> int:
    """Keep a training as a new version, a candidate, and return its number.

    Its vectors are rotated onto those of the current version, over the models that both have;
    item vectors of the same dimension are rotated along, so that inner products stay, and serving
    vectors stay as they are. The version becomes visible at the commit, all of it.

    Args:
        connection: in a transaction.
        trained: what came out.

    Raises:
        RegistryError: saying what is wrong with it, before anything is written.
    """
    _check(trained)
    keys = _model_keys(connection, trained.models)
    places = None if trained.item_vectors is None else _item_places(connection, trained.items)
    current = current_version(connection)
    turned = _turn(connection, current, keys, trained.vectors)
    vectors, items = trained.vectors, trained.item_vectors
    if turned is not None:
        vectors = alignment.turn(vectors, turned)
        if items is not None:
            items = _turned_along(items, vectors.shape[1], turned)
    version = _add_version(connection, trained, current if turned else None, turned)
    _write_embeddings(connection, version, trained, keys, vectors)
    if trained.serving is not None:
        create_partition(
            connection, "serving_vectors", version, {"model_id": keys, "vector": trained.serving}
        )
    if items is not None and places is not None:
        benchmark, ordinal = places
        create_partition(
            connection,
            "item_embeddings",
            version,
            {"benchmark_id": benchmark, "ordinal": ordinal, "vector": items},
        )
    return version


def _turned_along(items: Floats, dimension: int, turned: alignment.Aligned) -> Floats:
    """Turn items' vectors as models' were, so that inner products stay; offsets stay too."""
    if items.shape[1] not in {dimension, dimension + 1}:
        return items
    vectors = alignment.turn(items[:, :dimension], turned)
    return np.column_stack([vectors, items[:, dimension:]])


def _check(trained: TrainedVersion) -> None:
    """Make sure that all there is fits together."""
    count = len(trained.models)
    if not count:
        raise RegistryError("There is not one model in the training, so there is nothing to save.")
    _check_array("vectors", trained.vectors, count, 2)
    if trained.serving is not None:
        _check_array("serving vectors", trained.serving, count, 2)
        if not trained.encoder:
            raise RegistryError("There are serving vectors, but no encoder is named for prompts.")
    if trained.uncertainties is not None:
        _check_array("uncertainties", trained.uncertainties, count, 1)
        if trained.uncertainties.min() < 0:
            raise RegistryError("An uncertainty is negative; they are standard deviations.")
    if trained.item_vectors is not None:
        _check_array("item vectors", trained.item_vectors, len(trained.items), 2, of="items")
    if trained.kinds is not None:
        unknown = sorted(set(trained.kinds) - set(VectorKind))
        if unknown or len(trained.kinds) != count:
            raise RegistryError(
                f"Each of the {count:,} models needs one of the kinds {', '.join(VectorKind)}; "
                f"there are {len(trained.kinds):,}, {', '.join(unknown) or 'all known'}."
            )


def _check_array(what: str, found: Floats, count: int, axes: int, *, of: str = "models") -> None:
    if found.dtype != np.float32:
        raise RegistryError(f"The {what} are {found.dtype}; they must be float32.")
    if found.ndim != axes or len(found) != count or 0 in found.shape:
        wanted = f"({count}, d)" if axes > 1 else f"({count},)"
        raise RegistryError(
            f"The {what} are of shape {found.shape}; for {count:,} {of} it must be {wanted}."
        )
    if axes > 1 and found.shape[1] > MOST_DIMENSIONS:
        raise RegistryError(
            f"The {what} have {found.shape[1]:,} dimensions; {MOST_DIMENSIONS:,} can be stored."
        )
    bad = ~np.isfinite(found).reshape(count, -1).all(axis=1)
    if bad.any():
        raise RegistryError(
            f"Of the {what}, {np.count_nonzero(bad):,} are not finite (NaN or infinite), the first "
            f"at place {int(bad.argmax())}; the training has diverged."
        )


def _model_keys(connection: Connection, names: Sequence[str]) -> NDArray[np.int64]:
    rows = connection.execute(
        text("""
        SELECT w.name, coalesce(m.model_id, registry.model_id(w.name)) AS model_id
          FROM unnest(CAST(:names AS text[])) WITH ORDINALITY AS w (name, place)
          LEFT JOIN store.models m ON m.name = w.name
         ORDER BY w.place"""),
        {"names": list(names)},
    ).all()
    unknown = [row.name for row in rows if row.model_id is None]
    if unknown:
        raise RegistryError(
            f"{len(unknown):,} of the models are not in the registry, such as {unknown[0]!r}."
        )
    seen: dict[int, str] = {}
    for row in rows:
        if row.model_id in seen:
            raise RegistryError(
                f"{seen[row.model_id]!r} and {row.name!r} are the same model; it can have one "
                "vector only."
            )
        seen[row.model_id] = row.name
    return np.fromiter(seen, np.int64, len(rows))


def _item_places(
    connection: Connection, items: Sequence[Column]
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return the benchmark's key and the ordinal of each item."""
    rows = connection.execute(
        text("""
        SELECT b.benchmark_id, i.ordinal
          FROM unnest(CAST(:benchmarks AS text[]), CAST(:versions AS text[]),
                      CAST(:items AS text[])) WITH ORDINALITY AS w (name, version, item, place)
          LEFT JOIN store.benchmarks b ON (b.name, b.version) = (w.name, w.version)
          LEFT JOIN store.items i ON (i.benchmark_id, i.item) = (b.benchmark_id, w.item)
         ORDER BY w.place"""),
        {
            "benchmarks": [each.benchmark for each in items],
            "versions": [each.version for each in items],
            "items": [each.item for each in items],
        },
    ).all()
    for row, item in zip(rows, items, strict=True):
        if row.ordinal is None:
            raise RegistryError(
                f"There is no item {item.item!r} of benchmark {item.benchmark!r}, version "
                f"{item.version!r}."
            )
    if len({tuple(row) for row in rows}) < len(rows):
        raise RegistryError("Two of the items are the same; each can have one vector only.")
    found = np.array([tuple(row) for row in rows], np.int32)
    return found[:, 0], found[:, 1]


def _turn(
    connection: Connection,
    current: EmbeddingVersion | None,
    keys: NDArray[np.int64],
    vectors: Floats,
) -> alignment.Aligned | None:
    """Find how vectors are turned onto the current version's."""
    if current is None or current.dimension != vectors.shape[1]:
        return None
    rows = copy_out(
        connection,
        "SELECT model_id, vector FROM store.embeddings"  # noqa: S608
        f" WHERE version_id = {current.version:d} AND kind = 'trained'",
        {"model": "i8", "vector": current.dimension},
    )
    _, ours, theirs = np.intersect1d(keys, rows["model"], return_indices=True)
    return alignment.align(vectors[ours], rows["vector"][theirs].astype(np.float32))


def _add_version(
    connection: Connection,
    trained: TrainedVersion,
    onto: EmbeddingVersion | None,
    turned: alignment.Aligned | None,
) -> int:
    serving = trained.serving
    values: dict[str, Any] = {
        "method": trained.method,
        "dimension": trained.vectors.shape[1],
        "serving_dimension": None if serving is None else serving.shape[1],
        "model_count": len(trained.models),
        "item_count": len(trained.items),
        "outcome_count": trained.outcomes,
        "encoder": trained.encoder,
        "data_fingerprint": trained.data_fingerprint,
        "code_version": trained.code_version,
        "device": trained.device,
        "seed": trained.seed,
        "seconds": trained.seconds,
        "settings": _json(trained.settings),
        "trials": _json(list(trained.trials)),
        "metrics": _json(trained.metrics),
        "aligned_to": None if onto is None else onto.version,
        "alignment_residual": None if turned is None else turned.residual,
    }
    placed = ", ".join(
        f"CAST(:{name} AS jsonb)" if name in {"settings", "trials", "metrics"} else f":{name}"
        for name in values
    )
    version = connection.scalar(
        text(f"""
        INSERT INTO store.embedding_versions (state, created_at, {", ".join(values)})
        VALUES ('candidate', clock_timestamp(), {placed}) RETURNING version_id"""),  # noqa: S608
        values,
    )
    assert isinstance(version, int)
    return version


def _json(value: object) -> str:
    return orjson.dumps(
        value, default=str, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS
    ).decode()


def _write_embeddings(
    connection: Connection,
    version: int,
    trained: TrainedVersion,
    keys: NDArray[np.int64],
    vectors: Floats,
) -> None:
    """Write the models' vectors, those of each kind together."""
    kinds = np.array(trained.kinds or ["trained"] * len(keys))
    parts = []
    for kind in map(str, VectorKind):
        of_kind = kinds == kind
        if of_kind.any():
            told = trained.uncertainties
            parts.append({
                "model_id": keys[of_kind],
                "uncertainty": None if told is None else told[of_kind],
                "kind": kind,
                "vector": vectors[of_kind],
            })  # fmt: skip
    create_partition(connection, "embeddings", version, *parts)
