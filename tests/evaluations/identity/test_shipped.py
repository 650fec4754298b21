"""The shipped benchmarks: each name stands for one benchmark, and what differs stays apart."""

import re
from collections import defaultdict

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, text

from registry.evaluations.identity.shipped import (
    CERTAIN,
    UNCERTAIN,
    item_counts,
    name_key,
    shipped_aliases,
)

BY_KEY = {name_key(each.alias): each for each in shipped_aliases()}
CANONICAL = {each.benchmark for each in shipped_aliases()} | set(item_counts())


def canonical(name: str) -> str:
    """Return the canonical name of a name."""
    alias = BY_KEY.get(name_key(name))
    by_spelling = {name_key(each): each for each in CANONICAL}
    return alias.benchmark if alias else by_spelling[name_key(name)]


def test_every_name_stands_for_one_benchmark() -> None:
    meanings = defaultdict(set)
    for each in shipped_aliases():
        meanings[name_key(each.alias)].add((each.benchmark, each.variant))
    assert {key: found for key, found in meanings.items() if len(found) > 1} == {}
    assert len({each.alias for each in shipped_aliases()}) == len(shipped_aliases())


def test_no_canonical_name_is_an_alias_of_another() -> None:
    assert [name for name in CANONICAL if name_key(name) in BY_KEY] == []
    assert len({name_key(name) for name in CANONICAL}) == len(CANONICAL)


def test_names_are_short_and_printable() -> None:
    for each in shipped_aliases():
        assert each.alias == each.alias.strip()
        assert each.alias.isprintable()
        assert 0 < len(each.alias) < 255
        assert "{" not in each.alias + each.benchmark
        assert re.fullmatch(r"[a-z0-9_]+", each.benchmark), each.benchmark
        assert each.confidence in (CERTAIN, UNCERTAIN)
    assert all(count > 0 for count in item_counts().values())


@pytest.mark.parametrize(
    "names",
    [
        "mmlu_pro leaderboard_mmlu_pro TIGER-Lab/MMLU-Pro|MMLU-Pro - COT correct|MMLU-PRO (5-shot)",
        "gsm8k openai/gsm8k gsm8k_cot GSM8K gsm8k_cot_zeroshot",
        "arc_challenge ARC-C ai2_arc/ARC-Challenge arc:challenge arc",
        "mmlu cais/mmlu hendrycksTest|MMLU (5-shot)",
        "mmlu_anatomy hendrycksTest-anatomy mmlu:anatomy",
        "hle cais/hle|Humanity's Last Exam",
        "humaneval_plus HumanEval+ evalplus/humanevalplus",
        "math_lvl_5 leaderboard_math_hard|MATH Lvl 5",
    ],
)
def test_names_of_one_benchmark(names: str) -> None:
    first, *others = names.split("|")
    assert len({canonical(name) for name in [*first.split(), *others]}) == 1


@pytest.mark.parametrize(
    "names",
    [
        "gpqa gpqa_main gpqa_diamond gpqa_extended leaderboard_gpqa",
        "truthfulqa_mc1 truthfulqa_mc2 truthfulqa_gen",
        "truthfulqa_mc1 truthfulqa truthfulqa_gen",
        "math math_500 leaderboard_math_hard",
        "aime24 aime25 AIME_2026",
        "livecodebench livecodebench_v5 livecodebench_v6",
        "swe_bench swe-bench_lite swe_bench_verified swe_bench_multilingual swe_bench_pro",
        "mmlu mmlu_pro mmlu_redux mmmlu global_mmlu cmmlu",
        "gsm8k mgsm gsm8k_platinum",
        "humaneval humaneval_plus",
        "mbpp mbpp_plus",
        "arc_challenge arc_easy arc_agi_1 arc_agi_2",
        "bbh leaderboard_bbh bbeh",
        "AlpacaEval|AlpacaEval 1.0|AlpacaEval 2.0|AlpacaEval 2.0 LC",
        "arena_hard|Arena-Hard v2",
    ],
)
def test_what_differs_stays_apart(names: str) -> None:
    every = names.split("|") if "|" in names else names.split()
    assert len({canonical(name) for name in every}) == len(every)


@pytest.mark.parametrize(
    ("name", "variant"),
    [
        ("gsm8k_cot", "cot"),
        ("bbh_cot_fewshot_snarks", "cot"),
        ("mmlu_flan_cot_zeroshot_anatomy", "cot-zeroshot"),
        ("leaderboard_mmlu_pro", None),
        ("HellaSwag (10-Shot)", "10-shot"),
    ],
)
def test_prompting_is_a_variant(name: str, variant: str | None) -> None:
    assert BY_KEY[name_key(name)].variant == variant


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(st.characters(codec="ascii", exclude_characters="\0"), max_size=30))
def test_keys_are_those_of_sql(connection: Connection, name: str) -> None:
    key = text("SELECT store.benchmark_key(:name)")
    assert name_key(name) == connection.scalar(key, {"name": name})
