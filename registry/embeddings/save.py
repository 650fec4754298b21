"""Storage of a trained version, whole or not at all."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson
from numpy.typing import NDArray
from sqlalchemy import Connection, text

from registry.db.binary_copy import copy_out
from registry.embeddings.partitions import create_partition
from registry.embeddings.routers.stored_router import save_router
from registry.embeddings.version_uncertainty import VersionUncertainty, stored_variances
from registry.embeddings.versions import EmbeddingVersion, current_version
from registry.enums import VectorKind
from registry.errors import RegistryError
from registry.evaluations.outcomes import Column
from registry.learning import alignment

if TYPE_CHECKING:
    from registry.embeddings.routers.learned_router import LearnedRouter

MOST_DIMENSIONS = 16_000
"""Largest dimension that pgvector stores."""

MOST_PADDED = 128
"""Largest dimension up to which vectors of different ones are aligned: those of a text encoder have
hundreds, and one version with as many must not make all later ones as large."""

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrainedVersion:
    """Result of a training, with its provenance.

    Attributes:
        method: of training, such as mf or irt.
        models: any names of the M models.
        vectors: float32, (M, d), their embeddings.
        uncertainties: float32, (M,), at least 0: standard deviation of a coordinate of each
            vector; None where the method gives none.
        variances: float32, (M, k), at least 0: of each vector along the axes of `uncertainty`;
            None where it has none.
        uncertainty: of the version, in the coordinates of the vectors.
        serving: float32, (M, t + 1): the logit of model m on a prompt with the encoder's vector q
            of t dimensions is the inner product of serving[m] and [q, 1]; None where the method
            cannot route.
        encoder: of texts; None where none was used.
        items: the N items that it was trained on.
        item_vectors: float32, (N, d + 1): the logit of model m on item i is the inner product of
            [vectors[m], 1] and item_vectors[i]; or (N, d), without offsets; or of another
            dimension, with another meaning; None where the method has none.
        settings: all that repeats the training, apart from the data.
        trials: settings that were tried, with their metrics.
        metrics: on held-out data, such as {"validation": {"log_loss": 0.52}}.
        data_fingerprint: of the outcomes.
        code_version: of the code.
        device: such as cpu, or the name of a GPU.
        seed: of all random numbers.
        seconds: duration.
        outcomes: number of outcomes that it was trained on.
        unexplained: float64, (d, d): covariance of models' vectors about what the catalog predicts;
            None where the vectors do not depend on the catalog.
        kinds: of each vector, of `enums.VectorKind`; None where all are trained.
        reason: why it is a candidate, for people; None where there is nothing to say.
        router: by neighbours and kernel regression; None where too few items have texts.
    """

    method: str
    models: Sequence[str]
    vectors: Floats
    uncertainties: Floats | None = None
    variances: Floats | None = None
    uncertainty: VersionUncertainty = field(default_factory=VersionUncertainty)
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
    unexplained: NDArray[np.float64] | None = None
    kinds: Sequence[str] | None = None
    reason: str | None = None
    router: "LearnedRouter | None" = None


def save(connection: Connection, trained: TrainedVersion) -> int:
    """Store a trained version as a candidate, and return its number.

    Its vectors are rotated onto those of the current version, over the models that both have, and
    padded with zeros where they have fewer dimensions, up to `MOST_PADDED`. Item vectors of the
    same dimension are rotated as well, so that inner products stay; serving vectors stay as they
    are. The whole version becomes visible at the commit.

    Args:
        connection: in a transaction.
        trained: the version.

    Raises:
        RegistryError: when something in it is invalid, before anything is written.
    """
    _check(trained)
    keys = _model_keys(connection, trained.models)
    places = None if trained.item_vectors is None else _item_places(connection, trained.items)
    current = current_version(connection)
    rotation = _rotation(connection, current, keys, trained.vectors)
    if rotation is not None:
        trained = _aligned(trained, rotation)
    vectors, items = trained.vectors, trained.item_vectors
    version = _add_version(connection, trained, current if rotation else None, rotation)
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
    if trained.router is not None:
        _save_router(connection, version, trained, trained.router, keys)
    return version


def _save_router(
    connection: Connection,
    version: int,
    trained: TrainedVersion,
    router: "LearnedRouter",
    keys: NDArray[np.int64],
) -> None:
    columns = [trained.items[place] for place in router.items.tolist()]
    save_router(
        connection,
        version,
        router.blend,
        models=keys[router.models],
        outcomes=router.outcomes,
        places=_item_places(connection, columns),
        figures=router.figures,
    )


def _aligned(trained: TrainedVersion, rotation: alignment.Alignment) -> TrainedVersion:
    """Return a version in the coordinates of the one before."""
    dimension = trained.vectors.shape[1]
    vectors = alignment.rotate(trained.vectors, rotation)
    items, uncertainties = trained.item_vectors, trained.uncertainties
    if items is not None:
        items = _rotated(items, dimension, rotation)
    if uncertainties is not None:
        # Of a mean coordinate, and there is nothing uncertain about zeros.
        share = np.float32(np.sqrt(dimension / vectors.shape[1]))
        uncertainties = uncertainties * share
    return replace(
        trained,
        vectors=vectors,
        item_vectors=items,
        uncertainties=uncertainties,
        uncertainty=trained.uncertainty.rotated(rotation),
    )


def _rotated(items: Floats, dimension: int, rotation: alignment.Alignment) -> Floats:
    """Rotate items' vectors as models' were, so that inner products stay; offsets stay too."""
    if items.shape[1] not in {dimension, dimension + 1}:
        return items
    vectors = alignment.rotate(items[:, :dimension], rotation)
    return np.column_stack([vectors, items[:, dimension:]])


def _check(trained: TrainedVersion) -> None:
    """Check shapes, types and values."""
    count = len(trained.models)
    if not count:
        raise RegistryError("The training has no models, so there is nothing to store.")
    _check_array("vectors", trained.vectors, count, 2)
    if trained.serving is not None:
        _check_array("serving vectors", trained.serving, count, 2)
        if not trained.encoder:
            raise RegistryError("There are serving vectors, but no encoder of prompts.")
    if trained.uncertainties is not None:
        _check_array("uncertainties", trained.uncertainties, count, 1)
        if trained.uncertainties.min() < 0:
            raise RegistryError("An uncertainty is negative; they are standard deviations.")
    _check_variances(trained, count)
    if trained.item_vectors is not None:
        _check_array("item vectors", trained.item_vectors, len(trained.items), 2, of="items")
    if trained.kinds is not None:
        unknown = sorted(set(trained.kinds) - set(VectorKind))
        if unknown or len(trained.kinds) != count:
            raise RegistryError(
                f"Each of the {count:,} models needs one of the kinds {', '.join(VectorKind)}; "
                f"there are {len(trained.kinds):,}, {', '.join(unknown) or 'all known'}."
            )


def _check_variances(trained: TrainedVersion, count: int) -> None:
    variances, axes = trained.variances, trained.uncertainty.axes
    if variances is not None:
        _check_array("variances", variances, count, 2)
        if variances.min() < 0:
            raise RegistryError("A variance is negative.")
    along = None if axes is None else axes.directions.shape[1]
    if along != (None if variances is None else variances.shape[1]):
        raise RegistryError("There is to be a variance of each model along each axis.")


def _check_array(what: str, array: Floats, count: int, axes: int, *, of: str = "models") -> None:
    if array.dtype != np.float32:
        raise RegistryError(f"The {what} are {array.dtype}; they must be float32.")
    if array.ndim != axes or len(array) != count or 0 in array.shape:
        expected = f"({count}, d)" if axes > 1 else f"({count},)"
        raise RegistryError(
            f"The {what} are of shape {array.shape}; for {count:,} {of} it must be {expected}."
        )
    if axes > 1 and array.shape[1] > MOST_DIMENSIONS:
        raise RegistryError(
            f"The {what} have {array.shape[1]:,} dimensions; {MOST_DIMENSIONS:,} can be stored."
        )
    bad = ~np.isfinite(array).reshape(count, -1).all(axis=1)
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
    """Return the key of the benchmark, and the ordinal, of each item."""
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
    places = np.array([tuple(row) for row in rows], np.int32)
    return places[:, 0], places[:, 1]


def _rotation(
    connection: Connection,
    current: EmbeddingVersion | None,
    keys: NDArray[np.int64],
    vectors: Floats,
) -> alignment.Alignment | None:
    """Return the rotation of vectors onto the current version's; None where they do not compare."""
    if current is None:
        return None
    dimension = vectors.shape[1]
    if dimension != current.dimension and max(dimension, current.dimension) > MOST_PADDED:
        return None
    rows = copy_out(
        connection,
        "SELECT model_id, vector FROM store.embeddings"  # noqa: S608
        f" WHERE version_id = {current.version:d} AND kind = 'trained'",
        {"model": "i8", "vector": ("f4", current.dimension)},
    )
    _, ours, theirs = np.intersect1d(keys, rows["model"], return_indices=True)
    return alignment.align(vectors[ours], rows["vector"][theirs].astype(np.float32))


def _add_version(
    connection: Connection,
    trained: TrainedVersion,
    onto: EmbeddingVersion | None,
    rotation: alignment.Alignment | None,
) -> int:
    serving = trained.serving
    values: dict[str, Any] = {
        "method": trained.method,
        "reason": trained.reason,
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
        "alignment_residual": None if rotation is None else rotation.residual,
        "unexplained": _unexplained(trained, rotation),
        **trained.uncertainty.columns(),
    }
    placeholders = ", ".join(
        f"CAST(:{name} AS {_TYPES[name]})" if name in _TYPES else f":{name}" for name in values
    )
    version = connection.scalar(
        text(f"""
        INSERT INTO store.embedding_versions (state, created_at, {", ".join(values)})
        VALUES ('candidate', clock_timestamp(), {placeholders}) RETURNING version_id"""),  # noqa: S608
        values,
    )
    assert isinstance(version, int)
    return version


_TYPES = {
    **dict.fromkeys(("settings", "trials", "metrics"), "jsonb"),
    **dict.fromkeys(("axes", "text_map", "text_residual"), "vector[]"),
    "text_spread": "vector",
}
"""Types of columns whose values are texts."""


def _unexplained(
    trained: TrainedVersion, rotation: alignment.Alignment | None
) -> list[list[float]] | None:
    """Return the covariance in the coordinates of the stored vectors."""
    covariance = trained.unexplained
    if covariance is None:
        return None
    if rotation is not None:
        turn = rotation.rotation[: len(covariance)]
        covariance = turn.T @ covariance @ turn
    rows: list[list[float]] = covariance.tolist()
    return rows


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
    uncertainties = trained.uncertainties
    variances = None if trained.variances is None else stored_variances(trained.variances)
    parts = []
    for kind in map(str, VectorKind):
        of_kind = kinds == kind
        if of_kind.any():
            parts.append({
                "model_id": keys[of_kind],
                "uncertainty": None if uncertainties is None else uncertainties[of_kind],
                "kind": kind,
                "vector": vectors[of_kind],
                "variances": None if variances is None else variances[of_kind],
            })  # fmt: skip
    create_partition(connection, "embeddings", version, *parts)
