"""`registry models` and `registry similar` on the sample Hub's models."""

import csv
import io
import itertools
from datetime import UTC, datetime
from typing import Any

import factories
import pytest
from cli_commands import Commands
from sqlalchemy import Engine

from registry.db import jobs

BASE = "mistralai/Mistral-7B-v0.1"
FORMER = "meta-llama/Meta-Llama-3.1-8B"
PRESENT = "meta-llama/Llama-3.1-8B"


def found(sample: Commands, *arguments: str) -> list[dict[str, Any]]:
    rows = sample.json("models", "search", *arguments)
    assert isinstance(rows, list)
    return rows


def every_model(sample: Commands) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = sample.json(
        "query", "SELECT * FROM models WHERE state <> 'stub'", "--max-rows", "9999"
    )
    return rows


@pytest.mark.parametrize(
    ("arguments", "fits"),
    [
        (["--license", "apache-2.0"], lambda m: m["license"] == "apache-2.0"),
        (
            ["--license", "MIT", "--license", "llama2"],
            lambda m: m["license"] in {"mit", "llama2"},
        ),
        (["--min-parameters", "40B"], lambda m: (m["parameters"] or 0) >= 40e9),
        (
            ["--min-parameters", "6.5B", "--max-parameters", "7_500_000_000"],
            # A size that is only a parent's passes no limit.
            lambda m: 6.5e9 <= (m["parameters"] or 0) <= 7.5e9 and not m["parameters_inherited"],
        ),
        (["--task", "text-generation"], lambda m: m["pipeline_tag"] == "text-generation"),
        (["--task", "Text-Generation"], lambda m: m["pipeline_tag"] == "text-generation"),
        (["--library", "PEFT"], lambda m: m["library"] == "peft"),
        (["--author", "MistralAI"], lambda m: m["author"] == "mistralai"),
        (
            ["--author", "mistralAI", "--library", "Transformers", "--sort", "name"],
            lambda m: (m["author"], m["library"]) == ("mistralai", "transformers"),
        ),
        (["--library", "peft"], lambda m: m["library"] == "peft"),
        (["--author", "mistralai"], lambda m: m["author"] == "mistralai"),
        (["--tag", "gguf"], lambda m: "gguf" in m["tags"]),
        (
            ["--tag", "gguf", "--tag", "mistral"],
            lambda m: {"gguf", "mistral"} <= set(m["tags"]),
        ),
        (["--family", BASE], lambda m: m["family_root"] == BASE),
        (["--architecture", "qwen"], lambda m: m["architecture"] == "qwen"),
        (["--architecture", "qwen2"], lambda m: m["model_type"] == "qwen2"),
        (
            ["--architecture", "LlamaForCausalLM"],
            lambda m: "LlamaForCausalLM" in m["architectures"],
        ),
        (["--quantization", "gguf"], lambda m: m["quantization"] == "gguf"),
        (
            ["--quantization", "gptq"],
            lambda m: m["quantization"] in {"gptq", "gptq-4bit", "gptq-8bit"},
        ),
        (["--quantization", "AWQ-4bit"], lambda m: m["quantization"] == "awq-4bit"),
        (["--quantization", "none"], lambda m: m["quantization"] is None),
        (["--state", "gated"], lambda m: m["state"] == "gated"),
        (["--created-after", "2025-01-01"], lambda m: m["created_at"] >= "2025-01-01"),
        (["--created-before", "2023-06-01"], lambda m: m["created_at"] < "2023-06-01"),
        (["--modified-after", "2025-06-01"], lambda m: m["last_modified"] >= "2025-06-01"),
        (
            ["--modified-before", "2023-06-01T00:00+02:00"],
            lambda m: m["last_modified"] < "2023-05-31T22",
        ),
        (
            ["--author", "TheBloke", "--quantization", "gguf", "--license", "llama2"],
            lambda m: (
                (m["author"], m["quantization"], m["license"]) == ("TheBloke", "gguf", "llama2")
            ),
        ),
    ],
    ids=lambda each: " ".join(each) if isinstance(each, list) else "",
)
def test_filters_find_what_a_plain_look_at_every_model_finds(
    sample: Commands, arguments: list[str], fits: Any
) -> None:
    expected = {model["name"] for model in every_model(sample) if fits(model)}
    assert expected, "the sample has none of these: the test shows nothing"
    assert {row["name"] for row in found(sample, *arguments, "--limit", "9999")} == expected


@pytest.mark.parametrize(
    ("sort", "key"),
    [
        ("downloads", "downloads"),
        ("likes", "likes"),
        ("trending", "trending_score"),
        ("created", "created_at"),
        ("modified", "last_modified"),
    ],
)
@pytest.mark.parametrize("words", [[], ["mistral"]], ids=["all", "words"])
def test_order(sample: Commands, sort: str, key: str, words: list[str]) -> None:
    values = [row[key] for row in found(sample, *words, "--sort", sort, "--limit", "50")]
    assert len(values) == 50
    assert all(one >= two for one, two in itertools.pairwise(values))
    assert values[0] > values[-1]


def test_most_downloaded_come_first_by_default(sample: Commands) -> None:
    top = max(every_model(sample), key=lambda model: model["downloads"])
    assert found(sample, "--limit", "1")[0]["name"] == top["name"]


def test_words_and_filters(sample: Commands) -> None:
    rows = found(sample, "zephyr beta", "--quantization", "gguf")
    assert [row["name"] for row in rows] == ["TheBloke/zephyr-7B-beta-GGUF"]


def test_words_alone_find_the_model_of_that_name_first(sample: Commands) -> None:
    assert (
        found(sample, "HuggingFaceH4/zephyr-7b-beta")[0]["name"] == "HuggingFaceH4/zephyr-7b-beta"
    )


def test_misspelled_words_with_a_filter(sample: Commands) -> None:
    rows = found(sample, "mistrall", "--license", "apache-2.0")
    assert rows
    assert all(row["license"] == "apache-2.0" for row in rows)
    assert "mistral" in rows[0]["name"].lower()


def test_nothing_found(sample: Commands) -> None:
    result = sample("models", "search", "--author", "nobody", "--format", "json")
    assert (result.exit_code, result.stdout, result.stderr) == (
        0,
        "[]\n",
        "No model matches.\n",
    )


def test_states_of_models_that_no_listing_shows(commands: Commands, engine: Engine) -> None:
    with engine.begin() as connection:
        factories.stub(connection, "org/parent")
        factories.model(connection, "org/gone", state="gone")
        factories.counters(connection, "org/there", downloads=1)
    names = "models", "search", "--format", "quiet"
    # Without counters a model has no place among the most downloaded.
    assert commands.done(*names) == "org/there\n"
    assert commands.done(*names, "--state", "stub") == "org/parent\n"
    assert commands.done(*names, "--sort", "name") == "org/gone\norg/parent\norg/there\n"
    assert commands.done(*names, "--state", "gone", "--sort", "created") == "org/gone\n"


def test_search_as_csv_has_raw_numbers(sample: Commands) -> None:
    rows = list(
        csv.DictReader(io.StringIO(sample.done("models", "search", "--author", "mistralai")))
    )
    assert rows[0]["name"].startswith("mistralai/")
    assert int(rows[0]["parameters"]) > 1e9
    assert rows[0]["last_modified"].endswith("Z")


def test_search_as_a_table_fits_narrow_windows(sample: Commands) -> None:
    wide = sample.done("models", "search", BASE, "--limit", "1", "--format", "table", COLUMNS="200")
    assert "7.2B" in wide
    assert "family" in wide
    result = sample("models", "search", BASE, "--limit", "1", "--format", "table", COLUMNS="50")
    assert result.exit_code == 0
    assert max(map(len, result.stdout.splitlines())) <= 50
    assert BASE in result.stdout
    assert "No room for: " in result.stderr
    narrow = sample("models", "search", BASE, "--limit", "1", "--format", "table", COLUMNS="12")
    assert narrow.exit_code == 0
    assert max(map(len, narrow.stdout.splitlines())) <= 12


def test_show(sample: Commands) -> None:
    shown = sample.json("models", "show", "HuggingFaceH4/zephyr-7b-beta")
    assert shown["model"]["license"] == "mit"
    assert [each["parent"] for each in shown["parents"]] == [BASE]
    assert shown["children"]["quantized"] == 3
    assert shown["family_models"] > 10
    assert len(shown["similar"]) == 5
    assert len(shown["history"]) == 1
    table = sample.done("models", "show", "HuggingFaceH4/zephyr-7b-beta", "--format", "table")
    for section in ("licence", "counters", "made from", "made into", "family", "most similar"):
        assert f"\n{section}\n" in table, section
    assert "7.2B (7,241,732,096, known from safetensors)" in table
    assert sample.done("models", "show", BASE, "--format", "quiet") == f"{BASE}\n"


def test_show_by_a_former_name(sample: Commands) -> None:
    result = sample("models", "show", FORMER, "--format", "quiet")
    assert (result.exit_code, result.stdout) == (0, f"{PRESENT}\n")
    assert result.stderr == f"{FORMER} is now {PRESENT}.\n"


def test_show_draws_history(commands: Commands, engine: Engine) -> None:
    with engine.begin() as connection:
        factories.counters(connection, "org/m", downloads=1500, likes=3)
        for day, downloads in ((1, 1000), (2, 1200), (3, 1500)):
            factories.history(
                connection,
                "org/m",
                datetime(2026, 3, day, tzinfo=UTC),
                downloads=downloads,
                likes=3,
            )
    table = commands.done("models", "show", "org/m", "--format", "table")
    assert "1,500  ▁▄█  +300 on 2026-03-03" in table
    assert "3  ▄▄▄  +0 on 2026-03-03" in table


def test_show_a_stub(commands: Commands, engine: Engine) -> None:
    with engine.begin() as connection:
        factories.stub(connection, "org/parent")
    assert "stub" in commands.done("models", "show", "org/parent", "--format", "table")


def test_compare(sample: Commands) -> None:
    other = "Qwen/Qwen2.5-7B"
    lines = sample.done("models", "compare", BASE, other, "--format", "table").splitlines()
    assert any(line.split()[:3] == ["architecture", "≠", "mistral"] for line in lines)
    assert any(line.split() == ["license", "apache-2.0", "apache-2.0"] for line in lines)
    compared = sample.json("models", "compare", BASE, other)
    assert [model["name"] for model in compared["models"]] == [BASE, other]
    assert [(pair["a"], pair["b"]) for pair in compared["similarity"]] == [(BASE, other)]
    assert 0 <= compared["similarity"][0]["combined"] <= 1
    rows = list(csv.DictReader(io.StringIO(sample.done("models", "compare", BASE, other))))
    assert {row["field"]: row["differs"] for row in rows}["architecture"] == "true"


def test_compare_three_gives_three_pairs(sample: Commands) -> None:
    compared = sample.json("models", "compare", BASE, "Qwen/Qwen2.5-7B", FORMER)
    assert len(compared["similarity"]) == 3


def test_compare_marks_where_only_the_middle_one_differs(sample: Commands) -> None:
    names = (BASE, "Qwen/Qwen2.5-7B", "HuggingFaceH4/zephyr-7b-beta")
    rows = list(csv.DictReader(io.StringIO(sample.done("models", "compare", *names))))
    (row,) = (row for row in rows if row["field"] == "architecture")
    assert [row[name] for name in names] == ["mistral", "qwen", "mistral"]
    assert row["differs"] == "true"


def test_compare_a_model_with_itself(sample: Commands) -> None:
    assert "same model" in sample.refused(2, "models", "compare", FORMER, PRESENT)


def test_similar(sample: Commands) -> None:
    rows = sample.json("similar", BASE, "-k", "3")
    assert len(rows) == 3
    assert all(row["name"] != BASE for row in rows)
    assert rows == sorted(rows, key=lambda row: -row["combined"])


def test_aliases(commands: Commands, engine: Engine) -> None:
    with engine.begin() as connection:
        factories.model(connection, "org/one")
        factories.model(connection, "org/two")
    alias, quiet = ("models", "alias"), ("--format", "quiet")
    assert commands.done(*alias, "list", "org/one", *quiet) == "org/one\n"
    added = commands.done(*alias, "add", "org/one", "uno", "un", *quiet)
    assert added == "org/one\nun\nuno\n"
    assert commands.done("models", "show", "UNO", *quiet) == "org/one\n"
    # A second time changes nothing, nor does a model's own name.
    assert commands.done(*alias, "add", "uno", "un", *quiet) == added
    assert commands.done(*alias, "add", "uno", "org/one", *quiet) == added
    assert commands.done(*alias, "list", "UN", *quiet) == added
    removed = commands.done(*alias, "remove", "un", "un", *quiet)
    assert removed == "org/one\nuno\n"
    assert commands.json(*alias, "list", "org/one")[-1]["source"] == "user"


def test_aliases_that_cannot_be(commands: Commands, engine: Engine) -> None:
    with engine.begin() as connection:
        factories.model(connection, "org/one")
        factories.model(connection, "org/two")
        factories.alias(connection, "org/two", "deux")
    add, remove = (("models", "alias", each, "org/one") for each in ("add", "remove"))
    assert "present name of another model" in commands.refused(1, *add, "org/two")
    assert "registry models alias remove org/two deux" in commands.refused(1, *add, "deux")
    assert "deux is not an alias of org/one" in commands.refused(1, *remove, "deux")
    assert "printable" in commands.refused(2, *add, " ")
    assert "printable" in commands.refused(2, *add, "x" * 256)
    commands.refused(2, *add)
    assert "org/none" in commands.refused(1, "models", "alias", "list", "org/none")
    # One that fails leaves none of the others.
    commands.refused(1, *add, "good", "deux")
    listed = commands.done("models", "alias", "list", "org/one", "--format", "quiet")
    assert listed == "org/one\n"


@pytest.mark.parametrize("change", [("add", "org/one", "un"), ("remove", "org/one", "uno"),
                                    ("resolve",)])  # fmt: skip
def test_names_do_not_change_during_an_import(
    commands: Commands, engine: Engine, change: tuple[str, ...]
) -> None:
    with engine.begin() as connection:
        factories.alias(connection, factories.model(connection, "org/one"), "uno")
    with jobs.exclusive(engine, jobs.Lock.EVALUATIONS):
        assert "Another evals import is running" in commands.refused(5, "models", "alias", *change)
        listed = commands.done("models", "alias", "list", "org/one", "--format", "quiet")
        assert listed == "org/one\nuno\n"
        assert commands.json("models", "alias", "unresolved") == []
    commands.done("models", "alias", *change)
