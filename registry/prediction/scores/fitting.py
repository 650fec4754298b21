"""Fitting workflow: the score model of all scores, with abilities of all models of the catalog."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Engine, text

from registry.db.binary_copy import Column
from registry.db.connection import reading
from registry.db.errors import translated_errors
from registry.db.jobs import Lock, job
from registry.embeddings import model_features
from registry.enums import EvidenceKind
from registry.learning.arrays import Places, Reals
from registry.learning.coldstart.features import Featurizer
from registry.learning.factorization.problem import Context
from registry.learning.scores.blocks import CrossedBlocks, crossed
from registry.learning.scores.fit import fit
from registry.learning.scores.model_features import ModelFeatureSpace
from registry.learning.scores.observations import LEAST_SCORES, ScoreObservations
from registry.learning.scores.score_fit import ScoreFit
from registry.prediction.scores import placing, storage
from registry.prediction.scores.partial import with_estimates
from registry.prediction.scores.placer_state import placer_of, state
from registry.prediction.scores.placing import AbilityPlacer, PlacedModels
from registry.prediction.scores.table import ScoreTable, read
from registry.workers import Progress, no_progress


@dataclass(frozen=True, slots=True)
class PredictionReport:
    """What a fit of the score model was of.

    Attributes:
        version: its number; None where there are too few scores.
        models: with scores.
        benchmarks: that it predicts.
        scores: that it was fitted to.
        placed: models without scores that it predicts scores of.
        reliable: whether its intervals held as many held-out scores as they should.
        held_out: figures on held-out scores.
        seconds: duration.
        unchanged: whether scores and models are those of the current version, so that nothing was
            fitted.
    """

    version: int | None = None
    models: int = 0
    benchmarks: int = 0
    scores: int = 0
    placed: int = 0
    reliable: bool = True
    held_out: Mapping[str, Mapping[str, Any]] | None = None
    seconds: float = 0.0
    unchanged: bool = False


def fit_scores(
    engine: Engine,
    *,
    seed: int = 0,
    if_changed: bool = False,
    on_progress: Progress = no_progress,
) -> PredictionReport:
    """Fit the score model to all scores, and store it as the current version.

    Args:
        engine: of a database at head.
        seed: of the folds that it is calibrated on.
        if_changed: do nothing where the current version was fitted to the same scores, and no
            model is new or changed since.
        on_progress: receives the progress.

    Returns:
        A report without a version where there are too few scores.

    Raises:
        LockHeldError: when a training is running.
    """
    with translated_errors("predict scores"), reading(engine, snapshot=True) as connection:
        on_progress("reading scores", 0, 0)
        table = with_estimates(connection, read(connection), on_progress)
        if _too_few(table):
            # Not a failed job: a catalog begins without scores.
            return PredictionReport(scores=len(table.values))
        unchanged = if_changed and _is_current(connection, table)
    if unchanged:
        return PredictionReport(unchanged=True)
    with job(engine, "predict", lock=Lock.TRAINING, doing="predict scores") as run:
        report = _fitted(engine, table, seed, on_progress)
        run.summary = {
            "version": report.version,
            "scores": report.scores,
            "placed": report.placed,
            "reliable": report.reliable,
        }
        return report


def _too_few(table: ScoreTable) -> bool:
    return len(table.values) < LEAST_SCORES or len(table.models) < 2  # noqa: PLR2004


def _is_current(connection: Connection, table: ScoreTable) -> bool:
    """Return whether the current version is of these scores, and of all models as they are.

    Models that came since, and that a sync placed, need no new fit; a version that cannot place
    any, since another release stored it, does.
    """
    found = connection.execute(
        text("""
        SELECT v.fitted, v.data_fingerprint = :fingerprint
               AND NOT EXISTS (SELECT FROM store.models m
                                WHERE m.model_id > v.newest_model_id OR m.changed_at > v.placed_at)
               -- Models that it was fitted to, and was not placed again for, as its fit read them.
               AND NOT EXISTS (SELECT FROM store.models m
                                WHERE m.changed_at > v.created_at - v.seconds * interval '1 second'
                                  AND EXISTS (SELECT FROM store.fitted_scores f
                                               WHERE f.model_id = m.model_id
                                                 AND f.version_id = v.version_id)) AS same
          FROM store.prediction_versions v WHERE v.state = 'current'"""),
        {"fingerprint": table.fingerprint()},
    ).one_or_none()
    return found is not None and found.same and placer_of(found.fitted) is not None


def _fitted(
    engine: Engine, table: ScoreTable, seed: int, on_progress: Progress
) -> PredictionReport:
    began = perf_counter()
    on_progress("reading the catalog", 0, 0)
    featurizer = Featurizer.fitted(model_features.census(engine))
    with engine.connect() as connection:
        extent = model_features.read_extent(connection)
        batch = model_features.read(connection, table.models.tolist())
    blocks = featurizer.blocks(batch.descriptions)
    space = ModelFeatureSpace.of(blocks, seed=seed)
    features = space.features(blocks)
    observations = _observations(table, features, space.apart(blocks, features), space.groups)
    context = Context(seed=seed, on_progress=on_progress)
    found = fit(observations, context)
    across = crossed(observations, found, context)
    benchmarks = np.array([each.key for each in table.benchmarks], np.int64)
    taken = _blocks(table, across)
    placer = AbilityPlacer(featurizer, space, found, table.models, taken, benchmarks)
    placed = 0
    with engine.begin() as connection:
        number = storage.create(
            connection,
            found,
            across,
            table,
            fitted=state(placer),
            extent=extent,
            seed=seed,
            seconds=round(perf_counter() - began, 3),
            settings={"dimensions": found.dimensions},
        )
        storage.add_abilities(connection, number, _with_scores(placer, found, table, features))
        on_progress("placing models", len(table.models), extent.models)
        for part in model_features.map_catalog(engine, placing.place, placer):
            if len(part.keys):
                rows = placing.rows(part, placer, EvidenceKind.CATALOG)
                storage.add_abilities(connection, number, [rows])
                placed += len(part.keys)
            on_progress("placing models", len(table.models) + placed, extent.models)
        for name in ("abilities", "fitted_scores", "benchmark_loadings"):
            connection.exec_driver_sql(f"ANALYZE store.{name}")
    held_out = storage.figures(found, across)
    return PredictionReport(
        version=number,
        models=len(table.models),
        benchmarks=sum(each.key > 0 for each in table.benchmarks),
        scores=len(table.values),
        placed=placed,
        reliable=storage.reliable(held_out),
        held_out=held_out,
        seconds=perf_counter() - began,
    )


def _observations(
    table: ScoreTable, features: Reals, apart: Reals, groups: Places
) -> ScoreObservations:
    return ScoreObservations(
        rows=table.rows,
        columns=table.columns,
        values=table.values,
        variances=table.variances,
        models=len(table.models),
        benchmarks=len(table.benchmarks),
        features=features,
        names=[f"{each.name} {each.version}".rstrip() for each in table.benchmarks],
        links=table.links,
        groups=groups,
        apart=apart,
    )


def _blocks(table: ScoreTable, across: CrossedBlocks) -> NDArray[np.int64]:
    """Return the bits of the blocks that each model has scores in, M."""
    blocks = np.zeros(len(table.models), np.int64)
    np.bitwise_or.at(blocks, table.rows, storage.bits(across.blocks)[table.columns])
    return blocks


def _with_scores(
    placer: AbilityPlacer, found: ScoreFit, table: ScoreTable, features: Reals
) -> Iterator[Mapping[str, Column]]:
    """Yield the abilities of models with scores, by kind of evidence."""
    near, weights = placer.nearest(features, np.arange(len(features)))
    placed = PlacedModels(table.models, found.abilities, near, weights, placer.blocks)
    estimated = np.zeros(len(table.models), bool)
    of_parts = placer.benchmarks[table.columns] < 0
    estimated[table.rows[(table.variances > 0) | of_parts]] = True
    yield from placing.by_kind(placed, placer, estimated)
