"""Stored ratings of outcomes, in Python, in SQL and by the command."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import evalica
import numpy as np
import pytest
from cli_commands import Commands
from evaluated import block, run, write
from factories import alias, model
from sqlalchemy import Engine, text

from registry.analysis.plots.intervals import IntervalMark, write_intervals
from registry.analysis.statistics.preference_ratings import (
    PreferenceAnalysis,
    RatedModel,
    run_preferences,
)
from registry.analysis.statistics.shared_outcomes import PreferenceOptions
from registry.errors import ModelNotFoundError, UsageError
from registry.evaluations.records import Measure, Setup

OUTCOMES: dict[str, list[float | None]] = {
    "org/good": [1, 1, 1, 1, 0.5, 1] * 5,
    "org/middling": [0.5, 1, 1, 0.5, 1, 0.5] * 5,
    "org/poor": [0.5, 0.5, 1, 0.5, 0.5, 1] * 5,
    "org/never": [0.0] * 30,  # equal outcomes are half a win: it has none
    "org/few": [1, 0.5] + [None] * 28,
}

DUEL = PreferenceOptions(benchmark="duel", replicates=30)
JUDGE, OTHER = (Measure(metric="win_rate", filter=name) for name in ("judge", "another"))


@pytest.fixture
def filled(engine: Engine) -> Engine:
    with engine.begin() as connection:
        runs = [run(name, outcomes) for name, outcomes in OUTCOMES.items()]
        write(connection, block("duel", *runs), block("scores", run("org/good", score=0.5)))
    return engine


def named(found: PreferenceAnalysis) -> dict[str, RatedModel]:
    return {each.model: each for each in found.models}


def stored_rows(engine: Engine) -> list[tuple[Any, ...]]:
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(text("TABLE registry.preference_ratings"))]


def test_models_are_rated_by_their_outcomes(filled: Engine) -> None:
    stages: list[str] = []
    found = run_preferences(filled, DUEL, on_progress=lambda what, *_: stages.append(what))
    assert list(dict.fromkeys(stages)) == ["reading outcomes", "rating models"]
    names = [each.model for each in found.models]
    assert names[0] == "org/good"
    assert names[-1] == "org/never"
    by_name = named(found)
    good = by_name["org/good"]
    assert good.rating is not None
    assert good.lower is not None
    assert good.lower < good.rating
    assert (good.rank, good.best_rank, good.unrated) == (1, 1, None)
    assert good.items == 30
    assert by_name["org/few"].items == 2
    never = by_name["org/never"]
    assert (never.rating, never.lower, never.rank, never.wins) == (None, None, None, 0)
    assert never.unrated == "lost all"
    assert (
        "1 model without a rating, as they lost all comparisons: org/never." in found.stored.notes
    )
    assert (found.stored.model_count, found.stored.row_count) == (5, 122)
    some = run_preferences(filled, replace(DUEL, most=3))
    assert set(named(some)) == {"org/good", "org/middling", "org/poor"}
    assert "2 models left out beyond 3, with the fewest outcomes or the lowest means." in (
        some.stored.notes
    )
    two = run_preferences(filled, replace(DUEL, models=["org/poor", "org/good"]))
    assert [each.model for each in two.models] == ["org/good", "org/poor"]


def test_ratings_are_stored_and_found_again(filled: Engine) -> None:
    first = run_preferences(filled, DUEL)
    again = run_preferences(filled, DUEL)
    assert (first.stored.reused, again.stored.reused) == (False, True)
    assert again.models == first.models
    assert again.stored.analysis_id == first.stored.analysis_id
    assert again.stored.notes == first.stored.notes
    with filled.connect() as connection:
        row = connection.execute(text("TABLE registry.analyses")).one()
    assert (row.kind, row.slice, row.level, row.seed) == ("preferences", None, 0.95, 0)
    assert (row.models, row.scores) == (5, 122)
    assert row.options == {
        "benchmark": "duel", "metric": "acc", "filter": "", "models": None, "most": 50,
        "replicates": 30, "level": 0.95,
    }  # fmt: skip
    assert row.libraries.keys() == {"numpy", "scipy", "evalica"}
    assert row.libraries["evalica"] == evalica.__version__
    assert row.seconds > 0
    rows = stored_rows(filled)
    assert [each[:5] for each in rows] == [
        (row.analysis_id, "duel", "acc", "", each.model) for each in first.models
    ]
    values = first.models[1]
    assert rows[1][5:] == (
        values.rating, values.lower, values.upper, values.rank, values.best_rank, values.worst_rank,
        values.wins, values.ties, values.losses, values.items, None,
    )  # fmt: skip
    assert rows[-1][5:11] == (None,) * 6
    assert rows[-1][-1] == "lost all"


def test_another_request_is_another_analysis(filled: Engine) -> None:
    changes: list[dict[str, Any]] = [
        {}, {"seed": 1}, {"level": 0.9}, {"replicates": 31}, {"most": 4}, {"models": list(OUTCOMES)}
    ]  # fmt: skip
    found = [run_preferences(filled, replace(DUEL, **change)) for change in changes]
    assert not any(each.stored.reused for each in found)
    assert len({each.stored.analysis_id for each in found}) == len(changes)
    first, seeded, narrow, *_ = (each.models[0] for each in found)
    assert first.lower is not None
    assert narrow.lower is not None
    assert seeded.rating == first.rating
    assert seeded.lower != first.lower
    assert narrow.lower > first.lower


def test_other_outcomes_make_another_analysis(filled: Engine) -> None:
    first = run_preferences(filled, replace(DUEL, most=4))
    with filled.begin() as connection:
        # A model that is left out changes what is said of them alone.
        write(connection, block("duel", run("org/fewer", [None] * 29 + [1.0])))
    noted = run_preferences(filled, replace(DUEL, most=4))
    assert not noted.stored.reused
    assert noted.models == first.models
    with filled.begin() as connection:
        write(connection, block("duel", run("org/never", [0.0] * 29 + [1.0])))
    found = run_preferences(filled, replace(DUEL, most=4))
    assert not found.stored.reused
    assert named(found)["org/never"].wins > 0
    assert len({each[0] for each in stored_rows(filled)}) == 3


def test_outcomes_by_one_measure_are_compared(engine: Engine) -> None:
    """A judge's outcomes are of another baseline than another's."""
    of_judge = {"org/a": [1, 0, 1, 1, 0], "org/b": [0, 1, 0, 1, 0], "org/c": [0, 0, 1, 0, 1]}
    with engine.begin() as connection:
        runs = [run(name, outcomes, measure=JUDGE) for name, outcomes in of_judge.items()]
        # One judge was asked on two models, one of them his alone.
        lenient = [run(name, [1] * 4 + [0], measure=OTHER) for name in ("org/a", "org/d")]
        # A system around a model is not the model.
        system = Setup(variant="best-of-16")
        systems = [run(name, [1] * 5, measure=JUDGE, setup=system) for name in ("org/b", "org/e")]
        write(connection, block("alpaca", *runs, *lenient, *systems))
    options = PreferenceOptions(benchmark="alpaca", replicates=20)
    found = run_preferences(engine, options)
    assert str(found.measure) == "win_rate (judge)"
    assert set(named(found)) == {"org/a", "org/b", "org/c"}
    assert named(found)["org/a"].wins == 2 + 2
    assert named(found)["org/b"].wins == 2 + 1
    by_others, by_systems = found.stored.notes
    assert by_others == (
        "Outcomes are by win_rate (judge); 1 model left out, with outcomes only by"
        " win_rate (another)."
    )
    assert by_systems == (
        "1 model left out, with outcomes only of systems around them, such as best-of-16: org/e."
    )
    other = run_preferences(engine, replace(options, filter="another"))
    assert set(named(other)) == {"org/a", "org/d"}
    assert other.stored.notes[0].startswith("Outcomes are by win_rate (another); 2 models left out")
    assert "All comparisons are ties: nothing tells these models apart." in other.stored.notes
    assert [each.rating for each in other.models] == pytest.approx([1000, 1000])
    assert [(each.rank, each.worst_rank) for each in other.models] == [(1, 2), (1, 2)]
    assert {row[1:4] for row in stored_rows(engine)} == {
        ("alpaca", "win_rate", "judge"), ("alpaca", "win_rate", "another")
    }  # fmt: skip
    with pytest.raises(UsageError, match=r"no such outcomes on alpaca; they are by win_rate \(jud"):
        run_preferences(engine, replace(options, metric="acc"))
    with pytest.raises(UsageError, match="they are by systems around models, or of others"):
        run_preferences(engine, replace(options, models=["org/e"]))


def test_of_as_many_models_the_judge_of_leaderboards_counts(engine: Engine) -> None:
    """Here they show another metric, by the judge that comes last by name."""
    shown = Measure(metric="controlled", filter="judge")
    with engine.begin() as connection:
        runs = [
            run(f"org/{name}", outcomes, measure=measure)
            for measure in (OTHER, JUDGE)
            for name, outcomes in (("a", [1, 0]), ("b", [0, 1]))
        ]
        write(connection, block("alpaca", run("org/a", score=0.5, measure=shown)))
        write(connection, block("alpaca", *runs))
        metric = connection.scalar(text("SELECT metric FROM registry.benchmarks"))
    assert metric == "controlled"
    found = run_preferences(engine, PreferenceOptions(benchmark="alpaca", replicates=20))
    assert found.measure == ("win_rate", "judge")


def test_runs_that_were_made_otherwise_are_said(engine: Engine) -> None:
    few, many = (
        Setup(shots=shots, prompt_template=template, harness=harness)
        for shots, template, harness in ((0, "plain", "lm-eval"), (5, "chat", "helm"))
    )
    with engine.begin() as connection:
        runs = [
            run("org/a", [1, 0], setup=few),
            run("org/b", [0, 1], setup=few),
            run("org/c", [0.5, 0.5], setup=many),
            # Neither is preferred: fewer examples, and the plain model, come first.
            run("org/b", [1, 1], setup=many),
            run("org/c", [1, 1], setup=Setup(shots=9, variant="best-of-16")),
        ]
        write(connection, block("duel", *runs))
    options = replace(DUEL, models=["org/a", "org/b"])
    assert not any("otherwise" in each for each in run_preferences(engine, options).stored.notes)
    assert run_preferences(engine, DUEL).stored.notes[0] == (
        "Runs of the models were made otherwise: with 0, 5 examples in the prompt; with 2 prompt"
        " templates; by helm, lm-eval."
    )


def test_why_models_have_no_rating_is_said(engine: Engine) -> None:
    none = [None] * 3
    outcomes: dict[str, list[float | None]] = {
        # Two that tie with each other, and win against all others.
        "org/top": [1, 1, 1, *none],
        "org/summit": [1, 1, 1, *none],
        "org/a": [0.5, 0.3, 0.4, *none],
        "org/b": [0.3, 0.5, 0.4, *none],
        "org/c": [0.4, 0.4, 0.4, *none],
        "org/bottom": [0, 0, 0, *none],
        "org/floor": [0, 0, 0, *none],
        "org/x": [*none, 0.5, 0.1, None],
        "org/elsewhere": [*none, 0.1, 0.5, None],
        "org/best": [*none, 1, 1, None],
        "org/worst": [*none, 0, 0, None],
        "org/alone": [*none, None, None, 1],
    }
    with engine.begin() as connection:
        write(connection, block("duel", *(run(*each) for each in outcomes.items())))
        model(connection, "org/unseen")
        model(connection, "org/renamed")
        alias(connection, "org/renamed", "org/formerly")
    found = run_preferences(engine, replace(DUEL, models=[*outcomes, "org/unseen", "org/formerly"]))
    # Of the sets that could be rated, the largest is.
    assert {each.model: each.unrated for each in found.models} == {
        "org/a": None, "org/b": None, "org/c": None, "org/best": "won all",
        "org/worst": "lost all", "org/alone": "no shared item",
        **dict.fromkeys(
            ["org/top", "org/summit", "org/bottom", "org/floor", "org/x", "org/elsewhere"], "apart"
        ),
    }  # fmt: skip
    assert [each.rank for each in found.models][2:] == [1, *[None] * 9]
    # Those without a rating are last, by name.
    assert [each.model for each in found.models[3:]] == sorted(
        each.model for each in found.models[3:]
    )
    assert "2 models left out, without outcomes: org/renamed, org/unseen." in found.stored.notes
    assert (
        "6 models without a rating, as they always won or lost against the rated models, or share"
        " no item with them: org/summit, org/top, org/bottom and 3 more." in found.stored.notes
    )
    resamples = next(each for each in found.stored.notes if "resamples" in each)
    assert re.fullmatch(
        r"\d+ of 30 resamples left out, in which models are not all comparable: intervals are too"
        r" narrow\.",
        resamples,
    )
    with pytest.raises(UsageError, match="No two of these 2 models have an outcome on the same"):
        run_preferences(engine, replace(DUEL, models=["org/a", "org/x"]))
    assert len({each[0] for each in stored_rows(engine)}) == 1
    nobody = run_preferences(engine, replace(DUEL, models=["org/a", "org/bottom"]))
    assert [each.unrated for each in nobody.models] == ["won all", "lost all"]
    assert not any("resamples" in each for each in nobody.stored.notes)


def test_what_cannot_be_rated_is_said(filled: Engine) -> None:
    for change, message in (
        ({"models": ["org/good"]}, "1 of these models has outcomes by item on duel"),
        ({"most": 1}, "From 2 to 200 models"),
        ({"most": 201}, "From 2 to 200 models"),
        ({"replicates": 19}, "resampled 20 to 10,000 times, not 19"),
        ({"replicates": 10_001}, "not 10,001"),
        ({"level": 1.0}, "level of intervals"),
        ({"seed": -1}, "A seed is"),
        ({"benchmark": "dual"}, "duel"),
        ({"benchmark": "scores"}, "no outcomes on a benchmark named 'scores'"),
    ):
        with pytest.raises(UsageError, match=message):
            run_preferences(filled, replace(DUEL, **change))
    with pytest.raises(ModelNotFoundError):
        run_preferences(filled, replace(DUEL, models=["org/good", "org/nobody"]))
    assert stored_rows(filled) == []


@pytest.fixture
def versions(engine: Engine) -> Engine:
    with engine.begin() as connection:
        for version in ("1", "2"):
            runs = [run(f"org/{name}", outcomes) for name, outcomes in (
                ("a", [1.0, 0.0]), ("b", [0.0, 1.0]))]  # fmt: skip
            write(connection, block("quiz", *runs, version=version))
    return engine


def test_a_version_is_named_where_it_was_asked_for(versions: Engine) -> None:
    for name, items in (("quiz", 4), ("quiz@2", 2)):
        found = run_preferences(versions, PreferenceOptions(benchmark=name, replicates=20))
        assert {each.items for each in found.models} == {items}
        assert stored_rows(versions)[0][1] == name


def test_the_command_prints_ratings(filled: Engine, commands: Commands, tmp_path: Path) -> None:
    del filled
    asked = ("evals", "preferences", "duel", "--replicates", "30")
    page = tmp_path / "ratings.html"
    shown = commands(*asked, "--format", "table", "--plot", str(page))
    assert shown.exit_code == 0, shown.output
    assert "org/good" in shown.stdout
    assert "computed" in shown.stderr
    assert "122 outcomes of 5 models" in shown.stderr
    drawn = page.read_text()
    assert "Models by preference on duel" in drawn
    assert "1 without a rating are not drawn" in drawn
    assert "org/never" not in drawn
    assert "<small>ranks 1 to 4</small>" in drawn
    assert "95% intervals over resampled items" in drawn
    found = commands.json(*asked)
    assert found[0]["rank"] == 1
    assert (found[0]["unrated"], found[-1]["unrated"]) == (None, "lost all")
    assert f"<td>{found[0]['rating']:.0f}</td>" in drawn
    again = commands(*asked, "--most", "3")
    assert "2 models left out" in again.stderr
    assert "stored before" in commands(*asked).stderr
    assert "duel" in commands.refused(2, "evals", "preferences", "dual")
    refused = commands.refused(2, *asked, "--filter", "judge")
    assert "they are by acc" in refused
    assert ".html" in commands.refused(2, *asked, "--plot", str(tmp_path / "ratings.pdf"))
    assert np.isclose(found[0]["rating"], max(each["rating"] or 0 for each in found))


def test_a_page_draws_intervals_to_scale(tmp_path: Path) -> None:
    marks = [
        IntervalMark(name="org/<a>", value=1050, lower=900, upper=1100, note="ranks 1 to 2"),
        IntervalMark(name="org/$b", value=950, lower=None, upper=None),
    ]
    path, none = tmp_path / "marks.html", tmp_path / "none.html"
    write_intervals(marks, path, title="Models", across="rating", caption="Of two.")
    drawn = path.read_text()
    assert re.findall(r'<line x1="([\d.]+)%" x2="([\d.]+)%"', drawn) == [
        ("0.00", "100.00"), ("25.00", "25.00")
    ]  # fmt: skip
    assert re.findall(r'<circle cx="([\d.]+)%"', drawn) == ["75.00", "25.00"]
    assert "org/&lt;a&gt;: 1050, from 900 to 1100" in drawn
    assert "org/$b: 950<" in drawn
    assert "<span>900</span><span>1100</span>rating" in drawn
    assert "ranks 1 to 2" in drawn
    # A dollar sign starts no formula, and without marks there is an empty picture.
    write_intervals(marks, tmp_path / "marks.png", title="$M", across="$r", caption="$O")
    assert (tmp_path / "marks.png").read_bytes().startswith(b"\x89PNG")
    write_intervals([], tmp_path / "none.png", title="Models", across="rating", caption="None.")
    write_intervals([], none, title="Models", across="rating", caption="None.")
    assert "<tbody>\n\n</tbody>" in none.read_text()
    with pytest.raises(UsageError, match="marks.png"):
        write_intervals(marks, tmp_path / "marks.png", title="", across="", caption="")
