"""Parts of a report: sections with sentences, tables and bars."""

from collections.abc import Sequence
from dataclasses import dataclass, field


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
class ReportSection:
    """A section: sentences that say what was found and what was not, then figures and tables."""

    title: str
    sentences: Sequence[str]
    figures: Sequence[SpanFigure] = ()
    tables: Sequence[ReportTable] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A report: its title, what it is of, and sections."""

    title: str
    summary: str
    sections: Sequence[ReportSection] = field(default_factory=tuple)
