"""SimRMF: factorization with a similarity graph between models as regulariser.

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
from registry.learning.factorization.mf import Factorization, FreeFactorization, Penalty
from registry.learning.factorization.problem import (
    CPU,
    Columns,
    Context,
    Factors,
    Fit,
    Mask,
    Matrix,
    Problem,
    clipped,
)
from registry.learning.metrics import log_loss

STRENGTHS = (0.0, 0.01, 0.1, 1.0, 10.0)
"""Candidate values of lambda; 0 is plain factorization."""

EPSILON = 0.1
"""Weight of the mean of all vectors beside those of similar models."""

LEAST_GAIN = 1e-3
"""Relative decrease of the validation loss that justifies the graph."""

SHARE = 0.1
"""Share of the evaluated models that are held out whole for validation."""

LEAST_SHARE = 0.1
"""Share of a model's largest similarity below which the oracle's graph has no edge."""

SHARPNESS = 16
"""Power of the correlations in the oracle's graph."""


@dataclass(frozen=True, slots=True)
class SimilarityFactorization:
    """Factorization regularised by a graph.

    Attributes:
        base: the factorization, free or on texts.
        strength: lambda; 0 uses the graph for the cold start alone.
    """

    base: Factorization = field(default_factory=FreeFactorization)
    strength: float = 0.1

    @property
    def name(self) -> str:
        """Name of the method."""
        return "simrmf"

    def fit(
        self,
        problem: Problem,
        graph: csr_array,
        check: Matrix | None = None,
        context: Context = CPU,
    ) -> Fit:
        """Learn vectors of models with outcomes, and predict those of the others from the graph.

        Args:
            problem: outcomes of M models; rows without any are cold-start models.
            graph: M x M, symmetric, at least 0.
            check: as in `Method.fit`.
            context: device, seed and progress.

        Raises:
            ValueError: for a graph of another number of models.
        """
        if graph.shape != (len(problem.outcomes),) * 2:
            raise ValueError(f"The graph {graph.shape} is not one of these models.")
        penalty = _laplacian(graph, self.strength, context.device) if self.strength else None
        warm = np.asarray(problem.observed.any(axis=1))
        # Without the penalty, vectors of models without outcomes would stay as initialised.
        rows = np.arange(len(warm)) if penalty else np.flatnonzero(warm)
        trained_on = replace(problem, outcomes=problem.outcomes[rows])
        held = None if check is None else check[rows]
        fit = self.base.fit(trained_on, held, context, penalty)
        assert fit.factors is not None
        vectors = np.zeros((len(warm), fit.factors.models.shape[1]), np.float32)
        vectors[rows] = fit.factors.models
        factors = replace(fit.factors, models=cold_start(vectors, graph, warm))
        predict = _predictor(fit, rows, factors, warm, problem.observed_items)
        return Fit(fit.method, predict, factors)


@dataclass(frozen=True, slots=True, eq=False)
class StrengthChoice:
    """Lambda chosen on validation models.

    Attributes:
        method: with the chosen strength.
        graphed: whether the graph is used at all; if not, a cold model gets the mean vector.
        losses: log loss of the validation models: without a graph, then for each of `STRENGTHS`.
    """

    method: SimilarityFactorization
    graphed: bool
    losses: Sequence[float]


def choose(
    problem: Problem,
    graph: csr_array,
    base: Factorization | None = None,
    context: Context = CPU,
) -> StrengthChoice:
    """Choose lambda on evaluated models whose outcomes are all held out, as in a cold start.

    Args:
        problem: outcomes of M models.
        graph: M x M.
        base: the factorization; None is a free one.
        context: device, seed and progress.

    Raises:
        UsageError: for fewer than three evaluated models.
    """
    base = base or FreeFactorization()
    warm = np.flatnonzero(problem.observed.any(axis=1))
    if len(warm) < 3:  # noqa: PLR2004 - one to hold out, two to learn from
        raise UsageError(f"Lambda is chosen on 3 evaluated models; there are {len(warm)}.")
    rng = np.random.default_rng((context.seed, 2))
    held = rng.permutation(warm)[: max(1, round(SHARE * len(warm)))]
    hidden = np.zeros(problem.outcomes.shape, bool)
    hidden[held] = True
    rest, items = problem.without(hidden), np.flatnonzero(problem.observed_items)
    outcomes = problem.outcomes[held][:, items]
    cells = ~np.isnan(outcomes)

    def loss(strength: float, similar: csr_array) -> float:
        fit = SimilarityFactorization(base, strength).fit(rest, similar, context=context)
        return log_loss(outcomes[cells], fit.predict(items)[held][cells])

    empty = csr_array(graph.shape)
    losses = [loss(0.0, empty), *(loss(strength, graph) for strength in STRENGTHS)]
    best = int(np.argmin(losses))
    graphed = losses[best] < losses[0] * (1 - LEAST_GAIN)
    strength = STRENGTHS[best - 1] if graphed else 0.0
    return StrengthChoice(SimilarityFactorization(base, strength), graphed, losses)


def learn(
    problem: Problem,
    graph: csr_array,
    base: Factorization | None = None,
    context: Context = CPU,
) -> tuple[Fit, StrengthChoice]:
    """Choose lambda, and fit with it; where the graph does not help, this is plain factorization.

    Arguments and errors are those of `choose`. With an empty graph nothing is chosen.
    """
    if not graph.nnz:
        plain = SimilarityFactorization(base or FreeFactorization(), 0.0)
        chosen = StrengthChoice(plain, graphed=False, losses=[])
    else:
        chosen = choose(problem, graph, base, context)
    similar = graph if chosen.graphed else csr_array(graph.shape)
    return chosen.method.fit(problem, similar, context=context), chosen


def cold_start(vectors: Matrix, graph: csr_array, warm: Mask) -> Matrix:
    """Return vectors, M x d, with those of cold models predicted from similar warm ones.

    Args:
        vectors: M x d, trained.
        graph: M x M.
        warm: bool, M: which models have outcomes.
    """
    cold = np.flatnonzero(~warm)
    if not len(cold):
        return vectors
    near = graph[cold][:, np.flatnonzero(warm)]
    trained = vectors[warm]
    centre = trained.mean(axis=0)
    weight = np.asarray(near.sum(axis=1)).reshape(-1, 1)
    completed = vectors.copy()
    completed[cold] = (near @ trained + EPSILON * centre) / (weight + EPSILON)
    return completed


def oracle_graph(outcomes: Matrix) -> csr_array:
    """Return the graph of the models' true correlations: an upper bound, for evaluation only.

    Args:
        outcomes: M x N, all observed, those of held-out models included.
    """
    similar = outcome_correlations(outcomes)
    np.fill_diagonal(similar, 0)
    # Edges that weigh little beside a model's largest only cost time.
    similar[similar < LEAST_SHARE * similar.max(axis=1, keepdims=True)] = 0
    return csr_array(np.maximum(similar, similar.T))


def outcome_correlations(outcomes: Matrix) -> Matrix:
    """Return positive correlations of the models' outcomes to the 16th power, M x M."""
    rest = outcomes - outcomes.mean(axis=1, keepdims=True)
    rest /= np.maximum(np.linalg.norm(rest, axis=1, keepdims=True), 1e-9)
    similar: Matrix = np.maximum(rest @ rest.T, 0) ** SHARPNESS
    return similar


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
            product = laplacian @ vectors
        # L is symmetric: with L P as a constant, the value is tr(P' L P) and the gradient 2 L P.
        return 2 * (vectors * product).sum() - (vectors.detach() * product).sum()

    return penalty


def _predictor(
    fit: Fit,
    rows: NDArray[np.intp],
    factors: Factors,
    warm: Mask,
    observed: Mask,
) -> Callable[[Columns], Matrix]:
    """Return predictions of cold models by the factors, of all others by the fit."""
    cold = np.flatnonzero(~warm)
    # A free vector of an item without outcomes is untrained: use the mean item instead.
    untrained = ~observed if isinstance(fit.method, FreeFactorization) else np.zeros_like(observed)
    items, offsets = factors.items.copy(), factors.offsets.copy()
    if untrained.any() and observed.any():
        items[untrained] = items[observed].mean(axis=0)
        offsets[untrained] = offsets[observed].mean()

    def predict(columns: Columns) -> Matrix:
        probabilities = np.empty((len(warm), len(columns)), np.float32)
        probabilities[rows] = fit.predict(columns)
        logits = factors.models[cold] @ items[columns].T + offsets[columns]
        probabilities[cold] = expit(logits)
        return clipped(probabilities)

    return predict
