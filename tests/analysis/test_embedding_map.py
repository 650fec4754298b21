"""Maps of embeddings: layouts, pages and pictures."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from cli_commands import Commands
from factories import family
from learned import drawn, kept
from numpy.typing import NDArray
from sqlalchemy import Engine

from registry.analysis.embedding_map import draw
from registry.analysis.plots import map as map_
from registry.analysis.plots.map import EmbeddingMap, project, write_page, write_picture
from registry.errors import RegistryError, UsageError

HOSTILE = "</script><img src=x onerror=alert(1)>&amp;\ud800"


def blobs(count: int = 60) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    """Return two clusters."""
    rng = np.random.default_rng(0)
    centres = np.eye(8)[[0, 4]].repeat(count // 2, axis=0)
    return (centres + 0.1 * rng.normal(size=(count, 8))).astype(np.float32)


def example(count: int = 60) -> EmbeddingMap:
    return EmbeddingMap(
        title="A map of $2",
        points=project(blobs(count)),
        names=[HOSTILE, *(f"org/m{number}" for number in range(1, count))],
        groups=[f"group {number % 30}" for number in range(count)],
        details=[["7 billion parameters"]] * count,
    )


def content(path: Path) -> dict[str, object]:
    page = path.read_text()
    found = re.search(r'<script id="data" type="application/json">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    payload = json.loads(found[1])
    assert isinstance(payload, dict)
    return payload


def test_near_models_are_near_and_the_same_seed_gives_the_same_map() -> None:
    points = project(blobs())
    assert points.shape == (60, 2)
    np.testing.assert_array_equal(points, project(blobs()))
    one, two = points[:30], points[30:]
    apart = np.linalg.norm(one.mean(axis=0) - two.mean(axis=0))
    assert apart > 2 * max(one.std(), two.std(), 1e-9) or apart > np.ptp(one) / 2


def test_any_number_of_cores_gives_the_same_map_and_steps_are_reported(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    maps: list[NDArray[np.float32]] = []
    steps: list[tuple[str, int, int]] = []
    for count in (1, 3):
        monkeypatch.setattr(map_, "cores", lambda count=count: count)
        steps.clear()
        maps.append(project(blobs(), on_progress=lambda *step: steps.append(step)))
    np.testing.assert_array_equal(maps[0], maps[1])
    assert steps[0] == ("finding neighbours", 0, 0)
    assert [(done, total) for _, done, total in steps[1:]] == [
        (done, 750) for done in range(50, 751, 50)
    ]


def test_models_in_one_direction_lie_apart_by_their_level() -> None:
    levels = np.repeat([1.0, 1.3, 9.0], 20)[:, None]
    rng = np.random.default_rng(1)
    vectors = (levels * rng.normal(size=8) + 0.01 * rng.normal(size=(60, 8))).astype(np.float32)
    low, near, far = np.split(project(vectors), 3)
    between = np.linalg.norm(low.mean(axis=0) - near.mean(axis=0))
    assert np.linalg.norm(low.mean(axis=0) - far.mean(axis=0)) > between


@pytest.mark.parametrize(("models", "dimensions"), [(1, 4), (2, 4), (9, 1), (30, 1), (12, 2)])
def test_few_models_or_dimensions_are_laid_out_too(models: int, dimensions: int) -> None:
    vectors = np.random.default_rng(0).normal(size=(models, dimensions)).astype(np.float32)
    points = project(vectors)
    assert points.shape == (models, 2)
    assert np.isfinite(points).all()
    assert np.isfinite(project(vectors * 0)).all()


def test_a_page_holds_all_and_no_name_gets_out_of_it(tmp_path: Path) -> None:
    path = tmp_path / "map.html"
    write_page(example(), path)
    page = path.read_text()
    assert "<img" not in page
    assert page.count("</script>") == 2
    assert not re.search(r"(?:src|href)\s*=\s*[\"']?https?:|@import|fetch\(", page)
    payload = content(path)
    names, groups = payload["names"], payload["groups"]
    assert isinstance(names, list)
    assert isinstance(groups, list)
    assert names[0] == HOSTILE.replace("\ud800", "?")
    assert len(names) == 60
    assert len(groups) == 21
    assert groups[-1] == "others"
    with pytest.raises(UsageError, match="already"):
        write_page(example(), path)


def test_a_page_of_five_thousand_models_stays_small(tmp_path: Path) -> None:
    path = tmp_path / "map.html"
    count = 5_000
    large = EmbeddingMap(
        title="large",
        points=np.random.default_rng(0).normal(size=(count, 2)).astype(np.float32),
        names=[f"organisation/a-model-of-usual-length-{number}" for number in range(count)],
        groups=["llama"] * count,
        details=[["vector: trained", "7 billion parameters", "mean score 0.512"]] * count,
    )
    write_page(large, path)
    assert path.stat().st_size < 1_000_000


def test_a_picture_is_a_png(tmp_path: Path) -> None:
    path = tmp_path / "map.png"
    write_picture(example(), path)
    assert path.read_bytes().startswith(b"\x89PNG\r\n")


def test_nothing_to_draw_is_said() -> None:
    with pytest.raises(UsageError, match="no models"):
        project(np.zeros((0, 4), np.float32))


def test_a_version_is_drawn_with_what_is_known(engine: Engine, tmp_path: Path) -> None:
    with engine.begin() as connection:
        kept(connection, drawn(12))
        family(connection, "org/m0", "org/m0")
        family(connection, "org/m1", "org/m0", parent="org/m0", generation=1)
    page, picture = tmp_path / "map.html", tmp_path / "map.png"
    command = Commands(engine.url.render_as_string(hide_password=False))
    done = command("embeddings", "map", str(page), "--png", str(picture))
    assert done.exit_code == 0, done.output
    assert "12 models" in done.stderr
    payload = content(page)
    names, details = payload["names"], payload["details"]
    assert isinstance(names, list)
    assert isinstance(details, list)
    assert names[0] == "org/m0"
    assert details[:2] == [["vector: trained"], ["vector: trained", "from org/m0"]]
    assert picture.stat().st_size > 1000
    again = command("embeddings", "map", str(page))
    assert again.exit_code == 2
    assert "already" in again.stderr


def test_without_a_version_there_is_no_map(engine: Engine, tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match="no embeddings yet"):
        draw(engine, page=tmp_path / "map.html")
    assert not list(tmp_path.iterdir())
