"""Scores that are measurements: within their bounds, and on a scale that is known.

Whatever the format, a score outside its bounds is left out: it is what a harness writes where it
measured nothing (-1, 999), and clipped to a bound it would look like the best or the worst. Where a
file states no scale, the usual one of the metric holds for the whole file or not at all.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import chain

from registry.errors import RegistryError
from registry.evaluations.records import Benchmark, Block, Measure, Notes, Run
from registry.evaluations.scales.stated import StatedScale

NOT_STATED = StatedScale()


def measured(
    blocks: Iterable[Block],
    notes: Notes,
    *,
    stated: StatedScale = NOT_STATED,
    file: str | None = None,
) -> Iterator[Block]:
    """Yield the blocks of a file with the runs that are measured on a known scale.

    Scores of metrics from 0 to 1, by their usual scale, come last: one of them above 1 shows that
    the file states percentages, or something else, and then no score by that metric, nor of that
    benchmark, is read, as it could not be distinguished from a share.

    Args:
        blocks: read once; runs with outcomes and with stated scales are passed on at once.
        notes: of what is left out.
        stated: scale of what has none by the file.
        file: its name; None for results that are not a file's, of which an empty rest is no error.

    Raises:
        RegistryError: when there are scores in the file, and the scale of none of them is known;
            or when the file states another scale than `stated`.
    """
    held: list[tuple[Benchmark, Run]] = []
    others = 0

    def counted(runs: Iterator[Run]) -> Iterator[Run]:
        nonlocal others
        for run in runs:
            others += 1
            yield run

    for block in blocks:
        runs = counted(_passed_on(_restated(block, stated), held, notes))
        first = next(runs, None)
        # A block without items whose runs are all left out, or come last, says nothing yet.
        if first is not None:
            yield replace(block, runs=chain([first], runs))
        elif block.items:
            yield replace(block, runs=())
    known = list(_on_known_scales(held, notes))
    if file is not None and not known and not others and (metrics := sorted(_doubtful(held))):
        raise RegistryError(
            f"{file}: nothing in it is usable: there are scores above 1 by {', '.join(metrics)}, "
            "and it does not state their scale. State it by --scale, such as --scale percent."
        )
    yield from known


def _restated(block: Block, stated: StatedScale) -> Block:
    if stated == NOT_STATED:
        return block
    return replace(
        block,
        runs=(
            replace(run, measure=stated.applied(run.measure, outcomes=run.outcomes is not None))
            for run in block.runs
        ),
    )


def _passed_on(block: Block, held: list[tuple[Benchmark, Run]], notes: Notes) -> Iterator[Run]:
    for run in block.runs:
        score, measure = run.score, run.measure
        if run.outcomes is None and _is_assumed_share(measure):
            held.append((block.benchmark, run))
        elif score is None or measure.allows(score):
            yield run
        else:
            notes.left_out(_not_measured(measure))
            if run.outcomes is not None:
                yield replace(run, score=None, standard_error=None)


def _is_assumed_share(measure: Measure) -> bool:
    return measure.assumed and (measure.lower, measure.upper) == (0.0, 1.0)


def _on_known_scales(held: list[tuple[Benchmark, Run]], notes: Notes) -> Iterator[Block]:
    metrics = _doubtful(held)
    benchmarks = {benchmark.key for benchmark, run in held if _may_be_percent(run)}
    by_benchmark: dict[Benchmark, list[Run]] = {}
    for benchmark, run in held:
        if run.measure.metric in metrics or benchmark.key in benchmarks:
            notes.left_out(
                f"scores by {run.measure.metric}: some in the file are above 1, and it does not "
                "state their scale. To read them, state it by --scale, such as --scale percent"
            )
        elif run.score is not None and not run.measure.allows(run.score):
            notes.left_out(_not_measured(run.measure))
        else:
            by_benchmark.setdefault(benchmark, []).append(run)
    for benchmark, runs in by_benchmark.items():
        yield Block(benchmark=benchmark, runs=runs)


def _doubtful(held: list[tuple[Benchmark, Run]]) -> set[str]:
    return {run.measure.metric for _, run in held if _may_be_percent(run)}


def _may_be_percent(run: Run) -> bool:
    score, highest = run.score, 100.0
    return score is not None and not run.measure.allows(score) and 1.0 < score <= highest


def _not_measured(measure: Measure) -> str:
    return f"scores by {measure.metric} that are not {measure.span}, so that nothing was measured"
