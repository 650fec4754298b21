"""Vectors of models that a version was not trained on, in its space.

A model with outcomes gets the vector that fits them, starting from what is believed of it
(folded); one without gets what is believed (cold): the guess of a Gaussian process over what the
catalog says of it, learned from the trained models (`registry.learning.coldstart`). A model of
which nothing is known that trained models share gets none.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from time import perf_counter

import numpy as np
import orjson
from sqlalchemy import Connection, Engine, text

from registry.db.binary_copy import Column, copy_in
from registry.db.connection import reading
from registry.db.errors import translated_errors
from registry.db.jobs import Lock, job
from registry.embeddings import model_features, pending, placement_state, versions
from registry.embeddings import read as vectors
from registry.embeddings.partitions import replace_partition, versioned
from registry.embeddings.placement_state import FittedPlacement
from registry.embeddings.posterior import Believer, Seen, vector_rows
from registry.embeddings.read import Embeddings
from registry.embeddings.versions import EmbeddingVersion
from registry.errors import LockHeldError, RegistryError
from registry.learning.coldstart import fold_in, gp
from registry.learning.coldstart.calibration import coordinate_scale
from registry.learning.coldstart.features import Describer
from registry.learning.coldstart.gp import LEAST_MODELS
from registry.learning.coldstart.kernel import Kernel
from registry.workers import Progress, no_progress

MOST_PENDING = 50_000
"""Models that came since the last time up to which they alone are placed."""


@dataclass(slots=True)
class PlacementReport:
    """What came of placing models.

    Attributes:
        version: number of the version.
        trained: models that it was trained on.
        folded: models that got a vector from outcomes.
        cold: models that got one without.
        left_out: models of which too little is known.
        seconds: that it took.
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


def place(engine: Engine, *, on_progress: Progress = no_progress) -> PlacementReport:
    """Give every model of the catalog a vector of the current version, or none for want of facts.

    What was placed before is replaced, in one transaction; trained vectors stay as they are.

    Args:
        engine: of a database at head.
        on_progress: receives the progress.

    Raises:
        LockHeldError: when another one is at it.
        RegistryError: when no version is current, or it has too few trained models.
    """
    with job(engine, "place", lock=Lock.PLACEMENT, doing="place models") as run:
        placed = _placed(engine, on_progress)
        run.summary = _summary(placed)
        return placed


def can_place(version: EmbeddingVersion) -> bool:
    """Return whether a version has enough trained models to predict vectors of others."""
    return version.models >= LEAST_MODELS


def place_missing(engine: Engine, *, on_progress: Progress = no_progress) -> PlacementReport | None:
    """Place all models in the current version if it was never placed, else the pending ones.

    Returns:
        None where there is nothing to place, or the version has too few trained models.
    """
    with translated_errors("place models"), reading(engine) as connection:
        version = versions.current_version(connection)
    if version is None or not can_place(version):
        return None
    if version.placed_at is None:
        return place(engine, on_progress=on_progress)
    return place_pending(engine, on_progress=on_progress)


def place_pending(engine: Engine, *, on_progress: Progress = no_progress) -> PlacementReport | None:
    """Place models that came, changed or got outcomes since the current version was last placed.

    By what was learned then, so that it takes a moment; vectors of all others stay. Where more than
    `MOST_PENDING` came, or nothing was kept of the last time, all are placed again.

    Args:
        engine: of a database at head.
        on_progress: receives the progress.

    Returns:
        What was placed; None where no version is current or was placed before, nothing came, or
        another one is at it.
    """
    with translated_errors("place models"), reading(engine) as connection:
        version = versions.current_version(connection)
        came = pending.pending_models(connection, version)
    if version is None or not came:
        return None
    try:
        with job(engine, "place", lock=Lock.PLACEMENT, doing="place models") as run:
            placed = _followed(engine, version, came, on_progress)
            run.summary = _summary(placed)
            return placed
    except LockHeldError:
        return None


def _summary(placed: PlacementReport) -> dict[str, object]:
    return {
        "version": placed.version,
        "folded": placed.folded,
        "cold": placed.cold,
        "left_out": placed.left_out,
    }


def _placed(engine: Engine, on_progress: Progress) -> PlacementReport:
    began = perf_counter()
    with engine.connect() as connection:
        version = versions.read_version(connection)
        if not can_place(version):
            raise RegistryError(
                f"Version {version.version} was trained on {version.models} models; to guess the "
                f"vectors of others takes {LEAST_MODELS}."
            )
        at, total, newest = _catalog(connection)
    on_progress("reading the catalog", 0, total)
    describer = Describer.learned(model_features.census(engine))
    with engine.connect() as connection:
        known = vectors.read_embeddings(connection, version.version, kinds=["trained"])
        fitted = _learned(connection, describer, known, version)
        trained = set(known.models)
        evaluated = {name: key for name, key in _evaluated(connection) if name not in trained}
        seen = Seen.read(connection, version, evaluated)
    believer = Believer(fitted, frozenset(seen.rows))
    placed = PlacementReport(version.version, len(known.models))
    with engine.begin() as connection:
        beliefs = model_features.worked(engine, Believer.of_part, believer)
        replace_partition(
            connection,
            "embeddings",
            version.version,
            "kind = 'trained'",
            _counted(vector_rows(beliefs, fitted, seen), placed, total, on_progress),
        )
        placed.left_out = total - placed.trained - placed.folded - placed.cold
        placement_state.save(connection, version.version, fitted, newest)
        _mark(connection, version, at, fitted.prior.kernel)
    placed.seconds = perf_counter() - began
    return placed


def _followed(
    engine: Engine, version: EmbeddingVersion, came: Sequence[int], on_progress: Progress
) -> PlacementReport:
    began = perf_counter()
    with engine.connect() as connection:
        few = len(came) <= MOST_PENDING
        kept = placement_state.read(connection, version.version) if few else None
    if kept is None:
        return _placed(engine, on_progress)
    on_progress("placing models", 0, len(came))
    with engine.connect() as connection:
        at, _, newest = _catalog(connection)
        part = model_features.read(connection, came)
        around = model_features.around(connection, came)
        seen = Seen.read(connection, version, dict(_evaluated(connection, came)))
    kept = replace(kept, describer=kept.describer.within(around.descriptions))
    placed = PlacementReport(version.version, len(kept.trained))
    with engine.begin() as connection:
        connection.execute(
            text("""
            DELETE FROM store.embeddings
             WHERE version_id = :version AND model_id = ANY (:keys) AND kind <> 'trained'"""),
            {"version": version.version, "keys": list(came)},
        )
        beliefs = [Believer(kept, frozenset(seen.rows)).of_part(part)]
        for rows in _counted(vector_rows(beliefs, kept, seen), placed, len(came), on_progress):
            copy_in(connection, "store.embeddings", versioned(rows, version.version))
        placed.left_out = len(part.keys) - placed.folded - placed.cold
        placement_state.reached(connection, version.version, newest)
        _mark(connection, version, at, kept.prior.kernel)
    placed.seconds = perf_counter() - began
    return placed


def _catalog(connection: Connection) -> tuple[datetime, int, int]:
    """Return the time, how many models there are, and the greatest key."""
    at, total, newest = connection.execute(
        text("SELECT now(), count(*), coalesce(max(model_id), 0) FROM store.models")
    ).one()
    return at, total, newest


def _mark(connection: Connection, version: EmbeddingVersion, at: datetime, kernel: Kernel) -> None:
    """Keep when the catalog was read; what comes while models are placed is for the next time."""
    connection.execute(
        text("""
        UPDATE store.embedding_versions SET placed_at = :at, likeness = :likeness
         WHERE version_id = :version"""),
        {
            "version": version.version,
            "at": at,
            "likeness": orjson.dumps(dict(kernel.weights)).decode(),
        },
    )


def _learned(
    connection: Connection, describer: Describer, known: Embeddings, version: EmbeddingVersion
) -> FittedPlacement:
    """Fit what is believed of vectors, with the likeness of the last time if there was one."""
    rows = connection.execute(
        text("SELECT model_id, name FROM store.models WHERE name = ANY (:names)"),
        {"names": list(known.models)},
    )
    keys = {row.name: row.model_id for row in rows}
    part = model_features.read(connection, list(keys.values()))
    places = {name: place for place, name in enumerate(known.models)}
    order = [places[each.name] for each in part.descriptions]
    kernel = None if version.likeness is None else Kernel(dict(version.likeness))
    blocks = describer.blocks(part.descriptions)
    learned = known.vectors[order].astype(np.float64)
    fitted = gp.fit(blocks, learned, kernel=kernel)
    return FittedPlacement(
        describer,
        fitted,
        fitted.influence(blocks),
        np.array(part.keys, np.int64),
        coordinate_scale(fitted.left_out, learned),
        fold_in.correlation(fitted.left_out, learned),
    )


def _evaluated(
    connection: Connection, keys: Sequence[int] | None = None
) -> Sequence[tuple[str, int]]:
    """Return names and keys of models that have outcomes: of all, or of some by key."""
    rows = connection.execute(
        text("""
        SELECT m.name, m.model_id FROM store.models AS m
         WHERE (CAST(:keys AS bigint[]) IS NULL OR m.model_id = ANY (:keys))
           AND EXISTS (SELECT FROM store.runs AS r
                        WHERE r.model_id = m.model_id AND r.right_bits IS NOT NULL)
         ORDER BY m.name"""),
        {"keys": None if keys is None else list(keys)},
    )
    return [(name, key) for name, key in rows]


def _counted(
    parts: Iterator[Mapping[str, Column]],
    placed: PlacementReport,
    total: int,
    on_progress: Progress,
) -> Iterator[Mapping[str, Column]]:
    for part in parts:
        keys = part["model_id"]
        assert isinstance(keys, np.ndarray)
        if part["kind"] == "folded":
            placed.folded += len(keys)
        else:
            placed.cold += len(keys)
        on_progress("placing models", placed.trained + placed.folded + placed.cold, total)
        yield part
