"""Scorecard of a router: every metric on held-out prompts, with intervals.

Means over prompts have bootstrap intervals over items, as have ratios and areas that follow from
such means; AUC and calibration error over all models and prompts have Student's intervals over the
splits. The published names of metrics are in `METRICS`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np

from registry.learning.arrays import Floats, Places, Reals
from registry.learning.metrics import auc, calibration_error, summary
from registry.learning.routing.picks import at, cost_weights, pick, pick_at
from registry.learning.routing.route_baselines import same_frequencies
from registry.learning.routing_evaluation import cost_metrics, pick_metrics
from registry.learning.routing_evaluation.cost_metrics import Curve
from registry.learning.routing_evaluation.prompt_means import MeanMetric, PromptMeans
from registry.learning.routing_evaluation.routing_intervals import REPLICATES, Estimate

METRICS: Mapping[str, str] = {
    "avg_acc": "AvgAcc: mean outcome of the picks",
    "over_best_single": "paired difference of AvgAcc from the best single model's",
    "over_same_frequencies": "paired difference from random picks with the same frequencies",
    "gain_at_r": "Gain@R: relative gain on the mean model",
    "gain_at_b": "Gain@B: relative gain on the best single model",
    "gap_at_o": "Gap@O: relative gap to the oracle by instance",
    "gap_closed": "share of the gap between best single model and oracle by instance",
    "spearman": "mean Spearman correlation of estimated and true ranking within a prompt",
    "ndcg_5": "mean NDCG@5 of the ranking within a prompt",
    "within_prompt_auc": "mean AUC of right above wrong models within a prompt",
    "auc": "AUC over all models and prompts",
    "log_loss": "log loss in nats",
    "calibration_error": "expected calibration error (ECE), over all models and prompts",
    "model_calibration_error": "median over models of the ECE of each",
    "worst_calibration_error": "greatest ECE of a model",
    "cost_per_1000": "dollars for 1,000 prompts",
    "perf_gain": "PerfGain: relative gain of the best operating point on the best single model",
    "cost_save": "CostSave: share of cost saved at the best single model's quality",
    "quality_gain": "quality gained at the best single model's cost",
    "aiq": "AIQ: area under the hull of operating points, by the range of costs",
    "pareto_dist": "ParetoDist: mean distance of operating points to the frontier of all compared",
    "models_dominated": "share of single models that the operating points dominate",
    "arena_score": "RouterArena's score of accuracy and cost",
    "optimal_selection": "RouterArena's optimal selection",
    "optimal_cost": "RouterArena's optimal cost",
    "optimal_accuracy": "RouterArena's optimal accuracy",
    "robustness": "RouterArena's robustness: share of picks that stay when prompts are reworded",
    "apgr": "RouteLLM's APGR, of two models",
    "cpt_50": "RouteLLM's CPT(50), of two models",
    "cpt_80": "RouteLLM's CPT(80), of two models",
}
"""Metrics by their names in view `routing_results`."""


@dataclass(frozen=True, slots=True, eq=False)
class HeldOutPrompts:
    """Held-out prompts of several splits, n in all, by M models.

    Attributes:
        items: int, n: number of each prompt's item; one item may be in several splits.
        clusters: int, n: what is resampled for intervals: the items, or groups of them where whole
            groups are held out.
        splits: int, n: number of the split.
        outcomes: n x M, without a NaN.
        costs: float64, n x M, dollars; NaN where not known.
        expected_costs: float64, n x M: what is known of costs before an answer.
        best_single: int, n: best model by what may be learned from in the split.
    """

    items: Places
    clusters: Places
    splits: Places
    outcomes: Floats
    costs: Reals
    expected_costs: Reals
    best_single: Places

    @classmethod
    def joined(cls, parts: Sequence["HeldOutPrompts"]) -> "HeldOutPrompts":
        """Return the prompts of several splits together."""
        return cls(
            *(np.concatenate([getattr(part, each.name) for part in parts]) for each in fields(cls))
        )

    @property
    def priced(self) -> bool:
        """Whether every model's costs are known, so that costs can be compared."""
        return not (np.isnan(self.costs).any() or np.isnan(self.expected_costs).any())


@dataclass(frozen=True, slots=True, eq=False)
class Scorecard:
    """Result of a router.

    Attributes:
        estimates: by metric; those that are not defined are left out.
        curve: operating points; None without costs.
        picks: int, n: the router's picks where costs do not count.
        pick_rates: on prompts by the number of models that are right.
        confusion: float64, M x M: routed models by those that should have been.
        calibration: float64, M: expected calibration error of each model's probabilities over
            the prompts of all splits; None where the router does not predict all models.
    """

    estimates: Mapping[str, Estimate]
    curve: Curve | None
    picks: Places
    pick_rates: Sequence[pick_metrics.PickRate]
    confusion: Reals
    calibration: Reals | None = None


def score_router(
    held: HeldOutPrompts, probabilities: Floats, *, replicates: int = REPLICATES, seed: int = 0
) -> Scorecard:
    """Return all metrics of a router's predictions.

    Args:
        held: prompts and outcomes.
        probabilities: n x M; NaN for a model that the router does not choose. One that predicts
            some models only has no metrics of rankings and probabilities.
        replicates: resamples of the items.
        seed: of the resampling; one for all routers makes their differences paired.
    """
    picks = pick(probabilities)
    predicts_all = not np.isnan(probabilities).any()
    columns = _pick_columns(held, picks)
    if predicts_all:
        columns |= _ranking_columns(held, probabilities)
    points = None
    if held.priced:
        columns |= _cost_columns(held, picks)
        points = operating_points(held, probabilities)
    table = PromptMeans(held.clusters, columns, points)
    estimates = table.estimates(mean_metrics(table), replicates=replicates, seed=seed)
    calibration = None
    if predicts_all:
        estimates |= _over_splits(held, probabilities)
        calibration = calibration_by_model(held, probabilities)
        estimates["model_calibration_error"] = Estimate(float(np.median(calibration)))
        estimates["worst_calibration_error"] = Estimate(float(calibration.max()))
    return Scorecard(
        {name: estimates[name] for name in METRICS if name in estimates},
        table.means.curve if held.priced else None,
        picks,
        pick_metrics.pick_rates(held.outcomes, picks),
        pick_metrics.confusion(held.outcomes, picks),
        calibration,
    )


def calibration_by_model(held: HeldOutPrompts, probabilities: Floats) -> Reals:
    """Return the expected calibration error of each model, over the prompts of all splits: M.

    Of few prompts most of it is noise: 15 bins of 300 are off by 0.08 where the probabilities are
    right, of 2,000 by 0.03.
    """
    outcomes = np.asarray(held.outcomes, np.float64)
    predicted = np.clip(np.asarray(probabilities, np.float64), 0, 1)
    return np.array(
        [
            calibration_error(outcomes[:, model], predicted[:, model])
            for model in range(outcomes.shape[1])
        ]
    )


def operating_points(held: HeldOutPrompts, probabilities: Floats) -> tuple[Reals, Reals]:
    """Return costs and outcomes of the picks at each weight of costs: float64, n x L each."""
    picks = [
        pick_at(probabilities, held.expected_costs, float(weight))
        for weight in cost_weights(held.expected_costs)
    ]
    return (
        np.stack([at(held.costs, each) for each in picks], axis=1),
        np.stack([at(held.outcomes, each) for each in picks], axis=1),
    )


def _pick_columns(held: HeldOutPrompts, picks: Places) -> dict[str, Reals]:
    routed = at(held.outcomes, picks)
    same = same_frequencies(held.outcomes, picks)
    return {"routed": routed, "same": same, **outcome_columns(held)}


def _ranking_columns(held: HeldOutPrompts, probabilities: Floats) -> dict[str, Reals]:
    return {
        "spearman": pick_metrics.spearman_by_prompt(probabilities, held.outcomes),
        "ndcg_5": pick_metrics.ndcg_by_prompt(probabilities, held.outcomes),
        "within_prompt_auc": pick_metrics.auc_by_prompt(probabilities, held.outcomes),
        "log_loss": pick_metrics.log_loss_by_prompt(probabilities, held.outcomes),
    }


def _cost_columns(held: HeldOutPrompts, picks: Places) -> dict[str, Reals]:
    selection, cost = cost_metrics.optimality_by_prompt(held.outcomes, held.costs, picks)
    return {
        "paid": at(held.costs, picks),
        "optimal_selection": selection,
        "optimal_cost": cost,
    }


_METRICS: Mapping[str, tuple[str, MeanMetric]] = {
    "avg_acc": ("routed", lambda m: m["routed"]),
    "over_best_single": ("routed best", lambda m: m["routed"] - m["best"]),
    "over_same_frequencies": ("routed same", lambda m: m["routed"] - m["same"]),
    "gain_at_r": ("routed mean", lambda m: pick_metrics.gain(m["routed"], m["mean"])),
    "gain_at_b": ("routed best", lambda m: pick_metrics.gain(m["routed"], m["best"])),
    "gap_at_o": ("routed oracle", lambda m: pick_metrics.oracle_gap(m["routed"], m["oracle"])),
    "gap_closed": (
        "routed best oracle",
        lambda m: pick_metrics.gap_closed(m["routed"], m["best"], m["oracle"]),
    ),
    "spearman": ("spearman", lambda m: m["spearman"]),
    "ndcg_5": ("ndcg_5", lambda m: m["ndcg_5"]),
    "within_prompt_auc": ("within_prompt_auc", lambda m: m["within_prompt_auc"]),
    "log_loss": ("log_loss", lambda m: m["log_loss"]),
    "cost_per_1000": ("paid", lambda m: 1000 * m["paid"]),
    "perf_gain": ("curve best", lambda m: cost_metrics.perf_gain(m.curve, m["best"])),
    "cost_save": (
        "curve best paid_best",
        lambda m: cost_metrics.cost_save(m.curve, m["best"], m["paid_best"]),
    ),
    "quality_gain": (
        "curve best paid_best",
        lambda m: cost_metrics.quality_gain(m.curve, m["best"], m["paid_best"]),
    ),
    "aiq": (
        "curve paid_least paid_most",
        lambda m: cost_metrics.aiq(m.curve, m["paid_least"], m["paid_most"]),
    ),
    "arena_score": (
        "routed paid",
        lambda m: cost_metrics.arena_score(m["routed"], 1000 * m["paid"]),
    ),
    "optimal_selection": ("optimal_selection", lambda m: m["optimal_selection"]),
    "optimal_cost": ("optimal_cost", lambda m: m["optimal_cost"]),
    "optimal_accuracy": (
        "routed oracle",
        lambda m: 1 - pick_metrics.oracle_gap(m["routed"], m["oracle"]),
    ),
}
"""Metrics as functions of means over prompts, and the columns that they need."""


def mean_metrics(table: PromptMeans) -> dict[str, MeanMetric]:
    """Return the metrics of `METRICS` whose columns are there, as functions of means."""
    return {
        name: metric
        for name, (needs, metric) in _METRICS.items()
        if all(column in table for column in needs.split())
    }


def outcome_columns(held: HeldOutPrompts) -> dict[str, Reals]:
    """Return outcomes that a router's are compared with, and what the best single model costs."""
    outcomes = np.asarray(held.outcomes, np.float64)
    columns = {
        "best": at(outcomes, held.best_single),
        "oracle": outcomes.max(axis=1),
        "mean": outcomes.mean(axis=1),
    }
    if held.priced:
        columns |= {
            "paid_best": at(held.costs, held.best_single),
            "paid_least": at(held.costs, held.expected_costs.argmin(axis=1)),
            "paid_most": at(held.costs, held.expected_costs.argmax(axis=1)),
        }
    return columns


def _over_splits(held: HeldOutPrompts, probabilities: Floats) -> dict[str, Estimate]:
    """Return metrics that are of no mean over prompts, with Student's interval over splits."""
    values: dict[str, list[float]] = {}
    outcomes = np.asarray(held.outcomes, np.float64)
    for split in np.unique(held.splits):
        rows = np.flatnonzero(held.splits == split)
        predicted = np.clip(probabilities[rows], 0, 1)
        found = {
            "auc": auc(outcomes[rows].ravel(), predicted.ravel()),
            "calibration_error": calibration_error(outcomes[rows].ravel(), predicted.ravel()),
        }
        if outcomes.shape[1] == 2:  # noqa: PLR2004 - a strong model and a weak one
            strong = int(held.best_single[rows[0]])
            preferences = predicted[:, strong] - predicted[:, 1 - strong]
            pair = outcomes[rows][:, 1 - strong], outcomes[rows][:, strong]
            found |= cost_metrics.strong_weak(preferences, *pair)._asdict()
        for name, value in found.items():
            values.setdefault(name, []).append(value)
    summaries = {name: summary(each) for name, each in values.items()}
    return {
        name: Estimate(each.mean, each.lower, each.upper)
        for name, each in summaries.items()
        if np.isfinite(each.mean)
    }
