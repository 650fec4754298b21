"""Multidimensional item response model, fitted by variational Bayes.

The two-parameter logistic model in several dimensions: logit(m, i) = a_m . w_i + b_m + c_i, with
a_m ~ N(0, I) a model's abilities, w_i an item's discriminations (loadings), b_m a model's level and
c_i an item's easiness (minus its difficulty). All have Gaussian priors, whose variances are learned
(automatic relevance determination), and Gaussian posteriors: with few observations a posterior
stays near its prior, and predictions include its variance. The logistic function is bounded by the
quadratic of Jaakkola and Jordan (Bayesian parameter estimation via variational methods, 2000), so
each update solves a linear system in closed form: no learning rate. Graded outcomes count as
fractions of correct ones.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from registry.errors import UsageError
from registry.learning.factorization import distributed
from registry.learning.factorization.problem import (
    CPU,
    Columns,
    Context,
    Factors,
    Fit,
    Matrix,
    Problem,
    VectorEvidence,
    clipped,
)

CELLS_AT_ONCE = 1 << 22
"""Outcomes processed at a time: bounds memory beyond the outcomes themselves."""

START = 0
"""Seed of the start, the same for all trainings: the same outcomes give the same vectors."""

CHECK_EVERY = 3
"""Sweeps between two validation losses."""

MOST_RISE = 5e-3
"""Relative rise of the validation loss above its least, from which on sweeping stops there.

A smaller one is noise of the outcomes held out: stopping at the least made the vectors of the same
outcomes differ by seed, in 6% of neighbours.
"""


@dataclass(frozen=True, slots=True)
class ItemResponse:
    """Item response model of a given rank.

    Attributes:
        rank: dimensions of ability beside the level; 0 is the Rasch model.
        prior: factor on the learned prior precision of the loadings: below 1 shrinks less than
            the data suggest, above 1 more. It corrects for what the bound underestimates: 0.5
            does better than 1 on few models. See `docs/embeddings.md`.
        sweeps: updates of all posteriors, at most.
    """

    rank: int = 16
    prior: float = 1.0
    sweeps: int = 40

    @property
    def name(self) -> str:
        """Name of the method."""
        return "irt" if self.rank else "rasch"

    def fit(self, problem: Problem, check: Matrix | None = None, context: Context = CPU) -> Fit:
        """Learn the posteriors of models and items; see `Method.fit`."""
        if not problem.count:
            raise UsageError("There are no outcomes to learn from.")
        items = problem.outcomes.shape[1]
        mine = distributed.share(items)
        outcomes = torch.from_numpy(problem.outcomes[:, mine]).to(context.device)
        held = None if check is None else torch.from_numpy(check[:, mine]).to(context.device)
        state = _initial(outcomes, items, self.rank, START)
        history: list[float] = []
        least, best, chosen = np.inf, state, self.sweeps
        for sweep in range(1, self.sweeps + 1):
            context.on_progress(f"{self.name} of rank {self.rank}", sweep, self.sweeps)
            state = _swept(state, outcomes, items, self.prior if sweep > CHECK_EVERY else None)
            if held is None:
                best = state
                continue
            if sweep % CHECK_EVERY and sweep != self.sweeps:
                continue
            history.append(_log_loss(state, held))
            if history[-1] > min(history) * (1 + MOST_RISE):
                break
            if history[-1] < least:
                least, best, chosen = history[-1], state, sweep
        else:
            best, chosen = state, self.sweeps
        return _fit(replace(self, sweeps=chosen), best, items, history)


class _Side(NamedTuple):
    """Posteriors of the vectors of one side: models' (a, b) or items' (w, c).

    `mean` is n x (k + 1), `covariance` n x (k + 1) x (k + 1).
    """

    mean: Tensor
    covariance: Tensor


class _State(NamedTuple):
    models: _Side
    items: _Side
    precisions: Tensor  # of the prior of (w, c), k + 1
    easiness: Tensor  # mean of the prior of c
    level: Tensor  # precision of the prior of b


def _initial(outcomes: Tensor, items: int, rank: int, seed: int) -> _State:
    """Return the Rasch model and the leading singular vectors of its standardised residuals."""
    observed = ~outcomes.isnan()
    values = torch.nan_to_num(outcomes)
    level, easiness = _rasch(values, observed)
    expected = torch.sigmoid(level[:, None] + easiness)
    spread = torch.sqrt(expected * (1 - expected) + 1e-3)
    residuals = torch.where(observed, (values - expected) / spread, 0)
    models, mine = outcomes.shape
    left, right = _singular_vectors(residuals, min(rank, models, items), seed)
    abilities = torch.zeros((models, rank + 1), device=outcomes.device)
    loadings = torch.zeros((mine, rank + 1), device=outcomes.device)
    abilities[:, : left.shape[1]] = left * models**0.5
    loadings[:, : right.shape[1]] = right / models**0.5
    abilities[:, rank], loadings[:, rank] = level, easiness
    spreads = torch.eye(rank + 1, device=outcomes.device) * 0.1
    return _State(
        _Side(abilities, spreads.expand(models, -1, -1)),
        _Side(loadings, spreads.expand(mine, -1, -1)),
        torch.ones(rank + 1, device=outcomes.device),
        distributed.total(easiness.sum()) / items,
        torch.ones((), device=outcomes.device),
    )


def _rasch(values: Tensor, observed: Tensor) -> tuple[Tensor, Tensor]:
    """Return models' levels and items' easiness of the Rasch model, by damped Newton steps."""
    weights = observed.to(values.dtype)
    level = torch.zeros(len(values), device=values.device)
    correct, count = (values * weights).sum(0), weights.sum(0)
    easiness = torch.logit((correct + 1) / (count + 2))
    for _ in range(8):
        expected = torch.sigmoid(level[:, None] + easiness)
        slope, curve = (values - expected) * weights, expected * (1 - expected) * weights
        level = level + distributed.total(slope.sum(1)) / (distributed.total(curve.sum(1)) + 0.25)
        expected = torch.sigmoid(level[:, None] + easiness)
        slope, curve = (values - expected) * weights, expected * (1 - expected) * weights
        easiness = easiness + slope.sum(0) / (curve.sum(0) + 0.25)
    return level, easiness


def _singular_vectors(matrix: Tensor, rank: int, seed: int) -> tuple[Tensor, Tensor]:
    """Return left singular vectors, M x rank, and right ones scaled by the singular values.

    By subspace iteration (Halko, Martinsson, Tropp 2011, algorithm 4.4), whose sums over items
    are sums over the processes.
    """
    if not rank:
        return matrix[:, :0], matrix.T[:, :0]
    generator = torch.Generator().manual_seed(seed)
    width = min(rank + 8, len(matrix))
    basis = torch.randn(len(matrix), width, generator=generator).to(matrix.device)
    for _ in range(8):
        basis = torch.linalg.qr(distributed.total(matrix @ (matrix.T @ basis))).Q
    inner = matrix.T @ basis
    # Eigenvectors of the small Gram matrix rotate the basis onto the singular vectors.
    _, rotation = torch.linalg.eigh(distributed.total(inner.T @ inner))
    rotation = rotation.flip(1)[:, :rank]
    return basis @ rotation, inner @ rotation


def _swept(state: _State, outcomes: Tensor, items: int, prior: float | None) -> _State:
    """Update models, then items, then the priors' variances unless `prior` is None."""
    rank = state.models.mean.shape[1] - 1
    models = state._replace(models=_updated_models(state, outcomes))
    updated = models._replace(items=_updated_items(models, outcomes))
    if prior is None:
        return updated
    squares = _second_moments(updated.items)
    loadings = distributed.total(squares[:, range(rank), range(rank)].sum(0))
    easiness = distributed.total(updated.items.mean[:, rank].sum()) / items
    spread = (updated.items.mean[:, rank] - easiness) ** 2 + updated.items.covariance[:, rank, rank]
    level = _second_moments(updated.models)[:, rank, rank].sum()
    return updated._replace(
        precisions=torch.cat(
            [
                prior * items / loadings.clamp(min=1e-6),
                (items / distributed.total(spread.sum()).clamp(min=1e-6))[None],
            ]
        ),
        easiness=easiness,
        level=len(updated.models.mean) / level.clamp(min=1e-6),
    )


def _second_moments(side: _Side) -> Tensor:
    return side.covariance + side.mean[:, :, None] * side.mean[:, None, :]


def _extended(side: _Side, order: list[int]) -> tuple[Tensor, Tensor]:
    """Return mean and second moments of vectors with a 1 appended, entries reordered."""
    ones = torch.ones((len(side.mean), 1), device=side.mean.device)
    mean = torch.cat([side.mean, ones], 1)[:, order]
    second = torch.zeros((len(mean), mean.shape[1], mean.shape[1]), device=mean.device)
    second[:, :-1, :-1] = _second_moments(side)
    second[:, :-1, -1] = second[:, -1, :-1] = side.mean
    second[:, -1, -1] = 1
    return mean, second[:, order][:, :, order]


class _Moments(NamedTuple):
    """Moments of extended vectors of one side: a logit is their inner product with the other's.

    `products` are second moments, the upper triangle as one row; `doubled` has those off the
    diagonal twice, so that the mean square of a logit is one inner product.
    """

    mean: Tensor
    products: Tensor
    doubled: Tensor


def _moments(side: _Side, *, of_items: bool) -> _Moments:
    """Return moments of items as (w, 1, c), or of models as (a, 1, b)."""
    width = side.mean.shape[1] + 1
    order = [*range(width - 2), width - 1, width - 2]
    mean, second = _extended(side, order)
    rows, columns = torch.triu_indices(width, width)
    products = second[:, rows, columns]
    factor = torch.where(rows == columns, 1.0, 2.0).to(products.device)
    return _Moments(mean, products, products * factor if of_items else products)


def _own(side: _Side) -> tuple[Tensor, Tensor]:
    """Return extended vectors, (a, b, 1), and the upper triangle of their second moments."""
    width = side.mean.shape[1] + 1
    mean, second = _extended(side, list(range(width)))
    rows, columns = torch.triu_indices(width, width)
    return mean, second[:, rows, columns]


def _blocks(models: int, items: int) -> Iterator[slice]:
    at_once = max(1, CELLS_AT_ONCE // max(1, items))
    for start in range(0, models, at_once):
        yield slice(start, min(models, start + at_once))


def _weights(squares: Tensor, observed: Tensor) -> Tensor:
    """Return the bound's curvature 2 lambda(xi) of each outcome; 0 where none was observed."""
    root = squares.clamp(min=1e-6).sqrt()
    return torch.where(observed, torch.tanh(root / 2) / (2 * root), 0)


def _posterior(products: Tensor, slopes: Tensor, precision: Tensor, shift: Tensor) -> _Side:
    """Solve for the posteriors of n vectors.

    Args:
        products: n x triangle: sums of the other side's moments, weighted by the curvatures.
        slopes: n x (k + 2): sums of the other side's vectors, weighted by outcome minus 1/2.
        precision: k + 1, of the prior.
        shift: k + 1: precision times mean of the prior.
    """
    width = slopes.shape[1]
    rows, columns = torch.triu_indices(width, width)
    square = torch.zeros((len(slopes), width, width), device=slopes.device)
    square[:, rows, columns] = products
    square[:, columns, rows] = products
    lower = torch.linalg.cholesky(square[:, :-1, :-1] + torch.diag(precision))
    covariance = torch.cholesky_inverse(lower)
    information = slopes[:, :-1] - square[:, :-1, -1] + shift
    return _Side((covariance @ information[:, :, None])[:, :, 0], covariance)


def _updated_models(state: _State, outcomes: Tensor) -> _Side:
    items = _moments(state.items, of_items=True)
    # Items are extended to (w, 1, c), so models are to (a, b, 1).
    _, own = _own(state.models)
    products, slopes = [], []
    for rows in _blocks(*outcomes.shape):
        block = outcomes[rows]
        observed = ~block.isnan()
        weights = _weights(own[rows] @ items.doubled.T, observed)
        products.append(weights @ items.products)
        slopes.append(torch.where(observed, block - 0.5, 0) @ items.mean)
    rank = state.models.mean.shape[1] - 1
    precision = torch.ones(rank + 1, device=outcomes.device)
    precision[rank] = state.level
    return _posterior(
        distributed.total(torch.cat(products)),
        distributed.total(torch.cat(slopes)),
        precision,
        torch.zeros_like(precision),
    )


def _updated_items(state: _State, outcomes: Tensor) -> _Side:
    items = _moments(state.items, of_items=True)
    models = _moments(state.models, of_items=False)
    _, own = _own(state.models)
    products = torch.zeros((outcomes.shape[1], own.shape[1]), device=outcomes.device)
    slopes = torch.zeros((outcomes.shape[1], models.mean.shape[1]), device=outcomes.device)
    for rows in _blocks(*outcomes.shape):
        block = outcomes[rows]
        observed = ~block.isnan()
        weights = _weights(own[rows] @ items.doubled.T, observed)
        products += weights.T @ models.products[rows]
        slopes += torch.where(observed, block - 0.5, 0).T @ models.mean[rows]
    shift = torch.zeros_like(state.precisions)
    shift[-1] = state.easiness * state.precisions[-1]
    return _posterior(products, slopes, state.precisions, shift)


def _predicted(models: _Side, items: _Side) -> Tensor:
    """Return probabilities, M x n, with the logit's variance integrated out (MacKay 1992)."""
    moments = _moments(items, of_items=True)
    mean, own = _own(models)
    logits = mean @ moments.mean.T
    variance = (own @ moments.doubled.T - logits**2).clamp(min=0)
    return torch.sigmoid(logits / torch.sqrt(1 + torch.pi / 8 * variance))


def _log_loss(state: _State, held: Tensor) -> float:
    sums = torch.zeros(2, dtype=torch.float64, device=held.device)
    for rows in _blocks(*held.shape):
        block = held[rows]
        observed = ~block.isnan()
        models = _Side(state.models.mean[rows], state.models.covariance[rows])
        p = _predicted(models, state.items).clamp(1e-6, 1 - 1e-6)[observed]
        y = block[observed]
        loss = -(y * p.log() + (1 - y) * (1 - p).log())
        sums += torch.stack([loss.sum(dtype=torch.float64), observed.sum().double()])
    total = distributed.total(sums)
    return float(total[0] / total[1].clamp(min=1))


def _fit(method: ItemResponse, state: _State, count: int, history: list[float]) -> Fit:
    models = _Side(*(part.contiguous() for part in state.models))
    items = _Side(*(distributed.gathered(part.contiguous(), count) for part in state.items))

    def predict(columns: Columns) -> Matrix:
        probabilities = np.empty((len(models.mean), len(columns)), np.float32)
        places = torch.from_numpy(columns).to(items.mean.device)
        selected = _Side(items.mean[places], items.covariance[places])
        for rows in _blocks(len(models.mean), len(columns)):
            block = _Side(models.mean[rows], models.covariance[rows])
            probabilities[rows] = _predicted(block, selected).cpu().numpy()
        return clipped(probabilities)

    return Fit(method, predict, _factors(models, items, state.level), notes={"log_loss": history})


def _factors(models: _Side, items: _Side, level: Tensor) -> Factors:
    """Return vectors scaled so that loadings have unit mean square in each dimension.

    Their posteriors without the prior, which has precision 1, and that of the level, are the
    evidence.
    """
    rank = models.mean.shape[1] - 1
    scale = torch.ones(rank + 1, device=models.mean.device)
    scale[:rank] = _second_moments(items)[:, range(rank), range(rank)].mean(0).sqrt()
    loadings = items.mean / scale.clamp(min=1e-6)
    loadings[:, rank] = 1
    places = range(rank + 1)
    spread = (models.covariance[:, places, places] * scale**2).mean(1).sqrt()
    posterior = torch.linalg.inv(models.covariance.double())
    prior = torch.ones(rank + 1, dtype=torch.float64, device=scale.device)
    prior[rank] = level
    precisions = (posterior - torch.diag(prior)) / torch.outer(scale, scale)
    informations = (posterior @ models.mean.double()[:, :, None])[:, :, 0] / scale
    return Factors(
        (models.mean * scale).cpu().numpy(),
        loadings.cpu().numpy(),
        items.mean[:, rank].cpu().numpy(),
        spread.cpu().numpy(),
        evidence=VectorEvidence(
            precisions.float().cpu().numpy(), informations.float().cpu().numpy()
        ),
    )
