"""Reports on scores: sections and pictures, beside the analyses that they are of."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from evaluated import run, write
from factories import edge, family, model
from sqlalchemy import Engine

from registry.analysis.plots import charts, map_chart
from registry.analysis.plots.charts import Panel, PanelSeries, chart_panels, short
from registry.analysis.plots.map_chart import chart_map, map_colours
from registry.analysis.report import dependence_sections
from registry.analysis.report.curve_sections import (
    saturation_section,
    scaling_section,
    size_section,
)
from registry.analysis.report.dependence_sections import (
    SharedFactor,
    dependence_section,
    parents_section,
)
from registry.analysis.report.document import (
    MapFigure,
    PanelFigure,
    Report,
    ReportSection,
    ReportTable,
    SpanFigure,
)
from registry.analysis.report.map_sections import ability_section, map_section
from registry.analysis.report.rendering import as_markdown, as_page
from registry.analysis.report.sentences import lost_effects, range_of
from registry.analysis.statistics.ability_factors import run_factors
from registry.analysis.statistics.benchmark_saturation import run_saturation
from registry.analysis.statistics.mixed_models import MixedEffect, run_mixed
from registry.analysis.statistics.model_maps import run_map
from registry.analysis.statistics.scaling_curves import ALL, run_scaling
from registry.analysis.statistics.score_frame import FrameOptions
from registry.enums import Grouping, MixedSubject
from registry.evaluations.records import Benchmark, Block
from registry.learning.arrays import Reals

SIZES = (0.5, 1.0, 3.0, 7.0, 14.0)
FAMILIES = 12
TYPES = ("llama", "qwen2", "gemma")
LEVEL = 0.95
PLAIN = FrameOptions()
BY_TYPE = FrameOptions(grouping=Grouping.ARCHITECTURE)


def names() -> list[str]:
    """Return the names of models, series of five sizes each."""
    return [f"lab{of % 4}/kin{of}-{size:g}b" for of in range(FAMILIES) for size in SIZES]


def scores() -> dict[str, Reals]:
    """Return scores that grow with size, and in which families differ much and types do not."""
    rng = np.random.default_rng(11)
    of_family = np.repeat(rng.normal(size=FAMILIES), len(SIZES))
    growth = np.tile(np.log10(SIZES), FAMILIES)
    return {
        benchmark: 1 / (1 + np.exp(-(slope * growth + 0.6 * of_family + 0.05 * noise)))
        for benchmark, slope, noise in zip(
            ("alpha", "beta", "gamma"), (0.9, 1.4, 0.0), rng.normal(size=(3, len(of_family))),
            strict=True,
        )
    }  # fmt: skip


@pytest.fixture
def filled(engine: Engine) -> Engine:
    with engine.begin() as connection:
        for place, name in enumerate(names()):
            of, size = divmod(place, len(SIZES))
            years = None if place % 10 == 9 else datetime(2023 + of % 2, 5, 1, tzinfo=UTC)
            model(connection, name, parameters=round(SIZES[size] * 1e9), model_type=TYPES[of % 3],
                  created_at=years)  # fmt: skip
        for place, name in enumerate(names()):
            family(connection, name, names()[place // len(SIZES) * len(SIZES)])
        for place in range(24):
            root = names()[place % FAMILIES * len(SIZES)]
            relation = "finetune" if place < FAMILIES else "merge"
            model(connection, f"kid/m{place:02}", created_at=None)
            edge(connection, f"kid/m{place:02}", root, relation=relation)
            family(connection, f"kid/m{place:02}", root)
        for benchmark, values in scores().items():
            runs = [run(name, score=value) for name, value in zip(names(), values.tolist(),
                                                                   strict=True)]  # fmt: skip
            # Children of the smallest models; those of merges are no better.
            for place in range(24):
                parent = place % FAMILIES * len(SIZES)
                gain = 0.05 * (place < FAMILIES) + 0.004 * (place % 5 - 2)
                runs.append(run(f"kid/m{place:02}", score=float(values[parent]) + gain))
            write(connection, Block(benchmark=Benchmark(name=benchmark), items=[], runs=runs))
    return engine


def cells(table: ReportTable, *columns: int) -> list[tuple[str, ...]]:
    return [tuple(row[column] for column in columns) for row in table.rows]


def test_a_report_says_what_families_share_and_which_findings_are_lost(filled: Engine) -> None:
    section = dependence_section(filled, PLAIN, [Grouping.ARCHITECTURE, Grouping.SIZE], LEVEL)
    whole = run_mixed(filled, PLAIN, MixedSubject.NONE, [Grouping.FAMILY])
    shares = [each for each in whole.effects if each.term == "family"]
    family_figure, author_figure = section.figures
    assert isinstance(family_figure, SpanFigure)
    assert isinstance(author_figure, SpanFigure)
    assert [span.value for span in family_figure.spans] == [each.share for each in shares]
    assert {span.said[-4:] for span in family_figure.spans} == {"n=84"}
    assert f"Analysis {whole.stored.analysis_id} of 252 scores" in family_figure.caption
    least, most = (choose(each.share or 0 for each in shares) for choose in (min, max))
    assert section.sentences[0].startswith(
        f"Family goes with {least:.0%} to {most:.0%} of the variance, over 84 models of 12 families"
    )
    assert section.sentences[1].startswith("Author goes with")
    by_type = run_mixed(filled, BY_TYPE, MixedSubject.GROUPS, [Grouping.FAMILY])
    tests = [each for each in by_type.effects if each.kind == "test"]
    lost = [each.benchmark for each in tests if (each.plain_p or 0) < 0.05 <= (each.p or 0)]
    plain = sum((each.plain_p or 0) < 0.05 for each in tests)
    assert (by_type.stored.tested_models, by_type.stored.tested_scores) == (60, 180)
    assert lost
    said = next(each for each in section.sentences if each.startswith("By architecture"))
    assert said == (
        f"By architecture, over 60 models a benchmark, {plain} of 3 benchmarks would be found to"
        " differ (p below 0.05, not corrected for the number of tests) if models were independent;"
        f" with a random effect of family {len(lost)} of them"
        f" {'is' if len(lost) == 1 else 'are'} lost ({', '.join(lost)})."
    )
    by_size = next(each for each in section.sentences if each.startswith("By size"))
    assert "none of them is lost" in by_size
    assert cells(section.tables[0], 0, 1, 5, 6) == [
        (each.benchmark, str(each.n), f"{each.p:.2g}", f"{each.plain_p:.2g}") for each in tests
    ]
    assert "unknown size" in " ".join(section.notes)
    # A family that few are known to be of is named after authors.
    few, many = (
        SharedFactor(factor=factor, models=models, groups=9)
        for factor, models in ((Grouping.FAMILY, 98), (Grouping.AUTHOR, 198))
    )
    assert dependence_sections._in_order([few, many]) == [Grouping.AUTHOR, Grouping.FAMILY]
    as_many = replace(few, models=99)
    assert dependence_sections._in_order([as_many, many]) == [Grouping.FAMILY, Grouping.AUTHOR]
    assert [replace(few, models=of).usable for of in (28, 29)] == [False, True]
    assert not replace(few, groups=1).usable
    # What is compared is no random effect.
    section = dependence_section(filled, PLAIN, [Grouping.FAMILY], LEVEL)
    assert "with a random effect of author" in section.sentences[2]


def test_a_report_compares_models_with_their_parents(filled: Engine) -> None:
    section = parents_section(filled, PLAIN, LEVEL)
    found = run_mixed(filled, PLAIN, MixedSubject.PARENTS, [Grouping.FAMILY])
    fixed = [each for each in found.effects if each.kind == "fixed"]
    assert section.sentences[0] == (
        "Finetune: 12 models a benchmark; higher than the parent on 3 of 3 benchmarks, lower on 0,"
        " and on 0 no difference was found."
    )
    assert section.sentences[1] == (
        "Merge: 12 models a benchmark; higher than the parent on 0 of 3 benchmarks, lower on 0,"
        " and on 3 no difference was found."
    )
    (figure,) = section.figures
    assert isinstance(figure, SpanFigure)
    assert [(span.value, span.lower, span.upper) for span in figure.spans] == [
        (each.estimate, each.lower, each.upper) for each in fixed
    ]
    assert figure.low <= min(span.lower or 0 for span in figure.spans)
    assert figure.high == max(span.upper or 0 for span in figure.spans)
    page = as_page(Report(title="", summary="", sections=[section]))
    assert f"<span>{figure.low:.2g}</span><span>{figure.high:.2g}</span>" in page
    assert page.count('<i style="left:') == page.count('<u style="left:') == len(fixed)
    assert cells(section.tables[0], 0, 1, 4) == [
        (each.benchmark, each.group_name, f"{each.holm:.2g}") for each in fixed
    ]


def test_a_report_draws_curves_of_series_and_years(filled: Engine) -> None:
    section = scaling_section(filled, FrameOptions(most=3), LEVEL)
    found = run_scaling(filled, FrameOptions(grouping=Grouping.SERIES))
    own = [each for each in found.fits if each.group_name != ALL]
    assert {each.group_name for each in own} == {name.rpartition("-")[0] for name in names()}
    rising = [each for each in own if each.benchmark != "gamma"]
    assert section.sentences[0].startswith(
        f"12 series have 36 curves, of 5 models each: {len(rising)} rise with size, 0 fall, and of"
        " 12 no slope was found"
    )
    (figure,) = section.figures
    assert isinstance(figure, PanelFigure)
    assert "Of 12 series with curves the 6 with the most are drawn." in figure.caption
    assert [panel.title for panel in figure.panels] == ["alpha", "beta", "gamma"]
    for panel in figure.panels:
        assert len(panel.series) == 7
        assert [series.name for series in panel.series if series.muted] == [ALL]
        assert "all models n=60; by group n=5" in panel.note
    drawn = figure.panels[0].series[1]
    points = [each for each in found.curves
              if (each.benchmark, each.group_name) == ("alpha", drawn.name)]  # fmt: skip
    assert drawn.curve[:, :2].tolist() == [[each.amount, each.score] for each in points]
    assert sorted(drawn.points[:, 1]) == sorted(
        value for name, value in zip(names(), scores()["alpha"], strict=True)
        if name.startswith(f"{drawn.name}-")
    )  # fmt: skip
    assert figure.table is not None
    assert len(figure.table.rows) == len(section.tables[0].rows) == 21
    first, largest = points[0], [each for each in points if not each.beyond][-1]
    of = {(row[0], row[1]): row[2:] for row in figure.table.rows}["alpha", drawn.name]
    assert of[0].startswith(f"{short(first.amount)}: {first.score:.2f}")
    assert of[1].startswith(f"{short(largest.amount)}: {largest.score:.2f} [{largest.lower:.2f},")
    assert "No source states the score of chance on alpha, beta, gamma" in " ".join(
        section.sentences
    )
    assert "24 models without a curve of their own, of unknown series." in section.notes

    section = saturation_section(filled, PLAIN, LEVEL)
    (figure,) = section.figures
    assert isinstance(figure, PanelFigure)
    best, median = figure.panels[0].series
    years = [each for each in run_saturation(filled, PLAIN).results if each.benchmark == "alpha"]
    assert figure.panels[0].ticks == [f"{each.period}\nn={each.n}" for each in years[:-1]]
    assert best.curve[:, 1].tolist() == [each.best for each in years[:-1]]
    assert median.curve[:, 1:].tolist() == [
        [each.median, each.lower_quartile, each.upper_quartile] for each in years[:-1]
    ]
    assert section.sentences[0].endswith("; the year of 54 of them is known.")

    section = size_section(filled, PLAIN, LEVEL)
    (figure,) = section.figures
    assert isinstance(figure, PanelFigure)
    assert figure.panels[0].note.endswith(f"n={section.tables[0].rows[0][1]}")
    assert section.sentences[1] == "On gamma no relation with size was found."
    assert figure.table is not None
    assert [row[0] for row in figure.table.rows] == ["alpha", "beta", "gamma"]
    assert figure.table.rows[0][1].startswith("500M: -0.")
    assert figure.table.rows[0][-1].startswith("14B: 0.")


def test_a_report_draws_abilities_and_a_map(filled: Engine) -> None:
    section = ability_section(filled, PLAIN, LEVEL)
    found = run_factors(filled, PLAIN)
    assert f"One ability explains {found.factors[0].share:.0%}" in section.sentences[0]
    assert section.sentences[0].startswith("Over 84 models with a score on each of 3 benchmarks")
    (figure,) = section.figures
    assert isinstance(figure, SpanFigure)
    assert [(span.name, span.value, span.lower) for span in figure.spans] == [
        (each.benchmark, each.loading, each.lower) for each in found.loadings
    ]
    assert cells(section.tables[0], 0, 3) == [("1", "yes"), ("2", "no"), ("3", "no")]
    section = map_section(filled, PLAIN, Grouping.ARCHITECTURE, LEVEL)
    drawn = run_map(filled, BY_TYPE)
    (picture,) = section.figures
    assert isinstance(picture, MapFigure)
    assert picture.points.tolist() == [[each.x, each.y] for each in drawn.points]
    assert Counter(picture.groups) == {"llama": 20, "qwen": 20, "gemma": 20, None: 24}
    assert picture.caption.startswith("All 84 models with a score on each of 3 benchmarks")
    assert "coloured by architecture" in picture.caption
    assert section.sentences[2] == {
        "overlapping": "So models have more neighbours of their group than by chance, but on"
        " the whole groups are no clusters of their own.",
        "no difference found": "That models of one group lie nearer each other than by chance was"
        " not found.",
    }[drawn.check.verdict]  # fmt: skip


def series(
    name: str, *values: Sequence[float], points: int = 0, muted: bool = False
) -> PanelSeries:
    return PanelSeries(name=name, curve=np.array(values, np.float64), muted=muted,
                       points=np.array(values, np.float64)[:points, :2])  # fmt: skip


def test_series_have_one_look_in_all_panels() -> None:
    kin, tun = series("kin", (1, 0), (2, 1), points=1), series("tun", (1, 1), (2, 0))
    rest = series("all", (1, 0.5), (2, 0.5), muted=True)
    first = Panel(title="a", across="x", up="y", series=[rest, kin, tun])
    second = replace(first, title="b", series=[rest, tun])
    drawn = chart_panels([first, second])
    legend, one, two = drawn.partition("</ul>")[0], *drawn.split("<figure>")[1:]
    (blue, _), (orange, dash), *_ = charts.STYLES
    assert legend.index("kin</li>") < legend.index("tun</li>") < legend.index("all</li>")
    assert legend.count(f'fill="{blue}"') == 1
    assert f'fill="{orange}"' not in legend
    assert one.count(f'stroke="{blue}"') == 1
    assert two.count(f'stroke="{blue}"') == 0
    for panel in (one, two):
        assert panel.count(f'stroke="{orange}" stroke-width="2" stroke-dasharray="{dash}"') == 1
        assert panel.count(f'stroke="{charts.GREY}" stroke-width="2" stroke-dasharray') == 1
    assert 'aria-label="b: y by x, of all, tun."' in two
    # A series has its mark in the legend where it has points on any panel.
    bare = replace(first, series=[replace(kin, points=kin.points[:0]), tun])
    legend = chart_panels([bare, first]).partition("</ul>")[0]
    assert legend.count(f'fill="{blue}"') == 1
    # One series needs no legend, and points of one place are drawn once.
    alone = chart_panels([replace(first, series=[replace(
        kin, points=np.array([[1, 0], [1, 0], [2, 1]], np.float64)
    )])])  # fmt: skip
    assert "<ul" not in alone
    assert alone.count(charts.MARKS[0]) == 2


def test_bands_end_where_they_are_not_known() -> None:
    nan = float("nan")
    banded = series("kin", (1, 0.2, 0.1, 0.3), (10, 0.4, 0.3, 0.5), (100, 0.6, nan, nan))
    panel = Panel(title="a", across="x", up="y", series=[banded], logarithmic=True)
    drawn = chart_panels([panel])
    polygon = drawn.split('<polygon points="')[1].split('"')[0].split()
    assert len(polygon) == 4
    assert "nan" not in drawn
    assert charts.bounds(panel) == (0.1, 0.6)
    left = [float(point.split(",")[0]) for point in polygon]
    middle = (charts.LEFT + charts.WIDTH - charts.RIGHT) / 2
    assert left == pytest.approx([charts.LEFT, middle, middle, charts.LEFT])
    for name in ("1", "10", "100"):
        assert f">{name}</text>" in drawn


def test_axes_name_few_places() -> None:
    ticks = [f"20{place:02}\nn={place}" for place in range(14)]
    panel = Panel(title="a", across="year", up="y", ticks=ticks,
                  series=[series("kin", *((place, place) for place in range(14)))])  # fmt: skip
    drawn = chart_panels([panel])
    assert [place for place in range(14) if f">20{place:02}</text>" in drawn] == [0, 3, 6, 9, 12]
    assert ">n=3</text>" in drawn
    high = chart_panels([replace(panel, ticks=(), series=[series("kin", (1000, 0), (3000, 3000))])])
    assert high.count(">1000</text>") == high.count(">2000</text>") == 2
    assert ">year</text>" in drawn
    assert ">y</text>" in drawn
    assert [short(each) for each in (999_999.9, 1.5e9, 2e12, 3e15, 12.0, 0.25)] == [
        "1M", "1.5B", "2T", "3e+15", "12", "0.25",
    ]  # fmt: skip
    assert charts.round_numbers(-0.31, 0.42) == pytest.approx([-0.2, 0, 0.2, 0.4])


def test_maps_draw_each_group_twice_and_the_fewest_in_front() -> None:
    points = np.array([[0, 0], [0, 0], [4, 2], [4, 0], [2, 1]], np.float64)
    groups = ["35B and more", "35B and more", "35B and more", "0-1.5B", None]
    drawn = chart_map(points, groups)
    small, large = map_colours(["0-1.5B", "35B and more"])
    assert (small, large) == ("#f4b03c", "#060638")
    main = drawn.split("<defs>")[1].split("</defs>")[1].split("</svg>")[0]
    assert main.index(map_chart.PALE) < main.index(large) < main.index(small)
    # Two models of one place are one dot; the vertical axis points up.
    low, high = map_chart.EDGE, map_chart.SIDE - map_chart.EDGE
    up, down = (map_chart.SIDE / 2 + side * (high - low) / 4 for side in (-1, 1))
    assert f'd="M{low} {down:.0f}h0M{high} {up:.0f}h0" stroke="{large}"' in main
    assert drawn.count('<use href="#all-models"/>') == 2
    for said in ("0-1.5B (1)", "35B and more (3)", "in none of these (1)"):
        assert said in drawn
    assert drawn.index("0-1.5B (1)") < drawn.index("35B and more (3)")
    plain = chart_map(points, [None] * 5)
    assert "legend" not in plain
    assert plain.count("<svg") == 1
    assert map_colours(["llama", "qwen"]) == [charts.STYLES[0][0], charts.STYLES[1][0]]


def test_pictures_are_tables_in_markdown() -> None:
    table = ReportTable(caption="Numbers.", headings=("at", "value"), rows=[["1", "<2>"]])
    panel = Panel(title="a", across="x", up="y", series=[series("kin", (1, 0), (2, 1))])
    section = ReportSection(
        title="Part", sentences=["Found."], notes=["1 left out.", "2 too.", "1 left out."],
        figures=[
            PanelFigure(caption="Curve & band.", panels=[panel], table=table),
            PanelFigure(caption="Elsewhere.", panels=[panel]),
            MapFigure(caption="Map.", points=np.eye(2), groups=["b", None]),
        ],
    )  # fmt: skip
    report = Report(title="All", summary="Of all.", sections=[section])
    marked, page = as_markdown(report), as_page(report)
    assert "Found.\n\n1 left out. 2 too.\n\nNumbers.\n\n| at | value |" in marked
    assert "| 1 | \\<2> |" in marked
    assert "Map. The map is drawn in a report as .html." in marked
    assert "| b | 1 |\n| in none of these | 1 |" in marked
    assert not any(sign in marked for sign in ("Elsewhere", "<svg"))
    assert '<p class="notes">1 left out. 2 too.</p>' in page
    assert page.count("Curve &amp; band.") == page.count("Elsewhere.") == 1
    assert "Numbers." not in page
    assert page.count("<figure><figcaption>a") == 2
    assert "{" not in page.split("</style>")[1]


def test_lost_effects_are_those_of_one_test_or_group() -> None:
    effect = MixedEffect(benchmark="b", version="", position=0, kind="test", term="size", n=9,
                         p=0.051, plain_p=0.049)  # fmt: skip
    others = [replace(effect, kind="random"), replace(effect, p=0.049), replace(effect, p=None),
              replace(effect, plain_p=0.051), replace(effect, plain_p=None)]  # fmt: skip
    assert lost_effects([effect, *others], 0.95) == [effect]
    assert [range_of(each) for each in ([5, 1_200], [7, 7])] == ["5 to 1,200", "7"]
