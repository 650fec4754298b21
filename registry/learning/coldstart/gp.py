"""Vectors of models that nobody has evaluated, from those of models that are like them.

Gaussian process regression with a kernel of `kernel` (Rasmussen and Williams, Gaussian Processes
for Machine Learning, 2006, sections 2.2 and 5.4.2), each dimension of the vectors with its own
ratio of noise, or held to know nothing. Noise and weights are those of the least leave-one-out
error, which has a closed form. Beyond `LANDMARKS` models, functions are spanned by some of them
(Nystroem, section 8.1), so that the work grows linearly.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from registry.errors import UsageError
from registry.learning.coldstart.features import Blocks
from registry.learning.coldstart.influence import Influence
from registry.learning.coldstart.kernel import WEIGHTS, Kernel, parts
from registry.learning.coldstart.pca import Reals

LANDMARKS = 1024
AT_ONCE = 2048
"""Models whose vectors are guessed at a time: what bounds memory."""

NOISES = np.geomspace(0.02, 20, 13)
"""Ratios of noise to signal variance that are tried for each dimension."""

FACTORS = (0.0, 0.4, 2.5)
LEAST_GAIN = 2e-3
"""Share of the leave-one-out error by which another weight has to be better."""

TRIED_ON = 600
"""Models that weights are learned on, drawn at random."""

LEAST_MODELS = 3
NEGLIGIBLE = 1e-7


@dataclass(frozen=True, slots=True, eq=False)
class Guess:
    """What is believed of vectors of n models.

    Attributes:
        mean: float64, n x r.
        variance: float64, n x r, of each dimension by itself.
        support: float64, n, in [0, 1]: how much of a model's own similarity the known models
            explain; near 0, the mean is that of all models and says nothing of this one.
    """

    mean: Reals
    variance: Reals
    support: Reals


@dataclass(frozen=True, slots=True, eq=False)
class Prior:
    """Belief in vectors of any model, by its features.

    Attributes:
        kernel: with its weights.
        landmarks: features of the models that span the functions.
        root: float64, m x f: turns similarities to landmarks into independent features.
        spread: float64, f: sums of squares of those features over the known models.
        slopes: float64, f x r: inner products of features and vectors.
        noise: float64, r: ratio of noise to signal; inf where features tell nothing.
        signal: float64, r: variance of the signal, that of the vectors where noise is inf.
        centre: float64, r: mean of the known vectors.
        left_out: what was believed of each known model from all others.
    """

    kernel: Kernel
    landmarks: Blocks
    root: Reals
    spread: Reals
    slopes: Reals
    noise: Reals
    signal: Reals
    centre: Reals
    left_out: Guess

    def guess(self, models: Blocks) -> Guess:
        """Return what is believed of models, known or not; memory grows with their number only."""
        found = Guess(
            np.empty((len(models), len(self.noise))),
            np.empty((len(models), len(self.noise))),
            np.empty(len(models)),
        )
        guesser = Guesser(self)
        for start in range(0, len(models), AT_ONCE):
            part = slice(start, start + AT_ONCE)
            some = models.rows(np.arange(len(models))[part])
            told = guesser.guess(some, guesser.features(some))
            found.mean[part], found.variance[part] = told.mean, told.variance
            found.support[part] = told.support
        return found

    def influence(self, known: Blocks) -> Influence:
        """Return how much each known model weighs in guesses.

        Args:
            known: features of the M models, in the order of the fit.
        """
        features = Guesser(self).features(known)
        return Influence.of(features, self.spread, self.slopes, self.noise)


class Guesser:
    """A prior made ready to guess some models after others, `AT_ONCE` or so at a time.

    In single precision: half the time, and errors far below the noise.
    """

    def __init__(self, prior: Prior) -> None:
        self._prior = prior
        self._near = prior.kernel.towards(prior.landmarks)
        self._root = prior.root.astype(np.float32)
        weights = _weights(prior.spread, prior.noise)
        self._told = prior.noise < np.inf
        self._ratio = np.where(self._told, prior.noise, 0.0)
        # Support is asked at the least noise of any dimension: what any could be told.
        least = min(float(prior.noise.min()), NOISES[-1] * float(prior.spread.sum() + 1))
        common = least / (prior.spread + least)
        self._slopes = (prior.slopes * weights).astype(np.float32)
        self._inside = np.column_stack([weights * self._ratio, common]).astype(np.float32)

    def features(self, models: Blocks) -> NDArray[np.float32]:
        """Return what guesses are linear in, float32, n x f; for `guess` and `influence`."""
        return self._near(models) @ self._root

    def guess(self, models: Blocks, features: NDArray[np.float32]) -> Guess:
        """Return what is believed of models by their features."""
        prior = self._prior
        own = prior.kernel.own(models)
        squares = np.square(features)
        beyond = np.maximum(own - squares.sum(1), 0)[:, None]
        inside = squares @ self._inside
        spread = np.where(self._told, inside[:, :-1] + beyond + self._ratio, 1.0)
        support = _support(own, beyond[:, 0] + inside[:, -1])
        return Guess(prior.centre + features @ self._slopes, prior.signal * spread, support)


def fit(
    known: Blocks,
    vectors: Reals,
    *,
    kernel: Kernel | None = None,
    seed: int = 0,
) -> Prior:
    """Fit a prior to the vectors of evaluated models.

    Args:
        known: features of M models.
        vectors: M x r.
        kernel: whose weights are taken as they are; None learns them from `kernel.WEIGHTS`.
        seed: of the choice of landmarks, and of models that weights are learned on.

    Raises:
        UsageError: with fewer than three models.
        ValueError: when shapes differ, or vectors are not finite.
    """
    if len(known) != len(vectors):
        raise ValueError(f"There are features of {len(known)} models, but {len(vectors)} vectors.")
    if len(known) < LEAST_MODELS:
        raise UsageError(f"A prior needs {LEAST_MODELS} evaluated models; there are {len(known)}.")
    if not np.isfinite(vectors).all():
        raise ValueError("vectors are to be finite")
    draw = np.random.default_rng(seed)
    centre = vectors.mean(0)
    rest = vectors - centre
    if kernel is None:
        some = np.sort(draw.permutation(len(known))[:TRIED_ON])
        kernel = Kernel(learn_weights(known.rows(some), rest[some]))
    marks = np.sort(draw.permutation(len(known))[:LANDMARKS])
    landmarks = known.rows(marks)
    similar = kernel.between(known, landmarks).astype(np.float64)
    root = _root(similar[marks])
    chosen = _chosen(similar @ root, rest)
    own = kernel.own(known)
    return Prior(
        kernel,
        landmarks,
        root @ chosen.turn,
        chosen.spread,
        chosen.slopes,
        chosen.noise,
        chosen.signal,
        centre,
        _left_out(chosen, own, rest, centre),
    )


def learn_weights(known: Blocks, rest: Reals) -> dict[str, float]:
    """Return weights of the parts of the kernel, by coordinate search from `kernel.WEIGHTS`.

    Args:
        known: features of M models.
        rest: M x r, vectors less their mean.
    """
    made = {name: part for name, part in parts(known, known).items() if part.any()}
    weights = {name: WEIGHTS[name] for name in made}
    total = sum((weights[name] * part for name, part in made.items()), np.zeros((len(known),) * 2))
    least = _error(total, rest)
    for name, part in made.items():
        for factor in FACTORS:
            other = weights[name] * factor
            changed = total + (other - weights[name]) * part
            error = _error(changed, rest)
            if error < least * (1 - LEAST_GAIN):
                least, total, weights = error, changed, {**weights, name: other}
    return weights


class _Chosen(NamedTuple):
    """Noise of each dimension, and what it was found from: features are turned to be independent.

    `errors` is M x r, what is left of the vectors if each is left out; `leverages` M x r.
    """

    turn: Reals
    spread: Reals
    slopes: Reals
    noise: Reals
    signal: Reals
    features: Reals
    errors: Reals
    leverages: Reals


def _root(similar: Reals) -> Reals:
    """Return a root of the inverse of a matrix, without directions that are next to nothing."""
    values, turn = np.linalg.eigh(similar)
    kept = values > max(values[-1], 0) * NEGLIGIBLE
    root: Reals = turn[:, kept] / np.sqrt(values[kept])
    return root


def _weights(spread: Reals, noise: Reals) -> Reals:
    """Return 1 / (spread + noise), f x r; 0 for infinite noise."""
    found: Reals = 1 / (spread[:, None] + noise)
    return found


def _chosen(features: Reals, rest: Reals) -> _Chosen:
    spread, turn = np.linalg.eigh(features.T @ features)
    spread = np.maximum(spread, 0)
    features = features @ turn
    slopes, squares = features.T @ rest, features**2
    least, noise = (rest**2).sum(0), np.full(rest.shape[1], np.inf)
    errors, leverages = rest.copy(), np.zeros_like(rest)
    # Similarity has no scale of its own; noise is in units of its mean.
    scale = max(float(squares.sum(1).mean()), NEGLIGIBLE)
    for ratio in NOISES * scale:
        weights = 1 / (spread + ratio)
        leverage = squares @ weights
        error = (rest - features @ (weights[:, None] * slopes)) / (1 - leverage)[:, None]
        better = (total := (error**2).sum(0)) < least
        least, noise = np.where(better, total, least), np.where(better, ratio, noise)
        errors[:, better], leverages[:, better] = error[:, better], leverage[:, None]
    told = noise < np.inf
    ratio = np.where(told, noise, 1.0)
    explained = (slopes**2 * _weights(spread, ratio)).sum(0)
    signal = ((rest**2).sum(0) - explained) / ratio / len(rest)
    signal = np.where(told, signal, (rest**2).mean(0))
    return _Chosen(turn, spread, slopes, noise, signal, features, errors, leverages)


def _left_out(chosen: _Chosen, own: Reals, rest: Reals, centre: Reals) -> Guess:
    """Return what is believed of each known model from the others (equations 5.12 there)."""
    told = chosen.noise < np.inf
    ratio = np.where(told, chosen.noise, 1.0)
    beyond = np.maximum(own - (chosen.features**2).sum(1), 0)[:, None]
    # The leave-one-out variance is noise / (1 - leverage), of which `noise` is the model's own.
    spread = ratio / (1 - chosen.leverages) + beyond
    variance = chosen.signal * np.where(told, spread, 1.0)
    first = np.where(told, spread - ratio, own[:, None])[:, 0]
    return Guess(centre + rest - chosen.errors, variance, _support(own, first))


def _support(own: Reals, left: Reals) -> Reals:
    """Return the share of a model's own similarity that is explained, in [0, 1]."""
    share = 1 - left / np.maximum(own, NEGLIGIBLE)
    return np.asarray(np.clip(share, 0, 1), np.float64)


def _error(similar: Reals, rest: Reals) -> float:
    """Return the sum of squares left out of all dimensions, each with its best noise."""
    values, turn = np.linalg.eigh(similar / max(float(similar.diagonal().mean()), NEGLIGIBLE))
    squares, inner = turn**2, turn.T @ rest
    least = (rest**2).sum(0)
    for ratio in NOISES:
        weights = 1 / (np.maximum(values, 0) + ratio)
        error = (turn @ (weights[:, None] * inner)) / (squares @ weights)[:, None]
        least = np.minimum(least, (error**2).sum(0))
    return float(least.sum())
