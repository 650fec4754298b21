"""Reports on the scores of a slice of models, written as a page or as Markdown."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import numpy as np
from sqlalchemy import Engine

from registry.analysis.report import (
    curve_sections,
    dependence_sections,
    map_sections,
    rank_sections,
    sections,
)
from registry.analysis.report.document import Report, ReportSection
from registry.analysis.report.rendering import as_markdown, as_page
from registry.analysis.statistics.score_frame import FrameOptions, ScoreFrame, read_frame
from registry.analysis.statistics.stored_analyses import check_level
from registry.enums import Grouping
from registry.errors import UsageError
from registry.files import check_target, new_file
from registry.version import __version__
from registry.workers import Progress, no_progress

RENDERED = {".html": as_page, ".md": as_markdown}
"""How a report is written, by the ending of its file."""

MOST_BENCHMARKS = 6
"""Benchmarks of a report where none is named: those of the most scores."""


def check_report(path: Path) -> None:
    """Check that a report can be written to a file.

    Raises:
        UsageError: for a file that is there, a folder that is not, or another ending.
    """
    if path.suffix.lower() not in RENDERED:
        raise UsageError(f"A report is written as .html or .md, not as {path.name}.")
    check_target(path)


def write_report(report: Report, path: Path) -> None:
    """Write a report to a new file, by its ending; raises as `check_report` does."""
    check_report(path)
    written = RENDERED[path.suffix.lower()](report)
    with new_file(path) as file:
        file.write_text(written, encoding="utf-8")


def score_report(
    engine: Engine,
    options: FrameOptions,
    groupings: Sequence[Grouping],
    *,
    level: float = 0.95,
    on_progress: Progress = no_progress,
) -> Report:
    """Return a report on a slice; analyses that it consists of are stored.

    A section whose analysis cannot be made says why.

    Args:
        engine: of a database at head.
        options: which scores; their grouping does not count.
        groupings: by which groups of models are compared.
        level: share of intervals that hold what they are of, in (0, 1).
        on_progress: called with the title of the part that begins, and its place.

    Raises:
        UsageError: as `read_frame` does, and for another level.
    """
    check_level(level)
    on_progress("data", 0, 0)
    plain, frame, left_out = report_data(engine, options)
    parts = _parts(engine, plain, frame, groupings, level)
    done = [sections.slice_section(frame, left_out)]
    for place, (title, section_of) in enumerate(parts, 1):
        on_progress(title, place, len(parts) + 1)
        try:
            done.append(section_of())
        except UsageError as error:
            done.append(ReportSection(title=title, sentences=[f"Not computed: {error}"]))
    which = "all models" if options.condition is None else f"models with {options.condition}"
    return Report(
        title="What scores go with",
        summary=f"Statistics of scores of {which}, {datetime.now(UTC):%Y-%m-%d} (UTC), by registry"
        f" {__version__}. {level:.0%} intervals. Each analysis is stored under its number, in view"
        " analyses and those of its kind.",
        sections=done,
    )


def report_data(
    engine: Engine, options: FrameOptions
) -> tuple[FrameOptions, ScoreFrame, list[str]]:
    """Return the slice of a report without groups, its frame, and what is said of benchmarks.

    Where no benchmark is named it is of the `MOST_BENCHMARKS` with the most scores.

    Raises:
        UsageError: as `read_frame` does.
    """
    plain = replace(options, grouping=None)
    frame = read_frame(engine, plain)
    if options.benchmarks is not None or len(frame.benchmarks) <= MOST_BENCHMARKS:
        return plain, frame, []
    said = (
        f"Of {len(frame.benchmarks)} benchmarks these are the {MOST_BENCHMARKS} with the most"
        " scores; name others by --benchmark."
    )
    plain = replace(plain, benchmarks=_largest(frame))
    return plain, read_frame(engine, plain), [said]


def _parts(
    engine: Engine,
    options: FrameOptions,
    frame: ScoreFrame,
    groupings: Sequence[Grouping],
    level: float,
) -> list[tuple[str, Callable[[], ReportSection]]]:
    """Return the sections of a report, by title, and how each is made."""
    parts: list[tuple[str, Callable[[], ReportSection]]] = [
        ("The best models", partial(rank_sections.rank_section, engine, options, frame)),
        ("Are the best models better?",
         partial(rank_sections.comparison_section, engine, options, frame, level)),
    ]  # fmt: skip
    for grouping in groupings:
        of = replace(options, grouping=grouping)
        for name, section in (("Differences", sections.anova_section),
                              ("Pairs of groups", sections.tukey_section)):  # fmt: skip
            parts.append((f"{name} by {grouping}", partial(section, engine, of, level)))
    first = groupings[0] if groupings else None
    return [
        *parts,
        (
            "Models that share a family or an author",
            partial(dependence_sections.dependence_section, engine, options, groupings, level),
        ),
        *(
            (title, partial(section, engine, options, level))
            for title, section in (
                ("Models beside their parents", dependence_sections.parents_section),
                ("Correlations of benchmarks", sections.correlation_section),
                ("Abilities", map_sections.ability_section),
                ("Scores over size", curve_sections.size_section),
                ("Scaling curves", curve_sections.scaling_section),
                ("Benchmarks over time", curve_sections.saturation_section),
            )
        ),
        ("Map of models", partial(map_sections.map_section, engine, options, first, level)),
    ]


def _largest(frame: ScoreFrame) -> list[str]:
    counts = np.isfinite(frame.values).sum(axis=0)
    order = sorted(range(len(counts)), key=lambda place: (-counts[place], place))
    return sorted(frame.benchmarks[place].title for place in order[:MOST_BENCHMARKS])
