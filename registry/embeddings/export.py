"""Learned vectors for other programs: as arrays, or as files with their provenance."""

from pathlib import Path
from typing import Any

import orjson
import pyarrow.parquet as pq
from sqlalchemy import Engine

from registry.db import connection as database
from registry.db.connection import reading
from registry.db.errors import translated_errors
from registry.embeddings.read import Embeddings, as_texts, read_embeddings
from registry.enums import VectorFormat
from registry.errors import RegistryError, UsageError
from registry.files import new_file


def load(url: str | None = None, version: int | None = None) -> Embeddings:
    """Read the vectors of a version, by default of the current one.

    Raises:
        RegistryError: when the database cannot be read, there is no such version, or none is
            current.
    """
    with (
        translated_errors("read embeddings"),
        database.engine(database.setting(url)) as engine,
        reading(engine, snapshot=True) as connection,
    ):
        return read_embeddings(connection, version)


def export(
    engine: Engine, target: Path, format_: str = "parquet", version: int | None = None
) -> Embeddings:
    """Write the vectors of a version to a new file, and return them.

    On an error there is nothing at the target. The metadata hold version, method, dimension,
    encoder, data_fingerprint, code_version, created_at, seed, and as JSON settings and metrics.

    Args:
        engine: of a database at head; it is read only.
        target: a file that does not exist.
        format_: one of `enums.VectorFormat`.
        version: its number; by default the current one.

    Raises:
        UsageError: when the target exists, or there is no such format or version.
        RegistryError: when no version is current, or it cannot be written or read.
    """
    if format_ not in set(VectorFormat):
        raise UsageError(f"There is no format {format_!r}; there are {', '.join(VectorFormat)}.")
    try:
        with (
            translated_errors("export embeddings"),
            new_file(target) as place,
            reading(engine, snapshot=True) as connection,
        ):
            embeddings = read_embeddings(connection, version)
            if format_ == "parquet":
                pq.write_table(embeddings.to_arrow(), place, compression="zstd")
            else:
                _write_safetensors(embeddings, place)
            return embeddings
    except OSError as error:
        raise RegistryError(
            f"Cannot write {target}: {error.strerror or error}. Nothing was left there."
        ) from error


def _write_safetensors(embeddings: Embeddings, place: Path) -> None:
    try:
        from safetensors.numpy import save_file  # noqa: PLC0415 - of an extra
    except ImportError as error:
        raise RegistryError(
            "The package safetensors is not installed: pip install 'llm-registry[train]', or "
            "export to parquet."
        ) from error
    metadata: dict[str, Any] = as_texts(embeddings.provenance)
    metadata["models"] = orjson.dumps(list(embeddings.models)).decode()
    metadata["kinds"] = orjson.dumps(embeddings.kind.tolist()).decode()
    tensors = {
        "vectors": embeddings.vectors,
        "uncertainty": embeddings.uncertainty,
        "support": embeddings.support,
    }
    save_file(tensors, place, metadata=metadata)
