"""Estimates of whole scores from answers to a few items, with intervals."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, text

from registry.catalog import names as model_names
from registry.errors import ModelNotFoundError, UsageError
from registry.learning.adaptive_testing.estimation import (
    LEVEL,
    ScoreEstimate,
    estimate,
    estimate_alike,
)
from registry.learning.adaptive_testing.known import LEAST_MODELS, known_outcomes
from registry.learning.adaptive_testing.neighbourhood import Answers
from registry.learning.arrays import Places
from registry.prediction.answers import read_answers, stored_answers
from registry.prediction.item_bank import BankBenchmark, ItemBank, hashes, read_bank, read_complete


class BenchmarkEstimate(NamedTuple):
    """Estimated score of a model on a whole benchmark.

    Attributes:
        benchmark: name of the benchmark.
        version: its version.
        score: estimated mean outcome over all items, in [0, 1].
        lower: lower end of the interval.
        upper: upper end.
        answers: items of the benchmark that are answered.
        items: items of the benchmark.
        known_models: models that the estimate is learned from.
        measured: mean of the model's outcomes where the registry has them on all items; they are
            not used, unless they are the answers.
        enough: whether the interval is as narrow as was asked; None where nothing was asked.
    """

    benchmark: str
    version: str
    score: float
    lower: float
    upper: float
    answers: int
    items: int
    known_models: int
    measured: float | None
    enough: bool | None


@dataclass(frozen=True, slots=True)
class EstimateReport:
    """Estimates of a model's scores, and what to know of them.

    Attributes:
        rows: one a benchmark.
        notes: sentences.
    """

    rows: Sequence[BenchmarkEstimate]
    notes: Sequence[str]


def estimate_scores(
    connection: Connection,
    model: str,
    benchmarks: Sequence[str],
    *,
    answers: Path | None = None,
    level: float = LEVEL,
    stop_at: float | None = None,
) -> EstimateReport:
    """Estimate the scores of a model on whole benchmarks from answers to some of their items.

    Args:
        connection: in a transaction with one snapshot (REPEATABLE READ).
        model: any name; with a file of answers also one that the catalog does not have.
        benchmarks: names, or name@version.
        answers: file of answers, see `answers.read_answers`; None for the outcomes that the
            registry has of the model.
        level: coverage of the intervals, in (0, 1).
        stop_at: width of the interval, as a share, from which on it is narrow enough.

    Raises:
        ModelNotFoundError: for an unknown model without a file of answers.
        UsageError: for a benchmark from which nothing can be learned, or where there are no
            answers.
        UnreadableFileError: for a file of answers that is not one.
    """
    bank = read_bank(connection, model, benchmarks)
    notes = model_notes(connection, model, bank)
    if answers is None:
        if bank.model is None:
            raise ModelNotFoundError(model, model_names.suggestions(connection, model))
        given = stored_answers(bank)
        if not len(given.places):
            raise UsageError(
                f"The registry has no outcomes of {bank.model} on "
                f"{_titles(bank.benchmarks)}; give its answers by --answers FILE."
            )
    else:
        read = read_answers(answers, bank)
        given = read.answers
        if read.unanswered:
            notes.append(f"{answers}: {read.unanswered:,} rows have no outcome yet.")
        if not len(given.places):
            raise UsageError(f"{answers} has no answers.")
    found = estimate(bank.known, given, level)
    rows = [_row(bank, group, given, each, stop_at) for group, each in enumerate(found)]
    return EstimateReport(rows, notes)


def model_notes(connection: Connection, model: str, bank: ItemBank) -> list[str]:
    """Return what to know of the model and the bank of a plan or an estimate, as sentences."""
    notes = []
    if bank.model is None:
        similar = model_names.suggestions(connection, model)
        hint = f" Similar names: {', '.join(similar)}." if similar else ""
        notes.append(f"{model} is not in the catalog; its answers alone count.{hint}")
    if not bank.known.is_honest:
        notes.append(
            f"Only {len(bank.known.rows):,} models took these items: intervals are rough, as the "
            "models that the items are chosen by also measure the errors."
        )
    return notes


def _titles(benchmarks: Sequence[BankBenchmark]) -> str:
    return " and ".join(each.title for each in benchmarks)


def _row(
    bank: ItemBank, group: int, answers: Answers, found: ScoreEstimate, stop_at: float | None
) -> BenchmarkEstimate:
    benchmark = bank.benchmarks[group]
    own = bank.own[bank.groups == group]
    measured = None if np.isnan(own).any() else float(own.mean(dtype=np.float64))
    return BenchmarkEstimate(
        benchmark=benchmark.name,
        version=benchmark.version,
        score=found.mean,
        lower=found.lower,
        upper=found.upper,
        answers=int((bank.groups[answers.places] == group).sum()),
        items=len(own),
        known_models=len(bank.known.rows),
        measured=measured,
        enough=None if stop_at is None else found.width <= stop_at,
    )


class PartialScore(NamedTuple):
    """Estimated whole score of a model that was evaluated on some of a benchmark's items.

    Attributes:
        model_id: key of the model.
        model: its name.
        score: estimated mean outcome over all items, in [0, 1].
        deviation: standard deviation of its error.
        lower: lower end of the 90% interval.
        upper: upper end.
        answers: items with an outcome.
        items: all items.
    """

    model_id: int
    model: str
    score: float
    deviation: float
    lower: float
    upper: float
    answers: int
    items: int


def partial_scores(
    connection: Connection, benchmark: int, *, level: float = LEVEL
) -> list[PartialScore]:
    """Estimate the whole scores of all models with outcomes on some of a benchmark's items.

    They are learned from the models with outcomes on all items, of which there must be
    `LEAST_MODELS`; with fewer the list is empty, as nothing can be said of the items that were not
    run.

    Args:
        connection: in a transaction with one snapshot (REPEATABLE READ).
        benchmark: its key.
        level: coverage of the intervals.

    Returns:
        By model name. Models with outcomes on all items are not among them: theirs are measured.
    """
    matrix, complete = read_complete(connection, benchmark)
    mask = matrix.mask
    parts = np.flatnonzero(mask.any(axis=1) & ~mask.all(axis=1))
    if len(complete) < LEAST_MODELS or not len(parts):
        return []
    names = [matrix.models[place] for place in complete.tolist()]
    known = known_outcomes(matrix.values[complete], keys=hashes(names))
    wanted = [matrix.models[place] for place in parts.tolist()]
    stored = connection.execute(
        text("SELECT name, model_id FROM store.models WHERE name = ANY (:names)"), {"names": wanted}
    )
    keys = {row.name: row.model_id for row in stored}
    items = matrix.mask.shape[1]
    scores = []
    for rows, answered in _alike(mask[parts]):
        outcomes = matrix.values[np.ix_(parts[rows], answered)].astype(np.float64)
        found = estimate_alike(known, answered, outcomes, level)
        for row, [each] in zip(rows.tolist(), found, strict=True):
            name = wanted[row]
            ends = (each.mean, each.deviation, each.lower, each.upper)
            scores.append(PartialScore(keys[name], name, *ends, len(answered), items))
    return sorted(scores, key=lambda each: each.model)


def _alike(mask: NDArray[np.bool_]) -> Iterator[tuple[Places, Places]]:
    """Yield rows with the same items, and these items."""
    patterns, of = np.unique(np.packbits(mask, axis=1), axis=0, return_inverse=True)
    for pattern in range(len(patterns)):
        rows = np.flatnonzero(of.reshape(-1) == pattern)
        yield rows, np.flatnonzero(mask[rows[0]])
