"""Metrics of quality against cost: curves of operating points, and what they dominate.

An operating point is a mean cost in dollars an answer and a mean outcome in [0, 1]. A router has
one for each weight of costs; see `registry.learning.routing.picks.cost_weights`.
"""

from typing import NamedTuple

import numpy as np

from registry.learning.arrays import Floats, Places, Reals
from registry.learning.metrics import RIGHT_FROM
from registry.learning.routing.picks import at

DEAREST, CHEAPEST = 200.0, 0.0044
"""Dollars per 1,000 prompts between which RouterArena's cost score runs from 0 to 1."""

BETA = 0.1
"""Weight of costs in RouterArena's score."""


class Curve(NamedTuple):
    """Operating points.

    Attributes:
        costs: float64, n, dollars an answer.
        qualities: float64, n, mean outcomes.
    """

    costs: Reals
    qualities: Reals


def hull(curve: Curve) -> Curve:
    """Return RouterBench's non-decreasing convex hull of operating points (arXiv 2403.12031).

    Between two points, prompts can be divided at random: each point below the line between two
    others is replaced by a mixture of these. Costs rise and qualities rise, strictly.
    """
    order = np.lexsort((-curve.qualities, curve.costs))
    points: list[tuple[float, float]] = []
    for cost, quality in zip(curve.costs[order], curve.qualities[order], strict=True):
        if points and quality <= points[-1][1]:
            continue
        while len(points) > 1 and _is_below(points[-2], points[-1], (cost, quality)):
            points.pop()
        points.append((float(cost), float(quality)))
    return Curve(*(np.array(each) for each in zip(*points, strict=True)))


def _is_below(
    left: tuple[float, float], middle: tuple[float, float], right: tuple[float, float]
) -> bool:
    slope = (right[1] - left[1]) * (middle[0] - left[0])
    return (middle[1] - left[1]) * (right[0] - left[0]) <= slope


def aiq(curve: Curve, least: float, most: float) -> float:
    """Return AIQ of RouterBench: the area under the hull over a range of costs, by its width.

    Args:
        curve: operating points, one of them at the least cost or below.
        least: cost where the range begins, such as that of the cheapest model.
        most: cost where it ends, such as that of the dearest.

    Returns:
        A mean outcome, in [0, 1]; nan where the range is empty, or more than a hundredth of it is
        below the curve's costs.
    """
    frontier = hull(curve)
    if not most > least or frontier.costs[0] > least + (most - least) / 100:
        return float("nan")
    inner = frontier.costs[(frontier.costs > least) & (frontier.costs < most)]
    costs = np.concatenate([[least], inner, [most]])
    qualities = np.interp(costs, frontier.costs, frontier.qualities)
    return float(np.trapezoid(qualities, costs) / (most - least))


def perf_gain(curve: Curve, best_single: float) -> float:
    """Return PerfGain of LLMRouterBench: the gain of the best point on the best single model.

    Returns:
        (best quality - best single) / best single; nan where that is 0.
    """
    return float(curve.qualities.max() - best_single) / best_single if best_single else float("nan")


def cost_save(curve: Curve, best_single: float, cost: float) -> float:
    """Return CostSave of LLMRouterBench: the cost saved at the best single model's quality.

    Args:
        curve: operating points.
        best_single: mean outcome of the best single model.
        cost: its mean cost.

    Returns:
        1 - the least cost of a point of at least that quality / cost; 0 where no point saves
        anything, since all prompts can go to that model; nan where it costs nothing.
    """
    if not cost > 0:
        return float("nan")
    reaching = curve.costs[curve.qualities >= best_single - 1e-12]
    return max(0.0, 1 - float(reaching.min()) / cost) if reaching.size else 0.0


def quality_gain(curve: Curve, best_single: float, cost: float) -> float:
    """Return the quality gained at the best single model's cost; below 0 if lost.

    Returns:
        The best quality at no more than that cost, less the best single model's; nan where no
        point is as cheap.
    """
    affordable = curve.qualities[curve.costs <= cost * (1 + 1e-9)]
    return float(affordable.max()) - best_single if affordable.size else float("nan")


def is_dominated(curve: Curve, cost: float, quality: float) -> bool:
    """Return whether a point of a curve's hull is as good and as cheap, and better in one.

    Mixtures count, as in `hull`: a single model is dominated where prompts divided between two
    operating points do better.
    """
    frontier = hull(curve)
    if cost < frontier.costs[0]:
        return False
    best = float(np.interp(cost, frontier.costs, frontier.qualities))
    # A model that is a point of the curve itself differs from it by rounding.
    if best > quality + 1e-9:
        return True
    cheaper = frontier.costs[frontier.qualities >= quality - 1e-12]
    return bool(cheaper.size and cheaper.min() < cost * (1 - 1e-9))


def pareto_distance(curve: Curve, others: Curve) -> float:
    """Return ParetoDist of LLMRouterBench: the mean distance of points to the Pareto frontier.

    The frontier is of all points compared. Costs and qualities are scaled to [0, 1] over them;
    distances are Euclidean, to the nearest point of the frontier.

    Args:
        curve: operating points of a router.
        others: those of everything compared, that router included.

    Returns:
        At least 0; 0 for a router all of whose points are on the frontier.
    """
    spans = [np.ptp(values) or 1.0 for values in others]
    order = np.lexsort((-others.qualities, others.costs))
    best = np.maximum.accumulate(others.qualities[order])
    first = np.concatenate([[True], best[1:] > best[:-1]])
    frontier = np.stack([others.costs[order][first], others.qualities[order][first]], axis=1)
    points = np.stack([curve.costs, curve.qualities], axis=1)
    scaled = (points[:, None] - frontier) / spans
    return float(np.sqrt((scaled**2).sum(axis=2)).min(axis=1).mean())


class StrongWeak(NamedTuple):
    """RouteLLM's figures of a strong and a weak model (arXiv 2406.18665, section 3).

    Attributes:
        apgr: average performance gap recovered, over the shares of prompts sent to the strong one.
        cpt_50: least share of them at which half of the gap is recovered.
        cpt_80: at which 80% of it are.
    """

    apgr: float
    cpt_50: float
    cpt_80: float


def strong_weak(preferences: Floats, weak: Floats, strong: Floats) -> StrongWeak:
    """Return APGR, CPT(50) and CPT(80), over all thresholds of the preference.

    RouteLLM's code takes ten shares and interpolates; here every share is one. Prompts of equal
    preference go to the strong model together, at the mean of their outcomes.

    Args:
        preferences: P, for the strong model, such as its probability less the weak one's.
        weak: P, outcomes of the weak model.
        strong: P, outcomes of the strong model.

    Returns:
        Figures, NaN where the strong model is not better; a CPT of 1 where all are needed.
    """
    gap = float(strong.mean() - weak.mean())
    if not gap > 0:
        return StrongWeak(float("nan"), float("nan"), float("nan"))
    _, place, count = np.unique(-preferences, return_inverse=True, return_counts=True)
    gains = (np.bincount(place, (strong - weak).astype(np.float64)) / count)[np.sort(place)]
    recovered = np.concatenate([[0], np.cumsum(gains)]) / (len(gains) * gap)
    shares = np.linspace(0, 1, len(recovered))
    calls = [float(shares[np.argmax(recovered >= share - 1e-12)]) for share in (0.5, 0.8)]
    return StrongWeak(float(np.trapezoid(recovered, shares)), *calls)


def arena_score(accuracy: float, cost: float) -> float:
    """Return RouterArena's score S = (1 + b) A C / (b A + C), b = 0.1 (arXiv 2510.00202).

    Args:
        accuracy: A, the mean outcome, in [0, 1].
        cost: dollars per 1,000 prompts; C is (log2 200 - log2 cost) / (log2 200 - log2 0.0044), in
            [0, 1].

    Returns:
        A score in [0, 1].
    """
    clipped = min(max(cost, CHEAPEST), DEAREST)
    scaled = float(np.log2(DEAREST / clipped) / np.log2(DEAREST / CHEAPEST))
    total = BETA * accuracy + scaled
    return (1 + BETA) * accuracy * scaled / total if total else 0.0


class Optimality(NamedTuple):
    """RouterArena's optimality of picks, each in [0, 1].

    Attributes:
        selection: share of prompts on which the pick is the cheapest right model.
        cost: mean of the cheapest right model's cost over the pick's, at most 1.
        accuracy: accuracy of the picks over that of the oracle by instance.
    """

    selection: float
    cost: float
    accuracy: float


def optimality(outcomes: Floats, costs: Reals, picks: Places) -> Optimality:
    """Return RouterArena's optimal selection, cost and accuracy (arXiv 2510.00202).

    Selection and cost are over the prompts that a model gets right; see `optimality_by_prompt`.

    Args:
        outcomes: P x M.
        costs: P x M, dollars.
        picks: int, P.
    """
    selection, cost = optimality_by_prompt(outcomes, costs, picks)
    oracle = float(outcomes.max(axis=1).mean())
    solvable = ~np.isnan(selection)
    return Optimality(
        float(selection[solvable].mean()) if solvable.any() else float("nan"),
        float(cost[solvable].mean()) if solvable.any() else float("nan"),
        float(at(outcomes, picks).mean()) / oracle if oracle else float("nan"),
    )


def optimality_by_prompt(outcomes: Floats, costs: Reals, picks: Places) -> tuple[Reals, Reals]:
    """Return RouterArena's optimal selection and cost, for each prompt.

    Models are right from an outcome of 0.5; equally cheap right models are all optimal.

    Args:
        outcomes: P x M.
        costs: P x M, dollars.
        picks: int, P.

    Returns:
        Whether the pick is optimal, and the optimal cost over the pick's, at most 1: float64, P;
        NaN where no model is right.
    """
    right = outcomes >= RIGHT_FROM
    solvable = right.any(axis=1)
    best = np.where(right, costs, np.inf).min(axis=1)
    paid = at(costs, picks)
    is_optimal = at(right.astype(np.float64), picks) * (paid <= best * (1 + 1e-9))
    ratios = np.divide(best, paid, out=np.ones(len(best)), where=paid > 0)
    return (
        np.where(solvable, is_optimal, np.nan),
        np.where(solvable, np.minimum(ratios, 1), np.nan),
    )
