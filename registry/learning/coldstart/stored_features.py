"""Fitted state as named arrays in one npz file: what extracts features, and features of models."""

import io
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from typing import Any, TypeAlias

import numpy as np
import orjson
from numpy.typing import NDArray
from scipy.sparse import csr_array, issparse

from registry.learning.coldstart.features import FeatureBlocks, Featurizer
from registry.learning.coldstart.ngrams import WIDTH

NamedArrays: TypeAlias = Iterable[tuple[str, NDArray[Any]]]


def packed(arrays: NamedArrays) -> bytes:
    """Return arrays as an npz file, compressed."""
    file = io.BytesIO()
    # mypy takes the names for keywords of the function.
    named: dict[str, Any] = dict(arrays)
    np.savez_compressed(file, **named)
    return file.getvalue()


def unpacked(file: bytes) -> dict[str, NDArray[Any]]:
    """Return the arrays of an npz file by their names."""
    with np.load(io.BytesIO(file), allow_pickle=False) as arrays:
        return dict(arrays)


def json_array(value: object) -> NDArray[np.uint8]:
    """Return a value as JSON in an array."""
    return np.frombuffer(orjson.dumps(value), np.uint8)


def of_json(array: NDArray[Any]) -> Any:
    """Return the value of `json_array`."""
    return orjson.loads(array.tobytes())


def featurizer_arrays(featurizer: Featurizer) -> Iterator[tuple[str, NDArray[Any]]]:
    """Yield the arrays of a featurizer, in single precision, without authors and lineage."""
    yield "pieces", featurizer.pieces.astype(np.float32)
    yield "words", featurizer.words.astype(np.float32)
    yield "families", json_array(sorted(featurizer.families))


def stored_featurizer(stored: Mapping[str, NDArray[Any]]) -> Featurizer | None:
    """Return the featurizer of stored arrays; None where features have changed since."""
    if len(stored["pieces"]) != WIDTH:
        return None
    return Featurizer(
        pieces=stored["pieces"].astype(np.float64),
        words=stored["words"].astype(np.float64),
        families=frozenset(of_json(stored["families"])),
        authors={},
        profiles=csr_array((0, WIDTH)),
    )


def block_arrays(blocks: FeatureBlocks) -> Iterator[tuple[str, NDArray[Any]]]:
    """Yield the arrays of the features of landmarks, sparse ones in single precision."""
    for block in fields(FeatureBlocks):
        values = getattr(blocks, block.name)
        if not issparse(values):
            yield f"landmarks {block.name}", values
            continue
        yield f"landmarks {block.name} data", values.data.astype(np.float32)
        yield f"landmarks {block.name} indices", values.indices.astype(np.int32)
        yield f"landmarks {block.name} indptr", values.indptr
        yield f"landmarks {block.name} shape", np.array(values.shape)


def stored_blocks(stored: Mapping[str, NDArray[Any]]) -> FeatureBlocks:
    """Return the features of landmarks of stored arrays."""
    blocks: dict[str, Any] = {}
    for block in fields(FeatureBlocks):
        name = f"landmarks {block.name}"
        if name in stored:
            blocks[block.name] = stored[name]
            continue
        data = stored[f"{name} data"].astype(np.float64)
        blocks[block.name] = csr_array(
            (data, stored[f"{name} indices"], stored[f"{name} indptr"]),
            shape=tuple(stored[f"{name} shape"]),
        )
    return FeatureBlocks(**blocks)
