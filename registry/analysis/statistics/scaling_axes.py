"""Axes of scaling curves: sizes, training tokens and compute of models, and scores of chance."""

import re
from collections.abc import Sequence

import numpy as np
from sqlalchemy import Connection, text

from registry.analysis.statistics.score_frame import FrameBenchmark, ScoreFrame
from registry.enums import ScalingAxis
from registry.learning.arrays import Reals

FLOPS_OF_A_WEIGHT = 6
"""Operations that training takes for each weight and token (Kaplan et al. 2020)."""

_AMOUNT = re.compile(r"(\d+(?:\.\d+)?(?:e[+-]?\d+)?)\s*([KMBT]?)", re.IGNORECASE)
_UNITS = {"": 1.0, "K": 1e3, "M": 1e6, "B": 1e9, "T": 1e12}


def read_amount(stated: str) -> float:
    """Return an amount such as 2.0T or 84e21; nan where the text is none, or states several."""
    match = _AMOUNT.fullmatch(stated.strip())
    if match is None:
        return np.nan
    value = float(match[1]) * _UNITS[match[2].upper()]
    return value if 0 < value < np.inf else np.nan


def amounts(connection: Connection, frame: ScoreFrame, axis: ScalingAxis) -> Reals:
    """Return the amount on an axis of each model, nan where it is not known.

    Tokens and operations are as sources state them (facts `tokens` and `flops`); operations that
    none states are six for each weight and token, where both are known.
    """
    if axis == ScalingAxis.SIZE:
        return frame.sizes
    tokens = _stated(connection, frame.models, "tokens")
    if axis == ScalingAxis.TOKENS:
        return tokens
    flops = _stated(connection, frame.models, "flops")
    return np.where(np.isnan(flops), FLOPS_OF_A_WEIGHT * frame.sizes * tokens, flops)


def _stated(connection: Connection, models: Sequence[str], fact: str) -> Reals:
    rows = connection.execute(
        text("""
        SELECT DISTINCT ON (m.name) m.name, f.value
          FROM store.model_facts f
          JOIN store.models m USING (model_id)
          JOIN store.sources s USING (source_id)
         WHERE f.fact = :fact AND m.name = ANY (:models)
         ORDER BY m.name, s.name COLLATE "C" """),
        {"fact": fact, "models": list(models)},
    )
    values = {row.name: read_amount(row.value) for row in rows}
    return np.array([values.get(model, np.nan) for model in models], np.float64)


def floors(
    connection: Connection, benchmarks: Sequence[FrameBenchmark]
) -> dict[FrameBenchmark, float]:
    """Return the score of chance on benchmarks of shares, where a source states it.

    Of several it is that of the most scores.
    """
    rows = connection.execute(
        text("""
        SELECT c.benchmark, c.version,
               store.share(k.random_baseline, k.lower, k.upper, k.higher_is_better) AS floor,
               count(*) AS scores
          FROM registry.canonical_leaderboard c
          JOIN store.runs r ON r.run_id = c.run
          JOIN store.measures k ON k.measure_id = r.measure_id
         WHERE c.complete AND k.random_baseline IS NOT NULL AND c.score IS NOT NULL
         GROUP BY 1, 2, 3
         ORDER BY scores, floor DESC""")
    ).all()
    found = {(row.benchmark, row.version): row.floor for row in rows}
    return {
        each: float(floor)
        for each in benchmarks
        if each.unit == "share"
        and (floor := found.get((each.name, each.version))) is not None
        and 0 <= floor < 1
    }
