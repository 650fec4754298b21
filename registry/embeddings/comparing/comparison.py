"""Comparison of methods on held-out outcomes: by cell, item, benchmark or domain."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from time import perf_counter
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Engine

from registry.embeddings.comparing import comparison_results
from registry.embeddings.comparing.comparison_results import Figure, MethodComparison
from registry.embeddings.dataset import TrainingData
from registry.embeddings.training import TrainingOptions, read_data_and_catalog
from registry.enums import MethodName, Metric, SplitKind
from registry.errors import UsageError
from registry.learning import splits
from registry.learning.calibrated_variances import Cells, IntervalFigures, learn_intervals
from registry.learning.factorization import devices, selection
from registry.learning.factorization.problem import Context, Factors, Mask, Matrix, Problem
from registry.learning.factorization.selection import METHODS
from registry.learning.metrics import holdout_metrics, summary
from registry.learning.space import learner
from registry.version import __version__
from registry.workers import Progress, no_progress

SHARE = 0.2
"""Share of outcomes or items that is held out."""

COMPARED = (
    MethodName.ITEM_MEAN,
    MethodName.MODEL_MEAN,
    MethodName.RASCH,
    MethodName.KNN,
    MethodName.WEIGHTED_KNN,
    MethodName.IRT,
    MethodName.BLEND,
)
"""Methods compared by default."""


def compare(
    engine: Engine,
    options: TrainingOptions,
    *,
    methods: Sequence[str] = COMPARED,
    kinds: Sequence[str] = (SplitKind.CELL, SplitKind.ITEM),
    seeds: int = 5,
    on_progress: Progress = no_progress,
) -> MethodComparison:
    """Train each method on the same outcomes, and measure it on the same held-out ones.

    Args:
        engine: of a database at head.
        options: which outcomes, and on which device; seeds count from its seed.
        methods: of `enums.MethodName`.
        kinds: of `enums.SplitKind`.
        seeds: number of splits of each kind, each with its own seed.
        on_progress: receives the progress.

    Returns:
        The figures, which are stored as well: means over the seeds with 95% intervals.

    Raises:
        UsageError: where there is too little to hold anything out.
    """
    device = devices.choose(options.device)
    began = perf_counter()
    data = read_data_and_catalog(engine, options, on_progress)
    selection.check(data.problem)
    values: dict[tuple[str, str, str], list[float]] = {}
    done, trainings = 0, len(kinds) * seeds * len(methods)
    for kind in kinds:
        for seed in range(options.seed, options.seed + seeds):
            folds = list(_folds(data, kind, seed))
            for method in methods:
                on_progress(f"{method}, split by {kind}", done, trainings)
                done += 1
                predicted = _predicted(data.problem, folds, method, device, seed)
                for metric, value in _measured(data, predicted).items():
                    values.setdefault((kind, method, metric), []).append(value)
    settings = {
        **asdict(options),
        "methods": list(methods),
        "splits": list(kinds),
        "seeds": seeds,
        "share": SHARE,
        "code_version": __version__,
        "device": devices.describe(device),
        "outcomes": data.problem.count,
    }
    with engine.begin() as connection:
        number = comparison_results.save(
            connection,
            # A rank correlation of one model and an AUC of one class are NaN.
            [_figure(*key, each) for key, each in values.items() if np.isfinite(each).all()],
            data_fingerprint=data.fingerprint(),
            settings=settings,
            seconds=round(perf_counter() - began, 3),
        )
        stored = comparison_results.list_comparisons(connection)
    return next(each for each in stored if each.comparison == number)


class _Predicted(NamedTuple):
    """Predictions of held-out outcomes, M x N, NaN elsewhere; figures of intervals by fold."""

    values: Matrix
    intervals: Sequence[IntervalFigures]


def _measured(data: TrainingData, predicted: _Predicted) -> dict[str, float]:
    """Return the metrics of predictions, with the coverage of intervals where there are any."""
    hidden = ~np.isnan(predicted.values)
    truth, values = np.nan_to_num(data.matrix.values), np.nan_to_num(predicted.values)
    metrics = holdout_metrics(truth, values, hidden)
    if any(each.means for each in predicted.intervals):
        metrics[Metric.COVERAGE] = pooled_coverage(predicted.intervals)
    return metrics


def pooled_coverage(folds: Sequence[IntervalFigures]) -> float:
    """Return the share of the mean outcomes of all folds that intervals hold; NaN without any."""
    held = [(each.coverage, each.means) for each in folds if each.means]
    if not held:
        return float("nan")
    shares, weights = zip(*held, strict=True)
    return float(np.average(shares, weights=weights))


def _figure(split: str, method: str, metric: str, values: Sequence[float]) -> Figure:
    interval = summary(values)
    known = np.isfinite(interval.lower)
    return Figure(
        split=split,
        method=method,
        metric=metric,
        mean=interval.mean,
        lower=interval.lower if known else None,
        upper=interval.upper if known else None,
        seeds=interval.seeds,
    )


def _folds(data: TrainingData, kind: str, seed: int) -> Iterator[Mask]:
    """Yield what to hold out of each training, bool M x N."""
    seen = data.problem.observed
    if kind == SplitKind.CELL:
        yield splits.by_cell(seen, SHARE, seed).test
    elif kind == SplitKind.ITEM:
        yield splits.by_item(seen, SHARE, seed).cells(seen).test
    else:
        for _, split in splits.by_group(_groups(data, kind)):
            yield split.cells(seen).test


def _groups(data: TrainingData, kind: str) -> list[str]:
    if kind == "benchmark":
        groups = [f"{each.benchmark}@{each.version}" for each in data.matrix.columns]
    else:
        groups = [domain or "unknown" for domain in data.domains]
    if len(set(groups)) < 2:  # noqa: PLR2004
        raise UsageError(
            f"There is one {kind} only, so none can be left out; use --split cell or item."
        )
    return groups


def _predicted(
    problem: Problem, folds: Sequence[Mask], method: str, device: str, seed: int
) -> _Predicted:
    """Return predictions of the held-out outcomes."""
    intervals: list[IntervalFigures] = []
    predictions: NDArray[np.float32] = np.full(problem.outcomes.shape, np.nan, np.float32)
    for hidden in folds:
        items = np.flatnonzero(hidden.any(axis=0))
        if not len(items):
            continue
        rest = problem.without(hidden)
        context = Context(device, seed)
        if method in {"blend", "irt", "mf", "mf-text"}:
            fit = learner.learn(rest, method, context).fit
        else:
            fit = METHODS[method].fit(rest, context=context)
        predicted = fit.predict(items)
        predictions[:, items] = np.where(hidden[:, items], predicted, predictions[:, items])
        if fit.factors is not None and (figures := _intervals(problem, fit.factors, hidden)):
            intervals.append(figures)
    return _Predicted(predictions, intervals)


def _intervals(problem: Problem, factors: Factors, hidden: Mask) -> IntervalFigures | None:
    """Return the figures of intervals of the held-out outcomes of items that have vectors."""
    learned = (problem.observed & ~hidden).any(axis=0)
    models, items = np.nonzero(hidden & learned)
    count = problem.outcomes.shape[1]
    groups = np.zeros(count, np.intp) if problem.groups is None else problem.groups
    outcomes = problem.outcomes[models, items]
    return learn_intervals(factors, Cells(models, items, outcomes, groups))
