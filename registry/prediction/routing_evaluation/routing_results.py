"""Stored evaluations of routers, which view `routing_results` shows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import isfinite
from typing import Any

import orjson
from sqlalchemy import Connection, text

from registry.errors import RegistryError
from registry.version import __version__


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutingFigure:
    """One metric of a router.

    Attributes:
        split: what was held out: item, subject or benchmark.
        router: name of the router, baseline or oracle; `cascade:` or `model:` and a name.
        metric: of `scorecard.METRICS`, or of votes.
        value: over all held-out prompts.
        lower: end of the 95% interval; None where it is not defined.
        upper: its other end.
        n: held-out prompts.
    """

    split: str
    router: str
    metric: str
    value: float
    lower: float | None
    upper: float | None
    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutingEvaluation:
    """A stored evaluation of routers.

    Attributes:
        evaluation: its number.
        evaluated_at: UTC.
        data_fingerprint: of what was evaluated on.
        code_version: of the registry.
        seed: of the first split.
        seeds: number of splits of each kind.
        seconds: that it took.
        settings: models, benchmarks, routers, encoder, and notes on what was left out.
        details: by split and router: curve, picks, pick rates and confusion.
        figures: the metrics.
    """

    evaluation: int
    evaluated_at: datetime
    data_fingerprint: str
    code_version: str
    seed: int
    seeds: int
    seconds: float
    settings: Mapping[str, Any]
    details: Mapping[str, Any]
    figures: Sequence[RoutingFigure]


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationRecord:
    """What is stored of an evaluation besides its metrics; see `RoutingEvaluation`."""

    data_fingerprint: str
    seed: int
    seeds: int
    seconds: float
    settings: Mapping[str, Any]
    details: Mapping[str, Any]


def save_evaluation(
    connection: Connection, record: EvaluationRecord, figures: Sequence[RoutingFigure]
) -> int:
    """Store an evaluation, and return its number.

    Raises:
        RegistryError: when there is no figure, or one is not finite; nothing is written.
    """
    if not figures:
        raise RegistryError("The evaluation has no figures.")
    for each in figures:
        if not isfinite(each.value):
            where = f"{each.split} / {each.router} / {each.metric}"
            raise RegistryError(f"The figure of {where} is {each.value}, no number.")
    number = connection.scalar(
        text("""
        INSERT INTO store.routing_evaluations
               (evaluated_at, data_fingerprint, code_version, seed, seeds, seconds, settings,
                details)
        VALUES (clock_timestamp(), :data_fingerprint, :code_version, :seed, :seeds, :seconds,
                CAST(:settings AS jsonb), CAST(:details AS jsonb))
        RETURNING evaluation_id"""),
        {
            "data_fingerprint": record.data_fingerprint,
            "code_version": __version__,
            "seed": record.seed,
            "seeds": record.seeds,
            "seconds": record.seconds,
            "settings": _json(record.settings),
            "details": _json(record.details),
        },
    )
    assert isinstance(number, int)
    connection.execute(
        text("""
        INSERT INTO store.routing_results
               (evaluation_id, split, router, metric, value, lower, upper, n)
        VALUES (:number, :split, :router, :metric, :value, :lower, :upper, :n)"""),
        [
            {
                "number": number,
                "split": each.split,
                "router": each.router,
                "metric": each.metric,
                "value": each.value,
                "lower": each.lower,
                "upper": each.upper,
                "n": each.n,
            }
            for each in figures
        ],
    )
    return number


def find_evaluation(
    connection: Connection,
    data_fingerprint: str,
    settings: Mapping[str, Any],
    seed: int,
    seeds: int,
) -> int | None:
    """Return the newest evaluation of the same data by the same settings and version, if any."""
    found = connection.scalar(
        text("""
        SELECT evaluation_id FROM store.routing_evaluations
         WHERE data_fingerprint = :fingerprint AND code_version = :code_version
           AND seed = :seed AND seeds = :seeds AND settings = CAST(:settings AS jsonb)
         ORDER BY evaluation_id DESC LIMIT 1"""),
        {
            "fingerprint": data_fingerprint,
            "code_version": __version__,
            "seed": seed,
            "seeds": seeds,
            "settings": _json(settings),
        },
    )
    return None if found is None else int(found)


def read_evaluation(connection: Connection, number: int | None = None) -> RoutingEvaluation:
    """Return an evaluation by its number, the newest for None.

    Raises:
        RegistryError: when there is none.
    """
    row = (
        connection.execute(
            text("""
        SELECT evaluation_id AS evaluation, evaluated_at, data_fingerprint, code_version, seed,
               seeds, seconds, settings, details
          FROM store.routing_evaluations
         WHERE CAST(:number AS integer) IS NULL OR evaluation_id = :number
         ORDER BY evaluation_id DESC LIMIT 1"""),
            {"number": number},
        )
        .mappings()
        .one_or_none()
    )
    if row is None:
        which = "yet" if number is None else f"with the number {number}"
        raise RegistryError(
            f"There is no evaluation of routers {which}; `registry route evaluate` makes one."
        )
    figures = connection.execute(
        text("""
        SELECT split, router, metric, value, lower, upper, n FROM store.routing_results
         WHERE evaluation_id = :number"""),
        {"number": row["evaluation"]},
    )
    return RoutingEvaluation(**row, figures=[RoutingFigure(**each) for each in figures.mappings()])


def _json(value: Mapping[str, Any]) -> str:
    return orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS).decode()
