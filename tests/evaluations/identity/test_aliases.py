"""Aliases of benchmarks: stored names keep theirs, and are joined by canonical names."""

from typing import Any

import pytest
from evaluated import ACC, block, day, items, run, write
from factories import rows
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, Engine, text

from registry.errors import RegistryError, UsageError
from registry.evaluations import benchmarks
from registry.evaluations.identity.aliases import list_aliases, ship
from registry.evaluations.identity.changes import change_benchmark_aliases
from registry.evaluations.identity.shipped import name_key, shipped_aliases
from registry.evaluations.outcomes import select
from registry.evaluations.records import Measure, Source
from registry.evaluations.removal import RemovalSelection, remove

SIX = (
    "mmlu_pro",
    "leaderboard_mmlu_pro",
    "TIGER-Lab/MMLU-Pro",
    "MMLU-PRO",
    "MMLU-Pro - COT correct",
    "MMLU-PRO (5-shot)",
)


def names_of(connection: Connection, asked: str) -> set[str]:
    """Return the stored names that a name stands for."""
    query = """
        SELECT name FROM store.benchmarks
         WHERE benchmark_id IN (SELECT store.benchmark_ids(:asked))"""
    return {name for (name,) in rows(connection, query, asked=asked)}


def canonical(connection: Connection, name: str) -> str:
    query = "SELECT canonical FROM registry.benchmarks WHERE benchmark = :name"
    return str(rows(connection, query, name=name)[0][0])


def board(connection: Connection, benchmark: str) -> list[tuple[Any, ...]]:
    query = """
        SELECT model, round(score::numeric, 3)::float8, stated_as, prompting
          FROM registry.canonical_leaderboard WHERE benchmark = :benchmark ORDER BY model"""
    return rows(connection, query, benchmark=benchmark)


def test_six_names_are_one_benchmark(connection: Connection) -> None:
    write(connection, *(block(name, run(f"org/m{n}", score=0.5)) for n, name in enumerate(SIX)))
    assert {canonical(connection, name) for name in SIX} == {"mmlu_pro"}
    stored = rows(connection, "SELECT benchmark FROM registry.leaderboard")
    assert {name for (name,) in stored} == set(SIX)
    assert len(board(connection, "mmlu_pro")) == 6
    assert names_of(connection, "MMLU Pro") == set(SIX[:4])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(data=st.data())
def test_any_spelling_of_any_alias(connection: Connection, data: st.DataObject) -> None:
    alias = data.draw(st.sampled_from(shipped_aliases()))
    spelt = "".join(
        data.draw(st.sampled_from(["-", "_", " ", ""] if each in "-_ " else [each.upper(), each]))
        for each in alias.alias
    )
    with connection.begin_nested() as savepoint:
        ship(connection)
        found = rows(connection, "SELECT * FROM store.benchmark_identity(:name)", name=spelt)
        savepoint.rollback()
    if spelt.isascii():
        assert found == [(alias.benchmark, alias.variant, pytest.approx(alias.confidence))]


def test_unlisted_names_are_their_own(connection: Connection) -> None:
    write(connection, block("my-bench", run("a", score=0.1)), block("my_bench", run("b", score=1)))
    assert canonical(connection, "my-bench") == "my-bench"
    assert names_of(connection, "my-bench") == {"my-bench"}
    assert names_of(connection, "My Bench") == set()  # two could be meant
    write(connection, block("Other_Bench", run("a", score=0.1)))
    assert names_of(connection, "other bench") == {"Other_Bench"}


def test_prompting_in_a_name(connection: Connection) -> None:
    write(
        connection,
        block("gsm8k_cot", run("org/a", score=0.9), run("org/b", score=0.8)),
        block("openai/gsm8k", run("org/a", score=0.4)),
    )
    assert names_of(connection, "gsm8k_cot") == {"gsm8k_cot"}
    assert names_of(connection, "GSM8K") == {"openai/gsm8k"}
    benchmarks.choose_measures(connection, [])
    assert board(connection, "gsm8k") == [
        ("org/a", 0.4, "openai/gsm8k", None),
        ("org/b", 0.8, "gsm8k_cot", "cot"),
    ]
    assert names_of(connection, "gsm8k_cot_zeroshot") == set()


def test_a_plain_name_is_a_variant_where_there_is_no_other(connection: Connection) -> None:
    write(connection, block("gsm8k_cot", run("org/a", score=0.9)))
    assert names_of(connection, "gsm8k") == {"gsm8k_cot"}


def test_versions_of_a_name(connection: Connection) -> None:
    write(connection, block("MMLU-Pro", run("org/a", score=0.9), version="1"))
    write(connection, block("MMLU-Pro", run("org/a", score=0.8), version="2"))
    query = "SELECT count(*) FROM store.benchmark_ids(:name)"
    assert rows(connection, query, name="mmlu_pro") == [(2,)]
    assert rows(connection, query, name="mmlu_pro@2") == [(1,)]
    assert rows(connection, query, name="MMLU-Pro@1") == [(1,)]
    assert rows(connection, query, name="mmlu_pro@3") == [(0,)]


def test_other_measures_are_not_mixed(connection: Connection) -> None:
    norm, accuracy = Measure(metric="acc_norm"), Measure(metric="accuracy", upper=100, unit="%")
    counts = write(
        connection,
        block("arc", run("org/a", score=0.6), run("org/b", score=0.5), run("org/c", score=0.5)),
        block("ARC-C", run("org/d", score=70, measure=accuracy)),
        block("arc_challenge", run("org/e", score=0.9, measure=norm)),
    )
    benchmarks.choose_measures(connection, sorted(counts.benchmarks))
    assert [row[:2] for row in board(connection, "arc_challenge")] == [
        ("org/a", 0.6),
        ("org/b", 0.5),
        ("org/c", 0.5),
        ("org/d", 0.7),
    ]


def test_the_plain_name_decides_on_the_measure(connection: Connection) -> None:
    """Also where more models have a way of prompting by another one."""
    norm = Measure(metric="acc_norm")
    counts = write(
        connection,
        block("gsm8k_cot", *(run(f"org/{n}", score=0.9, measure=norm) for n in range(3))),
        block("gsm8k", run("org/a", score=0.4)),
    )
    benchmarks.choose_measures(connection, sorted(counts.benchmarks))
    assert board(connection, "gsm8k") == [("org/a", 0.4, "gsm8k", None)]


def test_a_score_by_another_measure_does_not_hide_one(connection: Connection) -> None:
    norm = Measure(metric="acc_norm")
    counts = write(
        connection,
        block("arc", run("org/a", score=0.6, evaluated_at=day(1)), run("org/b", score=0.5)),
        block("arc_challenge", run("org/a", score=0.9, measure=norm, evaluated_at=day(2))),
    )
    benchmarks.choose_measures(connection, sorted(counts.benchmarks))
    assert [row[:2] for row in board(connection, "arc_challenge")] == [
        ("org/a", 0.6),
        ("org/b", 0.5),
    ]


def test_one_score_of_several(connection: Connection) -> None:
    write(
        connection,
        block("gsm8k", run("org/a", score=0.4, complete=False)),
        block("openai/gsm8k", run("org/a", score=0.5, evaluated_at=day(1))),
        block("gsm8k/main", run("org/a", score=0.6, evaluated_at=day(2))),
    )
    assert board(connection, "gsm8k") == [("org/a", 0.6, "gsm8k/main", None)]


def test_runs_on_a_part_are_not_complete(connection: Connection) -> None:
    write(
        connection,
        block("GSM8K", run("org/a", score=0.4, items=1319), run("org/b", score=0.4, items=1318)),
        block("mine", run("org/a", [1, 0])),
    )
    query = "SELECT model, benchmark, complete FROM registry.runs ORDER BY benchmark, model"
    assert rows(connection, query) == [
        ("org/a", "GSM8K", True),
        ("org/b", "GSM8K", False),
        ("org/a", "mine", True),
    ]


def test_outcomes_on_a_part_are_not_complete(connection: Connection) -> None:
    write(connection, block("aime24", run("org/a", [1] * 29), asked=items(29)))
    assert rows(connection, "SELECT complete FROM registry.runs") == [(False,)]


def test_functions_take_any_name(connection: Connection) -> None:
    write(connection, block("TIGER-Lab/MMLU-Pro", run("a", [1, 0, 1]), run("b", [1, 1, 1])))
    agreed = "SELECT on_benchmark, items FROM registry.agreement('a', 'b', 'mmlu pro')"
    assert rows(connection, agreed) == [("TIGER-Lab/MMLU-Pro", 3)]
    others = "SELECT other, on_benchmark FROM registry.agreements('a', 'MMLU_PRO')"
    assert rows(connection, others) == [("b", "TIGER-Lab/MMLU-Pro")]
    hardest = "SELECT item, on_benchmark FROM registry.hardest_items('mmlu-pro', 1)"
    assert rows(connection, hardest) == [("i1", "TIGER-Lab/MMLU-Pro")]


def test_shipping_twice_changes_nothing(connection: Connection) -> None:
    assert ship(connection) in (0, len(shipped_aliases()))
    assert ship(connection) == 0
    connection.execute(
        text("UPDATE store.benchmark_aliases SET benchmark = 'x' WHERE alias = 'cais/mmlu'")
    )
    connection.execute(
        text("INSERT INTO store.benchmark_aliases VALUES ('old', 'x', NULL, 'registry', 1)")
    )
    assert ship(connection) == 2
    assert "x" not in {each.benchmark for each in list_aliases(connection)}


def committed(engine: Engine, *blocks: Any) -> None:
    with engine.begin() as connection:
        counts = write(connection, *blocks)
        benchmarks.choose_measures(connection, sorted(counts.benchmarks))


def test_a_person_joins_and_parts(engine: Engine) -> None:
    committed(engine, block("ours", run("org/a", score=0.4)), block("theirs", run("b", score=0.2)))
    change = change_benchmark_aliases(engine, "ours", added=["theirs", "Our Bench"])
    assert change.names == ["ours", "theirs"]
    assert [(each.alias, each.source) for each in change.aliases] == [
        ("Our Bench", "user"),
        ("theirs", "user"),
    ]
    with engine.connect() as connection:
        assert names_of(connection, "our-bench") == {"ours", "theirs"}
        assert len(board(connection, "ours")) == 2
    change_benchmark_aliases(engine, "ours", removed=["theirs"])
    with engine.connect() as connection:
        assert canonical(connection, "theirs") == "theirs"
        assert len(board(connection, "ours")) == 1


def test_a_shipped_alias_is_removed_for_good(engine: Engine) -> None:
    committed(engine, block("arc", run("org/a", score=0.4)))
    change_benchmark_aliases(engine, "arc_challenge", removed=["ARC"])
    with engine.begin() as connection:
        assert canonical(connection, "arc") == "arc"
        ship(connection)
        assert canonical(connection, "arc") == "arc"
    change_benchmark_aliases(engine, "arc", removed=["arc"])
    with engine.connect() as connection:
        assert canonical(connection, "arc") == "arc_challenge"


def test_a_removed_alias_may_become_another_benchmark_s(engine: Engine) -> None:
    committed(engine, block("arc", run("org/a", score=0.4)))
    change_benchmark_aliases(engine, "arc_challenge", removed=["arc"])
    change_benchmark_aliases(engine, "arc_easy", added=["arc"])
    with engine.connect() as connection:
        assert canonical(connection, "arc") == "arc_easy"


def test_a_person_s_alias_in_place_of_a_shipped_one(engine: Engine) -> None:
    committed(engine, block("arc", run("org/a", score=0.4)))
    change_benchmark_aliases(engine, "arc_easy", added=["arc"])
    with engine.connect() as connection:
        assert canonical(connection, "arc") == "arc_easy"
    with pytest.raises(RegistryError, match="arc is an alias of arc_easy; remove it there first"):
        change_benchmark_aliases(engine, "mmlu", added=["arc"])
    change_benchmark_aliases(engine, "arc_easy", removed=["arc"])
    with engine.connect() as connection:
        assert canonical(connection, "arc") == "arc_challenge"


def test_an_alias_is_one_in_any_spelling(engine: Engine) -> None:
    """Also where it is added in another one than the shipped, or than a person's before."""
    committed(engine, block("arc", run("org/a", score=0.4)))
    change_benchmark_aliases(engine, "arc_easy", added=["A-RC"])
    with engine.connect() as connection:
        assert canonical(connection, "arc") == "arc_easy"
    with pytest.raises(RegistryError, match="A_RC is an alias of arc_easy; remove it there first"):
        change_benchmark_aliases(engine, "mmlu", added=["A_RC"])
    change_benchmark_aliases(engine, "arc_easy", added=["a rc"], variant="cot")
    query = """
        SELECT alias, benchmark, variant FROM registry.benchmark_aliases
         WHERE store.benchmark_key(alias) = 'arc' AND source = 'user'"""
    with engine.connect() as connection:
        assert rows(connection, query) == [("a rc", "arc_easy", "cot")]
    change_benchmark_aliases(engine, "arc_easy", removed=["ARC"])
    with engine.connect() as connection:
        assert canonical(connection, "arc") == "arc_challenge"


def test_a_removed_alias_may_become_another_s_in_any_spelling(engine: Engine) -> None:
    committed(engine, block("arc", run("org/a", score=0.4)))
    change_benchmark_aliases(engine, "arc_challenge", removed=["arc"])
    change_benchmark_aliases(engine, "arc_easy", added=["ARC"])
    with engine.connect() as connection:
        assert canonical(connection, "arc") == "arc_easy"


def test_runs_on_a_part_are_not_complete_under_a_new_alias(engine: Engine) -> None:
    whole, part = run("whole", score=0.4, items=1319), run("part", score=0.4, items=1318)
    committed(engine, block("ours", whole, part))
    change_benchmark_aliases(engine, "gsm8k", added=["ours"])
    with engine.connect() as connection:
        query = "SELECT model, complete FROM registry.runs ORDER BY model"
        assert rows(connection, query) == [("part", False), ("whole", True)]


def test_a_variant_that_a_person_adds(engine: Engine) -> None:
    committed(engine, block("our_gsm", run("a", score=0.4)), block("gsm8k", run("a", score=0.2)))
    change_benchmark_aliases(engine, "gsm8k", added=["our_gsm"], variant="tools")
    with engine.connect() as connection:
        assert board(connection, "gsm8k") == [("a", 0.2, "gsm8k", None)]


def test_aliases_of_an_alias_move_along(engine: Engine) -> None:
    change_benchmark_aliases(engine, "mmlu", added=["MMLU-Redux"])
    committed(engine, block("edinburgh-dawg/mmlu-redux", run("a", score=0.4)))
    with engine.connect() as connection:
        assert canonical(connection, "edinburgh-dawg/mmlu-redux") == "mmlu"


@pytest.mark.parametrize("alias", ["", " ", "a" * 256, "a\nb"])
def test_impossible_aliases(engine: Engine, alias: str) -> None:
    with pytest.raises(UsageError, match="An alias is 1 to 255 printable characters"):
        change_benchmark_aliases(engine, "mmlu", added=[alias])


def test_unknown_benchmarks(engine: Engine) -> None:
    committed(engine, block("our-bench", run("a", score=0.4)))
    with pytest.raises(UsageError, match="no benchmark 'ourbenhc'; did you mean our-bench"):
        change_benchmark_aliases(engine, "ourbenhc", added=["x"])
    with pytest.raises(RegistryError, match="x is not an alias of mmlu"):
        change_benchmark_aliases(engine, "mmlu", removed=["x"])


def test_sources_keep_their_own_names(connection: Connection) -> None:
    source = Source(name="other")
    write(
        connection,
        block("gsm8k", run("org/a", score=0.4)),
        block("GSM-8K", run("org/a", score=0.4, source=source, measure=ACC)),
    )
    query = """
        SELECT benchmark, canonical FROM registry.scores WHERE canonical = 'gsm8k' ORDER BY 1"""
    assert rows(connection, query) == [("GSM-8K", "gsm8k"), ("gsm8k", "gsm8k")]
    assert name_key("GSM-8K") == "gsm8k"


def test_a_removal_names_one_benchmark(engine: Engine) -> None:
    committed(engine, block("gsm8k", run("a", score=0.4)), block("openai/gsm8k", run("b", score=1)))
    with pytest.raises(
        UsageError,
        match="'GSM-8K' stands for several benchmarks; name those to remove: gsm8k, openai/gsm8k",
    ):
        remove(engine, RemovalSelection(benchmarks=["GSM-8K"]))
    assert remove(engine, RemovalSelection(benchmarks=["gsm8k"])).runs == 1


def test_outcomes_are_selected_by_any_name(connection: Connection) -> None:
    write(connection, block("gsm8k", run("a", [1, 0])), block("openai/gsm8k", run("a", [1, 0, 1])))
    assert len(select(connection, benchmarks=["gsm8k"]).columns) == 2
    assert len(select(connection, benchmarks=["GSM-8K"]).columns) == 5
    assert len(select(connection, benchmarks=["GSM-8K", "gsm8k"]).columns) == 5
    with pytest.raises(UsageError, match="no outcomes on a benchmark named 'gsm8k_cot'"):
        select(connection, benchmarks=["gsm8k_cot"])


@pytest.mark.parametrize(
    ("name", "identity"),
    [
        ("leaderboard|gsm8k|5", ("gsm8k", "5-shot")),
        ("harness|arc:challenge|25|0", ("arc_challenge", "25-shot")),
        ("harness|hendrycksTest-anatomy|5", ("mmlu_anatomy", "5-shot")),
        ("ARC-Challenge (0-shot)", ("arc_challenge", "0-shot")),
        ("mmlu_pro_0_shot", ("mmlu_pro", "0-shot")),
        ("gsm8k_cot (8-shot)", ("gsm8k", "cot, 8-shot")),
        ("MMLU-Pro+", ("mmlu_pro_plus", None)),
    ],
)
def test_a_number_of_examples_is_a_way_of_prompting(
    connection: Connection, name: str, identity: tuple[str, str | None]
) -> None:
    ship(connection)
    query = "SELECT benchmark, variant FROM store.benchmark_identity(:name)"
    assert rows(connection, query, name=name) == [identity]


@pytest.mark.parametrize("name", ["own (5-shot)", "leaderboard|own|5", "gsm8k_ja|5", "(5-shot)"])
def test_examples_of_an_unknown_benchmark_are_of_its_name(
    connection: Connection, name: str
) -> None:
    ship(connection)
    query = "SELECT benchmark, variant FROM store.benchmark_identity(:name)"
    assert rows(connection, query, name=name) == []
