"""Options of all routers, and prompts routed by them in SQL: what `registry route` asks for."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import orjson
import psycopg
from numpy.typing import NDArray
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from registry.catalog import names as model_names
from registry.db.errors import translated

ROUTERS = {
    "best": "route_best",
    "knn": "route_knn",
    "factorization": "route",
    "best-single": "route_best_single",
    "cheapest": "route_cheapest",
    "cascade": "route_cascade",
}
"""Routers, and their functions in schema `registry`."""

UNREAD = ("best-single", "cheapest")
"""Routers that do not look at the prompt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteOptions:
    """What may be chosen, and what counts; None where nothing is asked for.

    Attributes:
        pool: any names of the models to choose from.
        license: their licence.
        family: any model of their family.
        max_parameters: their size, at most.
        provider: who must sell them.
        max_price: dollars for a million tokens, at most.
        cost_weight: what a dollar of that price takes from a probability.
        minimum_probability: else the best single model is chosen, and said to be.
        neighbours: that a prompt is compared with, by router knn.
        output_tokens: of an answer, for its expected cost; else a third of the prompt's.
        threshold: least probability of the model that a cascade asks, by router cascade.
    """

    pool: Sequence[str] | None = None
    license: str | None = None
    family: str | None = None
    max_parameters: int | None = None
    provider: str | None = None
    max_price: float | None = None
    cost_weight: float | None = None
    minimum_probability: float | None = None
    neighbours: int | None = None
    output_tokens: float | None = None
    threshold: float | None = None

    def given(self) -> dict[str, Any]:
        """Return the options that are asked for."""
        values = {name: value for name, value in asdict(self).items() if value is not None}
        if self.pool is not None:
            values["pool"] = list(self.pool)
        return values


def routes_by(
    connection: Connection,
    router: str,
    prompt: NDArray[np.float32],
    k: int = 1,
    options: RouteOptions | None = None,
    *,
    input_tokens: float | None = None,
) -> list[dict[str, Any]]:
    """Return rows of a router's function: the k models to choose for a prompt.

    Args:
        connection: to read from.
        router: one of `ROUTERS`.
        prompt: float32, (t,), by the current version's encoder; ignored by best-single, cheapest.
        k: most models to return.
        options: what may be chosen.
        input_tokens: of the prompt, for expected costs.

    Raises:
        ModelNotFoundError: for an unknown model, with the nearest names there are.
        RegistryError: when the function refuses.
    """
    given = (options or RouteOptions()).given()
    if input_tokens is not None:
        given["input_tokens"] = input_tokens
    looks = router not in UNREAD
    arguments = ["CAST(:prompt AS vector)"] if looks else []
    arguments += ["k => :k", *(f"{name} => :{name}" for name in given)]
    query = f"SELECT * FROM registry.{ROUTERS[router]}({', '.join(arguments)})"  # noqa: S608
    written = orjson.dumps(prompt, option=orjson.OPT_SERIALIZE_NUMPY).decode()
    try:
        with connection.begin_nested():
            rows = connection.execute(text(query), {"prompt": written, "k": k, **given})
            return [dict(row) for row in rows.mappings()]
    except DBAPIError as error:
        if isinstance(error.orig, psycopg.errors.NoDataFound):
            for name in filter(None, (*given.get("pool", ()), given.get("family"))):
                model_names.model_id(connection, name)
        raise translated(error, "route the prompt") from error


def has_routers(connection: Connection) -> bool:
    """Return whether the current version routes by more than factorization."""
    return bool(
        connection.scalar(
            text("""
            SELECT EXISTS (SELECT FROM store.route_blends
                             JOIN store.embedding_versions USING (version_id)
                            WHERE state = 'current')""")
        )
    )
