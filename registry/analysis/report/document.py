"""Parts of a report: sections with sentences, tables and bars."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from registry.analysis.plots.charts import Panel
from registry.learning.arrays import Reals


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportTable:
    """A table of text.

    Attributes:
        caption: what it shows, of how many models, when, and with which caveats.
        headings: of its columns; the first column names rows.
        rows: cells.
        shades: of each cell in [-1, 1], for a heat map; None without.
    """

    caption: str
    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
    shades: Sequence[Sequence[float | None]] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A point with its interval, as a row of a figure; the ends are None where not known."""

    name: str
    value: float
    lower: float | None
    upper: float | None
    said: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SpanFigure:
    """Points with intervals on one axis.

    Attributes:
        caption: as that of a table.
        spans: one a row.
        low: left end of the axis.
        high: right end of it.
    """

    caption: str
    spans: Sequence[Span]
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PanelFigure:
    """Curves, points and bands on panels.

    Attributes:
        caption: as that of a table.
        panels: one or more.
        table: what Markdown has in their place; None where a table of the section has it all.
    """

    caption: str
    panels: Sequence[Panel]
    table: ReportTable | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MapFigure:
    """Models on a plane.

    Attributes:
        caption: as that of a table.
        points: M x 2.
        groups: of the M models; None where there are no groups, or a model is in none.
    """

    caption: str
    points: Reals
    groups: Sequence[str | None]


ReportFigure: TypeAlias = SpanFigure | PanelFigure | MapFigure


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportSection:
    """A section: sentences that say what was found and what was not, then figures and tables.

    Attributes:
        title: of the section.
        sentences: what was found, and what was not.
        figures: pictures.
        tables: tables.
        notes: what was left out, and why.
    """

    title: str
    sentences: Sequence[str]
    figures: Sequence[ReportFigure] = ()
    tables: Sequence[ReportTable] = ()
    notes: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A report: its title, what it is of, and sections."""

    title: str
    summary: str
    sections: Sequence[ReportSection] = field(default_factory=tuple)
