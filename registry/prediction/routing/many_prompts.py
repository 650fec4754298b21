"""Many prompts routed at once, in numpy: what `registry route --prompts` prints."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from registry.db import connection as database
from registry.db.connection import reading
from registry.errors import UsageError
from registry.prediction.prompts import Prompt
from registry.prediction.routing.route import check_prompt
from registry.prediction.routing.route_options import CHARACTERS_A_TOKEN, RouteOptions, has_routers
from registry.prediction.routing.router import FILTERS, FITTED, RoutedPrompts, Router


class ManyRoutes(NamedTuple):
    """The router that routed prompts, its version, and the model of each."""

    router: str
    version: int
    routes: RoutedPrompts


def route_prompts(
    url: str | None,
    prompts: Sequence[Prompt],
    *,
    router: str | None = None,
    options: RouteOptions | None = None,
) -> ManyRoutes:
    """Encode prompts and choose a model for each.

    Args:
        url: of a Postgres; as of `Router`.
        prompts: at least one, none of them empty.
        router: best, knn or factorization; None is best where the current version has it, else
            factorization.
        options: what may be chosen; neighbours cannot be given.

    Raises:
        UsageError: for an empty prompt, a router that does not look at prompts, or neighbours.
        RegistryError: as of `Router`.
    """
    asked = options or RouteOptions()
    if router is None:
        with database.engine(database.setting(url)) as engine, reading(engine) as connection:
            router = "best" if has_routers(connection) else "factorization"
    if router not in FITTED:
        raise UsageError(f"Many prompts are routed by {', '.join(FITTED)}, not by {router}: that "
                         "does not look at the prompt.")  # fmt: skip
    if asked.neighbours is not None:
        raise UsageError("Many prompts are compared with as many neighbours as predicted best: "
                         "leave --neighbours out.")  # fmt: skip
    for each in prompts:
        check_prompt(each.text)
    filters = {name: value for name, value in asked.given().items() if name in FILTERS}
    with Router(url, router=router, check_seconds=np.inf, **filters) as opened:
        lengths = np.array([len(each.text) for each in prompts], np.float64)
        extra = {} if asked.output_tokens is None else {"output_tokens": asked.output_tokens}
        routes = opened.route(
            opened.encode([each.text for each in prompts]),
            cost_weight=asked.cost_weight or 0.0,
            minimum_probability=asked.minimum_probability,
            input_tokens=lengths / CHARACTERS_A_TOKEN,
            **extra,
        )
        return ManyRoutes(router, opened.version, routes)
