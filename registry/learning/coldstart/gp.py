"""Gaussian process over models, from the catalog's features: vectors of models without outcomes.

Regression of trained vectors with the kernel of `kernel` (Rasmussen and Williams, Gaussian
Processes for Machine Learning, 2006, sections 2.2 and 5.4.2). Each dimension of the vectors has its
own ratio of noise to signal, or no signal at all. Noise and kernel weights minimise the
leave-one-out error, which has a closed form. Beyond `LANDMARKS` models, some of them span the
functions (Nystroem, section 8.1), so that the cost is linear in the models.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from registry.errors import UsageError
from registry.learning.arrays import Reals
from registry.learning.coldstart.features import FeatureBlocks
from registry.learning.coldstart.influence import Influence
from registry.learning.coldstart.kernel import WEIGHTS, Kernel, parts

LANDMARKS = 1024
"""Models whose kernel functions span the regression, at most."""

AT_ONCE = 2048
"""Models predicted at a time: bounds memory."""

NOISES = np.geomspace(0.02, 20, 13)
"""Candidate ratios of noise to signal variance of a dimension."""

FACTORS = (0.0, 0.4, 2.5)
"""Candidate factors on the initial weight of a kernel part."""

LEAST_GAIN = 2e-3
"""Relative decrease of the leave-one-out error that justifies another weight."""

TRIED_ON = 600
"""Models on which kernel weights are learned, drawn at random."""

LEAST_MODELS = 3
"""Trained models that a prior needs."""

NEGLIGIBLE = 1e-7
"""Eigenvalues below this share of the largest count as zero."""


@dataclass(frozen=True, slots=True, eq=False)
class VectorEstimate:
    """Mean and variance of the vectors of n models: predicted, or after fold-in.

    Attributes:
        mean: float64, n x r.
        variance: float64, n x r, marginal.
        support: float64, n, in [0, 1]: share of a model's own similarity that the known models
            explain; near 0, the mean is that of all models and not specific to this one.
        along: float64, n x k: variances along the axes of `registry.learning.axes`; None where no
            axes are known.
    """

    mean: Reals
    variance: Reals
    support: Reals
    along: Reals | None = None

    def rows(self, chosen: NDArray[np.intp]) -> "VectorEstimate":
        """Return the estimates of some models."""
        along = None if self.along is None else self.along[chosen]
        return VectorEstimate(self.mean[chosen], self.variance[chosen], self.support[chosen], along)


@dataclass(frozen=True, slots=True, eq=False)
class Prior:
    """Prior of any model's vector given its features, fitted to the vectors of known models.

    Attributes:
        kernel: with its weights.
        landmarks: features of the models that span the functions.
        root: float64, m x f: maps similarities to landmarks to orthogonal kernel features.
        spread: float64, f: sums of squares of the kernel features over the known models.
        slopes: float64, f x r: inner products of kernel features and vectors.
        noise: float64, r: ratio of noise to signal; inf where features do not help.
        signal: float64, r: variance of the signal, that of the vectors where noise is inf.
        centre: float64, r: mean of the known vectors.
        left_out: leave-one-out predictions of the known models.
    """

    kernel: Kernel
    landmarks: FeatureBlocks
    root: Reals
    spread: Reals
    slopes: Reals
    noise: Reals
    signal: Reals
    centre: Reals
    left_out: VectorEstimate

    def predict(self, models: FeatureBlocks) -> VectorEstimate:
        """Predict the vectors of any models; beyond the result, memory is bounded."""
        count, dimension = len(models), len(self.noise)
        mean, variance = np.empty((count, dimension)), np.empty((count, dimension))
        support = np.empty(count)
        predictor = BatchPredictor(self)
        for start in range(0, count, AT_ONCE):
            part = slice(start, start + AT_ONCE)
            batch = models.rows(np.arange(count)[part])
            estimate = predictor.predict(batch, predictor.features(batch))
            mean[part], variance[part] = estimate.mean, estimate.variance
            support[part] = estimate.support
        return VectorEstimate(mean, variance, support)

    def influence(self, known: FeatureBlocks) -> Influence:
        """Return the weights of the known models in predictions.

        Args:
            known: features of the M models, in the order of the fit.
        """
        features = BatchPredictor(self).features(known)
        return Influence.of(features, self.spread, self.slopes, self.noise)


class BatchPredictor:
    """Prior prepared for predicting many batches of models, about `AT_ONCE` each.

    In single precision: half the time, and errors far below the noise.
    """

    def __init__(self, prior: Prior) -> None:
        self._prior = prior
        self._similarities = prior.kernel.towards(prior.landmarks)
        self._root = prior.root.astype(np.float32)
        weights = _weights(prior.spread, prior.noise)
        self._has_signal = prior.noise < np.inf
        self._ratio = np.where(self._has_signal, prior.noise, 0.0)
        # Support is computed with the least noise of any dimension.
        least = min(float(prior.noise.min()), NOISES[-1] * float(prior.spread.sum() + 1))
        common = least / (prior.spread + least)
        self._slopes = (prior.slopes * weights).astype(np.float32)
        self._inside = np.column_stack([weights * self._ratio, common]).astype(np.float32)

    def features(self, models: FeatureBlocks) -> NDArray[np.float32]:
        """Return kernel features, float32, n x f; predicted means are linear in them."""
        return self._similarities(models) @ self._root

    def predict(self, models: FeatureBlocks, features: NDArray[np.float32]) -> VectorEstimate:
        """Predict the vectors of models from their kernel features."""
        prior = self._prior
        own = prior.kernel.own(models)
        squares = np.square(features)
        beyond = np.maximum(own - squares.sum(1), 0)[:, None]
        inside = squares @ self._inside
        spread = np.where(self._has_signal, inside[:, :-1] + beyond + self._ratio, 1.0)
        support = _support(own, beyond[:, 0] + inside[:, -1])
        mean = prior.centre + features @ self._slopes
        return VectorEstimate(mean, prior.signal * spread, support)


def fit(
    known: FeatureBlocks,
    vectors: Reals,
    *,
    kernel: Kernel | None = None,
    seed: int = 0,
) -> Prior:
    """Fit a prior to the vectors of trained models.

    Args:
        known: features of M models.
        vectors: M x r.
        kernel: with fixed weights; None learns them, starting from `kernel.WEIGHTS`.
        seed: of the choice of landmarks, and of the models on which weights are learned.

    Raises:
        UsageError: for fewer than three models.
        ValueError: for shapes that differ, or vectors that are not finite.
    """
    if len(known) != len(vectors):
        raise ValueError(f"There are features of {len(known)} models, but {len(vectors)} vectors.")
    if len(known) < LEAST_MODELS:
        raise UsageError(f"A prior needs {LEAST_MODELS} evaluated models; there are {len(known)}.")
    if not np.isfinite(vectors).all():
        raise ValueError("vectors are to be finite")
    rng = np.random.default_rng(seed)
    centre = vectors.mean(0)
    centred = vectors - centre
    if kernel is None:
        tried = np.sort(rng.permutation(len(known))[:TRIED_ON])
        kernel = Kernel(learn_weights(known.rows(tried), centred[tried]))
    rows = np.sort(rng.permutation(len(known))[:LANDMARKS])
    landmarks = known.rows(rows)
    similar = kernel.between(known, landmarks).astype(np.float64)
    root = _root(similar[rows])
    chosen = _chosen(similar @ root, centred)
    own = kernel.own(known)
    return Prior(
        kernel,
        landmarks,
        root @ chosen.rotation,
        chosen.spread,
        chosen.slopes,
        chosen.noise,
        chosen.signal,
        centre,
        _left_out(chosen, own, centred, centre),
    )


def learn_weights(known: FeatureBlocks, centred: Reals) -> dict[str, float]:
    """Return weights of the kernel's parts, by coordinate search from `kernel.WEIGHTS`.

    Args:
        known: features of M models.
        centred: M x r, vectors minus their mean.
    """
    kernels = {name: part for name, part in parts(known, known).items() if part.any()}
    weights = {name: WEIGHTS[name] for name in kernels}
    total = sum(
        (weights[name] * part for name, part in kernels.items()), np.zeros((len(known),) * 2)
    )
    least = _error(total, centred)
    for name, part in kernels.items():
        for factor in FACTORS:
            candidate = weights[name] * factor
            changed = total + (candidate - weights[name]) * part
            error = _error(changed, centred)
            if error < least * (1 - LEAST_GAIN):
                least, total, weights = error, changed, {**weights, name: candidate}
    return weights


class _Chosen(NamedTuple):
    """Noise of each dimension, with the regression it was chosen by, on orthogonal features.

    `errors` is M x r, the leave-one-out errors; `leverages` M x r.
    """

    rotation: Reals
    spread: Reals
    slopes: Reals
    noise: Reals
    signal: Reals
    features: Reals
    errors: Reals
    leverages: Reals


def _root(similar: Reals) -> Reals:
    """Return a root of the pseudo-inverse of a kernel matrix."""
    values, vectors = np.linalg.eigh(similar)
    positive = values > max(values[-1], 0) * NEGLIGIBLE
    root: Reals = vectors[:, positive] / np.sqrt(values[positive])
    return root


def _weights(spread: Reals, noise: Reals) -> Reals:
    """Return 1 / (spread + noise), f x r; 0 for infinite noise."""
    weights: Reals = 1 / (spread[:, None] + noise)
    return weights


def _chosen(features: Reals, centred: Reals) -> _Chosen:
    spread, rotation = np.linalg.eigh(features.T @ features)
    spread = np.maximum(spread, 0)
    features = features @ rotation
    slopes, squares = features.T @ centred, features**2
    least, noise = (centred**2).sum(0), np.full(centred.shape[1], np.inf)
    errors, leverages = centred.copy(), np.zeros_like(centred)
    # The kernel has no scale of its own: noise is in units of its mean diagonal.
    scale = max(float(squares.sum(1).mean()), NEGLIGIBLE)
    for ratio in NOISES * scale:
        weights = 1 / (spread + ratio)
        leverage = squares @ weights
        error = (centred - features @ (weights[:, None] * slopes)) / (1 - leverage)[:, None]
        better = (total := (error**2).sum(0)) < least
        least, noise = np.where(better, total, least), np.where(better, ratio, noise)
        errors[:, better], leverages[:, better] = error[:, better], leverage[:, None]
    has_signal = noise < np.inf
    ratio = np.where(has_signal, noise, 1.0)
    explained = (slopes**2 * _weights(spread, ratio)).sum(0)
    signal = ((centred**2).sum(0) - explained) / ratio / len(centred)
    signal = np.where(has_signal, signal, (centred**2).mean(0))
    return _Chosen(rotation, spread, slopes, noise, signal, features, errors, leverages)


def _left_out(chosen: _Chosen, own: Reals, centred: Reals, centre: Reals) -> VectorEstimate:
    """Return the leave-one-out predictions of the known models (equations 5.12 there)."""
    has_signal = chosen.noise < np.inf
    ratio = np.where(has_signal, chosen.noise, 1.0)
    beyond = np.maximum(own - (chosen.features**2).sum(1), 0)[:, None]
    # The leave-one-out variance is noise / (1 - leverage), of which `noise` is the model's own.
    spread = ratio / (1 - chosen.leverages) + beyond
    variance = chosen.signal * np.where(has_signal, spread, 1.0)
    first = np.where(has_signal, spread - ratio, own[:, None])[:, 0]
    return VectorEstimate(centre + centred - chosen.errors, variance, _support(own, first))


def _support(own: Reals, unexplained: Reals) -> Reals:
    """Return the share of a model's own similarity that is explained, in [0, 1]."""
    share = 1 - unexplained / np.maximum(own, NEGLIGIBLE)
    return np.asarray(np.clip(share, 0, 1), np.float64)


def _error(similar: Reals, centred: Reals) -> float:
    """Return the sum of squared leave-one-out errors, each dimension with its best noise."""
    values, vectors = np.linalg.eigh(similar / max(float(similar.diagonal().mean()), NEGLIGIBLE))
    squares, inner = vectors**2, vectors.T @ centred
    least = (centred**2).sum(0)
    for ratio in NOISES:
        weights = 1 / (np.maximum(values, 0) + ratio)
        error = (vectors @ (weights[:, None] * inner)) / (squares @ weights)[:, None]
        least = np.minimum(least, (error**2).sum(0))
    return float(least.sum())
