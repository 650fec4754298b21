"""Storage of a version's router: settings, models, items with their outcomes, and landmarks."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import orjson
from numpy.typing import NDArray
from sqlalchemy import Connection, text

from registry.db.binary_copy import Column, Kind, copy_out
from registry.embeddings.partitions import create_partition
from registry.errors import RegistryError
from registry.learning.routing.served_blend import BlendSettings, BlendWeights, ServedBlend
from registry.learning.routing.subjects import Subjects

INDEXED_FROM = 15_000
"""Items from which they are found by an index; fewer are scanned, in some milliseconds."""

INDEXED_NUMBERS = 8_000_000
"""Items times dimensions, likewise: a scan is exact, and of fewer numbers as fast as an index."""

LINKS, BREADTH = 16, 200
"""Links of an item in the index (m), and candidates they are chosen from (ef_construction)."""

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class StoredRouter:
    """Router of a version, as it is stored.

    Attributes:
        version: its number.
        model_ids: int64, M: keys of the models, in the order of the blend's.
        blend: what is served.
    """

    version: int
    model_ids: NDArray[np.int64]
    blend: ServedBlend


def save_router(
    connection: Connection,
    version: int,
    blend: ServedBlend,
    *,
    models: NDArray[np.int64],
    outcomes: NDArray[np.intp],
    places: tuple[NDArray[np.int32], NDArray[np.int32]],
    figures: Mapping[str, object],
) -> None:
    """Store the router of a version that has none.

    Args:
        connection: in a transaction.
        version: key of the version.
        blend: of M models, N items and L landmarks.
        models: M, keys of the models.
        outcomes: M, numbers of observed outcomes.
        places: N, keys of the items' benchmarks, and their ordinals.
        figures: on items that were left out.

    Raises:
        RegistryError: when something in it is not finite.
    """
    _check(blend)
    benchmark, ordinal = places
    create_partition(
        connection,
        "route_models",
        version,
        {
            "model_id": models,
            "place": np.arange(1, len(models) + 1, dtype=np.int32),
            "level": blend.levels,
            "outcomes": outcomes.astype(np.int32),
            "vector": blend.kernel_weights,
        },
    )
    items: dict[str, Column] = {
        "benchmark_id": benchmark,
        "ordinal": ordinal,
        "vector": blend.items.astype(np.float16),
        "outcomes": blend.outcomes.astype(np.float16),
        "seen": None if blend.seen is None else blend.seen.astype(np.float16),
    }
    create_partition(connection, "route_items", version, items)
    _build_index(connection, version, *blend.items.shape)
    create_partition(
        connection,
        "route_landmarks",
        version,
        {
            "place": np.arange(1, len(blend.landmarks) + 1, dtype=np.int32),
            "vector": blend.landmarks,
        },
    )
    _add_blend(connection, version, blend, figures)


def _build_index(connection: Connection, version: int, count: int, dimension: int) -> None:
    """Build the index by which `store.neighbour_means` finds the nearest of many items."""
    if count < INDEXED_FROM or count * dimension < INDEXED_NUMBERS:
        return
    # 36,054 items of 782 dimensions in half precision take 100 MB.
    kilobytes = min(max(count * (2 * dimension + 1500), 1 << 26), 1 << 31) >> 10
    connection.exec_driver_sql(f"SET LOCAL maintenance_work_mem = '{kilobytes}kB'")
    connection.exec_driver_sql(
        f"CREATE INDEX route_items_{version:d}_hnsw_idx ON store.route_items_{version:d}"
        f" USING hnsw ((vector::halfvec({dimension:d})) halfvec_ip_ops)"
        f" WITH (m = {LINKS}, ef_construction = {BREADTH})"
    )


def _check(blend: ServedBlend) -> None:
    arrays = {
        "subjects": blend.subjects.weights,
        "levels": blend.levels,
        "vectors of items": blend.items,
        "outcomes": blend.outcomes,
        "landmarks": blend.landmarks,
        "weights": blend.kernel_weights,
    }
    for name, array in arrays.items():
        if not np.isfinite(array).all():
            raise RegistryError(f"The router's {name} are not finite; the training has diverged.")


def _add_blend(
    connection: Connection, version: int, blend: ServedBlend, figures: Mapping[str, object]
) -> None:
    settings, rows = blend.settings, blend.subjects.weights
    values = {
        "version_id": version,
        "neighbours": settings.k,
        "sharpness": settings.sharpness,
        "subject_weight": settings.subject_weight,
        "kernel_subject_weight": settings.kernel_subject_weight,
        "width": settings.width,
        **blend.weights._asdict(),
    }
    columns = ", ".join(values)
    connection.execute(
        text(f"""
        INSERT INTO store.route_blends (subjects, metrics, {columns})
        VALUES (CAST(:subjects AS vector[]), CAST(:metrics AS jsonb),
                {", ".join(f":{name}" for name in values)})"""),  # noqa: S608 - fixed names
        {
            "subjects": [str(row) for row in rows.astype(float).tolist()],
            "metrics": orjson.dumps(dict(figures)).decode(),
            **values,
        },
    )


def read_router(connection: Connection, version: int) -> StoredRouter:
    """Read the router of a version.

    Raises:
        RegistryError: when it has none.
    """
    row = connection.execute(
        text("""
        SELECT b.*, ARRAY(SELECT s::real[]::text FROM unnest(b.subjects) AS s) AS rows
          FROM store.route_blends AS b WHERE version_id = :version"""),
        {"version": version},
    ).mappings().one_or_none()  # fmt: skip
    if row is None:
        raise no_router(version)
    weights = np.array([_numbers(each) for each in row["rows"]], np.float32)
    models = _read(connection, "route_models", version, {
        "model_id": "i8", "level": "f4", "vector": ("f4", -1)
    }, order="place")  # fmt: skip
    items = _read(connection, "route_items", version, {
        "vector": ("f2", -1), "outcomes": ("f2", -1)
    }, order=_BY_ITEM)  # fmt: skip
    landmarks = _read(connection, "route_landmarks", version, {"vector": ("f4", -1)}, order="place")
    settings = BlendSettings(
        row["neighbours"],
        row["sharpness"],
        row["subject_weight"],
        row["kernel_subject_weight"],
        row["width"],
    )
    return StoredRouter(
        version,
        models["model_id"].astype(np.int64),
        ServedBlend(
            settings=settings,
            weights=BlendWeights(*(row[name] for name in BlendWeights._fields)),
            subjects=Subjects(weights),
            levels=models["level"].astype(np.float32),
            items=items["vector"].astype(np.float32),
            outcomes=items["outcomes"].astype(np.float32),
            seen=_seen(connection, version),
            landmarks=landmarks["vector"].astype(np.float32),
            kernel_weights=models["vector"].astype(np.float32),
        ),
    )


def no_router(version: int) -> RegistryError:
    """Return the error that a version has no router."""
    return RegistryError(
        f"Version {version} of the embeddings has no routers: it was trained by an earlier version "
        "of the registry, or too few of its items have texts. `registry train` learns them where "
        "items have texts."
    )


def _read(
    connection: Connection, table: str, version: int, kinds: Mapping[str, Kind], *, order: str
) -> NDArray[np.void]:
    """Read columns of a version's rows; a dimension of -1 is that of the vectors."""
    known: dict[str, Kind] = {}
    for name, kind in kinds.items():
        known[name] = kind if isinstance(kind, str) else (
            kind[0],
            int(connection.scalar(text(f"""
                SELECT vector_dims({name}) FROM store.{table}
                 WHERE version_id = :version LIMIT 1"""), {"version": version}) or 1),  # noqa: S608
        )  # fmt: skip
    query = (
        f"SELECT {', '.join(kinds)} FROM store.{table}"  # noqa: S608 - fixed names
        f" WHERE version_id = {version:d} ORDER BY {order}"
    )
    return copy_out(connection, query, known)


_BY_ITEM = "benchmark_id, ordinal"


def _seen(connection: Connection, version: int) -> Floats | None:
    some = connection.scalar(
        text("""
        SELECT seen IS NOT NULL FROM store.route_items WHERE version_id = :version LIMIT 1"""),
        {"version": version},
    )
    if not some:
        return None
    rows = _read(connection, "route_items", version, {"seen": ("f2", -1)}, order=_BY_ITEM)
    return np.asarray(rows["seen"], np.float32)


def _numbers(array: str) -> list[float]:
    return [float(each) for each in array.strip("{}").split(",")]
