"""Blend of methods: a weighted sum of their logits, with weights fitted to held-out outcomes.

Stacking (Wolpert 1992) by logistic regression with nonnegative weights (Breiman 1996): one
regression for items with outcomes and one for items without, which other methods predict best.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from registry.learning.factorization.portions import cost, portions
from registry.learning.factorization.problem import (
    CPU,
    Columns,
    Context,
    Fit,
    Mask,
    Matrix,
    Method,
    Problem,
    log_odds,
    sigmoid,
)

Weights: TypeAlias = tuple[float, ...]
"""A weight for each method, and the intercept."""

LEAST_CELLS = 50
"""With fewer held-out outcomes, all methods have the same weight."""


@dataclass(frozen=True, slots=True)
class Blend:
    """Methods and their weights.

    Attributes:
        parts: the methods.
        known: weights on items with outcomes; None before they are fitted.
        new: weights on items without.
    """

    parts: tuple[Method, ...]
    known: Weights | None = None
    new: Weights | None = None

    @property
    def name(self) -> str:
        """Name of the method."""
        return "blend"

    def fit(self, problem: Problem, check: Matrix | None = None, context: Context = CPU) -> Fit:
        """Fit the parts, and their weights to `check`; see `Method.fit`."""
        costs = [cost(part, problem.outcomes.shape) for part in self.parts]
        fits = [
            part.fit(problem, check, portion)
            for part, portion in zip(self.parts, portions(costs, context), strict=True)
        ]
        return self.of(fits, problem, check)

    def of(self, fits: Sequence[Fit], problem: Problem, check: Matrix | None = None) -> Fit:
        """Blend methods that are already fitted to the problem."""
        known_items = problem.observed_items
        chosen = replace(self, parts=tuple(fit.method for fit in fits))
        if check is not None:
            chosen = replace(
                chosen,
                known=fitted_weights(fits, check, known_items),
                new=fitted_weights(fits, check, ~known_items),
            )
        uniform = (*(1 / len(fits) for _ in fits), 0.0)
        known, new = np.array(chosen.known or uniform), np.array(chosen.new or uniform)

        def predict(columns: Columns) -> Matrix:
            weights = np.where(known_items[columns][:, None], known, new).astype(np.float32)
            logits = sum(
                weights[:, place] * log_odds(fit.predict(columns))
                for place, fit in enumerate(fits)
                if weights[:, place].any()
            )
            logits = logits + weights[:, -1] + np.zeros((len(problem.outcomes), 1), np.float32)
            return sigmoid(logits)

        factors = next((fit.factors for fit in fits if fit.factors is not None), None)
        serving = next((fit.serving for fit in fits if fit.serving is not None), None)
        notes = {fit.method.name: fit.notes for fit in fits}
        return Fit(chosen, predict, factors, serving, notes)


def fitted_weights(fits: Sequence[Fit], check: Matrix, columns: Mask) -> Weights | None:
    """Fit the weights of methods to held-out outcomes.

    Args:
        fits: of one problem.
        check: float32, M x N: the held-out outcomes, NaN elsewhere.
        columns: bool, N: the items to use.

    Returns:
        Weights; None where too few outcomes of those items are held out.
    """
    items = np.flatnonzero(columns & ~np.isnan(check).all(axis=0))
    held = check[:, items]
    cells = ~np.isnan(held)
    if cells.sum() < LEAST_CELLS:
        return None
    logits = np.stack([log_odds(fit.predict(items)[cells]) for fit in fits], axis=1)
    return _logistic(logits, held[cells])


def _logistic(logits: Matrix, outcomes: NDArray[np.float32]) -> Weights:
    features = torch.from_numpy(logits).double()
    targets = torch.from_numpy(outcomes).double()
    count = logits.shape[1]
    # Weights are squares, so that none is negative; all start equal.
    roots = torch.full((count,), (1 / count) ** 0.5, dtype=torch.float64, requires_grad=True)
    intercept = torch.zeros((), dtype=torch.float64, requires_grad=True)
    solver = torch.optim.LBFGS(
        [roots, intercept], max_iter=200, line_search_fn="strong_wolfe", tolerance_change=1e-10
    )

    def loss() -> torch.Tensor:
        solver.zero_grad()
        value = torch.nn.functional.binary_cross_entropy_with_logits(
            features @ roots**2 + intercept, targets
        )
        # A small ridge penalty: methods that predict the same share the weight.
        value = value + 1e-4 * (roots**4).sum()
        value.backward()  # type: ignore[no-untyped-call] # torch ships it so
        return value

    solver.step(loss)  # type: ignore[no-untyped-call] # torch ships it so
    return (*(float(root) ** 2 for root in roots.detach()), float(intercept.detach()))
