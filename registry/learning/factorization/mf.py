"""Matrix factorization by stochastic gradient descent (METHODS.md section 1, after EmbedLLM).

A step computes the logits of a block of items and all models: three matrix products and a mask,
where the reference projects each item's text once for every model. With several processes, each
computes its share of every block and the gradients are summed: the steps are those of one process.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import ClassVar, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

from registry.errors import UsageError
from registry.learning.factorization import distributed
from registry.learning.factorization.baselines import MeanScore
from registry.learning.factorization.decoders import Decoder, FreeDecoder, TextDecoder
from registry.learning.factorization.problem import (
    CPU,
    Columns,
    Context,
    Fit,
    Mask,
    Matrix,
    Problem,
    clipped,
)

ITEMS_AT_ONCE = 4096
"""Items predicted at a time."""

PATIENCE = 3
"""Epochs without a lower validation loss after which training stops."""

AVERAGED = 2
"""Epochs over which parameters are averaged: their mean lies nearer the optimum than any step."""

Penalty: TypeAlias = Callable[[Tensor], Tensor]
"""Regulariser: a scalar added to the loss, of the models' vectors, M x d, or M x (d + 1) with the
models' levels in the last column."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TextFactorization:
    """Factorization with item vectors projected from texts, as in EmbedLLM (section 1).

    Attributes:
        dimension: d, of the models' vectors.
        epochs: passes over the items, at most.
        block: items per step.
        rate: learning rate of Adam.
        decay: weight decay.
        noise: standard deviation of the Gaussian noise on texts' vectors in training.
        averaged: epochs over which parameters are averaged; 0 keeps those of the last step.
    """

    dimension: int = 232
    epochs: int = 50
    block: int = 256
    rate: float = 1e-3
    decay: float = 2e-6
    noise: float = 0.05
    averaged: int = AVERAGED

    @property
    def name(self) -> str:
        """Name of the method."""
        return "mf-text"

    def fit(
        self,
        problem: Problem,
        check: Matrix | None = None,
        context: Context = CPU,
        penalty: Penalty | None = None,
    ) -> Fit:
        """Learn models' vectors and the decoder; see `Method.fit`.

        Items without text get the model's mean.
        """
        if problem.texts is None or not problem.texts.present.any():
            raise UsageError("Factorization on texts needs items with texts, and none has one.")
        text = torch.from_numpy(np.nan_to_num(problem.texts.vectors)).to(context.device)
        generator = torch.Generator().manual_seed(context.seed)
        models = len(problem.outcomes)
        decoder = TextDecoder(models, text, self.dimension, self.noise, generator)
        readable = problem.texts.present
        return _fit(self, decoder, readable, problem, check, context=context, penalty=penalty)


@dataclass(frozen=True, slots=True, kw_only=True)
class FreeFactorization:
    """Factorization with a free vector for every item.

    Attributes:
        dimension: d, of the vectors, beside a level of models and of items.
        epochs: passes over the items, at most.
        block: items per step.
        rate: learning rate of Adam.
        decay: weight decay.
    """

    dimension: int = 16
    epochs: int = 100
    block: int = 256
    rate: float = 1e-2
    decay: float = 1e-4
    averaged: ClassVar[int] = AVERAGED

    @property
    def name(self) -> str:
        """Name of the method."""
        return "mf"

    def fit(
        self,
        problem: Problem,
        check: Matrix | None = None,
        context: Context = CPU,
        penalty: Penalty | None = None,
    ) -> Fit:
        """Learn vectors of models and items; see `Method.fit`.

        Items without outcomes get the model's mean: their vectors stay at their initial values.
        """
        generator = torch.Generator().manual_seed(context.seed)
        models, items = problem.outcomes.shape
        decoder = FreeDecoder(models, items, self.dimension, generator).to(context.device)
        observed = problem.observed_items
        return _fit(self, decoder, observed, problem, check, context=context, penalty=penalty)


Factorization: TypeAlias = TextFactorization | FreeFactorization


def _fit(
    method: Factorization,
    decoder: Decoder,
    predictable: Mask,
    problem: Problem,
    check: Matrix | None,
    *,
    context: Context,
    penalty: Penalty | None,
) -> Fit:
    """Train a decoder; items that it cannot predict, bool, N, get the model's mean."""
    held = None if check is None else np.where(predictable[None], check, np.float32(np.nan))
    trained = _trained(
        method, decoder, predictable, problem, held, context=context, penalty=penalty
    )
    means = MeanScore("models").fit(problem)

    def predict(columns: Columns) -> Matrix:
        decoded = _predicted(decoder, columns, context.device)
        return clipped(np.where(predictable[columns], decoded, means.predict(columns)))

    with torch.no_grad():
        factors, serving = decoder.factors(), decoder.serving()
    chosen = replace(method, epochs=trained.epochs)
    return Fit(chosen, predict, factors, serving, {"log_loss": trained.history})


@dataclass(frozen=True, slots=True)
class _Trained:
    epochs: int
    history: list[float]


def _trained(
    method: Factorization,
    decoder: Decoder,
    predictable: Mask,
    problem: Problem,
    check: Matrix | None,
    *,
    context: Context,
    penalty: Penalty | None,
) -> _Trained:
    """Minimise the cross-entropy of the observed outcomes; keep the best epoch's parameters.

    They are running means over the steps (Polyak and Juditsky 1992), which settle while the steps
    themselves still move with each block and its noise, or those of the last step.
    """
    parameters = list(decoder.parameters())
    device = parameters[0].device
    outcomes = torch.from_numpy(problem.outcomes.T.copy()).to(device)
    trained_on = np.flatnonzero(predictable & problem.observed_items)
    columns = torch.from_numpy(trained_on).to(device)
    solver = torch.optim.Adam(parameters, lr=method.rate, weight_decay=method.decay, fused=True)
    generator = torch.Generator(device).manual_seed(context.seed)
    mean = _RunningMean(parameters, max(1, method.averaged * -(-len(columns) // method.block)))
    history: list[float] = []
    best, chosen = mean.values, method.epochs
    for epoch in range(1, method.epochs + 1):
        context.on_progress(method.name, epoch, method.epochs)
        order = columns[torch.randperm(len(columns), generator=generator, device=device)]
        for start in range(0, len(order), method.block):
            block = order[start : start + method.block]
            _step(decoder, solver, outcomes, block, penalty=penalty, generator=generator)
            mean.add(parameters)
        best = mean.values
        if check is None:
            continue
        with mean.used(parameters):
            history.append(_log_loss(decoder, check, context.device))
        if history[-1] == min(history):
            chosen, lowest = epoch, [value.clone() for value in mean.values]
        best = lowest
        if epoch - chosen >= PATIENCE:
            break
    _assign(parameters, best)
    return _Trained(chosen, history)


class _RunningMean:
    """Running mean of parameters over the last `span` steps."""

    def __init__(self, parameters: Sequence[nn.Parameter], span: int) -> None:
        self.values = [parameter.detach().clone() for parameter in parameters]
        self._span, self._steps = span, 0

    def add(self, parameters: Sequence[nn.Parameter]) -> None:
        self._steps += 1
        share = 1 / min(self._steps, self._span)
        with torch.no_grad():
            torch._foreach_lerp_(self.values, list(parameters), share)

    @contextmanager
    def used(self, parameters: Sequence[nn.Parameter]) -> Iterator[None]:
        """Set the parameters to the mean within the context."""
        own = [parameter.detach().clone() for parameter in parameters]
        _assign(parameters, self.values)
        yield
        _assign(parameters, own)


def _assign(parameters: Sequence[nn.Parameter], values: Sequence[Tensor]) -> None:
    with torch.no_grad():
        for parameter, value in zip(parameters, values, strict=True):
            parameter.copy_(value)


def _step(
    decoder: Decoder,
    solver: torch.optim.Adam,
    outcomes: Tensor,
    block: Tensor,
    *,
    penalty: Penalty | None,
    generator: torch.Generator,
) -> None:
    share = distributed.share(len(block))
    targets = outcomes[block[share]]
    observed = ~targets.isnan()
    losses = nn.functional.binary_cross_entropy_with_logits(
        decoder.noisy_logits(block, share, generator), torch.nan_to_num(targets), reduction="none"
    )
    # The mean over the whole block's outcomes, of which this process has a share.
    count = distributed.total(observed.sum().float()).clamp(min=1)
    solver.zero_grad()
    loss = (losses * observed).sum() / count
    if penalty is not None:
        # Gradients are summed over the processes, so each adds its share.
        loss = loss + penalty(decoder.models) / distributed.size()
    loss.backward()  # type: ignore[no-untyped-call] # torch ships it so
    for parameter in decoder.parameters():
        if parameter.grad is not None:
            distributed.total(parameter.grad)
    solver.step()


def _predicted(decoder: Decoder, columns: Columns, device: str) -> Matrix:
    items = torch.from_numpy(columns).to(device)
    with torch.no_grad():
        parts = [
            torch.sigmoid(decoder.logits(items[start : start + ITEMS_AT_ONCE])).T.cpu()
            for start in range(0, len(items), ITEMS_AT_ONCE)
        ]
    return torch.cat(parts, 1).numpy()


def _log_loss(decoder: Decoder, check: Matrix, device: str) -> float:
    columns = np.flatnonzero(~np.isnan(check).all(axis=0))
    held = check[:, columns]
    cells = ~np.isnan(held)
    if not cells.any():
        return 0.0
    p = np.clip(_predicted(decoder, columns, device)[cells], 1e-6, 1 - 1e-6)
    y = held[cells]
    return float(-(y * np.log(p) + (1 - y) * np.log1p(-p)).mean())
