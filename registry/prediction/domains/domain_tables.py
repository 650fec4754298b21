"""Tables of domains for people: sets, domains and experts, as the views have them."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from registry.db.errors import translated
from registry.prediction.domains.domain_storage import read_set


def list_sets(connection: Connection, columns: Sequence[str]) -> list[Sequence[Any]]:
    """Return the sets by columns of view `registry.domain_sets`, by name."""
    rows = connection.execute(
        text(f"SELECT {', '.join(columns)} FROM registry.domain_sets ORDER BY domain_set")  # noqa: S608
    )
    return [tuple(row) for row in rows]


def list_domains(connection: Connection, name: str, columns: Sequence[str]) -> list[Sequence[Any]]:
    """Return the domains of a set by columns of view `registry.domains`, in its order.

    Raises:
        UsageError: when there is no such set.
    """
    order = list(read_set(connection, name).content.domains)
    rows = connection.execute(
        text(f"""
        SELECT {", ".join(columns)} FROM registry.domains WHERE domain_set = :name
         ORDER BY array_position(CAST(:order AS text[]), domain)"""),  # noqa: S608
        {"name": name, "order": order},
    )
    return [tuple(row) for row in rows]


EXPERT_COLUMNS = (
    "domain", "model", "score", "standard_error", "items", "price", "runner_up", "why",
)  # fmt: skip
"""Columns of experts, of view `registry.experts`."""


def list_experts(
    connection: Connection,
    name: str,
    *,
    tier: str | None = None,
    max_price: float | None = None,
) -> list[Sequence[Any]]:
    """Return the expert of each domain of a set by EXPERT_COLUMNS, in its order.

    Args:
        connection: to read from.
        name: of the set.
        tier: only models of up to about this size, such as 8B; None is any.
        max_price: dollars for a million tokens, three of input to one of output; None is any.

    Raises:
        UsageError: when there is no such set.
        RegistryError: when the tier is no size.
    """
    key = read_set(connection, name).key
    try:
        with connection.begin_nested():
            rows = connection.execute(
                text("""
                SELECT d.name, m.name, x.score, x.standard_error, x.items, x.price, r.name, x.why
                  FROM store.choose_experts(
                           :key, store.tier_parameters(:tier), CAST(:max_price AS float8)) x
                  JOIN store.domains d ON d.set_id = :key AND d.domain = x.domain
                  JOIN store.models m ON m.model_id = x.model_id
                  LEFT JOIN store.models r ON r.model_id = x.runner_up_id
                 ORDER BY d.domain"""),
                {"key": key, "tier": tier, "max_price": max_price},
            )
            return [tuple(row) for row in rows]
    except DBAPIError as error:
        raise translated(error, "choose experts") from error
