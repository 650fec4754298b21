"""Learned vectors of a version as arrays, and the models nearest to one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson
import pyarrow as pa
from numpy.typing import NDArray
from sqlalchemy import Connection, text

from registry.catalog import names as model_names
from registry.db.binary_copy import Kind, copy_out
from registry.db.errors import translated_errors
from registry.embeddings.versions import EmbeddingVersion, read_version
from registry.enums import VectorKind
from registry.errors import RegistryError, UsageError
from registry.evaluations.outcomes import Column

if TYPE_CHECKING:
    import pandas as pd

_KINDS = [kind.value for kind in VectorKind]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Embeddings:
    """Vectors of one version.

    Attributes:
        version: its number.
        models: names of the M models, sorted by byte.
        vectors: float32, (M, d).
        kind: (M,), of `enums.VectorKind`.
        uncertainty: float32, (M,): standard deviation of a coordinate; NaN where the method gives
            none.
        variances: float32, (M, k): variances along the axes of the version, as
            `version_uncertainty`; None of a version that has none.
        support: float32, (M,): share of a folded or cold model's own similarity that trained models
            explain; NaN for trained models.
        provenance: version, method, dimension, encoder, data_fingerprint, code_version, created_at,
            settings, seed, metrics, and reference, the items that neighbours are compared on, where
            the version has one.
    """

    version: int
    models: Sequence[str]
    vectors: NDArray[np.float32]
    kind: NDArray[np.str_]
    uncertainty: NDArray[np.float32]
    support: NDArray[np.float32]
    provenance: Mapping[str, Any]
    variances: NDArray[np.float32] | None = None

    def to_arrow(self) -> pa.Table:
        """Return a table of model, kind, uncertainty, support and vector.

        Its metadata hold the provenance.
        """
        uncertainty = pa.array(self.uncertainty, mask=np.isnan(self.uncertainty))
        support = pa.array(self.support, mask=np.isnan(self.support))
        flat = pa.array(np.ascontiguousarray(self.vectors).reshape(-1))
        vectors = pa.FixedSizeListArray.from_arrays(flat, self.vectors.shape[1])
        table = pa.table({
            "model": pa.array(self.models, pa.string()),
            "kind": pa.array(self.kind.tolist(), pa.string()),
            "uncertainty": uncertainty,
            "support": support,
            "vector": vectors,
        })  # fmt: skip
        return table.replace_schema_metadata(as_texts(self.provenance))

    def to_pandas(self) -> "pd.DataFrame":
        """Return a frame with one row per model, by name.

        Its columns are kind, uncertainty, support, and one per dimension, from 0: the vectors are
        `frame[range(dimension)]`. Its `attrs` hold the provenance.
        """
        import pandas as pd  # noqa: PLC0415 - takes half a second to load

        index = pd.Index(self.models, name="model")
        frame = pd.DataFrame(self.vectors, index=index)
        frame.insert(0, "kind", self.kind.astype(object))
        frame.insert(1, "uncertainty", self.uncertainty)
        frame.insert(2, "support", self.support)
        frame.attrs.update(self.provenance)
        return frame


def as_texts(provenance: Mapping[str, Any]) -> dict[str, str]:
    """Return the provenance as files store it: strings and JSON, without what is unknown."""
    return {
        name: orjson.dumps(value).decode() if isinstance(value, (dict, list)) else str(value)
        for name, value in provenance.items()
        if value is not None
    }


def provenance(version: EmbeddingVersion) -> dict[str, Any]:
    """Return the provenance of a version's vectors."""
    return {
        "version": version.version,
        "method": version.method,
        "dimension": version.dimension,
        "encoder": version.encoder,
        "data_fingerprint": version.data_fingerprint,
        "code_version": version.code_version,
        "created_at": version.created_at.isoformat(),
        "settings": version.settings,
        "seed": version.seed,
        "metrics": version.metrics,
        "reference": version.metrics.get("reference"),
    }


def read_embeddings(
    connection: Connection, version: int | None = None, *, kinds: Sequence[str] = tuple(_KINDS)
) -> Embeddings:
    """Read the vectors of a version, by default of the current one.

    Args:
        connection: in a transaction with one snapshot (REPEATABLE READ).
        version: its number.
        kinds: of vectors; by default all.

    Raises:
        RegistryError: when there is no such version, or none is current.
    """
    chosen = read_version(connection, version)
    source = (
        f"store.embeddings WHERE version_id = {chosen.version:d}"
        f" AND kind = ANY (ARRAY{_checked(kinds)}::text[])"
    )
    along = _axes(connection, chosen.version)
    columns: dict[str, Kind] = {
        "model": "i8",
        "kind": "i4",
        "uncertainty": "f4",
        "support": "f4",
        "vector": ("f4", chosen.dimension),
    }
    if along:
        columns["variances"] = ("f2", along)
    rows = copy_out(
        connection,
        f"SELECT model_id, array_position(ARRAY{_KINDS}, kind)::integer,"  # noqa: S608
        "       coalesce(uncertainty, 'NaN'), coalesce(support, 'NaN'), vector"
        f"       {', variances' if along else ''}"
        f"  FROM {source} ORDER BY model_id",
        columns,
    )
    names, order = _by_name(connection, source, rows["model"])
    rows = rows[order]
    return Embeddings(
        version=chosen.version,
        models=names,
        vectors=rows["vector"].astype(np.float32),
        kind=np.array(_KINDS)[rows["kind"].astype(np.intp) - 1],
        uncertainty=rows["uncertainty"].astype(np.float32),
        support=rows["support"].astype(np.float32),
        provenance=provenance(chosen),
        variances=rows["variances"].astype(np.float32) if along else None,
    )


def _axes(connection: Connection, version: int) -> int:
    """Return the number of axes along which each vector of a version has a variance, or 0."""
    found = connection.scalar(
        text("""
        SELECT cardinality(axes) FROM store.embedding_versions
         WHERE version_id = :version
           AND NOT EXISTS (SELECT FROM store.embeddings
                            WHERE version_id = :version AND variances IS NULL)"""),
        {"version": version},
    )
    return int(found or 0)


def _by_name(
    connection: Connection, source: str, keys: NDArray[np.int64]
) -> tuple[list[str], NDArray[np.intp]]:
    """Return the names of models, sorted by byte, and the place of each among the rising keys."""
    named = connection.execute(
        text(f"""
        SELECT m.model_id, m.name
          FROM (SELECT model_id FROM {source}) AS e JOIN store.models m USING (model_id)
         ORDER BY m.name COLLATE "C" """)  # noqa: S608 - trusted SQL
    ).all()
    order = np.searchsorted(keys, np.fromiter((row.model_id for row in named), np.int64))
    return [row.name for row in named], order


def _checked(kinds: Sequence[str]) -> list[str]:
    unknown = sorted(set(kinds) - set(VectorKind))
    if unknown:
        raise UsageError(f"There is no kind {unknown[0]!r}; there are {', '.join(VectorKind)}.")
    return [str(kind) for kind in kinds]


def read_serving(
    connection: Connection, version: int | None = None
) -> tuple[list[str], NDArray[np.float32]]:
    """Read the serving vectors of a version, by default of the current one.

    `registry.prediction.routing.scoring` takes them.

    Returns:
        Names of the M models, sorted by byte, and float32, (M, t + 1).

    Raises:
        RegistryError: when there is no such version, or it has no serving vectors.
    """
    chosen = read_version(connection, version)
    if chosen.serving_dimension is None:
        raise RegistryError(
            f"Version {chosen.version} of the embeddings has no serving vectors; `registry train` "
            "learns them where items have texts."
        )
    source = f"store.serving_vectors WHERE version_id = {chosen.version:d}"
    rows = copy_out(
        connection,
        f"SELECT model_id, vector FROM {source} ORDER BY model_id",  # noqa: S608
        {"model": "i8", "vector": ("f4", chosen.serving_dimension)},
    )
    names, order = _by_name(connection, source, rows["model"])
    return names, rows[order]["vector"].astype(np.float32)


def read_items(connection: Connection, version: int) -> tuple[list[Column], NDArray[np.float32]]:
    """Read the vectors of items that a version was trained on.

    Returns:
        The N items, and float32, N x d'; none where the version has none.
    """
    dimension = connection.scalar(
        text("SELECT vector_dims(vector) FROM store.item_embeddings WHERE version_id = :v LIMIT 1"),
        {"v": version},
    )
    if dimension is None:
        return [], np.zeros((0, 0), np.float32)
    rows = copy_out(
        connection,
        "SELECT benchmark_id, ordinal, vector FROM store.item_embeddings"  # noqa: S608
        f" WHERE version_id = {version:d} ORDER BY benchmark_id, ordinal",
        {"benchmark": "i4", "ordinal": "i4", "vector": ("f4", int(dimension))},
    )
    named = connection.execute(
        text("""
        SELECT b.name, b.version, i.item FROM store.item_embeddings e
          JOIN store.items i USING (benchmark_id, ordinal)
          JOIN store.benchmarks b USING (benchmark_id)
         WHERE e.version_id = :v ORDER BY benchmark_id, ordinal"""),
        {"v": version},
    )
    return [Column(*row) for row in named], rows["vector"].astype(np.float32)


def nearest_models(
    connection: Connection, name: str, k: int = 10, *, version: int | None = None, **filters: Any
) -> list[dict[str, Any]]:
    """Return rows of `registry.nearest_models`: the k models nearest to one, nearest first.

    Args:
        connection: to read from.
        name: any name of the model.
        k: most models to return.
        version: number of a version; by default the current one.
        filters: license, family, task, min_parameters, max_parameters, and kinds, a list of
            `enums.VectorKind`; None lets all pass.

    Raises:
        ModelNotFoundError: for an unknown model or family, with the nearest names there are.
        RegistryError: when there is no such version, or the model has no vector in it.
    """
    for known in filter(None, (name, filters.get("family"))):
        model_names.model_id(connection, known)
    if version is not None:
        read_version(connection, version)
    given = {each: value for each, value in filters.items() if value is not None}
    arguments = "".join(f", {each} => :{each}" for each in given)
    query = text(f"SELECT * FROM registry.nearest_models(:name, :k, :version{arguments})")  # noqa: S608
    with translated_errors("find the nearest models"):
        rows = connection.execute(query, {"name": name, "k": k, "version": version, **given})
        return [dict(row) for row in rows.mappings()]


def nearest_by_basis(
    connection: Connection,
    name: str,
    k: int = 10,
    *,
    kinds: Sequence[str] = tuple(VectorKind),
    **filters: Any,
) -> list[dict[str, Any]]:
    """Return the k nearest models with outcomes, then the k nearest with predicted vectors.

    Where most models have no outcomes, the nearest of all would be predictions alone.

    Args:
        connection: to read from.
        name: any name of the model.
        k: most models of each of the two.
        kinds: of vectors; by default all.
        filters: version and the other filters of `nearest_models`.

    Raises:
        ModelNotFoundError: for an unknown model or family, with the nearest names there are.
        RegistryError: when there is no such version, or the model has no vector in it.
    """
    with_outcomes = [kind for kind in kinds if kind != VectorKind.COLD]
    predicted = [kind for kind in kinds if kind == VectorKind.COLD]
    return [
        row
        for group in (with_outcomes, predicted)
        if group
        for row in nearest_models(connection, name, k, kinds=group, **filters)
    ]
