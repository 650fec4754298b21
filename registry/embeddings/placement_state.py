"""Fitted state of a placement, stored as named arrays in one npz file.

A sync brings a few hundred models an hour. What predicts their vectors was fitted to the whole
catalog when the version was placed, and is stored with it: rarity of words and pieces of names, the
fitted prior, and the influence of each trained model.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, text

from registry.learning.arrays import Reals
from registry.learning.axes import Axes
from registry.learning.coldstart.features import Featurizer
from registry.learning.coldstart.gp import Prior, VectorEstimate
from registry.learning.coldstart.influence import Influence
from registry.learning.coldstart.kernel import Kernel
from registry.learning.coldstart.stored_features import (
    block_arrays,
    featurizer_arrays,
    json_array,
    of_json,
    packed,
    stored_blocks,
    stored_featurizer,
    unpacked,
)
from registry.learning.coldstart.variance_scales import VarianceScales

_REALS = ("spread", "slopes", "noise", "signal", "centre")


@dataclass(frozen=True, slots=True, eq=False)
class FittedPlacement:
    """Fitted state that places models.

    Attributes:
        featurizer: extracts features of models; a stored one has no authors and no lineage.
        prior: Gaussian process of vectors; a stored one has no predictions of the trained models.
        influence: of the trained models.
        trained: int64, M: keys of the trained models.
        scale: factor that calibrates standard deviations.
        together: float64, d x d: correlation of prediction errors; None in states stored without
            it, whose errors count as independent.
        least: float64, d: least variance of a prediction; None where the trained vectors do not
            depend on the catalog, so that their distance from predictions is its measure.
        axes: of the version, along which variances are kept; None where it has none.
        item_variance: of each logit, apart from the model's.
        scales: factors that calibrate variances along the axes.
    """

    featurizer: Featurizer
    prior: Prior
    influence: Influence
    trained: NDArray[np.int64]
    scale: float = 1.0
    together: Reals | None = None
    least: Reals | None = None
    axes: Axes | None = None
    item_variance: float = 0.0
    scales: VarianceScales = field(default_factory=VarianceScales)

    @property
    def covariance(self) -> Reals | None:
        """Covariance of vectors about what the catalog predicts, d x d."""
        if self.least is None or self.together is None:
            return None
        deviation = np.sqrt(self.least)
        return np.asarray(self.together * np.outer(deviation, deviation), np.float64)


def save(connection: Connection, version: int, fitted: FittedPlacement, newest: int) -> None:
    """Store the fitted state of a version, in single precision, in place of an earlier one.

    Args:
        connection: in a transaction.
        version: its number.
        fitted: the state.
        newest: greatest key of the catalog that was placed.
    """
    connection.execute(
        text("""
        INSERT INTO store.priors (version_id, newest_model_id, fitted)
        VALUES (:version, :newest, :fitted)
        ON CONFLICT (version_id) DO UPDATE
           SET newest_model_id = excluded.newest_model_id, fitted = excluded.fitted"""),
        {"version": version, "newest": newest, "fitted": packed(_arrays(fitted))},
    )


def advance(connection: Connection, version: int, newest: int) -> None:
    """Store the greatest key that has been placed."""
    connection.execute(
        text("UPDATE store.priors SET newest_model_id = :newest WHERE version_id = :version"),
        {"version": version, "newest": newest},
    )


def read(connection: Connection, version: int) -> FittedPlacement | None:
    """Read the fitted state of a version; None without one, or where the features have changed."""
    file = connection.scalar(
        text("SELECT fitted FROM store.priors WHERE version_id = :version"), {"version": version}
    )
    if file is None:
        return None
    stored = unpacked(file)
    featurizer = stored_featurizer(stored)
    if featurizer is None:
        return None
    reals = {name: stored[name].astype(np.float64) for name in _REALS}
    rank = len(reals["noise"])
    prior = Prior(
        kernel=Kernel(of_json(stored["kernel"])),
        landmarks=stored_blocks(stored),
        root=stored["root"].astype(np.float64),
        left_out=VectorEstimate(np.zeros((0, rank)), np.zeros((0, rank)), np.zeros(0)),
        **reals,
    )
    influence, scale = Influence(stored["kept"], stored["influence"]), float(stored["scale"])
    together, least, directions = (
        stored[name].astype(np.float64) if name in stored else None
        for name in ("together", "least", "axes")
    )
    fitted = FittedPlacement(
        featurizer, prior, influence, stored["trained"], scale, together, least
    )
    if directions is None:
        return fitted
    counts, factors = stored["scale counts"].tolist(), stored["scale factors"].tolist()
    return replace(
        fitted,
        axes=Axes(directions),
        item_variance=float(stored["item variance"]),
        scales=VarianceScales(tuple(counts), tuple(factors)),
    )


def _arrays(fitted: FittedPlacement) -> Iterator[tuple[str, NDArray[Any]]]:
    featurizer, prior = fitted.featurizer, fitted.prior
    yield from featurizer_arrays(featurizer)
    yield "kernel", json_array(dict(prior.kernel.weights))
    yield "root", prior.root.astype(np.float32)
    for name in _REALS:
        yield name, getattr(prior, name)
    yield "kept", fitted.influence.kept
    yield "influence", fitted.influence.features
    yield "trained", fitted.trained
    yield "scale", np.array(fitted.scale)
    if fitted.together is not None:
        yield "together", fitted.together
    if fitted.least is not None:
        yield "least", fitted.least
    if fitted.axes is not None:
        yield "axes", fitted.axes.directions
        yield "item variance", np.array(fitted.item_variance)
        yield "scale counts", np.array(fitted.scales.counts, np.int64)
        yield "scale factors", np.array(fitted.scales.factors)
    yield from block_arrays(prior.landmarks)
