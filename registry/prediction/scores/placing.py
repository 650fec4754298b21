"""Abilities of models in a version: those with scores, and all others by the catalog."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from registry.db.binary_copy import Arrays, Column
from registry.embeddings.model_features import ModelBatch
from registry.enums import EvidenceKind
from registry.learning.arrays import Places, Reals
from registry.learning.coldstart.features import Description, Featurizer
from registry.learning.scores import evidence
from registry.learning.scores.model_features import ModelFeatureSpace
from registry.learning.scores.score_estimate import (
    EstimatedFactors,
    ScaledFactors,
    ScoreAbilities,
)


class PlacedModels(NamedTuple):
    """Abilities of n models, and what they rest on.

    Attributes:
        keys: int64, n.
        abilities: of the models.
        near: places of the models with scores that weigh most in the prior, n x s.
        weights: theirs, float32, n x s.
        blocks: int64, n: bits of the blocks that they, or without scores those near, have scores
            in.
    """

    keys: NDArray[np.int64]
    abilities: ScoreAbilities
    near: NDArray[np.int64]
    weights: NDArray[np.float32]
    blocks: NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class AbilityPlacer:
    """Function from the catalog's descriptions of models to their abilities; can be pickled.

    Attributes:
        featurizer: extracts features of models.
        space: maps them to features of the score model.
        estimate: the fitted factors.
        keys: int64, M: keys of the models with scores, ascending, the rows of its prior.
        blocks: int64, M: bits of the blocks that they have scores in.
        benchmarks: int64, B: keys of the benchmarks of the estimate.
    """

    featurizer: Featurizer
    space: ModelFeatureSpace
    estimate: ScaledFactors
    keys: NDArray[np.int64]
    blocks: NDArray[np.int64]
    benchmarks: NDArray[np.int64]

    def prior(self, descriptions: Sequence[Description]) -> tuple[Reals, ScoreAbilities]:
        """Return features of models, n x f, and the prior of their abilities."""
        blocks = self.featurizer.blocks(descriptions)
        features = self.space.features(blocks)
        return features, self.estimate.place(features, self.space.apart(blocks, features))

    def within(self, models: ModelBatch) -> "AbilityPlacer":
        """Return one that knows the authors and lineage of these models alone."""
        return replace(self, featurizer=self.featurizer.within(models.descriptions))

    def place(self, batch: ModelBatch) -> PlacedModels:
        """Return the abilities of those models of a batch that have no scores."""
        keys = np.array(batch.keys, np.int64)
        new = np.flatnonzero(~np.isin(keys, self.keys))
        features, prior = self.prior([batch.descriptions[place] for place in new.tolist()])
        near, weights = self.nearest(features, np.full(len(new), -1))
        blocks = np.bitwise_or.reduce(self.blocks[near], axis=1)
        return PlacedModels(keys[new], prior, near, weights, blocks)

    def nearest(
        self, features: Reals, own: Places
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return the models with scores that weigh most in the prior of others, n x s each.

        Args:
            features: n x f.
            own: n, place in `keys` of the model itself; -1 where it is not there.
        """
        if not len(features):
            return np.zeros((0, 0), np.int64), np.zeros((0, 0), np.float32)
        found = evidence.strongest(self.estimate, features, own)
        return found.places.astype(np.int64), found.weights.astype(np.float32)


def place(placer: AbilityPlacer, batch: ModelBatch) -> PlacedModels:
    """Place the models of a batch; a function of a module, for worker processes."""
    return placer.place(batch)


def support(estimate: EstimatedFactors, abilities: ScoreAbilities) -> NDArray[np.float32]:
    """Return the share of the variance of abilities that is known, n, in [0, 1].

    Dimensions count as much as they do in scores; over models with scores, abilities have a mean
    square of about 1.
    """
    worth = np.square(estimate.loadings).mean(axis=0)
    share = worth / max(float(worth.sum()), 1e-30)
    open_ = np.einsum("nii->ni", abilities.covariances) @ share
    known: NDArray[np.float32] = np.clip(1 - open_, 0, 1).astype(np.float32)
    return known


def rows(
    placed: PlacedModels,
    placer: AbilityPlacer,
    kind: EvidenceKind,
) -> Mapping[str, Column]:
    """Return rows of `store.abilities` of models with one kind of evidence, without version_id.

    Args:
        placed: n models.
        placer: that placed them.
        kind: of evidence.
    """
    abilities, rows = placed.abilities, np.arange(len(placed.keys))
    return {
        "model_id": placed.keys,
        "kind": str(kind),
        "score_count": abilities.own.astype(np.int32),
        "support": support(placer.estimate, abilities),
        "vector": abilities.means.astype(np.float32),
        "scale": abilities.scales[rows, (abilities.own > 0).astype(np.intp)].astype(np.float32),
        "blocks": placed.blocks,
        "spread": placer.estimate.model_vectors(abilities).astype(np.float32),
        "near_ids": Arrays(placer.keys[placed.near]),
        "near_weights": Arrays(placed.weights.astype(np.float32)),
    }


def by_kind(
    placed: PlacedModels, placer: AbilityPlacer, estimated: NDArray[np.bool_]
) -> Iterator[Mapping[str, Column]]:
    """Yield rows of `store.abilities` of models with and without scores, by kind of evidence.

    Args:
        placed: n models.
        placer: that placed them.
        estimated: bool, n: those with a score from some of a benchmark's items.
    """
    scored = placed.abilities.own > 0
    for kind, which in (
        (EvidenceKind.OUTCOMES, scored & estimated),
        (EvidenceKind.SCORES, scored & ~estimated),
        (EvidenceKind.CATALOG, ~scored),
    ):
        if which.any():
            yield rows(_those(placed, np.flatnonzero(which)), placer, kind)


def _those(placed: PlacedModels, which: Places) -> PlacedModels:
    abilities = placed.abilities.only(which)
    return PlacedModels(
        placed.keys[which],
        abilities,
        placed.near[which],
        placed.weights[which],
        placed.blocks[which],
    )
