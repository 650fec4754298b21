"""The four cold-start tests of SimRMF: known or new models on known or new items (METHODS.md 2).

A: known model, known item. B: known model, new item. C: new model, known item. D: both new. New
means without a single outcome in training. Each predictor sees a `Trial`, which hides the tested
outcomes, and predicts all cells; RMSE, RMSE_m and RMSE_q are those of `registry.learning.metrics`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from registry.learning.coldstart.predictors import means, oracle
from registry.learning.coldstart.trial import Predictor, Trial
from registry.learning.metrics import rmse, rmse_of_items, rmse_of_models

TESTS = ("A", "B", "C", "D")


@dataclass(frozen=True, slots=True)
class Figures:
    """Errors of a predictor on a test, each in [0, 1].

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

    `means` and `oracle`, the two ends of the gap, are always measured.
    """
    figures: dict[tuple[str, str], Figures] = {}
    for name, method in ({"means": means, "oracle": oracle} | dict(methods)).items():
        predicted = method(trial)
        for test in TESTS:
            mask = trial.cells_of(test)
            if mask.any():
                figures[name, test] = Figures(
                    rmse(trial.truth[mask], predicted[mask]),
                    rmse_of_models(trial.truth, predicted, mask),
                    rmse_of_items(trial.truth, predicted, mask),
                )
    return {
        (name, test): replace(
            each, share=_share(each, figures["means", test], figures["oracle", test])
        )
        for (name, test), each in figures.items()
    }


def _share(figures: Figures, worst: Figures, best: Figures) -> float:
    gap = worst.rmse - best.rmse
    return (worst.rmse - figures.rmse) / gap if gap > 0 else float("nan")
