"""Predicted scores for people and programs: of one model, and of the holes of leaderboards."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from registry.catalog.names import model_id
from registry.errors import RegistryError, UsageError
from registry.evaluations.selection import RunSelection

COLUMNS = 6
"""Benchmarks with most scores whose holes are filled, where none is named."""

LOWEST, HIGHEST = 0.5, 0.99
"""Levels of intervals."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """Score of a model on a benchmark: measured, or predicted with its interval.

    Attributes:
        model: present name.
        benchmark: canonical name.
        benchmark_version: empty where no source states one.
        score: share in [0, 1]; None where the measure has no bounds.
        lower: end of the interval of a predicted score; None of a measured one.
        upper: likewise.
        kind: measured, outcomes, scores or catalog.
        predicted: what is predicted, of a measured score without it.
        predicted_lower: end of its interval.
        predicted_upper: likewise.
        raw_score: on the benchmark's own scale.
        raw_lower: end of the interval of a predicted score.
        raw_upper: likewise.
        unit: of raw scores.
        evidence: relatives and scores that it rests on, with weights.
        support: share of the variance of abilities that is known.
        caution: why it is weak; None where nothing speaks against it.
        version: of the score model.
    """

    model: str
    benchmark: str
    benchmark_version: str
    score: float | None
    lower: float | None
    upper: float | None
    kind: str
    predicted: float | None
    predicted_lower: float | None
    predicted_upper: float | None
    raw_score: float
    raw_lower: float | None
    raw_upper: float | None
    unit: str | None
    evidence: Mapping[str, Sequence[Mapping[str, Any]]]
    support: float
    caution: str | None
    version: int


def predict(
    connection: Connection, model: str, benchmarks: Sequence[str], *, level: float = 0.9
) -> list[Forecast]:
    """Return the score of a model on each of some benchmarks, in every version of each.

    Args:
        connection: to read from.
        model: any of its names.
        benchmarks: any of their names, or name@version.
        level: share of scores that intervals are to hold, in [0.5, 0.99].

    Raises:
        ModelNotFoundError: for an unknown model, with the nearest names there are.
        UsageError: for an unknown benchmark, or another level.
        RegistryError: where nothing is fitted, a benchmark has too few scores, or too few models
            tie it to where the model was evaluated.
    """
    _check(connection, benchmarks, level)
    model_id(connection, model)
    with _refusals():
        return _read(connection, model, benchmarks, level)


def _read(
    connection: Connection, model: str, benchmarks: Sequence[str], level: float
) -> list[Forecast]:
    found = [
        Forecast(*row)
        for benchmark in benchmarks
        for row in connection.execute(
            text("SELECT * FROM registry.predict(:model, :benchmark, :level)"),
            {"model": model, "benchmark": benchmark, "level": level},
        )
    ]
    # Two names may be of one benchmark.
    return list({(each.benchmark, each.benchmark_version): each for each in found}.values())


def of_model(connection: Connection, model: str) -> Sequence[Mapping[str, Any]]:
    """Return rows of `registry.predictions` of a model, on all benchmarks, by their names.

    Raises:
        ModelNotFoundError: for an unknown model, with the nearest names there are.
        RegistryError: where nothing is fitted, or the model is new since.
    """
    _check(connection, (), LOWEST)
    rows = connection.execute(
        text("""
        SELECT p.* FROM registry.predictions p
          JOIN store.models m ON m.name = p.model
         WHERE m.model_id = :key ORDER BY p.benchmark, p.benchmark_version"""),
        {"key": model_id(connection, model)},
    )
    found = [dict(row) for row in rows.mappings()]
    if not found:
        with _refusals():
            _read(connection, model, usual_benchmarks(connection)[:1], 0.9)
        raise RegistryError(f"Scores of model {model!r} are not predicted.")
    return found


def missing(
    connection: Connection,
    *,
    benchmarks: Sequence[str] = (),
    models: Sequence[str] = (),
    level: float = 0.9,
) -> Iterator[Sequence[Any]]:
    """Yield predictions where scores are missing: model, benchmark, score, lower, upper, kind.

    Scores are shares, or raw on benchmarks without bounds. A benchmark of a version is named as
    name@version.

    Args:
        connection: to read from; nothing else may use it meanwhile.
        benchmarks: any of their names; none for those with bounds that most models have.
        models: any of their names, also of models without any score; none for all that have one
            on any benchmark.
        level: share of scores that intervals are to hold, in [0.5, 0.99].

    Raises:
        ModelNotFoundError: for an unknown model, with the nearest names there are.
        UsageError: for an unknown benchmark, or another level.
        RegistryError: where nothing is fitted, or a benchmark has too few scores.
    """
    _check(connection, benchmarks, level)
    for model in models:
        model_id(connection, model)
    chosen = list(benchmarks) or usual_benchmarks(connection)
    with _refusals():
        rows = connection.execution_options(yield_per=10_000).execute(
            text("""
        SELECT model, benchmark || coalesce('@' || nullif(benchmark_version, ''), ''),
               coalesce(score, raw_score), coalesce(lower, raw_lower),
               coalesce(upper, raw_upper), kind
          FROM registry.leaderboard(:benchmarks, true, :level, :models)
         WHERE kind <> 'measured'"""),
            {"benchmarks": chosen, "level": level, "models": list(models) or None},
        )
    for row in rows:
        yield tuple(row)


@contextmanager
def _refusals() -> Iterator[None]:
    """Raise what the functions refuse in a block, in their own words."""
    try:
        yield
    except DBAPIError as error:
        if isinstance(error.orig, psycopg.errors.NoDataFound) and error.orig.diag.message_primary:
            raise RegistryError(f"{error.orig.diag.message_primary}.") from error
        raise


def usual_benchmarks(connection: Connection) -> list[str]:
    """Return the benchmarks with bounds that most scores are predicted from, as name@version.

    Raises:
        RegistryError: where nothing is fitted.
    """
    _check(connection, (), LOWEST)
    return list(
        connection.scalars(
            text("""
            SELECT coalesce(b.canonical, b.name) || coalesce('@' || nullif(b.version, ''), '')
              FROM store.served_loadings w
              JOIN store.benchmarks b ON b.benchmark_id = w.benchmark_id
             WHERE w.centre IS NULL
             ORDER BY w.score_count DESC, 1 LIMIT :count"""),
            {"count": COLUMNS},
        )
    )


def _check(connection: Connection, benchmarks: Sequence[str], level: float) -> None:
    if not LOWEST <= level <= HIGHEST:
        raise UsageError(
            f"An interval's level is from {LOWEST:g} to {HIGHEST:g}, not {level:g}: others were not"
            " measured."
        )
    current = connection.scalar(
        text("SELECT 1 FROM store.prediction_versions WHERE state = 'current'")
    )
    if current is None:
        raise RegistryError(
            "No scores are predicted yet: `registry train` fits the model that does, once there are"
            " scores of several models (`registry evals import PATH`)."
        )
    RunSelection(benchmarks=benchmarks).benchmark_keys(connection)
