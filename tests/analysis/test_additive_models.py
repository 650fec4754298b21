"""Additive models of scores: from slices to stored results, in Python, SQL and the command."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_commands import Commands
from evaluated import run, write
from factories import model, rows
from sqlalchemy import Connection, Engine, text

from registry.analysis.plots import charts, panels
from registry.analysis.plots.charts import Panel, PanelSeries
from registry.analysis.plots.panels import write_panels
from registry.analysis.statistics import additive_samples
from registry.analysis.statistics.additive_models import GamAnalysis, run_gam
from registry.analysis.statistics.additive_samples import GamOptions
from registry.analysis.statistics.score_frame import FrameOptions
from registry.enums import Grouping
from registry.errors import UsageError
from registry.evaluations.records import Benchmark, Block, Measure, Setup
from registry.learning.arrays import Reals
from registry.learning.statistics.additive import Smooth, fit_additive_model
from registry.learning.statistics.corrections import corrected

MODELS = 72
TYPES = ("llama", "qwen2", "opt")
ALL = FrameOptions()
PLAIN = GamOptions(random=())


def truth() -> dict[str, Reals]:
    rng = np.random.default_rng(3)
    size = np.log(sizes())
    ability = (size - size.mean()) / size.std()
    noise = rng.normal(size=(3, MODELS)) * 0.03
    kind = np.arange(MODELS) % 3
    return {
        "alpha": 0.4 + 0.1 * ability + 0.05 * (kind == 1) + noise[0],
        "beta": 0.5 + 0.1 * np.sin(2 * ability) + noise[1],
        "gamma": 1000 + 100 * ability**2 + 1000 * noise[2],
    }


def sizes() -> Reals:
    return np.asarray(np.geomspace(1e8, 7e10, MODELS).round(), np.float64)


def name(place: int) -> str:
    return f"lab{place % 5}/m{place:02}"


def put(connection: Connection, benchmark: str, scores: list[float | None], **of: Any) -> None:
    runs = [
        run(name(place), score=score, **of)
        for place, score in enumerate(scores)
        if score is not None
    ]
    write(connection, Block(benchmark=Benchmark(name=benchmark), items=[], runs=runs))


@pytest.fixture
def filled(engine: Engine) -> Engine:
    elo = Measure(metric="elo", lower=None, upper=None, unit="elo")
    with engine.begin() as connection:
        for place, size in enumerate(sizes()):
            model(connection, name(place), parameters=int(size), model_type=TYPES[place % 3])
        for benchmark, scores in truth().items():
            put(connection, benchmark, scores.tolist(), measure=elo if benchmark == "gamma" else
                Measure(metric="acc"))  # fmt: skip
    return engine


def gam(engine: Engine, options: FrameOptions = ALL, **of: Any) -> GamAnalysis:
    return run_gam(engine, options, GamOptions(**of))


def terms(analysis: GamAnalysis) -> list[tuple[str, str, str | None]]:
    return [(each.response, each.term, each.group_name) for each in analysis.terms]


def count(engine: Engine) -> int:
    with engine.connect() as connection:
        return int(connection.scalar(text("SELECT count(*) FROM store.analyses")) or 0)


def test_models_are_those_of_the_scores_and_are_computed_once(filled: Engine) -> None:
    analysis = gam(filled, on=("size", "beta"))
    assert terms(analysis) == [
        (response, term, None)
        for response in ("alpha", "gamma")
        for term in ("beta", "size", "architecture")
    ]
    architecture = np.arange(MODELS) % 3
    # Names are sorted by their bytes: llama, opt, qwen.
    codes = np.array([0, 2, 1])[architecture]
    for fit in analysis.fits:
        direct = fit_additive_model(
            truth()[fit.response], [Smooth(truth()["beta"]), Smooth(np.log(sizes()))], [codes]
        )
        own = [each for each in analysis.terms if each.response == fit.response]
        assert (fit.n, fit.df, fit.r_squared, fit.explained, fit.residual) == pytest.approx(
            (MODELS, direct.df, direct.r_squared, direct.explained, direct.residual)
        )
        assert [(each.edf, each.rank, each.f, each.p) for each in own] == [
            pytest.approx((test.edf, test.rank, test.f, test.p)) for test in direct.tests
        ]
        assert [each.kind for each in own] == ["smooth", "smooth", "random"]
        assert own[2].deviation == pytest.approx(direct.deviations[0])
        assert own[2].groups == 3
        points = [each for each in analysis.points
                  if (each.response, each.position) == (fit.response, 1)]  # fmt: skip
        assert [each.effect for each in points] == pytest.approx(list(direct.curves[1].effect))
        assert points[0].x == pytest.approx(1e8)
        assert points[-1].x == pytest.approx(7e10)
        for each in points:
            assert each.upper - each.effect == pytest.approx(1.959964 * each.error)
            assert each.effect - each.lower == pytest.approx(1.959964 * each.error)
            assert each.below == pytest.approx(np.mean(sizes() <= each.x * (1 + 1e-9)))
    p = np.array([each.p for each in analysis.terms], float)
    assert [each.holm for each in analysis.terms] == pytest.approx(list(corrected(p, "holm")))
    again = gam(filled, on=("beta", "size"))
    assert again == GamAnalysis(
        replace(analysis.stored, reused=True), analysis.fits, analysis.terms, analysis.points
    )
    assert count(filled) == 1


def test_other_models_are_other_analyses(filled: Engine) -> None:
    with filled.begin() as connection:
        connection.execute(text("UPDATE store.models SET license = 'mit'"))
    alone = FrameOptions(benchmarks=["alpha"])
    numbers = [
        gam(filled, alone).stored.analysis_id,
        gam(filled, responses=("alpha",)).stored.analysis_id,
        gam(filled, alone, on=("beta",)).stored.analysis_id,
        gam(filled, alone, random=(Grouping.AUTHOR,)).stored.analysis_id,
        gam(filled, alone, random=()).stored.analysis_id,
        gam(filled, alone, log=True).stored.analysis_id,
        gam(filled, alone, basis=5).stored.analysis_id,
        run_gam(filled, replace(alone, grouping=Grouping.ARCHITECTURE), PLAIN).stored.analysis_id,
        gam(filled, replace(alone, condition="license = 'mit'")).stored.analysis_id,
        run_gam(filled, alone, level=0.9).stored.analysis_id,
    ]
    assert len(set(numbers)) == len(numbers) == count(filled)
    # The groups of a random effect are part of the data.
    with filled.begin() as connection:
        connection.execute(text("UPDATE store.models SET model_type = 'opt' WHERE name = :name"),
                           {"name": name(0)})  # fmt: skip
    assert not gam(filled, alone).stored.reused
    assert gam(filled, alone, random=()).stored.reused


def test_shapes_are_those_of_the_truth(filled: Engine) -> None:
    shapes = {each.response: each.shape for each in run_gam(filled, ALL, PLAIN).terms}
    assert shapes == {"alpha": "rising", "beta": "rising and falling",
                      "gamma": "rising and falling"}  # fmt: skip
    found = gam(filled, FrameOptions(benchmarks=["alpha", "beta"]), on=("abilities", "size"))
    assert terms(found) == [
        ("alpha", "beta", None), ("alpha", "size", None), ("alpha", "architecture", None),
        ("beta", "alpha", None), ("beta", "size", None), ("beta", "architecture", None),
    ]  # fmt: skip
    p = {each.term: each.p for each in found.terms if each.response == "alpha"}
    assert p["beta"] is not None
    assert p["beta"] > 0.05
    assert max(p["size"] or 0, p["architecture"] or 0) < 1e-4


def test_size_is_explained_and_scores_as_logarithms(filled: Engine) -> None:
    with filled.begin() as connection:
        put(connection, "delta", [0.0, 0.0, *np.exp(-truth()["alpha"])[2:].tolist()])
    found = gam(filled, responses=("size",), on=("alpha", "delta"), random=(), log=True)
    assert terms(found) == [("size", "alpha", None), ("size", "delta", None)]
    assert found.fits[0].n == MODELS - 2
    assert found.stored.notes == [
        "size: 2 models left out, with a score of 0 or less, which has no logarithm."
    ]
    direct = fit_additive_model(
        np.log(sizes())[2:], [Smooth(np.log(truth()["alpha"])[2:]), Smooth(-truth()["alpha"][2:])]
    )
    assert found.fits[0].r_squared == pytest.approx(direct.r_squared)
    x = [each.x for each in found.points if each.position == 0]
    assert (x[0], x[-1]) == pytest.approx((truth()["alpha"][2:].min(), truth()["alpha"][2:].max()))


def test_size_is_of_a_precision_if_all_runs_of_a_model_are(filled: Engine) -> None:
    kinds = ("bfloat16", "float16", "4bit")
    with filled.begin() as connection:
        for benchmark in ("alpha", "beta"):
            runs = [
                # Of three models the runs disagree.
                run(name(place), score=float(score), setup=Setup(
                    precision=kinds[(place + (benchmark == "beta" and place < 3)) % 3]
                ))
                for place, score in enumerate(truth()[benchmark])
            ]  # fmt: skip
            parts = Block(benchmark=Benchmark(name=f"{benchmark}-run"), items=[], runs=runs)
            write(connection, parts)
    options = FrameOptions(benchmarks=["alpha-run", "beta-run"])
    of = {"responses": ("size",), "on": ("alpha-run",)}
    found = gam(filled, options, random=(Grouping.PRECISION,), **of)
    assert "size: 3 models left out, of unknown precision." in found.stored.notes
    by = replace(options, grouping=Grouping.PRECISION)
    assert gam(filled, by, random=(), **of).fits[0].n == MODELS - 3


def test_a_smooth_for_each_group(filled: Engine) -> None:
    options = FrameOptions(benchmarks=["beta"], grouping=Grouping.ARCHITECTURE, least=24)
    with filled.begin() as connection:
        connection.execute(text("UPDATE store.models SET model_type = NULL WHERE name = :name"),
                           {"name": name(2)})  # fmt: skip
    found = run_gam(filled, options, replace(PLAIN, random=(Grouping.AUTHOR,)))
    assert terms(found) == [
        ("beta", "size", "llama"), ("beta", "size", "qwen"), ("beta", "author", None),
    ]  # fmt: skip
    assert found.fits[0].n == 48
    assert "beta: 23 models left out, of opt, with too few models or values of their own." in (
        found.stored.notes
    )
    assert "1 model left out, of unknown architecture." in found.stored.notes


def test_what_is_not_known_is_left_out_and_said(filled: Engine) -> None:
    with filled.begin() as connection:
        connection.execute(text("UPDATE store.models SET parameters_source = 'parent'"
                                " WHERE author = 'lab0'"))  # fmt: skip
        connection.execute(text("UPDATE store.models SET model_type = NULL WHERE name = :name"),
                           {"name": name(1)})  # fmt: skip
        put(connection, "half", [*truth()["alpha"][:36].tolist(), *[None] * 36])
        put(connection, "flat", [0.5] * MODELS)
        put(connection, "twin", (2 * truth()["beta"] - 0.7).tolist())
        put(connection, "few", [*truth()["alpha"][:15].tolist(), *[None] * 57])
    found = gam(filled)
    assert [(each.response, each.n) for each in found.fits] == [
        ("alpha", 56), ("beta", 56), ("gamma", 56), ("half", 27), ("twin", 56),
    ]  # fmt: skip
    assert set(found.stored.notes) == {
        (
            "alpha, beta, flat, gamma, twin: 15 models left out, of unknown size (those of"
            " relatives do not count)."
        ),
        "half: 8 models left out, of unknown size (those of relatives do not count).",
        "few: 3 models left out, of unknown size (those of relatives do not count).",
        "alpha, beta, few, flat, gamma, half, twin: 1 model left out, of unknown architecture.",
        "few: not fitted, as 11 models have all that it takes, not 20.",
        "flat: not fitted, as all its values are alike.",
    }
    found = gam(filled, responses=("alpha", "half"), on=("beta",), random=())
    assert [each.n for each in found.fits] == [MODELS, 36]
    found = gam(filled, responses=("beta",), on=("half",), random=())
    assert found.stored.notes == [
        "beta: 36 models left out, without a score on each of what explains it."
    ]


REFUSED: tuple[tuple[dict[str, Any], dict[str, Any], str], ...] = (
    ({}, {"on": ()}, "Name what scores are explained by"),
    ({}, {"basis": 2}, "3 coefficients or more"),
    ({}, {"random": (Grouping.SIZE,)}, "Size has a smooth"),
    ({"grouping": Grouping.AUTHOR}, {"random": (Grouping.AUTHOR,)}, "name another random effect"),
    ({"grouping": Grouping.AUTHOR}, {"on": ("size", "alpha")}, "of one number"),
    ({"grouping": Grouping.AUTHOR}, {"on": ("abilities",)}, "of one number"),
    ({}, {"responses": ("size",)}, "Size does not explain itself"),
    ({}, {"responses": ("alpha",), "on": ("alpha",)}, "nothing is left to explain it by"),
    ({}, {"responses": ("nothing",)}, "nothing"),
    ({}, {"responses": ("alpha",), "on": ("beta", "twin")}, "follows from the others"),
    ({}, {"responses": ("alpha",), "on": ("flat",)}, "flat has too few distinct values"),
    ({}, {"responses": ("twin",), "on": ("beta",), "random": ()}, "leave nothing"),
    ({"condition": "parameters < 3e8"}, {}, "12 models have all that it takes"),
    ({"condition": "parameters < 0"}, {}, "No evaluated model"),
    ({"condition": "not sql"}, {}, "condition"),
)


def test_what_cannot_be_fitted_is_refused_and_stores_nothing(filled: Engine) -> None:
    with filled.begin() as connection:
        put(connection, "twin", (2 * truth()["beta"] - 0.7).tolist())
        put(connection, "flat", [0.5] * MODELS)
    for options, of, message in REFUSED:
        with pytest.raises(UsageError) as caught:
            gam(filled, FrameOptions(**options), **of)
        assert message in str(caught.value), (options, of)
    for level in (0.0, 1.0, float("nan")):
        with pytest.raises(UsageError, match="between 0 and 1"):
            run_gam(filled, ALL, level=level)
    with filled.begin() as connection:
        connection.execute(text("ALTER TABLE store.gam_curves ADD CHECK (point < 0)"))
    with pytest.raises(Exception, match="gam_curves"):
        gam(filled)
    assert count(filled) == 0


def test_many_groups_and_responses_are_bounded(
    filled: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(additive_samples, "MOST_GROUPS", 4)
    with pytest.raises(UsageError, match="random effects have 5 groups, more than 4"):
        gam(filled, random=(Grouping.AUTHOR,))
    monkeypatch.setattr(additive_samples, "MOST_RESPONSES", 2)
    with filled.begin() as connection:
        connection.execute(
            text(
                "DELETE FROM store.shown_runs s USING store.benchmarks b"
                " WHERE b.benchmark_id = s.benchmark_id AND b.name = 'alpha'"
                " AND model_id = (SELECT min(model_id) FROM store.shown_runs)"
            )
        )
        connection.execute(text("UPDATE store.models SET model_type = 'opt'"))
    found = gam(filled)
    assert [each.response for each in found.fits] == ["beta", "gamma"]
    assert found.stored.notes == [
        (
            "1 of the benchmarks left out as responses, with the fewest scores; name some to fit"
            " others."
        ),
        "beta, gamma: no effect of architecture, as all models are of one.",
    ]


def test_views_show_what_is_returned(filled: Engine) -> None:
    found = gam(filled, responses=("alpha",), log=True)
    with filled.connect() as connection:
        for view, results in (("gam_fits", found.fits), ("gam_terms", found.terms),
                              ("gam_curves", found.points)):  # fmt: skip
            stored = connection.execute(text(f"SELECT * FROM registry.{view}")).mappings().all()
            own = set(asdict(results[0]))
            assert [{key: row[key] for key in own} for row in stored] == [
                asdict(each) for each in results
            ]
        made = rows(connection, "SELECT kind, grouping, options ->> 'random', libraries ? 'gamrs'"
                    " FROM registry.analyses")  # fmt: skip
        assert made == [("gam", None, '["architecture"]', True)]
        assert rows(connection, "SELECT DISTINCT scale FROM registry.gam_fits") == [("log",)]
        assert rows(connection, "SELECT DISTINCT term, group_name FROM registry.gam_curves") == [
            ("size", None)
        ]


def test_the_command_prints_draws_and_says(
    filled: Engine, database_url: str, tmp_path: Path
) -> None:
    commands = Commands(database_url)
    files = tmp_path / "a.html", tmp_path / "a.png"
    drawn = [f"--plot={path}" for path in files]
    found = commands.json("stats", "gam", "--response", "alpha", "--random", "none", *drawn)
    assert [(row["response"], row["term"], row["shape"]) for row in found] == [
        ("alpha", "size", "rising")
    ]
    page = files[0].read_text()
    assert "alpha on size" in page
    assert "rising, p &lt;1e-12" in page
    assert page.count("<svg") == page.count("<polygon") == 1
    assert page.count('stroke="#b2182b"') == 4
    assert files[1].read_bytes().startswith(b"\x89PNG")
    assert "is a file" in commands.refused(2, "stats", "gam", drawn[0])
    assert "as .png or .html" in commands.refused(2, "stats", "gam", "--plot", "a.svg")
    said = commands("stats", "gam", "--by", "architecture", "--random", "author", "--format",
                    "table")  # fmt: skip
    assert "216 scores of 72 models" in said.stderr
    assert "nan" not in said.stdout.lower()
    assert "author" in said.stdout
    del filled


def test_bands_that_leave_the_picture_are_cut_and_many_panels_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    curve = np.array([[1, 0, -900, 900], [10, 1, 0.8, 1.2], [1000, 0.5, 0, 1]], np.float64)
    panel = Panel(
        title="a <b>", note="flat", across="b$", up="c", logarithmic=True, marks=[1, 2, 10, 100],
        series=[PanelSeries(name="effect", curve=curve)],
    )  # fmt: skip
    path = tmp_path / "a.html"
    monkeypatch.setattr(panels, "MOST_PANELS", 2)
    monkeypatch.setattr(panels, "MOST_OF_PICTURE", 1)
    write_panels([panel] * 3, path, title="t", caption="c.")
    page = path.read_text()
    assert "The first 2 of 3 panels are drawn." in page
    assert page.count("a &lt;b&gt;</") == 0
    assert page.count("<figcaption>a &lt;b&gt;<span>") == 2
    polygon = page.split('<polygon points="')[1].split('"')[0]
    heights = [float(pair.split(",")[1]) for pair in polygon.split()]
    assert min(heights) == pytest.approx(charts.TOP)
    assert max(heights) == pytest.approx(charts.HEIGHT - charts.BOTTOM)
    line = page.split('<polyline points="')[1].split('"')[0].split()
    left = [float(pair.split(",")[0]) for pair in line]
    # A third of the way, as 10 is of 1,000 by its logarithm.
    assert (left[1] - left[0]) / (left[2] - left[0]) == pytest.approx(1 / 3, abs=0.01)
    flat = replace(panel, series=[PanelSeries(name="$", curve=curve * [1, 0, 1, 1])])
    write_panels([flat] * 2, tmp_path / "flat.png", title="$", caption="")
