"""Scores that are measurements: within their bounds, and on a scale that is known.

Whatever the format, a score outside its bounds is left out: it is what a harness writes where it
measured nothing (-1, 999), and clipped to a bound it would look like the best or the worst. Where a
file states no scale, the usual one of the metric holds for the whole file or not at all.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import chain

from registry.errors import RegistryError
from registry.evaluations.records import NOT_MEASURED, Benchmark, Block, Measure, Notes, Run
from registry.evaluations.scales.stated import NOT_STATED, StatedScale
from registry.evaluations.scales.tasks import is_percent_by_harness

_HIGHEST = 100.0  # per cent


def measured(
    blocks: Iterable[Block],
    notes: Notes,
    *,
    stated: StatedScale = NOT_STATED,
    file: str | None = None,
    is_log: bool = True,
) -> Iterator[Block]:
    """Yield the blocks of a file with the runs that are measured on a known scale.

    Scores of metrics from 0 to 1, by their usual scale, come last: one of them above 1 shows that
    the file states percentages, or something else, and then no score by that metric, nor of that
    benchmark, is read, as it could not be distinguished from a share. In a file that is no log of a
    harness, whose author states all scores alike, that holds for all of its source. Scores of -1
    without a lower bound come last, too: they are measured if the file has other
    negative ones on the benchmark.

    Args:
        blocks: read once; runs with outcomes and with stated scales are passed on at once.
        notes: of what is left out.
        stated: scale of what has none by the file.
        file: its name; None for results that are not a file's, of which an empty rest is no error.
        is_log: whether the file is a harness's own, which has a scale for each of its metrics.

    Raises:
        RegistryError: when there are scores in the file, and the scale of none of them is known;
            or when the file states another scale than `stated`.
    """
    held = _Held(is_log)
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
    known = list(held.on_known_scales(notes))
    if file is not None and not known and not others:
        if metrics := sorted(held.doubtful):
            raise RegistryError(
                f"{file}: nothing in it is usable: there are scores above 1 by "
                f"{', '.join(metrics)}, and it does not state their scale. State it by --scale, "
                "such as --scale percent."
            )
        if unclear := [what for what in notes.counts if "--scale" in what]:
            raise RegistryError(f"{file}: nothing in it is usable: {unclear[0]}.")
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


def _passed_on(block: Block, held: "_Held", notes: Notes) -> Iterator[Run]:
    """Yield the runs whose scales are certain, with scores within them; hold the others."""
    for run in block.runs:
        score, measure = run.score, run.measure
        if run.outcomes is None and _is_assumed_share(measure):
            held.shares.append((block.benchmark, run))
        elif run.outcomes is None and _may_be_sentinel(run):
            held.sentinels.append((block.benchmark, run))
        elif score is None or (measure.allows(score) and not _may_be_sentinel(run)):
            if score is not None and score < 0 and score != NOT_MEASURED:
                held.negative.add((*block.benchmark.key, measure.metric))
            yield run
        elif run.outcomes is None:
            notes.left_out(_not_measured(measure))
        elif _is_assumed_share(measure) and _may_be_percent(run):
            notes.left_out(_unstated(measure))
            if _is_all(run, score / _HIGHEST):
                yield replace(run, score=None, standard_error=None, items=None)
        else:
            notes.left_out(_not_measured(measure))
            yield replace(run, score=None, standard_error=None)


class _Held:
    """Runs whose scales the rest of the file shows."""

    def __init__(self, is_log: bool) -> None:  # noqa: FBT001 - a fact
        self._is_log = is_log
        self.shares: list[tuple[Benchmark, Run]] = []
        self.sentinels: list[tuple[Benchmark, Run]] = []
        self.negative: set[tuple[str, str, str]] = set()

    @property
    def doubtful(self) -> set[str]:
        """The metrics from 0 to 1 with scores above 1."""
        return {run.measure.metric for _, run in self.shares if _may_be_percent(run)}

    def on_known_scales(self, notes: Notes) -> Iterator[Block]:
        """Yield the runs that are measured, by benchmark."""
        by_benchmark: dict[Benchmark, list[Run]] = {}
        for benchmark, run in chain(self._shares(notes), self._others(notes)):
            by_benchmark.setdefault(benchmark, []).append(run)
        for benchmark, runs in by_benchmark.items():
            yield Block(benchmark=benchmark, runs=runs)

    def _shares(self, notes: Notes) -> Iterator[tuple[Benchmark, Run]]:
        metrics = self.doubtful
        percent = [(benchmark, run) for benchmark, run in self.shares if _may_be_percent(run)]
        benchmarks = {benchmark.key for benchmark, _ in percent}
        sources = set() if self._is_log else {run.source.name for _, run in percent}
        for benchmark, run in self.shares:
            score, measure = run.score, run.measure
            if measure.metric in metrics or benchmark.key in benchmarks:
                notes.left_out(_unstated(measure))
            elif score is not None and not measure.allows(score):
                notes.left_out(_not_measured(measure))
            elif score and run.source.name in sources:
                notes.left_out(
                    f"scores by {measure.metric} up to 1, while scores by other metrics are above "
                    "1: the file does not state whether they are shares or percentages. To read "
                    "them, state it by --scale, such as --scale percent"
                )
            elif score and not self._is_log and _is_percent_elsewhere(benchmark, run):
                notes.left_out(
                    f"scores by {measure.metric} on {benchmark.name} up to 1: lm-eval states them "
                    "in percent, and the file does not say whether it does. To read them, state it "
                    "by --scale, such as --scale percent"
                )
            else:
                yield benchmark, run

    def _others(self, notes: Notes) -> Iterator[tuple[Benchmark, Run]]:
        for benchmark, run in self.sentinels:
            if (*benchmark.key, run.measure.metric) in self.negative:
                yield benchmark, run
            else:
                notes.left_out(
                    f"scores of -1 by {run.measure.metric}, of which no lower bound is known: "
                    "harnesses write that where nothing was measured. To read them, state the "
                    "bounds by --scale, such as --scale -10:10"
                )


def _is_assumed_share(measure: Measure) -> bool:
    return measure.assumed and (measure.lower, measure.upper) == (0.0, 1.0)


def _may_be_sentinel(run: Run) -> bool:
    measure = run.measure
    has_no_bound = measure.lower is None and (measure.assumed or measure.unit == "Elo")
    return run.score == NOT_MEASURED and has_no_bound


def _is_percent_elsewhere(benchmark: Benchmark, run: Run) -> bool:
    return run.setup.harness is None and is_percent_by_harness(benchmark.name, run.measure.metric)


def _may_be_percent(run: Run) -> bool:
    score = run.score
    return score is not None and not run.measure.allows(score) and 1.0 < score <= _HIGHEST


def _is_all(run: Run, share: float) -> bool:
    """Return whether outcomes are all that a score is of: as many, or with its mean, a share."""
    mean = replace(run, score=None).raw_score()
    if run.items is not None:
        return (run.outcome_count or 0) >= run.items
    return mean is not None and abs(mean - share) <= 0.005  # noqa: PLR2004 - a rounded percentage


def _unstated(measure: Measure) -> str:
    return (
        f"scores by {measure.metric}: some in the file are above 1, and it does not "
        "state their scale. To read them, state it by --scale, such as --scale percent"
    )


def _not_measured(measure: Measure) -> str:
    return f"scores by {measure.metric} that are not {measure.span}, so that nothing was measured"
