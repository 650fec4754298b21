"""Choice of the models most likely to answer a prompt well, by the routers in SQL."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Engine

from registry.catalog.prices.costs import estimate_tokens
from registry.db.connection import reading
from registry.embeddings.versions import require_routing
from registry.prediction.prompt_texts import check_prompts, encode_prompts
from registry.prediction.routing.route_options import UNREAD, RouteOptions, has_routers, routes_by


class RoutedPrompt(NamedTuple):
    """A prompt's models, and the router that found them."""

    router: str
    rows: list[dict[str, Any]]


def route_prompt(
    engine: Engine, prompt: str, k: int = 1, *, pool: Sequence[str] | None = None
) -> list[dict[str, Any]]:
    """Encode a prompt and return rows of `registry.route`; see `route_by`."""
    return route_by(engine, prompt, k, router="factorization", options=RouteOptions(pool=pool)).rows


def route_by(
    engine: Engine,
    prompt: str,
    k: int = 1,
    *,
    router: str | None = None,
    options: RouteOptions | None = None,
) -> RoutedPrompt:
    """Encode a prompt and return rows of a router's function in SQL.

    No connection is open while the encoder is loaded, which takes seconds. A warning says where a
    part of the prompt counts alone, as of `encode_prompts`. The expected cost is of tokens that are
    estimated from its length.

    Args:
        engine: of a database at head.
        prompt: its text.
        k: most models to return.
        router: one of `route_options.ROUTERS`; None is best where the current version has it, else
            factorization.
        options: what may be chosen.

    Raises:
        UsageError: for a prompt that is empty or too long, as of `check_prompts`.
        ModelNotFoundError: for an unknown name, with the nearest names there are.
        RegistryError: when no version is current, it cannot route, or the function refuses.
    """
    check_prompts([prompt])
    while True:
        with reading(engine) as connection:
            encoder = require_routing(connection)
        unread = router in UNREAD
        vector = np.zeros(0, np.float32) if unread else encode_prompts(encoder, [prompt])[0]
        with reading(engine) as connection:
            # Another version may have been promoted meanwhile.
            if require_routing(connection) != encoder:
                continue
            chosen = router or ("best" if has_routers(connection) else "factorization")
            tokens = float(estimate_tokens([prompt]).input[0])
            return RoutedPrompt(
                chosen, routes_by(connection, chosen, vector, k, options, input_tokens=tokens)
            )


def route(
    connection: Connection,
    prompt: NDArray[np.float32],
    k: int = 1,
    *,
    pool: Sequence[str] | None = None,
) -> list[dict[str, Any]]:
    """Return rows of `registry.route`: the k models most likely to answer a prompt well.

    Args:
        connection: to read from.
        prompt: float32, (t,), by the current version's encoder.
        k: most models to return.
        pool: any names of the models to choose from; None is all.

    Raises:
        ModelNotFoundError: for a name of the pool, with the nearest names there are.
        RegistryError: when no version is current, it cannot route, or the prompt's dimensions are
            not those of its encoder.
    """
    return routes_by(connection, "factorization", prompt, k, RouteOptions(pool=pool))
