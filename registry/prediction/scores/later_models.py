"""Models and scores that came since a version was fitted: their abilities, by its prior."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Engine, text

from registry.db.binary_copy import Column, copy_in
from registry.db.connection import reading
from registry.db.errors import translated_errors
from registry.db.jobs import Lock, job
from registry.embeddings import model_features
from registry.embeddings.model_features import CatalogExtent
from registry.errors import RegistryError
from registry.learning.scores import later_scores
from registry.learning.scores.conformal import ScorePredictions
from registry.learning.scores.later_scores import LaterScores
from registry.learning.scores.score_estimate import ScoreAbilities
from registry.prediction.scores import placing, storage
from registry.prediction.scores.current_version import (
    CountedScores,
    CurrentVersion,
    present,
    read_version,
)
from registry.prediction.scores.placer_state import placer_of
from registry.prediction.scores.placing import AbilityPlacer, PlacedModels
from registry.workers import Progress, no_progress

AT_ONCE = 2_000
"""Models that are placed at once: bounds memory."""


@dataclass(frozen=True, slots=True)
class _Pending:
    """What came since a version was placed.

    Attributes:
        extent: of the catalog, as it was read.
        scores: that count now, of all models.
        rescored: int64: keys of models whose scores changed.
        described: int64: keys of models that are new, or that the catalog describes otherwise.
    """

    extent: CatalogExtent
    scores: CountedScores
    rescored: NDArray[np.int64]
    described: NDArray[np.int64]

    def __len__(self) -> int:
        return len(np.union1d(self.rescored, self.described))

    def keys(self, placer: AbilityPlacer) -> NDArray[np.int64]:
        """Return the models to place; what a version was fitted to stays as it was described."""
        described = self.described[~np.isin(self.described, placer.keys)]
        return np.union1d(self.rescored, described)


class LaterReport(NamedTuple):
    """What came since the current version was last placed.

    Attributes:
        version: its number.
        pending: models that are new or changed, or whose scores changed.
        placed: of them, those whose scores it predicts now; None where it cannot, since another
            release stored what places models.
    """

    version: int
    pending: int
    placed: int | None


def place_later(engine: Engine, *, on_progress: Progress = no_progress) -> LaterReport | None:
    """Predict scores of models that are new, changed or newly evaluated, by the current version.

    A model that it was fitted to is placed again where its scores changed: by those of now, and by
    what the other models say of it. All else of the version stays.

    Args:
        engine: of a database at head.
        on_progress: receives the progress.

    Returns:
        None where no version is current.

    Raises:
        LockHeldError: when models are being placed.
    """
    with translated_errors("predict scores"), reading(engine, snapshot=True) as connection:
        version = read_version(connection)
        if version is None:
            return None
        pending = _pending(connection, version)
    if not len(pending):
        return LaterReport(version.number, 0, 0)
    with job(engine, "predict", lock=Lock.PLACEMENT, doing="predict scores") as run:
        placed = _placed(engine, version, pending, on_progress)
        run.summary = {"version": version.number, "placed": placed}
    return LaterReport(version.number, len(pending), placed)


def _pending(connection: Connection, version: CurrentVersion) -> _Pending:
    extent = model_features.read_extent(connection)
    scores, changed = present(connection, version)
    described = connection.scalars(
        text("""
        SELECT model_id FROM store.models WHERE model_id > :newest OR changed_at > :placed_at"""),
        {"newest": version.newest, "placed_at": version.placed_at},
    )
    return _Pending(extent, scores, changed, np.array(described.all(), np.int64))


def _placed(
    engine: Engine, version: CurrentVersion, pending: _Pending, on_progress: Progress
) -> int | None:
    """Place the pending models; return their number, None where the version cannot."""
    with engine.begin() as connection:
        # A version that is fitted meanwhile waits, or is there already and has placed all.
        file = connection.scalar(
            text("""
            SELECT fitted FROM store.prediction_versions
             WHERE version_id = :version AND state = 'current' FOR UPDATE"""),
            {"version": version.number},
        )
        placer = None if file is None else placer_of(file)
        if placer is None:
            return None
        if not np.array_equal(placer.benchmarks, version.keys):
            raise RegistryError(
                f"Version {version.number} of predicted scores was fitted to other benchmarks than "
                "those that are stored: `registry train` fits a new one."
            )
        keys, placed = pending.keys(placer), 0
        for start in range(0, len(keys), AT_ONCE):
            on_progress("predicting scores of new models", start, len(keys))
            part = keys[start : start + AT_ONCE]
            placed += _place(connection, placer, version, pending.scores, part)
        connection.execute(
            text("""
            UPDATE store.prediction_versions SET placed_at = :read_at, newest_model_id = :newest
             WHERE version_id = :version"""),
            {
                "read_at": pending.extent.read_at,
                "newest": pending.extent.newest,
                "version": version.number,
            },
        )
    return placed


def _place(
    connection: Connection,
    placer: AbilityPlacer,
    version: CurrentVersion,
    scores: CountedScores,
    keys: NDArray[np.int64],
) -> int:
    """Place some models, in place of what was predicted of them; return their number."""
    batch = model_features.read(connection, keys.tolist())
    context = model_features.read_context(connection, keys.tolist())
    known = np.array(batch.keys, np.int64)
    own = np.searchsorted(placer.keys, known)
    own = np.where(placer.keys[np.minimum(own, len(placer.keys) - 1)] == known, own, -1)
    features, prior = placer.within(context).prior(batch.descriptions)
    _leave_out(prior, placer, own)
    of_these = scores.only(np.isin(scores.models, known))
    later = LaterScores(np.searchsorted(known, of_these.models), *of_these[1:])
    abilities = later_scores.fold_in(placer.estimate, prior, later)
    near, weights = placer.nearest(features, own)
    blocks = np.where(abilities.own > 0, 0, np.bitwise_or.reduce(placer.blocks[near], axis=1))
    np.bitwise_or.at(blocks, later.rows, version.bits[later.columns])
    placed = PlacedModels(known, abilities, near, weights, blocks)
    for name in ("abilities", "fitted_scores"):
        connection.execute(
            text(f"DELETE FROM store.{name} WHERE version_id = :v AND model_id = ANY (:keys)"),  # noqa: S608
            {"v": version.number, "keys": keys.tolist()},
        )
    estimated = np.zeros(len(known), bool)
    estimated[later.rows[(later.variances > 0) | (version.keys[later.columns] < 0)]] = True
    storage.add_abilities(connection, version.number, placing.by_kind(placed, placer, estimated))
    if len(later):
        left_out = later_scores.left_out(placer.estimate, prior, later)
        columns = _fitted_scores(version, later, left_out)
        columns = {"model_id": known[later.rows], **columns}
        copy_in(connection, "store.fitted_scores", storage.versioned(columns, version.number))
    return len(known)


def _leave_out(prior: ScoreAbilities, placer: AbilityPlacer, own: NDArray[np.intp]) -> None:
    """Set the prior of models that the version was fitted to: it is to leave themselves out."""
    fitted = np.flatnonzero(own >= 0)
    alone = placer.estimate.measured_prior(own[fitted])
    for part, of_fitted in zip(prior, alone, strict=True):
        part[fitted] = of_fitted


def _fitted_scores(
    version: CurrentVersion, later: LaterScores, left_out: ScorePredictions
) -> Mapping[str, Column]:
    """Return rows of `store.fitted_scores`, without model_id and version_id."""
    first, second = later.pairs()
    others = np.zeros(len(later), np.int64)
    np.bitwise_or.at(others, first, version.bits[later.columns[second]])
    apart = (left_out.groups > 0) & (others & version.bits[later.columns] == 0)
    groups = np.where(apart, storage.CROSSED, left_out.groups)
    kinds = np.where(apart, 2, np.minimum(left_out.groups, 1))
    return {
        "benchmark_id": version.keys[later.columns].astype(np.int32),
        "value": later.values,
        "variance": later.variances.astype(np.float32),
        "mean": left_out.mean,
        "deviation": left_out.sd * version.factors[kinds, later.columns],
        "evidence_group": groups.astype(np.int16),
    }
