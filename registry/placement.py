"""Vectors of models that a version was not trained on, in its space.

A model with outcomes gets the vector that fits them, starting from what is believed of it
(folded); one without gets what is believed (cold): the guess of a Gaussian process over what the
catalog says of it, learned from the trained models (`registry.coldstart`). A model of which nothing
is known that trained models share gets none.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from time import perf_counter

import numpy as np
import orjson
from numpy.typing import NDArray
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from registry import descriptions, joblog, vectors, versions
from registry.coldstart import laplace, prior
from registry.coldstart.description import Describer
from registry.coldstart.kernel import Kernel
from registry.coldstart.laplace import Items
from registry.coldstart.prior import LEAST_MODELS, Guess, Prior
from registry.db import exclusive, require_head, translated
from registry.errors import RegistryError
from registry.outcomes import read_outcomes
from registry.vector_tables import Column, replace_partition
from registry.vectors import Embeddings
from registry.versions import Version

JOB = "place"

LEAST_SUPPORT = 0.05
"""Share of a model's own likeness that trained models have to explain for a guess to be kept."""

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
        with exclusive(engine, JOB), joblog.recorded(engine, JOB) as job:
            placed = _placed(engine, watch)
            job.summary = {
                "version": placed.version,
                "folded": placed.folded,
                "cold": placed.cold,
                "left_out": placed.left_out,
            }
            return placed
    except DBAPIError as error:
        raise translated(error, doing="place models") from error


def _placed(engine: Engine, watch: Watcher) -> Placed:
    began = perf_counter()
    with engine.connect() as connection:
        version = versions.read_version(connection)
        if version.models < LEAST_MODELS:
            raise RegistryError(
                f"Version {version.version} was trained on {version.models} models; to guess the "
                f"vectors of others takes {LEAST_MODELS}."
            )
        total = int(connection.scalar(text("SELECT count(*) FROM store.models")) or 0)
        watch("reading the catalog", 0, total)
        describer = Describer.of(part.descriptions for part in descriptions.stream(connection))
        known = vectors.read_embeddings(connection, version.version, kinds=["trained"])
        learned = _learned(connection, describer, known, version)
        seen = _Seen.read(connection, version, known)
    placer = _Placer(describer, learned, seen, frozenset(known.models))
    placed = Placed(version.version, len(known.models))
    with engine.begin() as connection:
        replace_partition(
            connection,
            "embeddings",
            version.version,
            "kind = 'trained'",
            _counted(placer.rows(connection), placed, total, watch),
        )
        placed.left_out = total - placed.trained - placed.folded - placed.cold
        connection.execute(
            text("""
            UPDATE store.embedding_versions SET placed_at = now(), likeness = :likeness
             WHERE version_id = :version"""),
            {
                "version": version.version,
                "likeness": orjson.dumps(dict(learned.kernel.weights)).decode(),
            },
        )
    placed.seconds = perf_counter() - began
    return placed


def _learned(
    connection: Connection, describer: Describer, known: Embeddings, version: Version
) -> Prior:
    """Fit what is believed of vectors, with the likeness of the last time if there was one."""
    rows = connection.execute(
        text("SELECT model_id, name FROM store.models WHERE name = ANY (:names)"),
        {"names": list(known.models)},
    )
    keys = {row.name: row.model_id for row in rows}
    part = descriptions.read(connection, list(keys.values()))
    places = {name: place for place, name in enumerate(known.models)}
    order = [places[each.name] for each in part.descriptions]
    kernel = None if version.likeness is None else Kernel(dict(version.likeness))
    return prior.fit(
        describer.blocks(part.descriptions),
        known.vectors[order].astype(np.float64),
        kernel=kernel,
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Seen:
    """Outcomes of models that were not trained on, of items that were.

    Attributes:
        items: N frozen ones.
        outcomes: float32, n x N; nan where not observed.
        rows: of the outcomes, by name of the model.
    """

    items: Items
    outcomes: NDArray[np.float32]
    rows: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def read(cls, connection: Connection, version: Version, known: Embeddings) -> "_Seen":
        columns, items = vectors.read_items(connection, version.version)
        frozen = Items(items[:, :-1], items[:, -1])
        fits = bool(columns) and items.shape[1] == version.dimension + 1
        names = _evaluated(connection, set(known.models)) if fits else []
        if not names:
            return cls(frozen, np.zeros((0, len(columns)), np.float32))
        benchmarks = sorted({f"{each.benchmark}@{each.version}" for each in columns})
        matrix = read_outcomes(connection, models=names, benchmarks=benchmarks)
        places = {column: place for place, column in enumerate(matrix.columns)}
        order = [places.get(column, -1) for column in columns]
        told = matrix.values[:, order]
        told[:, [place < 0 for place in order]] = np.nan
        rows = {
            name: row for row, name in enumerate(matrix.models) if not np.isnan(told[row]).all()
        }
        return cls(frozen, told, rows)


def _evaluated(connection: Connection, trained: set[str]) -> list[str]:
    names = connection.scalars(
        text("""
        SELECT m.name FROM store.models AS m
         WHERE EXISTS (SELECT FROM store.runs AS r
                        WHERE r.model_id = m.model_id AND r.right_bits IS NOT NULL)
         ORDER BY m.name""")
    )
    return [name for name in names if name not in trained]


@dataclass(frozen=True, slots=True, eq=False)
class _Placer:
    """What it takes to place models."""

    describer: Describer
    learned: Prior
    seen: _Seen
    trained: frozenset[str]

    def rows(self, connection: Connection) -> Iterator[Mapping[str, Column]]:
        """Yield rows of vectors, those of one kind together, part by part of the catalog."""
        for part in descriptions.stream(connection):
            rest = [
                at for at, each in enumerate(part.descriptions) if each.name not in self.trained
            ]
            keys = np.array([part.keys[at] for at in rest], np.int64)
            some = [part.descriptions[at] for at in rest]
            places = np.array([self.seen.rows.get(each.name, -1) for each in some], np.intp)
            guess = self._folded(self.learned.guess(self.describer.blocks(some)), places)
            kept = guess.support >= LEAST_SUPPORT
            for kind, chosen in (("folded", places >= 0), ("cold", kept & (places < 0))):
                if chosen.any():
                    variance = guess.variance[chosen].mean(axis=1)
                    yield {
                        "model_id": keys[chosen],
                        "kind": kind,
                        "vector": guess.mean[chosen].astype(np.float32),
                        "uncertainty": np.sqrt(variance).astype(np.float32),
                    }

    def _folded(self, guess: Guess, places: NDArray[np.intp]) -> Guess:
        """Correct the guesses of models that have outcomes, whose rows are at least 0."""
        some = np.flatnonzero(places >= 0)
        if not len(some):
            return guess
        before = Guess(guess.mean[some], guess.variance[some], guess.support[some])
        fitted = laplace.fold(before, self.seen.items, self.seen.outcomes[places[some]])
        mean, variance = guess.mean.copy(), guess.variance.copy()
        mean[some], variance[some] = fitted.mean, fitted.variance
        return Guess(mean, variance, guess.support)


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
