"""How good predicted probabilities are against outcomes that no training has seen.

Outcomes lie in [0, 1] and may be graded; predictions are probabilities in [0, 1]. Nothing to
measure on gives nan, never an error; shapes that differ, nan and numbers out of range are errors.
RMSE_m and RMSE_q are those of SimRMF (METHODS section 2), accuracy is that of EmbedLLM (section
1), calibration error is that of Naeini et al. (2015) over bins of equal mass.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Reals = NDArray[np.floating[Any]]
"""Numbers of any precision; what is computed of them is computed in double."""

_Doubles = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean over seeds, and where the mean of ever more seeds would lie.

    Attributes:
        mean: of the values; nan where one of them is.
        lower: of the 95% interval; nan for a single seed.
        upper: likewise.
        seeds: number of values.
    """

    mean: float
    lower: float
    upper: float
    seeds: int


def accuracy(y: Reals, p: Reals) -> float:
    """Return the share of outcomes on whose right side of a half the prediction is, in [0, 1].

    Args:
        y: outcomes, any shape; a graded one is right from 0.5, as everywhere in the registry.
        p: predictions, the same shape.

    Raises:
        ValueError: when shapes differ, or a number is not in [0, 1].
    """
    y, p = _checked(y, p)
    return _mean((y >= RIGHT_FROM) == (p >= RIGHT_FROM))


def auc(y: Reals, p: Reals) -> float:
    """Return the chance that what is right was predicted higher than what is wrong, in [0, 1].

    Ties count half. A graded outcome y is right with weight y and wrong with weight 1 - y.

    Args:
        y: outcomes, any shape.
        p: predictions, the same shape; only their order counts.

    Returns:
        nan where all outcomes are right, or all are wrong.

    Raises:
        ValueError: as `accuracy`.
    """
    ties, right = _ties(*_checked(y, p))
    wrong = ties - right
    if not right.sum() or not wrong.sum():
        return float("nan")
    below = np.cumsum(wrong) - wrong
    return float(right @ (below + wrong / 2) / (right.sum() * wrong.sum()))


def log_loss(y: Reals, p: Reals) -> float:
    """Return the mean cross-entropy in nats, at least 0: -y ln(p) - (1 - y) ln(1 - p).

    Args:
        y: outcomes, any shape.
        p: predictions, the same shape; kept away from 0 and 1 by the precision of their type,
            as scikit-learn does.

    Raises:
        ValueError: as `accuracy`.
    """
    precision = float(np.finfo(p.dtype).eps) if p.dtype.kind == "f" else np.finfo(np.float64).eps
    y, p = _checked(y, p)
    p = np.clip(p, precision, 1 - precision)
    return _mean(-y * np.log(p) - (1 - y) * np.log1p(-p))


def rmse(y: Reals, p: Reals) -> float:
    """Return the root of the mean squared error, in [0, 1]; arguments as `accuracy`."""
    y, p = _checked(y, p)
    return _root_mean_square(y - p)


def calibration_error(y: Reals, p: Reals, bins: int = 15) -> float:
    """Return the expected calibration error, in [0, 1], over bins of as many predictions each.

    It is the mean, over all predictions, of how far the mean outcome of a prediction's bin is
    from the bin's mean prediction. Outcomes of equal predictions are averaged first, so the order
    of the arrays never counts.

    Args:
        y: outcomes, any shape.
        p: predictions, the same shape.
        bins: at least 1; with fewer predictions than that, each is a bin of its own.

    Raises:
        ValueError: as `accuracy`, or when there is no bin.
    """
    if bins < 1:
        raise ValueError(f"Calibration needs at least one bin, not {bins}.")
    y, p = _checked(y, p)
    if not y.size:
        return float("nan")
    ties, right = _ties(y, p)
    errors = np.repeat(right / ties, ties.astype(np.int64)) - np.sort(p, kind="stable")
    starts = np.unique(np.arange(bins) * errors.size // bins)
    return float(np.abs(np.add.reduceat(errors, starts)).sum() / errors.size)


def rmse_of_models(y: Reals, p: Reals, mask: NDArray[np.bool_]) -> float:
    """Return RMSE_m, in [0, 1]: the error of models' mean outcomes over their observed items.

    Args:
        y: M x N, outcomes of models on items; what is not masked does not count and may be nan.
        p: M x N, predictions.
        mask: M x N, the cells to measure on; a model without one does not count.

    Raises:
        ValueError: as `accuracy`.
    """
    cells = _Cells.of(y, p, mask)
    return _root_mean_square(cells.means(0, cells.y - cells.p))


def rmse_of_items(y: Reals, p: Reals, mask: NDArray[np.bool_]) -> float:
    """Return RMSE_q, in [0, 1]: as `rmse_of_models`, of items' means over models."""
    cells = _Cells.of(y, p, mask)
    return _root_mean_square(cells.means(1, cells.y - cells.p))


def kendall_tau(a: Reals, b: Reals) -> float:
    """Return Kendall's tau-b of two orders of the same things, in [-1, 1].

    Args:
        a: numbers, one for each thing.
        b: likewise.

    Returns:
        nan where an order is none: fewer than two things, or all numbers alike.

    Raises:
        ValueError: when shapes differ, or a number is nan.
    """
    from scipy import stats  # noqa: PLC0415 - heavy, and of the extra `train`

    if a.shape != b.shape:
        raise ValueError(f"Orders of {a.shape} and {b.shape} things cannot be compared.")
    if np.isnan(a).any() or np.isnan(b).any():
        raise ValueError("What is nan has no place in an order.")
    if a.size == 0 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return float("nan")
    return float(stats.kendalltau(a, b).statistic)


def held_out(y: Reals, p: Reals, mask: NDArray[np.bool_]) -> dict[str, float]:
    """Measure predictions on held-out cells by all that this module knows.

    Args:
        y: M x N, outcomes of models on items; what is not masked does not count and may be nan.
        p: M x N, predictions.
        mask: M x N, the cells to measure on.

    Returns:
        accuracy, auc, log_loss, rmse, rmse_m, rmse_q, calibration_error, and kendall_tau of
        models' mean outcomes against their mean predictions; nan for what cannot be told.

    Raises:
        ValueError: as `accuracy`.
    """
    cells = _Cells.of(y, p, mask)
    single = cells.p.astype(p.dtype)
    order = np.argsort(single)  # once: to sort what is sorted takes no time
    seen, told = cells.y[order], single[order]
    return {
        "accuracy": accuracy(seen, told),
        "auc": auc(seen, told),
        "log_loss": log_loss(seen, told),
        "rmse": rmse(seen, told),
        "rmse_m": _root_mean_square(cells.means(0, cells.y - cells.p)),
        "rmse_q": _root_mean_square(cells.means(1, cells.y - cells.p)),
        "calibration_error": calibration_error(seen, told),
        "kendall_tau": kendall_tau(cells.means(0, cells.y), cells.means(0, cells.p)),
    }


def summary(values: Iterable[float]) -> Interval:
    """Return the mean over seeds with its 95% interval by Student's t.

    The interval is mean ± t(0.975, n - 1) s / sqrt(n). It tells how far the mean may move with
    other seeds, not with other data.

    Raises:
        ValueError: when there is no value.
    """
    from scipy import special  # noqa: PLC0415 - heavy, and of the extra `train`

    told = np.array(list(values), np.float64)
    if not told.size:
        raise ValueError("A mean over seeds needs at least one seed.")
    mean = float(told.mean())
    if told.size == 1:
        return Interval(mean, float("nan"), float("nan"), 1)
    quantile = float(special.stdtrit(told.size - 1, 0.975))
    half = quantile * float(told.std(ddof=1)) / float(np.sqrt(told.size))
    return Interval(mean, mean - half, mean + half, told.size)


@dataclass(frozen=True, slots=True, eq=False)
class _Cells:
    """The cells to measure on: outcomes, predictions, and the model and the item of each."""

    y: _Doubles
    p: _Doubles
    places: tuple[NDArray[np.intp], ...]

    @classmethod
    def of(cls, y: Reals, p: Reals, mask: NDArray[np.bool_]) -> "_Cells":
        if not y.shape == p.shape == mask.shape or mask.ndim != 2:  # noqa: PLR2004 - M x N
            raise ValueError(
                f"Outcomes {y.shape}, predictions {p.shape} and mask {mask.shape} are to be"
                " matrices of the same models by the same items."
            )
        return cls(*_checked(y[mask], p[mask]), np.nonzero(mask))

    def means(self, axis: int, values: _Doubles) -> _Doubles:
        """Return the mean of each model (axis 0) or item (axis 1) that has a cell."""
        places = self.places[axis]
        counts = np.bincount(places)
        there = counts > 0
        means: _Doubles = np.bincount(places, values)[there] / counts[there]
        return means


def _checked(y: Reals, p: Reals) -> tuple[_Doubles, _Doubles]:
    """Return outcomes and predictions flat and in double."""
    if y.shape != p.shape:
        raise ValueError(f"There are outcomes {y.shape}, but predictions {p.shape}.")
    for name, numbers in (("outcomes", y), ("predictions", p)):
        if numbers.size and not (numbers.min() >= 0 and numbers.max() <= 1):  # nan is neither
            raise ValueError(f"All {name} are to be in [0, 1], and none nan.")
    return y.ravel().astype(np.float64), p.ravel().astype(np.float64)


def _ties(y: _Doubles, p: _Doubles) -> tuple[_Doubles, _Doubles]:
    """Return, by rising prediction, how many are alike and the sum of their outcomes."""
    if not y.size:
        return y, y
    order = np.argsort(p, kind="stable")
    ranked = p[order]
    starts = np.flatnonzero(np.concatenate(([True], ranked[1:] != ranked[:-1])))
    counts = np.diff(np.append(starts, y.size)).astype(np.float64)
    sums: _Doubles = np.add.reduceat(y[order], starts)
    return counts, sums


def _mean(values: NDArray[Any]) -> float:
    return float(values.mean()) if values.size else float("nan")


def _root_mean_square(errors: _Doubles) -> float:
    return float(np.sqrt(_mean(errors**2)))


RIGHT_FROM = 0.5
"""Outcome from which a graded answer counts as right, where only right and wrong are told apart."""
