"""Placement workflow: vectors of models that a version was not trained on.

A model with outcomes is folded in: its vector is the posterior mode given its outcomes. A model
without gets the vector that a Gaussian process, fitted to the trained models, predicts from the
catalog (cold; `registry.learning.coldstart`). A model that shares too little with trained models
gets none.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from time import monotonic, perf_counter, sleep

import numpy as np
from sqlalchemy import Connection, Engine

from registry.db.binary_copy import Column, copy_in
from registry.db.connection import reading
from registry.db.errors import translated_errors
from registry.db.jobs import JobRun, Lock, job
from registry.embeddings import dataset, model_features, pending, placement_state, versions
from registry.embeddings.model_features import ModelBatch
from registry.embeddings.partitions import delete_rows, replace_placed, versioned
from registry.embeddings.placement_state import FittedPlacement
from registry.embeddings.posterior import (
    DEGREES,
    VectorPredictor,
    embedding_rows,
    with_least,
)
from registry.embeddings.read import Embeddings, read_embeddings
from registry.embeddings.version_uncertainty import read_uncertainty
from registry.embeddings.versions import EmbeddingVersion
from registry.errors import LockHeldError, RegistryError
from registry.learning.coldstart import fold_in, gp
from registry.learning.coldstart.calibration import coordinate_scale
from registry.learning.coldstart.features import Featurizer
from registry.learning.coldstart.gp import LEAST_MODELS
from registry.learning.coldstart.kernel import Kernel
from registry.learning.coldstart.variance_scales import MOST_MODELS, Placing, learn_scales
from registry.workers import Progress, no_progress

MOST_PENDING = 50_000
"""Pending models up to which they alone are placed; beyond, all models are."""

_JITTER = 1e-6
"""Share of the correlation of errors that is taken off, so that it can be inverted."""

_POLL = 0.5
"""Seconds between two looks at whether another placement has ended."""


@dataclass(slots=True)
class PlacementReport:
    """Counts of a placement.

    Attributes:
        version: number of the version.
        trained: models that it was trained on.
        folded: models whose vector was fitted to their outcomes.
        cold: models whose vector was predicted without outcomes.
        left_out: models of which too little is known.
        seconds: duration.
    """

    version: int
    trained: int
    folded: int = 0
    cold: int = 0
    left_out: int = 0
    seconds: float = 0.0

    def sentence(self) -> str:
        """Return the counts as a sentence for people."""
        return (
            f"Version {self.version} has vectors of {self.folded:,} more models from outcomes and "
            f"{self.cold:,} from what is known of them; of {self.left_out:,} too little is known."
        )


def can_place(version: EmbeddingVersion) -> bool:
    """Return whether a version has enough trained models to predict vectors of others."""
    return version.models >= LEAST_MODELS


def place(engine: Engine, *, on_progress: Progress = no_progress) -> PlacementReport:
    """Give every model of the catalog a vector of the current version, unless too little is known.

    Folded and cold vectors are replaced, in one transaction; trained ones stay.

    Args:
        engine: of a database at head.
        on_progress: receives the progress.

    Raises:
        LockHeldError: when another placement is running.
        RegistryError: when no version is current, or it has too few trained models.
    """
    with _placing(engine, 0, on_progress) as run:
        report = _place_all(engine, None, on_progress)
        run.summary = _summary(report)
        return report


def complete(
    engine: Engine, number: int, *, patience: float = 0, on_progress: Progress = no_progress
) -> PlacementReport | None:
    """Place all models in a version that was never placed, else the pending ones.

    Args:
        engine: of a database at head.
        number: of the version, current or not.
        patience: seconds to wait for another placement.
        on_progress: receives the progress.

    Returns:
        None where there is nothing to place, or the version has too few trained models.

    Raises:
        LockHeldError: when another placement is running for longer.
        RegistryError: when there is no such version.
    """
    with translated_errors("place models"), reading(engine) as connection:
        version = versions.read_version(connection, number)
        keys = pending.pending_models(connection, version)
    if not can_place(version) or (version.placed_at is not None and not keys):
        return None
    with _placing(engine, patience, on_progress) as run:
        if version.placed_at is None:
            report = _place_all(engine, number, on_progress)
        else:
            report = _place_some(engine, version, keys, on_progress)
        run.summary = _summary(report)
        return report


def place_pending(engine: Engine, *, on_progress: Progress = no_progress) -> PlacementReport | None:
    """Place models that are new, changed or got outcomes since the version was last placed.

    With the stored state of the last placement, which takes seconds; other vectors stay. With more
    than `MOST_PENDING` models, or without a stored state, all are placed again.

    Args:
        engine: of a database at head.
        on_progress: receives the progress.

    Returns:
        None where no version is current or it was never placed, no model is pending, or another
        placement is running.
    """
    with translated_errors("place models"), reading(engine) as connection:
        version = versions.current_version(connection)
    if version is None or version.placed_at is None:
        return None
    try:
        return complete(engine, version.version, on_progress=on_progress)
    except LockHeldError:
        return None


@contextmanager
def _placing(engine: Engine, patience: float, on_progress: Progress) -> Iterator[JobRun]:
    """Run a block as the one placement there is, once others have ended."""
    deadline = monotonic() + patience
    with ExitStack() as stack:
        while True:
            try:
                placing = job(engine, "place", lock=Lock.PLACEMENT, doing="place models")
                run = stack.enter_context(placing)
                break
            except LockHeldError:
                if monotonic() >= deadline:
                    raise
            on_progress("waiting for another placement to end", 0, 0)
            sleep(_POLL)
        yield run


def _summary(report: PlacementReport) -> dict[str, object]:
    return {
        "version": report.version,
        "folded": report.folded,
        "cold": report.cold,
        "left_out": report.left_out,
    }


def _place_all(engine: Engine, number: int | None, on_progress: Progress) -> PlacementReport:
    began = perf_counter()
    with engine.connect() as connection:
        version = versions.read_version(connection, number)
        if not can_place(version):
            raise RegistryError(
                f"Version {version.version} was trained on {version.models} models; predicting "
                f"vectors of others takes {LEAST_MODELS}."
            )
        catalog = model_features.read_extent(connection)
    on_progress("reading the catalog", 0, 0)
    featurizer = Featurizer.fitted(model_features.census(engine))
    on_progress("learning to predict vectors from the catalog", 0, 0)
    with engine.connect() as connection:
        trained = read_embeddings(connection, version.version, kinds=["trained"])
        fitted = _fitted(connection, featurizer, trained, version)
        evaluated = dataset.evaluated_models(connection)
        for name in trained.models:
            evaluated.pop(name, None)
        outcomes = dataset.read_fold_in(connection, version, evaluated)
    predictor = VectorPredictor(fitted, frozenset(outcomes.rows))
    report = PlacementReport(version.version, len(trained.models))
    on_progress("placing models", report.trained, catalog.models)
    with engine.begin() as connection:
        versions.keep(connection, version.version)
        predictions = model_features.map_catalog(engine, VectorPredictor.predict, predictor)
        rows = embedding_rows(predictions, fitted, outcomes)
        replace_placed(
            connection,
            version.version,
            _counted(rows, report, catalog.models, on_progress),
        )
        report.left_out = catalog.models - report.trained - report.folded - report.cold
        placement_state.save(connection, version.version, fitted, catalog.newest)
        versions.mark_placed(connection, version, catalog.read_at, fitted.prior.kernel.weights)
        versions.keep_scales(connection, version.version, fitted.scales.by_count())
    report.seconds = perf_counter() - began
    return report


def _place_some(
    engine: Engine, version: EmbeddingVersion, keys: Sequence[int], on_progress: Progress
) -> PlacementReport:
    began = perf_counter()
    with engine.connect() as connection:
        few = len(keys) <= MOST_PENDING
        fitted = placement_state.read(connection, version.version) if few else None
    if fitted is None:
        return _place_all(engine, version.version, on_progress)
    on_progress("placing models", 0, len(keys))
    with engine.connect() as connection:
        catalog = model_features.read_extent(connection)
        batch = model_features.read(connection, keys)
        context = model_features.read_context(connection, keys)
        evaluated = dataset.evaluated_models(connection, keys)
        outcomes = dataset.read_fold_in(connection, version, evaluated)
    fitted = replace(fitted, featurizer=fitted.featurizer.within(context.descriptions))
    predictor = VectorPredictor(fitted, frozenset(outcomes.rows))
    report = PlacementReport(version.version, len(fitted.trained))
    with engine.begin() as connection:
        versions.keep(connection, version.version)
        delete_rows(connection, version.version, keys)
        rows = embedding_rows([predictor.predict(batch)], fitted, outcomes)
        for columns in _counted(rows, report, len(keys), on_progress):
            copy_in(connection, "store.embeddings", versioned(columns, version.version))
        report.left_out = len(batch.keys) - report.folded - report.cold
        placement_state.advance(connection, version.version, catalog.newest)
        versions.mark_placed(connection, version, catalog.read_at, fitted.prior.kernel.weights)
    report.seconds = perf_counter() - began
    return report


def _fitted(
    connection: Connection, featurizer: Featurizer, trained: Embeddings, version: EmbeddingVersion
) -> FittedPlacement:
    """Fit the prior of vectors, with the kernel weights of the last placement if there was one."""
    batch = model_features.read_named(connection, trained.models)
    places = {name: place for place, name in enumerate(trained.models)}
    order = [places[each.name] for each in batch.descriptions]
    kernel = None if version.likeness is None else Kernel(dict(version.likeness))
    blocks = featurizer.blocks(batch.descriptions)
    vectors = trained.vectors[order].astype(np.float64)
    prior = gp.fit(blocks, vectors, kernel=kernel)
    fitted = FittedPlacement(
        featurizer, prior, prior.influence(blocks), np.array(batch.keys, np.int64)
    )
    unexplained = versions.read_unexplained(connection, version.version)
    if unexplained is None:
        return replace(
            fitted,
            scale=coordinate_scale(prior.left_out, vectors),
            together=fold_in.error_correlation(prior.left_out, vectors),
        )
    # Learned with what the catalog says, trained vectors are nearer to predictions than true ones.
    least = np.maximum(unexplained.diagonal(), fold_in.LEAST_VARIANCE)
    deviation = np.sqrt(least)
    # Vectors that were padded with zeros vary in fewer directions than they have dimensions.
    together = (1 - _JITTER) * unexplained / np.outer(deviation, deviation)
    np.fill_diagonal(together, 1)
    fitted = replace(fitted, together=together, least=least)
    return _calibrated(connection, fitted, version, batch)


def _calibrated(
    connection: Connection,
    fitted: FittedPlacement,
    version: EmbeddingVersion,
    batch: ModelBatch,
) -> FittedPlacement:
    """Return the state with factors that calibrate variances, learned from trained models."""
    kept = read_uncertainty(connection, version.version)
    together = fitted.together
    if kept.axes is None or together is None:
        return fitted
    fitted = replace(fitted, axes=kept.axes, item_variance=kept.item_variance)
    drawn = np.random.default_rng(version.seed).permutation(len(batch.keys))[:MOST_MODELS]
    names = {batch.descriptions[row].name: batch.keys[row] for row in drawn.tolist()}
    outcomes = dataset.read_fold_in(connection, version, names)
    rows = np.array([row for row in drawn.tolist() if batch.keys[row] in outcomes.rows], np.intp)
    if not len(rows):
        return fitted
    left_out = with_least(fitted.prior.left_out.rows(rows), fitted)
    placing = Placing(outcomes.items, together, DEGREES, kept.axes, kept.item_variance)
    shown = outcomes.of(np.array(batch.keys, np.int64)[rows])
    scales = learn_scales(left_out, shown, outcomes.groups, placing, version.seed)
    return replace(fitted, scales=scales)


def _counted(
    parts: Iterator[Mapping[str, Column]],
    report: PlacementReport,
    total: int,
    on_progress: Progress,
) -> Iterator[Mapping[str, Column]]:
    for part in parts:
        keys = part["model_id"]
        assert isinstance(keys, np.ndarray)
        if part["kind"] == "folded":
            report.folded += len(keys)
        else:
            report.cold += len(keys)
        on_progress("placing models", report.trained + report.folded + report.cold, total)
        yield part
