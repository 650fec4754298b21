"""Scales that a person states at an import."""

from pathlib import Path

import pytest
from cli_commands import Commands
from hypothesis import given
from hypothesis import strategies as st

from registry.errors import RegistryError, UsageError
from registry.evaluations.records import Measure
from registry.evaluations.scales import known_measure
from registry.evaluations.scales.stated import StatedScale

TABLE = ("--column", "model=name", "--column", "score=g", "--benchmark", "b")


@pytest.mark.parametrize(
    ("scale", "bounds"),
    [("percent", (0, 100, "%")), ("0-1", (0, 1, None)), ("0:10", (0, 10, None)),
     ("-1:+1.5", (-1, 1.5, None)), (".5:7.", (0.5, 7, None))],
)  # fmt: skip
def test_scales_are_read(scale: str, bounds: tuple[float, float, str | None]) -> None:
    stated = StatedScale.parse(scale, None)
    assert (stated.lower, stated.upper, stated.unit) == bounds


@pytest.mark.parametrize(
    "scale", ["", "%", "10", "5:1", "1:1", "0:inf", "nan:1", "0:1:2", "0-10", "1e400:2"]
)
def test_what_is_no_scale_is_refused(scale: str) -> None:
    with pytest.raises(UsageError, match="percent, 0-1 or LOW:HIGH"):
        StatedScale.parse(scale, None)


@given(
    st.sampled_from(["acc", "zonk", "bleu", "spearman", "word_perplexity", "elo", "brier_score"]),
    st.sampled_from(["percent", "0-1", "0:10"]),
    st.sampled_from([None, "higher", "lower"]),
)
def test_it_holds_where_the_metric_can_have_it(metric: str, scale: str, better: str | None) -> None:
    known = known_measure(metric)
    stated = StatedScale.parse(scale, better)
    if metric in ("word_perplexity", "brier_score") and better == "higher":
        with pytest.raises(RegistryError, match="leave --better out"):
            stated.applied(known)
        return
    measure = stated.applied(known)
    if metric in ("word_perplexity", "elo"):
        assert (measure.lower, measure.upper) == (known.lower, known.upper)
        return
    bounds = {"percent": (0, 100), "0-1": (0, 1), "0:10": (0, 10)}[scale]
    if metric == "spearman" and scale != "0:10":
        bounds = (-bounds[1], bounds[1])
    assert (measure.lower, measure.upper, measure.assumed) == (*bounds, False)
    lower_is_better = better == "lower" or (better is None and metric == "brier_score")
    assert measure.higher_is_better is (not lower_is_better)


def test_a_file_that_states_another_scale_is_an_error() -> None:
    stated = StatedScale.parse("percent", None)
    with pytest.raises(RegistryError, match="states acc from 0 to 10, and --scale says from 0 to"):
        stated.applied(Measure(metric="acc", upper=10.0))
    same = Measure(metric="acc", upper=100.0, unit="%")
    assert stated.applied(same) == same
    with pytest.raises(RegistryError, match="states score in percent"):
        StatedScale.parse("0-1", None).applied(
            Measure(metric="score", lower=None, upper=None, unit="%")
        )


def test_a_file_that_states_another_direction_is_an_error() -> None:
    stated = StatedScale.parse(None, "lower")
    with pytest.raises(RegistryError, match="A higher acc is better, by the file or by definition"):
        stated.applied(Measure(metric="acc"))
    with pytest.raises(RegistryError, match="A lower perplexity is better, by the file or by def"):
        StatedScale.parse(None, "higher").applied(known_measure("perplexity"))
    # What is only usual for a metric of this name gives way.
    assert stated.applied(known_measure("acc")).higher_is_better is False
    assert stated.applied(known_measure("zonk")).higher_is_better is False


def test_an_import_states_what_a_file_does_not(commands: Commands, tmp_path: Path) -> None:
    path = tmp_path / "s.csv"
    path.write_text("name,g\na/x,8.5\na/y,0.7\na/z,-1\n")
    refused = commands("evals", "import", str(path), *TABLE)
    assert refused.exit_code == 1
    assert "there are scores above 1 by acc" in refused.stderr
    assert "--scale percent" in refused.stderr
    assert commands.json("query", "SELECT count(*) AS runs FROM runs") == [{"runs": 0}]
    done = commands("evals", "import", str(path), *TABLE, "--scale", "0:10")
    assert done.exit_code == 0
    assert "left out 1 scores by acc that are not from 0 to 10, so that nothing was" in done.stderr
    listed = commands.json("query", "SELECT model, score FROM leaderboard ORDER BY model")
    assert [each["score"] for each in listed] == pytest.approx([0.85, 0.07])
    wrong = commands("evals", "import", str(path), *TABLE, "--scale", "5:1")
    assert (wrong.exit_code, "--scale is percent, 0-1 or LOW:HIGH" in wrong.stderr) == (2, True)


def test_an_import_states_which_is_better(commands: Commands, tmp_path: Path) -> None:
    path = tmp_path / "s.csv"
    path.write_text("name,g\na/x,8.5\na/y,0.7\n")
    options = (*TABLE, "--column", "metric==zonk")
    assert commands("evals", "import", str(path), *options).exit_code == 0
    ask = "SELECT model, rank_value FROM leaderboard ORDER BY model"
    assert [each["rank_value"] for each in commands.json("query", ask)] == [None, None]
    assert commands("evals", "import", str(path), *options, "--better", "lower").exit_code == 0
    assert [each["rank_value"] for each in commands.json("query", ask)] == [-8.5, -0.7]


OUTCOMES = ("--column", "model=m", "--column", "item=i", "--column", "outcome=o")
SHOWN = "SELECT score, raw_score, items FROM runs WHERE benchmark = 'b'"


@pytest.mark.parametrize(
    ("cells", "scale", "score", "raw"),
    [
        (["100", "0", "1", "51"], "percent", 0.38, 38.0),
        (["99.5", "0.5", "", "50"], "percent", 0.5, 50.0),
        (["10", "0", "1", "5"], "0:10", 0.4, 4.0),
        (["1", "0", "1", "1"], "0-1", 0.75, 0.75),
        (["1", "0", "1", "1"], "percent", 0.0075, 0.75),
        (["true", "false", "true", "true"], "percent", 0.75, 75.0),
        (["5", "1", "-1", "3"], "1:5", None, None),
    ],
)
def test_outcomes_of_tables_are_on_it(
    commands: Commands, tmp_path: Path, cells: list[str], scale: str, *, score: float | None,
    raw: float | None,
) -> None:  # fmt: skip
    path = tmp_path / "o.csv"
    path.write_text("m,i,o\n" + "".join(f"a/x,q{n},{cell}\n" for n, cell in enumerate(cells)))
    done = commands("evals", "import", str(path), *OUTCOMES, "--benchmark", "b", "--scale", scale)
    if score is None:
        assert (done.exit_code, "is not from 1 to 5" in done.stderr) == (1, True)
        return
    assert done.exit_code == 0, done.stderr
    [run] = commands.json("query", SHOWN)
    assert (run["score"], run["raw_score"]) == (pytest.approx(score), pytest.approx(raw))
    assert run["items"] == len([cell for cell in cells if cell])


def test_a_table_with_known_columns_is_on_it(commands: Commands, tmp_path: Path) -> None:
    path = tmp_path / "o.csv"
    path.write_text("model,benchmark,item,outcome\na/x,b,q1,8\na/x,b,q2,4\n")
    refused = commands("evals", "import", str(path))
    assert "is not from 0 to 1. Correct it, or state the scale by --scale" in refused.stderr
    assert commands("evals", "import", str(path), "--scale", "0:10").exit_code == 0
    [run] = commands.json("query", SHOWN)
    assert (run["score"], run["raw_score"]) == (pytest.approx(0.6), pytest.approx(6.0))


@pytest.mark.parametrize("layout", ["outcomes-by-model", "outcomes-by-item"])
def test_wide_tables_of_outcomes_are_on_it(commands: Commands, tmp_path: Path, layout: str) -> None:
    path = tmp_path / "o.csv"
    path.write_text("k,one,two\nfirst,100,50\nsecond,25,0.5\n")
    mapping = tmp_path / "mapping.yaml"
    role = "model" if layout == "outcomes-by-model" else "item"
    mapping.write_text(f"layout: {layout}\ncolumns: {{{role}: k, benchmark: =b}}\n")
    options = ("--mapping", str(mapping))
    done = commands("evals", "import", str(path), *options, "--scale", "percent")
    assert done.exit_code == 0, done.stderr
    shown = commands.json("query", "SELECT model, score FROM runs ORDER BY score DESC")
    by_model = {"first": 0.75, "second": 0.1275}
    by_item = {"one": 0.625, "two": 0.2525}
    expected = by_model if layout == "outcomes-by-model" else by_item
    assert {each["model"]: each["score"] for each in shown} == pytest.approx(expected)


def test_outcomes_of_errors_are_better_if_lower(commands: Commands, tmp_path: Path) -> None:
    path = tmp_path / "o.csv"
    path.write_text("m,i,o\na/x,q1,100\na/x,q2,0\na/x,q3,0\na/x,q4,0\n")
    options = ("--benchmark", "b", "--column", "metric==zonk", "--scale", "percent")
    done = commands("evals", "import", str(path), *OUTCOMES, *options, "--better", "lower")
    assert done.exit_code == 0, done.stderr
    [run] = commands.json("query", SHOWN)
    assert (run["score"], run["raw_score"]) == (pytest.approx(0.75), pytest.approx(25.0))


def test_a_mapping_that_states_another_scale_is_an_error(
    commands: Commands, tmp_path: Path
) -> None:
    path = tmp_path / "o.csv"
    path.write_text("m,i,o\na/x,q1,8\n")
    options = (*OUTCOMES, "--column", "scale.upper=10", "--benchmark", "b")
    for scale, code in (("percent", 2), ("0:10", 0)):
        done = commands("evals", "import", str(path), *options, "--scale", scale)
        assert done.exit_code == code, done.stderr
    assert commands.json("query", SHOWN)[0]["score"] == pytest.approx(0.8)


def test_percent_signs_are_refused_with_what_to_do(commands: Commands, tmp_path: Path) -> None:
    path = tmp_path / "s.csv"
    path.write_text("name,g\na/x,45.2%\n")
    refused = commands("evals", "import", str(path), *TABLE)
    assert "line 2, field 'g': '45.2%' is not a number. Remove the percent sign" in refused.stderr
    assert "--scale percent" in refused.stderr
