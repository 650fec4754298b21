"""Evaluation plans: the items of benchmarks to run first, in the order of what they say."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from sqlalchemy import Connection, text

from registry.errors import UsageError, first_of
from registry.learning.adaptive_testing.estimation import LEVEL, estimate, expected_width
from registry.learning.adaptive_testing.item_selection import fixed_order, next_items
from registry.learning.adaptive_testing.neighbourhood import NO_ANSWERS, Answers
from registry.learning.arrays import Places, Reals
from registry.prediction.answers import read_answers, stored_answers
from registry.prediction.estimate import model_notes
from registry.prediction.item_bank import ItemBank, read_bank

BATCH = 5
"""Items that an adaptive plan names at a time: one at a time is no better, ten are worse."""


class PlannedItem(NamedTuple):
    """An item to run.

    Attributes:
        item: its name in the benchmark.
        benchmark: name of the benchmark.
        version: its version.
        ordinal: place of the item in the benchmark, from 0.
        characters: length of its prompt and choices; None where the text is not stored.
    """

    item: str
    benchmark: str
    version: str
    ordinal: int
    characters: int | None


class PlannedBenchmark(NamedTuple):
    """What a plan is expected to give for a benchmark.

    Attributes:
        benchmark: name of the benchmark.
        version: its version.
        items: number of its items.
        known_models: models that the plan is learned from.
        answered: items that have been answered.
        planned: items to run.
        width: width of the interval of the score: that of the estimate by the answers so far, where
            there is any, else that which the plan is expected to give.
    """

    benchmark: str
    version: str
    items: int
    known_models: int
    answered: int
    planned: int
    width: float


@dataclass(frozen=True, slots=True)
class EvaluationPlan:
    """Items to run, and what to know of them.

    Attributes:
        items: in the order to run them.
        answered: answers so far, on all benchmarks.
        benchmarks: one row a benchmark.
        enough: whether intervals are, or are expected to be, as narrow as asked; None where nothing
            was asked.
        notes: sentences.
    """

    items: Sequence[PlannedItem]
    answered: int
    benchmarks: Sequence[PlannedBenchmark]
    enough: bool | None
    notes: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanOptions:
    """How items are chosen.

    Attributes:
        budget: items to run, those in a file of answers included.
        answers: file of answers so far, see `answers.read_answers`; None for the outcomes that the
            registry has of the model on a part of the items.
        adaptive: by the answers so far, `batch` at a time; else one order for all models.
        batch: items to name at a time.
        stop_at: width of the interval, as a share, from which on no more items are needed.
        by_length: by information per character of the text, not per item.
        level: coverage of the intervals, in (0, 1).
    """

    budget: int
    answers: Path | None = None
    adaptive: bool = False
    batch: int = BATCH
    stop_at: float | None = None
    by_length: bool = False
    level: float = LEVEL


def plan_evaluation(
    connection: Connection, model: str, benchmarks: Sequence[str], options: PlanOptions
) -> EvaluationPlan:
    """Choose the items to run of a model.

    Args:
        connection: in a transaction with one snapshot (REPEATABLE READ).
        model: any name; one that the catalog does not have is a model of which nothing is known.
        benchmarks: names, or name@version; the score of each counts alike.
        options: see there.

    Raises:
        UsageError: for a benchmark from which nothing can be learned, or items without a text
            where lengths count.
        UnreadableFileError: for a file of answers that is not one.
    """
    bank = read_bank(connection, model, benchmarks)
    notes = model_notes(connection, model, bank)
    answers = _answers(bank, options, notes)
    lengths = _lengths(connection, bank)
    costs = _costs(bank, lengths) if options.by_length else None
    left = options.budget
    if options.answers is not None:
        left = max(left - len(answers.places), 0)
    if options.adaptive:
        items = next_items(bank.known, answers, min(options.batch, left), costs)
    else:
        items = fixed_order(bank.known, left + len(answers.places), costs)
        items = items[~np.isin(items, answers.places)][:left]
    widths = _widths(bank, answers, items, options)
    enough = None
    if options.stop_at is not None:
        enough, items, widths = _stopped(bank, answers, items, widths, options)
    return EvaluationPlan(
        [_planned(bank, place, lengths) for place in items.tolist()],
        len(answers.places),
        [_benchmark(bank, group, answers, items, width) for group, width in enumerate(widths)],
        enough,
        notes,
    )


def _answers(bank: ItemBank, options: PlanOptions, notes: list[str]) -> Answers:
    """Return the answers so far, and add what to know of them to the notes."""
    if options.answers is not None:
        read = read_answers(options.answers, bank)
        if read.unanswered:
            notes.append(f"{options.answers}: {read.unanswered:,} rows have no outcome yet.")
        return read.answers
    stored = stored_answers(bank)
    if not len(stored.places):
        return NO_ANSWERS
    if len(stored.places) == len(bank.items):
        notes.append(
            f"{bank.model} has outcomes on all of these items, so that its scores are measured; "
            "the plan is made as if it had none."
        )
        return NO_ANSWERS
    notes.append(
        f"{bank.model} has outcomes on {len(stored.places):,} of these items, which count as its "
        "answers so far."
    )
    return stored


def _lengths(connection: Connection, bank: ItemBank) -> list[int | None]:
    """Return the characters of each item's prompt and choices; None where it has no text."""
    lengths: list[int | None] = []
    for benchmark in bank.benchmarks:
        lengths += connection.scalars(
            text("""
            SELECT char_length(prompt) + char_length(array_to_string(choices, ''))
              FROM store.items WHERE benchmark_id = :key ORDER BY ordinal"""),
            {"key": benchmark.key},
        ).all()
    return lengths


def _costs(bank: ItemBank, lengths: Sequence[int | None]) -> Reals:
    missing = [
        f"{bank.benchmarks[group].title}:{column.item}"
        for column, group, length in zip(bank.items, bank.groups, lengths, strict=True)
        if length is None
    ]
    if missing:
        raise UsageError(
            f"The registry has no text of {first_of(missing, noun='item')}, so that items cannot "
            "be chosen by their lengths; leave out --by-length."
        )
    return np.maximum(np.array(lengths, np.float64), 1)


def _widths(bank: ItemBank, answers: Answers, items: Places, options: PlanOptions) -> list[float]:
    """Return the width of each benchmark's interval, by the answers so far or as expected."""
    if len(answers.places):
        return [each.width for each in estimate(bank.known, answers, options.level)]
    return [
        expected_width(bank.known, items, group, options.level)
        for group in range(len(bank.benchmarks))
    ]


def _stopped(
    bank: ItemBank, answers: Answers, items: Places, widths: list[float], options: PlanOptions
) -> tuple[bool, Places, list[float]]:
    """Return whether intervals are narrow enough, the items that are still needed, and widths."""
    asked = options.stop_at if options.stop_at is not None else 0.0
    if len(answers.places):
        enough = max(widths) <= asked
        return enough, items[:0] if enough else items, widths
    if options.adaptive:
        return False, items, widths
    # The width falls with the length, so the least one is found by halving.
    short, long = 0, len(items)
    while short + 1 < long:
        middle = (short + long) // 2
        if max(_widths(bank, answers, items[:middle], options)) <= asked:
            long = middle
        else:
            short = middle
    widths = _widths(bank, answers, items[:long], options)
    return max(widths) <= asked, items[:long], widths


def _planned(bank: ItemBank, place: int, lengths: Sequence[int | None]) -> PlannedItem:
    group = int(bank.groups[place])
    benchmark = bank.benchmarks[group]
    first = int(np.searchsorted(bank.groups, group))
    return PlannedItem(
        bank.items[place].item, benchmark.name, benchmark.version, place - first, lengths[place]
    )


def _benchmark(
    bank: ItemBank, group: int, answers: Answers, items: Places, width: float
) -> PlannedBenchmark:
    benchmark = bank.benchmarks[group]
    return PlannedBenchmark(
        benchmark.name,
        benchmark.version,
        int((bank.groups == group).sum()),
        len(bank.known.rows),
        int((bank.groups[answers.places] == group).sum()),
        int((bank.groups[items] == group).sum()),
        width,
    )
