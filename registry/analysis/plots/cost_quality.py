"""Plot of quality against cost: operating points of routers, and single models."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from importlib import resources
from math import floor, log10
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from registry.analysis.plots.map import new_figure
from registry.errors import UsageError
from registry.files import new_file

WIDTH, HEIGHT = 860, 520
"""Of the page's picture, in its units."""

LEFT, BOTTOM, EDGE = 70, 60, 20
"""Of its margins."""


class Point(NamedTuple):
    """Dollars for 1,000 prompts, and the mean outcome."""

    cost: float
    quality: float


class PlottedFigure(Protocol):
    """A metric of a router, as stored."""

    @property
    def split(self) -> str:
        """What was held out."""

    @property
    def router(self) -> str:
        """Name of the router; `model:` and a name for a single model."""

    @property
    def metric(self) -> str:
        """Name of the metric."""

    @property
    def value(self) -> float:
        """Its value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CostQualityPlot:
    """What is drawn.

    Attributes:
        title: of the plot.
        routers: operating points of each, by rising cost.
        models: the single models.
    """

    title: str
    routers: Mapping[str, Sequence[Point]]
    models: Mapping[str, Point]

    @property
    def points(self) -> list[Point]:
        """All points."""
        return [*self.models.values(), *(each for line in self.routers.values() for each in line)]


def of_evaluation(details: Mapping[str, Any], figures: Iterable[PlottedFigure]) -> CostQualityPlot:
    """Return the plot of an evaluation's first split that has costs.

    Args:
        details: by split and router, with the operating points of each as `curve`.
        figures: metrics, among them those of single models.

    Raises:
        UsageError: when there are no costs.
    """
    rows = list(figures)
    for split, routers in details.items():
        lines = {
            name: sorted({Point(1000 * cost, quality) for cost, quality in each["curve"]})
            for name, each in routers.items()
            if each.get("curve") and not name.startswith("oracle")
        }
        if lines:
            of_split = [each for each in rows if each.split == split]
            return CostQualityPlot(
                title=f"Quality against cost on held-out {split}s",
                routers=lines,
                models=_models(of_split),
            )
    raise UsageError(
        "There are no costs to draw quality against: not all models have a price. "
        "`registry prices import` stores prices."
    )


def _models(figures: Iterable[PlottedFigure]) -> dict[str, Point]:
    found: dict[str, dict[str, float]] = {}
    for each in figures:
        kind, _, name = each.router.partition(":")
        if kind == "model":
            found.setdefault(name, {})[each.metric] = each.value
    return {
        name: Point(each["cost_per_1000"], each["avg_acc"])
        for name, each in found.items()
        if "cost_per_1000" in each
    }


def write_picture(drawn: CostQualityPlot, path: Path) -> None:
    """Write a PNG picture, completely or not at all.

    Raises:
        UsageError: matplotlib is not installed, or the file exists already.
    """
    figure = new_figure(9, 6)
    axes = figure.add_subplot()
    for name, line in drawn.routers.items():
        costs, qualities = zip(*line, strict=True)
        style = ":" if name.startswith("cascade") else "-"
        axes.plot(costs, qualities, style, marker=".", markersize=4, label=_formula_free(name))
    for name, point in drawn.models.items():
        axes.plot(*point, "k+", markersize=8)
        axes.annotate(
            _formula_free(name.rpartition("/")[2]), point, fontsize=6, alpha=0.7,
            xytext=(3, 3), textcoords="offset points",
        )  # fmt: skip
    if min(point.cost for point in drawn.points) > 0:
        axes.set_xscale("log")
    axes.set(title=drawn.title, xlabel="dollars for 1,000 prompts", ylabel="mean outcome")
    axes.xaxis.set_major_formatter("{x:.3g}")
    axes.xaxis.set_minor_formatter("{x:.3g}")
    axes.tick_params(axis="x", which="both", labelsize=7)
    axes.legend(fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    with new_file(path) as file:
        figure.savefig(file, format="png", dpi=140)


def _formula_free(text: str) -> str:
    """Return text in which a dollar sign starts no formula."""
    return text.replace("$", r"\$")


def write_page(drawn: CostQualityPlot, path: Path) -> None:
    """Write a self-contained page with the plot and its numbers, completely or not at all.

    Raises:
        UsageError: the file exists already.
    """
    page = resources.files(__package__).joinpath("cost_quality.html").read_text(encoding="utf-8")
    scale = _Scale.of(drawn.points)
    parts = [_axes(scale)]
    for place, (name, line) in enumerate(drawn.routers.items()):
        parts.append(_line(scale, name, line, place))
    parts += [_model(scale, name, point) for name, point in drawn.models.items()]
    legend = "".join(
        f'<li style="color:{_colour(place)}">{escape(name)}</li>'
        for place, name in enumerate(drawn.routers)
    )
    for mark, content in (
        ("__TITLE__", escape(drawn.title)),
        ("__PLOT__", "\n".join(parts)),
        ("__LEGEND__", legend),
        ("__ROWS__", "\n".join(_rows(drawn))),
    ):
        page = page.replace(mark, content)
    with new_file(path) as file:
        file.write_text(page, encoding="utf-8", errors="replace")


@dataclass(frozen=True, slots=True)
class _Scale:
    """Places of points in the picture; costs by their logarithm where none is 0."""

    costs: tuple[float, float]
    qualities: tuple[float, float]
    logarithmic: bool

    @classmethod
    def of(cls, points: Sequence[Point]) -> "_Scale":
        costs, qualities = zip(*points, strict=True)
        logarithmic = min(costs) > 0
        low, high = min(costs), max(costs)
        if logarithmic:
            low, high = log10(low), log10(high)
        margin = (max(qualities) - min(qualities)) * 0.05 or 0.05
        return cls(
            (low, high if high > low else low + 1),
            (min(qualities) - margin, max(qualities) + margin),
            logarithmic,
        )

    def x(self, cost: float) -> float:
        low, high = self.costs
        value = log10(cost) if self.logarithmic else cost
        return LEFT + (value - low) / (high - low) * (WIDTH - LEFT - EDGE)

    def y(self, quality: float) -> float:
        low, high = self.qualities
        return HEIGHT - BOTTOM - (quality - low) / (high - low) * (HEIGHT - BOTTOM - EDGE)

    def cost_ticks(self) -> list[float]:
        low, high = self.costs
        if not self.logarithmic:
            return [low + (high - low) * part / 5 for part in range(6)]
        steps = range(floor(low) - 1, floor(high) + 1)
        every = [digit * 10.0**step for step in steps for digit in (1, 2, 5)]
        return [cost for cost in every if low - 1e-9 <= log10(cost) <= high + 1e-9]

    def quality_ticks(self) -> list[float]:
        low, high = self.qualities
        step = 10.0 ** floor(log10(high - low))
        step = next(each for each in (step / 5, step / 2, step) if (high - low) / each <= 10)  # noqa: PLR2004 - ticks
        first = floor(low / step) + 1
        return [step * n for n in range(first, floor(high / step) + 1)]


def _colour(place: int) -> str:
    return f"hsl({place * 137.5 % 360:.0f} 65% 45%)"


def _axes(scale: _Scale) -> str:
    bottom, right = HEIGHT - BOTTOM, WIDTH - EDGE
    lines = [
        f'<path class="axis" d="M{LEFT},{EDGE}V{bottom}H{right}"/>',
        (
            f'<text x="{(LEFT + right) / 2}" y="{HEIGHT - 12}" text-anchor="middle">'
            "dollars for 1,000 prompts</text>"
        ),
        (
            f'<text transform="translate(16 {HEIGHT / 2}) rotate(-90)" text-anchor="middle">'
            "mean outcome</text>"
        ),
    ]
    for cost in scale.cost_ticks():
        x = f"{scale.x(cost):.1f}"
        lines.append(
            f'<path class="grid" d="M{x},{EDGE}V{bottom}"/>'
            f'<text x="{x}" y="{bottom + 18}" text-anchor="middle">{cost:.3g}</text>'
        )
    for quality in scale.quality_ticks():
        y = f"{scale.y(quality):.1f}"
        lines.append(
            f'<path class="grid" d="M{LEFT},{y}H{right}"/>'
            f'<text x="{LEFT - 8}" y="{y}" text-anchor="end" dy=".3em">{quality:.3g}</text>'
        )
    return "\n".join(lines)


def _line(scale: _Scale, name: str, line: Sequence[Point], place: int) -> str:
    points = " ".join(f"{scale.x(cost):.1f},{scale.y(quality):.1f}" for cost, quality in line)
    dashed = ' stroke-dasharray="4 3"' if name.startswith("cascade") else ""
    dots = "".join(
        f'<circle cx="{scale.x(each.cost):.1f}" cy="{scale.y(each.quality):.1f}" r="2.5">'
        f"<title>{escape(name)}: {each.quality:.4f} at ${each.cost:.4g}</title></circle>"
        for each in line
    )
    return f'<g style="color:{_colour(place)}"><polyline points="{points}"{dashed}/>{dots}</g>'


def _model(scale: _Scale, name: str, point: Point) -> str:
    x, y = scale.x(point.cost), scale.y(point.quality)
    label = escape(name.rpartition("/")[2])
    return (
        f'<g class="model"><path d="M{x - 5:.1f},{y:.1f}h10M{x:.1f},{y - 5:.1f}v10"/>'
        f'<text x="{x + 6:.1f}" y="{y - 4:.1f}">{label}</text>'
        f"<title>{escape(name)}: {point.quality:.4f} at ${point.cost:.4g}</title></g>"
    )


def _rows(drawn: CostQualityPlot) -> Iterable[str]:
    for name, point in drawn.models.items():
        yield _row(name, "single model", point)
    for name, line in drawn.routers.items():
        best = max(line, key=lambda each: (each.quality, -each.cost))
        yield _row(name, "router, at its best", best)


def _row(name: str, kind: str, point: Point) -> str:
    return (
        f"<tr><td>{escape(name)}</td><td>{kind}</td><td>{point.quality:.4f}</td>"
        f"<td>{point.cost:.4g}</td></tr>"
    )
