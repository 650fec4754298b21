"""Model selection: methods and settings with the lowest log loss on validation outcomes.

Validation outcomes are some outcomes of known items and all outcomes of some items. An item
response model of generous rank is fitted, whose learned priors shrink what the data do not need;
each method that uses texts is fitted; and the weights of their blend are fitted to the validation
outcomes. The chosen methods are then fitted again to all outcomes, with these settings and weights.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from time import perf_counter
from typing import Any

import numpy as np

from registry.enums import MethodName
from registry.errors import NoOutcomesError, UsageError
from registry.learning.factorization.baselines import MeanScore
from registry.learning.factorization.blend import Blend
from registry.learning.factorization.irt import ItemResponse
from registry.learning.factorization.knn import Neighbours
from registry.learning.factorization.mf import FreeFactorization, TextFactorization
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
)
from registry.learning.factorization.serving import serving_vectors, text_map
from registry.learning.factorization.text_gp import TextRegression
from registry.learning.metrics import holdout_metrics, log_loss
from registry.workers import Stage

METHODS: Mapping[str, Method] = {
    MethodName.ITEM_MEAN: MeanScore("items"),
    MethodName.MODEL_MEAN: MeanScore("models"),
    MethodName.RASCH: ItemResponse(rank=0, sweeps=20),
    MethodName.IRT: ItemResponse(rank=16, prior=0.5, sweeps=20),
    MethodName.MF: FreeFactorization(),
    MethodName.MF_TEXT: TextFactorization(),
    MethodName.KNN: Neighbours(),
    MethodName.WEIGHTED_KNN: Neighbours(k=200, sharpness=8.0),
    MethodName.TEXT_REGRESSION: TextRegression(words=1.0),
}
"""Methods by name, with good settings; `blend` is chosen among them by `learn`."""

MOST_RANK = 32
"""Rank of the item response model, at most."""

MODELS_A_DIMENSION = 3
"""Models for each dimension of the item response model, at least.

The rank follows from the numbers of models and items alone: chosen on held-out outcomes it was 9,
30 and 17 by three seeds, with the same losses but for noise.
"""

SHARE = 0.1
"""Share of outcomes, and of items, used for validation."""

LEAST_ITEMS = 50
"""Items with texts below which none is held out whole, and no method uses texts."""


def rank_for(models: int, items: int) -> int:
    """Return the rank of the item response model of so many models and items."""
    return max(1, min(MOST_RANK, models // MODELS_A_DIMENSION, items // 2))


@dataclass(frozen=True, slots=True, eq=False)
class Choice:
    """Method chosen on validation outcomes.

    Attributes:
        method: with its settings.
        trials: the fitted candidates, each with its validation loss.
        validation: metrics on the validation outcomes, as of `SelectionResult`.
        held: numbers of validation outcomes by kind of item.
    """

    method: Method
    trials: Sequence[Mapping[str, object]]
    validation: Mapping[str, Mapping[str, float]]
    held: Mapping[str, int]


@dataclass(frozen=True, slots=True, eq=False)
class SelectionResult:
    """Result of a model selection.

    Attributes:
        fit: of the chosen method, to all outcomes.
        trials: the fitted candidates, each with its validation loss.
        validation: metrics of the chosen method on the validation outcomes, before it was fitted
            again: by kind of item, known or new, as `registry.learning.metrics.holdout_metrics`.
    """

    fit: Fit
    trials: Sequence[Mapping[str, object]]
    validation: Mapping[str, Mapping[str, float]]


def learn(problem: Problem, name: str = "blend", context: Context = CPU) -> SelectionResult:
    """Choose the settings of a method on validation outcomes, and fit it to all outcomes.

    Args:
        problem: the outcomes, of models that mostly took the same benchmarks.
        name: a method of `METHODS`, or blend.
        context: device, seed and progress.

    Raises:
        UsageError: for too few outcomes, or an unknown method.
    """
    check(problem)
    choosing, fitting = portions((1, 1), context)
    choice = choose(problem, name, named("choosing settings", choosing))
    fit = choice.method.fit(problem, context=named("final fit", fitting))
    return SelectionResult(with_serving(fit, problem), choice.trials, choice.validation)


def choose(problem: Problem, name: str, context: Context) -> Choice:
    """Choose the settings of a method on validation outcomes.

    Args:
        problem: the outcomes, as `check` accepts them.
        name: a method of `METHODS`, or blend.
        context: device, seed and progress.

    Raises:
        UsageError: for an unknown method.
    """
    hidden = validation_mask(problem, context.seed)
    held = np.where(hidden, problem.outcomes, np.float32(np.nan))
    search = _Search(problem.without(hidden), held, context)
    if name == "blend":
        chosen = search.blend()
    elif name in METHODS:
        chosen = search.fitted(METHODS[name])
    else:
        raise UsageError(f"There is no method {name!r}; there are blend, {', '.join(METHODS)}.")
    return Choice(chosen.method, search.trials, search.figures(chosen), search.counts())


def named(stage: str, context: Context) -> Context:
    """Return a context whose steps are reported with the name of their stage."""
    return replace(context, on_progress=Stage(stage, context.on_progress))


def check(problem: Problem) -> None:
    """Check that there is something to learn.

    Raises:
        UsageError: with what is missing.
    """
    models, items = problem.outcomes.shape
    if not problem.count:
        raise NoOutcomesError
    if models < 2:  # noqa: PLR2004
        raise UsageError("There is one model only: it takes two to compare.")
    if items < 2:  # noqa: PLR2004
        raise UsageError("There is one item only: it takes two to learn from.")
    values = problem.outcomes[problem.observed]
    if values.min() == values.max():
        raise UsageError(
            f"Every outcome is {values.min():g}: the models and the items do not differ."
        )


def with_serving(fit: Fit, problem: Problem) -> Fit:
    """Return a fit with serving vectors, and what they are made of, where there are texts."""
    if fit.factors is None or problem.texts is None:
        return fit
    found = text_map(fit.factors, problem.texts, problem.outcomes)
    if found is None:
        return fit
    serving = serving_vectors(fit.factors, found) if fit.serving is None else fit.serving
    return replace(fit, serving=serving, text_map=found)


def validation_mask(problem: Problem, seed: int) -> Mask:
    """Choose validation outcomes: some of all outcomes, and all of some items that have texts.

    Returns:
        bool, M x N.
    """
    rng = np.random.default_rng((seed, 1))
    observed = problem.observed
    hidden: Mask = observed & (rng.random(observed.shape, np.float32) < SHARE)
    # A model with few outcomes keeps all of them.
    hidden[observed.sum(axis=1) < 1 / SHARE] = False
    readable = np.flatnonzero(problem.readable_items & observed.any(axis=0))
    if len(readable) >= LEAST_ITEMS:
        whole = rng.permutation(readable)[: round(SHARE * len(readable))]
        hidden[:, whole] = observed[:, whole]
    return hidden


class _Search:
    """Candidates fitted to the same outcomes, with their losses on the validation outcomes."""

    def __init__(self, problem: Problem, held: Matrix, context: Context) -> None:
        self.trials: list[Mapping[str, object]] = []
        self._problem, self._check, self._context = problem, held, context
        self._known = problem.observed_items

    def fitted(self, method: Method, context: Context | None = None) -> Fit:
        """Fit a candidate, and record its settings and losses."""
        start = perf_counter()
        fit = method.fit(self._problem, self._check, context or self._context)
        losses = {
            kind: self._log_loss(fit, columns)
            for kind, columns in (("known", self._known), ("new", ~self._known))
        }
        self.trials.append(
            {
                "method": method.name,
                "settings": settings(fit.method),
                "log_loss": {kind: loss for kind, loss in losses.items() if loss is not None},
                "seconds": round(perf_counter() - start, 3),
            }
        )
        return fit

    def blend(self) -> Fit:
        """Fit the blend's parts, and their weights.

        The item response model with abilities beside the level comes first: the blend's vectors
        are those of its first part, and with levels alone, all models would point in the same
        direction. The Rasch model is a part where its loss is lower.
        """
        shape = self._problem.outcomes.shape
        methods = [
            METHODS[MethodName.RASCH],
            ItemResponse(rank=rank_for(*shape), prior=0.5, sweeps=20),
            *self._text_methods(),
        ]
        costs = [cost(each, shape) for each in methods]
        rasch, best, *texts = map(self.fitted, methods, portions(costs, self._context))
        levels = [] if self._loss(best) < self._loss(rasch) else [rasch]
        parts = [best, *levels, *texts]
        return Blend(tuple(part.method for part in parts)).of(parts, self._problem, self._check)

    def _text_methods(self) -> Iterator[Method]:
        """Yield the methods that use texts, where there are enough."""
        if (self._problem.readable_items & self._known).sum() >= LEAST_ITEMS:
            yield METHODS["weighted-knn"]
            yield METHODS["text-regression"]

    def _loss(self, fit: Fit) -> float:
        loss = self._log_loss(fit, self._known)
        return np.inf if loss is None else loss

    def _log_loss(self, fit: Fit, columns: Mask) -> float | None:
        items = self._validation_items(columns)
        held = self._check[:, items]
        cells = ~np.isnan(held)
        if not cells.any():
            return None
        return log_loss(held[cells], fit.predict(items)[cells])

    def figures(self, fit: Fit) -> dict[str, dict[str, float]]:
        """Return the metrics of a fit on the validation outcomes of known and of new items."""
        metrics = {}
        for kind, columns in (("known", self._known), ("new", ~self._known)):
            items = self._validation_items(columns)
            if len(items):
                held = self._check[:, items]
                cells = ~np.isnan(held)
                metrics[kind] = holdout_metrics(np.nan_to_num(held), fit.predict(items), cells)
        return metrics

    def counts(self) -> dict[str, int]:
        """Return the numbers of validation outcomes of known and of new items."""
        return {
            kind: int(np.count_nonzero(~np.isnan(self._check[:, columns])))
            for kind, columns in (("known", self._known), ("new", ~self._known))
        }

    def _validation_items(self, columns: Mask) -> Columns:
        return np.flatnonzero(columns & ~np.isnan(self._check).all(axis=0))


def settings(method: Method) -> dict[str, object]:
    """Return a method's name and settings, as JSON has them."""
    if isinstance(method, Blend):
        return {
            "method": method.name,
            "parts": [settings(part) for part in method.parts],
            "known": method.known,
            "new": method.new,
        }
    return {"method": method.name, **asdict(method)}  # type: ignore[call-overload] # each is one


def method_of(values: Mapping[str, Any]) -> Method:
    """Return the method of settings that `settings` returned, also where they went through JSON."""
    rest = dict(values)
    name = rest.pop("method")
    if name != "blend":
        return type(METHODS[name])(**rest)
    known, new = (None if rest[kind] is None else tuple(rest[kind]) for kind in ("known", "new"))
    return Blend(tuple(map(method_of, rest["parts"])), known, new)
