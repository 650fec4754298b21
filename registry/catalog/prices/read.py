"""Prices read: offers of a model, offers by filters, and changes."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

from registry.catalog.names import most_similar, suggestions
from registry.errors import RegistryError

_NEAREST = 2_000
"""Names of offers of which the most similar to an unknown one are suggested."""

_PART = 5
"""Letters of an unknown name that they have in common."""


@dataclass(frozen=True, slots=True)
class OfferFilter:
    """Which offers to list; None is any.

    Attributes:
        model: any name of one model, or a part of names where none has it.
        provider: who sells it.
        source: list that states it.
        most_input: dollars for a million input tokens, at most.
        most_output: dollars for a million output tokens, at most.
        least_context: tokens of prompt and answer, at least.
        free: whether it costs nothing.
        resolved: whether it is of a model of the catalog.
        at: when; None: today.
    """

    model: str | None = None
    provider: str | None = None
    source: str | None = None
    most_input: float | None = None
    most_output: float | None = None
    least_context: int | None = None
    free: bool | None = None
    resolved: bool | None = None
    at: datetime | None = None


OFFER_COLUMNS = (
    "model", "provider", "input_per_million", "output_per_million", "cached_input_per_million",
    "currency", "context", "free", "tiered", "valid_from", "offered_as", "source", "resolved_by",
    "seen_at",
)  # fmt: skip
"""Columns of a listed offer, of view `registry.prices`."""

CHANGE_COLUMNS = (
    "changed_at", "model", "provider", "change", "input_before", "input_after", "output_before",
    "output_after", "currency", "offered_as", "source", "resolved",
)  # fmt: skip
"""Columns of a change, of view `registry.price_changes`."""

HISTORY_COLUMNS = (
    "provider", "input_per_million", "output_per_million", "cached_input_per_million", "currency",
    "context", "free", "valid_from", "valid_to", "offered_as", "source",
)  # fmt: skip
"""Columns of an offer of one model, of function `registry.price_at`."""


def offers_of(
    connection: Connection, model: str, at: datetime | None = None
) -> list[Sequence[Any]]:
    """Return the offers of a model at a time, the cheapest first, by HISTORY_COLUMNS.

    Args:
        connection: to read from.
        model: any name of it, or the name that a provider uses.
        at: when; None: today.

    Raises:
        RegistryError: when no price of it is known, with the nearest names.
    """
    rows = _at(connection, model, at)
    if not rows:
        when = f" of {at:%Y-%m-%d}" if at else ""
        raise RegistryError(f"No price{when} is known of {model!r}.{_hint(connection, model)}")
    return rows


def _at(connection: Connection, model: str, at: datetime | None) -> list[Sequence[Any]]:
    columns = ", ".join(HISTORY_COLUMNS)
    rows = connection.execute(
        text(f"""
        SELECT {columns}
          FROM registry.price_at(:model, coalesce(CAST(:at AS timestamptz), now()))"""),  # noqa: S608
        {"model": model, "at": at},
    )
    return [tuple(row) for row in rows]


def history_of(connection: Connection, model: str) -> list[Sequence[Any]]:
    """Return all prices of a model over time, by HISTORY_COLUMNS, by provider and time.

    Raises:
        RegistryError: when no price of it is known, with the nearest names.
    """
    columns = ", ".join(HISTORY_COLUMNS)
    rows = connection.execute(
        text(f"""
        SELECT {columns} FROM registry.prices p
         WHERE p.model = (SELECT m.name FROM store.models m
                           WHERE m.model_id = registry.model_id(:model))
            OR p.resolved_by IS NULL AND lower(p.offered_as) = lower(:model)
         ORDER BY p.provider, p.source, p.offered_as, p.valid_from"""),  # noqa: S608
        {"model": model},
    ).all()
    if not rows:
        raise RegistryError(f"No price is known of {model!r}.{_hint(connection, model)}")
    return [tuple(row) for row in rows]


def _hint(connection: Connection, model: str) -> str:
    """Return the question whether models or offers of similar names are meant."""
    priced = connection.scalars(
        text("""
        SELECT DISTINCT coalesce(m.name, o.name) FROM store.price_offers o
          LEFT JOIN store.models m USING (model_id)
         WHERE strpos(lower(o.name), lower(:part)) > 0 LIMIT :limit"""),
        {"part": model.rpartition("/")[2][:_PART], "limit": _NEAREST},
    ).all()
    if not priced and connection.scalar(text("SELECT NOT EXISTS (SELECT FROM store.prices)")):
        return " No prices are stored: registry prices import"
    near = most_similar(model, priced) or [*suggestions(connection, model)]
    return f" Did you mean {', '.join(near)}?" if near else ""


def list_offers(connection: Connection, wanted: OfferFilter, *, limit: int) -> list[Sequence[Any]]:
    """Return offers by OFFER_COLUMNS, the cheapest first for three tokens in to one out."""
    rows = connection.execute(
        text(f"""
        SELECT {", ".join(OFFER_COLUMNS)} FROM registry.prices
         WHERE valid_from <= coalesce(CAST(:at AS timestamptz), now())
           AND (valid_to IS NULL OR coalesce(CAST(:at AS timestamptz), now()) < valid_to)
           AND (CAST(:provider AS text) IS NULL OR provider = :provider)
           AND (CAST(:source AS text) IS NULL OR source = :source)
           AND (CAST(:most_input AS float) IS NULL
                OR currency = 'USD' AND input_per_million <= :most_input)
           AND (CAST(:most_output AS float) IS NULL
                OR currency = 'USD' AND output_per_million <= :most_output)
           AND (CAST(:least_context AS bigint) IS NULL OR context >= :least_context)
           AND (CAST(:free AS boolean) IS NULL OR free = :free)
           AND (CAST(:resolved AS boolean) IS NULL OR (resolved_by IS NOT NULL) = :resolved)
           AND (CAST(:model AS text) IS NULL
                OR model = (SELECT m.name FROM store.models m
                             WHERE m.model_id = registry.model_id(:model))
                OR registry.model_id(:model) IS NULL
                   AND (strpos(lower(model), lower(:model)) > 0
                        OR strpos(lower(offered_as), lower(:model)) > 0))
         ORDER BY currency <> 'USD', 3 * input_per_million + output_per_million, model, provider,
                  source, offered_as
         LIMIT :limit"""),  # noqa: S608
        {
            "at": wanted.at, "provider": wanted.provider, "source": wanted.source,
            "most_input": wanted.most_input, "most_output": wanted.most_output,
            "least_context": wanted.least_context, "free": wanted.free,
            "resolved": wanted.resolved, "model": wanted.model, "limit": limit,
        },
    )  # fmt: skip
    return [tuple(row) for row in rows]


def list_changes(
    connection: Connection,
    *,
    since: datetime,
    until: datetime | None = None,
    model: str | None = None,
    provider: str | None = None,
    change: str | None = None,
    resolved: bool | None = None,
    limit: int,
) -> list[Sequence[Any]]:
    """Return changes by CHANGE_COLUMNS, the last first.

    Args:
        connection: to read from.
        since: from when on.
        until: before when; None: no end.
        model: any name of the only model.
        provider: the only one.
        change: the only kind, as in view `registry.price_changes`.
        resolved: whether of models of the catalog; None: all.
        limit: how many, at most.
    """
    rows = connection.execute(
        text(f"""
        SELECT {", ".join(CHANGE_COLUMNS)} FROM registry.price_changes
         WHERE changed_at >= :since
           AND (CAST(:until AS timestamptz) IS NULL OR changed_at < :until)
           AND (CAST(:provider AS text) IS NULL OR provider = :provider)
           AND (CAST(:change AS text) IS NULL OR change = :change)
           AND (CAST(:resolved AS boolean) IS NULL OR resolved = :resolved)
           AND (CAST(:model AS text) IS NULL
                OR model = (SELECT m.name FROM store.models m
                             WHERE m.model_id = registry.model_id(:model))
                OR NOT resolved AND lower(offered_as) = lower(:model))
         ORDER BY changed_at DESC, model, provider, source, offered_as
         LIMIT :limit"""),  # noqa: S608
        {
            "since": since, "until": until, "provider": provider, "change": change,
            "resolved": resolved, "model": model, "limit": limit,
        },
    )  # fmt: skip
    return [tuple(row) for row in rows]
