"""Reports on the scores of a slice of models, written as a page or as Markdown."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import numpy as np
from sqlalchemy import Engine

from registry.analysis.report import curve_sections, sections
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
    on_progress("data", 0, 6 + 2 * len(groupings))
    plain = replace(options, grouping=None)
    frame = read_frame(engine, plain)
    left_out: list[str] = []
    if options.benchmarks is None and len(frame.benchmarks) > MOST_BENCHMARKS:
        left_out.append(
            f"Of {len(frame.benchmarks)} benchmarks these are the {MOST_BENCHMARKS} with the most"
            " scores; name others by --benchmark."
        )
        plain = replace(plain, benchmarks=_largest(frame))
        frame = read_frame(engine, plain)
    parts: list[tuple[str, Callable[[], ReportSection]]] = [
        ("The best models", partial(sections.rank_section, engine, plain, frame)),
        ("Are the best models better?",
         partial(sections.comparison_section, engine, frame, level)),
    ]  # fmt: skip
    for grouping in groupings:
        of = replace(plain, grouping=grouping)
        for name, section in (("Differences", sections.anova_section),
                              ("Pairs of groups", sections.tukey_section)):  # fmt: skip
            parts.append((f"{name} by {grouping}", partial(section, engine, of, level)))
    parts.append(
        (
            "Correlations of benchmarks",
            partial(sections.correlation_section, engine, plain, level),
        )
    )
    parts.append(("Scores over size", partial(curve_sections.size_section, engine, plain, level)))
    parts.append(
        ("Benchmarks over time", partial(curve_sections.saturation_section, engine, plain, level))
    )
    done = [sections.slice_section(frame, left_out)]
    for place, (title, section_of) in enumerate(parts, 1):
        on_progress(title, place, len(parts) + 1)
        try:
            done.append(section_of())
        except UsageError as error:
            done.append(ReportSection(title=title, sentences=[f"Not computed: {error}"]))
    which = "all models" if options.condition is None else f"models with {options.condition}"
    return Report(
        title="What explains scores",
        summary=f"Statistics of scores of {which}, {datetime.now(UTC):%Y-%m-%d} (UTC), by registry"
        f" {__version__}. {level:.0%} intervals. Each analysis is stored under its number, in view"
        " analyses and those of its kind.",
        sections=done,
    )


def _largest(frame: ScoreFrame) -> list[str]:
    counts = np.isfinite(frame.values).sum(axis=0)
    order = sorted(range(len(counts)), key=lambda place: (-counts[place], place))
    return sorted(frame.benchmarks[place].title for place in order[:MOST_BENCHMARKS])
