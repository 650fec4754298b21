"""Training: outcomes -> a version of embeddings, and methods compared on held-out outcomes.

No connection to the database is held while anything is computed: what is learned from is read
before, what came out is written after, in one transaction, and judged in the next.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from time import perf_counter

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Engine

from registry.db.connection import reading
from registry.db.errors import translated_errors
from registry.db.jobs import Lock, job
from registry.embeddings import dataset, item_vectors, save, versions
from registry.embeddings import read as vectors
from registry.embeddings.dataset import TrainingData
from registry.embeddings.promotion import MARGIN, MOST_CHURN, Contender, check_limits, judge
from registry.embeddings.read import Embeddings
from registry.embeddings.save import TrainedVersion
from registry.embeddings.versions import EmbeddingVersion
from registry.errors import NoOutcomesError, UsageError
from registry.evaluations.outcomes import any_outcomes, select
from registry.learning.encoders import open_encoder
from registry.learning.factorization import devices, distributed, selection
from registry.learning.factorization.problem import Mask, Matrix, clipped
from registry.learning.factorization.selection import METHODS, Learned
from registry.learning.metrics import held_out, log_loss
from registry.version import __version__
from registry.workers import Progress, no_progress


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingOptions:
    """What to train, and when its version becomes current.

    Attributes:
        method: blend, or a method of `learning.factorization.selection.METHODS` that has vectors.
        benchmarks: names to learn from; None is all.
        encoder: of items' texts; None goes without.
        device: of torch; None is a GPU if there is one.
        seed: of all that is random.
        margin: how much log loss a new version may lose against the current one, in nats.
        most_churn: share of models' neighbours that may change.
        promote: whether to make the version current if it passes.
        if_changed: train only where no version of this method has learned from the same outcomes.
    """

    method: str = "blend"
    benchmarks: Sequence[str] | None = None
    encoder: str | None = None
    device: str | None = None
    seed: int = 0
    margin: float = MARGIN
    most_churn: float = MOST_CHURN
    promote: bool = True
    if_changed: bool = False


def train(
    engine: Engine, options: TrainingOptions | None = None, *, on_progress: Progress = no_progress
) -> EmbeddingVersion | None:
    """Train a version of embeddings, and promote it if it is no worse than the current one.

    Started by torchrun, each process computes its share of the items, and the first one writes.

    Args:
        engine: of a database at head.
        options: what to train.
        on_progress: receives the progress.

    Returns:
        The version, whether current or not; an earlier one where nothing changed and that was
        asked; None in all processes but the first.

    Raises:
        LockHeldError: when another training is running.
        NoOutcomesError: when there is nothing to learn from; where only a change is asked for,
            before the job is recorded.
        UsageError: when there is too little to learn from, something asked for is not there, or
            `margin` or `most_churn` is no limit.
    """
    options = options or TrainingOptions()
    device = devices.choose(options.device)
    _check(options.method)
    check_limits(options.margin, options.most_churn)
    with translated_errors("train"):
        with reading(engine) as connection:
            if options.if_changed and not any_outcomes(connection):
                # No failure of a scheduled job, which waits for the first ones.
                raise NoOutcomesError
        with distributed.joined(device):
            if distributed.rank():
                _learned(read_data(engine, options), options, device, no_progress)
                return None
            with job(engine, "train", lock=Lock.TRAINING, doing="train") as run:
                version = _trained(engine, options, device, on_progress)
                run.summary = {"version": version.version, "state": version.state}
                return version


def _check(method: str) -> None:
    if method != "blend" and method not in METHODS:
        raise UsageError(f"There is no method {method!r}; there are blend, {', '.join(METHODS)}.")
    if method in {"item-mean", "model-mean", "knn", "weighted-knn", "text-regression"}:
        raise UsageError(
            f"Method {method} gives models no vectors, so it makes no version; "
            f"registry train --evaluate --method {method} measures it."
        )


def read_data(
    engine: Engine, options: TrainingOptions, on_progress: Progress = no_progress
) -> TrainingData:
    """Read what there is to learn from, once what items ask has been encoded."""
    name = None
    with reading(engine) as connection:
        # Before an encoder is opened, which takes seconds.
        if not select(connection, benchmarks=options.benchmarks).columns:
            raise NoOutcomesError
    if options.encoder is not None:
        encoder = open_encoder(options.encoder, device=options.device)
        name = encoder.name
        if distributed.rank() == 0:
            item_vectors.refresh(
                engine,
                encoder,
                benchmarks=options.benchmarks,
                on_progress=lambda done, of: on_progress("encoding texts", done, of),
            )
        distributed.wait()
    with engine.connect() as connection:
        return dataset.read(connection, benchmarks=options.benchmarks, encoder=name)


def _learned(
    data: TrainingData, options: TrainingOptions, device: str, on_progress: Progress
) -> tuple[Learned, Mask]:
    hidden = data.held_out
    problem = data.problem.without(hidden)
    return (
        selection.learn(
            problem, options.method, device=device, seed=options.seed, on_progress=on_progress
        ),
        hidden,
    )


def _trained(
    engine: Engine, options: TrainingOptions, device: str, on_progress: Progress
) -> EmbeddingVersion:
    began = perf_counter()
    data = read_data(engine, options, on_progress)
    if options.if_changed:
        with engine.connect() as connection:
            found = versions.trained_on(connection, data.fingerprint(), options.method)
        if found is not None:
            return found
    learned, hidden = _learned(data, options, device, on_progress)
    fit = learned.fit
    if fit.factors is None:
        raise UsageError(f"Method {options.method} gives models no vectors.")
    told = np.nan_to_num(data.matrix.values)
    chances = fit.probabilities(len(data.matrix.columns))
    metrics = {
        "held_out": held_out(told, chances, hidden),
        "baseline": held_out(told, _means(data, hidden), hidden),
        "validation": learned.validation,
    }
    trained = TrainedVersion(
        method=options.method,
        models=data.matrix.models,
        vectors=fit.factors.models,
        uncertainties=fit.factors.uncertainties,
        serving=fit.serving,
        encoder=data.encoder,
        items=data.matrix.columns,
        item_vectors=np.column_stack([fit.factors.items, fit.factors.offsets]),
        settings=selection.settings(fit.method),
        trials=learned.trials,
        metrics=metrics,
        data_fingerprint=data.fingerprint(),
        code_version=__version__,
        device=devices.describe(device),
        seed=options.seed,
        seconds=round(perf_counter() - began, 3),
        outcomes=data.problem.count - int(hidden.sum()),
    )
    return _kept(engine, trained, data, hidden, options)


def _means(data: TrainingData, hidden: Mask) -> Matrix:
    fit = METHODS["item-mean"].fit(data.problem.without(hidden))
    return fit.probabilities(len(data.matrix.columns))


def _kept(
    engine: Engine,
    trained: TrainedVersion,
    data: TrainingData,
    hidden: Mask,
    options: TrainingOptions,
) -> EmbeddingVersion:
    """Write the version in one transaction, and judge it in the next."""
    with engine.begin() as connection:
        number = save.save(connection, trained)
        if not options.promote:
            return versions.read_version(connection, number)
    versions.wait_for_readers(engine)
    with engine.begin() as connection:
        current = versions.current_version(connection)
        before = None if current is None else _predictor(connection, current.version, data)
        new = _logits(trained.vectors, trained.item_vectors)
        both = hidden if before is None else hidden & ~np.isnan(before.logits)
        if before is not None and not both.any():
            before, both = None, hidden
        told = data.matrix.values[both]
        loss = log_loss(told, _chances(new[both]))
        verdict = judge(
            None if before is None else before.contender(told, both),
            Contender(models=trained.models, vectors=trained.vectors, log_loss=loss),
            margin=options.margin,
            most_churn=options.most_churn,
            baseline=log_loss(told, _means(data, hidden)[both]),
        )
        return versions.finalize(connection, number, verdict)


@dataclass(frozen=True, slots=True, eq=False)
class _Predictor:
    """What a version that was kept says of the outcomes; NaN where it knows model or item not."""

    version: Embeddings
    logits: Matrix

    def contender(self, told: Matrix, cells: Mask) -> Contender:
        loss = log_loss(told, _chances(self.logits[cells]))
        return Contender(models=self.version.models, vectors=self.version.vectors, log_loss=loss)


def _predictor(connection: Connection, version: int, data: TrainingData) -> _Predictor | None:
    """Return the current version's predictions; None where it cannot predict."""
    found = vectors.read_embeddings(connection, version, kinds=["trained"])
    columns, items = vectors.read_items(connection, version)
    if not columns or items.shape[1] != found.vectors.shape[1] + 1:
        return None
    models, rows = _shared(data.matrix.models, found.models)
    places, theirs = _shared(data.matrix.columns, columns)
    logits = np.full(data.matrix.values.shape, np.nan, np.float32)
    logits[np.ix_(models, places)] = _logits(found.vectors[rows], items[theirs])
    return _Predictor(found, logits)


def _shared(
    ours: Sequence[Hashable], theirs: Sequence[Hashable]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the places of what is in both."""
    there = {each: place for place, each in enumerate(theirs)}
    pairs = [(place, there[each]) for place, each in enumerate(ours) if each in there]
    both = np.array(pairs, np.intp).reshape(-1, 2)
    return both[:, 0], both[:, 1]


def _logits(models: Matrix, items: Matrix | None) -> Matrix:
    assert items is not None
    return models @ items[:, :-1].T + items[:, -1]


def _chances(logits: Matrix) -> Matrix:
    return clipped(1 / (1 + np.exp(-logits)))
