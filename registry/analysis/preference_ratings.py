"""Ratings of models by which of them does better on the same items of a benchmark."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sqlalchemy import Connection

from registry.catalog.names import model_id
from registry.errors import UsageError
from registry.evaluations.outcomes import read_outcomes
from registry.learning.statistics.preferences import rate

MOST_MODELS = 200
"""Models that are rated at once: their comparisons are in memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RatedModel:
    """A model's rating on a benchmark; None where it is not known.

    Attributes:
        model: present name.
        rating: on Elo's scale, with mean 1000 over the models that are rated.
        lower: lower end of its interval.
        upper: upper end.
        rank: from 1.
        best_rank: that the intervals allow.
        worst_rank: likewise.
        wins: comparisons with another model on an item that it won.
        ties: with an equal outcome.
        losses: that it lost.
        items: that it shares with others.
    """

    model: str
    rating: float | None
    lower: float | None
    upper: float | None
    rank: int | None
    best_rank: int | None
    worst_rank: int | None
    wins: int
    ties: int
    losses: int
    items: int


def rate_models(
    connection: Connection,
    benchmark: str,
    *,
    models: Sequence[str] | None = None,
    most: int = 50,
    replicates: int = 200,
    level: float = 0.95,
    seed: int = 0,
) -> tuple[list[RatedModel], list[str]]:
    """Rate the models with outcomes on a benchmark, the best first.

    Args:
        connection: to read from.
        benchmark: any of its names, or name@version.
        models: any names; None is all with outcomes.
        most: models at most, those with the most outcomes, then the highest means.
        replicates: resamples of the items.
        level: share of intervals that hold the rating, in (0, 1).
        seed: of the resampling.

    Returns:
        The models, and sentences on what was left out or has no rating.

    Raises:
        ModelNotFoundError: for an unknown model, with the nearest names there are.
        UsageError: for an unknown benchmark, fewer than two models, or options out of range.
    """
    if not 2 <= most <= MOST_MODELS:  # noqa: PLR2004 - a comparison is of two
        raise UsageError(f"From 2 to {MOST_MODELS} models are rated at once, not {most}.")
    for each in models or ():
        model_id(connection, each)  # names the nearest ones of a model that is not there
    matrix = read_outcomes(connection, models=models, benchmarks=[benchmark])
    counts = matrix.mask.sum(axis=1)
    means = np.where(matrix.mask, matrix.values, 0).sum(axis=1) / np.maximum(counts, 1)
    order = np.lexsort((-means, -counts))
    order = order[counts[order] > 0]
    notes = []
    if len(order) > most:
        notes.append(f"{len(order) - most:,} models left out, those with the fewest outcomes.")
        order = order[:most]
    if len(order) < 2:  # noqa: PLR2004
        raise UsageError(
            f"{len(order)} of these models has outcomes by item on {benchmark}; comparing takes "
            "two."
        )
    found = rate(matrix.values[order], replicates=replicates, level=level, seed=seed)
    rows = [
        RatedModel(
            model=matrix.models[model],
            rating=_known(found.ratings[place]),
            lower=_known(found.lower[place]),
            upper=_known(found.upper[place]),
            rank=int(found.ranks[place]) or None,
            best_rank=int(found.best_ranks[place]) or None,
            worst_rank=int(found.worst_ranks[place]) or None,
            wins=int(found.wins[place]),
            ties=int(found.ties[place]),
            losses=int(found.losses[place]),
            items=int(found.items[place]),
        )
        for place, model in enumerate(order.tolist())
    ]
    apart = [each.model for each in rows if each.rating is None]
    if apart:
        named = ", ".join(apart[:3]) + (f" and {len(apart) - 3:,} more" if len(apart) > 3 else "")  # noqa: PLR2004
        notes.append(
            f"Without a rating, as they won or lost all comparisons, or share no item: {named}."
        )
    return sorted(rows, key=lambda each: (each.rank is None, each.rank or 0, each.model)), notes


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
