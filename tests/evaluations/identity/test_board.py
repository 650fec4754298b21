"""Leaderboards join the names of a benchmark, as far as their scores are by one measure."""

from pathlib import Path

import pytest
from cli_commands import Commands
from evaluated import block, day, run, write
from sqlalchemy import Connection

from registry.evaluations import benchmarks
from registry.evaluations.leaderboard import Ranking, rank
from registry.evaluations.records import Block, Measure

NORM = Measure(metric="acc_norm")
PERCENT = Measure(metric="accuracy", upper=100, unit="%")


def stored(connection: Connection, *blocks: Block) -> None:
    counts = write(connection, *blocks)
    benchmarks.choose_measures(connection, sorted(counts.benchmarks))


def scores(ranking: Ranking) -> dict[str, list[float | None]]:
    return {row.model: list(row.scores) for row in ranking.rows}


def test_one_name_gathers_the_models_of_all(connection: Connection) -> None:
    stored(
        connection,
        block("mmlu_pro", run("org/a", score=0.1)),
        block("leaderboard_mmlu_pro", run("org/b", score=0.2)),
        block("TIGER-Lab/MMLU-Pro", run("org/c", score=30, measure=PERCENT)),
    )
    ranking = rank(connection, benchmarks=["MMLU-Pro"])
    assert scores(ranking) == {"org/a": [0.1], "org/b": [0.2], "org/c": [0.3]}
    assert ranking.benchmarks == ["MMLU-Pro"]
    assert {*ranking.joined["MMLU-Pro"]} == {
        "mmlu_pro",
        "leaderboard_mmlu_pro",
        "TIGER-Lab/MMLU-Pro",
    }
    assert scores(rank(connection)) == scores(ranking)
    assert rank(connection).benchmarks == ["mmlu_pro"]


def test_two_names_of_one_benchmark_are_one_column(connection: Connection) -> None:
    stored(connection, block("arc", run("a", score=0.1)), block("ARC-C", run("b", score=0.2)))
    ranking = rank(connection, benchmarks=["ARC-C", "arc", "arc_challenge"])
    assert ranking.benchmarks == ["ARC-C"]
    assert scores(ranking) == {"a": [0.1], "b": [0.2]}


def test_of_a_model_with_two_names_one_score_counts(connection: Connection) -> None:
    stored(
        connection,
        block("gsm8k", run("a", score=0.1, complete=False)),
        block("openai/gsm8k", run("a", score=0.3)),
        block("c", run("a", score=0.5)),
    )
    [row] = rank(connection, benchmarks=["gsm8k", "c"]).rows
    assert row.scores == [0.3, 0.5]
    assert row.average == pytest.approx(0.4)


@pytest.mark.parametrize("dated", ["gsm8k", "openai/gsm8k"])
def test_of_two_names_a_dated_score_comes_before_an_undated_one(
    connection: Connection, dated: str
) -> None:
    for name in ("gsm8k", "openai/gsm8k"):
        when = day(1) if name == dated else None
        score = 0.3 if name == dated else 0.1
        stored(connection, block(name, run("a", score=score, evaluated_at=when)))
    assert scores(rank(connection, benchmarks=["gsm8k"])) == {"a": [0.3]}


def test_another_measure_stays_apart(connection: Connection) -> None:
    stored(
        connection,
        block("arc", run("a", score=0.1), run("b", score=0.2)),
        block("arc_challenge", run("c", score=0.9, measure=NORM)),
    )
    ranking = rank(connection, benchmarks=["arc"])
    assert scores(ranking) == {"a": [0.1], "b": [0.2]}
    assert ranking.apart == {"arc": ("arc_challenge (acc_norm)",)}
    assert ranking.joined == {}
    other = rank(connection, benchmarks=["arc_challenge"])
    assert scores(other) == {"c": [0.9]}
    assert other.apart == {"arc_challenge": ("arc (acc)",)}
    assert scores(rank(connection, benchmarks=["ARC-C"])) == {"a": [0.1], "b": [0.2]}


def test_prompting_stays_apart(connection: Connection) -> None:
    stored(
        connection,
        block("gsm8k", run("a", score=0.1)),
        block("gsm8k_cot", run("a", score=0.9), run("b", score=0.8)),
    )
    assert scores(rank(connection, benchmarks=["gsm8k"])) == {"a": [0.1]}
    assert scores(rank(connection, benchmarks=["gsm8k_cot"])) == {"a": [0.9], "b": [0.8]}
    assert {*rank(connection, partial=True).benchmarks} == {"gsm8k", "gsm8k_cot"}


def test_the_command_says_what_it_joins(commands: Commands, tmp_path: Path) -> None:
    table = tmp_path / "scores.csv"
    table.write_text("model,benchmark,score\norg/a,arc,0.5\norg/b,ARC-C,0.25\n")
    columns = [f"--column={role}={role}" for role in ("model", "benchmark", "score")]
    commands.done("evals", "import", str(table), *columns, "--column=metric==acc")
    shown = commands("evals", "leaderboard", "--benchmark", "arc_challenge", "--format", "csv")
    assert shown.stdout.splitlines()[1].startswith("org/a,")
    assert len(shown.stdout.splitlines()) == 3
    assert "arc_challenge joins the scores that are stored as ARC-C, arc." in shown.stderr
    listed = commands.json("evals", "benchmarks")
    assert {row["benchmark"]: row["canonical"] for row in listed} == {
        "arc": "arc_challenge",
        "ARC-C": "arc_challenge",
    }
    commands.done("evals", "benchmarks", "alias", "remove", "arc_challenge", "arc")
    shown = commands("evals", "leaderboard", "--benchmark", "arc_challenge", "--format", "csv")
    assert len(shown.stdout.splitlines()) == 2


def test_alias_commands(commands: Commands, tmp_path: Path) -> None:
    table = tmp_path / "scores.csv"
    table.write_text("model,benchmark,score\norg/a,ours,0.5\norg/b,theirs,0.25\n")
    columns = [f"--column={role}={role}" for role in ("model", "benchmark", "score")]
    commands.done("evals", "import", str(table), *columns, "--column=metric==acc")
    alias = ("evals", "benchmarks", "alias")
    added = commands(*alias, "add", "ours", "theirs", "--format", "csv")
    assert added.stdout.splitlines()[1] == "ours,theirs,,user,1.0"
    assert "Stored as ours: ours, theirs." in added.stderr
    assert commands.json(*alias, "list", "theirs") == [
        {
            "benchmark": "ours",
            "alias": "theirs",
            "variant": None,
            "source": "user",
            "confidence": 1.0,
        }
    ]
    refused = commands.refused(2, *alias, "list", "thers")
    assert "no benchmark 'thers'; did you mean theirs" in refused
    commands.done(*alias, "remove", "ours", "theirs")
    assert commands.json(*alias, "list", "theirs") == []
    commands.done(*alias, "add", "ours", "our-cot", "--variant", "cot")
    refused = commands.refused(2, *alias, "add", "theirs", "ours")
    assert "ours is a benchmark of its own, with 1 aliases. Give --yes to move all" in refused
    assert "ours is a benchmark of its own" in commands.refused(2, *alias, "add", "theirs", " OURS")
    commands.done(*alias, "add", "theirs", "ours", "--yes")
    assert {row["alias"]: row["variant"] for row in commands.json(*alias, "list", "theirs")} == {
        "our-cot": "cot",
        "ours": None,
    }


def test_an_upgrade_ships_the_aliases(commands: Commands) -> None:
    commands.done("db", "upgrade")
    listed = commands.json("evals", "benchmarks", "alias", "list", "MMLU Pro")
    assert "leaderboard_mmlu_pro" in {row["alias"] for row in listed}


def test_the_official_measure_is_shown(connection: Connection) -> None:
    """However many models have another one, and whatever name the benchmark has in its source."""
    official = Measure(
        metric="length_controlled_win_rate",
        filter="weighted_alpaca_eval_gpt4_turbo",
        upper=100,
        unit="%",
    )
    other = Measure(
        metric="win_rate", filter="weighted_alpaca_eval_gpt4_turbo", upper=100, unit="%"
    )
    for name in ("alpaca_eval", "tatsu-lab/alpaca_eval"):
        stored(
            connection,
            block(name, *(run(f"m{number}", score=50, measure=other) for number in range(3))),
            block(name, run("m0", score=20, measure=official)),
        )
    assert scores(rank(connection, benchmarks=["AlpacaEval"])) == {"m0": [0.2]}
    stored(connection, block("alpaca_eval_2", run("m0", score=40, measure=other)))
    assert scores(rank(connection, benchmarks=["alpaca_eval_2"])) == {"m0": [0.4]}


def test_an_official_measure_has_several_names(connection: Connection) -> None:
    """An unnamed score of more models does not lead, and no name of the measure is left out."""
    unnamed = Measure(metric="score", upper=100, unit="%")
    exact = Measure(metric="exact_match", filter="custom-extract")
    stored(
        connection,
        block("mmlu_pro", *(run(f"m{n}", score=90, measure=unnamed) for n in range(5))),
        block("mmlu_pro", run("m0", [1, 0])),
        block("leaderboard_mmlu_pro", run("m1", score=0.25, measure=exact)),
    )
    assert scores(rank(connection, benchmarks=["mmlu_pro"])) == {"m0": [0.5], "m1": [0.25]}


def test_mc2_of_truthfulqa_is_the_accuracy_of_its_task(connection: Connection) -> None:
    stored(
        connection,
        block("truthfulqa", run("m0", score=0.5, measure=Measure(metric="mc2"))),
        block("truthfulqa_mc2", run("m1", score=0.25)),
        block("truthfulqa_mc1", run("m2", score=0.125)),
        block("truthful_qa", run("m3", score=0.75, measure=Measure(metric="exact_match"))),
    )
    for name in ("truthfulqa", "truthfulqa_mc2", "TruthfulQA (MC2)"):
        assert scores(rank(connection, benchmarks=[name])) == {"m0": [0.5], "m1": [0.25]}
    assert scores(rank(connection, benchmarks=["truthfulqa_mc1"])) == {"m2": [0.125]}
