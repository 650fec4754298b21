"""Workflow of the cold-start test: SimRMF's four tests on stored outcomes.

New models and new items are drawn at random, or new models are those created after a date
(`registry.learning.coldstart.protocol`). Their features are read from the catalog.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from sqlalchemy import Connection, Engine

from registry.embeddings import model_features
from registry.embeddings.dataset import TrainingData
from registry.embeddings.training import TrainingOptions, read_data
from registry.errors import UsageError
from registry.learning.coldstart import predictors, protocol
from registry.learning.coldstart.features import FeatureBlocks, Featurizer
from registry.learning.coldstart.protocol import Figures
from registry.learning.coldstart.similarity_graph import similarity_graph
from registry.learning.coldstart.trial import Predictor, Trial, by_time, draw
from registry.learning.factorization import selection
from registry.learning.factorization.problem import ItemTexts, Matrix
from registry.learning.metrics import Interval, summary
from registry.workers import Progress, no_progress

SIZES = (100, 300, 1000)
"""Numbers of models to train on, T, beside all there are."""

LEAST_KNOWN = 10
LEAST_NEW = 2

_DAY = 86_400


def quick_methods() -> Mapping[str, Predictor]:
    """Return the methods that do not take hours, by name."""
    return {name: each for name, each in predictors.METHODS.items() if name not in predictors.SLOW}


@dataclass(frozen=True, slots=True, kw_only=True)
class Draws:
    """Random draws of new models and items.

    Attributes:
        sizes: values of T, beside all models that are not new.
        seeds: draws of each.
        held: share of the models that are new.
        new_items: share of the items that are new.
        before: models created from then on are new, instead of a share.
        methods: by name; by default those of `quick_methods`.
    """

    sizes: Sequence[int] = SIZES
    seeds: int = 5
    held: float = 0.3
    new_items: float = 0.2
    before: datetime | None = None
    methods: Mapping[str, Predictor] = field(default_factory=quick_methods)


class ColdstartRow(NamedTuple):
    """Figures of one method on one test, over the seeds.

    Attributes:
        train: T, number of models trained on.
        new: number of new models.
        test: A, B, C or D.
        method: its name.
        rmse: over outcomes.
        rmse_m: of models' means.
        rmse_q: of items' means.
        share: of the gap between means and the oracle that is closed; None where there is none.
        seeds: number of draws.
    """

    train: int
    new: int
    test: str
    method: str
    rmse: Interval
    rmse_m: Interval
    rmse_q: Interval
    share: Interval | None
    seeds: int


@dataclass(frozen=True, slots=True)
class ColdstartReport:
    """Results of the tests.

    Attributes:
        rows: by T, test and method.
        left_out: values of T for which there are too few models.
        models: number of models with outcomes.
        items: number of items.
        undated: models without a date, which count as created before.
    """

    rows: Sequence[ColdstartRow]
    left_out: Sequence[int]
    models: int
    items: int
    undated: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class _Evaluated:
    """Models with outcomes, their features, and texts and benchmarks of the items."""

    truth: Matrix
    blocks: FeatureBlocks
    graph: csr_array
    texts: ItemTexts | None
    groups: NDArray[np.int64]

    def subset(self, models: NDArray[np.intp]) -> tuple[Matrix, FeatureBlocks, csr_array]:
        return (
            self.truth[models],
            self.blocks.rows(models),
            csr_array(self.graph[models][:, models]),
        )


def run(
    engine: Engine,
    options: TrainingOptions,
    draws: Draws | None = None,
    *,
    on_progress: Progress = no_progress,
) -> ColdstartReport:
    """Run the tests.

    Args:
        engine: of a database at head.
        options: which outcomes, and the encoder of items' texts; seeds count from its seed.
        draws: what to draw.
        on_progress: receives the progress.

    Raises:
        UsageError: where there are too few models, or nothing to learn from.
    """
    draws = draws or Draws()
    data = read_data(engine, options, on_progress)
    selection.check(data.problem)
    on_progress("reading the catalog", 0, 0)
    with engine.connect() as connection:
        evaluated = _evaluated(connection, data)
    old, new = _split(evaluated.blocks, draws)
    sizes = [*sorted({size for size in draws.sizes if size < old}), old]
    rows: list[ColdstartRow] = []
    for size in sizes:
        figures: dict[tuple[str, str], list[Figures]] = {}
        for seed in range(options.seed, options.seed + draws.seeds):
            trial = _trial(evaluated, draws, size, new, seed)
            methods = _reporting(draws, on_progress, size, seed - options.seed)
            for key, measured in protocol.measure(trial, methods).items():
                figures.setdefault(key, []).append(measured)
        rows += _rows(figures, size, new, draws)
    return ColdstartReport(
        rows,
        [size for size in sorted(draws.sizes) if size > old],
        evaluated.truth.shape[0],
        evaluated.truth.shape[1],
        0 if draws.before is None else int(np.isnan(evaluated.blocks.dates).sum()),
    )


def _evaluated(connection: Connection, data: TrainingData) -> _Evaluated:
    featurizer = Featurizer.of(part.descriptions for part in model_features.stream(connection))
    names = data.matrix.models
    models = model_features.read_named(connection, names).descriptions
    places = {name: place for place, name in enumerate(names)}
    order = [places[each.name] for each in models]
    blocks = featurizer.blocks(models)
    graph = similarity_graph(models, blocks, featurizer.ancestry)
    benchmarks = [f"{each.benchmark}@{each.version}" for each in data.matrix.columns]
    groups = np.unique(benchmarks, return_inverse=True)[1].astype(np.int64)
    return _Evaluated(data.problem.outcomes[order], blocks, graph, data.texts, groups)


def _split(blocks: FeatureBlocks, draws: Draws) -> tuple[int, int]:
    """Return how many models there are to train on, and how many are new."""
    models = len(blocks)
    if draws.before is None:
        new = max(LEAST_NEW, round(draws.held * models))
        if models - new < LEAST_KNOWN:
            raise UsageError(
                f"{models} models have outcomes; with {new} of them held out, {models - new} are"
                f" left to learn from, and the tests take {LEAST_KNOWN}."
            )
        return models - new, new
    new = int(_later(blocks, draws.before).sum())
    if new < LEAST_NEW or models - new < LEAST_KNOWN:
        raise UsageError(
            f"Of {models} models with outcomes, {models - new} were created before"
            f" {draws.before:%Y-%m-%d} and {new} later; the tests take {LEAST_KNOWN} and"
            f" {LEAST_NEW}."
        )
    return models - new, new


def _later(blocks: FeatureBlocks, before: datetime) -> NDArray[np.bool_]:
    return np.asarray(np.nan_to_num(blocks.dates, nan=-np.inf) >= before.timestamp() / _DAY)


def _trial(evaluated: _Evaluated, draws: Draws, size: int, new: int, seed: int) -> Trial:
    if draws.before is None:
        return draw(
            evaluated.truth,
            evaluated.blocks,
            evaluated.graph,
            held=new,
            train=size,
            new_items=draws.new_items,
            texts=evaluated.texts,
            groups=evaluated.groups,
            seed=seed,
        )
    later = _later(evaluated.blocks, draws.before)
    earlier = np.random.default_rng((seed, 3)).permutation(np.flatnonzero(~later))[:size]
    chosen = np.sort(np.concatenate([earlier, np.flatnonzero(later)]))
    trial = draw(
        *evaluated.subset(chosen),
        held=1,
        new_items=draws.new_items,
        texts=evaluated.texts,
        groups=evaluated.groups,
        seed=seed,
    )
    return by_time(trial, trial.blocks.dates, draws.before.timestamp() / _DAY)


def _reporting(draws: Draws, on_progress: Progress, size: int, done: int) -> dict[str, Predictor]:
    """Return the methods, each reporting its start."""

    def reporting(name: str, method: Predictor) -> Predictor:
        def predict(trial: Trial) -> Matrix:
            on_progress(f"{name}, T = {size}", done, draws.seeds)
            return method(trial)

        return predict

    return {name: reporting(name, method) for name, method in draws.methods.items()}


def _rows(
    figures: Mapping[tuple[str, str], Sequence[Figures]], train: int, new: int, draws: Draws
) -> list[ColdstartRow]:
    rows = []
    for test in protocol.TESTS:
        for method in draws.methods:
            drawn = figures.get((method, test))
            if drawn is None:
                continue
            shares = [one.share for one in drawn if np.isfinite(one.share)]
            rows.append(
                ColdstartRow(
                    train,
                    new,
                    test,
                    method,
                    summary(one.rmse for one in drawn),
                    summary(one.rmse_m for one in drawn),
                    summary(one.rmse_q for one in drawn),
                    summary(shares) if shares else None,
                    len(drawn),
                )
            )
    return rows
