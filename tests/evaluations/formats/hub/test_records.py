import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from json_values import ANY

from registry.coerce import MAX_TEXT, storable
from registry.evaluations.formats.hub import files
from registry.evaluations.formats.hub.records import (
    MAX_RESULTS,
    read_eval_results,
    read_model_index,
)
from registry.evaluations.records import Benchmark, Block, Measure, Notes, Run, Setup, Source
from registry.evaluations.scales.measured import measured

ENTRY: dict[str, Any] = {
    "dataset": {"id": "cais/hle", "task_id": "default", "revision": "5503434"},
    "value": 20.9,
    "verifyToken": "eyJ" + "x" * 900,
    "date": "2025-01-15",
    "source": {"url": "https://example.com/hle", "name": "CAIS HLE", "org": "cais"},
    "notes": "no-tools",
}


def index(*metrics: dict[str, Any], **dataset: object) -> list[dict[str, Any]]:
    return [{"name": "m", "results": [{"dataset": dataset, "metrics": list(metrics)}]}]


def metric(value: object, kind: str | None = "acc", **more: object) -> dict[str, Any]:
    return {"type": kind, "value": value, **more}


def runs(blocks: list[Block]) -> list[Run]:
    return [run for block in blocks for run in block.runs]


def only(value: object, notes: Notes | None = None) -> tuple[Benchmark, Run]:
    (block,) = read_model_index("a/m", value, notes or Notes())
    (run,) = block.runs
    return block.benchmark, run


def test_an_entry_is_read_with_all_it_says() -> None:
    (block,) = read_eval_results("a/m", [ENTRY], Notes())
    url = "https://huggingface.co/datasets/cais/hle"
    assert block.benchmark == Benchmark(name="cais/hle", version="5503434", url=url)
    (run,) = block.runs
    assert (run.model, run.score, run.verified) == ("a/m", 20.9, True)
    assert run.measure == Measure(metric="score", lower=None, upper=None)
    assert run.source == Source(name="CAIS HLE", url="https://example.com/hle")
    assert run.setup == Setup(details={"notes": "no-tools"})
    assert run.evaluated_at == datetime(2025, 1, 15, tzinfo=UTC)


@pytest.mark.parametrize(
    ("note", "variant"),
    [("no-tools", None), ("with tools", "with tools"), ("avg of 8, high effort", "high effort")],
)
def test_a_note_on_a_system_is_its_variant(note: str, variant: str | None) -> None:
    (block,) = read_eval_results("a/m", [{**ENTRY, "notes": note}], Notes())
    (run,) = block.runs
    assert run.setup == Setup(variant=variant, details={"notes": note})
    # A score of a system says so where it is published.
    told = replace(run, setup=Setup(variant="best-of-16"))
    text = files.write([replace(block, runs=[told])])["a/m"]
    assert ("notes: best-of-16" in text, "notes" in files.write([block])["a/m"]) == (True, True)


def test_entries_of_the_api_are_wrapped() -> None:
    value = [
        {"filename": "a.yaml", "verified": False, "data": ENTRY | {"verifyToken": None}},
        {"filename": "b.yaml", "error": "no dataset"},
        {"verified": True, "data": {"dataset": {"id": "a/b", "task_id": "t"}, "value": "56.2%"}},
    ]
    notes = Notes()
    blocks = read_eval_results("a/m", value, notes)
    assert [block.benchmark.name for block in blocks] == ["cais/hle", "a/b/t"]
    first, second = runs(blocks)
    assert (first.verified, second.verified) == (False, True)
    assert (second.score, second.measure.unit, second.source.name) == (56.2, "%", "huggingface.co")
    assert notes.counts == {"files of results that the Hub found invalid": 1}


def test_variants_of_one_benchmark_stay_apart_and_repetitions_do_not() -> None:
    notes = Notes()
    tools = ENTRY | {"notes": "tools", "value": 30}
    (block,) = read_eval_results("m", [ENTRY, tools, ENTRY, ENTRY | {"value": 1}], notes)
    assert [run.score for run in block.runs] == [20.9, 30]
    assert notes.counts == {"results stated twice": 1, "results that contradict another": 1}


def test_a_card_tells_shots_split_and_configuration() -> None:
    value = index(
        metric(45.5, "acc_norm", name="normalized accuracy", verified=False),
        type="ai2_arc",
        name="AI2 Reasoning Challenge (25-Shot)",
        config="ARC-Challenge",
        split="test",
        args={"num_few_shot": 25, "seed": 1, "nested": {}},
    )
    value[0]["results"][0]["source"] = {"name": "Leaderboard", "url": "https://example.com"}
    benchmark, run = only(value)
    assert benchmark.name == "ai2_arc/ARC-Challenge"
    assert benchmark.url == "https://huggingface.co/datasets/ai2_arc"
    assert run.setup == Setup(shots=25, details={"split": "test", "seed": "1"})
    assert run.measure == Measure(metric="acc_norm", upper=100.0, unit="%")
    assert run.source == Source(name="Leaderboard", url="https://example.com")
    assert not run.verified


@pytest.mark.parametrize(
    ("dataset", "name"),
    [
        ({"type": "cais/mmlu", "name": "MMLU (5-Shot)", "config": "all"}, "cais/mmlu"),
        ({"type": "a type", "name": "MMLU (5-Shot)"}, "MMLU (5-Shot)"),
        ({"type": "custom", "name": "Mine", "config": "x"}, "Mine/x"),
        ({"type": "Custom", "name": "Mine"}, "Mine"),
        ({"type": "custom"}, "custom"),
        ({"name": "N\0"}, "N\ufffd"),
    ],
)
def test_a_benchmark_is_called_as_its_data_set(dataset: dict[str, str], name: str) -> None:
    assert only(index(metric(0.5), **dataset))[0].name == name


def test_parts_of_a_data_set_that_only_titles_tell_apart_stay_apart() -> None:
    value = [*index(metric(0.5), type="t", name="T en"), *index(metric(0.4), type="t", name="T fr")]
    blocks = read_model_index("m", value, Notes())
    assert [block.benchmark.name for block in blocks] == ["T en", "T fr"]


@pytest.mark.parametrize(
    ("title", "source", "kind", "named"),
    [
        ("MMLU-PRO (5-shot)", "Open LLM Leaderboard", "acc", ("t", "acc_above_chance")),
        ("BBH (3-Shot)", "Open LLM Leaderboard", "acc_norm", ("t", "acc_norm_above_chance")),
        ("MMLU (5-Shot)", "Open LLM Leaderboard", "acc", ("t", "acc")),
        ("MMLU-PRO (5-shot)", "me", "acc", ("t", "acc")),
        ("MATH Lvl 5 (4-Shot)", "Open LLM Leaderboard", "em", ("t/Level 5", "em")),
        ("MATH Level 5", "me", "em", ("t/Level 5", "em")),
        ("MATH", "me", "em", ("t", "em")),
    ],
)
def test_other_scales_and_items_of_a_data_set_stay_apart(
    title: str, source: str, kind: str, named: tuple[str, str]
) -> None:
    value = index(metric(25.4, kind), type="t", name=title)
    value[0]["results"][0]["source"] = {"name": source}
    benchmark, run = only(value)
    assert (benchmark.name, run.measure.metric) == named
    assert (run.measure.lower, run.measure.upper, run.measure.unit) == (0, 100, "%")


def test_one_share_above_one_makes_percentages_of_a_source() -> None:
    values = (metric(45.0), metric(61.0, "F1"), metric(0, "em"), metric(-1, "mc2"))
    here = index(*values, metric(0.9, "mc1"), metric(7.5, "wer"), metric(2, "x"), type="a")
    there = index(metric(0.9), type="b")
    there[0]["results"][0]["source"] = {"name": "elsewhere"}
    measures = {
        (run.measure.metric, run.source.name): (run.measure.upper, run.measure.unit)
        for run in runs(read_model_index("m", here + there, Notes()))
    }
    assert measures == {
        ("acc", "huggingface.co"): (100, "%"),
        ("F1", "huggingface.co"): (100, "%"),
        ("em", "huggingface.co"): (100, "%"),
        ("mc2", "huggingface.co"): (100, "%"),
        # 90 % or 0.9 %: nothing says which.
        ("mc1", "huggingface.co"): (None, None),
        ("wer", "huggingface.co"): (None, None),
        ("x", "huggingface.co"): (None, None),
        ("acc", "elsewhere"): (1, None),
    }


@pytest.mark.parametrize(
    ("dataset", "source"),
    [("a", "Open LLM Leaderboard"), ("mteb/stsb", "huggingface.co"), ("a", "% sign")],
)
def test_known_sources_state_percentages_whatever_the_value(dataset: str, source: str) -> None:
    values = [metric(0.9), *([metric("56 %", "f1")] if source == "% sign" else [])]
    value = index(*values, type=dataset)
    value[0]["results"][0]["source"] = {"name": source}
    for run in runs(read_model_index("m", value, Notes())):
        assert (run.measure.lower, run.measure.upper, run.measure.unit) == (0, 100, "%")


def test_several_scores_that_are_all_up_to_one_may_be_shares() -> None:
    """A card had a board's results as shares, which were read as below one percent."""
    values = [metric(0.79), metric(0.54, "f1"), metric(0.15, "em")]
    for others, upper in (([], None), ([metric(23.0, "mc2")], 100)):
        value = index(*values, *others, type="a")
        value[0]["results"][0]["source"] = {"name": "Open LLM Leaderboard Results"}
        read = runs(read_model_index("m", value, Notes()))
        assert [(run.score, run.measure.upper) for run in read][:3] == [
            (0.79, upper), (0.54, upper), (0.15, upper),
        ]  # fmt: skip


@pytest.mark.parametrize("score", [-1, 812.0, 999])
def test_what_is_neither_a_share_nor_a_percentage_is_not_measured(score: float) -> None:
    blocks = read_model_index("m", index(metric(score), metric(0.5, "f1"), type="a"), Notes())
    notes = Notes()
    [block] = measured(blocks, notes)
    assert [(run.measure.metric, run.measure.upper) for run in block.runs] == [("f1", 1)]
    assert notes.counts == {
        "scores by acc that are not from 0 to 1, so that nothing was measured": 1
    }


def test_a_title_tells_the_scale_of_an_unknown_type() -> None:
    _, run = only(index(metric(0.5, "custom_7", name="Accuracy"), type="a"))
    assert run.measure == Measure(metric="custom_7")


def test_metrics_of_one_type_are_distinguished_by_their_titles() -> None:
    value = index(metric(0.5, name="Dev"), metric(0.4, name="Test"), type="a")
    assert [dict(run.setup.details) for run in runs(read_model_index("m", value, Notes()))] == [
        {},
        {"metric": "Test"},
    ]


@pytest.mark.parametrize("value", ["56.2", " 56.2 % ", "+5.62e1%", 56.2])
def test_numbers_may_be_texts(value: object) -> None:
    assert only(index(metric(value), type="a"))[1].score == 56.2


@pytest.mark.parametrize(
    "value",
    [
        *("", "abc", "nan", "inf", "1e999", "५", "1_0", "56,2", None, True, [0.5], {"a": 1}),
        *(2**70, float("nan"), float("inf"), "9" * 5_000, 10**4_000),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_no_number_is_left_out_with_a_note(value: object) -> None:
    notes = Notes()
    assert read_model_index("m", index(metric(value), type="a"), notes) == []
    assert read_eval_results("m", [ENTRY | {"value": value}], notes) == []
    assert sum(notes.counts.values()) == 2


@pytest.mark.parametrize("nothing", [None, [], {}, "", 0])
def test_nothing_is_nothing(nothing: object) -> None:
    notes = Notes()
    assert read_model_index("m", nothing, notes) == read_eval_results("m", nothing, notes) == []
    assert notes.counts == {}


def test_absurd_numbers_of_results_are_cut_off() -> None:
    many = [metric(0.5, f"m{n}") for n in range(700)]
    card = index(*many, type="a") + index(*many, type="b") + index(*many, type="c")
    notes = Notes()
    assert len(runs(read_model_index("m", card, notes))) == MAX_RESULTS
    assert notes.counts == {"cards cut off after 1,000 results": 1}
    entries = [ENTRY | {"notes": str(n)} for n in range(5_000)]
    assert len(runs(read_eval_results("m", entries, notes))) == MAX_RESULTS
    empty: Any = {"results": [{"metrics": [None] * 100_000}] * 100_000}
    assert read_model_index("m", [empty] * 100_000, notes) == []


def deep(levels: int) -> object:
    value: object = "end"
    for _ in range(levels):
        value = {"data": [value], "args": value}
    return value


def test_deep_nesting_is_survived() -> None:
    value = deep(100_000)
    dataset = {"id": "a/b", "type": "a", "args": value}
    read_model_index("m", [{"results": [{"dataset": dataset, "metrics": [metric(1)]}]}], Notes())
    read_eval_results("m", [{"dataset": dataset, "value": value, "notes": value}], Notes())
    while isinstance(value, dict):  # taken apart here: freeing it whole would nest as deeply
        value = value.pop("args") if value.pop("data") else None


def damaged(whole: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Give mappings that are whole but for a few members, some of which are missing."""
    changes = st.dictionaries(st.sampled_from(list(whole)), ANY, max_size=2)
    missing = st.sets(st.sampled_from(list(whole)), max_size=1)
    return st.builds(
        lambda changed, lost: {k: v for k, v in {**whole, **changed}.items() if k not in lost},
        changes,
        missing,
    )


ENTRIES = damaged(ENTRY) | st.builds(
    lambda entry, dataset: {**entry, "dataset": dataset}, damaged(ENTRY), damaged(ENTRY["dataset"])
)
METRICS = damaged(metric(0.5, name="n", config="c", args={}, verifyToken="t"))
DATASETS = damaged({"type": "a", "name": "A", "config": "c", "split": "s", "args": {"b": 1}})
RESULTS = st.builds(
    lambda dataset, metrics, source: {"dataset": dataset, "metrics": metrics, "source": source},
    DATASETS,
    st.lists(METRICS | ANY, max_size=3),
    damaged({"name": "n", "url": "u"}),
)
CARDS = ANY | st.lists(
    st.builds(lambda results: {"results": results}, st.lists(RESULTS | ANY, max_size=3) | ANY),
    max_size=2,
)


def texts(blocks: list[Block]) -> list[str]:
    found: list[str | None] = []
    for block in blocks:
        found += [block.benchmark.name, block.benchmark.version, block.benchmark.url]
        for run in block.runs:
            found += [run.measure.metric, run.measure.filter, run.source.name, run.source.url]
            found += [*run.setup.details, *run.setup.details.values()]
    return [text for text in found if text]


@settings(deadline=None)
@given(
    ANY | st.lists(ENTRIES | st.builds(lambda entry: {"data": entry}, ENTRIES), max_size=3), CARDS
)
def test_any_json_is_read_without_an_error(entries: object, cards: object) -> None:
    for blocks in (
        read_eval_results("m", entries, Notes()),
        read_model_index("m", cards, Notes()),
    ):
        assert all(text == storable(text) for text in texts(blocks))
        assert all(len(text) <= MAX_TEXT + 40 for text in texts(blocks))  # 40 for an address
        assert all(run.score is not None for run in runs(blocks))
        json.dumps([run.score for run in runs(blocks)], allow_nan=False)
