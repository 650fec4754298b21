"""Several methods as one: their logits weighted, the weights found on held-out outcomes.

Stacking (Wolpert 1992) by a logistic regression with weights that are not negative (Breiman 1996),
one for items that have outcomes and one for items that have none, since what is known of the two
differs.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from registry.learning.factorization.problem import (
    Columns,
    Fit,
    Mask,
    Matrix,
    Method,
    Problem,
    clipped,
    log_odds,
)
from registry.workers import Progress, no_progress

Weights: TypeAlias = tuple[float, ...]
"""One a method, and the intercept."""

LEAST_CELLS = 50
"""Fewer held-out outcomes than these choose nothing: the methods count alike."""


@dataclass(frozen=True, slots=True)
class Blend:
    """Methods and how much each counts.

    Attributes:
        parts: the methods.
        known: weights on items with outcomes; None before they are found.
        new: weights on items without.
    """

    parts: tuple[Method, ...]
    known: Weights | None = None
    new: Weights | None = None

    @property
    def name(self) -> str:
        """What the method is called."""
        return "blend"

    def fit(
        self,
        problem: Problem,
        check: Matrix | None = None,
        *,
        device: str = "cpu",
        seed: int = 0,
        on_progress: Progress = no_progress,
    ) -> Fit:
        """Fit the parts, and find their weights on `check`; see `Method.fit`."""
        fits = [
            part.fit(problem, check, device=device, seed=seed, on_progress=on_progress)
            for part in self.parts
        ]
        return self.of(fits, problem, check)

    def of(self, fits: Sequence[Fit], problem: Problem, check: Matrix | None = None) -> Fit:
        """Blend methods that were fitted to a problem already."""
        told = problem.told
        chosen = replace(self, parts=tuple(fit.method for fit in fits))
        if check is not None:
            chosen = replace(chosen, known=weigh(fits, check, told), new=weigh(fits, check, ~told))
        alike = (*(1 / len(fits) for _ in fits), 0.0)
        known, new = np.array(chosen.known or alike), np.array(chosen.new or alike)

        def predict(columns: Columns) -> Matrix:
            weights = np.where(told[columns][:, None], known, new).astype(np.float32)
            logits = sum(
                weights[:, place] * log_odds(fit.predict(columns))
                for place, fit in enumerate(fits)
                if weights[:, place].any()
            )
            logits = logits + weights[:, -1] + np.zeros((len(problem.outcomes), 1), np.float32)
            return clipped(np.asarray(1 / (1 + np.exp(-logits)), np.float32))

        factors = next((fit.factors for fit in fits if fit.factors is not None), None)
        serving = next((fit.serving for fit in fits if fit.serving is not None), None)
        notes = {fit.method.name: fit.notes for fit in fits}
        return Fit(chosen, predict, factors, serving, notes)


def weigh(fits: Sequence[Fit], check: Matrix, columns: Mask) -> Weights | None:
    """Find the weights of fitted methods that do best on held-out outcomes.

    Args:
        fits: of one problem.
        check: float32, M x N: the held-out outcomes, NaN elsewhere.
        columns: bool, N: the items that count.

    Returns:
        Weights; None where too few outcomes are held out there.
    """
    asked = np.flatnonzero(columns & ~np.isnan(check).all(axis=0))
    held = check[:, asked]
    cells = ~np.isnan(held)
    if cells.sum() < LEAST_CELLS:
        return None
    logits = np.stack([log_odds(fit.predict(asked)[cells]) for fit in fits], axis=1)
    return _logistic(logits, held[cells])


def _logistic(logits: Matrix, outcomes: NDArray[np.float32]) -> Weights:
    features = torch.from_numpy(logits).double()
    told = torch.from_numpy(outcomes).double()
    count = logits.shape[1]
    # Weights are squares, so that none is negative; they start out alike.
    roots = torch.full((count,), (1 / count) ** 0.5, dtype=torch.float64, requires_grad=True)
    intercept = torch.zeros((), dtype=torch.float64, requires_grad=True)
    solver = torch.optim.LBFGS(
        [roots, intercept], max_iter=200, line_search_fn="strong_wolfe", tolerance_change=1e-10
    )

    def loss() -> torch.Tensor:
        solver.zero_grad()
        value = torch.nn.functional.binary_cross_entropy_with_logits(
            features @ roots**2 + intercept, told
        )
        # A breath of ridge: of methods that say the same, none takes it all.
        value = value + 1e-4 * (roots**4).sum()
        value.backward()  # type: ignore[no-untyped-call] # torch ships it so
        return value

    solver.step(loss)  # type: ignore[no-untyped-call] # torch ships it so
    return (*(float(root) ** 2 for root in roots.detach()), float(intercept.detach()))
