"""Probes of learned vectors: communities, unseen benchmarks, contributions between benchmarks.

All three are of EmbedLLM (METHODS.md section 1, Uses; the paper's sections 5.3, 6.1 and 6.2).
Vectors are M x d, one per model; accuracies are (M,), in [0, 1], nan where a model has none.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from registry.learning.arrays import Floats

_Doubles = NDArray[np.float64]

SIGNIFICANT = 0.05
"""Level of significance of a correlation of ranks."""

TEST_SHARE = 0.2
"""Share of the models that a random split tests on."""

MIN_MODELS = 10
"""Models that a split needs, so that at least two are tested."""


@dataclass(frozen=True, slots=True)
class Community:
    """Distances within a community of models and to the rest.

    Attributes:
        name: of the community.
        models: number of its models.
        inside: mean L2 distance of two of them; nan for fewer than two.
        between: mean L2 distance of one of them to one of the rest; nan where there is none.
        ratio: inside / between; below 1 where the vectors reflect the community.
    """

    name: str
    models: int
    inside: float
    between: float
    ratio: float


@dataclass(frozen=True, slots=True, eq=False)
class BenchmarkPrediction:
    """Quality of predicting accuracy on a benchmark from vectors trained without it.

    Attributes:
        models: number of models with an accuracy.
        taus: (S,), Kendall's tau-b of predicted and true accuracy of each split's test models;
            nan where either is the same for all.
        p_values: (S,), two-sided, of the hypothesis of no correlation.
        significant: number of splits where tau is above 0 with a p-value below 0.05.
        mse: mean squared error of the test models, over all splits.
        mse_of_mean: the same when predicting the mean of the split's training models.
        seed: of the splits.
    """

    models: int
    taus: _Doubles
    p_values: _Doubles
    significant: int
    mse: float
    mse_of_mean: float
    seed: int

    @property
    def splits(self) -> int:
        """Number of random splits of the models."""
        return self.taus.size


@dataclass(frozen=True, slots=True, eq=False)
class Contribution:
    """Effect of adding a benchmark to training on predicting another one.

    Attributes:
        benchmarks: names of the B benchmarks.
        gains: B x B; [a, b] is the decrease of the mean squared error on b when a is added to
            training. Above 0 a helps b; the diagonal is 0.
    """

    benchmarks: Sequence[str]
    gains: _Doubles

    @property
    def given(self) -> _Doubles:
        """(B,), gain of all others by each benchmark: sums of rows."""
        return np.asarray(self.gains.sum(axis=1), np.float64)

    @property
    def taken(self) -> _Doubles:
        """(B,), gain of each benchmark by all others: sums of columns."""
        return np.asarray(self.gains.sum(axis=0), np.float64)


def community_distances(
    vectors: Floats, members: Mapping[str, Sequence[int]]
) -> tuple[Community, ...]:
    """Compare distances inside communities with those to the rest.

    Args:
        vectors: M x d.
        members: places among the M models of each community's, none twice; a model may be in
            several communities.

    Raises:
        ValueError: the vectors are not a matrix of finite numbers, or the places not those of
            models.
    """
    from scipy.spatial import distance  # noqa: PLC0415 - heavy, and of the extra `train`

    vectors = _matrix(vectors)
    communities = []
    for name, places in members.items():
        if any(not 0 <= place < len(vectors) for place in places):
            raise ValueError(
                f"Community {name!r} has a place that is not among {len(vectors)} models."
            )
        inner = np.zeros(len(vectors), bool)
        inner[np.asarray(places, np.intp)] = True
        if inner.sum() != len(places):
            raise ValueError(f"Community {name!r} has a model twice.")
        own, rest = vectors[inner], vectors[~inner]
        inside, between = _mean(distance.pdist(own)), _mean(distance.cdist(own, rest))
        ratio = inside / between if between else float("nan")
        communities.append(Community(name, len(own), inside, between, ratio))
    return tuple(communities)


def benchmark_prediction(
    vectors: Floats, accuracies: Floats, *, splits: int = 100, seed: int = 0, penalty: float = 0.0
) -> BenchmarkPrediction:
    """Predict accuracy on a benchmark from vectors trained without it, by linear regression.

    Random splits of the models, 80% to fit on and 20% to test on. Splits share models, so their
    p-values are not independent; the count of significant ones is the paper's measure.

    Args:
        vectors: M x d.
        accuracies: (M,); models without one (nan) are left out.
        splits: their number.
        seed: of the splits.
        penalty: as `split_predictions`.

    Raises:
        ValueError: as `split_predictions`.
    """
    from scipy import stats  # noqa: PLC0415 - heavy, and of the extra `train`

    predicted = split_predictions(vectors, accuracies, splits=splits, seed=seed, penalty=penalty)
    known = ~np.isnan(accuracies)
    truth = accuracies[known].astype(np.float64)
    taus, p_values = np.full(splits, np.nan), np.full(splits, np.nan)
    errors: list[_Doubles] = []
    errors_of_mean: list[_Doubles] = []
    for split, prediction in enumerate(predicted[:, known]):
        test = ~np.isnan(prediction)
        errors.append(prediction[test] - truth[test])
        errors_of_mean.append(truth[~test].mean() - truth[test])
        if np.ptp(prediction[test]) > 0 and np.ptp(truth[test]) > 0:
            taus[split], p_values[split] = stats.kendalltau(prediction[test], truth[test])
    return BenchmarkPrediction(
        models=truth.size,
        taus=taus,
        p_values=p_values,
        significant=int(np.count_nonzero((p_values < SIGNIFICANT) & (taus > 0))),
        mse=_mean(np.concatenate(errors) ** 2),
        mse_of_mean=_mean(np.concatenate(errors_of_mean) ** 2),
        seed=seed,
    )


def split_predictions(
    vectors: Floats, accuracies: Floats, *, splits: int = 100, seed: int = 0, penalty: float = 0.0
) -> _Doubles:
    """Predict accuracies of the test models of random splits by linear regression on the rest.

    Args:
        vectors: M x d.
        accuracies: (M,); models without one (nan) are left out.
        splits: their number, at least 1.
        seed: of the splits.
        penalty: of squared coefficients (ridge); 0 is least squares, and with more dimensions
            than models the solution of least norm, as in the paper.

    Returns:
        S x M predictions, not clipped to [0, 1]; nan where a model was fitted on or left out.

    Raises:
        ValueError: for vectors that are not finite, accuracies that are not theirs, fewer than
            10 models that have one, no split, or a penalty below 0.
    """
    vectors = _matrix(vectors)
    if accuracies.shape != (len(vectors),):
        raise ValueError(f"{len(vectors)} models have accuracies of shape {accuracies.shape}.")
    if splits < 1 or not penalty >= 0:
        raise ValueError("Splits are at least 1, and a penalty is at least 0.")
    models = np.flatnonzero(~np.isnan(accuracies))
    if models.size < MIN_MODELS:
        raise ValueError(
            f"{models.size} models have an accuracy; a regression on random splits of them"
            f" needs at least {MIN_MODELS}."
        )
    random = np.random.default_rng(seed)
    predictions = np.full((splits, len(vectors)), np.nan)
    for split in range(splits):
        order = random.permutation(models)
        test, train = np.split(order, [round(TEST_SHARE * models.size)])
        center, mean = vectors[train].mean(axis=0), accuracies[train].mean(dtype=np.float64)
        slope = _regression(vectors[train] - center, accuracies[train] - mean, penalty)
        predictions[split, test] = mean + (vectors[test] - center) @ slope
    return predictions


def benchmark_contribution(
    accuracies: Mapping[str, Floats],
    predict: Callable[[frozenset[str]], Mapping[str, Floats]],
) -> Contribution:
    """Measure the effect of adding each benchmark to training on predicting each other one.

    For benchmarks a and b, training is on all but a and b, then on all but b. With B benchmarks
    that is B (B + 1) / 2 trainings, each done once.

    Args:
        accuracies: (M,) of each benchmark; nan does not count.
        predict: trains on the given benchmarks, and returns the predicted accuracies of (at least)
            all others: (M,), or S x M for S splits of the models as by `split_predictions`; nan
            does not count.

    Raises:
        ValueError: there are fewer than three benchmarks, which leave none to train on.
    """
    names = list(accuracies)
    if len(names) < 3:  # noqa: PLR2004 - one predicted, one added, one to train on
        raise ValueError(f"Contributions are between at least three benchmarks, not {len(names)}.")
    every = frozenset(names)

    def errors(without: frozenset[str]) -> dict[str, float]:
        predicted = predict(every - without)
        return {name: _mean_square(predicted[name] - accuracies[name]) for name in without}

    gains = np.zeros((len(names), len(names)))
    for place, name in enumerate(names):
        gains[:, place] -= errors(frozenset({name}))[name]
    for first, one in enumerate(names):
        for second, other in enumerate(names[:first]):
            both = errors(frozenset({one, other}))
            gains[first, second] += both[other]
            gains[second, first] += both[one]
    np.fill_diagonal(gains, 0)
    return Contribution(tuple(names), gains)


def _regression(x: _Doubles, y: Floats, penalty: float) -> _Doubles:
    """Return the coefficients of ridge regression on centred data; of least norm if unpenalized."""
    left, sizes, right = np.linalg.svd(x, full_matrices=False)
    nonzero = sizes > sizes.max(initial=0) * max(x.shape) * np.finfo(np.float64).eps
    sizes = sizes[nonzero]
    slope: _Doubles = right[nonzero].T @ (sizes / (sizes**2 + penalty) * (left[:, nonzero].T @ y))
    return slope


def _matrix(vectors: Floats) -> _Doubles:
    if vectors.ndim != 2 or not np.isfinite(vectors).all():  # noqa: PLR2004 - M x d
        raise ValueError(f"Vectors {vectors.shape} have to be a matrix of finite numbers.")
    return vectors.astype(np.float64)


def _mean_square(errors: Floats) -> float:
    return _mean(errors[~np.isnan(errors)] ** 2)


def _mean(values: Floats) -> float:
    return float(values.mean(dtype=np.float64)) if values.size else float("nan")
