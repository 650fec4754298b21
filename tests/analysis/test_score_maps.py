"""Maps of models and abilities behind scores: from slices to stored results, SQL and commands."""

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from cli_commands import Commands
from evaluated import run, write
from factories import model
from openTSNE import TSNE
from sqlalchemy import Engine, text

from registry.analysis.statistics import model_maps
from registry.analysis.statistics.ability_factors import run_factors
from registry.analysis.statistics.complete_scores import groups_of_models
from registry.analysis.statistics.model_maps import lay_out, run_map, verdict
from registry.analysis.statistics.score_frame import FrameBenchmark, FrameOptions, ScoreFrame
from registry.enums import Grouping, MapLayout
from registry.errors import UsageError
from registry.evaluations.records import Benchmark, Block, Measure
from registry.learning.arrays import Reals
from registry.learning.statistics.ability_factoring import abilities
from registry.learning.statistics.complete_blocks import largest_block
from registry.learning.statistics.projections import standardised
from registry.learning.statistics.separation import separation
from registry.workers import Progress, no_progress

MODELS = 45
BY_SIZE = FrameOptions(grouping=Grouping.SIZE)
BENCHMARKS = ("alpha", "beta", "delta", "gamma")


def scores() -> Reals:
    """Return scores of models, those of a third apart; the last two models have the same."""
    rng = np.random.default_rng(5)
    found = 0.3 + 0.2 * (np.arange(MODELS) % 3)[:, None] + 0.04 * rng.normal(size=(MODELS, 4))
    found[-1] = found[-2]
    return found


@pytest.fixture
def filled(engine: Engine) -> Engine:
    of = scores()
    with engine.begin() as connection:
        for place in range(MODELS):
            size = (1.0, 7.0, 70.0)[place % 3] if place else None
            model(connection, f"lab/m{place:02}", parameters=size and round(size * 1e9))
        for column, benchmark in enumerate(BENCHMARKS):
            put(connection, benchmark, of[:, column])
        # Fewer models have these two, one of which is flat.
        put(connection, "few", of[:12, 0])
        put(connection, "flat", np.full(MODELS, 0.5))
    return engine


def put(connection: object, benchmark: str, of: Reals) -> None:
    runs = [run(f"lab/m{place:02}", score=float(score), measure=Measure(metric="acc"))
            for place, score in enumerate(of)]  # fmt: skip
    write(connection, Block(benchmark=Benchmark(name=benchmark), items=[], runs=runs))  # type: ignore[arg-type]


def count(engine: Engine) -> int:
    with engine.connect() as connection:
        return int(connection.scalar(text("SELECT count(*) FROM store.analyses")) or 0)


def test_a_map_is_that_of_the_library_and_is_computed_once(filled: Engine) -> None:
    found = run_map(filled, BY_SIZE)
    vectors = standardised(scores())
    distinct, of = np.unique(vectors, axis=0, return_inverse=True)
    assert len(distinct) == MODELS - 1
    centred = distinct.astype(np.float32)
    centred = np.asarray(centred - centred.mean(axis=0, dtype=np.float64), np.float32)
    layout = TSNE(
        perplexity=(MODELS - 2) / 3, negative_gradient_method="bh", random_state=42, n_jobs=1
    )
    expected = np.asarray(layout.fit(centred))[of]
    points = np.array([(each.x, each.y) for each in found.points])
    assert points == pytest.approx(expected, abs=1e-4)
    assert [each.model for each in found.points] == [f"lab/m{n:02}" for n in range(MODELS)]
    assert (found.points[-1].x, found.points[-1].y) == (found.points[-2].x, found.points[-2].y)
    assert [each.group_name for each in found.points[:4]] == [
        None, "7-13B", "35B and more", "0-1.5B",
    ]  # fmt: skip
    codes = np.array([-1, *(np.arange(1, MODELS) % 3)])
    expected_check = separation(vectors, codes, seed=42)
    check = found.check
    assert (check.models, check.benchmarks, check.grouped_models, check.groups) == (45, 4, 44, 3)
    assert (check.silhouette, check.purity, check.purity_p) == pytest.approx(
        (expected_check.silhouette, expected_check.purity, 0.001)
    )
    assert check.map_silhouette == pytest.approx(separation(points, codes, seed=42).silhouette)
    assert check.verdict == "apart"
    assert check.trustworthiness
    assert 0.8 < check.trustworthiness <= 1
    assert found.stored.notes == [
        (
            "1 benchmark left out and 0 models, for the 5 benchmarks of the most scores by the"
            " same models; name benchmarks for others."
        ),
        "1 model in no group, of unknown size (those of relatives do not count).",
        "flat: left out, as all scores are alike.",
    ]
    again = run_map(filled, BY_SIZE)
    assert again.stored == replace(found.stored, reused=True)
    assert (again.points, again.check) == (found.points, found.check)
    with filled.connect() as connection:
        stored = connection.execute(text("SELECT * FROM registry.projections")).mappings().all()
        assert [{key: row[key] for key in ("model", "x", "y", "group_name")} for row in stored] == [
            asdict(each) for each in found.points
        ]
        assert {(row["layout"], row["grouping"]) for row in stored} == {("tsne", "size")}
        checks = connection.execute(text("SELECT * FROM registry.projection_checks")).mappings()
        (row,) = checks
        assert {key: row[key] for key in asdict(check)} == asdict(check)
        seeds = connection.execute(
            text("SELECT seed, libraries ?& '{scikit-learn,openTSNE}' FROM registry.analyses")
        ).all()
        assert seeds == [(42, True)]


def test_other_groups_have_the_places_of_a_stored_map_of_the_same_scores(
    filled: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = run_map(filled, BY_SIZE)
    calls: list[int] = []

    def counted(vectors: Reals, layout: MapLayout, *, seed: int, on_progress: Progress) -> Reals:
        calls.append(seed)
        return lay_out(vectors, layout, seed=seed, on_progress=on_progress)

    monkeypatch.setattr(model_maps, "lay_out", counted)
    plain = run_map(filled, FrameOptions())
    assert not calls
    assert not plain.stored.reused
    assert [(each.model, each.x, each.y) for each in plain.points] == [
        (each.model, each.x, each.y) for each in first.points
    ]
    assert {each.group_name for each in plain.points} == {None}
    # Another seed, other models, and other scores are laid out.
    run_map(filled, FrameOptions(), seed=1)
    some = FrameOptions(condition="name < 'lab/m30'")
    assert len(run_map(filled, some).points) == 30
    with filled.begin() as connection:
        connection.execute(text("UPDATE store.runs SET score = score * 0.99"))
    run_map(filled, FrameOptions())
    with filled.begin() as connection:
        connection.execute(text("UPDATE store.analyses SET code_version = 'another'"))
    run_map(filled, replace(BY_SIZE, cuts=(5,)))
    assert calls == [1, 42, 42, 42]


@pytest.mark.benchmark  # compiling UMAP takes ten seconds
def test_other_seeds_and_layouts_are_other_maps(filled: Engine) -> None:
    pytest.importorskip("umap")
    first = run_map(filled, BY_SIZE)
    other = run_map(filled, BY_SIZE, seed=1)
    umap = run_map(filled, BY_SIZE, layout=MapLayout.UMAP)
    numbers = [each.stored.analysis_id for each in (first, other, umap)]
    assert len(set(numbers)) == 3 == count(filled)
    assert umap.check.layout == "umap"
    assert umap.points != first.points
    vectors = standardised(scores())
    points = lay_out(vectors, MapLayout.UMAP, seed=42, on_progress=no_progress)
    assert np.array([(each.x, each.y) for each in umap.points]) == pytest.approx(points)


def test_abilities_are_those_of_complete_scores(filled: Engine) -> None:
    options = FrameOptions(benchmarks=BENCHMARKS)
    found = run_factors(filled, options, level=0.9, seed=7)
    expected = abilities(scores(), seed=7, level=0.9)
    assert expected.kept == 1
    assert [each.eigenvalue for each in found.factors] == pytest.approx(list(expected.eigenvalues))
    assert [each.by_chance for each in found.factors] == pytest.approx(list(expected.by_chance))
    assert [each.kept for each in found.factors] == [True, False, False, False]
    assert found.factors[0].share == pytest.approx(expected.eigenvalues[0] / 4)
    assert [each.share_upper for each in found.factors] == pytest.approx(list(expected.share_upper))
    assert [each.benchmark for each in found.loadings] == list(BENCHMARKS)
    for column, values in (("loading", expected.loadings), ("lower", expected.lower),
                           ("upper", expected.upper)):  # fmt: skip
        assert [getattr(each, column) for each in found.loadings] == pytest.approx(
            list(values[:, 0])
        )
    assert [each.communality for each in found.loadings] == pytest.approx(
        list(expected.loadings[:, 0] ** 2)
    )
    assert found.factors[0].rotated_share == pytest.approx((expected.loadings**2).sum() / 4)
    assert found.factors[1].rotated_share is None
    assert run_factors(filled, options, level=0.9, seed=7).stored.reused
    assert not run_factors(filled, options, level=0.9, seed=8).stored.reused
    with filled.connect() as connection:
        for view, results in (
            ("ability_factors", found.factors),
            ("factor_loadings", found.loadings),
        ):
            rows = connection.execute(
                text(f"SELECT * FROM registry.{view} WHERE analysis_id = :key"),
                {"key": found.stored.analysis_id},
            ).mappings()
            stored = [{key: row[key] for key in row if key != "analysis_id"} for row in rows]
            assert stored == [asdict(each) for each in results]


def test_the_largest_block_has_no_holes() -> None:
    known = np.ones((20, 5), bool)
    known[8:, 3] = False
    known[:10, 4] = False
    rows, columns = largest_block(known)
    assert columns == [0, 1, 2]
    assert len(rows) == 20
    known[3, 1] = False
    rows, columns = largest_block(known)
    assert columns == [0, 1, 2]
    assert 3 not in rows


def test_a_model_is_in_one_group_that_is_large_enough() -> None:
    codes = np.array([[0, 0], [0, 1], [1, 1], [1, 1], [0, 0], [2, 2], [-1, -1]], np.intp)
    frame = ScoreFrame(
        models=[str(place) for place in range(7)],
        benchmarks=[FrameBenchmark(name, "", "share") for name in "ab"],
        values=np.zeros((7, 2)),
        sizes=np.ones(7),
        groups=["g", "h", "i"],
        codes=codes,
    )
    notes: list[str] = []
    assert groups_of_models(frame, 2, notes).tolist() == [0, -1, 1, 1, 0, -1, -1]
    assert notes == ["i: no group, with 1 model here."]
    assert groups_of_models(frame, 3, notes).tolist() == [-1] * 7


def test_verdicts() -> None:
    assert verdict(0.26, 0.01, 0.05) == "apart"
    assert verdict(-0.1, 0.01, 0.05) == verdict(0.25, 0.01, 0.05) == "overlapping"
    assert verdict(0.3, 0.05, 0.05) == "no difference found"
    assert verdict(np.nan, np.nan, 0.05) == "unknown"


def test_what_cannot_be_mapped_is_refused_and_stores_nothing(filled: Engine) -> None:
    refused = (
        ({"benchmarks": ["alpha"]}, "on 2 benchmarks that are not all alike; 45 have all on 1"),
        ({"benchmarks": ["alpha", "flat"]}, "45 have all on 1"),
        ({"condition": "name < 'lab/m09'", "benchmarks": ["alpha", "beta"]}, "9 have all on 2"),
        ({"condition": "name = 'no/one'"}, "No evaluated model fulfils"),
        ({"benchmarks": ["alhpa"]}, "did you mean alpha"),
    )
    for of, message in refused:
        for analysis in (run_map, run_factors):
            with pytest.raises(UsageError) as caught:
                analysis(filled, replace(BY_SIZE, **of))
            wanted = message if analysis is run_map else message.split(";")[-1].replace("2 ", "")
            assert wanted.strip() in str(caught.value) or "takes 20 models" in str(caught.value)
    for analysis in (run_map, run_factors):
        with pytest.raises(UsageError, match="between 0 and 1"):
            analysis(filled, BY_SIZE, level=1.0)
        with pytest.raises(UsageError, match="A seed is a whole number"):
            analysis(filled, BY_SIZE, seed=-1)
    assert count(filled) == 0


def test_commands_draw_and_say(filled: Engine, database_url: str, tmp_path: Path) -> None:
    commands = Commands(database_url)
    page, picture = tmp_path / "map.html", tmp_path / "map.png"
    drawn = [f"--plot={path}" for path in (page, picture)]
    said = commands("stats", "map", "--by", "size", *drawn, "--format", "table")
    assert said.exit_code == 0
    assert "The map keeps " in said.stderr
    assert "3 groups of 44 models: apart. Silhouette +0." in said.stderr
    assert "% are of the same group, " in said.stderr
    assert '"lab/m44"' in page.read_text()
    assert "of the same group" in page.read_text()
    # Ranges of size are in order, and models in none are grey.
    groups, hues = (
        page.read_text().split(f'"{of}":[')[1].split("]")[0] for of in ("groups", "hues")
    )
    assert (groups, hues) == ('"0-1.5B","7-13B","35B and more","others"', "0,1,2,-1")
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert "is a file" in commands.refused(2, "stats", "map", drawn[0])
    assert "as .png or .html" in commands.refused(2, "stats", "map", "--plot", "a.svg")
    plain = commands.json("stats", "map")
    assert {row["group_name"] for row in plain} == {None}
    factors = commands("stats", "factors", "--format", "table")
    assert "One ability explains 9" in factors.stderr
    assert "1 of 4 factors is more than chance." in factors.stderr
    loadings = commands.json("stats", "factors", "--loadings")
    assert [row["benchmark"] for row in loadings] == list(BENCHMARKS)
