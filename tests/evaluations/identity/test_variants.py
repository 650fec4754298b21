"""Names of systems around a model: what is a way of running it, and what is part of its name."""

import re
from pathlib import Path

import factories
import pytest
from evaluated import block, run, write
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine

from registry.errors import UnreadableFileError
from registry.evaluations.formats.tables.mapping import ModelRule
from registry.evaluations.formats.tables.mapping_parser import parse_mapping
from registry.evaluations.formats.tables.presets import load_mapping
from registry.evaluations.identity.systems import part_systems
from registry.evaluations.identity.variants import SplitName, split, variant_in
from registry.evaluations.importer import ImportOptions, import_files

NAMES = st.from_regex(r"[A-Za-z][A-Za-z0-9.-]{0,10}[A-Za-z0-9]", fullmatch=True).filter(
    lambda name: "pairrm" not in name.lower() and "best" not in name.lower()
)
SETTINGS = st.sampled_from([
    "high", "low", "medium effort", "reasoning: high", "no thinking", "no think", "32k thinking",
    "32k thinking tokens", "default think", "with tools", "with python", "best of 8", "maj@64",
])  # fmt: skip
NO_SETTINGS = st.sampled_from([
    "0324", "2025-02-15", "34B", "base", "chat", "prev", "bf16", "Alibaba API", "v2", "instruct",
])  # fmt: skip


PLAIN = ("no tools", "no-tools", "without search", "without tools")


@pytest.mark.parametrize("plain", PLAIN)
@given(NAMES, st.lists(SETTINGS, max_size=2, unique=True))
def test_what_says_that_nothing_is_added_is_plain(
    plain: str, name: str, settings: list[str]
) -> None:
    stated = ", ".join(each for each in settings if each != "no tools") or None
    assert split(f"{name} ({', '.join([plain, *settings])})") == SplitName(name, stated)
    note = ", ".join(["as reported", plain, *settings, "5 runs"])
    assert variant_in(note) == stated


def test_notes_without_settings_are_plain() -> None:
    for note in (None, "", "reported by the authors", "0-shot", "avg of 5"):
        assert variant_in(note) is None
    assert variant_in("thinking; high reasoning effort") == "thinking, high reasoning effort"


@given(NAMES, st.lists(SETTINGS, min_size=1, max_size=3, unique=True))
def test_settings_in_brackets_are_the_variant(name: str, settings: list[str]) -> None:
    listed = ", ".join(settings)
    assert split(f"{name} ({listed})") == SplitName(name, listed)
    assert split(f"{name} ({settings[0]})") == SplitName(name, settings[0])


@given(NAMES, NO_SETTINGS, st.lists(SETTINGS, max_size=2))
def test_dates_sizes_and_versions_are_of_the_name(
    name: str, other: str, settings: list[str]
) -> None:
    whole = f"{name} ({', '.join([*settings, other])})"
    assert split(whole) == SplitName(whole, None)
    assert split(name) == SplitName(name, None)


@given(NAMES, st.integers(2, 128))
def test_the_best_of_several_answers_is_a_system(name: str, n: int) -> None:
    assert split(f"{name}-best-of-{n}") == SplitName(name, f"best-of-{n}")
    assert split(f"{name}_best_of_{n} (high)") == SplitName(name, f"best-of-{n}, high")
    # A repository is a model whatever it is called.
    assert split(f"org/{name}-best-of-{n}") == SplitName(f"org/{name}-best-of-{n}", None)
    assert split(f"pairrm-{name}") == SplitName(f"pairrm-{name}", "pairrm")


@given(NAMES)
def test_rules_of_a_source_come_first(name: str) -> None:
    rules = [
        ModelRule(like=re.compile(r"(.+)@old"), name=r"\1-v0"),  # type: ignore[arg-type] # a text
        ModelRule(like=re.compile("(.+)_(short)"), name=r"\1", variant=r"\2"),  # type: ignore[arg-type]
        ModelRule(like=re.compile("(.+)")),
    ]
    assert split(f"{name}@old", rules) == SplitName(f"{name}-v0", None)
    assert split(f"{name}_short", rules) == SplitName(name, "short")
    assert split(f"{name}@old_short", rules) == SplitName(f"{name}-v0", "short")
    # A rule that changes nothing keeps a name from all further ones.
    assert split(f"{name} (high)", rules) == SplitName(f"{name} (high)", None)
    endless = [ModelRule(like=re.compile("(.*)"), name=r"x\1", variant="y")]  # type: ignore[arg-type]
    assert split(name, endless).variant == "y"


@given(st.text())
def test_any_text_can_be_split(text: str) -> None:
    model, variant = split(text)
    assert model in text
    assert variant is None or variant


def test_rules_are_checked_when_they_are_read() -> None:
    document: dict[str, object] = {
        "layout": "scores",
        "columns": {"model": "m", "benchmark": "b", "score": "s"},
        "models": [{"like": "(.+)_x", "name": r"\2"}],
    }
    with pytest.raises(UnreadableFileError, match=r"models\[0\].*groups of its pattern"):
        parse_mapping("file", "name", document)


@pytest.mark.parametrize(
    ("name", "model", "variant"),
    [
        ("org/m best-of-8", "org/m", "best-of-8"),
        ("org/m [tools]", "org/m", "tools"),
        ("org/m + web search", "org/m", "web search"),
        ("org/m (agent)", "org/m", "agent"),
        ("org/m (scaffold: SWE-agent)", "org/m", "scaffold: SWE-agent"),
        ("org/m (CoT)", "org/m", "CoT"),
        ("org/m-best-of-8", "org/m-best-of-8", None),
        ("o3 (high) + gpt-4.1", "o3 (high) + gpt-4.1", None),
        ("a + b", "a + b", None),
    ],
)
def test_systems_that_names_add_to_a_model(name: str, model: str, variant: str | None) -> None:
    assert split(name) == SplitName(model, variant)


def test_an_effort_that_the_name_states_too_is_one(engine: Engine, tmp_path: Path) -> None:
    path = tmp_path / "polyglot_leaderboard.csv"
    path.write_text(
        "model,pass_rate_1,pass_rate_2,test_cases,edit_format,editor_model,date,reasoning_effort\n"
        "o3 (high),1,40,9,diff,,2025-04-16,high\n"
        "o3 (high) + gpt-4.1,1,60,9,architect,gpt-4.1,2025-04-16,high\n"
        "gpt-5,1,20,9,diff,,2025-08-08,low\n"
        "gpt-5,1,80,9,diff,,2025-08-08,high\n"
        "gpt-5,1,50,9,diff,,2025-08-07,\n"
    )
    [report] = import_files(engine, [path], ImportOptions())
    assert report.error is None
    with engine.connect() as connection:
        query = """SELECT model, raw_score, variant FROM registry.runs
                    WHERE metric = 'pass_rate_2' ORDER BY raw_score"""
        assert [tuple(row) for row in connection.exec_driver_sql(query)] == [
            ("gpt-5", 20, "low"), ("o3", 40, "high"), ("gpt-5", 50, None),
            ("o3 (high) + gpt-4.1", 60, None), ("gpt-5", 80, "high"),
        ]  # fmt: skip
        query = "SELECT model, variant FROM registry.leaderboard WHERE model = 'gpt-5'"
        assert [tuple(row) for row in connection.exec_driver_sql(query)] == [("gpt-5", None)]


def test_a_revision_in_the_name_is_the_runs(engine: Engine, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("name,score\norg/m,0.4\norg/m@step1000,0.9\norg/m@main,0.4\n")
    roles = {"model": "name", "score": "score", "benchmark": "=b"}
    import_files(engine, [path], ImportOptions(roles=roles))
    with engine.connect() as connection:
        query = "SELECT model, revision, score FROM registry.runs ORDER BY score, revision"
        found = [tuple(row) for row in connection.exec_driver_sql(query)]
        assert found == [("org/m", None, 0.4), ("org/m", None, 0.4), ("org/m", "step1000", 0.9)]
        query = "SELECT score FROM registry.leaderboard"
        assert [tuple(row) for row in connection.exec_driver_sql(query)] == [(0.4,)]


def test_systems_that_were_their_models_names_are_parted(engine: Engine) -> None:
    rules = load_mapping("alpaca-eval").layouts[0].models
    with engine.begin() as connection:
        factories.model(connection, "org/m")
        for name in ("m", "m_concise", "m-best-of-16", "m (high)"):
            factories.alias(connection, "org/m", name, source="evaluation")
        factories.alias(connection, "org/m", "m_verbose", source="user")
        names = ("m", "m_concise", "m-best-of-16", "m_verbose")
        write(connection, *(block("b", run(name, score=0.5)) for name in names))
    with engine.begin() as connection:
        assert part_systems(connection, "0011", rules) == 0
        assert part_systems(connection, "0010", rules) == 3
    with engine.connect() as connection:
        query = "SELECT spelling, model FROM registry.runs ORDER BY spelling"
        assert [tuple(row) for row in connection.exec_driver_sql(query)] == [
            ("m", "org/m"), ("m-best-of-16", "m-best-of-16"), ("m_concise", "m_concise"),
            ("m_verbose", "org/m"),
        ]  # fmt: skip
        query = "SELECT alias FROM registry.model_aliases WHERE source <> 'name' ORDER BY alias"
        found = [alias for (alias,) in connection.exec_driver_sql(query)]
        assert found == ["m", "m_verbose"]


def test_a_table_says_it_in_the_name_or_in_a_column(engine: Engine, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text(
        "name,score,way\norg/m,0.4,\norg/m,0.9,agent\nn (high),0.7,tools\nn,0.5,\no (high),0.8,\n"
    )
    roles = {"model": "name", "score": "score", "variant": "way", "benchmark": "=b"}
    [report] = import_files(engine, [path], ImportOptions(roles=roles))
    assert report.error is None
    with engine.connect() as connection:
        query = "SELECT model, score, variant FROM registry.leaderboard ORDER BY model"
        assert [tuple(row) for row in connection.exec_driver_sql(query)] == [
            ("n", 0.5, None), ("o", 0.8, "high"), ("org/m", 0.4, None)
        ]  # fmt: skip
        query = "SELECT model, variant FROM registry.runs WHERE variant IS NOT NULL ORDER BY 1, 2"
        assert [tuple(row) for row in connection.exec_driver_sql(query)] == [
            ("n", "high, tools"), ("o", "high"), ("org/m", "agent")
        ]  # fmt: skip
