"""Choice of the models most likely to answer a prompt well, by `registry.route`."""

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
import orjson
import psycopg
from numpy.typing import NDArray
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from registry.catalog import names as model_names
from registry.db.connection import reading
from registry.db.errors import translated
from registry.embeddings.versions import require_routing
from registry.learning.encoders import open_encoder

_log = logging.getLogger(__name__)


def route_prompt(
    engine: Engine, prompt: str, k: int = 1, *, pool: Sequence[str] | None = None
) -> list[dict[str, Any]]:
    """Encode a prompt and return rows of `registry.route`.

    No connection is open while the encoder is loaded, which takes seconds. Of a prompt that is
    longer than the encoder reads a part counts, of sentence-transformers the end; a warning says
    so.

    Args:
        engine: of a database at head.
        prompt: its text.
        k: most models to return.
        pool: any names of the models to choose from; None is all.

    Raises:
        ModelNotFoundError: for a name of the pool, with the nearest names there are.
        RegistryError: when no version is current, it cannot route, or `registry.route` refuses.
    """
    with reading(engine) as connection:
        encoder = require_routing(connection)
    while True:
        opened = open_encoder(encoder)
        vector = opened.encode([prompt])[0]
        with reading(engine) as connection:
            current = require_routing(connection)
            if current == encoder:
                if opened.cuts([prompt])[0]:
                    _log.warning("The prompt is longer than %s reads: a part alone counts", encoder)
                return route(connection, vector, k, pool=pool)
        # Another version was promoted meanwhile.
        encoder = current


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
    try:
        with connection.begin_nested():
            rows = connection.execute(
                text("SELECT * FROM registry.route(cast(:prompt AS vector), :k, NULL, :pool)"),
                {
                    "prompt": orjson.dumps(prompt, option=orjson.OPT_SERIALIZE_NUMPY).decode(),
                    "k": k,
                    "pool": None if pool is None else list(pool),
                },
            )
            return [dict(row) for row in rows.mappings()]
    except DBAPIError as error:
        if isinstance(error.orig, psycopg.errors.NoDataFound):
            for name in pool or ():
                model_names.model_id(connection, name)
        raise translated(error, "route the prompt") from error
