"""Problems of evaluations: each kind is found where it is planted, and not beside it."""

import math
from pathlib import Path
from typing import Any

import factories
import pytest
from cli_commands import Commands
from evaluated import block, items, run, write
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, text

from registry.errors import UsageError
from registry.evaluations.checks.problems import CheckFinding, check
from registry.evaluations.records import Item, Measure, Setup, Source

OTHER = Source(name="other")
PERCENT = Measure(metric="acc", upper=100, unit="%")
RAW = Measure(metric="score", lower=None, upper=None)


def found(connection: Connection, *kinds: str, **named: Any) -> list[CheckFinding]:
    return list(check(connection, kinds=kinds, **named).shown)


def test_nothing_is_wrong_with_nothing(connection: Connection) -> None:
    assert found(connection) == []
    write(connection, block("b", run("m", [1, 0]), run("n", [0, 1])))
    assert found(connection) == []


def test_two_sources_disagree(connection: Connection) -> None:
    write(
        connection,
        block("gsm8k", run("org/m", score=0.5, items=1319)),
        block("openai/gsm8k", run("org/m", score=61, items=1319, source=OTHER, measure=PERCENT)),
    )
    [problem] = found(connection)
    assert problem[:3] == ("conflict", "org/m", "gsm8k")
    assert {"0.5000 by tests (gsm8k)", "0.6100 by other (openai/gsm8k)"} == {
        *problem.detail.split(" and ")
    }
    assert found(connection, benchmark="GSM-8K") == [problem]
    assert found(connection, benchmark="openai/gsm8k", model="org/m") == [problem]
    assert found(connection, "mean") == []


def test_a_conflict_is_found_by_each_of_its_stored_names(connection: Connection) -> None:
    write(
        connection,
        block("GSM-8K", run("org/m", score=0.5)),
        block("openai/gsm8k", run("org/m", score=0.9, source=OTHER)),
        block("arc", run("org/m", score=0.5), run("org/m", score=0.9, source=OTHER)),
    )
    for name in ("GSM-8K", "openai/gsm8k", "gsm8k"):
        [problem] = found(connection, benchmark=name)
        assert problem.benchmark == "gsm8k"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(
    first=st.integers(0, 1000),
    second=st.integers(0, 1000),
    count=st.sampled_from([100, 1000, 10_000]),
)
def test_standard_errors_say_what_is_a_conflict(
    connection: Connection, first: int, second: int, count: int
) -> None:
    shares = first / 1000, second / 1000
    with connection.begin_nested() as savepoint:
        write(
            connection,
            block("b", run("m", score=shares[0], items=count)),
            block("b", run("m", score=shares[1], items=count, source=OTHER)),
        )
        kinds = [each.kind for each in found(connection)]
        savepoint.rollback()
    error = math.sqrt(sum(share * (1 - share) / count for share in shares))
    gap = abs(shares[0] - shares[1]) - 2 * error - 0.0051
    if abs(gap) > 1e-9:
        assert kinds == (["conflict"] if gap > 0 else [])


@pytest.mark.parametrize(
    "other",
    [
        {"setup": Setup(shots=5)},
        {"setup": Setup(variant="best-of-16")},
        {"setup": Setup(precision="4bit")},
        {"setup": Setup(prompt_template="other")},
        {"setup": Setup(details={"limit": "5"})},
        {"measure": Measure(metric="acc_norm")},
        {"measure": Measure(metric="acc", filter="flexible-extract")},
        {"complete": False},
        {"revision": "step1000"},
    ],
)
def test_another_setup_is_no_conflict(connection: Connection, other: dict[str, Any]) -> None:
    setup = Setup(shots=0, precision="float16", prompt_template="one", details={"limit": "9"})
    plain = run("m", score=0.9, setup=setup)
    write(connection, block("b", plain, run("m", score=0.1, **{"source": OTHER, **other})))
    assert found(connection, "conflict") == []


def test_what_one_source_states_apart_is_no_conflict(connection: Connection) -> None:
    diff = Setup(details={"edit_format": "diff"})
    write(connection, block("b", run("m", score=0.9), run("m", score=0.1, setup=diff)))
    assert found(connection, "conflict") == []


def test_two_names_of_a_model_that_disagree_are_given(connection: Connection) -> None:
    factories.model(connection, "org/m-3")
    factories.alias(connection, "org/m-3", "m-3")
    factories.alias(connection, "org/m-3", "m-3.1")
    write(connection, block("b", run("m-3", score=0.1), run("m-3.1", score=0.9)))
    [problem] = found(connection, "conflict")
    assert problem.detail in {
        "0.1000 by tests (b) as m-3 and 0.9000 by tests (b) as m-3.1",
        "0.9000 by tests (b) as m-3.1 and 0.1000 by tests (b) as m-3",
    }


def test_an_unstated_setup_may_be_the_same(connection: Connection) -> None:
    plain = run("m", score=0.9, setup=Setup(shots=0, precision="float16"))
    write(connection, block("b", plain, run("m", score=0.1, source=OTHER, revision="a" * 40)))
    assert len(found(connection, "conflict")) == 1


def test_prompting_is_no_conflict(connection: Connection) -> None:
    write(connection, block("gsm8k", run("m", score=0.2)), block("gsm8k_cot", run("m", score=0.9)))
    assert found(connection) == []


def test_metrics_of_one_source_are_no_conflict(connection: Connection) -> None:
    exact = Measure(metric="exact_match")
    write(connection, block("b", run("m", score=0.2), run("m", score=0.9, measure=exact)))
    assert found(connection) == []
    write(connection, block("b", run("m", score=0.9, measure=exact, source=OTHER)))
    assert len(found(connection)) == 1


def test_commits_of_one_source_are_no_conflict(connection: Connection) -> None:
    first, second = "a" * 40, "b" * 40
    write(
        connection,
        block("b", *(run("m", score=s, revision=r) for s, r in ((0.2, first), (0.9, second)))),
    )
    assert found(connection) == []
    write(connection, block("b", run("m", score=0.9, revision=second, source=OTHER)))
    assert len(found(connection)) == 1


def test_only_the_widest_gap_of_a_model_is_a_row(connection: Connection) -> None:
    scores = {"a": 0.1, "b": 0.5, "c": 0.9}
    write(
        connection,
        block("b", *(run("m", score=s, source=Source(name=n)) for n, s in scores.items())),
    )
    [problem] = found(connection)
    assert problem.findings == 3
    assert {each.split(" by ")[0] for each in problem.detail.split(" and ")} == {"0.1000", "0.9000"}


def test_a_score_that_its_outcomes_do_not_have(connection: Connection) -> None:
    write(connection, block("b", run("m", [1, 0, 0, 0]), run("n", [1, 0.5, 0, 0])))
    assert found(connection) == []
    connection.execute(text("UPDATE store.runs SET score = 0.5"))
    assert {(each.kind, each.model, each.detail) for each in found(connection)} == {
        ("mean", "m", "score 0.5000, and the mean of 4 outcomes is 0.2500"),
        ("mean", "n", "score 0.5000, and the mean of 4 outcomes is 0.3750"),
    }


@pytest.mark.parametrize(("score", "problems"), [(0.6, 0), (0.95, 1)])
def test_outcomes_of_a_part(connection: Connection, score: float, problems: int) -> None:
    write(connection, block("b", run("m", [1, 0] * 50)))
    connection.execute(text("UPDATE store.runs SET score = :s, item_count = 1000"), {"s": score})
    assert len(found(connection, "mean")) == problems


def test_lower_is_better(connection: Connection) -> None:
    measure = Measure(metric="error", higher_is_better=False)
    write(connection, block("b", run("m", [1, 0, 0, 0], measure=measure)))
    assert found(connection) == []


def test_sentinels(connection: Connection) -> None:
    write(connection, block("b", run("m", score=0.5), run("n", score=0.4)))
    write(connection, block("r", run("m", score=3, measure=RAW), run("n", score=7, measure=RAW)))
    assert found(connection, "sentinel") == []
    connection.execute(
        text("UPDATE store.runs SET score = -1 WHERE score IN (0.4, 7)")
    )  # as of a reader before
    assert {(each.benchmark, each.detail) for each in found(connection, "sentinel")} == {
        ("b", "acc score -1, outside 0 to 1"),
        ("r", "score score -1, where no other is negative"),
    }


def test_minus_one_among_negative_scores(connection: Connection) -> None:
    runs = [run(f"m{n}", score=score, measure=RAW) for n, score in enumerate((-1, -0.4, 2))]
    write(connection, block("r", *runs))
    assert found(connection, "sentinel") == []


def test_items_that_tell_nothing(connection: Connection) -> None:
    grid = {"a": [1, 0, 1, 0], "b": [1, 0, 0, 1], "c": [1, 0, 0, 0]}
    write(connection, block("b", *(run(model, each) for model, each in grid.items())))
    assert [(each.kind, each.detail) for each in found(connection)] == [
        ("saturated_items", "1 of 4 items, which each of at least 3 models gets right: i0"),
        ("constant_items", "1 of 4 items, which none of at least 3 models gets right: i1"),
    ]


def test_questions_held_twice(connection: Connection) -> None:
    asked = [Item("a", prompt="?"), Item("b", prompt="!"), Item("c", prompt="?"), Item("d")]
    write(connection, block("b", run("m", [1, 0, 1, 0]), asked=asked))
    [problem] = found(connection)
    assert problem.kind == "duplicated_items"
    assert problem.detail == "2 items ask 1 questions, such as a"


def test_two_names_with_the_same_outcomes(connection: Connection) -> None:
    shared = [1, 0, 1, 1] * 6
    write(
        connection,
        block("b", run("m", shared), run("copy", shared), run("near", [0, *shared[1:]])),
        block("c", run("m", [1, 0]), run("near", [1, 0]), run("copy", [1, 0])),
    )
    [problem] = found(connection, "same_outcomes")
    assert {problem.model, problem.other_model} == {"m", "copy"}
    assert problem.detail.endswith("on all 26 items of 2 benchmarks")
    assert found(connection, "same_outcomes", model="near") == []
    assert found(connection, "same_outcomes", model="m") == [problem]


@pytest.mark.parametrize(("count", "problems"), [(20, 1), (19, 0)])
def test_the_fewest_items_that_show_a_copy(
    connection: Connection, count: int, problems: int
) -> None:
    same = [1.0, *[0.0] * (count - 1)]
    write(connection, block("b", run("m", same), run("n", same)))
    assert len(found(connection, "same_outcomes")) == problems


@pytest.mark.parametrize("same", [[1] * 30, [0] * 30, [1, 0] * 9])
def test_too_little_to_call_two_models_one(connection: Connection, same: list[float]) -> None:
    asked = items(len(same))
    write(connection, block("b", run("m", same), run("n", same), asked=asked))
    assert found(connection, "same_outcomes") == []


def test_shares_among_percentages(connection: Connection) -> None:
    write(
        connection,
        block("b", *(run(f"m{n}", score=20 + n, measure=PERCENT) for n in range(5))),
        block("b", *(run(f"n{n}", score=n / 10, measure=PERCENT, source=OTHER) for n in range(5))),
    )
    [problem] = found(connection)
    assert problem.kind == "mixed_scale"
    assert (
        problem.detail
        == "5 scores of acc from 0.0000 to 0.4000, and others from 20.0000 to 24.0000"
    )


def test_low_percentages_are_no_mixture(connection: Connection) -> None:
    write(
        connection,
        block("b", *(run(f"m{n}", score=n, measure=PERCENT) for n in range(5))),
        block("b", run("n", score=0.5, measure=PERCENT, source=OTHER)),
    )
    assert found(connection) == []


def test_the_largest_findings_come_first(connection: Connection) -> None:
    """Also where only some of a kind are shown; then by benchmark."""
    for name, count in (("a", 1), ("b", 3), ("c", 2), ("d", 2)):
        asked = [Item(f"{copy}{n}", prompt=f"{name}{n}") for n in range(count) for copy in "xy"]
        write(connection, block(name, run("m", [1, 0] * count), asked=asked))
    problems = check(connection, kinds=["duplicated_items"], limit=3)
    assert [each.benchmark for each in problems.shown] == ["b", "c", "d"]
    assert problems.counts == {"duplicated_items": 4}


def test_no_such_benchmark(connection: Connection) -> None:
    with pytest.raises(UsageError, match="no benchmark 'nope'"):
        found(connection, benchmark="nope")


def test_the_command(commands: Commands, tmp_path: Path) -> None:
    columns = [f"--column={role}={role}" for role in ("model", "benchmark", "score", "source")]
    for name, rows in (
        ("one", "org/a,arc,0.5,one\norg/b,arc,0.5,one\n"),
        ("two", "org/a,ARC-C,0.75,two\norg/b,ARC-C,0.9,two\n"),
    ):
        table = tmp_path / f"{name}.csv"
        table.write_text(f"model,benchmark,score,source\n{rows}")
        commands.done("evals", "import", str(table), *columns, "--column=metric==acc")
    first, second = commands.json("evals", "check")
    assert (first["kind"], first["model"], first["benchmark"]) == (
        "conflict",
        "org/a",
        "arc_challenge",
    )
    assert {first["file"], first["other_file"]} == {
        str(tmp_path / "one.csv"),
        str(tmp_path / "two.csv"),
    }
    assert second["model"] == "org/b"
    limited = commands("evals", "check", "--limit", "1", "--format", "csv")
    assert len(limited.stdout.splitlines()) == 2
    said = "2 problems of kind conflict: --kind conflict --limit 2 shows them all."
    assert said in limited.stderr
    assert "shows them all" not in commands("evals", "check", "--limit", "2").stderr
    assert commands("evals", "check", "--strict").exit_code == 1
    assert commands("evals", "check", "--strict", "--kind", "mean").exit_code == 0
    assert (
        "No problem was found."
        in commands("evals", "check", "--kind", "mean", "--format", "table").output
    )
