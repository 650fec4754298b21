"""Decoders: logits of models on items, as torch modules that are trained by `mf`."""

from collections.abc import Iterator
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from registry.learning.factorization.problem import Factors, Matrix


class Decoder(Protocol):
    """Model whose logits are computed for a block of items and all models."""

    def logits(self, items: Tensor) -> Tensor:
        """Return logits, n x M, of items by their columns."""
        ...

    def noisy_logits(self, items: Tensor, share: slice, generator: torch.Generator) -> Tensor:
        """Return training logits of this process's share of a block, with the decoder's noise.

        The noise is drawn for the whole block, so that any number of processes sees the same.
        """
        ...

    def parameters(self) -> Iterator[nn.Parameter]:
        """Return the trained parameters."""
        ...

    @property
    def models(self) -> Tensor:
        """Trained vectors of models, a row each."""
        ...

    def factors(self) -> Factors:
        """Return the vectors of models and items."""
        ...

    def serving(self) -> Matrix | None:
        """Return serving vectors, float32, M x (T + 1), if the logits are linear in texts."""
        ...


class TextDecoder(nn.Module):
    """logit(m, i) = w . (p_m * (A q_i + b)) + c, EmbedLLM's decoder with one logit.

    Args:
        models: M.
        text: N x T, the items' text vectors, on the device of the training.
        dimension: d, of the models' vectors.
        noise: standard deviation of the Gaussian noise on q_i in training.
        generator: of the initial parameters, on the CPU.
    """

    def __init__(
        self, models: int, text: Tensor, dimension: int, noise: float, generator: torch.Generator
    ) -> None:
        super().__init__()
        width = text.shape[1]
        bound = width**-0.5
        self.text, self.noise = text, noise

        def uniform(*shape: int, bound: float) -> nn.Parameter:
            drawn = (torch.rand(*shape, generator=generator) * 2 - 1) * bound
            return nn.Parameter(drawn.to(text.device))

        normal = torch.randn(models, dimension, generator=generator)
        self.models = nn.Parameter(normal.to(text.device))
        self.projection = uniform(dimension, width, bound=bound)
        self.shift = uniform(dimension, bound=bound)
        self.weight = uniform(dimension, bound=dimension**-0.5)
        self.bias = nn.Parameter(torch.zeros((), device=text.device))

    def logits(self, items: Tensor) -> Tensor:
        """Return logits, n x M."""
        return self._decoded(self.text[items])

    def noisy_logits(self, items: Tensor, share: slice, generator: torch.Generator) -> Tensor:
        """Return logits of texts with noise."""
        text = self.text[items[share]]
        if self.noise:
            shape = (len(items), text.shape[1])
            noise = torch.randn(shape, generator=generator, device=items.device)
            text = text + noise[share] * self.noise
        return self._decoded(text)

    def factors(self) -> Factors:
        """Return w * p_m, A q_i + b and c."""
        items = self.text @ self.projection.T + self.shift
        return Factors(
            self._scaled().cpu().numpy(),
            items.cpu().numpy(),
            np.full(len(items), float(self.bias), np.float32),
        )

    def serving(self) -> Matrix:
        """Return v_m = [A^T (w * p_m), b . (w * p_m) + c]."""
        scaled = self._scaled()
        last = scaled @ self.shift + self.bias
        return torch.cat([scaled @ self.projection, last[:, None]], 1).cpu().numpy()

    def _decoded(self, text: Tensor) -> Tensor:
        return (text @ self.projection.T + self.shift) @ self._scaled().T + self.bias

    def _scaled(self) -> Tensor:
        return self.models * self.weight


class FreeDecoder(nn.Module):
    """logit(m, i) = p_m . v_i + b_m + c_i + c; b and c are the last columns of the vectors.

    Args:
        models: M.
        items: N.
        dimension: d, of p and v.
        generator: of the initial parameters, on the CPU.
    """

    def __init__(self, models: int, items: int, dimension: int, generator: torch.Generator) -> None:
        super().__init__()
        self.models = nn.Parameter(torch.randn(models, dimension + 1, generator=generator) * 0.1)
        self.items = nn.Parameter(torch.randn(items, dimension + 1, generator=generator) * 0.1)
        self.bias = nn.Parameter(torch.zeros(()))

    def logits(self, items: Tensor) -> Tensor:
        """Return logits, n x M."""
        vectors = self.items[items]
        logits = vectors[:, :-1] @ self.models[:, :-1].T
        return logits + vectors[:, -1:] + self.models[:, -1] + self.bias

    def noisy_logits(self, items: Tensor, share: slice, generator: torch.Generator) -> Tensor:
        """Return logits; free vectors have no noise."""
        del generator
        return self.logits(items[share])

    def factors(self) -> Factors:
        """Return [p_m, b_m], [v_i, 1] and c_i + c."""
        ones = torch.ones((len(self.items), 1), device=self.items.device)
        return Factors(
            self.models.cpu().numpy(),
            torch.cat([self.items[:, :-1], ones], 1).cpu().numpy(),
            (self.items[:, -1] + self.bias).cpu().numpy(),
        )

    def serving(self) -> None:
        """Return None: items have no texts."""
