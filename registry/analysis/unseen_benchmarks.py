"""What vectors tell of benchmarks that they have not seen, and what benchmarks teach each other.

Both leave benchmarks out of training, whole and with all their versions, and predict models'
accuracies on them from what was learned of the rest (EmbedLLM, sections 5.3 and 6.2). Nothing of it
is kept: trainings are in memory.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Engine

from registry.analysis.plots.heatmap import write_heat_map
from registry.analysis.probe_metrics import (
    FEWEST_MODELS,
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
from registry.evaluations.selection import did_you_mean
from registry.files import check_target
from registry.learning.factorization import devices, selection
from registry.learning.factorization.problem import Context, Matrix, Problem
from registry.workers import Progress, no_progress


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeOptions:
    """How vectors are learned and probed.

    Attributes:
        method: one of `enums.VECTOR_METHODS`.
        benchmarks: names, without versions; none is all. What they are for is said by each probe.
        models: draw so many models at random from those that can be predicted, and train on no
            others; None takes all there are.
        splits: random splits of the models, 80% to fit the regression on and 20% to test on.
        encoder: of items' texts, for mf-text; None goes without.
        device: of torch; None is a GPU if there is one.
        seed: of all that is random.
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
    """How well accuracy on a benchmark is told by vectors trained without it.

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
        too_few: models of each benchmark that fewer than 10 were evaluated on, and elsewhere too.
    """

    unseen: Sequence[UnseenBenchmark]
    too_few: Mapping[str, int]


def predict_benchmarks(
    engine: Engine, options: ProbeOptions | None = None, *, on_progress: Progress = no_progress
) -> UnseenPredictions:
    """Leave benchmarks out of training in turn, and predict accuracy on each from the vectors.

    One training a benchmark, on all others. A model counts where it has outcomes on the benchmark
    and on another one; its accuracy is the mean of its outcomes there, in [0, 1].

    Args:
        engine: of a database at head.
        options: its benchmarks are those to leave out; training is on all others there are.
        on_progress: receives the progress.

    Raises:
        UsageError: for a benchmark that there is none of, where there is one only, and where no
            benchmark has at least 10 models that can be predicted.
    """
    options = options or ProbeOptions()
    names = _names(engine, options)
    if len(names) == 1:
        raise UsageError(
            f"There is one benchmark only, {names[0]}; with it left out nothing is learned from."
        )
    outcomes = _read(engine, options, None, on_progress).drawn(options, elsewhere=1)
    accuracies = outcomes.accuracies(elsewhere=1)
    counts = {name: _count(accuracies[name]) for name in options.benchmarks or names}
    asked = [name for name, models in counts.items() if models >= FEWEST_MODELS]
    if not asked:
        raise UsageError(
            f"A regression takes at least {FEWEST_MODELS} models that were evaluated on a benchmark"
            f" and on another one; there are {_listed(counts)}."
        )
    found = []
    for place, name in enumerate(asked, 1):
        vectors = outcomes.vectors(
            accuracies.keys() - {name}, _numbered(on_progress, place, len(asked), f"without {name}")
        )
        told = benchmark_prediction(
            vectors, accuracies[name], splits=options.splits, seed=options.seed
        )
        found.append(UnseenBenchmark(name, int((outcomes.benchmarks == name).sum()), told))
    return UnseenPredictions(
        found, {name: models for name, models in counts.items() if models < FEWEST_MODELS}
    )


def contributions(
    engine: Engine,
    options: ProbeOptions | None = None,
    *,
    picture: Path | None = None,
    on_progress: Progress = no_progress,
) -> Contribution:
    """Measure what adding each benchmark to training does for predicting each other one.

    For B benchmarks that is B (B + 1) / 2 trainings. A model counts where it has outcomes on the
    benchmark and on two others, so that the same ones are predicted whichever other is left out,
    on the same splits.

    Args:
        engine: of a database at head.
        options: its benchmarks are those to learn from and to predict; others are not looked at.
        picture: PNG file to draw the matrix in, which does not exist yet.
        on_progress: receives the progress.

    Raises:
        UsageError: for a benchmark that there is none of, fewer than three, one with fewer than 10
            models that can be predicted, or something at the picture's place.
        RegistryError: when the picture cannot be written.
    """
    options = options or ProbeOptions()
    if picture is not None:
        check_target(picture)
    names = _names(engine, options)
    chosen = sorted(set(options.benchmarks)) or names
    if len(chosen) < 3:  # noqa: PLR2004 - one predicted, one added, one to train on
        raise UsageError(
            f"Contributions are between at least three benchmarks; there are {len(chosen)}: "
            f"{', '.join(chosen)}."
        )
    outcomes = _read(engine, options, chosen, on_progress).drawn(options, elsewhere=2)
    accuracies = outcomes.accuracies(elsewhere=2)
    _check_models(accuracies)
    of, done = len(chosen) * (len(chosen) + 1) // 2, 0

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

    found = benchmark_contribution(accuracies, predict)
    if picture is not None:
        _draw(found, picture)
    return found


def _check_models(accuracies: Mapping[str, Matrix]) -> None:
    few = {name: _count(each) for name, each in accuracies.items() if _count(each) < FEWEST_MODELS}
    if few:
        raise UsageError(
            f"A regression takes at least {FEWEST_MODELS} models that were evaluated on a benchmark"
            f" and on two others; there are {_listed(few)}. --benchmark names those to take."
        )


def _draw(found: Contribution, picture: Path) -> None:
    try:
        write_heat_map(found, picture)
    except OSError as error:
        raise RegistryError(f"Cannot write {picture}: {error.strerror or error}.") from error


@dataclass(frozen=True, slots=True, eq=False)
class _Outcomes:
    """Outcomes by benchmark, and the way to learn from those on some.

    `benchmarks` is the name of each of the N items'.
    """

    problem: Problem
    benchmarks: NDArray[np.str_]
    options: ProbeOptions

    def _seen(self) -> dict[str, NDArray[np.bool_]]:
        """Return bool, (M,), of each benchmark: which models have outcomes on it."""
        observed = self.problem.observed
        return {
            str(name): np.asarray(observed[:, self.benchmarks == name].any(axis=1))
            for name in np.unique(self.benchmarks)
        }

    def drawn(self, options: ProbeOptions, *, elsewhere: int) -> "_Outcomes":
        """Return as many models as asked for, of those that have outcomes on enough benchmarks."""
        if options.models is None:
            return self
        known = np.flatnonzero(sum(self._seen().values()) > elsewhere)
        some = np.sort(np.random.default_rng(options.seed).permutation(known)[: options.models])
        problem = replace(self.problem, outcomes=self.problem.outcomes[some])
        return replace(self, problem=problem)

    def accuracies(self, *, elsewhere: int) -> dict[str, Matrix]:
        """Return (M,) of each benchmark: the mean outcome of each model, nan where it has none.

        And nan where it has outcomes on fewer than so many benchmarks elsewhere: of a model that
        nothing was learned of, vectors tell nothing.
        """
        seen = self._seen()
        enough = sum(seen.values()) > elsewhere
        found = {}
        for name, there in seen.items():
            some = self.problem.outcomes[:, self.benchmarks == name]
            counts = np.count_nonzero(~np.isnan(some), axis=1)
            means = np.nansum(some, axis=1) / np.maximum(counts, 1)
            found[name] = np.where(there & enough, means, np.nan).astype(np.float32)
        return found

    def vectors(self, learned_from: Collection[str], on_progress: Progress) -> Matrix:
        """Return models' vectors, M x d, learned from outcomes on some benchmarks alone."""
        hidden = ~np.isin(self.benchmarks, list(learned_from))
        problem = self.problem.without(np.broadcast_to(hidden, self.problem.outcomes.shape))
        selection.check(problem)
        context = Context(devices.choose(self.options.device), self.options.seed, on_progress)
        fit = selection.METHODS[self.options.method].fit(problem, context=context)
        assert fit.factors is not None, "each of VECTOR_METHODS has vectors"
        return fit.factors.models


def _names(engine: Engine, options: ProbeOptions) -> list[str]:
    """Return the names of all benchmarks that have outcomes, once what is asked for is there."""
    if options.method not in VECTOR_METHODS:
        raise UsageError(
            f"Method {options.method!r} cannot be probed; these give vectors: "
            f"{', '.join(VECTOR_METHODS)}."
        )
    with translated_errors("read benchmarks"), reading(engine) as connection:
        names = sorted({column.benchmark for column in select(connection).columns})
    if not names:
        raise NoOutcomesError
    for name in options.benchmarks:
        if name not in names:
            raise UsageError(
                f"There are no outcomes on a benchmark named {name!r};"
                f"{did_you_mean(name, names)} there are {', '.join(names)}."
            )
    return names


def _read(
    engine: Engine, options: ProbeOptions, benchmarks: Sequence[str] | None, on_progress: Progress
) -> _Outcomes:
    wanted = training.TrainingOptions(
        method=options.method,
        benchmarks=benchmarks,
        encoder=options.encoder,
        device=options.device,
        seed=options.seed,
    )
    with translated_errors("read outcomes"):
        data: TrainingData = training.read_data(engine, wanted, on_progress)
    named = np.array([column.benchmark for column in data.matrix.columns])
    return _Outcomes(data.problem, named, options)


def _count(accuracies: Matrix) -> int:
    return int(np.count_nonzero(~np.isnan(accuracies)))


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{models} on {name}" for name, models in counts.items())


def _numbered(on_progress: Progress, training_: int, of: int, what: str) -> Progress:
    """Return what is told of one training's progress, to tell which one of how many it is."""
    return lambda doing, done, total: on_progress(
        f"{training_} of {of}, {what}: {doing}", done, total
    )
