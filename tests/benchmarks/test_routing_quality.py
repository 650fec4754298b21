"""Quality of routers on held-out prompts of real data, beside baselines, over 5 seeds.

`pytest -m benchmark tests/benchmarks/test_routing_quality.py -s`
"""

from collections.abc import Sequence

import numpy as np
import pytest
from routing_tables import DATA, RoutingTable, encoded, llmrouter, mmlu_pro, nearest_in_accuracy
from sklearn.linear_model import LogisticRegression

from registry.learning.factorization.problem import CPU, Context, Matrix
from registry.learning.routing.kernel_regression import KernelRegression, fit_kernel
from registry.learning.routing.picks import pick
from registry.learning.routing.route_baselines import ModelMeans
from registry.learning.routing.router_blend import RouterBlend, learn_blend, mean_outcomes
from registry.learning.routing.routing_problem import RoutePredictions, RouterMethod, RoutingProblem
from registry.learning.routing.similar_items import ItemClusters, SimilarItems
from registry.learning.routing_evaluation.contest import (
    ContestResult,
    RoutingContender,
    contender,
    oracles,
    run_contest,
)
from registry.learning.routing_evaluation.pick_metrics import robustness
from registry.learning.routing_evaluation.routing_splits import hold_out_items
from registry.learning.routing_evaluation.scorecard import Scorecard, score_router

SEEDS = range(5)
METRICS = (
    "avg_acc", "over_best_single", "gain_at_b", "gap_at_o", "within_prompt_auc", "auc",
    "log_loss", "calibration_error", "cost_save",
)  # fmt: skip

pytestmark = [
    pytest.mark.benchmark,
    pytest.mark.skipif(not DATA.is_dir(), reason="needs the real data sets beside the checkout"),
]


class Regression:
    """Kernel regression on the encoder's vectors alone."""

    name = "kernel-regression"

    def fit(self, problem: RoutingProblem, context: Context = CPU) -> "FittedRegression":
        levels = mean_outcomes(problem.outcomes)
        return FittedRegression(fit_kernel(problem.vectors, problem.outcomes, levels, context.seed))


class FittedRegression:
    def __init__(self, fitted: KernelRegression) -> None:
        self._fitted = fitted

    def predict(self, vectors: Matrix) -> RoutePredictions:
        found = np.clip(self._fitted.predict(vectors), 0.01, 0.99)
        return RoutePredictions(found, np.zeros_like(found))


class LogisticModels:
    """Logistic regression on the encoder's vectors, one for each model."""

    name = "logistic"

    def fit(self, problem: RoutingProblem, context: Context = CPU) -> "FittedLogistic":
        del context
        twice, ones = np.concatenate([problem.vectors] * 2), np.ones(len(problem.vectors))
        sides = np.concatenate([ones, 0 * ones])
        rows = []
        for outcomes in problem.outcomes:
            weights = np.concatenate([outcomes, 1 - outcomes])
            fitted = LogisticRegression(max_iter=200).fit(twice, sides, sample_weight=weights)
            rows.append(np.append(fitted.coef_, fitted.intercept_))
        return FittedLogistic(np.array(rows, np.float32))


class FittedLogistic:
    def __init__(self, weights: Matrix) -> None:
        self._weights = weights

    def predict(self, vectors: Matrix) -> RoutePredictions:
        logits = vectors @ self._weights[:, :-1].T + self._weights[:, -1]
        found = (1 / (1 + np.exp(-logits))).astype(np.float32)
        return RoutePredictions(found, np.zeros_like(found))


def contenders(*, priced: bool) -> list[RoutingContender]:
    methods: tuple[RouterMethod, ...] = (
        ModelMeans(), ItemClusters(), SimilarItems(100), SimilarItems(200, 8.0),
        LogisticModels(), Regression(), RouterBlend(),
    )  # fmt: skip
    return [*map(contender, methods), *oracles(priced=priced)]


def measured(
    title: str, problem: RoutingProblem, *, priced: bool
) -> tuple[ContestResult, dict[str, Scorecard]]:
    """Print all contenders in one table, with 95% intervals over prompts."""
    folds = [hold_out_items(problem.groups, problem.vectors, 0.2, seed) for seed in SEEDS]
    result = run_contest(problem, folds, contenders(priced=priced))
    print(f"\n{title}: {problem.outcomes.shape[0]} models x {problem.outcomes.shape[1]:,} prompts")
    cards = {}
    for name, probabilities in result.probabilities.items():
        cards[name] = card = score_router(result.held, probabilities)
        line = f"  {name:20s}"
        for metric in METRICS:
            if metric in card.estimates:
                found = card.estimates[metric]
                line += f" {metric} {found.value:.4f} [{found.lower:.4f}, {found.upper:.4f}]"
        print(line, flush=True)
    print("  pick rate of the blend by number of right models:", end="")
    for rate in cards["best"].pick_rates:
        print(f" {rate.right}: {rate.picked:.2f} (chance {rate.chance:.2f})", end="")
    print()
    return result, cards


def test_llmrouter(pytestconfig: pytest.Config) -> None:
    assert pytestconfig.cache is not None
    table = llmrouter(pytestconfig.cache.mkdir("vectors"))
    _, cards = measured("llmrouter-queries", table.problem, priced=True)
    best = cards["best"].estimates
    assert best["gain_at_b"].value >= 0.068
    assert best["gap_at_o"].value <= 0.165
    assert best["cost_save"].value >= 0.60
    assert best["avg_acc"].value > cards["neighbours"].estimates["avg_acc"].value
    survived = reworded_picks(table)
    print(f"  robustness under small rewordings: {survived:.4f}")
    assert survived >= 0.90


def test_mmlu_pro(pytestconfig: pytest.Config) -> None:
    assert pytestconfig.cache is not None
    table = mmlu_pro(pytestconfig.cache.mkdir("vectors"))
    for title, problem in (
        ("mmlu-pro", table.problem),
        ("mmlu-pro, the 7 models nearest in accuracy", nearest_in_accuracy(table.problem, 7)),
    ):
        _, cards = measured(title, problem, priced=False)
        best = cards["best"].estimates
        assert best["over_best_single"].lower > 0
        for metric, better in (("log_loss", -1), ("within_prompt_auc", 1), ("auc", 1)):
            for baseline in ("model-means", "avengers-pro", "neighbours", "logistic"):
                other = cards[baseline].estimates[metric].value
                assert better * best[metric].value > better * other


def reworded_picks(table: RoutingTable, asked: int = 300) -> float:
    """Return the share of picks that survive small rewordings of prompts that were held out."""
    held = hold_out_items(table.problem.groups, table.problem.vectors, 0.2, 0)
    rest = np.setdiff1d(np.arange(len(table.prompts)), held)
    served = learn_blend(table.problem.only(rest)).served
    chosen = np.random.default_rng(0).permutation(held)[:asked]
    picks = pick(served.predict(table.problem.vectors[chosen]).probabilities)
    texts = [table.prompts[place] for place in chosen.tolist()]
    shares = [
        robustness(picks, pick(served.predict(encoded(reworded)).probabilities))
        for reworded in rewordings(texts)
    ]
    print("  by rewording:", [round(share, 3) for share in shares])
    return float(np.mean(shares))


def rewordings(texts: Sequence[str]) -> list[list[str]]:
    """Return the texts asked for politely, without capitals, and with other punctuation."""
    return [
        [f"Please answer the following question. {text}" for text in texts],
        [text.lower() for text in texts],
        [text.replace("?", "").replace(",", "").replace("  ", " ") for text in texts],
    ]
