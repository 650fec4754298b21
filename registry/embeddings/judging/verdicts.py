"""Verdict on a stored candidate, beside the version that is current."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from registry.embeddings import read as vectors
from registry.embeddings import versions
from registry.embeddings.dataset import TrainingData
from registry.embeddings.judging.benchmarks import canonical_names
from registry.embeddings.judging.changes import Making
from registry.embeddings.judging.churn import rank
from registry.embeddings.judging.evidence import Evidence
from registry.embeddings.judging.gain import gain, losses
from registry.embeddings.judging.held_out import HeldOut, logits
from registry.embeddings.judging.promotion import NO_GAINS, Contender, Gains, judge
from registry.embeddings.read import Embeddings
from registry.embeddings.save import TrainedVersion
from registry.embeddings.versions import Verdict
from registry.evaluations.outcomes import Column
from registry.learning.arrays import places_among
from registry.learning.factorization.problem import Matrix, sigmoid


def judged(
    connection: Connection,
    trained: TrainedVersion,
    evidence: Evidence,
    *,
    margin: float,
    most_churn: float,
) -> Verdict:
    """Judge a version beside the current one, on held-out outcomes that both can predict.

    Args:
        connection: to read the current version from.
        trained: the candidate.
        evidence: on it.
        margin: as for `promotion.judge`.
        most_churn: likewise.
    """
    held = evidence.held
    if not len(held):
        return Verdict(
            promoted=False,
            reason="no outcome is held out to judge it by: there are too few outcomes",
            churn=None,
        )
    assert trained.item_vectors is not None
    current = _read_current(connection)
    known = np.zeros(len(held), np.bool_)
    if current is not None:
        predictions, known = current.predicted(evidence.data, held)
    cells = np.flatnonzero(known) if known.any() else np.arange(len(held))
    outcomes = held.outcomes[cells]
    ours = losses(outcomes, held.served(trained.vectors, trained.item_vectors)[cells])
    candidate = Contender(
        models=trained.models,
        vectors=trained.vectors,
        log_loss=float(ours.mean()),
        making=_making(trained, evidence),
    )
    baseline = float(losses(outcomes, held.means[cells]).mean())
    before, gains = None, NO_GAINS
    if current is not None and known.any():
        theirs = losses(outcomes, predictions[cells])
        before = current.contender(float(theirs.mean()))
        gains = Gains(
            gain(theirs, ours, held.models[cells], held.items[cells]),
            evidence.benchmarks.gains(held, theirs, ours, cells),
        )
    return judge(
        before, candidate, margin=margin, most_churn=most_churn, baseline=baseline, gains=gains
    )


def _making(trained: TrainedVersion, evidence: Evidence) -> Making:
    return Making(
        method=trained.method,
        rank=rank(trained.vectors),
        settings=trained.settings,
        encoder=trained.encoder,
        models=frozenset(trained.models),
        benchmarks=frozenset(evidence.benchmarks.names),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Current:
    """The current version.

    Attributes:
        embeddings: its trained vectors.
        columns: its items.
        items: their vectors, with offsets.
        making: how it was trained.
    """

    embeddings: Embeddings
    columns: Sequence[Column]
    items: Matrix
    making: Making

    def predicted(self, data: TrainingData, held: HeldOut) -> tuple[Matrix, NDArray[np.bool_]]:
        """Return its predictions of held-out outcomes, and which of them it has."""
        models = places_among(data.matrix.models, self.embeddings.models)[held.models]
        items = places_among(data.matrix.columns, self.columns)[held.items]
        known = (models >= 0) & (items >= 0)
        predictions = np.full(len(held), np.nan, np.float32)
        predictions[known] = sigmoid(
            logits(self.embeddings.vectors, self.items, models[known], items[known])
        )
        return predictions, known

    def contender(self, log_loss: float) -> Contender:
        return Contender(
            models=self.embeddings.models,
            vectors=self.embeddings.vectors,
            log_loss=log_loss,
            making=self.making,
        )


def _read_current(connection: Connection) -> _Current | None:
    """Read the current version; None without one, or where it has no vectors of items."""
    version = versions.current_version(connection)
    if version is None:
        return None
    embeddings = vectors.read_embeddings(connection, version.version, kinds=["trained"])
    columns, items = vectors.read_items(connection, version.version)
    if not columns or items.shape[1] != embeddings.vectors.shape[1] + 1:
        return None
    making = Making(
        method=version.method,
        rank=rank(embeddings.vectors),
        settings=version.settings,
        encoder=version.encoder,
        models=frozenset(embeddings.models),
        benchmarks=frozenset(canonical_names(connection, columns)),
    )
    return _Current(embeddings, columns, items, making)
