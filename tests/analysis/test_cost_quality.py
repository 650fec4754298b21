"""Plot of quality against cost: which points are drawn where."""

import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from registry.analysis.plots import cost_quality
from registry.analysis.plots.cost_quality import CostQualityPlot, Point
from registry.errors import UsageError


@dataclass
class Row:
    split: str
    router: str
    metric: str
    value: float


FIGURES = [
    Row("item", "model:org/small", "avg_acc", 0.5),
    Row("item", "model:org/small", "cost_per_1000", 0.1),
    Row("item", "model:org/b<i>g", "avg_acc", 0.7),
    Row("item", "model:org/b<i>g", "cost_per_1000", 2.0),
    Row("subject", "model:org/small", "avg_acc", 0.1),
    Row("item", "knn", "avg_acc", 0.9),
]
DETAILS = {
    "item": {
        "knn": {"curve": [[0.002, 0.75], [0.0001, 0.5]]},
        "cascade:knn": {"curve": [[0.001, 0.6], [0.001, 0.6]]},
        "oracle-by-instance": {"curve": [[0.001, 0.95]]},
        "unpriced": {"curve": None},
    }
}


def drawn() -> CostQualityPlot:
    return cost_quality.of_evaluation(DETAILS, FIGURES)


def test_costs_are_for_1000_prompts_and_oracles_are_left_out() -> None:
    plot = drawn()
    assert plot.title == "Quality against cost on held-out items"
    assert plot.routers == {
        "knn": [Point(0.1, 0.5), Point(2, 0.75)],
        "cascade:knn": [Point(1, 0.6)],
    }
    assert plot.models == {"org/small": Point(0.1, 0.5), "org/b<i>g": Point(2, 0.7)}


def test_without_costs_nothing_is_drawn() -> None:
    with pytest.raises(UsageError, match="no costs to draw quality against"):
        cost_quality.of_evaluation({"item": {"knn": {"curve": None}}}, FIGURES)


def test_the_page_is_whole_and_safe(tmp_path: Path) -> None:
    path = tmp_path / "plot.html"
    cost_quality.write_page(drawn(), path)
    page = path.read_text()
    assert "__" not in page
    assert "<script" not in page
    assert "b<i>g" not in page
    assert "org/b&lt;i&gt;g" in page
    assert "knn: 0.7500 at $2" in page
    assert "<td>router, at its best</td><td>0.7500</td><td>2</td>" in page
    lines = re.findall(r'polyline points="([^"]+)"', page)
    (left, top), (right, above) = (map(float, each.split(",")) for each in lines[0].split())
    assert left < right
    assert top > above  # better is higher
    small = re.search(r'class="model"><path d="M([\d.]+),([\d.]+)h', page)
    assert small is not None
    assert float(small[1]) + 5 == pytest.approx(left)
    assert float(small[2]) == pytest.approx(top)
    with pytest.raises(UsageError, match="already"):
        cost_quality.write_page(drawn(), path)


def test_free_models_are_drawn_too(tmp_path: Path) -> None:
    free = CostQualityPlot(
        title="t", routers={"a": [Point(0, 0.5)]}, models={"org/a": Point(0, 0.5)}
    )
    cost_quality.write_page(free, tmp_path / "plot.html")
    assert "nan" not in (tmp_path / "plot.html").read_text()


def test_the_picture_is_a_picture(tmp_path: Path) -> None:
    path = tmp_path / "plot.png"
    cost_quality.write_picture(drawn(), path)
    assert path.read_bytes().startswith(b"\x89PNG")
