"""Which model is better: in Python, in SQL and on the command line, with the same numbers."""

from dataclasses import asdict
from typing import Any

import numpy as np
import pytest
from cli_commands import Commands
from evaluated import block, run, write
from factories import rows
from scipy import stats
from sqlalchemy import Connection, Engine, text

from registry.analysis.paired_scores import PairedScore, compare_pairs, compare_with_all
from registry.errors import ModelNotFoundError, UsageError
from registry.evaluations.records import Item, Measure, Setup
from registry.learning.statistics.paired import found_at

COUNT = 84
SUBJECTS = ("law", "physics", "botany", "history", "logic", "music")
SAME = (
    "items", "clusters", "clustered_by", "score", "other_score", "difference", "standard_error",
    "lower", "upper", "p_value", "mcnemar", "detectable", "caution",
)  # fmt: skip


def asked(*, domains: bool = True) -> list[Item]:
    return [
        Item(f"i{place}", domain=SUBJECTS[place % 6] if domains else None) for place in range(COUNT)
    ]


def outcomes(seed: int, chance: float) -> list[float | None]:
    rng = np.random.default_rng(seed)
    drawn: list[float | None] = (rng.random(COUNT) < chance).astype(float).tolist()
    for place in np.flatnonzero(rng.random(COUNT) < 0.1).tolist():
        drawn[place] = None
    return drawn


@pytest.fixture
def made(connection: Connection) -> Connection:
    """Three models on a benchmark with subjects, and two of them on one without."""
    of = {"org/best": outcomes(1, 0.9), "org/poor": outcomes(2, 0.3), "org/like": outcomes(3, 0.35)}
    write(connection, block("exam", *(run(*each) for each in of.items()), asked=asked()))
    plain = (run("org/best", outcomes(4, 0.6)), run("org/poor", outcomes(5, 0.6)))
    write(connection, block("quiz", *plain, asked=asked(domains=False)))
    return connection


def vars_of(score: PairedScore) -> dict[str, Any]:
    return {name: getattr(score, name) for name in SAME}


def by_sql(connection: Connection, *arguments: Any) -> list[dict[str, Any]]:
    places = ", ".join(f":a{place}" for place in range(len(arguments)))
    found = connection.execute(
        text(f"SELECT * FROM registry.compare_models({places})"),
        {f"a{place}": value for place, value in enumerate(arguments)},
    )
    return [dict(row) for row in found.mappings()]


def test_pairs_on_each_benchmark(made: Connection) -> None:
    found = compare_pairs(made, ["org/poor", "org/best", "org/like"])
    assert [(each.benchmark, each.model, each.other) for each in found] == [
        ("exam", "org/poor", "org/best"),
        ("exam", "org/poor", "org/like"),
        ("exam", "org/best", "org/like"),
        ("quiz", "org/poor", "org/best"),
    ]
    assert [each.verdict for each in found] == ["worse", "tie", "better", "tie"]
    assert [each.clustered_by for each in found] == ["domain"] * 3 + ["item"]
    assert [each.clusters for each in found[:3]] == [6, 6, 6]
    assert found[3].clusters == found[3].items < COUNT
    for each in found:
        assert each.p_value is not None
        assert each.holm is not None
        assert each.benjamini_hochberg is not None
        assert each.holm >= each.benjamini_hochberg >= each.p_value
    smallest = min(found, key=lambda each: each.p_value or 0)
    assert smallest.holm == pytest.approx(4 * (smallest.p_value or 0))


@pytest.mark.parametrize("level", [0.95, 0.6])
def test_sql_says_the_same(made: Connection, level: float) -> None:
    for first, second in (("org/poor", "org/best"), ("org/like", "org/poor")):
        ours = compare_pairs(made, [first, second], level=level)
        theirs = by_sql(made, first, second, None, level)
        assert len(ours) == len(theirs)
        for one, other in zip(ours, theirs, strict=True):
            assert (one.model, one.other) == (other["model"], other["other"])
            assert (one.benchmark, one.version) == (other["on_benchmark"], other["version"])
            for name in SAME:
                assert getattr(one, name) == pytest.approx(other[name], abs=1e-9), name
            assert (one.only_model, one.only_other) == (other["only_model"], other["only_other"])


@pytest.mark.parametrize("level", [0.95, 0.6])
def test_several_models_in_sql_are_as_here(made: Connection, level: float) -> None:
    # A pair without a test is none of the number that p is corrected for.
    alone = (run("org/one", [1.0, None]), run("org/best", [0.0, 1.0]))
    write(made, block("short", *alone, asked=[Item("s0"), Item("s1")]))
    names = ["org/poor", "org/best", "org/like", "org/one"]
    query = "SELECT * FROM registry.compare_pairs(:models, :on, :level)"
    for on in (None, "exam"):
        found = made.execute(text(query), {"models": names, "on": on, "level": level}).mappings()
        ours = compare_pairs(made, names, benchmarks=on and [on], level=level)
        assert_same(ours, [dict(row) for row in found])
        assert {"unknown"} & {each.verdict for each in ours} == (set() if on else {"unknown"})
    query = "SELECT * FROM registry.compare_with_all(:name, :on, :level)"
    for on in (None, "quiz"):
        found = made.execute(text(query), {"name": "org/best", "on": on, "level": level}).mappings()
        ours = compare_with_all(made, "org/best", benchmarks=on and [on], level=level)
        assert_same(ours, [dict(row) for row in found])
    twice = {"models": ["org/poor", "ORG/poor", "org/nobody", "org/best"], "on": "exam", "level": 2}
    query = "SELECT model, other, verdict FROM registry.compare_pairs(:models, :on, :level)"
    assert made.execute(text(query), twice).all() == [("org/poor", "org/best", "unknown")]


def assert_same(ours: list[PairedScore], theirs: list[dict[str, Any]]) -> None:
    assert len(ours) == len(theirs) > 0
    for one, other in zip(ours, theirs, strict=True):
        expected = asdict(one)
        assert set(expected) == set(other)
        for name, value in expected.items():
            exact = value is None or isinstance(value, str)
            same = value if exact else pytest.approx(value, rel=1e-8, abs=1e-12)
            assert other[name] == same, name


def test_graded_outcomes(connection: Connection) -> None:
    rng = np.random.default_rng(0)
    drawn = rng.random((2, 30))
    write(connection, block("task", run("a/a", drawn[0].tolist()), run("b/b", drawn[1].tolist())))
    (ours,), (theirs,) = compare_pairs(connection, ["a/a", "b/b"]), by_sql(connection, "a/a", "b/b")
    test = stats.ttest_rel(*drawn)
    for found in (ours.p_value, theirs["p_value"]):
        assert found == pytest.approx(test.pvalue, rel=1e-4)
    assert (
        ours.only_model is theirs["only_model"] is ours.only_other is theirs["only_other"] is None
    )
    assert ours.mcnemar is theirs["mcnemar"] is None


def test_alike_but_for_rounding(connection: Connection) -> None:
    own = [0.7, 0.4, 0.9, 0.6, 0.5, 0.8]
    less = [round(value - 0.2, 2) for value in own]
    write(connection, block("quiz", run("a/a", own), run("b/b", less)))
    (ours,), (theirs,) = compare_pairs(connection, ["a/a", "b/b"]), by_sql(connection, "a/a", "b/b")
    unseen = 1 - 0.05 ** (1 / 6)
    for found in (vars_of(ours), theirs):
        assert found["p_value"] == pytest.approx(0.5**5)
        assert found["detectable"] == pytest.approx(unseen)
        assert found["upper"] - found["difference"] == pytest.approx(unseen)
        assert found["standard_error"] == 0


def test_models_that_never_differ(connection: Connection) -> None:
    same = [1.0, 0.0] * 20
    write(connection, block("task", run("a/a", same), run("b/b", same), run("c/c", [1.0] * 40)))
    (ours,), (theirs,) = compare_pairs(connection, ["a/a", "b/b"]), by_sql(connection, "a/a", "b/b")
    unseen = 1 - 0.05 ** (1 / 40)
    for lower, upper, p, detectable in (
        (ours.lower, ours.upper, ours.p_value, ours.detectable),
        tuple(theirs[name] for name in ("lower", "upper", "p_value", "detectable")),
    ):
        assert (lower, upper, detectable) == pytest.approx((-unseen, unseen, unseen))
        assert p == 1
    assert ours.verdict == "tie"
    zeros = run("d/d", [0.0] * 40)
    write(connection, block("task", zeros))
    (ours,), (theirs,) = compare_pairs(connection, ["c/c", "d/d"]), by_sql(connection, "c/c", "d/d")
    assert ours.p_value == pytest.approx(theirs["p_value"]) == pytest.approx(0.5**39)
    assert (ours.lower, ours.upper) == pytest.approx((theirs["lower"], theirs["upper"]))
    assert ours.mcnemar == pytest.approx(theirs["mcnemar"])


def test_one_common_item_says_nothing(connection: Connection) -> None:
    first, second = [1.0, None, 0.0], [0.0, 1.0, None]
    write(connection, block("task", run("a/a", first), run("b/b", second)))
    (ours,), (theirs,) = compare_pairs(connection, ["a/a", "b/b"]), by_sql(connection, "a/a", "b/b")
    assert (ours.items, ours.difference, ours.verdict) == (1, 1.0, "unknown")
    for name in ("standard_error", "lower", "upper", "p_value", "detectable"):
        assert getattr(ours, name) is theirs[name] is None
    assert ours.holm is None
    write(connection, block("other", run("a/a", [1.0, None]), run("b/b", [None, 1.0])))
    assert len(compare_pairs(connection, ["a/a", "b/b"])) == 1
    assert len(by_sql(connection, "a/a", "b/b")) == 1


def test_runs_of_other_tests_are_said_to_be(connection: Connection) -> None:
    first = run("a/a", outcomes(1, 0.5), setup=Setup(shots=0), measure=Measure(metric="acc"))
    second = run("b/b", outcomes(2, 0.5), setup=Setup(shots=5), measure=Measure(metric="acc_norm"))
    write(connection, block("task", first, second))
    (ours,), (theirs,) = compare_pairs(connection, ["a/a", "b/b"]), by_sql(connection, "a/a", "b/b")
    said = "measured by acc and acc_norm; with 0 and 5 examples in the prompt"
    assert ours.caution == theirs["caution"] == said
    # Of several others each has its own, also where two were made alike.
    by = Measure(metric="acc")
    more = [run(f"{name}/m", outcomes(3, 0.5), setup=Setup(shots=shots), measure=by)
            for name, shots in (("aa", 5), ("c", 0), ("d", 5))]  # fmt: skip
    write(connection, block("task", *more))
    prompt = "with 0 and 5 examples in the prompt"
    assert {each.other: each.caution for each in compare_with_all(connection, "a/a")} == {
        "aa/m": prompt, "b/b": said, "c/m": None, "d/m": prompt,
    }  # fmt: skip


def test_few_domains_are_no_clusters(connection: Connection) -> None:
    items = [Item(f"i{place}", domain=SUBJECTS[place % 4]) for place in range(COUNT)]
    both = run("a/a", outcomes(1, 0.5)), run("b/b", outcomes(2, 0.5))
    write(connection, block("task", *both, asked=items))
    (ours,), (theirs,) = compare_pairs(connection, ["a/a", "b/b"]), by_sql(connection, "a/a", "b/b")
    assert ours.clustered_by == theirs["clustered_by"] == "item"
    partly = [Item("p0"), *(Item(f"p{n}", domain=SUBJECTS[n % 6]) for n in range(1, COUNT))]
    write(connection, block("partly", *both, asked=partly))
    (ours,) = compare_pairs(connection, ["a/a", "b/b"], benchmarks=["partly"])
    (theirs,) = by_sql(connection, "a/a", "b/b", "partly")
    assert ours.clustered_by == theirs["clustered_by"] == "item"


def test_one_with_all(made: Connection) -> None:
    found = compare_with_all(made, "org/best", benchmarks=["exam"])
    assert [(each.model, each.other) for each in found] == [
        ("org/best", "org/like"),
        ("org/best", "org/poor"),
    ]
    pairs = compare_pairs(made, ["org/best", "org/like"], benchmarks=["exam"])
    assert found[0].difference == pairs[0].difference
    assert found[0].p_value == pairs[0].p_value
    assert compare_with_all(made, "org/like")[0].benchmark == "exam"


def test_names(made: Connection) -> None:
    assert compare_pairs(made, ["org/best", "org/poor"], benchmarks=["quiz"])[0].benchmark == "quiz"
    with pytest.raises(ModelNotFoundError):
        compare_pairs(made, ["org/best", "org/nobody"])
    with pytest.raises(UsageError, match="names of one model"):
        compare_pairs(made, ["org/best", "ORG/best"])
    with pytest.raises(UsageError, match="two models or more"):
        compare_pairs(made, ["org/best"])
    with pytest.raises(UsageError, match="exams"):
        compare_pairs(made, ["org/best", "org/poor"], benchmarks=["exams"])
    with pytest.raises(UsageError, match="between 0 and 1"):
        compare_with_all(made, "org/best", level=1.0)
    assert by_sql(made, "org/best", "org/nobody") == []
    (row,) = by_sql(made, "org/best", "org/poor", "quiz", 2.0)
    assert row["lower"] is row["upper"] is None
    assert row["p_value"] is not None


@pytest.mark.parametrize("freedom", [1, 2, 3, 4, 7, 13, 30, 101, 860, 5_001])
def test_tails_of_student(connection: Connection, freedom: int) -> None:
    for t in (0.0, 0.3, -1.7, 2.01, 2.5, -6.0, 30.0, 1e9):
        query = text("SELECT store.student_tail(:t, :freedom)")
        found = connection.scalar(query, {"t": t, "freedom": freedom})
        # Smaller ones are 0.
        assert found == pytest.approx(2 * stats.t.sf(abs(t), freedom), rel=1e-10, abs=1e-306)
    for level in (0.1, 0.5, 0.9, 0.95, 0.999, 1 - 1e-6):
        query = text("SELECT store.student_quantile(:level, :freedom)")
        found = connection.scalar(query, {"level": level, "freedom": freedom})
        assert found == pytest.approx(stats.t.ppf((1 + level) / 2, freedom), rel=1e-9)


@pytest.mark.parametrize("level", [0.3, 0.5, 0.95, 0.9999])
def test_detectable_differences(connection: Connection, level: float) -> None:
    clusters = np.array([1, 2, 3, 5, 8, 30, 31, 32, 57, 860, 20_000])
    query = text("SELECT store.detectable_in_errors(n, :level) FROM unnest(:of ::bigint[]) n")
    found = connection.scalars(query, {"level": level, "of": clusters.tolist()}).all()
    assert found[0] is None
    for number, shift in zip(clusters[1:].tolist(), found[1:], strict=True):
        limit = stats.t.ppf((1 + level) / 2, number - 1)
        assert stats.nct.sf(limit, number - 1, shift) == pytest.approx(0.8, abs=1e-6)
    assert found_at(clusters[2:], level) == pytest.approx(found[2:], rel=1e-5)


def test_what_has_no_tail(connection: Connection) -> None:
    assert rows(
        connection,
        """SELECT store.student_tail(1, 0), store.student_tail(NULL, 3),
                  store.student_tail('infinity', 3), store.student_tail(1e200, 3),
                  store.student_tail(1e200, 1) * 1e200 * pi(), store.student_quantile(1, 3),
                  store.student_quantile(0.5, NULL)""",
    ) == [(None, None, 0, 0, 2, None, None)]


@pytest.mark.parametrize(
    ("a", "b"), [(0, 0), (1, 0), (3, 9), (9, 3), (40, 41), (900, 1100), (0, 3_000)]
)
def test_the_sign_test_is_exact(connection: Connection, a: int, b: int) -> None:
    found = connection.scalar(text("SELECT store.sign_test(:a, :b)"), {"a": a, "b": b})
    expected = stats.binomtest(a, a + b).pvalue if a + b else 1.0
    assert found == pytest.approx(expected, rel=1e-9, abs=1e-290)


class TestCommand:
    """`registry evals compare`."""

    @pytest.fixture
    def commands(self, engine: Engine) -> Commands:
        with engine.begin() as connection:
            of = {"org/best": outcomes(1, 0.9), "org/poor": outcomes(2, 0.3)}
            runs = [run(*each) for each in of.items()]
            third = run("org/like", outcomes(3, 0.3), setup=Setup(shots=5))
            write(connection, block("exam", *runs, third, asked=asked()))
        return Commands(engine.url.render_as_string(hide_password=False))

    def test_a_table(self, commands: Commands) -> None:
        said = commands("evals", "compare", "org/best", "org/poor", "--format", "table")
        assert said.exit_code == 0
        assert "better" in said.stdout
        assert "+0." in said.stdout

    def test_json_has_all(self, commands: Commands) -> None:
        (found,) = commands.json("evals", "compare", "org/best", "org/poor")
        assert set(found) == set(PairedScore.__dataclass_fields__)
        assert found["verdict"] == "better"

    def test_all_others(self, commands: Commands) -> None:
        arguments = ("evals", "compare", "org/best", "--all", "--benchmark", "exam")
        assert len(commands.json(*arguments)) == 2
        assert "name one" in commands.refused(2, "evals", "compare", "a", "b", "--all")

    def test_a_wider_level(self, commands: Commands) -> None:
        pair = ("evals", "compare", "org/best", "org/poor")
        (usual,), (narrow,) = commands.json(*pair), commands.json(*pair, "--level", "0.5")
        assert narrow["upper"] < usual["upper"]

    def test_cautions_are_for_people(self, commands: Commands) -> None:
        with_setup = commands("evals", "compare", "org/like", "org/poor")
        assert "org/like and org/poor on exam" not in with_setup.stdout
        other = commands("evals", "compare", "org/best", "org/poor")
        assert "on exam:" not in other.stderr

    def test_nothing_in_common(self, commands: Commands, engine: Engine) -> None:
        with engine.begin() as connection:
            write(connection, block("apart", run("x/x", [1.0, None]), run("y/y", [None, 1.0])))
        said = commands("evals", "compare", "x/x", "y/y")
        assert (said.exit_code, said.stdout) == (2, "")
        assert "no common item" in said.stderr
        said = commands("evals", "compare", "x/x", "--all", "--format", "json")
        assert (said.exit_code, said.stdout) == (2, "")
