"""Decisions of routers in the database, off unless a caller logs them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import orjson
from sqlalchemy import Connection, Engine, text

from registry.catalog import names as model_names
from registry.db.errors import translated_errors
from registry.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteDecision:
    """What a router chose for a prompt.

    Attributes:
        prompt: its text, of which a hash is stored.
        router: name of the router.
        model: any name of the chosen model.
        probability: that its answer is right, in [0, 1]; None where the router states none.
        expected_cost: dollars; None where unknown.
        version: of the embeddings used; None where none is.
        alternatives: the models offered, best first, with what is stated of each.
    """

    prompt: str
    router: str
    model: str
    probability: float | None = None
    expected_cost: float | None = None
    version: int | None = None
    alternatives: Sequence[Mapping[str, Any]] = field(default_factory=list)


def prompt_hash(prompt: str) -> str:
    """Return the SHA-256 of a prompt in UTF-8, as hex; lone surrogates count as question marks."""
    return sha256(prompt.encode(errors="replace")).hexdigest()


def of_routes(
    prompt: str, router: str, routes: Sequence[Mapping[str, Any]]
) -> RouteDecision | None:
    """Return the decision for the first of the models that a router offers; None for none.

    Args:
        prompt: its text.
        router: name of the router.
        routes: rows with the key model, and where they are known probability, expected_cost and
            version, best first.
    """
    if not routes:
        return None
    first = routes[0]
    stated = ("model", "probability", "expected_cost")
    return RouteDecision(
        prompt=prompt,
        router=router,
        model=first["model"],
        probability=first.get("probability"),
        expected_cost=first.get("expected_cost"),
        version=first.get("version"),
        alternatives=[{key: row[key] for key in stated if key in row} for row in routes],
    )


def log_decisions(
    engine: Engine, decisions: Sequence[RouteDecision], *, with_text: bool = False
) -> list[int]:
    """Store decisions, and return their numbers.

    Args:
        engine: of a database at head, by a login that may write.
        decisions: in any number.
        with_text: whether to keep the texts of the prompts beside their hashes.

    Raises:
        ModelNotFoundError: for a model that is not in the registry.
        UsageError: for a probability out of [0, 1], or a cost below 0.
        RegistryError: when the database fails, as for a login that may only read.
    """
    for each in decisions:
        if each.probability is not None and not 0 <= each.probability <= 1:
            raise UsageError(f"A probability is in [0, 1], not {each.probability}.")
        if each.expected_cost is not None and not each.expected_cost >= 0:
            raise UsageError(f"A cost is at least 0, not {each.expected_cost}.")
    with translated_errors("log the decision"), engine.begin() as connection:
        return [_log(connection, each, with_text=with_text) for each in decisions]


def _log(connection: Connection, decision: RouteDecision, *, with_text: bool) -> int:
    key = model_names.model_id(connection, decision.model)
    number = connection.scalar(
        text("""
        INSERT INTO store.route_decisions
               (decided_at, model_id, name, router, version, prompt_hash, prompt, probability,
                expected_cost, alternatives)
        SELECT clock_timestamp(), model_id, name, :router, :version, :hash, :prompt, :probability,
               :cost, CAST(:alternatives AS jsonb)
          FROM store.models WHERE model_id = :model
        RETURNING decision_id"""),
        {
            "model": key,
            "router": decision.router,
            "version": decision.version,
            "hash": prompt_hash(decision.prompt),
            "prompt": _storable(decision.prompt) if with_text else None,
            "probability": decision.probability,
            "cost": decision.expected_cost,
            "alternatives": orjson.dumps(
                list(decision.alternatives), option=orjson.OPT_SERIALIZE_NUMPY
            ).decode(),
        },
    )
    assert isinstance(number, int)
    return number


def _storable(prompt: str) -> str:
    """Return a text that Postgres can store: without NUL and lone surrogates."""
    return prompt.replace("\0", "\ufffd").encode(errors="replace").decode()
