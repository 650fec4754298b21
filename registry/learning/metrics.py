"""Metrics of predicted probabilities on held-out outcomes.

Outcomes are in [0, 1] and may be graded; predictions are probabilities in [0, 1]. Without outcomes
a metric is nan, not an error; different shapes, nan and numbers out of range are errors. RMSE_m and
RMSE_q are those of SimRMF (METHODS.md section 2), accuracy is that of EmbedLLM (section 1),
calibration error is that of Naeini et al. (2015) over bins of equal mass. Computations
are in double precision.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from registry.learning.arrays import Floats, Reals

RIGHT_FROM = 0.5
"""Least graded outcome that counts as right, where an answer is either right or wrong."""


@dataclass(frozen=True, slots=True)
class Interval:
    """Mean over seeds with its 95% confidence interval.

    Attributes:
        mean: of the values; nan if one of them is.
        lower: end of the interval; nan for a single seed.
        upper: likewise.
        seeds: number of values.
    """

    mean: float
    lower: float
    upper: float
    seeds: int


def accuracy(y: Floats, p: Floats) -> float:
    """Return the share of predictions on the same side of a half as the outcome, in [0, 1].

    Args:
        y: outcomes, any shape; a graded one is right from 0.5, as everywhere in the registry.
        p: predictions, the same shape.

    Raises:
        ValueError: for shapes that differ, or a number out of [0, 1].
    """
    y, p = _checked(y, p)
    return _mean((y >= RIGHT_FROM) == (p >= RIGHT_FROM))


def auc(y: Floats, p: Floats) -> float:
    """Return the probability that a right outcome has the higher prediction, in [0, 1].

    Ties count half. A graded outcome y is right with weight y and wrong with weight 1 - y.

    Args:
        y: outcomes, any shape.
        p: predictions, the same shape; only their order counts.

    Returns:
        nan if all outcomes are right, or all are wrong.

    Raises:
        ValueError: as `accuracy`.
    """
    ties, right = _ties(*_checked(y, p))
    wrong = ties - right
    if not right.sum() or not wrong.sum():
        return float("nan")
    below = np.cumsum(wrong) - wrong
    return float(right @ (below + wrong / 2) / (right.sum() * wrong.sum()))


def log_loss(y: Floats, p: Floats) -> float:
    """Return the mean cross-entropy in nats, at least 0: -y ln(p) - (1 - y) ln(1 - p).

    Args:
        y: outcomes, any shape.
        p: predictions, the same shape; clipped away from 0 and 1 by the precision of their type,
            as in scikit-learn.

    Raises:
        ValueError: as `accuracy`.
    """
    precision = float(np.finfo(p.dtype).eps) if p.dtype.kind == "f" else np.finfo(np.float64).eps
    y, p = _checked(y, p)
    p = np.clip(p, precision, 1 - precision)
    return _mean(-y * np.log(p) - (1 - y) * np.log1p(-p))


def rmse(y: Floats, p: Floats) -> float:
    """Return the root of the mean squared error, in [0, 1]; arguments as `accuracy`."""
    y, p = _checked(y, p)
    return _root_mean_square(y - p)


def calibration_error(y: Floats, p: Floats, bins: int = 15) -> float:
    """Return the expected calibration error, in [0, 1], over bins of equal size.

    It is the mean, over all predictions, of the distance between the mean outcome and the mean
    prediction of its bin. Outcomes of equal predictions are averaged first, so that the order of
    the arrays does not matter.

    Args:
        y: outcomes, any shape.
        p: predictions, the same shape.
        bins: at least 1; with fewer predictions than bins, each is a bin of its own.

    Raises:
        ValueError: as `accuracy`, or without a bin.
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


def rmse_of_models(y: Floats, p: Floats, mask: NDArray[np.bool_]) -> float:
    """Return RMSE_m, in [0, 1]: the error of models' mean outcomes over their observed items.

    Args:
        y: M x N, outcomes of models on items; unmasked cells are ignored and may be nan.
        p: M x N, predictions.
        mask: M x N, the cells to use; a model without one is ignored.

    Raises:
        ValueError: as `accuracy`.
    """
    cells = _Cells.of(y, p, mask)
    return _root_mean_square(cells.means(0, cells.y - cells.p))


def rmse_of_items(y: Floats, p: Floats, mask: NDArray[np.bool_]) -> float:
    """Return RMSE_q, in [0, 1]: as `rmse_of_models`, but of items' mean outcomes over models."""
    cells = _Cells.of(y, p, mask)
    return _root_mean_square(cells.means(1, cells.y - cells.p))


def kendall_tau(a: Floats, b: Floats) -> float:
    """Return Kendall's tau-b of two rankings, in [-1, 1].

    Args:
        a: scores of the ranked objects.
        b: other scores of the same objects.

    Returns:
        nan for fewer than two objects, or if all scores are equal.

    Raises:
        ValueError: for shapes that differ, or a nan.
    """
    from scipy import stats  # noqa: PLC0415 - heavy, and of the extra `train`

    if a.shape != b.shape:
        raise ValueError(f"Scores {a.shape} and {b.shape} cannot be compared.")
    if np.isnan(a).any() or np.isnan(b).any():
        raise ValueError("A score that is nan has no rank.")
    if a.size == 0 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return float("nan")
    return float(stats.kendalltau(a, b).statistic)


def holdout_metrics(y: Floats, p: Floats, mask: NDArray[np.bool_]) -> dict[str, float]:
    """Return all metrics of predictions on held-out cells.

    Args:
        y: M x N, outcomes of models on items; unmasked cells are ignored and may be nan.
        p: M x N, predictions.
        mask: M x N, the held-out cells.

    Returns:
        accuracy, auc, log_loss, rmse, rmse_m, rmse_q, calibration_error, and kendall_tau of
        models' mean outcomes against their mean predictions; nan for an undefined one.

    Raises:
        ValueError: as `accuracy`.
    """
    _require_matrices(y, p, mask)
    models, items = np.nonzero(mask)
    return cell_metrics(y[mask], p[mask], models, items)


def cell_metrics(
    y: Floats, p: Floats, models: NDArray[np.intp], items: NDArray[np.intp]
) -> dict[str, float]:
    """Return the metrics of `holdout_metrics`, of n cells.

    Args:
        y: n, outcomes.
        p: n, predictions.
        models: n, the model of each cell, by its row.
        items: n, its item, by its column.

    Raises:
        ValueError: as `accuracy`.
    """
    cells = _Cells(*_checked(y, p), (models, items))
    single = cells.p.astype(p.dtype)
    order = np.argsort(single)  # once: sorting sorted predictions again is fast
    outcomes, predictions = cells.y[order], single[order]
    return {
        "accuracy": accuracy(outcomes, predictions),
        "auc": auc(outcomes, predictions),
        "log_loss": log_loss(outcomes, predictions),
        "rmse": rmse(outcomes, predictions),
        "rmse_m": _root_mean_square(cells.means(0, cells.y - cells.p)),
        "rmse_q": _root_mean_square(cells.means(1, cells.y - cells.p)),
        "calibration_error": calibration_error(outcomes, predictions),
        "kendall_tau": kendall_tau(cells.means(0, cells.y), cells.means(0, cells.p)),
    }


def summary(values: Iterable[float]) -> Interval:
    """Return the mean over seeds with its 95% interval by Student's t.

    The interval is mean ± t(0.975, n - 1) s / sqrt(n). It covers the variance between seeds, not
    that between data sets.

    Raises:
        ValueError: without a value.
    """
    from scipy import special  # noqa: PLC0415 - heavy, and of the extra `train`

    sample = np.array(list(values), np.float64)
    if not sample.size:
        raise ValueError("A mean over seeds needs at least one seed.")
    mean = float(sample.mean())
    if sample.size == 1:
        return Interval(mean, float("nan"), float("nan"), 1)
    quantile = float(special.stdtrit(sample.size - 1, 0.975))
    half = quantile * float(sample.std(ddof=1)) / float(np.sqrt(sample.size))
    return Interval(mean, mean - half, mean + half, sample.size)


@dataclass(frozen=True, slots=True, eq=False)
class _Cells:
    """Masked cells: outcomes, predictions, and the indices of model and item of each."""

    y: Reals
    p: Reals
    places: tuple[NDArray[np.intp], ...]

    @classmethod
    def of(cls, y: Floats, p: Floats, mask: NDArray[np.bool_]) -> "_Cells":
        _require_matrices(y, p, mask)
        return cls(*_checked(y[mask], p[mask]), np.nonzero(mask))

    def means(self, axis: int, values: Reals) -> Reals:
        """Return the mean of each model (axis 0) or item (axis 1) that has a cell."""
        places = self.places[axis]
        counts = np.bincount(places)
        nonempty = counts > 0
        means: Reals = np.bincount(places, values)[nonempty] / counts[nonempty]
        return means


def _require_matrices(y: Floats, p: Floats, mask: NDArray[np.bool_]) -> None:
    if not y.shape == p.shape == mask.shape or mask.ndim != 2:  # noqa: PLR2004 - M x N
        raise ValueError(
            f"Outcomes {y.shape}, predictions {p.shape} and mask {mask.shape} must be"
            " matrices of the same models by the same items."
        )


def _checked(y: Floats, p: Floats) -> tuple[Reals, Reals]:
    """Return outcomes and predictions, flat and in double precision."""
    if y.shape != p.shape:
        raise ValueError(f"There are outcomes {y.shape}, but predictions {p.shape}.")
    for name, numbers in (("outcomes", y), ("predictions", p)):
        if numbers.size and not (numbers.min() >= 0 and numbers.max() <= 1):  # nan is neither
            raise ValueError(f"All {name} must be in [0, 1], and none nan.")
    return y.ravel().astype(np.float64), p.ravel().astype(np.float64)


def _ties(y: Reals, p: Reals) -> tuple[Reals, Reals]:
    """Return, by rising prediction, the number of equal ones and the sum of their outcomes."""
    if not y.size:
        return y, y
    order = np.argsort(p, kind="stable")
    ranked = p[order]
    starts = np.flatnonzero(np.concatenate(([True], ranked[1:] != ranked[:-1])))
    counts = np.diff(np.append(starts, y.size)).astype(np.float64)
    sums: Reals = np.add.reduceat(y[order], starts)
    return counts, sums


def _mean(values: NDArray[Any]) -> float:
    return float(values.mean()) if values.size else float("nan")


def _root_mean_square(errors: Reals) -> float:
    return float(np.sqrt(_mean(errors**2)))
