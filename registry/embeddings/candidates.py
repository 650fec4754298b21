"""Candidates: trained versions that are stored and not current yet, and their publication.

A candidate is judged, other models get vectors of it, and then it is current, in one visible step.
A training that ends in between leaves a candidate, which the next one of the same outcomes
publishes.
"""

from dataclasses import dataclass

import numpy as np
from sqlalchemy import Connection, Engine, text

from registry.embeddings import publication, versions
from registry.embeddings.dataset import TrainingData
from registry.embeddings.judging.evidence import Evidence
from registry.embeddings.judging.verdicts import judged
from registry.embeddings.publication import Published
from registry.embeddings.read import read_embeddings, read_items
from registry.embeddings.save import TrainedVersion
from registry.embeddings.versions import NOT_JUDGED, EmbeddingVersion, Verdict
from registry.errors import RegistryError
from registry.learning.arrays import places_among
from registry.version import __version__
from registry.workers import Progress, no_progress

_AGAIN = 5
"""Verdicts on a candidate, at most: each time that another version has become current meanwhile."""


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """A stored candidate.

    Attributes:
        number: of the version.
        trained: what was stored.
        evidence: on it.
    """

    number: int
    trained: TrainedVersion
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class Limits:
    """What a candidate may lose; see `judging.promotion.judge`."""

    margin: float
    most_churn: float


def publish(
    engine: Engine,
    candidate: Candidate,
    limits: Limits,
    *,
    place: bool = True,
    on_progress: Progress = no_progress,
) -> Published:
    """Judge a candidate, place all other models in it, and make it current; or refuse it.

    Args:
        engine: of a database at head.
        candidate: a stored version.
        limits: of what it may lose.
        place: whether other models get vectors of it, where there are enough trained ones.
        on_progress: receives the progress.

    Raises:
        LockHeldError: when another placement runs for too long; the candidate stays one.
        RegistryError: when the version is not a candidate any more.
    """
    report, number = None, candidate.number
    for _ in range(_AGAIN):
        on_progress("judging the version", 0, 0)
        with engine.connect() as connection:
            current = versions.current_version(connection)
            verdict = judged(
                connection,
                candidate.trained,
                candidate.evidence,
                margin=limits.margin,
                most_churn=limits.most_churn,
            )
        before = None if current is None else current.version
        if verdict.promoted and place:
            report = publication.complete(engine, number, on_progress) or report
        if (version := _finalized(engine, number, verdict, before)) is not None:
            return Published(version, before, report if version.current else None)
    raise RegistryError(
        f"Version {number} could not be judged: the current version changed each time. It is "
        "stored; `registry train` judges it again."
    )


def _finalized(
    engine: Engine, number: int, verdict: Verdict, before: int | None
) -> EmbeddingVersion | None:
    """Promote or refuse a candidate, but for one that was promoted by hand meanwhile.

    None where it was judged beside a version that is not current any more.
    """
    versions.wait_for_readers(engine)
    with engine.begin() as connection:
        current = versions.current_number(connection)
        if current == number:
            # Somebody has promoted it meanwhile: that stands.
            return versions.read_version(connection, number)
        if current != before:
            return None
        return versions.finalize(connection, number, verdict)


def unfinished(
    connection: Connection, data: TrainingData, method: str, seed: int
) -> tuple[int, TrainedVersion] | None:
    """Return the candidate that a training of these outcomes has stored and not judged, if any.

    Args:
        connection: to read from.
        data: the outcomes.
        method: of the training.
        seed: likewise.

    Returns:
        Its number, and what it was stored from, in the order of the data.
    """
    row = connection.execute(
        text("""
        SELECT version FROM registry.embedding_versions
         WHERE (data_fingerprint, method, code_version, seed) = (:data, :method, :code, :seed)
           AND state = 'candidate' AND reason = :reason
         ORDER BY version DESC LIMIT 1"""),
        {
            "data": data.fingerprint(),
            "method": method,
            "code": __version__,
            "seed": seed,
            "reason": NOT_JUDGED,
        },
    ).one_or_none()
    if row is None:
        return None
    version = versions.read_version(connection, row.version)
    stored = read_embeddings(connection, version.version, kinds=["trained"])
    columns, items = read_items(connection, version.version)
    models = places_among(data.matrix.models, stored.models)
    kept = places_among(data.matrix.columns, columns)
    if min(models.min(), kept.min()) < 0 or len(columns) != len(kept):
        return None
    return version.version, TrainedVersion(
        method=version.method,
        models=data.matrix.models,
        vectors=stored.vectors[models],
        encoder=version.encoder,
        items=data.matrix.columns,
        item_vectors=np.ascontiguousarray(items[kept]),
        settings=version.settings,
        trials=version.trials,
        metrics=version.metrics,
        data_fingerprint=version.data_fingerprint,
        code_version=version.code_version,
        device=version.device,
        seed=version.seed,
        seconds=version.seconds,
        outcomes=version.outcomes,
    )
