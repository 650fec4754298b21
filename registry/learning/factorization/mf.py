"""Matrix factorization by gradient descent, dense (METHODS.md section 1, after EmbedLLM).

A step takes a block of items with all models: three matrix products and a mask, where a loader of
pairs would project every item's text once a model. With several processes each takes its share of
every block, and the gradients are summed, which gives the steps of one process.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Protocol, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

from registry.errors import UsageError
from registry.learning.factorization import distributed
from registry.learning.factorization.baselines import MeanScore
from registry.learning.factorization.problem import (
    Columns,
    Factors,
    Fit,
    Mask,
    Matrix,
    Problem,
    clipped,
)
from registry.workers import Progress, no_progress

ITEMS_AT_ONCE = 4096
"""Items predicted at a time."""

PATIENCE = 3

AVERAGED = 2
"""Epochs over which parameters are averaged: their mean lies nearer the optimum than any step."""

Penalty: TypeAlias = Callable[[Tensor], Tensor]
"""What is added to the loss for the models' vectors, M x d (a level beside them, if any): a number.
"""


class _Decoder(Protocol):
    """Model whose logits are computed for a block of items and all models."""

    def logits(self, items: Tensor, noise: Tensor | None) -> Tensor:
        """Return logits, n x M, of items by their columns."""
        ...

    def parameters(self) -> Iterator[nn.Parameter]:
        """Return what is learned."""
        ...

    def vectors(self) -> Tensor:
        """Return what is learned of models, a row each."""
        ...


class _TextDecoder(nn.Module):
    """logit(m, i) = w . (p_m * (A q_i + b)) + c, the decoder of the paper with one logit."""

    def __init__(self, models: int, text: Tensor, dimension: int, draw: torch.Generator) -> None:
        super().__init__()
        width = text.shape[1]
        bound = width**-0.5
        self.text = text
        self.models = nn.Parameter(torch.randn(models, dimension, generator=draw).to(text.device))
        projection = (torch.rand(dimension, width, generator=draw) * 2 - 1) * bound
        self.projection = nn.Parameter(projection.to(text.device))
        shift = (torch.rand(dimension, generator=draw) * 2 - 1) * bound
        self.shift = nn.Parameter(shift.to(text.device))
        weight = (torch.rand(dimension, generator=draw) * 2 - 1) * dimension**-0.5
        self.weight = nn.Parameter(weight.to(text.device))
        self.bias = nn.Parameter(torch.zeros((), device=text.device))

    def logits(self, items: Tensor, noise: Tensor | None) -> Tensor:
        text = self.text[items]
        if noise is not None:
            text = text + noise
        return (text @ self.projection.T + self.shift) @ self.scaled().T + self.bias

    def vectors(self) -> Tensor:
        return self.models

    def scaled(self) -> Tensor:
        return self.models * self.weight

    def serving(self) -> Tensor:
        scaled = self.scaled()
        last = scaled @ self.shift + self.bias
        return torch.cat([scaled @ self.projection, last[:, None]], 1)


class _FreeDecoder(nn.Module):
    """logit(m, i) = p_m . v_i + b_m + c_i."""

    def __init__(self, models: int, items: int, dimension: int, draw: torch.Generator) -> None:
        super().__init__()
        self.models = nn.Parameter(torch.randn(models, dimension + 1, generator=draw) * 0.1)
        self.items = nn.Parameter(torch.randn(items, dimension + 1, generator=draw) * 0.1)
        self.bias = nn.Parameter(torch.zeros(()))

    def logits(self, items: Tensor, noise: Tensor | None) -> Tensor:
        del noise
        some = self.items[items]
        logits = some[:, :-1] @ self.models[:, :-1].T
        return logits + some[:, -1:] + self.models[:, -1] + self.bias

    def vectors(self) -> Tensor:
        return self.models


@dataclass(frozen=True, slots=True, kw_only=True)
class _Descent:
    """Settings of a descent by Adam."""

    dimension: int
    epochs: int
    block: int
    rate: float
    decay: float
    averaged: int
    noise: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TextFactorization:
    """Factorization on items' texts, as in EmbedLLM (METHODS.md section 1).

    Attributes:
        dimension: d, of the models' vectors.
        epochs: at most so many passes over the items.
        block: items a step.
        rate: of Adam.
        decay: weight decay.
        noise: standard deviation of what is added to texts' vectors as they are learned from.
        averaged: epochs over which parameters are averaged; 0 takes the last step's.
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
        """What the method is called."""
        return "mf-text"

    def fit(
        self,
        problem: Problem,
        check: Matrix | None = None,
        *,
        device: str = "cpu",
        seed: int = 0,
        on_progress: Progress = no_progress,
    ) -> Fit:
        """Learn vectors of models; see `Method.fit`. Items without text get the model's mean."""
        return self.regularised(
            problem, None, check, device=device, seed=seed, on_progress=on_progress
        )

    def regularised(
        self,
        problem: Problem,
        penalty: Penalty | None,
        check: Matrix | None = None,
        *,
        device: str = "cpu",
        seed: int = 0,
        on_progress: Progress = no_progress,
    ) -> Fit:
        """Learn as `fit`, with something added to the loss for the models' vectors."""
        if problem.texts is None or not problem.texts.known.any():
            raise UsageError("Factorization on texts needs items with texts, and none has one.")
        known = problem.texts.known
        text = torch.from_numpy(np.nan_to_num(problem.texts.vectors)).to(device)
        draw = torch.Generator().manual_seed(seed)
        decoder = _TextDecoder(len(problem.outcomes), text, self.dimension, draw)
        told = known & problem.told
        held = None if check is None else np.where(known[None], check, np.float32(np.nan))
        steps = _Descent(
            dimension=self.dimension,
            epochs=self.epochs,
            block=self.block,
            rate=self.rate,
            decay=self.decay,
            averaged=self.averaged,
            noise=self.noise,
        )
        trained = _descend(
            decoder,
            problem,
            told,
            held,
            steps,
            penalty=penalty,
            seed=seed,
            on_progress=_named(on_progress, self.name),
        )
        means = MeanScore("models").fit(problem)

        def predict(columns: Columns) -> Matrix:
            found = _predicted(decoder, columns, device)
            return clipped(np.where(known[columns], found, means.predict(columns)))

        with torch.no_grad():
            scaled = decoder.scaled()
            items = text @ decoder.projection.T + decoder.shift
            factors = Factors(
                scaled.cpu().numpy(),
                items.cpu().numpy(),
                np.full(len(items), float(decoder.bias), np.float32),
            )
            serving = decoder.serving().cpu().numpy()
        chosen = replace(self, epochs=trained.epochs)
        return Fit(chosen, predict, factors, serving, {"log_loss": trained.history})


@dataclass(frozen=True, slots=True, kw_only=True)
class FreeFactorization:
    """Factorization with a free vector for every item.

    Attributes:
        dimension: d, of the vectors, beside a level of models and of items.
        epochs: at most so many passes over the items.
        block: items a step.
        rate: of Adam.
        decay: weight decay.
    """

    dimension: int = 16
    epochs: int = 100
    block: int = 256
    rate: float = 1e-2
    decay: float = 1e-4

    @property
    def name(self) -> str:
        """What the method is called."""
        return "mf"

    def fit(
        self,
        problem: Problem,
        check: Matrix | None = None,
        *,
        device: str = "cpu",
        seed: int = 0,
        on_progress: Progress = no_progress,
    ) -> Fit:
        """Learn vectors of models and items; see `Method.fit`."""
        return self.regularised(
            problem, None, check, device=device, seed=seed, on_progress=on_progress
        )

    def regularised(
        self,
        problem: Problem,
        penalty: Penalty | None,
        check: Matrix | None = None,
        *,
        device: str = "cpu",
        seed: int = 0,
        on_progress: Progress = no_progress,
    ) -> Fit:
        """Learn as `fit`, with something added to the loss for the models' vectors."""
        draw = torch.Generator().manual_seed(seed)
        models, items = problem.outcomes.shape
        decoder = _FreeDecoder(models, items, self.dimension, draw).to(device)
        told = problem.told
        steps = _Descent(
            dimension=self.dimension,
            epochs=self.epochs,
            block=self.block,
            rate=self.rate,
            decay=self.decay,
            averaged=AVERAGED,
        )
        # An item without outcomes keeps the vector it was drawn; the model's mean says more.
        held = None if check is None else np.where(told[None], check, np.float32(np.nan))
        trained = _descend(
            decoder,
            problem,
            told,
            held,
            steps,
            penalty=penalty,
            seed=seed,
            on_progress=_named(on_progress, self.name),
        )
        means = MeanScore("models").fit(problem)

        def predict(columns: Columns) -> Matrix:
            found = _predicted(decoder, columns, device)
            return clipped(np.where(told[columns], found, means.predict(columns)))

        with torch.no_grad():
            free = decoder.items
            ones = torch.ones((len(free), 1), device=free.device)
            factors = Factors(
                decoder.models.cpu().numpy(),
                torch.cat([free[:, :-1], ones], 1).cpu().numpy(),
                (free[:, -1] + decoder.bias).cpu().numpy(),
            )
        chosen = replace(self, epochs=trained.epochs)
        return Fit(chosen, predict, factors, notes={"log_loss": trained.history})


def _named(on_progress: Progress, name: str) -> Callable[[int, int], None]:
    return lambda step, of: on_progress(name, step, of)


@dataclass(frozen=True, slots=True)
class _Trained:
    epochs: int
    history: list[float]


def _descend(
    decoder: _Decoder,
    problem: Problem,
    told: Mask,
    check: Matrix | None,
    steps: _Descent,
    *,
    penalty: Penalty | None,
    seed: int,
    on_progress: Callable[[int, int], None],
) -> _Trained:
    """Descend on the cross-entropy of the observed outcomes; leave the best epoch's parameters.

    They are running means over the steps (Polyak and Juditsky 1992), which stand still where the
    steps themselves still move with each block and its noise, or those of the last step.
    """
    parameters = list(decoder.parameters())
    device = parameters[0].device
    outcomes = torch.from_numpy(problem.outcomes.T.copy()).to(device)
    columns = torch.from_numpy(np.flatnonzero(told)).to(device)
    solver = torch.optim.Adam(parameters, lr=steps.rate, weight_decay=steps.decay, fused=True)
    draw = torch.Generator(device).manual_seed(seed)
    mean = _Mean(parameters, max(1, steps.averaged * -(-len(columns) // steps.block)))
    history: list[float] = []
    best, chosen = mean.values, steps.epochs
    for epoch in range(1, steps.epochs + 1):
        on_progress(epoch, steps.epochs)
        order = columns[torch.randperm(len(columns), generator=draw, device=device)]
        for start in range(0, len(order), steps.block):
            block = order[start : start + steps.block]
            _step(decoder, solver, outcomes, block, steps=steps, penalty=penalty, draw=draw)
            mean.add(parameters)
        best = mean.values
        if check is None:
            continue
        with mean.used(parameters):
            history.append(_log_loss(decoder, check, str(device)))
        if history[-1] == min(history):
            chosen, kept = epoch, [value.clone() for value in mean.values]
        best = kept
        if epoch - chosen >= PATIENCE:
            break
    _put(parameters, best)
    return _Trained(chosen, history)


class _Mean:
    """Running mean of parameters over the last steps."""

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
        """Put the mean in the parameters' place for a while."""
        own = [parameter.detach().clone() for parameter in parameters]
        _put(parameters, self.values)
        yield
        _put(parameters, own)


def _put(parameters: Sequence[nn.Parameter], values: Sequence[Tensor]) -> None:
    with torch.no_grad():
        for parameter, value in zip(parameters, values, strict=True):
            parameter.copy_(value)


def _step(
    decoder: _Decoder,
    solver: torch.optim.Adam,
    outcomes: Tensor,
    items: Tensor,
    *,
    steps: _Descent,
    penalty: Penalty | None,
    draw: torch.Generator,
) -> None:
    mine = distributed.share(len(items))
    noise = None
    if steps.noise and isinstance(decoder, _TextDecoder):
        shape = (len(items), decoder.text.shape[1])
        noise = torch.randn(shape, generator=draw, device=items.device)[mine] * steps.noise
    some = outcomes[items[mine]]
    seen = ~some.isnan()
    losses = nn.functional.binary_cross_entropy_with_logits(
        decoder.logits(items[mine], noise), torch.nan_to_num(some), reduction="none"
    )
    # The mean over the whole block's outcomes, of which this process has a share.
    count = distributed.total(seen.sum().float()).clamp(min=1)
    solver.zero_grad()
    loss = (losses * seen).sum() / count
    if penalty is not None:
        # Gradients are summed over the processes, so each adds its share.
        loss = loss + penalty(decoder.vectors()) / distributed.size()
    loss.backward()  # type: ignore[no-untyped-call] # torch ships it so
    for parameter in decoder.parameters():
        if parameter.grad is not None:
            distributed.total(parameter.grad)
    solver.step()


def _predicted(decoder: _Decoder, columns: Columns, device: str) -> Matrix:
    places = torch.from_numpy(columns).to(device)
    with torch.no_grad():
        parts = [
            torch.sigmoid(decoder.logits(places[start : start + ITEMS_AT_ONCE], None)).T.cpu()
            for start in range(0, len(places), ITEMS_AT_ONCE)
        ]
    return torch.cat(parts, 1).numpy()


def _log_loss(decoder: _Decoder, check: Matrix, device: str) -> float:
    asked = np.flatnonzero(~np.isnan(check).all(axis=0))
    held = check[:, asked]
    seen = ~np.isnan(held)
    if not seen.any():
        return 0.0
    chances = np.clip(_predicted(decoder, asked, device)[seen], 1e-6, 1 - 1e-6)
    told = held[seen]
    return float(-(told * np.log(chances) + (1 - told) * np.log1p(-chances)).mean())
