"""Trainings without a benchmark: predictions of unseen benchmarks, and contributions between them.

Both leave benchmarks out of training, with all their names and versions, and predict models'
accuracies on them from vectors learned on the rest (EmbedLLM, sections 5.3 and 6.2). Nothing is
stored: trainings are in memory.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Engine, text

from registry.analysis.plots.heatmap import write_heat_map
from registry.analysis.probe_metrics import (
    MIN_MODELS,
    BenchmarkPrediction,
    Contribution,
    benchmark_contribution,
    benchmark_prediction,
    split_predictions,
)
from registry.db.connection import reading
from registry.db.errors import translated_errors
from registry.embeddings import training
from registry.embeddings.dataset import TrainingData
from registry.enums import VECTOR_METHODS
from registry.errors import NoOutcomesError, RegistryError, UsageError
from registry.evaluations.outcomes import select
from registry.evaluations.selection import benchmarks_by_key, did_you_mean
from registry.files import check_target
from registry.learning.factorization import devices, selection
from registry.learning.factorization.problem import Context, Matrix, Problem
from registry.workers import Progress, no_progress


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeOptions:
    """Options of learning and probing vectors.

    Attributes:
        method: one of `enums.VECTOR_METHODS`.
        benchmarks: any of their names, without versions; empty for all. Each probe documents their
            use. Names of one benchmark are one, and results are by its canonical name.
        models: size of a random sample of the models that can be predicted, to train on alone; None
            for all.
        splits: random splits of the models, 80% to fit the regression on and 20% to test on.
        encoder: of items' texts, for mf-text; None for none.
        device: of torch; None is a GPU if there is one.
        seed: of all random numbers.
    """

    method: str = "irt"
    benchmarks: Sequence[str] = ()
    models: int | None = None
    splits: int = 100
    encoder: str | None = None
    device: str | None = None
    seed: int = 0


@dataclass(frozen=True, slots=True)
class UnseenBenchmark:
    """Predictions of accuracy on a benchmark from vectors trained without it.

    Attributes:
        benchmark: its name.
        items: number of its items, over all its versions.
        prediction: by linear regression.
    """

    benchmark: str
    items: int
    prediction: BenchmarkPrediction


@dataclass(frozen=True, slots=True)
class UnseenPredictions:
    """Benchmarks left out of training in turn.

    Attributes:
        unseen: each of them.
        too_few: number of models of each benchmark with fewer than 10 that were evaluated on it and
            elsewhere.
    """

    unseen: Sequence[UnseenBenchmark]
    too_few: Mapping[str, int]


def predict_benchmarks(
    engine: Engine, options: ProbeOptions | None = None, *, on_progress: Progress = no_progress
) -> UnseenPredictions:
    """Leave benchmarks out of training in turn, and predict accuracy on each from the vectors.

    There is one training per benchmark, on all others. A model counts if it has outcomes on the
    benchmark and on another one; its accuracy is the mean of its outcomes there, in [0, 1].

    Args:
        engine: of a database at head.
        options: its benchmarks are those to leave out; training is on all others.
        on_progress: receives the progress.

    Raises:
        UsageError: there is no such benchmark, there is only one, or none has at least 10 models
            that can be predicted.
    """
    options = options or ProbeOptions()
    known = _names(engine, options)
    names, asked = known.benchmarks, known.asked
    if len(names) == 1:
        raise UsageError(
            f"There is only one benchmark, {names[0]}; without it there is nothing to learn from."
        )
    outcomes = _read(engine, options, known, None, on_progress).sampled(options, elsewhere=1)
    accuracies = outcomes.accuracies(elsewhere=1)
    counts = {name: _count(accuracies[name]) for name in asked or names}
    enough = [name for name, models in counts.items() if models >= MIN_MODELS]
    if not enough:
        raise UsageError(
            f"A regression takes at least {MIN_MODELS} models that were evaluated on a benchmark"
            f" and on another one; there are {_listed(counts)}."
        )
    unseen = []
    for place, name in enumerate(enough, 1):
        vectors = outcomes.vectors(
            accuracies.keys() - {name},
            _numbered(on_progress, place, len(enough), f"without {name}"),
        )
        prediction = benchmark_prediction(
            vectors, accuracies[name], splits=options.splits, seed=options.seed
        )
        items = int((outcomes.benchmarks == name).sum())
        unseen.append(UnseenBenchmark(name, items, prediction))
    return UnseenPredictions(
        unseen, {name: models for name, models in counts.items() if models < MIN_MODELS}
    )


def contributions(
    engine: Engine,
    options: ProbeOptions | None = None,
    *,
    picture: Path | None = None,
    on_progress: Progress = no_progress,
) -> Contribution:
    """Measure the effect of adding each benchmark to training on predicting each other one.

    For B benchmarks that is B (B + 1) / 2 trainings. A model counts if it has outcomes on the
    benchmark and on two others, so that the same models are predicted on the same splits whichever
    other benchmark is left out.

    Args:
        engine: of a database at head.
        options: its benchmarks are those to learn from and to predict; others are ignored.
        picture: PNG file to draw the matrix in, which does not exist yet.
        on_progress: receives the progress.

    Raises:
        UsageError: there is no such benchmark, there are fewer than three, one has fewer than 10
            models that can be predicted, or the picture exists.
        RegistryError: the picture cannot be written.
    """
    options = options or ProbeOptions()
    if picture is not None:
        check_target(picture)
    names = _names(engine, options)
    selected = sorted(names.asked) or names.benchmarks
    if len(selected) < 3:  # noqa: PLR2004 - one predicted, one added, one to train on
        raise UsageError(
            f"Contributions are between at least three benchmarks; there are {len(selected)}: "
            f"{', '.join(selected)}."
        )
    outcomes = _read(engine, options, names, selected, on_progress).sampled(options, elsewhere=2)
    accuracies = outcomes.accuracies(elsewhere=2)
    _check_models(accuracies)
    of, done = len(selected) * (len(selected) + 1) // 2, 0

    def predict(learned_from: frozenset[str]) -> dict[str, NDArray[np.float64]]:
        nonlocal done
        done += 1
        without = sorted(accuracies.keys() - learned_from)
        vectors = outcomes.vectors(
            learned_from, _numbered(on_progress, done, of, f"without {', '.join(without)}")
        )
        return {
            name: split_predictions(
                vectors, accuracies[name], splits=options.splits, seed=options.seed
            )
            for name in without
        }

    contribution = benchmark_contribution(accuracies, predict)
    if picture is not None:
        _draw(contribution, picture)
    return contribution


def _check_models(accuracies: Mapping[str, Matrix]) -> None:
    few = {name: _count(each) for name, each in accuracies.items() if _count(each) < MIN_MODELS}
    if few:
        raise UsageError(
            f"A regression takes at least {MIN_MODELS} models that were evaluated on a benchmark"
            f" and on two others; there are {_listed(few)}. Select others by --benchmark."
        )


def _draw(contribution: Contribution, picture: Path) -> None:
    try:
        write_heat_map(contribution, picture)
    except OSError as error:
        raise RegistryError(f"Cannot write {picture}: {error.strerror or error}.") from error


@dataclass(frozen=True, slots=True, eq=False)
class _Outcomes:
    """Outcomes of models, with the benchmark of each of the N items."""

    problem: Problem
    benchmarks: NDArray[np.str_]
    options: ProbeOptions

    def _observed(self) -> dict[str, NDArray[np.bool_]]:
        """Return bool, (M,), for each benchmark: which models have outcomes on it."""
        observed = self.problem.observed
        return {
            str(name): np.asarray(observed[:, self.benchmarks == name].any(axis=1))
            for name in np.unique(self.benchmarks)
        }

    def sampled(self, options: ProbeOptions, *, elsewhere: int) -> "_Outcomes":
        """Return a random sample of models with outcomes on more than `elsewhere` benchmarks."""
        if options.models is None:
            return self
        eligible = np.flatnonzero(sum(self._observed().values()) > elsewhere)
        sample = np.random.default_rng(options.seed).permutation(eligible)[: options.models]
        problem = replace(self.problem, outcomes=self.problem.outcomes[np.sort(sample)])
        return replace(self, problem=problem)

    def accuracies(self, *, elsewhere: int) -> dict[str, Matrix]:
        """Return (M,) of each benchmark: the mean outcome of each model, nan where it has none.

        Also nan where it has outcomes on fewer than `elsewhere` other benchmarks, so that its
        vector was not learned.
        """
        observed = self._observed()
        enough = sum(observed.values()) > elsewhere
        accuracies = {}
        for name, has_outcomes in observed.items():
            outcomes = self.problem.outcomes[:, self.benchmarks == name]
            counts = np.count_nonzero(~np.isnan(outcomes), axis=1)
            means = np.nansum(outcomes, axis=1) / np.maximum(counts, 1)
            accuracies[name] = np.where(has_outcomes & enough, means, np.nan).astype(np.float32)
        return accuracies

    def vectors(self, learned_from: Collection[str], on_progress: Progress) -> Matrix:
        """Return models' vectors, M x d, learned from outcomes on the given benchmarks alone."""
        hidden = ~np.isin(self.benchmarks, list(learned_from))
        problem = self.problem.without(np.broadcast_to(hidden, self.problem.outcomes.shape))
        selection.check(problem)
        context = Context(devices.choose(self.options.device), self.options.seed, on_progress)
        fit = selection.METHODS[self.options.method].fit(problem, context=context)
        assert fit.factors is not None, "each of VECTOR_METHODS has vectors"
        return fit.factors.models


@dataclass(frozen=True, slots=True)
class _Names:
    """Benchmarks with outcomes: canonical names by stored ones, and the canonical names asked."""

    canonical: Mapping[str, str]
    asked: Sequence[str]

    @property
    def benchmarks(self) -> list[str]:
        return sorted(set(self.canonical.values()))


def _names(engine: Engine, options: ProbeOptions) -> _Names:
    """Return the names of all benchmarks with outcomes, after checking the requested ones."""
    if options.method not in VECTOR_METHODS:
        raise UsageError(
            f"Method {options.method!r} cannot be probed; these give vectors: "
            f"{', '.join(VECTOR_METHODS)}."
        )
    with translated_errors("read benchmarks"), reading(engine) as connection:
        stored = sorted({column.benchmark for column in select(connection).columns})
        named = connection.execute(
            text("""
            SELECT DISTINCT name, coalesce(canonical, name) AS canonical FROM store.benchmarks
             WHERE name = ANY (:names)"""),
            {"names": stored},
        )
        canonical: dict[str, str] = {row.name: row.canonical for row in named}
        asked = {
            name: sorted(set(benchmarks_by_key(connection, name).values()))
            for name in options.benchmarks
        }
    if not canonical:
        raise NoOutcomesError
    names = sorted(set(canonical.values()))
    found: dict[str, None] = {}
    for name, members in asked.items():
        known = [canonical[member] for member in members if member in canonical]
        if not known:
            raise UsageError(
                f"There are no outcomes on a benchmark named {name!r};"
                f"{did_you_mean(name, names)} there are {', '.join(names)}."
            )
        found |= dict.fromkeys(known)
    return _Names(canonical, list(found))


def _read(
    engine: Engine,
    options: ProbeOptions,
    known: _Names,
    selected: Sequence[str] | None,
    on_progress: Progress,
) -> _Outcomes:
    training_options = training.TrainingOptions(
        method=options.method,
        benchmarks=None
        if selected is None
        else [name for name, canonical in known.canonical.items() if canonical in selected],
        encoder=options.encoder,
        device=options.device,
        seed=options.seed,
    )
    with translated_errors("read outcomes"):
        data: TrainingData = training.read_data(engine, training_options, on_progress)
    names = np.array([known.canonical[column.benchmark] for column in data.matrix.columns])
    return _Outcomes(data.problem, names, options)


def _count(accuracies: Matrix) -> int:
    return int(np.count_nonzero(~np.isnan(accuracies)))


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{models} on {name}" for name, models in counts.items())


def _numbered(on_progress: Progress, training_: int, of: int, what: str) -> Progress:
    """Return the progress of one training, reported with its number."""
    return lambda doing, done, total: on_progress(
        f"{training_} of {of}, {what}: {doing}", done, total
    )
