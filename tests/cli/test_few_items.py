"""`registry evals plan` and `registry evals estimate`."""

from pathlib import Path

import orjson
import pytest
from banks import planted
from cli_commands import Commands
from evaluated import long_table
from harness_runs import HarnessRun

OUTCOMES = planted(60, 20)


@pytest.fixture
def imported(commands: Commands, tmp_path: Path) -> Commands:
    """60 models on 20 items of benchmark b, the first one on 6 of them."""
    rows = [
        (f"org/m{model}", "b", item, int(outcome))
        for model, outcomes in enumerate(OUTCOMES)
        for item, outcome in enumerate(outcomes)
        if model or item < 6
    ]
    commands.done("evals", "import", str(long_table(tmp_path / "t.csv", rows)))
    return commands


def test_from_a_plan_to_an_estimate(imported: Commands, tmp_path: Path) -> None:
    result = imported("evals", "plan", "org/new", "--benchmark", "b", "--budget", "6", "--format",
                      "json")  # fmt: skip
    assert result.exit_code == 0
    planned = orjson.loads(result.stdout)
    assert len(planned) == 6
    assert set(planned[0]) == {"item", "benchmark", "version", "ordinal", "characters"}
    assert "org/new is not in the catalog" in result.stderr
    assert "b: 6 of 20 items, chosen by the outcomes of 59 models; the 90% interval of the" in (
        result.stderr
    )
    answers = tmp_path / "answers.csv"
    answers.write_text("item,outcome\n" + "".join(f"{each['item']},1\n" for each in planned))
    [found] = imported.json("evals", "estimate", "org/new", "--benchmark", "b", "--answers",
                            str(answers), "--stop-at", "0.02")  # fmt: skip
    assert found["benchmark"] == "b"
    assert (found["answers"], found["items"], found["known_models"]) == (6, 20, 59)
    assert 0.5 < found["lower"] <= found["score"] <= found["upper"] <= 1
    assert found["measured"] is None
    assert found["enough"] is False
    more = imported("evals", "plan", "org/new", "--benchmark", "b", "--adaptive", "--batch", "2",
                    "--answers", str(answers), "--format", "quiet")  # fmt: skip
    assert len(more.stdout.split()) == 2
    assert not set(more.stdout.split()) & {each["item"] for each in planned}
    assert "b: 6 answered, 2 to run of 20; the 90% interval of the score is" in more.stderr
    stopped = imported("evals", "plan", "org/new", "--benchmark", "b", "--adaptive", "--stop-at",
                       "0.9", "--answers", str(answers), "--format", "quiet")  # fmt: skip
    assert "no more items are needed" in stopped.stderr
    assert "There is no item to run." in stopped.stderr
    assert stopped.stdout == ""
    wide = imported("evals", "plan", "org/new", "--benchmark", "b", "--stop-at", "0.01",
                    "--budget", "3")  # fmt: skip
    assert "wider than was asked" in wide.stderr


def test_what_the_registry_has_is_an_answer(imported: Commands) -> None:
    [found] = imported.json("evals", "estimate", "org/m0", "--benchmark", "b", "--level", "0.5")
    assert found["answers"] == 6
    assert found["upper"] - found["lower"] < imported.json(
        "evals", "estimate", "org/m0", "--benchmark", "b", "--level", "0.95"
    )[0]["upper"] - found["lower"]  # fmt: skip
    result = imported("evals", "estimate", "org/m0", "--benchmark", "b", "--stop-at", "0.01",
                      "--format", "table")  # fmt: skip
    assert "score %" in result.stdout
    assert "`registry evals plan --adaptive` names the next items" in result.stderr


def test_a_file_that_lm_eval_runs(imported: Commands, tmp_path: Path) -> None:
    out = tmp_path / "items.json"
    result = imported("evals", "plan", "org/new", "--benchmark", "b", "--budget", "4", "--out",
                      str(out), "--task", "b_hard", "--format", "quiet")  # fmt: skip
    assert result.exit_code == 0
    places = [int(item) for item in result.stdout.split()]
    assert orjson.loads(out.read_bytes()) == {"b_hard": places}
    assert f"lm_eval --tasks b_hard --samples {out}" in result.stderr
    assert "There is a file" in imported.refused(
        2, "evals", "plan", "org/new", "--benchmark", "b", "--out", str(out)
    )
    assert "--out names" in imported.refused(
        2, "evals", "plan", "org/new", "--benchmark", "b", "--task", "x"
    )


def test_wrong_names_and_numbers_are_refused(imported: Commands) -> None:
    plan = ("evals", "plan", "org/new", "--benchmark", "b")
    assert "'bb'; did you mean b" not in imported.refused(
        2, "evals", "plan", "org/new", "--benchmark", "nothing-like-it"
    )
    for option, value in (("--budget", "0"), ("--stop-at", "1.5"), ("--level", "1"),
                          ("--batch", "0"), ("--level", "nan")):  # fmt: skip
        assert value in imported.refused(2, *plan, option, value)
    assert "Missing option '--benchmark'" in imported.refused(2, "evals", "plan", "org/new")
    assert "No model named" in imported.refused(
        1, "evals", "estimate", "org/new", "--benchmark", "b"
    )


def test_a_part_that_lm_eval_ran_is_imported_and_estimated(
    commands: Commands, tmp_path: Path
) -> None:
    """Documents are named by hashes, and places are those of the data set, not of the file."""
    questions = [f"What is {place} and {place}?" for place in range(20)]
    order = [*range(10, 20), *range(10)]
    for row in range(12):
        run = HarnessRun(
            questions=questions,
            outcomes={"none": OUTCOMES[row].tolist()},
            model=f"org/m{row}",
            task="sums",
            lines=order,
        )
        run.write(tmp_path / f"m{row}")
    commands.done("evals", "import", str(tmp_path))
    out = tmp_path / "items.json"
    plan = ("evals", "plan", "org/new", "--benchmark", "sums", "--budget", "6", "--out", str(out))
    assert "--doc-ids samples_TASK" in commands.refused(2, *plan)
    [samples] = (tmp_path / "m3").glob("samples_*")
    result = commands(*plan, "--doc-ids", str(samples), "--format", "json")
    places = orjson.loads(out.read_bytes())["sums"]
    ordinals = [each["ordinal"] for each in orjson.loads(result.stdout)]
    assert [order[each] for each in ordinals] == places
    truth = OUTCOMES[30]
    HarnessRun(
        questions=questions,
        outcomes={"none": truth.tolist()},
        scores={"none": float(truth[places].mean())},
        model="org/new",
        task="sums",
        lines=sorted(places),
    ).write(tmp_path / "new")
    commands.done("evals", "import", str(tmp_path / "new"))
    [found] = commands.json("evals", "estimate", "org/new", "--benchmark", "sums")
    assert (found["answers"], found["items"], found["known_models"]) == (6, 20, 12)
    assert found["measured"] is None
    assert found["lower"] <= truth.mean() <= found["upper"]
    # The next items are others, by the answers that were imported.
    more = commands("evals", "plan", "org/new", "--benchmark", "sums", "--adaptive", "--batch", "4",
                    "--format", "json")  # fmt: skip
    assert not {each["ordinal"] for each in orjson.loads(more.stdout)} & set(ordinals)
    assert "6 of these items, which count as its answers so far" in more.stderr
