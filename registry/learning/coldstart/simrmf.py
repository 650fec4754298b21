"""SimRMF as the paper has it: factorization that draws similar models' vectors together.

Loss + lambda / 2 sum_uv S_uv |p_u - p_v|^2, which is lambda tr(P' L P) with the Laplacian L of the
graph S, over all models, evaluated or not (METHODS.md section 2). A model without outcomes then
gets p_u = (sum_v S_uv p_v + eps mean) / (sum_v S_uv + eps). The sum is divided by the weight of the
whole graph, so that a lambda means the same for any number of models.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array, diags_array
from scipy.special import expit
from torch import Tensor

from registry.errors import UsageError
from registry.learning.factorization.mf import FreeFactorization, Penalty, TextFactorization
from registry.learning.factorization.problem import (
    Columns,
    Factors,
    Fit,
    Matrix,
    Problem,
    clipped,
)
from registry.learning.metrics import log_loss
from registry.workers import Progress, no_progress

STRENGTHS = (0.0, 0.01, 0.1, 1.0, 10.0)
"""Values of lambda that are tried; 0 is plain factorization."""

EPSILON = 0.1
"""Weight of the mean of all vectors beside those of similar models."""

LEAST_GAIN = 1e-3
"""Share of the log loss on validation by which a graph has to help to be used."""

SHARE = 0.1
"""Of the evaluated models, held out whole to choose lambda by."""

LEAST_SHARE = 0.1
"""Of its largest similarity, what a model's others have to reach in the oracle's graph."""

SHARPNESS = 16
"""Power of correlations that the oracle's graph is made of."""


@dataclass(frozen=True, slots=True)
class SimilarityFactorization:
    """Factorization with a graph.

    Attributes:
        base: the factorization, free or on texts.
        strength: lambda; 0 leaves the graph to the cold start alone.
    """

    base: FreeFactorization | TextFactorization = field(default_factory=FreeFactorization)
    strength: float = 0.1

    @property
    def name(self) -> str:
        """What the method is called."""
        return "simrmf"

    def fit(
        self,
        problem: Problem,
        graph: csr_array,
        check: Matrix | None = None,
        *,
        device: str = "cpu",
        seed: int = 0,
        on_progress: Progress = no_progress,
    ) -> Fit:
        """Learn vectors of models with outcomes, and give others those of similar ones.

        Args:
            problem: outcomes of M models; rows without any are models to start cold.
            graph: M x M, symmetric, at least 0.
            check: as `Method.fit`.
            device: a device of torch.
            seed: of all that is random.
            on_progress: receives the progress.

        Raises:
            ValueError: when the graph is not one of the problem's models.
        """
        if graph.shape != (len(problem.outcomes),) * 2:
            raise ValueError(f"The graph {graph.shape} is not one of these models.")
        penalty = _laplacian(graph, self.strength, device) if self.strength else None
        warm = np.asarray(problem.observed.any(axis=1))
        # Nothing moves the vectors of models without outcomes but the graph.
        rows = np.arange(len(warm)) if penalty else np.flatnonzero(warm)
        some = replace(problem, outcomes=problem.outcomes[rows])
        held = None if check is None else check[rows]
        fit = self.base.regularised(
            some, penalty, held, device=device, seed=seed, on_progress=on_progress
        )
        assert fit.factors is not None
        vectors = np.zeros((len(warm), fit.factors.models.shape[1]), np.float32)
        vectors[rows] = fit.factors.models
        factors = replace(fit.factors, models=cold_start(vectors, graph, warm))
        return Fit(fit.method, _predictor(fit, rows, factors, warm, problem.told), factors)


@dataclass(frozen=True, slots=True, eq=False)
class Chosen:
    """What validation chose.

    Attributes:
        method: with the strength that was chosen.
        graphed: whether the graph helps at all; if not, a cold model gets the mean vector.
        losses: log loss of whole held-out models by the strengths tried; that of the mean vector
            comes first.
    """

    method: SimilarityFactorization
    graphed: bool
    losses: Sequence[float]


def choose(
    problem: Problem,
    graph: csr_array,
    base: FreeFactorization | TextFactorization | None = None,
    *,
    device: str = "cpu",
    seed: int = 0,
) -> Chosen:
    """Choose lambda on evaluated models that are held out whole, as cold ones are.

    Args:
        problem: outcomes of M models.
        graph: M x M.
        base: the factorization; None is a free one.
        device: a device of torch.
        seed: of the choice of models and of the descent.

    Raises:
        UsageError: with fewer than three evaluated models.
    """
    base = base or FreeFactorization()
    warm = np.flatnonzero(problem.observed.any(axis=1))
    if len(warm) < 3:  # noqa: PLR2004 - one to hold out, two to learn from
        raise UsageError(f"Lambda is chosen on 3 evaluated models; there are {len(warm)}.")
    held = np.random.default_rng((seed, 2)).permutation(warm)[: max(1, round(SHARE * len(warm)))]
    hidden = np.zeros(problem.outcomes.shape, bool)
    hidden[held] = True
    rest, told = problem.without(hidden), np.flatnonzero(problem.told)
    empty = csr_array(graph.shape)

    def loss(strength: float, similar: csr_array) -> float:
        fit = SimilarityFactorization(base, strength).fit(rest, similar, device=device, seed=seed)
        asked = problem.outcomes[held][:, told]
        seen = ~np.isnan(asked)
        return log_loss(asked[seen], fit.predict(told)[held][seen])

    losses = [loss(0.0, empty), *(loss(strength, graph) for strength in STRENGTHS)]
    best = int(np.argmin(losses))
    if losses[best] >= losses[0] * (1 - LEAST_GAIN):
        return Chosen(SimilarityFactorization(base, 0.0), graphed=False, losses=losses)
    return Chosen(SimilarityFactorization(base, STRENGTHS[best - 1]), graphed=True, losses=losses)


def learn(
    problem: Problem,
    graph: csr_array,
    base: FreeFactorization | TextFactorization | None = None,
    *,
    device: str = "cpu",
    seed: int = 0,
) -> tuple[Fit, Chosen]:
    """Choose lambda, and fit with it; where the graph does not help, this is plain factorization.

    Arguments and errors are those of `choose`; of an empty graph, there is nothing to choose.
    """
    base = base or FreeFactorization()
    if not graph.nnz:
        plain = SimilarityFactorization(base, 0.0)
        found = plain.fit(problem, graph, device=device, seed=seed)
        return found, Chosen(plain, graphed=False, losses=[])
    chosen = choose(problem, graph, base, device=device, seed=seed)
    similar = graph if chosen.graphed else csr_array(graph.shape)
    return chosen.method.fit(problem, similar, device=device, seed=seed), chosen


def cold_start(vectors: Matrix, graph: csr_array, warm: NDArray[np.bool_]) -> Matrix:
    """Return vectors, M x d, those of models without outcomes from similar ones that have some.

    Args:
        vectors: M x d, trained.
        graph: M x M.
        warm: bool, M: which have outcomes.
    """
    cold = np.flatnonzero(~warm)
    if not len(cold):
        return vectors
    near = graph[cold][:, np.flatnonzero(warm)]
    trained = vectors[warm]
    centre = trained.mean(axis=0)
    weight = np.asarray(near.sum(axis=1)).reshape(-1, 1)
    found = vectors.copy()
    found[cold] = (near @ trained + EPSILON * centre) / (weight + EPSILON)
    return found


def oracle_graph(outcomes: Matrix) -> csr_array:
    """Return a graph of the models' true outcomes: an upper bound, for evaluation only.

    Args:
        outcomes: M x N, all observed, of held-out models, too.
    """
    rest = outcomes - outcomes.mean(axis=1, keepdims=True)
    rest /= np.maximum(np.linalg.norm(rest, axis=1, keepdims=True), 1e-9)
    similar = np.maximum(rest @ rest.T, 0) ** SHARPNESS
    np.fill_diagonal(similar, 0)
    # What weighs next to nothing beside a model's nearest only costs time.
    similar[similar < LEAST_SHARE * similar.max(axis=1, keepdims=True)] = 0
    return csr_array(np.maximum(similar, similar.T))


def _laplacian(graph: csr_array, strength: float, device: str) -> Penalty:
    """Return strength / 2 sum S |p_u - p_v|^2 / sum S, which is strength tr(P' L P) / sum S."""
    total = max(float(graph.sum()), 1e-12)
    edges = (
        (diags_array(np.asarray(graph.sum(axis=1)).ravel()) - graph) * (strength / total)
    ).tocoo()
    places = torch.from_numpy(np.stack([edges.row, edges.col]).astype(np.int64))
    values = torch.from_numpy(edges.data.astype(np.float32))
    laplacian = torch.sparse_coo_tensor(
        places, values, graph.shape, device=device, check_invariants=False
    ).coalesce()

    def penalty(vectors: Tensor) -> Tensor:
        with torch.no_grad():
            pulled = laplacian @ vectors
        # L is symmetric: this has the value and, with L P taken for constant, the gradient 2 L P.
        return 2 * (vectors * pulled).sum() - (vectors.detach() * pulled).sum()

    return penalty


def _predictor(
    fit: Fit,
    rows: NDArray[np.intp],
    factors: Factors,
    warm: NDArray[np.bool_],
    told: NDArray[np.bool_],
) -> Callable[[Columns], Matrix]:
    """Return predictions of models that start cold by the factors, of all others by the fit."""
    cold = np.flatnonzero(~warm)
    # A free vector of an item without outcomes says nothing: the item is taken for a mean one.
    blind = ~told if isinstance(fit.method, FreeFactorization) else np.zeros_like(told)
    items, offsets = factors.items.copy(), factors.offsets.copy()
    if blind.any() and told.any():
        items[blind], offsets[blind] = items[told].mean(axis=0), offsets[told].mean()

    def predict(columns: Columns) -> Matrix:
        found = np.empty((len(warm), len(columns)), np.float32)
        found[rows] = fit.predict(columns)
        logits = factors.models[cold] @ items[columns].T + offsets[columns]
        found[cold] = expit(logits)
        return clipped(found)

    return predict
