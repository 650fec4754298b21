"""Vectors of models that were not trained on: predicted from the catalog, corrected by outcomes."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from registry.db.binary_copy import Arrays, Column
from registry.embeddings.dataset import FoldInOutcomes
from registry.embeddings.model_features import ModelBatch
from registry.embeddings.placement_state import FittedPlacement
from registry.embeddings.version_uncertainty import stored_variances
from registry.learning.arrays import Reals
from registry.learning.coldstart import fold_in
from registry.learning.coldstart.features import Description
from registry.learning.coldstart.gp import AT_ONCE, BatchPredictor, VectorEstimate

LEAST_SUPPORT = 0.05
"""Least share of a model's own similarity that trained models explain, for a predicted vector."""

DEGREES = 4.0
"""Degrees of freedom of the prior of a model with outcomes, where trained vectors rest on the
catalog as well: names mislead now and then, so its tails are heavy."""

FOLDED_SCALE = 0.5
"""Exponent of the scale of deviations for folded-in models: outcomes correct half of it."""


class _Vectors(NamedTuple):
    """Vectors of n models, and the trained models they rest on.

    Attributes:
        keys: int64, n.
        prediction: of n; of models without outcomes its variance is the mean over the dimensions,
            n x 1.
        near_ids: int64, n x k: keys of trained models.
        near_weights: float32, n x k.
    """

    keys: NDArray[np.int64]
    prediction: VectorEstimate
    near_ids: NDArray[np.int64]
    near_weights: NDArray[np.float32]


class PredictedVectors(NamedTuple):
    """Predicted vectors of models with outcomes, to be folded in, and of models without."""

    folded: _Vectors
    cold: _Vectors


class VectorPredictor:
    """Predicts vectors of models from the catalog alone; can be pickled.

    Args:
        fitted: the fitted state.
        evaluated: keys of models with outcomes.
    """

    def __init__(self, fitted: FittedPlacement, evaluated: frozenset[int]) -> None:
        self._fitted, self._evaluated = fitted, evaluated
        self._predictor = BatchPredictor(fitted.prior)

    def predict(self, batch: ModelBatch) -> list[PredictedVectors]:
        """Return predictions for the models of a batch that were not trained on."""
        keys = np.array(batch.keys, np.int64)
        rest = np.flatnonzero(~np.isin(keys, self._fitted.trained))
        parts = (rest[start : start + AT_ONCE] for start in range(0, len(rest), AT_ONCE))
        return [
            self._predict(keys[part], [batch.descriptions[at] for at in part]) for part in parts
        ]

    def _predict(self, keys: NDArray[np.int64], models: Sequence[Description]) -> PredictedVectors:
        blocks = self._fitted.featurizer.blocks(models)
        features = self._predictor.features(blocks)
        prediction = self._predictor.predict(blocks, features)
        if self._fitted.least is not None:
            prediction = with_least(prediction, self._fitted)
        near = self._fitted.influence.strongest(features)
        evaluated = np.array([key in self._evaluated for key in keys.tolist()], bool)

        def vectors(rows: NDArray[np.bool_], variance: Reals) -> _Vectors:
            along = None if prediction.along is None else prediction.along[rows]
            chosen = VectorEstimate(
                prediction.mean[rows], variance[rows], prediction.support[rows], along
            )
            near_ids = self._fitted.trained[near.places[rows]]
            return _Vectors(keys[rows], chosen, near_ids, near.weights[rows])

        cold = (prediction.support >= LEAST_SUPPORT) & ~evaluated
        mean = prediction.variance.mean(axis=1, keepdims=True)
        return PredictedVectors(vectors(evaluated, prediction.variance), vectors(cold, mean))


def embedding_rows(
    batches: Iterable[Sequence[PredictedVectors]],
    fitted: FittedPlacement,
    outcomes: FoldInOutcomes,
) -> Iterator[Mapping[str, Column]]:
    """Yield rows of store.embeddings, those of one kind together, batch by batch."""
    for batch in batches:
        for folded, cold in batch:
            if len(folded.keys):
                seen = outcomes.of(folded.keys)
                posterior = fold_in.fold(
                    folded.prediction,
                    outcomes.items.flattened(fitted.item_variance),
                    seen,
                    fitted.together,
                    degrees=None if fitted.least is None else DEGREES,
                    axes=fitted.axes,
                )
                counts = np.count_nonzero(~np.isnan(seen), axis=1)
                corrected = folded._replace(prediction=_scaled(posterior, fitted, counts))
                yield _columns("folded", corrected, fitted.scale**FOLDED_SCALE)
            if len(cold.keys):
                none = np.zeros(len(cold.keys), np.intp)
                scaled = cold._replace(prediction=_scaled(cold.prediction, fitted, none))
                yield _columns("cold", scaled, fitted.scale)


def with_least(prediction: VectorEstimate, fitted: FittedPlacement) -> VectorEstimate:
    """Return predictions whose variances are at least those about what the catalog predicts."""
    assert fitted.least is not None
    variance = np.maximum(prediction.variance, fitted.least)
    along = None
    if fitted.axes is not None and fitted.covariance is not None:
        along = fitted.axes.of_prior(variance, fitted.covariance)
    return replace(prediction, variance=variance, along=along)


def _scaled(
    estimate: VectorEstimate, fitted: FittedPlacement, counts: NDArray[np.intp]
) -> VectorEstimate:
    """Return an estimate with calibrated variances along the axes, of models with outcomes."""
    if estimate.along is None:
        return estimate
    return replace(estimate, along=estimate.along * fitted.scales.of(counts)[:, None])


def _columns(kind: str, vectors: _Vectors, scale: float) -> Mapping[str, Column]:
    deviation = scale * np.sqrt(vectors.prediction.variance.mean(axis=1))
    along = vectors.prediction.along
    return {
        "model_id": vectors.keys,
        "kind": kind,
        "vector": vectors.prediction.mean.astype(np.float32),
        "variances": None if along is None else stored_variances(along),
        "uncertainty": deviation.astype(np.float32),
        "support": vectors.prediction.support.astype(np.float32),
        "near_ids": Arrays(vectors.near_ids),
        "near_weights": Arrays(vectors.near_weights),
    }
