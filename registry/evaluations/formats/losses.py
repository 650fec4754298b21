"""Losses of export formats: what they cannot represent, counted while runs are written."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

from registry.evaluations.records import Block, Item, Measure, Notes, Run, Setup

_Loss: TypeAlias = tuple[str, Callable[[Run], bool]]


def _has_usage(run: Run) -> bool:
    return any(each is not None for each in (run.input_tokens, run.output_tokens, run.latencies))


def _has_part_of_usage(run: Run) -> bool:
    return (run.input_tokens is None) != (run.output_tokens is None)


def _has_a_scale(run: Run) -> bool:
    plain = Measure(metric=run.measure.metric, filter=run.measure.filter)
    return run.measure != plain


def _has_part_of_outcomes(run: Run) -> bool:
    return run.outcomes is not None and run.items != run.outcome_count


_VERIFIED: _Loss = ("marks that a run is verified", lambda run: run.verified)
_USAGE: _Loss = ("runs' tokens and latencies", _has_usage)
_REVISIONS: _Loss = ("runs' revisions of the model", lambda run: run.revision is not None)
_ANSWERS: _Loss = ("runs' answers", lambda run: run.answers is not None)

_LOSSES: Mapping[str, Sequence[_Loss]] = {
    "lm-eval": (
        _VERIFIED,
        _USAGE,
    ),
    "every-eval-ever": (
        _VERIFIED,
        ("runs' tokens that are known of prompts or replies only", _has_part_of_usage),
        (
            "unknown dates of runs: they read as that of the export",
            lambda run: not run.evaluated_at,
        ),
    ),
    "hub": (
        _VERIFIED,
        ("runs' outcomes on items", lambda run: run.outcomes is not None),
        ("runs' setups (harness, shots, templates, precision)", lambda run: _has_fields(run.setup)),
        _REVISIONS,
        ("runs' standard errors", lambda run: run.standard_error is not None),
        ("runs' sources that have no address", lambda run: run.source.url is None),
    ),
    "long": (
        _VERIFIED,
        ("scores of more items than the outcomes", _has_part_of_outcomes),
        _ANSWERS,
        _USAGE,
        (
            "runs' setups (harness, shots, templates, precision)",
            lambda run: replace(run.setup, variant=None) != Setup(),
        ),
        _REVISIONS,
        ("runs' dates", lambda run: run.evaluated_at is not None),
        ("runs' scales: outcomes are shares, higher being better", _has_a_scale),
    ),
}

_ITEM_LOSSES: Mapping[str, tuple[str, Callable[[Item], bool]]] = {
    "long": ("items' choices or right answers", lambda item: bool(item.choices or item.answer)),
}


def _has_fields(setup: Setup) -> bool:
    """Tell whether a setup has anything but notes, which the format can represent."""
    return replace(setup, details={}) != Setup() or bool(set(setup.details) - {"notes"})


def counted(blocks: Iterable[Block], format_: str, notes: Notes) -> Iterator[Block]:
    """Yield blocks, and note what a format cannot represent as they are read."""
    losses, of_items = _LOSSES.get(format_, ()), _ITEM_LOSSES.get(format_)
    for block in blocks:
        if of_items and (times := sum(map(of_items[1], block.items))):
            notes.left_out(of_items[0], times)
        yield replace(block, runs=_counted(block.runs, losses, notes))


def _counted(runs: Iterable[Run], losses: Sequence[_Loss], notes: Notes) -> Iterator[Run]:
    for run in runs:
        for what, is_lost in losses:
            if is_lost(run):
                notes.left_out(what)
        yield run


def with_one_version(blocks: Iterable[Block], notes: Notes) -> Iterator[Block]:
    """Yield blocks without versions; further versions of a benchmark have theirs in the name."""
    names: set[str] = set()
    for block in blocks:
        benchmark = block.benchmark
        if benchmark.version:
            notes.left_out("benchmarks' versions")
        name = benchmark.name
        if name in names:
            name = f"{name}@{benchmark.version}"
        names.add(name)
        yield replace(block, benchmark=replace(benchmark, name=name, version=""))


def whole(blocks: Iterable[Block], notes: Notes) -> Iterator[Block]:
    """Yield blocks without runs that were limited to a part of the items."""
    for block in blocks:
        yield replace(block, runs=_whole(block.runs, notes))


def _whole(runs: Iterable[Run], notes: Notes) -> Iterator[Run]:
    for run in runs:
        if run.complete:
            yield run
        else:
            notes.left_out("runs that were limited to a part of the items")
