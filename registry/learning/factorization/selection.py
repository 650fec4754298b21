"""The rule by which methods and their settings are chosen: what does best on held-out outcomes.

Some outcomes of known items and some whole items are held out. Item response models of rising rank
are fitted as long as they gain, then with another prior; of what reads texts each is fitted; and
the blend of the best finds its weights there. All is then fitted again to all outcomes, with the
settings and weights that were found.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from time import perf_counter

import numpy as np

from registry.enums import MethodName
from registry.errors import NoOutcomesError, UsageError
from registry.learning.factorization.baselines import MeanScore
from registry.learning.factorization.blend import Blend
from registry.learning.factorization.irt import ItemResponse
from registry.learning.factorization.knn import Neighbours
from registry.learning.factorization.mf import FreeFactorization, TextFactorization
from registry.learning.factorization.problem import (
    Fit,
    Mask,
    Matrix,
    Method,
    Problem,
)
from registry.learning.factorization.serving import serving_vectors
from registry.learning.factorization.text_gp import TextRegression
from registry.learning.metrics import held_out, log_loss
from registry.workers import Progress, no_progress

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
"""Methods by name, with settings that do well; `blend` is the choice among them."""

RANKS = (4, 8, 16, 32)
SHARE = 0.1
"""Of outcomes and of items, held out to choose by."""

LEAST_ITEMS = 50
"""With fewer items that have texts, none is held out whole."""

LEAST_GAIN = 1e-3
"""Share of its log loss by which a higher rank has to be better."""


@dataclass(frozen=True, slots=True, eq=False)
class Learned:
    """What came of a search.

    Attributes:
        fit: to all outcomes, with what was chosen.
        trials: what was tried, with its figures on the held-out outcomes.
        validation: figures of what was chosen, before it was fitted again: by kind of item, known
            or new, as `registry.metrics.held_out` tells them.
    """

    fit: Fit
    trials: Sequence[Mapping[str, object]]
    validation: Mapping[str, Mapping[str, float]]


def learn(
    problem: Problem,
    name: str = "blend",
    *,
    device: str = "cpu",
    seed: int = 0,
    on_progress: Progress = no_progress,
) -> Learned:
    """Choose settings of a method on held-out outcomes, and fit it to all outcomes.

    Args:
        problem: the outcomes.
        name: a method of `METHODS`, or blend.
        device: a device of torch.
        seed: of all that is random.
        on_progress: receives the progress.

    Raises:
        UsageError: where there is too little to learn from, or no method of the name.
    """
    check(problem)
    hidden = carve(problem, seed)
    held = np.where(hidden, problem.outcomes, np.float32(np.nan))
    search = _Search(
        problem.without(hidden), held, device=device, seed=seed, on_progress=on_progress
    )
    if name == "blend":
        tried = search.blend()
    elif name in METHODS:
        tried = search.tried(METHODS[name])
    else:
        raise UsageError(f"There is no method {name!r}; there are blend, {', '.join(METHODS)}.")
    fit = tried.method.fit(problem, device=device, seed=seed, on_progress=on_progress)
    return Learned(_served(fit, problem), search.trials, search.figures(tried))


def check(problem: Problem) -> None:
    """Make sure that there is something to learn.

    Raises:
        UsageError: saying what is missing.
    """
    models, items = problem.outcomes.shape
    if not problem.count:
        raise NoOutcomesError
    if models < 2:  # noqa: PLR2004
        raise UsageError("There is one model only: it takes two to tell them apart.")
    if items < 2:  # noqa: PLR2004
        raise UsageError("There is one item only: it takes two to learn from.")
    values = problem.outcomes[problem.observed]
    if values.min() == values.max():
        raise UsageError(
            f"Every outcome is {values.min():g}: nothing tells the models or the items apart."
        )


def _served(fit: Fit, problem: Problem) -> Fit:
    if fit.serving is not None or fit.factors is None or problem.texts is None:
        return fit
    told = problem.told
    return replace(fit, serving=serving_vectors(fit.factors, problem.texts, told))


def carve(problem: Problem, seed: int) -> Mask:
    """Choose outcomes to hold out: some of all, and all of some items that have texts.

    Returns:
        bool, M x N.
    """
    draw = np.random.default_rng((seed, 1))
    seen = problem.observed
    hidden: Mask = seen & (draw.random(seen.shape, np.float32) < SHARE)
    # A model keeps its outcomes where it has few.
    hidden[seen.sum(axis=1) < 1 / SHARE] = False
    readable = (
        np.flatnonzero(problem.texts.known & seen.any(axis=0))
        if problem.texts is not None
        else np.zeros(0, np.intp)
    )
    if len(readable) >= LEAST_ITEMS:
        some = draw.permutation(readable)[: round(SHARE * len(readable))]
        hidden[:, some] = seen[:, some]
    return hidden


class _Search:
    """Fits methods to the same outcomes, and keeps how they did on those held out."""

    def __init__(
        self, problem: Problem, held: Matrix, *, device: str, seed: int, on_progress: Progress
    ) -> None:
        self.trials: list[Mapping[str, object]] = []
        self._problem, self._check = problem, held
        self._device, self._seed, self._on_progress = device, seed, on_progress
        self._known = problem.told

    def tried(self, method: Method) -> Fit:
        """Fit a method, and keep its settings and figures."""
        began = perf_counter()
        fit = method.fit(
            self._problem,
            self._check,
            device=self._device,
            seed=self._seed,
            on_progress=self._on_progress,
        )
        losses = {
            kind: self._log_loss(fit, columns)
            for kind, columns in (("known", self._known), ("new", ~self._known))
        }
        self.trials.append(
            {
                "method": method.name,
                "settings": settings(fit.method),
                "log_loss": {kind: loss for kind, loss in losses.items() if loss is not None},
                "seconds": round(perf_counter() - began, 3),
            }
        )
        return fit

    def blend(self) -> Fit:
        """Fit what the blend is made of, and weigh it."""
        parts = [*self._responses(), *map(self.tried, self._readers())]
        return Blend(tuple(part.method for part in parts)).of(parts, self._problem, self._check)

    def _responses(self) -> list[Fit]:
        """Return item response models: the best that has abilities beside the level.

        It comes first, since vectors are taken from the first; with levels alone all models would
        point the same way. The Rasch model stands beside it where that does better.
        """
        level = self.tried(METHODS["rasch"])
        most = max(1, min(self._problem.outcomes.shape) // 2)
        ranks = sorted({min(rank, most) for rank in RANKS})
        best = self.tried(ItemResponse(rank=ranks[0], prior=0.5, sweeps=20))
        for rank in ranks[1:]:
            fit = self.tried(ItemResponse(rank=rank, prior=0.5, sweeps=20))
            if self._loss(fit) > self._loss(best) * (1 - LEAST_GAIN):
                break
            best = fit
        assert isinstance(best.method, ItemResponse)
        other = self.tried(replace(best.method, prior=1.0, sweeps=20))
        best = min(best, other, key=self._loss)
        return [best] if self._loss(best) < self._loss(level) else [best, level]

    def _readers(self) -> Iterator[Method]:
        """Yield what reads texts, where there are any."""
        texts = self._problem.texts
        if texts is not None and (texts.known & self._known).sum() >= LEAST_ITEMS:
            yield METHODS["weighted-knn"]
            yield METHODS["text-regression"]

    def _loss(self, fit: Fit) -> float:
        loss = self._log_loss(fit, self._known)
        return np.inf if loss is None else loss

    def _log_loss(self, fit: Fit, columns: Mask) -> float | None:
        asked = np.flatnonzero(columns & ~np.isnan(self._check).all(axis=0))
        held = self._check[:, asked]
        seen = ~np.isnan(held)
        if not seen.any():
            return None
        return log_loss(held[seen], fit.predict(asked)[seen])

    def figures(self, fit: Fit) -> dict[str, dict[str, float]]:
        """Return the figures of a fit on the outcomes held out, of known and of new items."""
        found = {}
        for kind, columns in (("known", self._known), ("new", ~self._known)):
            asked = np.flatnonzero(columns & ~np.isnan(self._check).all(axis=0))
            if len(asked):
                held = self._check[:, asked]
                told = np.nan_to_num(held)
                found[kind] = held_out(told, fit.predict(asked), ~np.isnan(held))
        return found


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
