"""What a version keeps of the uncertainty of its vectors, beside each model's own variances."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray
from sqlalchemy import Connection, text

from registry.learning import alignment
from registry.learning.alignment import Alignment
from registry.learning.arrays import Reals
from registry.learning.axes import Axes
from registry.learning.factorization.problem import TextMap

LARGEST = 60_000.0
"""Largest variance that is stored: half precision holds no more."""


@dataclass(frozen=True, slots=True, eq=False)
class VersionUncertainty:
    """Uncertainty of a version, in the coordinates of its vectors.

    Attributes:
        axes: along which models' variances are; None where models have none.
        item_variance: of each logit, apart from the model's.
        texts: None where no item can be predicted from its text.
    """

    axes: Axes | None = None
    item_variance: float = 0.0
    texts: TextMap | None = None

    def rotated(self, rotation: Alignment) -> "VersionUncertainty":
        """Return it in the coordinates of vectors that `alignment.rotate` returns."""
        axes, texts = self.axes, self.texts
        if axes is not None:
            turn = rotation.rotation[: len(axes.directions)]
            axes = Axes(turn.T @ axes.directions)
        if texts is not None:
            dimension = len(texts.residual) - 1
            turn = np.zeros((dimension + 1, len(rotation.rotation) + 1))
            turn[:-1, :-1] = rotation.rotation[:dimension]
            turn[-1, -1] = 1
            vectors = alignment.rotate(texts.weights[:, :-1], rotation)
            weights = np.column_stack([vectors, texts.weights[:, -1:]])
            texts = TextMap(weights, turn.T @ texts.residual @ turn)
        return replace(self, axes=axes, texts=texts)

    def columns(self) -> Mapping[str, Any]:
        """Return the columns of store.embedding_versions, vectors as text."""
        texts, axes = self.texts, self.axes
        root = None if texts is None else _root(texts.residual)
        beyond = None
        if root is not None and axes is not None:
            beyond = np.square(root[:, :-1] @ axes.directions).sum(0)
        return {
            "axes": None if axes is None else _vectors(axes.directions.T),
            "item_variance": None if axes is None else self.item_variance,
            "text_map": None if texts is None else _vectors(texts.weights.T),
            "text_residual": None if root is None else _vectors(root),
            "text_spread": None if beyond is None else _vector(beyond),
        }


def read_uncertainty(connection: Connection, version: int) -> VersionUncertainty:
    """Read what a version keeps of its uncertainty; all unknown of one that was stored without."""
    row = connection.execute(
        text("""
        SELECT axes::text[] AS axes, item_variance, text_map::text[] AS text_map,
               text_residual::text[] AS text_residual
          FROM store.embedding_versions WHERE version_id = :version"""),
        {"version": version},
    ).one_or_none()
    if row is None:
        return VersionUncertainty()
    texts = None
    if row.text_map is not None:
        root = _array(row.text_residual)
        texts = TextMap(_array(row.text_map).T.astype(np.float32), root.T @ root)
    return VersionUncertainty(
        None if row.axes is None else Axes(_array(row.axes).T), row.item_variance or 0.0, texts
    )


def stored_variances(variances: NDArray[np.floating[Any]]) -> NDArray[np.float16]:
    """Return variances as they are stored, in half precision, which is to a thousandth."""
    return np.asarray(np.clip(variances, 0, LARGEST), np.float16)


def _root(covariance: Reals) -> Reals:
    """Return rows r with covariance = sum of outer products of r."""
    values, vectors = np.linalg.eigh(covariance)
    kept = values > max(float(values[-1]), 0) * 1e-9
    return np.asarray((vectors[:, kept] * np.sqrt(values[kept])).T, np.float64)


def _vectors(rows: NDArray[np.floating[Any]]) -> list[str]:
    return [_vector(row) for row in rows]


def _vector(row: NDArray[np.floating[Any]]) -> str:
    return orjson.dumps(row.astype(np.float32).tolist()).decode()


def _array(rows: list[str]) -> Reals:
    return np.array([orjson.loads(row) for row in rows], np.float64)
