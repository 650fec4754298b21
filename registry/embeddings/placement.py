"""Vectors of models that a version was not trained on, in its space.

A model with outcomes gets the vector that fits them, starting from what is believed of it
(folded); one without gets what is believed (cold): the guess of a Gaussian process over what the
catalog says of it, learned from the trained models (`registry.learning.coldstart`). A model of
which nothing is known that trained models share gets none.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from time import perf_counter
from typing import NamedTuple

import numpy as np
import orjson
from numpy.typing import NDArray
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from registry.db import jobs
from registry.db.connection import exclusive, translated
from registry.db.revisions import require_head
from registry.embeddings import model_features, pending, placement_state, versions
from registry.embeddings import read as vectors
from registry.embeddings.partitions import Arrays, Column, copy_in, replace_partition, versioned
from registry.embeddings.placement_state import Placing
from registry.embeddings.read import Embeddings
from registry.embeddings.versions import Version
from registry.errors import LockHeldError, RegistryError
from registry.evaluations.outcomes import read_outcomes
from registry.learning.coldstart import fold_in, gp
from registry.learning.coldstart.calibration import coordinate_scale
from registry.learning.coldstart.features import Describer, Description
from registry.learning.coldstart.fold_in import Items
from registry.learning.coldstart.gp import AT_ONCE, LEAST_MODELS, Guess, Guesser
from registry.learning.coldstart.kernel import Kernel
from registry.learning.coldstart.pca import Reals

JOB = "place"

MOST_FOLLOWED = 50_000
"""Models that came since the last time up to which they alone are placed."""

LEAST_SUPPORT = 0.05
"""Share of a model's own likeness that trained models have to explain for a guess to be kept."""

FOLDED_SCALE = 0.5
"""Power of the scale of deviations that holds for folded models: outcomes correct half of it."""

Watcher = Callable[[str, int, int], None]
"""Is told what is under way, how far it is, and of how many."""


@dataclass(slots=True)
class Placed:
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


def told(placed: Placed) -> str:
    """Return a sentence of it for people."""
    return (
        f"Version {placed.version} has vectors of {placed.folded:,} more models from outcomes and "
        f"{placed.cold:,} from what is known of them; of {placed.left_out:,} too little is known."
    )


def unwatched(what: str, done: int, of: int) -> None:
    """Take no notice."""
    del what, done, of


def place(engine: Engine, *, watch: Watcher = unwatched) -> Placed:
    """Give every model of the catalog a vector of the current version, or none for want of facts.

    What was placed before is replaced, in one transaction; trained vectors stay as they are.

    Args:
        engine: of a database at head.
        watch: is told of progress.

    Raises:
        LockHeldError: when another one is at it.
        RegistryError: when no version is current, or it has too few trained models.
    """
    try:
        with engine.connect() as connection:
            require_head(connection)
        with exclusive(engine, JOB), jobs.recorded(engine, JOB) as job:
            placed = _placed(engine, watch)
            job.summary = _summary(placed)
            return placed
    except DBAPIError as error:
        raise translated(error, doing="place models") from error


def follow(engine: Engine, *, watch: Watcher = unwatched) -> Placed | None:
    """Place models that came, changed or got outcomes since the current version was last placed.

    By what was learned then, so that it takes a moment; vectors of all others stay. Where more than
    `MOST_FOLLOWED` came, or nothing was kept of the last time, all are placed again.

    Args:
        engine: of a database at head.
        watch: is told of progress.

    Returns:
        What was placed; None where no version is current or was placed before, nothing came, or
        another one is at it.
    """
    try:
        with engine.connect() as connection:
            require_head(connection)
            version = versions.current_version(connection)
            came = pending.since(connection, version)
        if version is None or not came:
            return None
        with exclusive(engine, JOB), jobs.recorded(engine, JOB) as job:
            placed = _followed(engine, version, came, watch)
            job.summary = _summary(placed)
            return placed
    except LockHeldError:
        return None
    except DBAPIError as error:
        raise translated(error, doing="place models") from error


def _summary(placed: Placed) -> dict[str, object]:
    return {
        "version": placed.version,
        "folded": placed.folded,
        "cold": placed.cold,
        "left_out": placed.left_out,
    }


def _placed(engine: Engine, watch: Watcher) -> Placed:
    began = perf_counter()
    with engine.connect() as connection:
        version = versions.read_version(connection)
        if version.models < LEAST_MODELS:
            raise RegistryError(
                f"Version {version.version} was trained on {version.models} models; to guess the "
                f"vectors of others takes {LEAST_MODELS}."
            )
        at, total, newest = _catalog(connection)
    watch("reading the catalog", 0, total)
    describer = Describer.learned(model_features.census(engine))
    with engine.connect() as connection:
        known = vectors.read_embeddings(connection, version.version, kinds=["trained"])
        placing = _learned(connection, describer, known, version)
        trained = set(known.models)
        evaluated = {name: key for name, key in _evaluated(connection) if name not in trained}
        seen = _Seen.read(connection, version, evaluated)
    believer = _Believer(placing, frozenset(seen.rows))
    placed = Placed(version.version, len(known.models))
    with engine.begin() as connection:
        beliefs = model_features.worked(engine, _Believer.of_part, believer)
        replace_partition(
            connection,
            "embeddings",
            version.version,
            "kind = 'trained'",
            _counted(_rows(beliefs, placing, seen), placed, total, watch),
        )
        placed.left_out = total - placed.trained - placed.folded - placed.cold
        placement_state.save(connection, version.version, placing, newest)
        _mark(connection, version, at, placing.prior.kernel)
    placed.seconds = perf_counter() - began
    return placed


def _followed(engine: Engine, version: Version, came: Sequence[int], watch: Watcher) -> Placed:
    began = perf_counter()
    with engine.connect() as connection:
        few = len(came) <= MOST_FOLLOWED
        kept = placement_state.read(connection, version.version) if few else None
    if kept is None:
        return _placed(engine, watch)
    watch("placing models", 0, len(came))
    with engine.connect() as connection:
        at, _, newest = _catalog(connection)
        part = model_features.read(connection, came)
        around = model_features.around(connection, came)
        seen = _Seen.read(connection, version, dict(_evaluated(connection, came)))
    kept = replace(kept, describer=kept.describer.within(around.descriptions))
    placed = Placed(version.version, len(kept.trained))
    with engine.begin() as connection:
        connection.execute(
            text("""
            DELETE FROM store.embeddings
             WHERE version_id = :version AND model_id = ANY (:keys) AND kind <> 'trained'"""),
            {"version": version.version, "keys": list(came)},
        )
        beliefs = [_Believer(kept, frozenset(seen.rows)).of_part(part)]
        for rows in _counted(_rows(beliefs, kept, seen), placed, len(came), watch):
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


def _mark(connection: Connection, version: Version, at: datetime, kernel: Kernel) -> None:
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
    connection: Connection, describer: Describer, known: Embeddings, version: Version
) -> Placing:
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
    return Placing(
        describer,
        fitted,
        fitted.influence(blocks),
        np.array(part.keys, np.int64),
        coordinate_scale(fitted.left_out, learned),
        fold_in.correlation(fitted.left_out, learned),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Seen:
    """Outcomes of models that were not trained on, of items that were.

    Attributes:
        items: N frozen ones.
        outcomes: float32, n x N; nan where not observed.
        rows: of the outcomes, by key of the model.
    """

    items: Items
    outcomes: NDArray[np.float32]
    rows: Mapping[int, int] = field(default_factory=dict)

    @classmethod
    def read(cls, connection: Connection, version: Version, models: Mapping[str, int]) -> "_Seen":
        """Read the outcomes of some models, keys by name, on the items of a version."""
        columns, items = vectors.read_items(connection, version.version)
        # Some versions keep no items, or items of another space.
        if not models or items.shape != (len(columns), version.dimension + 1):
            nothing = Items(np.zeros((0, version.dimension)), np.zeros(0))
            return cls(nothing, np.zeros((0, 0), np.float32))
        frozen = Items(items[:, :-1], items[:, -1])
        benchmarks = sorted({f"{each.benchmark}@{each.version}" for each in columns})
        matrix = read_outcomes(connection, models=list(models), benchmarks=benchmarks)
        places = {column: place for place, column in enumerate(matrix.columns)}
        order = [places.get(column, -1) for column in columns]
        told = matrix.values[:, order]
        told[:, [place < 0 for place in order]] = np.nan
        rows = {
            models[name]: row
            for row, name in enumerate(matrix.models)
            if not np.isnan(told[row]).all()
        }
        return cls(frozen, told, rows)

    def fold(self, keys: NDArray[np.int64], guess: Guess, together: Reals | None) -> Guess:
        """Correct the guesses of models, whose errors go together, by the models' outcomes."""
        some = [self.rows[key] for key in keys.tolist()]
        return fold_in.fold(guess, self.items, self.outcomes[some], together)


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


class _Belief(NamedTuple):
    """What is believed of n models, and by which known ones.

    Attributes:
        keys: int64, n.
        guess: of n; of models without outcomes its variance is the mean of all dimensions, n x 1.
        near_ids: int64, n x k: keys of known models.
        near_weights: float32, n x k.
    """

    keys: NDArray[np.int64]
    guess: Guess
    near_ids: NDArray[np.int64]
    near_weights: NDArray[np.float32]


class _Beliefs(NamedTuple):
    """Those of models with outcomes and of models without."""

    folded: _Belief
    cold: _Belief


class _Believer:
    """Tells what is believed of models, but not what their outcomes correct; can be pickled.

    Args:
        placing: what was learned.
        evaluated: keys of models that have outcomes.
    """

    def __init__(self, placing: Placing, evaluated: frozenset[int]) -> None:
        self._placing, self._evaluated = placing, evaluated
        self._guesser = Guesser(placing.prior)

    def of_part(self, part: model_features.Part) -> list[_Beliefs]:
        """Return beliefs in models of a part of the catalog that were not trained on."""
        keys = np.array(part.keys, np.int64)
        rest = np.flatnonzero(~np.isin(keys, self._placing.trained))
        chosen = (rest[start : start + AT_ONCE] for start in range(0, len(rest), AT_ONCE))
        return [self._some(keys[some], [part.descriptions[at] for at in some]) for some in chosen]

    def _some(self, keys: NDArray[np.int64], models: Sequence[Description]) -> _Beliefs:
        blocks = self._placing.describer.blocks(models)
        features = self._guesser.features(blocks)
        guess = self._guesser.guess(blocks, features)
        near = self._placing.influence.strongest(features)
        outcomes = np.array([key in self._evaluated for key in keys.tolist()], bool)

        def belief(some: NDArray[np.bool_], variance: Reals) -> _Belief:
            told = Guess(guess.mean[some], variance[some], guess.support[some])
            near_ids = self._placing.trained[near.places[some]]
            return _Belief(keys[some], told, near_ids, near.weights[some])

        cold = (guess.support >= LEAST_SUPPORT) & ~outcomes
        mean = guess.variance.mean(axis=1, keepdims=True)
        return _Beliefs(belief(outcomes, guess.variance), belief(cold, mean))


def _rows(
    parts: Iterable[Sequence[_Beliefs]], placing: Placing, seen: _Seen
) -> Iterator[Mapping[str, Column]]:
    """Yield rows of vectors, those of one kind together, part by part."""
    for beliefs in parts:
        for folded, cold in beliefs:
            if len(folded.keys):
                guess = seen.fold(folded.keys, folded.guess, placing.together)
                right = folded._replace(guess=guess)
                yield _columns("folded", right, placing.scale**FOLDED_SCALE)
            if len(cold.keys):
                yield _columns("cold", cold, placing.scale)


def _columns(kind: str, told: _Belief, scale: float) -> Mapping[str, Column]:
    deviation = scale * np.sqrt(told.guess.variance.mean(axis=1))
    return {
        "model_id": told.keys,
        "kind": kind,
        "vector": told.guess.mean.astype(np.float32),
        "uncertainty": deviation.astype(np.float32),
        "support": told.guess.support.astype(np.float32),
        "near_ids": Arrays(told.near_ids),
        "near_weights": Arrays(told.near_weights),
    }


def _counted(
    parts: Iterator[Mapping[str, Column]], placed: Placed, total: int, watch: Watcher
) -> Iterator[Mapping[str, Column]]:
    for part in parts:
        keys = part["model_id"]
        assert isinstance(keys, np.ndarray)
        if part["kind"] == "folded":
            placed.folded += len(keys)
        else:
            placed.cold += len(keys)
        watch("placing models", placed.trained + placed.folded + placed.cold, total)
        yield part
