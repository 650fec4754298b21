"""Commands `registry domains`."""

import json
from pathlib import Path
from typing import Any

import pytest
from cli_commands import Commands
from domained import SET, quiz
from factories import rows
from priced import offer
from sqlalchemy import create_engine, text

from registry.prediction.domains import domain_storage

RATES = {
    "org/adder": {"sums": 0.9, "birds": 0.3, "law": 0.4},
    "org/all": {"sums": 0.6, "birds": 0.6, "law": 0.7},
}

YAML = """
ours:
  fallback: rest
  domains:
    sums: {quiz: [sums]}
    birds: {quiz: [birds]}
    rest: {quiz: [law]}
"""


@pytest.fixture
def asked(commands: Commands) -> Commands:
    """Items of three subjects, and two models."""
    assert commands.url is not None
    engine = create_engine(commands.url)
    with engine.begin() as connection:
        quiz(connection, RATES)
        connection.execute(text("UPDATE store.models SET parameters = 7e9"))
    engine.dispose()
    return commands


def sell(commands: Commands) -> None:
    """Sell all models at one price."""
    assert commands.url is not None
    engine = create_engine(commands.url)
    with engine.begin() as connection:
        for key, name in rows(connection, "SELECT model_id, name FROM store.models"):
            offer(connection, name, key, (1.0, 1.0))
    engine.dispose()


def no_prompt_without_a_word(asked: Commands, tmp_path: Path) -> None:
    wordless = tmp_path / "wordless.jsonl"
    wordless.write_text('\n{"id": "x", "prompt": "owl"}\n{"id": "y", "prompt": "???"}\n')
    for command in ("route", "classify"):
        for of, message in (
            (("--prompts", str(wordless)), "line 3, field 'prompt': the prompt has no word that"),
            (("???",), "The prompt has no word that the encoder 'hashing-512' reads"),
        ):
            refused = asked("domains", command, *of, "--set", "ours")
            assert refused.exit_code != 0
            assert message in refused.stderr


def test_a_set_is_imported_trained_and_used(asked: Commands, tmp_path: Path) -> None:
    path = tmp_path / "ours.yaml"
    path.write_text(YAML)
    result = asked("domains", "import", str(path))
    assert result.exit_code == 0, result.output
    assert "The set ours, of 3 domains, is stored." in result.stderr
    assert "is the same as before" in asked("domains", "import", str(path)).stderr
    (row,) = asked.json("domains", "train", "ours", "--encoder", "hashing")
    assert (row["domain_set"], row["domains"], row["items"], row["scores"]) == ("ours", 3, 180, 8)
    assert row["accuracy"] > 0.95
    listed = {each["domain_set"]: each for each in asked.json("domains", "list")}
    assert set(listed) == {"modem", "mmlu_pro", "ours"}
    assert listed["ours"]["accuracy"] == row["accuracy"]
    assert listed["modem"]["accuracy"] is None
    shown = asked.json("domains", "show", "ours")
    assert [(each["domain"], each["fallback"], each["items"]) for each in shown] == [
        ("sums", False, 60), ("birds", False, 60), ("rest", True, 60),
    ]  # fmt: skip
    found = asked.json(
        "domains", "classify", "add multiply root fraction digit total", "--set", "ours", "-k", "2"
    )
    assert (found[0]["prompt"], found[0]["domain"]) == ("1", "sums")
    assert found[0]["by"] == "vector and words"
    assert len(found) == 2
    experts = {each["domain"]: each for each in asked.json("domains", "experts", "--set", "ours")}
    assert {name: each["model"] for name, each in experts.items()} == {
        "sums": "org/adder", "birds": "org/all", "rest": "org/all",
    }  # fmt: skip
    assert experts["sums"]["runner_up"] == "org/all"
    prompts = tmp_path / "prompts.jsonl"
    prompts.write_text(
        "".join(
            json.dumps({"id": key, "prompt": prompt}) + "\n"
            for key, prompt in (
                ("x", "add multiply root fraction digit total"),
                ("y", "owl finch nest egg"),
            )
        )
    )
    routed = asked.json("domains", "route", "--prompts", str(prompts), "--set", "ours")
    assert [(each["prompt"], each["model"], each["domain"]) for each in routed] == [
        ("x", "org/adder", "sums"), ("y", "org/all", "birds"),
    ]  # fmt: skip
    no_prompt_without_a_word(asked, tmp_path)
    (one,) = asked.json(
        "domains",
        "route",
        "add multiply root fraction digit total",
        "--set",
        "ours",
        "--tier",
        "8B",
        "--pool",
        "org/all",
    )
    assert one["model"] == "org/all"
    prompt = "add multiply root fraction digit total"
    result = asked(
        "route", prompt, "--router", "domain", "--domain-set", "ours", "--format", "json"
    )
    assert result.exit_code == 0, result.output
    assert [each["model"] for each in json.loads(result.stdout)] == ["org/adder", "org/all"]
    assert "Domain sums, at 1.00: better than the best general model" in result.stderr
    # Where prices weigh there is no expert, so nothing says why one was chosen.
    sell(asked)
    result = asked(
        "route", prompt, "--router", "domain", "--domain-set", "ours", "--cost-weight", "0.1"
    )
    assert result.exit_code == 0, result.output
    assert "Domain sums, at 1.00.\n" in result.stderr
    # One estimate of what an answer costs, whatever command is asked.
    costs = {
        router: {each["model"]: each["expected_cost"] for each in asked.json(*command, prompt)}
        for router, command in {
            "domain": ("route", "--router", "domain", "--domain-set", "ours"),
            "domains": ("domains", "route", "--set", "ours", "-k", "3"),
        }.items()
    }
    tokens = len(prompt) / 4.1
    assert costs["domain"] == costs["domains"]
    assert costs["domain"]["org/adder"] == pytest.approx(tokens * (1 + 1 / 3) * 1e-6)
    assert "--tier is an option of --router domain" in asked.refused(
        2, "route", prompt, "--tier", "8B"
    )
    assert "registry domains route --prompts" in asked.refused(
        2, "route", "--prompts", str(prompts), "--router", "domain"
    )
    none = ("domains", "route", "add", "--set", "ours", "--tier", "3B")
    assert "No model is left to choose from" in asked.refused(1, *none)
    unknown = ("domains", "route", "add", "--set", "ours", "--pool", "org/al")
    assert "org/all" in asked.refused(1, *unknown)


def refused(commands: Commands, *arguments: str) -> str:
    return commands.refused(2, "domains", *arguments)


def test_bad_input_is_a_sentence(commands: Commands, tmp_path: Path) -> None:
    bad = tmp_path / "bad.csv"
    bad.write_text("domain,benchmark\na,x\nb,x\n")
    assert "bad.csv, line 3: x: all is mapped twice" in refused(commands, "import", str(bad))
    assert "There is no set of domains yet" in refused(commands, "show", "ours")
    assert "There is no set of domains yet" in refused(commands, "classify", "x")
    assert "Give a PROMPT, or a file" in refused(commands, "classify")
    assert "leave --set out" in refused(
        commands, "classify", "x", "--classifier", "f", "--set", "s"
    )
    for command in ("classify", "route"):
        long = tmp_path / "long.jsonl"
        long.write_text(json.dumps({"id": 1, "prompt": "x" * 1_000_001}) + "\n")
        assert "has 1,000,001 characters; 1,000,000 are read" in commands.refused(
            1, "domains", command, "--prompts", str(long)
        )
    assert "There is no prompt" in refused(commands, "classify", " ")
    assert "There is no set of domains yet" in refused(commands, "experts")
    assert "no set of domains named 'nobody'" in refused(
        commands, "train", "nobody", "--encoder", "hashing"
    )
    out = commands.done("domains", "list")
    assert "modem" not in out


def test_tiers_that_are_no_sizes_are_refused(commands: Commands) -> None:
    assert commands.url is not None
    engine = create_engine(commands.url)
    with engine.begin() as connection:
        domain_storage.write_set(connection, SET)
    engine.dispose()
    found: Any = commands.json("domains", "experts", "--set", "ours", "--tier", "8B")
    assert found == []
    said = commands.refused(1, "domains", "experts", "--set", "ours", "--tier", "big")
    assert "'big' is no size tier; write a size such as 8B" in said
