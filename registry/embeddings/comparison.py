"""Methods side by side on outcomes that were held out: by cell, by item, by whole benchmark."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from time import perf_counter

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Engine

from registry.embeddings import comparison_results
from registry.embeddings.comparison_results import Figure, MethodComparison
from registry.embeddings.dataset import TrainingData
from registry.embeddings.training import TrainingOptions, read_data
from registry.enums import MethodName, SplitKind
from registry.errors import UsageError
from registry.learning import splits
from registry.learning.factorization import devices, selection
from registry.learning.factorization.problem import Context, Mask, Matrix, Problem
from registry.learning.factorization.selection import METHODS
from registry.learning.metrics import held_out as measured
from registry.learning.metrics import summary
from registry.version import __version__
from registry.workers import Progress, no_progress

SHARE = 0.2
"""Of outcomes or items, held out."""

COMPARED = (
    MethodName.ITEM_MEAN,
    MethodName.MODEL_MEAN,
    MethodName.RASCH,
    MethodName.KNN,
    MethodName.WEIGHTED_KNN,
    MethodName.IRT,
    MethodName.BLEND,
)
"""Methods that are compared where none are named."""


def compare(
    engine: Engine,
    options: TrainingOptions,
    *,
    methods: Sequence[str] = COMPARED,
    kinds: Sequence[str] = (SplitKind.CELL, SplitKind.ITEM),
    seeds: int = 5,
    on_progress: Progress = no_progress,
) -> MethodComparison:
    """Train methods on some of the outcomes, and measure each on the same rest.

    Args:
        engine: of a database at head.
        options: what to learn from, and on which device; seeds count from its seed.
        methods: names of methods, and blend.
        kinds: how to hold out, each of `enums.SplitKind`.
        seeds: how many splits of each kind, each with its own seed.
        on_progress: receives the progress.

    Returns:
        The figures, which are kept as well: means over the seeds, with 95% intervals.

    Raises:
        UsageError: where there is too little to hold anything out.
    """
    device = devices.choose(options.device)
    began = perf_counter()
    data = read_data(engine, options, on_progress)
    selection.check(data.problem)
    found: dict[tuple[str, str, str], list[float]] = {}
    for kind in kinds:
        for seed in range(options.seed, options.seed + seeds):
            split = list(_folds(data, kind, seed))
            for method in methods:
                on_progress(f"{method}, split by {kind}", seed - options.seed + 1, seeds)
                chances = _predicted(data.problem, split, method, device, seed)
                hidden = ~np.isnan(chances)
                figures = measured(
                    np.nan_to_num(data.matrix.values), np.nan_to_num(chances), hidden
                )
                for metric, value in figures.items():
                    found.setdefault((kind, method, metric), []).append(value)
    # A rank correlation of one model, or an AUC of one class, is no number.
    figures_of = [
        _figure(*key, values) for key, values in found.items() if np.isfinite(values).all()
    ]
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
            figures_of,
            data_fingerprint=data.fingerprint(),
            settings=settings,
            seconds=round(perf_counter() - began, 3),
        )
        (kept,) = (
            each
            for each in comparison_results.list_comparisons(connection)
            if each.comparison == number
        )
        return kept


def _figure(split: str, method: str, metric: str, values: Sequence[float]) -> Figure:
    told = summary(values)
    bounds = (told.lower, told.upper) if np.isfinite(told.lower) else (None, None)
    return Figure(
        split=split,
        method=method,
        metric=metric,
        mean=told.mean,
        lower=bounds[0],
        upper=bounds[1],
        seeds=told.seeds,
    )


def _folds(data: TrainingData, kind: str, seed: int) -> Iterator[Mask]:
    """Yield what to hold out, one training after the other, bool M x N each."""
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
) -> Matrix:
    """Return predictions of what was held out, each from the rest; NaN elsewhere."""
    found: NDArray[np.float32] = np.full(problem.outcomes.shape, np.nan, np.float32)
    for hidden in folds:
        asked = np.flatnonzero(hidden.any(axis=0))
        if not len(asked):
            continue
        rest = problem.without(hidden)
        context = Context(device, seed)
        if method in {"blend", "irt", "mf", "mf-text"}:
            fit = selection.learn(rest, method, context).fit
        else:
            fit = METHODS[method].fit(rest, context=context)
        chances = fit.predict(asked)
        found[:, asked] = np.where(hidden[:, asked], chances, found[:, asked])
    return found
