"""Routers that an evaluation compares, by the names that users choose them by."""

from collections.abc import Callable, Mapping, Sequence

from registry.errors import UsageError
from registry.evaluations.selection import did_you_mean
from registry.learning.domains.domain_router import DomainRouter
from registry.learning.domains.expert_router import ExpertRouter
from registry.learning.routing.route_baselines import (
    BestSingle,
    Cheapest,
    ModelMeans,
    RandomRouter,
)
from registry.learning.routing.router_blend import RouterBlend
from registry.learning.routing.routing_problem import RouterMethod
from registry.learning.routing.served_routers import ServedNeighbours, ServingVectors
from registry.learning.routing.similar_items import ItemClusters, SimilarItems
from registry.learning.routing_evaluation.contest import RoutingContender, contender, oracles

BASELINES: Mapping[str, Callable[[], RouterMethod]] = {
    "random": RandomRouter,
    "cheapest": Cheapest,
    "best-single": BestSingle,
    "model-means": ModelMeans,
    "neighbours": SimilarItems,
    "weighted-neighbours": lambda: SimilarItems(200, 8.0),
    "avengers-pro": ItemClusters,
    "domain-mixture": DomainRouter,
}
"""Baselines by name."""

ROUTERS: Mapping[str, Callable[[], RouterMethod]] = {
    "best": RouterBlend,
    "knn": ServedNeighbours,
    "factorization": ServingVectors,
    "domain": ExpertRouter,
}
"""Routers that are served, by the names of `registry route --router`."""

ORACLES = ("oracle-by-task", "oracle-by-instance", "oracle-by-cost")
"""They are shown whatever is chosen."""


def contenders(
    names: Sequence[str] | None = None, *, priced: bool, experts: ExpertRouter | None = None
) -> list[RoutingContender]:
    """Return what an evaluation compares: chosen routers, and the oracles.

    Args:
        names: of `BASELINES` and `ROUTERS`; None is all.
        priced: whether the costs of all models are known; without, what needs them is left out.
        experts: the router by domains; None: each group of items is a domain.

    Raises:
        UsageError: for a name that does not exist, or that needs costs that are not known.
    """
    methods = {**BASELINES, **ROUTERS}
    if experts is not None:
        methods[experts.name] = lambda: experts
    for name in names or ():
        if name not in methods:
            raise UsageError(
                f"No router is named {name!r};{did_you_mean(name, methods)} there are: "
                f"{', '.join(methods)}."
            )
        if name == Cheapest().name and not priced:
            raise UsageError("The cheapest model is not known: not all of the pool have a price.")
    chosen = [name for name in methods if names is None or name in names]
    if not priced:
        chosen = [name for name in chosen if name != Cheapest().name]
    return [*(contender(methods[name]()) for name in chosen), *oracles(priced=priced)]
