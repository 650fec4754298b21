"""Metrics of a router's picks and rankings on held-out prompts.

Arrays are of P prompts by M models: predictions, and outcomes in [0, 1] without a NaN. Those that
end in `_by_prompt` return a value for each prompt, of which the metric is the mean; NaN marks
prompts that say nothing.
"""

from typing import NamedTuple

import numpy as np

from registry.learning.arrays import Floats, Places, Reals
from registry.learning.metrics import RIGHT_FROM
from registry.learning.routing.picks import at


def average_accuracy(outcomes: Floats, picks: Places) -> float:
    """Return AvgAcc of LLMRouterBench (arXiv 2601.07206): the mean outcome of the picks."""
    return float(at(outcomes, picks).mean())


def gain(routed: float, reference: float) -> float:
    """Return Gain@R or Gain@B of LLMRouterBench: the relative gain on random or the best single.

    Args:
        routed: AvgAcc of the router.
        reference: AvgAcc of random picks, or of the best single model.

    Returns:
        (routed - reference) / reference, such as 0.068; nan where the reference is 0.
    """
    return (routed - reference) / reference if reference else float("nan")


def oracle_gap(routed: float, oracle: float) -> float:
    """Return Gap@O of LLMRouterBench: what is missing to the oracle by instance, relative to it.

    Returns:
        (oracle - routed) / oracle, in [0, 1]; nan where the oracle is never right.
    """
    return (oracle - routed) / oracle if oracle else float("nan")


def gap_closed(routed: float, best_single: float, oracle: float) -> float:
    """Return the share of the gap between best single model and oracle that a router closes.

    Returns:
        (routed - best single) / (oracle - best single): 0 for the best single model, 1 for the
        oracle by instance, below 0 for worse; nan without a gap.
    """
    gap = oracle - best_single
    return (routed - best_single) / gap if gap else float("nan")


def spearman_by_prompt(predictions: Floats, outcomes: Floats) -> Reals:
    """Return Spearman's correlation of estimated and true ranking of models, for each prompt.

    That is the correlation of ranks, equal values sharing their mean rank (METHODS.md section 3).

    Returns:
        float64, P, in [-1, 1]; NaN where all outcomes are equal, 0 where all predictions are.
    """
    estimated, true = _ranks(predictions), _ranks(outcomes)
    estimated -= estimated.mean(axis=1, keepdims=True)
    true -= true.mean(axis=1, keepdims=True)
    norms = np.sqrt((estimated**2).sum(axis=1) * (true**2).sum(axis=1))
    products = (estimated * true).sum(axis=1)
    correlations = np.divide(products, norms, out=np.zeros(len(norms)), where=norms > 0)
    return np.where(np.ptp(outcomes, axis=1) > 0, correlations, np.nan)


def ndcg_by_prompt(predictions: Floats, outcomes: Floats, k: int = 5) -> Reals:
    """Return NDCG@k of the estimated ranking (Jarvelin and Kekalainen 2002), for each prompt.

    Gains are outcomes, discounts 1 / log2(1 + rank). Equal predictions share the mean of their
    discounts, as in McSherry and Najork (2008).

    Returns:
        float64, P, in [0, 1]; NaN where no model has an outcome above 0.
    """
    models = predictions.shape[1]
    discounts = np.where(np.arange(models) < k, 1 / np.log2(np.arange(models) + 2), 0)
    sums = np.concatenate([[0], np.cumsum(discounts)])
    above = models - _ranks(predictions, "max").astype(np.intp)
    upto = models - _ranks(predictions, "min").astype(np.intp) + 1
    shared = (sums[upto] - sums[above]) / (upto - above)
    reached = (shared * outcomes).sum(axis=1)
    ideal = -np.sort(-outcomes.astype(np.float64), axis=1) @ discounts
    means: Reals = np.divide(reached, ideal, out=np.full(len(ideal), np.nan), where=ideal > 0)
    return means


def auc_by_prompt(predictions: Floats, outcomes: Floats) -> Reals:
    """Return the within-prompt AUC, for each prompt: whether right models rank above wrong ones.

    That is the probability that of a model that is right and one that is wrong the right one has
    the higher prediction; equal ones count half. Graded outcomes are right from 0.5.

    Returns:
        float64, P, in [0, 1]; NaN where all models are right, or all wrong.
    """
    right = outcomes >= RIGHT_FROM
    count = right.sum(axis=1)
    pairs = count * (outcomes.shape[1] - count)
    above = (_ranks(predictions) * right).sum(axis=1) - count * (count + 1) / 2
    means: Reals = np.divide(above, pairs, out=np.full(len(pairs), np.nan), where=pairs > 0)
    return means


def log_loss_by_prompt(predictions: Floats, outcomes: Floats) -> Reals:
    """Return the mean log loss over the models that are predicted, in nats, for each prompt.

    Predictions are clipped to [1e-7, 1 - 1e-7]. NaN where no model is predicted.
    """
    p = np.clip(predictions.astype(np.float64), 1e-7, 1 - 1e-7)
    losses = -outcomes * np.log(p) - (1 - outcomes) * np.log1p(-p)
    known = ~np.isnan(losses)
    count = known.sum(axis=1)
    sums = np.where(known, losses, 0).sum(axis=1)
    means: Reals = np.divide(sums, count, out=np.full(len(count), np.nan), where=count > 0)
    return means


def confusion(outcomes: Floats, picks: Places) -> Reals:
    """Return how often a model was routed to where another should have been (METHODS.md section 3).

    A pick that is as good as any counts on the diagonal. Of a worse one, the models that were best
    on the prompt share the count; a prompt on which all models are equal says nothing.

    Returns:
        float64, M x M: rows are the routed models, columns those that should have been.
    """
    models = outcomes.shape[1]
    best = outcomes >= outcomes.max(axis=1, keepdims=True)
    telling = np.flatnonzero(~best.all(axis=1))
    should = best / best.sum(axis=1, keepdims=True)
    good = best[np.arange(len(picks)), picks]
    should[good] = np.eye(models)[picks[good]]
    counts = np.zeros((models, models))
    np.add.at(counts, picks[telling], should[telling])
    return counts


class PickRate(NamedTuple):
    """Picks on prompts that a number of models get right.

    Attributes:
        right: number of models that are right.
        prompts: number of such prompts.
        picked: share of them on which the pick is right.
        chance: the same of random picks, right / M.
    """

    right: int
    prompts: int
    picked: float
    chance: float


def pick_rates(outcomes: Floats, picks: Places) -> list[PickRate]:
    """Return how often a right model is picked, by the number of right models.

    LLMRouterBench's model-recall failure is a low rate where one or two models are right. Graded
    outcomes are right from 0.5.

    Returns:
        A row for each number of right models, from 0, that occurs.
    """
    right = outcomes >= RIGHT_FROM
    count, models = right.sum(axis=1), outcomes.shape[1]
    picked = right[np.arange(len(picks)), picks]
    return [
        PickRate(int(n), int((count == n).sum()), float(picked[count == n].mean()), n / models)
        for n in np.unique(count)
    ]


def robustness(picks: Places, reworded: Places) -> float:
    """Return RouterArena's robustness: the share of prompts whose pick survives a rewording.

    Source: arXiv 2510.00202, and `compute_robustness_score` of its code.

    Args:
        picks: int, P.
        reworded: int, P, of the same prompts in other words.
    """
    if picks.shape != reworded.shape:
        raise ValueError(f"{len(picks)} picks and {len(reworded)} of reworded prompts")
    return float((picks == reworded).mean())


def _ranks(values: Floats, method: str = "average") -> Reals:
    """Return ranks of models within each prompt from 1, the lowest first; NaN ranks lowest."""
    from scipy.stats import rankdata  # noqa: PLC0415 - heavy, and of the extra `train`

    filled = np.where(np.isnan(values), -np.inf, values)
    return np.asarray(rankdata(filled, method=method, axis=1), np.float64)
