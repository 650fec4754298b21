"""Options that the commands `registry stats` share, and what they say of an analysis."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

from registry.analysis import p_values
from registry.cli import figures
from registry.cli.console import say
from registry.cli.parameters import OneOf, Whole
from registry.enums import Grouping
from registry.errors import UsageError

if TYPE_CHECKING:
    from registry.analysis.statistics.score_frame import FrameOptions
    from registry.analysis.statistics.stored_analyses import StoredAnalysis

Command = Callable[..., Any]


def slice_options(command: Command) -> Command:
    """Give a command options that choose scores."""
    for option in reversed((
        click.option(
            "--where",
            "condition",
            metavar="SQL",
            help="Models that fulfil this condition on columns of view models.  [default: all]",
        ),
        click.option(
            "--benchmark",
            "benchmarks",
            multiple=True,
            metavar="NAME",
            help="On this benchmark, or NAME@VERSION; repeatable.  [default: all with 10 scores]",
        ),
        click.option(
            "--complete",
            is_flag=True,
            help="Only models with a score on each benchmark; without --benchmark, on those that"
            " have the most scores by the same models.",
        ),
        click.option(
            "--source", metavar="NAME", help="Only scores that this source states.  [default: all]"
        ),
        click.option(
            "--level",
            type=click.FloatRange(0, 1, min_open=True, max_open=True),
            default=0.95,
            show_default=True,
            help="Share of intervals that hold what they are of.",
        ),
    )):  # fmt: skip
        command = option(command)
    return command


def group_options(command: Command) -> Command:
    """Give a command options that choose groups."""
    return _group_options(command, required=True)


def optional_group_options(command: Command) -> Command:
    """Give a command options that choose groups, where it can do without them."""
    return _group_options(command, required=False)


def _group_options(command: Command, *, required: bool) -> Command:
    for option in reversed((
        click.option(
            "--by",
            "grouping",
            type=OneOf(Grouping),
            multiple=True,
            callback=one_grouping,
            required=required,
            help="What to group models by.",
        ),
        click.option(
            "--cuts",
            metavar="BILLIONS",
            help="Bounds of ranges of size, such as 1,8,30.  [default: 1.5,3,7,13,35]",
        ),
        click.option(
            "--least",
            type=Whole(min=2),
            default=5,
            show_default=True,
            help="Leave out groups with fewer scores on a benchmark.",
        ),
        click.option(
            "--most",
            type=Whole(min=2),
            default=12,
            show_default=True,
            help="Compare no more groups than this, the largest.",
        ),
    )):  # fmt: skip
        command = option(command)
    return command


def one_grouping(
    _context: click.Context, _option: click.Parameter, given: Sequence[Grouping]
) -> Grouping | None:
    """Return the grouping; refuse several, of which click would take the last without a word."""
    if len(given) > 1:
        raise UsageError("--by is of one grouping here; run the command for each.")
    return given[0] if given else None


def frame_options(
    condition: str | None,
    benchmarks: tuple[str, ...],
    *,
    complete: bool,
    source: str | None = None,
    grouping: Grouping | None = None,
    cuts: str | None = None,
    least: int | None = None,
    most: int | None = None,
) -> FrameOptions:
    """Return the options of a frame.

    Raises:
        UsageError: cuts are no numbers, or there is no grouping by size to cut.
    """
    from registry.analysis.statistics.groupings import CUTS, check_cuts
    from registry.analysis.statistics.score_frame import (
        LEAST_OF_GROUP,
        MOST_GROUPS,
        FrameOptions,
    )

    if cuts is not None and grouping != Grouping.SIZE:
        raise UsageError("--cuts are of sizes: add --by size.")
    return FrameOptions(
        condition=condition,
        benchmarks=benchmarks or None,
        complete=complete,
        source=source,
        grouping=grouping,
        cuts=CUTS if cuts is None else check_cuts(_numbers(cuts)),
        least=LEAST_OF_GROUP if least is None else least,
        most=MOST_GROUPS if most is None else most,
    )


seed_option = click.option(
    "--seed",
    type=Whole(min=0, largest=2**32 - 1),
    default=42,
    show_default=True,
    help="Of random numbers; the same seed on the same data gives the same.",
)


def _numbers(cuts: str) -> list[float]:
    try:
        return [float(each) for each in cuts.split(",")]
    except ValueError:
        raise UsageError(
            f"Cuts of size are numbers with commas between, such as 1,8,30; not {cuts!r}."
        ) from None


def say_analysis(stored: StoredAnalysis, counted: str = "scores") -> None:
    """Say which analysis it is, on how many models, and what was left out."""
    how = "stored before" if stored.reused else "computed"
    say(
        f"Analysis {stored.analysis_id}, {how} ({figures.minute(stored.created_at)}): "
        f"{stored.row_count:,} {counted} of {stored.model_count:,} models."
    )
    if stored.tested_scores not in {None, stored.row_count}:
        say(
            f"Results are of {stored.tested_scores:,} of these {counted}, of"
            f" {stored.tested_models:,} models."
        )
    for note in stored.notes:
        say(note)


def probability(value: float | None) -> str:
    """Write a p-value for a table's cell."""
    return p_values.p_value(value, unknown="")


def integrated_probability(value: float | None) -> str:
    """Write a p-value of a pair of groups or a curve for a table's cell."""
    return p_values.integrated_p_value(value, unknown="")


def signed(value: float | None) -> str:
    """Write a difference or a correlation for a table's cell."""
    return "" if value is None else f"{value:+.4g}"
