"""Stored ratings of models by which of them does better on the same items of a benchmark."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import Engine

from registry.analysis.listing import listed
from registry.analysis.statistics.shared_outcomes import (
    MOST_NAMED,
    PreferenceOptions,
    SharedOutcomes,
    check_options,
    count_models,
    read_shared,
)
from registry.analysis.statistics.stored_analyses import (
    AnalysisRequest,
    ResultRows,
    StoredAnalysis,
    analysed_once,
    known,
    read_results,
)
from registry.db.connection import reading
from registry.db.schema import preference_ratings
from registry.enums import AnalysisKind
from registry.evaluations.outcomes import ItemMeasure
from registry.learning.statistics.preferences import PreferenceRatings, rate
from registry.workers import Progress, no_progress

LIBRARIES = ("numpy", "scipy", "evalica")


@dataclass(frozen=True, slots=True, kw_only=True)
class RatedModel:
    """A model's rating on a benchmark, None where it has none; see view `preference_ratings`."""

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
    unrated: str | None


class PreferenceAnalysis(NamedTuple):
    """A stored analysis of preferences: models, the best first, those without a rating last."""

    stored: StoredAnalysis
    measure: ItemMeasure
    models: Sequence[RatedModel]


def run_preferences(
    engine: Engine, options: PreferenceOptions, *, on_progress: Progress = no_progress
) -> PreferenceAnalysis:
    """Rate models by their outcomes on the same items, and store the ratings.

    All outcomes are by one measure: of several, such as judges, by that of the most models. Ratings
    that are stored of the same request and data are read instead.

    Args:
        engine: of a database at head.
        options: which models, and how.
        on_progress: receives the progress.

    Raises:
        ModelNotFoundError: for an unknown model, with the nearest names there are.
        UsageError: as `read_shared` does, and for options out of range.
    """
    check_options(options)
    on_progress("reading outcomes", 0, 0)
    with reading(engine, snapshot=True) as connection:
        source = read_shared(connection, options)
    request = AnalysisRequest(
        kind=AnalysisKind.PREFERENCES,
        condition=None,
        options=_stated(options, source),
        seed=options.seed,
        libraries=LIBRARIES,
    )

    def compute(notes: list[str]) -> ResultRows:
        on_progress("rating models", 0, options.replicates)
        found = rate(
            source.values,
            replicates=options.replicates,
            level=options.level,
            seed=options.seed,
            on_progress=on_progress,
        )
        rows = _rows(source.models, found)
        notes += _notes(rows, found, options.replicates)
        return {preference_ratings: rows}

    stored = analysed_once(engine, request, source, compute)
    with reading(engine) as connection:
        rows = read_results(connection, preference_ratings, RatedModel, stored.analysis_id)
    rows.sort(key=lambda each: (each.rank is None, each.rank or 0, each.model))
    return PreferenceAnalysis(stored, source.measure, rows)


def _stated(options: PreferenceOptions, source: SharedOutcomes) -> Mapping[str, Any]:
    return {
        "benchmark": source.benchmark,
        "metric": source.measure.metric,
        "filter": source.measure.filter,
        "models": None if options.models is None else sorted(set(options.models)),
        "most": options.most,
        "replicates": options.replicates,
        "level": options.level,
    }


def _rows(models: Sequence[str], found: PreferenceRatings) -> list[RatedModel]:
    return [
        RatedModel(
            model=model,
            rating=known(found.ratings[place]),
            lower=known(found.lower[place]),
            upper=known(found.upper[place]),
            rank=int(found.ranks[place]) or None,
            best_rank=int(found.best_ranks[place]) or None,
            worst_rank=int(found.worst_ranks[place]) or None,
            wins=int(found.wins[place]),
            ties=int(found.ties[place]),
            losses=int(found.losses[place]),
            items=int(found.items[place]),
            unrated=None if found.ranks[place] else _unrated(found, place),
        )
        for place, model in enumerate(models)
    ]


def _unrated(found: PreferenceRatings, place: int) -> str:
    """Return why a model has no rating."""
    wins, ties, losses = found.wins[place], found.ties[place], found.losses[place]
    if not wins + ties + losses:
        return "no shared item"
    if not ties + losses:
        return "won all"
    return "apart" if wins + ties else "lost all"


def _notes(rows: Sequence[RatedModel], found: PreferenceRatings, replicates: int) -> list[str]:
    notes = []
    for reason, why in (
        ("won all", "they won all comparisons"),
        ("lost all", "they lost all comparisons"),
        ("no shared item", "they share no item with others"),
        ("apart", "they always won or lost against the rated models, or share no item with them"),
    ):
        names = [each.model for each in rows if each.unrated == reason]
        if names:
            notes.append(
                f"{count_models(len(names))} without a rating, as {why}:"
                f" {listed(names, MOST_NAMED)}."
            )
    if any(each.unrated is None for each in rows) and found.resamples < replicates:
        notes.append(
            f"{replicates - found.resamples:,} of {replicates:,} resamples left out, in which"
            " models are not all comparable: intervals are"
            f" {'too narrow' if found.resamples else 'unknown'}."
        )
    if not sum(each.wins for each in rows):
        notes.append("All comparisons are ties: nothing tells these models apart.")
    return notes
