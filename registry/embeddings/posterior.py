"""Posterior of model vectors: from the catalog (cold) and from outcomes (folded in)."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from registry.db.binary_copy import Arrays, Column
from registry.embeddings import model_features
from registry.embeddings import read as vectors
from registry.embeddings.placement_state import FittedPlacement
from registry.embeddings.versions import EmbeddingVersion
from registry.evaluations.outcomes import read_outcomes
from registry.learning.coldstart import fold_in
from registry.learning.coldstart.features import Description
from registry.learning.coldstart.fold_in import Items
from registry.learning.coldstart.gp import AT_ONCE, Guess, Guesser
from registry.learning.coldstart.pca import Reals

LEAST_SUPPORT = 0.05
"""Share of a model's own likeness that trained models have to explain for a guess to be kept."""


FOLDED_SCALE = 0.5
"""Power of the scale of deviations that holds for folded models: outcomes correct half of it."""


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
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
    def read(
        cls, connection: Connection, version: EmbeddingVersion, models: Mapping[str, int]
    ) -> "Seen":
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


class Believer:
    """Tells what is believed of models, but not what their outcomes correct; can be pickled.

    Args:
        fitted: what was learned.
        evaluated: keys of models that have outcomes.
    """

    def __init__(self, fitted: FittedPlacement, evaluated: frozenset[int]) -> None:
        self._placing, self._evaluated = fitted, evaluated
        self._guesser = Guesser(fitted.prior)

    def of_part(self, part: model_features.ModelBatch) -> list[_Beliefs]:
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


def vector_rows(
    parts: Iterable[Sequence[_Beliefs]], fitted: FittedPlacement, seen: Seen
) -> Iterator[Mapping[str, Column]]:
    """Yield rows of vectors, those of one kind together, part by part."""
    for beliefs in parts:
        for folded, cold in beliefs:
            if len(folded.keys):
                guess = seen.fold(folded.keys, folded.guess, fitted.together)
                right = folded._replace(guess=guess)
                yield _columns("folded", right, fitted.scale**FOLDED_SCALE)
            if len(cold.keys):
                yield _columns("cold", cold, fitted.scale)


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
