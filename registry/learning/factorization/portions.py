"""Portions of a computation: how much of it each of its fits is, so that progress is of the whole.

The costs are rough: what counts is that a fit which takes ten times as long as another is taken to
be about ten times as much.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from registry.learning.factorization.irt import ItemResponse
from registry.learning.factorization.problem import Context, Method
from registry.learning.factorization.text_gp import TextRegression
from registry.workers import Share

_SWEEP = 5e-9
"""Seconds a cell and dimension of a sweep of item response, on two cores."""

_VECTOR = 8
"""Dimensions that a sweep over vectors of one dimension costs as much as, beside those it has."""

_KERNEL = 8e-7
"""Seconds a pair of item and landmark of a regression on texts."""

_CELL = 2e-6
"""Seconds a cell of the methods that pass over the outcomes once, predictions included."""


def cost(method: Method, shape: tuple[int, ...]) -> float:
    """Return about how many seconds a fit takes.

    Args:
        method: to fit.
        shape: of the outcomes: M models, N items.
    """
    models, items = shape
    # Of a blend, which imports this module.
    parts: Sequence[Method] = getattr(method, "parts", ())
    if parts:
        return sum(cost(part, shape) for part in parts)
    if isinstance(method, ItemResponse):
        return _SWEEP * models * items * (method.rank + _VECTOR) * method.sweeps
    once = _CELL * models * items
    if isinstance(method, TextRegression):
        return once + _KERNEL * items * min(items, method.landmarks)
    return once


def portions(costs: Sequence[float], context: Context) -> Iterator[Context]:
    """Yield the contexts of parts of a computation, one after the other.

    Args:
        costs: of the parts, at least 0.
        context: of the whole; its progress is reported in shares of it.
    """
    whole, done = sum(costs) or 1.0, 0.0
    for each in costs:
        share = Share(context.on_progress, done / whole, each / whole)
        yield replace(context, on_progress=share)
        done += each
