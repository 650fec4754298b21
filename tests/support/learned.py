"""Learned embeddings for tests: trainings in few words, and models to have them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from factories import model
from numpy.typing import NDArray
from sqlalchemy import Connection, text

from registry.embeddings import save, versions
from registry.embeddings.save import TrainedVersion


def names(count: int) -> list[str]:
    """Return org/m0, org/m1, ..."""
    return [f"org/m{number}" for number in range(count)]


def drawn(count: int, dimension: int = 4, seed: int = 0) -> NDArray[np.float32]:
    """Return vectors at random."""
    return np.random.default_rng(seed).normal(size=(count, dimension)).astype(np.float32)


def trained(models: Sequence[str], vectors: NDArray[np.float32], **told: Any) -> TrainedVersion:
    """Return a training of some models."""
    values: dict[str, Any] = {
        "method": "mf",
        "settings": {"dimension": vectors.shape[-1]},
        "metrics": {"validation": {"log_loss": 0.5}},
        "data_fingerprint": "abc",
        "code_version": "0.1",
        "device": "cpu",
        "seed": 7,
        "seconds": 1.5,
        "outcomes": 100,
        **told,
    }
    if values.get("serving") is not None:
        values.setdefault("encoder", "test-encoder")
    return TrainedVersion(models=list(models), vectors=vectors, **values)


def add_models(connection: Connection, wanted: Sequence[str]) -> None:
    """Insert those of the models that are not there."""
    there = set(connection.scalars(text("SELECT name FROM store.models")))
    for name in wanted:
        if name not in there:
            model(connection, name)


def kept(
    connection: Connection,
    vectors: NDArray[np.float32],
    models: Sequence[str] | None = None,
    *,
    current: bool = True,
    **told: Any,
) -> int:
    """Save a training with models made as needed, promote it, and return its version."""
    wanted = names(len(vectors)) if models is None else models
    add_models(connection, wanted)
    version = save.save(connection, trained(wanted, vectors, **told))
    if current:
        versions.promote(connection, version)
    return version
