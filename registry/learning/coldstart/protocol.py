"""The four tests of SimRMF: known or new models on known or new items (METHODS.md section 2).

A is a known model on a known item, B a known model on a new item, C a new model on a known item, D
new on new; new is what has not one outcome in training. Each method sees a `Trial`, which hides
what is tested, and predicts all cells; RMSE, RMSE_m and RMSE_q are those of `registry.metrics`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from registry.learning.coldstart.predictors import guessed, means, oracle
from registry.learning.coldstart.trial import Predictor, Trial
from registry.learning.factorization.problem import Matrix, clipped
from registry.learning.metrics import rmse, rmse_of_items, rmse_of_models

TESTS = ("A", "B", "C", "D")


@dataclass(frozen=True, slots=True)
class Figures:
    """Errors of a method on a test, each in [0, 1].

    Attributes:
        rmse: over cells.
        rmse_m: of models' means.
        rmse_q: of items' means.
        share: of the gap in RMSE between mean scores and the oracle that is closed; 0 is no
            better than means, nan where there is no gap.
    """

    rmse: float
    rmse_m: float
    rmse_q: float
    share: float = float("nan")


def measure(trial: Trial, methods: Mapping[str, Predictor]) -> dict[tuple[str, str], Figures]:
    """Return figures by method and test; a test without cells is left out.

    The gap's ends, `means` and `oracle`, are measured whether they are among the methods or not.
    """
    found: dict[tuple[str, str], Figures] = {}
    for name, method in ({"means": means, "oracle": oracle} | dict(methods)).items():
        predicted = method(trial)
        for test in TESTS:
            mask = trial.asked(test)
            if mask.any():
                found[name, test] = Figures(
                    rmse(trial.truth[mask], predicted[mask]),
                    rmse_of_models(trial.truth, predicted, mask),
                    rmse_of_items(trial.truth, predicted, mask),
                )
    return {
        (name, test): replace(each, share=_share(each, found["means", test], found["oracle", test]))
        for (name, test), each in found.items()
    }


def _share(figures: Figures, worst: Figures, best: Figures) -> float:
    gap = worst.rmse - best.rmse
    return (worst.rmse - figures.rmse) / gap if gap > 0 else float("nan")


def new_models(trial: Trial) -> Matrix:
    """The default's predictions of new models on known items (C) alone; means elsewhere."""
    found = means(trial).copy()
    _, items = trial.known()
    found[np.ix_(np.flatnonzero(trial.models), items)] = guessed(trial)[0]
    return clipped(found)
