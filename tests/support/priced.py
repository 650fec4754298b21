"""Rows of prices for tests."""

from datetime import datetime, timedelta
from typing import Any

from factories import NOON
from sqlalchemy import Connection

from registry.db import schema


def offer(
    connection: Connection,
    name: str,
    model_id: int | None = None,
    *prices: tuple[float, float] | None,
    since: datetime = NOON,
    **columns: Any,
) -> int:
    """Insert an offer of a model, and return its key.

    Args:
        connection: in a transaction.
        name: of the model, as the provider names it.
        model_id: key of the model, if it has one.
        prices: of a million input and output tokens, a day each; None where it is withdrawn.
        since: begin of the first.
        columns: others of the offer (source, provider), and of the prices (currency, context).
    """
    of_prices = {key: columns.pop(key) for key in ("currency", "context") if key in columns}
    resolved = {"model_id": model_id, "method": "exact", "confidence": 1.0} if model_id else {}
    values = {"source": "litellm", "provider": "openrouter", "seen_at": NOON, **columns}
    key = connection.scalar(
        schema.price_offers.insert()
        .values(name=name, **values, **resolved)
        .returning(schema.price_offers.c.offer_id)
    )
    assert isinstance(key, int)
    for day, price in enumerate(prices):
        begin = since + timedelta(days=day)
        given, taken = price or (None, None)
        connection.execute(
            schema.prices.insert().values(
                offer_id=key,
                valid_from=begin,
                valid_to=begin + timedelta(days=1) if day + 1 < len(prices) else None,
                input_per_million=given,
                output_per_million=taken,
                tiered=False,
                **{"currency": "USD", **of_prices},
            )
        )
    return key
