"""The models most likely to answer a prompt well, by `registry.route`."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray
from sqlalchemy import Connection, text

from registry.catalog import names as model_names


def route(
    connection: Connection,
    prompt: NDArray[np.float32],
    k: int = 1,
    *,
    pool: Sequence[str] | None = None,
) -> list[dict[str, Any]]:
    """Return rows of `registry.route`: the k models likeliest to answer a prompt well.

    Args:
        connection: to read from.
        prompt: float32, (t,), by the current version's encoder.
        k: most models to return.
        pool: any names of the models to choose from; None is all.

    Raises:
        ModelNotFoundError: for a name of the pool, with the nearest names there are.
        DBAPIError: when no version is current, it cannot route, or the prompt's dimensions are
            not those of its encoder.
    """
    for name in pool or ():
        model_names.model_id(connection, name)
    rows = connection.execute(
        text("SELECT * FROM registry.route(cast(:prompt AS vector), :k, NULL, :pool)"),
        {
            "prompt": orjson.dumps(prompt, option=orjson.OPT_SERIALIZE_NUMPY).decode(),
            "k": k,
            "pool": None if pool is None else list(pool),
        },
    )
    return [dict(row) for row in rows.mappings()]
