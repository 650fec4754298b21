"""Stored comparisons of training methods, which view `training_results` shows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import isfinite
from typing import Any

import orjson
from sqlalchemy import Connection, text

from registry.errors import RegistryError


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One figure of a comparison.

    Attributes:
        split: what was held out.
        method: name of the method.
        metric: of `enums.Metric`.
        mean: over the seeds.
        lower: lower end of the 95% interval of the mean; None with one seed.
        upper: upper end of it.
        seeds: number of trainings.
    """

    split: str
    method: str
    metric: str
    mean: float
    lower: float | None = None
    upper: float | None = None
    seeds: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodComparison:
    """One comparison of training methods on the same data."""

    comparison: int
    compared_at: datetime
    data_fingerprint: str
    settings: Mapping[str, Any]
    seconds: float
    figures: Sequence[Figure]


def save(
    connection: Connection,
    figures: Sequence[Figure],
    *,
    data_fingerprint: str,
    settings: Mapping[str, object],
    seconds: float,
) -> int:
    """Store a comparison, and return its number.

    Args:
        connection: in a transaction.
        figures: one for each split, method and metric.
        data_fingerprint: of the outcomes.
        settings: of the splits and trainings.
        seconds: duration.

    Raises:
        RegistryError: when there is no figure, one is not finite, or one is there twice; nothing is
            written.
    """
    if not figures:
        raise RegistryError("The comparison has no figures.")
    seen = set()
    for each in figures:
        place = (each.split, each.method, each.metric)
        if not isfinite(each.mean):
            raise RegistryError(f"The figure of {' / '.join(place)} is {each.mean}, no number.")
        if place in seen:
            raise RegistryError(f"There are two figures of {' / '.join(place)}.")
        seen.add(place)
    number = connection.scalar(
        text("""
        INSERT INTO store.training_comparisons (compared_at, data_fingerprint, settings, seconds)
        VALUES (clock_timestamp(), :fingerprint, CAST(:settings AS jsonb), :seconds)
        RETURNING comparison_id"""),
        {
            "fingerprint": data_fingerprint,
            "settings": orjson.dumps(
                settings, default=str, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS
            ).decode(),
            "seconds": seconds,
        },
    )
    assert isinstance(number, int)
    connection.execute(
        text("""
        INSERT INTO store.training_results
               (comparison_id, split, method, metric, mean, lower, upper, seeds)
        VALUES (:number, :split, :method, :metric, :mean, :lower, :upper, :seeds)"""),
        [
            {
                "number": number,
                "split": each.split,
                "method": each.method,
                "metric": each.metric,
                "mean": float(each.mean),
                "lower": None if each.lower is None else float(each.lower),
                "upper": None if each.upper is None else float(each.upper),
                "seeds": each.seeds,
            }
            for each in figures
        ],
    )
    return number


def list_comparisons(connection: Connection) -> list[MethodComparison]:
    """Return all comparisons with their figures, the newest first."""
    figures: dict[int, list[Figure]] = {}
    for row in connection.execute(
        text("""
        SELECT comparison_id, split, method, metric, mean, lower, upper, seeds
          FROM store.training_results ORDER BY comparison_id, split, metric, method""")
    ):
        figures.setdefault(row.comparison_id, []).append(
            Figure(
                split=row.split,
                method=row.method,
                metric=row.metric,
                mean=row.mean,
                lower=row.lower,
                upper=row.upper,
                seeds=row.seeds,
            )
        )
    rows = connection.execute(
        text("""
        SELECT comparison_id AS comparison, compared_at, data_fingerprint, settings, seconds
          FROM store.training_comparisons ORDER BY comparison_id DESC""")
    )
    return [
        MethodComparison(**row, figures=figures.get(row["comparison"], []))
        for row in rows.mappings()
    ]
