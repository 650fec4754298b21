"""`registry route`: routers and their options, and prompts of a file."""

import csv
import io
from pathlib import Path

import numpy as np
import orjson
import pytest
from cli_commands import Commands
from factories import rows
from learned import drawn, kept
from priced import offer
from routed import kept_router, unit
from sqlalchemy import Engine, text

from registry.learning.encoders import open_encoder
from registry.learning.routing.routing_problem import RoutingProblem


@pytest.fixture
def routing(engine: Engine) -> Engine:
    """A database whose current version routes prompts of the hashing encoder."""
    words = ["sum", "law", "dog"]
    prompts = [f"{words[place % 3]} question {place}" for place in range(90)]
    outcomes = (np.arange(90) % 3 == np.arange(3)[:, None]).astype(np.float32)
    encoder = open_encoder("hashing")
    problem = RoutingProblem(
        outcomes, encoder.encode(prompts), np.arange(90) % 3, np.full((3, 90), np.nan)
    )
    with engine.begin() as connection:
        kept_router(connection, problem, settings=None)
        connection.execute(
            text("UPDATE store.embedding_versions SET encoder = :name"), {"name": encoder.name}
        )
        for place, price in enumerate((0.5, 1.0)):
            key = rows(connection, f"SELECT model_id FROM store.models WHERE name = 'org/m{place}'")
            offer(connection, f"m{place}", key[0][0], (price, 5 * price))
    return engine


def test_the_best_router_is_the_default(commands: Commands, routing: Engine) -> None:
    del routing
    for place, word in enumerate(["sum", "law", "dog"]):
        first, *others = commands.json("route", f"{word} question 1000")
        assert first["model"] == f"org/m{place}"
        assert first["probability"] > 0.6
        assert others[0]["probability"] < 0.4
        assert first["lower"] < first["probability"] < first["upper"]
        assert first["router"] == "best"
    assert commands.json("route", "law 1", "--router", "knn", "-k", "1")[0]["model"] == "org/m1"
    near = commands.json("route", "law 1", "--router", "knn", "--neighbours", "7")
    assert near[0]["compared"] == 7
    assert commands.json("route", "law", "--router", "factorization")[0]["logit"] is not None
    assert commands.json("route", "law", "--router", "cheapest")[0]["model"] == "org/m0"
    assert len(commands.json("route", "law", "--router", "best-single")) == 3


def test_a_cascade_names_the_model_to_ask(commands: Commands, routing: Engine) -> None:
    del routing
    asked = ("route", "law question 5", "--router", "cascade")
    found = commands.json(*asked, "--threshold", "0.5")
    # Both models with prices are as good at all there is, so the dear one is no step.
    assert [(row["model"], row["step"], row["asked"]) for row in found] == [("org/m0", 1, True)]
    assert found[0]["level"] == pytest.approx(1 / 3, abs=1e-3)
    done = commands(*asked, "--threshold", "1")
    assert done.exit_code == 0, done.output
    assert "No model of the cascade reaches 1: its likeliest." in done.stderr
    assert commands.done(*asked, "--format", "quiet").split() == [row["model"] for row in found]
    for wrong, said in (
        (("--cost-weight", "1"), "A cascade has --threshold: leave --cost-weight out"),
        (("--minimum-probability", "0.5"), "leave --minimum-probability out"),
        (("-k", "1"), "two models or more"),
    ):
        assert said in commands.refused(1 if wrong[0] == "-k" else 2, *asked, *wrong)
    assert "is an option of --router cascade" in commands.refused(
        2, "route", "law", "--threshold", "0.5"
    )


def test_options_choose(commands: Commands, routing: Engine) -> None:
    del routing
    prompt = "law question 5"
    found = commands.json("route", prompt, "--max-price", "1.2")
    assert [row["model"] for row in found] == ["org/m0"]
    # A token is 4.1 characters; an answer has a third of the prompt's, or as many as are stated.
    tokens = 14 / 4.1
    assert found[0]["expected_cost"] == pytest.approx((tokens * 0.5 + tokens / 3 * 2.5) / 1e6)
    stated = commands.json("route", prompt, "--max-price", "1.2", "--output-tokens", "10")
    assert stated[0]["expected_cost"] == pytest.approx((tokens * 0.5 + 10 * 2.5) / 1e6)
    weighed = commands.json("route", prompt, "--cost-weight", "100")
    assert weighed[0]["model"] == "org/m0"
    done = commands("route", prompt, "--minimum-probability", "1", "--format", "quiet")
    assert done.exit_code == 0
    assert "No model reaches the minimum probability of 1: best single model." in done.stderr
    assert "0.01" in commands.refused(1, "route", prompt, "--max-price", "0.01")
    assert "--router knn" in commands.refused(2, "route", prompt, "--neighbours", "3")
    assert "characters" in commands.refused(2, "route", "x" * 1_000_001)
    assert "There is no prompt" in commands.refused(2, "route")
    for option in ("--max-price", "--cost-weight", "--minimum-probability"):
        assert "nan" in commands.refused(2, "route", prompt, option, "nan")


def test_prompts_of_a_file_are_routed(commands: Commands, routing: Engine, tmp_path: Path) -> None:
    del routing
    file = tmp_path / "prompts.jsonl"
    asked = [("a", "sum question 4000"), (7, "law question 4001"), ("c", "dog question 4002")]
    lines = [orjson.dumps({"id": id_, "prompt": prompt}) for id_, prompt in asked]
    file.write_bytes(b"\n".join(lines))
    written = commands.done("route", "--prompts", str(file), "--format", "csv")
    header, *found = csv.reader(io.StringIO(written))
    assert header == ["id", "model", "probability", "expected_cost"]
    assert [row[:2] for row in found] == [["a", "org/m0"], ["7", "org/m1"], ["c", "org/m2"]]
    for (_, prompt), row in zip(asked, found, strict=True):
        single = commands.json("route", prompt, "-k", "1")[0]
        assert float(row[2]) == pytest.approx(single["probability"], abs=2e-3)
        assert (float(row[3]) if row[3] else None) == pytest.approx(single["expected_cost"])
    low = commands("route", "--prompts", str(file), "--minimum-probability", "1")
    assert "Of 3 prompts, no model reaches the minimum probability of 1" in low.stderr
    wordless = tmp_path / "wordless.jsonl"
    wordless.write_bytes(b'{"id": "a", "prompt": "sum"}\n\n{"id": "b", "prompt": "???"}\n')
    for command in (("route",), ("route", "--router", "factorization")):
        message = commands.refused(1, *command, "--prompts", str(wordless))
        assert "wordless.jsonl, line 3" in message
        assert "the prompt has no word that the encoder 'hashing-512' reads" in message
    assert "The prompt has no word" in commands.refused(2, "route", "???")
    assert len(commands.json("route", "???", "--router", "best-single")) == 3
    pool = ("--pool", "org/m0", "--format", "quiet")
    assert commands.done("route", "--prompts", str(file), *pool).count("\n") == 3
    file.write_bytes(b'{"id": "a"}\n')
    assert "line 1" in commands.refused(1, "route", "--prompts", str(file))
    assert "leave PROMPT and --log out" in commands.refused(
        2, "route", "hello", "--prompts", str(file)
    )
    assert "leave -k out" in commands.refused(2, "route", "--prompts", str(file), "-k", "3")
    file.write_bytes(b"")
    assert "no prompt in it" in commands.refused(1, "route", "--prompts", str(file))


def test_a_version_without_routers_routes_by_factorization_and_says_so(
    commands: Commands, engine: Engine, tmp_path: Path
) -> None:
    encoder = open_encoder("hashing")
    with engine.begin() as connection:
        serving = np.concatenate([unit(np.random.default_rng(0), 3, encoder.dimension),
                                  np.zeros((3, 1), np.float32)], axis=1)  # fmt: skip
        kept(connection, drawn(3), serving=serving, encoder=encoder.name)
    file = tmp_path / "prompts.jsonl"
    file.write_bytes(b'{"id": "a", "prompt": "hello"}\n')
    for arguments in (("hello",), ("--prompts", str(file))):
        done = commands("route", *arguments)
        assert (done.exit_code, "no router but factorization" in done.stderr) == (0, True)
    assert "has no routers" in commands.refused(1, "route", "hello", "--router", "best")
