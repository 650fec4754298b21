"""The fast routers that are served, as methods that an evaluation fits: knn and factorization.

Both are parts of what a training stores: `registry.route_knn` and `registry.route` compute the same
from the same outcomes.
"""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from registry.learning.factorization.irt import ItemResponse
from registry.learning.factorization.problem import (
    CPU,
    Context,
    ItemTexts,
    Matrix,
    Problem,
    sigmoid,
)
from registry.learning.factorization.selection import rank_for, with_serving
from registry.learning.routing.route_baselines import ModelMeans
from registry.learning.routing.router_blend import learn_blend
from registry.learning.routing.routing_problem import (
    FittedRouter,
    RoutePredictions,
    RoutingProblem,
)
from registry.learning.routing.served_blend import ServedBlend


@dataclass(frozen=True, slots=True)
class ServedNeighbours:
    """Mean outcomes on the nearest items, with the settings that are chosen for the blend."""

    @property
    def name(self) -> str:
        """Name of the method."""
        return "knn"

    def fit(self, problem: RoutingProblem, context: Context = CPU) -> "FittedNeighbours":
        """Choose settings on items that were left out."""
        return FittedNeighbours(learn_blend(problem, context).served)


@dataclass(frozen=True, slots=True, eq=False)
class FittedNeighbours:
    """Fitted router.

    Attributes:
        served: what is stored, of which the neighbours are a part.
    """

    served: ServedBlend

    def predict(self, vectors: Matrix) -> RoutePredictions:
        """Return predictions; see `FittedRouter.predict`."""
        return RoutePredictions(*self.served.neighbours(vectors))


@dataclass(frozen=True, slots=True)
class ServingVectors:
    """Vectors of models whose inner product with that of a prompt is the logit of being right.

    The item response model of the rank that a training takes, whose vectors of items are regressed
    on their texts. Where fewer items have outcomes than that needs
    (`registry.learning.factorization.serving.LEAST_ITEMS`), a training stores no serving vectors;
    the means of models stand in for them here.
    """

    @property
    def name(self) -> str:
        """Name of the method."""
        return "factorization"

    def fit(self, problem: RoutingProblem, context: Context = CPU) -> FittedRouter:
        """Learn the vectors."""
        models, items = problem.outcomes.shape
        method = ItemResponse(rank=rank_for(models, items), prior=0.5, sweeps=20)
        texts = ItemTexts(
            problem.vectors, np.zeros((items, 0), np.float32), csr_array((items, 0), dtype=float)
        )
        whole = Problem(problem.outcomes, texts)
        serving = with_serving(method.fit(whole, context=context), whole).serving
        if serving is None:
            return ModelMeans().fit(problem, context)
        return FittedVectors(serving)


@dataclass(frozen=True, slots=True, eq=False)
class FittedVectors:
    """Fitted router.

    Attributes:
        serving: float32, M x (T + 1): of models; the last entry is added to the inner product.
    """

    serving: Matrix

    def predict(self, vectors: Matrix) -> RoutePredictions:
        """Return predictions; serving vectors do not say how sure they are (deviations are NaN)."""
        found = sigmoid(vectors @ self.serving[:, :-1].T + self.serving[:, -1])
        return RoutePredictions(found.astype(np.float32), np.full(found.shape, np.nan, np.float32))
