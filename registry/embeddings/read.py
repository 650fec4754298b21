"""Learned vectors out of the database: a version's as arrays, and the models nearest to one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from sqlalchemy import Connection, text

from registry.catalog import names as model_names
from registry.db.binary_copy import copy_out
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
        kind: (M,), how each came about: trained, folded or cold.
        uncertainty: float32, (M,): standard deviation of a coordinate; NaN where none is told.
        provenance: version, method, dimension, encoder, data_fingerprint, code_version and
            created_at.
    """

    version: int
    models: Sequence[str]
    vectors: NDArray[np.float32]
    kind: NDArray[np.str_]
    uncertainty: NDArray[np.float32]
    provenance: Mapping[str, Any]

    def to_arrow(self) -> pa.Table:
        """Return a table of model, kind, uncertainty, vector, with the provenance as metadata."""
        told = pa.array(self.uncertainty, mask=np.isnan(self.uncertainty))
        flat = pa.array(np.ascontiguousarray(self.vectors).reshape(-1))
        vectors = pa.FixedSizeListArray.from_arrays(flat, self.vectors.shape[1])
        table = pa.table({
            "model": pa.array(self.models, pa.string()),
            "kind": pa.array(self.kind.tolist(), pa.string()),
            "uncertainty": told,
            "vector": vectors,
        })  # fmt: skip
        return table.replace_schema_metadata(as_texts(self.provenance))

    def to_pandas(self) -> "pd.DataFrame":
        """Return a frame with a row a model, by name, and a column a dimension, from 0.

        The provenance is in its `attrs`.
        """
        import pandas as pd  # noqa: PLC0415 - takes half a second to load

        index = pd.Index(self.models, name="model")
        frame = pd.DataFrame(self.vectors, index=index)
        frame.attrs.update(self.provenance)
        return frame


def as_texts(provenance: Mapping[str, Any]) -> dict[str, str]:
    """Return the provenance as files keep it: texts, without what is not known."""
    return {name: str(value) for name, value in provenance.items() if value is not None}


def provenance(version: EmbeddingVersion) -> dict[str, Any]:
    """Return what files and arrays say about where their vectors are from."""
    return {
        "version": version.version,
        "method": version.method,
        "dimension": version.dimension,
        "encoder": version.encoder,
        "data_fingerprint": version.data_fingerprint,
        "code_version": version.code_version,
        "created_at": version.created_at.isoformat(),
    }


def read_embeddings(
    connection: Connection, version: int | None = None, *, kinds: Sequence[str] = tuple(_KINDS)
) -> Embeddings:
    """Read the vectors of a version; of the current one without a number.

    Args:
        connection: in a transaction that sees one moment (REPEATABLE READ).
        version: its number.
        kinds: of vectors: trained, folded, cold; all of them by default.

    Raises:
        RegistryError: when there is no such version, or none is current.
    """
    found = read_version(connection, version)
    rows = copy_out(
        connection,
        f"SELECT model_id, array_position(ARRAY{_KINDS}, kind)::integer,"  # noqa: S608
        "        coalesce(uncertainty, 'NaN'), vector"
        f"  FROM store.embeddings WHERE version_id = {found.version:d}"
        f"   AND kind = ANY (ARRAY{_known(kinds)}::text[]) ORDER BY model_id",
        {"model": "i8", "kind": "i4", "uncertainty": "f4", "vector": found.dimension},
    )
    named = connection.execute(
        text("""
        SELECT m.model_id, m.name
          FROM store.embeddings e JOIN store.models m ON m.model_id = e.model_id
         WHERE e.version_id = :version AND e.kind = ANY (:kinds) ORDER BY m.name COLLATE "C" """),
        {"version": found.version, "kinds": list(kinds)},
    ).all()
    keys = np.fromiter((row.model_id for row in named), np.int64, len(named))
    rows = rows[np.searchsorted(rows["model"], keys)]
    return Embeddings(
        version=found.version,
        models=[row.name for row in named],
        vectors=rows["vector"].astype(np.float32),
        kind=np.array(_KINDS)[rows["kind"].astype(np.intp) - 1],
        uncertainty=rows["uncertainty"].astype(np.float32),
        provenance=provenance(found),
    )


def _known(kinds: Sequence[str]) -> list[str]:
    unknown = sorted(set(kinds) - set(VectorKind))
    if unknown:
        raise UsageError(f"There is no kind {unknown[0]!r}; there are {', '.join(VectorKind)}.")
    return [str(kind) for kind in kinds]


def read_serving(
    connection: Connection, version: int | None = None
) -> tuple[list[str], NDArray[np.float32]]:
    """Read the serving vectors of a version (the current one by default), as routing takes them.

    Returns:
        Names of the M models, sorted by byte, and float32, (M, t + 1).

    Raises:
        RegistryError: when there is no such version, or it has no serving vectors.
    """
    found = read_version(connection, version)
    if found.serving_dimension is None:
        raise RegistryError(f"Version {found.version} of the embeddings has no serving vectors.")
    rows = copy_out(
        connection,
        "SELECT model_id, vector FROM store.serving_vectors"  # noqa: S608
        f" WHERE version_id = {found.version:d} ORDER BY model_id",
        {"model": "i8", "vector": found.serving_dimension},
    )
    named = connection.execute(
        text("""
        SELECT m.model_id, m.name
          FROM store.serving_vectors s JOIN store.models m ON m.model_id = s.model_id
         WHERE s.version_id = :version ORDER BY m.name COLLATE "C" """),
        {"version": found.version},
    ).all()
    keys = np.fromiter((row.model_id for row in named), np.int64, len(named))
    rows = rows[np.searchsorted(rows["model"], keys)]
    return [row.name for row in named], rows["vector"].astype(np.float32)


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
        {"benchmark": "i4", "ordinal": "i4", "vector": int(dimension)},
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
        version: number of a version; the current one without.
        filters: license, family, task, min_parameters, max_parameters, and kinds, a list of
            `enums.VectorKind`; None lets all pass.

    Raises:
        ModelNotFoundError: with the nearest names there are.
        RegistryError: when there is no such version, or the model has no vector in it.
    """
    key = model_names.model_id(connection, name)
    found = read_version(connection, version)
    if filters.get("family") is not None:
        model_names.model_id(connection, filters["family"])
    there = connection.scalar(
        text("""
        SELECT EXISTS (SELECT FROM store.embeddings
                        WHERE version_id = :version AND model_id = :key
                          AND vector_norm(vector) > 0)"""),
        {"version": found.version, "key": key},
    )
    if not there:
        raise RegistryError(
            f"Model {name!r} has no vector in version {found.version} of the embeddings; "
            "`registry similar` compares it by metadata and lineage, `registry explain` tells why."
        )
    told = {name: value for name, value in filters.items() if value is not None}
    arguments = "".join(f", {each} => :{each}" for each in told)
    rows = connection.execute(
        text(f"""
        SELECT * FROM registry.nearest_models(
                   (SELECT name FROM store.models WHERE model_id = :key), :k, :version{arguments})
        """),  # noqa: S608
        {"key": key, "k": k, "version": found.version, **told},
    )
    return [dict(row) for row in rows.mappings()]
