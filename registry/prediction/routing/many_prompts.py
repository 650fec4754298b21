"""Many prompts routed at once, in numpy: what `registry route --prompts` prints."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from registry.catalog.prices.costs import estimate_tokens
from registry.db import connection as database
from registry.db.connection import reading
from registry.errors import UsageError
from registry.prediction.prompt_texts import check_prompts
from registry.prediction.prompts import Prompt
from registry.prediction.routing.route_options import RouteOptions, has_routers
from registry.prediction.routing.router import FILTERS, ROUTERS, RoutedPrompts, Router


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
        router: one of `router.ROUTERS`; None is best where the current version has it, else
            factorization.
        options: what may be chosen; neighbours cannot be given.

    Raises:
        UsageError: for a prompt that is empty or too long, an unknown router, or neighbours.
        RegistryError: as of `Router`.
    """
    asked = options or RouteOptions()
    if router is None:
        with database.engine(database.setting(url)) as engine, reading(engine) as connection:
            router = "best" if has_routers(connection) else "factorization"
    if router not in ROUTERS:
        raise UsageError(f"Many prompts are routed by {', '.join(ROUTERS)}, not by {router}.")
    if asked.neighbours is not None:
        raise UsageError("Many prompts are compared with as many neighbours as predicted best: "
                         "leave --neighbours out.")  # fmt: skip
    texts = [each.text for each in prompts]
    check_prompts(texts)
    filters = {name: value for name, value in asked.given().items() if name in FILTERS}
    with Router(url, router=router, check_seconds=np.inf, **filters) as opened:
        routes = opened.route(
            opened.encode(texts),
            cost_weight=asked.cost_weight or 0.0,
            minimum_probability=asked.minimum_probability,
            input_tokens=estimate_tokens(texts).input,
            output_tokens=asked.output_tokens,
        )
        return ManyRoutes(router, opened.version, routes)
