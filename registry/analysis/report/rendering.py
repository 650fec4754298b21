"""Reports as text: a page that needs no network and no script, or Markdown."""

from collections import Counter
from collections.abc import Iterator
from html import escape

from registry.analysis.plots import charts, map_chart
from registry.analysis.plots.model_map import NO_GROUP, group_names
from registry.analysis.report.document import (
    MapFigure,
    PanelFigure,
    Report,
    ReportFigure,
    ReportSection,
    ReportTable,
    SpanFigure,
)

_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
html {{ font-size: 16px; }}
body {{ font: 1rem/1.5 system-ui, sans-serif; margin: 1rem auto; padding: 0 1rem; max-width: 60rem;
  color: #222; background: #fff; overflow-wrap: anywhere; }}
h1 {{ line-height: 1.2; }}
h2 {{ margin-top: 2.2rem; border-top: 1px solid #ddd; padding-top: 1rem; break-after: avoid; }}
figure {{ margin: 1rem 0; break-inside: avoid; }}
figcaption, caption {{ color: #555; font-size: .88rem; text-align: left; margin-bottom: .4rem; }}
.notes {{ color: #555; font-size: .88rem; }}
.figure {{ margin: 1rem 0; }}
.figure > p {{ color: #555; font-size: .88rem; margin: 0 0 .4rem; }}
.scroll {{ overflow-x: auto; margin: 1rem 0; }}
.scroll > p {{ position: sticky; left: 0; margin: 0 0 .4rem; color: #555; font-size: .88rem; }}
table {{ border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .92rem;
  overflow-wrap: normal; }}
th, td {{ padding: .25rem .6rem; text-align: right; white-space: nowrap;
  border-bottom: 1px solid #eee; }}
th:first-child, td:first-child {{ text-align: left; }}
thead th {{ vertical-align: bottom; white-space: normal; }}
tr {{ break-inside: avoid; }}
.span {{ display: grid; grid-template-columns: 11rem 1fr 12.5rem; gap: .2rem .8rem;
  align-items: center; font-size: .92rem; margin: .15rem 0; break-inside: avoid; }}
.axis {{ position: relative; height: 1.1rem; background: #f2f2f2; }}
.axis i, .axis b, .axis u {{ position: absolute; }}
.axis i {{ top: .35rem; height: .4rem; background: #92c5de; }}
.axis b {{ top: .15rem; width: .25rem; height: .8rem; margin-left: -.125rem; background: #2166ac; }}
.axis u {{ top: 0; width: 1px; height: 1.1rem; background: #999; }}
.ends {{ display: flex; justify-content: space-between; color: #555; }}
{style}
@media (max-width: 40rem) {{ .span {{ grid-template-columns: 1fr; gap: 0; margin: .5rem 0; }}
  td:first-child {{ white-space: normal; min-width: 9.5rem; overflow-wrap: anywhere; }} }}
@media print {{ html {{ font-size: 11px; }} body {{ max-width: none; margin: 0; }}
  .figure > p, .legend {{ break-after: avoid; break-inside: avoid; }}
  .scroll {{ overflow: visible; }} th, td {{ padding: .15rem .35rem; white-space: normal; }}
  * {{ print-color-adjust: exact; -webkit-print-color-adjust: exact; }} }}
</style>
<h1>{title}</h1>
<p>{summary}</p>
{sections}
</html>
"""


def as_page(report: Report) -> str:
    """Return a report as a page of HTML."""
    page = _PAGE.format(
        title=escape(report.title),
        summary=escape(report.summary),
        style=charts.CSS + map_chart.CSS,
        sections="\n".join(map(_section, report.sections)),
    )
    # Names of models may hold what no encoding takes.
    return page.encode(errors="replace").decode()


def as_markdown(report: Report) -> str:
    """Return a report as Markdown; the rows of figures are tables."""
    parts = [f"# {report.title}", report.summary]
    for section in report.sections:
        parts += [f"## {section.title}", *map(_marked, section.sentences)]
        parts += [_marked(_noted(section)) for _ in section.notes[:1]]
        parts += [part for figure in section.figures for part in _in_words(figure)]
        parts += [_markdown_table(table) for table in section.tables]
    return ("\n\n".join(parts) + "\n").encode(errors="replace").decode()


def _section(section: ReportSection) -> str:
    return "\n".join([
        f"<section><h2>{escape(section.title)}</h2>",
        *(f"<p>{escape(sentence)}</p>" for sentence in section.sentences),
        *(f'<p class="notes">{escape(_noted(section))}</p>' for _ in section.notes[:1]),
        *map(_figure, section.figures),
        *map(_table, section.tables),
        "</section>",
    ])  # fmt: skip


def _noted(section: ReportSection) -> str:
    return " ".join(dict.fromkeys(section.notes))


def _figure(figure: ReportFigure) -> str:
    if isinstance(figure, SpanFigure):
        return _spans(figure)
    drawn = (
        charts.chart_panels(figure.panels)
        if isinstance(figure, PanelFigure)
        else map_chart.chart_map(figure.points, figure.groups)
    )
    return f'<div class="figure"><p>{escape(figure.caption)}</p>{drawn}</div>'


def _spans(figure: SpanFigure) -> str:
    width = (figure.high - figure.low) or 1.0

    def place(value: float) -> float:
        return min(max((value - figure.low) / width, 0), 1) * 100

    rows = []
    for span in figure.spans:
        drawn = f'<b style="left:{place(span.value):.2f}%"></b>'
        if span.lower is not None and span.upper is not None:
            left, right = place(span.lower), place(span.upper)
            drawn = f'<i style="left:{left:.2f}%;width:{max(right - left, 0.3):.2f}%"></i>' + drawn
        if figure.low < 0 < figure.high:
            drawn = f'<u style="left:{place(0):.2f}%"></u>' + drawn
        rows.append(
            f'<div class="span"><span>{escape(span.name)}</span>'
            f'<span class="axis">{drawn}</span><span>{escape(span.said)}</span></div>'
        )
    ends = f"<span>{figure.low:.2g}</span><span>{figure.high:.2g}</span>"
    return (
        f"<figure><figcaption>{escape(figure.caption)}</figcaption>{''.join(rows)}"
        f'<div class="span"><span></span><span class="ends">{ends}</span><span></span></div>'
        "</figure>"
    )


def _table(table: ReportTable) -> str:
    heads = "".join(f"<th>{escape(heading)}</th>" for heading in table.headings)
    rows = []
    for place, row in enumerate(table.rows):
        shades = [None] * len(row) if table.shades is None else table.shades[place]
        cells = "".join(
            f"<td{_shade(shade)}>{escape(cell)}</td>"
            for cell, shade in zip(row, shades, strict=True)
        )
        rows.append(f"<tr>{cells}</tr>")
    return (
        f'<div class="scroll"><p>{escape(table.caption)}</p><table><thead><tr>{heads}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _shade(value: float | None) -> str:
    if value is None:
        return ""
    strength = round(min(abs(value), 1) * 100)
    colour = "#2166ac" if value >= 0 else "#b2182b"
    text = "#fff" if strength > 60 else "#222"  # noqa: PLR2004 - per cent, where white is legible
    return (
        f' style="background:color-mix(in srgb, {colour} {strength}%, #fff);color:{text};'
        'text-align:center"'
    )


def _in_words(figure: ReportFigure) -> Iterator[str]:
    """Yield a figure as Markdown: its numbers as a table, if no table of the section has them."""
    if isinstance(figure, SpanFigure):
        rows = [(span.name, span.said) for span in figure.spans]
        yield _markdown_table(
            ReportTable(caption=figure.caption, headings=("", "value"), rows=rows)
        )
    elif isinstance(figure, MapFigure):
        counts = Counter(each or NO_GROUP for each in figure.groups)
        names = [each for each in (*group_names(figure.groups), NO_GROUP) if each in counts]
        yield _markdown_table(
            ReportTable(
                caption=figure.caption + " The map is drawn in a report as .html.",
                headings=("group", "models"), rows=[[each, f"{counts[each]:,}"] for each in names],
            )
        )  # fmt: skip
    elif figure.table is not None:
        yield _markdown_table(figure.table)


def _markdown_table(table: ReportTable) -> str:
    lines = [_row(table.headings), _row(["---"] * len(table.headings)), *map(_row, table.rows)]
    return _marked(table.caption) + "\n\n" + "\n".join(lines)


def _row(cells: object) -> str:
    assert isinstance(cells, list | tuple)
    return "| " + " | ".join(_marked(str(cell)).replace("|", "\\|") for cell in cells) + " |"


def _marked(text: str) -> str:
    """Return text on one line that Markdown shows as it is."""
    line = " ".join(text.split())
    for sign in "\\`*_<[":
        line = line.replace(sign, "\\" + sign)
    return line
