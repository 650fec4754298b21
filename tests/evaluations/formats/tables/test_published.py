"""Published data sets of routing and of leaderboards, in the shapes that their authors document."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from factories import rows
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine

from registry.errors import UnreadableFileError
from registry.evaluations.formats import tables
from registry.evaluations.formats.detect import Reader
from registry.evaluations.importer import import_files
from registry.evaluations.records import Block, Notes, Run

Found = tuple[Block, list[Run]]


def read(path: Path, notes: Notes | None = None, preset: str | None = None) -> list[Found]:
    """Read a file by the mapping that is detected for it, which has to be `preset`."""
    mapping = tables.detect(path)
    assert mapping is not None
    assert preset in (None, mapping.name)
    found = []
    for content in tables.read(path, mapping, notes or Notes()):
        assert isinstance(content, Block)
        found.append((content, list(content.runs)))
    return found


def lines(path: Path, records: Sequence[dict[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in records))
    return path


def values(run: Run) -> list[float]:
    assert run.outcomes is not None
    return [float(each) for each in run.outcomes]


def arena(item: str, score: float | None, **fields: Any) -> dict[str, Any]:
    """Return a line of RouterArena's cached results."""
    graded = {"extracted_answer": "x", "ground_truth": "B", "score": score, "metric": "mcq"}
    return {
        "global_index": item,
        "question": f"What is {item}?",
        "llm_selected": "gemini-2.0-flash-001",
        "generated_answer": "B.",
        "token_usage": {"input_tokens": 104, "output_tokens": 49, "total_tokens": 153},
        "success": True,
        "evaluation_result": None if score is None else graded,
        "run_number": 1,
    } | fields


ARENA = [arena("AIME_1", 1.0), arena("AIME_2", 0.25), arena("ArcMMLU_3", None)]


def test_routerarena(tmp_path: Path) -> None:
    notes = Notes()
    [(block, [run])] = read(lines(tmp_path / "gemini.jsonl", ARENA), notes, "routerarena")
    assert [item.item for item in block.items] == ["AIME_1", "AIME_2", "ArcMMLU_3"]
    assert (block.items[0].prompt, block.items[0].answer) == ("What is AIME_1?", "B")
    assert run.model == "gemini-2.0-flash-001"
    np.testing.assert_equal(values(run), [1.0, 0.25, np.nan])
    assert run.input_tokens is not None
    assert run.input_tokens.tolist()[:2] == [104, 104]
    assert run.answers is not None
    assert run.answers[0] == "B."
    assert notes.counts == {"rows without an outcome": 1}


def test_a_grade_beyond_the_scale_is_not_measured(tmp_path: Path) -> None:
    table = [*ARENA, arena("NarrativeQA_4102", -0.033), arena("NarrativeQA_1", 1.5)]
    [(_, [run])] = read(lines(tmp_path / "x.jsonl", table))
    np.testing.assert_equal(values(run), [1.0, 0.25, np.nan, np.nan, np.nan])


def test_ungraded_results_are_no_outcomes(tmp_path: Path) -> None:
    path = lines(tmp_path / "x.jsonl", [arena("a", None)])
    assert tables.detect(path) is None
    with pytest.raises(UnreadableFileError) as caught:
        list(tables.read(path, tables.load_mapping("routerarena"), Notes()))
    assert str(caught.value.field).startswith("evaluation_result.")


@pytest.mark.parametrize(
    ("change", "field", "line"),
    [
        ({"evaluation_result": {"score": "x"}}, "evaluation_result.score", 4),
        ({"token_usage": {"input_tokens": -2}}, "token_usage.input_tokens", 4),
        ({"llm_selected": ""}, "llm_selected", 4),
        ({"global_index": None}, "global_index", 4),
    ],
)
def test_what_routerarena_refuses(
    tmp_path: Path, change: dict[str, Any], field: str, line: int
) -> None:
    path = lines(tmp_path / "x.jsonl", [*ARENA, arena("b", 1.0, **change)])
    with pytest.raises(UnreadableFileError) as caught:
        read(path)
    assert (caught.value.field, caught.value.line) == (field, line)


NESTED = """
about: x
layout: outcomes
columns: {benchmark: =b, model: model, item: 'q.id', outcome: 'result.deep.score'}
"""


@given(
    table=st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 9), st.sampled_from([0.0, 0.5, 1.0, None])),
        min_size=1,
        unique_by=lambda row: row[:2],
    )
)
def test_dotted_paths_read_all_kinds_of_tables_alike(
    tmp_path_factory: pytest.TempPathFactory, table: list[tuple[int, int, float | None]]
) -> None:
    table = [(9, 9, 1.0), *table]
    folder = tmp_path_factory.mktemp("nested")
    (folder / "m.yaml").write_text(NESTED)
    records = [
        {"model": f"m{m}", "q": {"id": f"i{i}"}, "result": {"deep": {"score": s}}}
        for m, i, s in table
    ]
    texts = [{k: v if k == "model" else json.dumps(v) for k, v in r.items()} for r in records]
    lines(folder / "a.jsonl", records)
    lines(folder / "b.jsonl", texts)
    pq.write_table(pa.Table.from_pylist(records), folder / "c.parquet")
    pq.write_table(pa.Table.from_pylist(texts), folder / "d.parquet")
    pd.DataFrame(texts).to_csv(folder / "e.csv", index=False)
    expected = {(f"m{m}", f"i{i}"): s for m, i, s in table if s is not None}
    for name in ("a.jsonl", "b.jsonl", "c.parquet", "d.parquet", "e.csv"):
        outcomes = {}
        for content in Reader(mapping=str(folder / "m.yaml")).read(folder / name, "table", Notes()):
            assert isinstance(content, Block)
            for run in content.runs:
                for item, outcome in zip(content.items, values(run), strict=True):
                    outcomes[run.model, item.item] = outcome
        assert {k: v for k, v in outcomes.items() if not np.isnan(v)} == expected, name


def test_a_path_that_is_not_there_is_named(tmp_path: Path) -> None:
    (tmp_path / "m.yaml").write_text(NESTED)
    row = {"model": "m", "q": {"id": "i"}, "result": {"deep": 3}}
    parquet = tmp_path / "a.parquet"
    pq.write_table(pa.Table.from_pylist([row]), parquet)
    for path in (lines(tmp_path / "a.jsonl", [row]), parquet):
        with pytest.raises(UnreadableFileError) as caught:
            list(tables.read(path, tables.load_mapping(tmp_path / "m.yaml"), Notes()))
        assert caught.value.field == "result.deep.score"


def test_a_key_with_a_point_comes_first(tmp_path: Path) -> None:
    (tmp_path / "m.yaml").write_text(NESTED)
    row = {"model": "m", "q.id": "own", "q": {"id": "i"}, "result": {"deep": {"score": 1}}}
    by = tables.load_mapping(tmp_path / "m.yaml")
    [block] = tables.read(lines(tmp_path / "a.jsonl", [row]), by, Notes())
    assert isinstance(block, Block)
    assert [item.item for item in block.items] == ["own"]


def test_livebench_tables(tmp_path: Path) -> None:
    path = tmp_path / "table_2024_06_24.csv"
    path.write_text("model,AMPS_Hard,typos,average\na,48.0,20,34\nb,,60,60\n")
    found = read(path, None, "livebench")
    assert {
        (block.benchmark.name, block.benchmark.version, run.model): run.score
        for block, runs in found
        for run in runs
    } == {
        ("livebench/AMPS_Hard", "2024-06-24", "a"): 48.0,
        ("livebench/typos", "2024-06-24", "a"): 20.0,
        ("livebench/typos", "2024-06-24", "b"): 60.0,
    }
    [(_, [run, *_]), *_] = found
    assert run.measure.normalised(48.0) == 0.48


def test_livebench_judgments(tmp_path: Path) -> None:
    judged = [
        {
            "question_id": f"q{n}",
            "task": "typos",
            "model": "acme-m",
            "score": score,
            "turn": 1,
            "tstamp": 1.5,
            "category": "language",
        }
        for n, score in enumerate([1, 0.5, -1, 0])
    ]
    path = lines(tmp_path / "model_judgment" / "ground_truth_judgment.jsonl", judged)
    [(block, [run])] = read(path, None, "livebench")
    assert block.benchmark.name == "livebench/typos"
    np.testing.assert_equal(values(run), [1, 0.5, np.nan, 0])


@pytest.mark.shared
def test_livebench_on_real_data(shared: Path) -> None:
    path = shared / "livebench-tables" / "scores.csv.gz"
    table = pd.read_csv(path).dropna(subset=["score"])
    expected = {
        (f"livebench/{row.task}", row.release, str(row.model)): row.score
        for row in table.itertuples()
    }
    found = {
        (block.benchmark.name, block.benchmark.version, run.model, run.setup.variant): run.score
        for block, runs in read(path, None, "livebench")
        for run in runs
    }
    listed = {
        (name, version, model if variant is None else f"{model}-{variant}"): score
        for (name, version, model, variant), score in found.items()
    }
    # Claude without thinking is the plain model.
    assert {
        (*key[:2], key[2].removesuffix("-base")): score for key, score in expected.items()
    } == listed
    variants = {variant for *_, variant in found}
    assert {None, "high", "medium", "thinking-64k", "thinking-64k-high-effort"} <= variants
    models = {model for _, _, model, _ in found}
    assert {"gpt-5", "kimi-k2-thinking", "qwen3-235b-a22b-thinking-2507"} <= models
    assert not any(model.endswith(("-high", "-low", "-64k", "-effort")) for model in models)


@pytest.mark.shared
def test_aider_on_real_data(shared: Path) -> None:
    """Rates are those of the table's rows, by name, setting and format of edits."""
    for name, rate in (("polyglot", "pass_rate_2"), ("edit", "pass_rate_2"),
                       ("refactor", "pass_rate_1")):  # fmt: skip
        path = shared / "aider-leaderboards" / f"{name}_leaderboard.csv"
        table = pd.read_csv(path)
        [(block, runs)] = read(path, None, "aider")
        assert block.benchmark.name == f"aider_{name}"
        assert runs[0].measure.metric == rate
        found = sorted(run.score or 0 for run in runs if run.measure.metric == rate)
        assert found == sorted(table[rate])
        # What a name says of how it was run is no part of the model's.
        plain = {run.model for run in runs}
        assert not any(each.endswith(("(high)", "(diff)", "(no think)")) for each in plain)
        own = {
            (f"{run.model} ({run.setup.variant})" if run.setup.variant else run.model)
            for run in runs
        }
        assert own == set(table["model"].str.replace(r" \((?:diff|udiff|whole)\)$", "", regex=True))


@pytest.mark.shared
def test_routerarena_on_real_data(shared: Path) -> None:
    folder = shared / "routerarena-sub10"
    table = pd.read_parquet(folder / "outcomes.parquet")
    table = table[table.score.between(0, 1)]
    [(block, runs)] = read(folder / "outcomes.parquet", None, "routerarena")
    assert len(block.items) == 809
    means = {run.model: float(np.nanmean(np.array(values(run)))) for run in runs}
    assert means == pytest.approx(table.groupby("model").score.mean().to_dict(), abs=1e-7)
    [(items, _)] = read(folder / "items.parquet", None, "routerarena")
    assert items.items[0].domain == "AIME"


@pytest.mark.shared
def test_benchpress_on_real_data(shared: Path) -> None:
    path = shared / "benchpress-scores" / "scores.parquet"
    table = pd.read_parquet(path)
    table = table[table.audit_status.fillna("").str.startswith("verified")]
    expected = {(row.benchmark, row.model): row.score for row in table.itertuples()}
    settings = {
        (row.benchmark, row.model): json.loads(str(row.reported_setting))
        for row in table[table.reported_setting.notna()].itertuples()
    }
    efforts = {key: each.get("effort") for key, each in settings.items() if isinstance(each, dict)}
    found = read(path, None, "benchpress")
    runs = {(block.benchmark.name, run.model): run for block, each in found for run in each}
    assert {key: run.score for key, run in runs.items()} == expected
    plain = {None, "n/a", "default", "none", "unspecified", ""}
    for key, run in runs.items():
        effort = efforts.get(key)
        assert run.setup.variant == (None if effort in plain else effort), key
    elo = next(run.measure for key, run in runs.items() if key[0] == "chatbot_arena_elo")
    assert (elo.width, elo.unit) == (None, "Elo")
    assert runs["aider_polyglot_diff", "o3-mini-high"].measure.normalised(60.4) == 0.604


def test_routellm(tmp_path: Path) -> None:
    models = "mixtral-8x7b-instruct-v0.1,gpt-4-1106-preview"
    mmlu = tmp_path / "mmlu_anatomy.csv"
    mmlu.write_text(f'prompt,{models}\n"One?\nA. x\nAnswer:",True,False\nTwo?,False,True\n')
    [(block, runs)] = read(mmlu, None, "routellm")
    assert block.benchmark.name == "mmlu_anatomy"
    assert [item.item for item in block.items] == ["1", "2"]
    assert {run.model: values(run) for run in runs} == {
        "mixtral-8x7b-instruct-v0.1": [1.0, 0.0],
        "gpt-4-1106-preview": [0.0, 1.0],
    }
    gsm8k = tmp_path / "gsm8k_responses.csv"
    answers = ",".join(f"{model}_response" for model in models.split(","))
    gsm8k.write_text(f"prompt,{models},{answers}\nOne?,True,False,it is 1,it is 2\n")
    notes = Notes()
    [(block, [mixtral, gpt])] = read(gsm8k, notes, "routellm")
    assert block.benchmark.name == "gsm8k"
    assert (mixtral.answers, gpt.answers) == (["it is 1"], ["it is 2"])
    assert notes.counts == {}


def test_files_of_one_set_are_no_conflict(tmp_path: Path, engine: Engine) -> None:
    header = "model_name,prompt_id,prompt,label\n"
    (tmp_path / "train.csv").write_text(header + "acme/a,7,One?,1\nacme/a,8,Two?,0\n")
    (tmp_path / "test.csv").write_text(header + "acme/a,9,Three?,1\n")
    for subject in ("anatomy", "virology"):
        table = tmp_path / f"mmlu_{subject}.csv"
        table.write_text(f"prompt,gpt-4-1106-preview\nWhat of {subject}?,True\n")
    reports = import_files(engine, [tmp_path])
    assert [report.error for report in reports] == [None] * 4
    query = "SELECT benchmark, score, items, complete FROM registry.runs ORDER BY 1, 2"
    with engine.connect() as connection:
        assert rows(connection, query) == [
            ("embedllm", 0.5, 2, False),
            ("embedllm", 1.0, 1, False),
            ("mmlu_anatomy", 1.0, 1, True),
            ("mmlu_virology", 1.0, 1, True),
        ]


def test_routellm_on_mt_bench(tmp_path: Path) -> None:
    judged = [
        {"question_id": 81, "model": "gpt-4", "score": score, "turn": turn, "judge": ["gpt-4", "x"]}
        for turn, score in ((1, 9), (2, -1))
    ]
    [(block, [run])] = read(lines(tmp_path / "judgements.jsonl", judged), None, "routellm")
    assert [item.item for item in block.items] == ["81.1", "81.2"]
    np.testing.assert_allclose(values(run), [0.9, np.nan], rtol=1e-6)
    assert run.raw_score() == pytest.approx(9)


def test_embedllm(tmp_path: Path) -> None:
    header = "model_name,model_id,prompt_id,prompt,category,category_id,label\n"
    path = tmp_path / "train.csv"
    path.write_text(header + "acme/a,0,7,One?,mmlu,1,0\nacme/a,0,7,One?,mmlu,1,1\n"
                    "acme/a,0,8,Two?,mmlu,1,0\nacme/b,1,7,One?,mmlu,1,0\n")  # fmt: skip
    notes = Notes()
    [(block, runs)] = read(path, notes, "embedllm")
    assert [(item.item, item.prompt, item.domain) for item in block.items] == [
        ("7", "One?", "mmlu"),
        ("8", "Two?", "mmlu"),
    ]
    first, second = runs
    assert values(first) == [1.0, 0.0]
    np.testing.assert_equal(values(second), [0.0, np.nan])
    assert notes.counts == {"rows that repeat another one": 1}
    order = tmp_path / "question_order.csv"
    order.write_text("prompt_id,prompt\n7,One?\n9,Three?\n")
    [(block, [])] = read(order, None, "embedllm")
    assert [item.item for item in block.items] == ["7", "9"]


@given(
    graded=st.lists(
        st.tuples(st.integers(0, 2), st.integers(0, 2), st.sampled_from([0.0, 0.25, 0.5, 1.0])),
        min_size=1,
    )
)
def test_the_best_of_repeats_is_that_of_pandas(
    tmp_path_factory: pytest.TempPathFactory, graded: list[tuple[int, int, float]]
) -> None:
    path = tmp_path_factory.mktemp("repeats") / "train.csv"
    table = pd.DataFrame(graded, columns=["model_id", "prompt_id", "label"])
    table.to_csv(path, index=False)
    expected = table.groupby(["model_id", "prompt_id"]).label.max().to_dict()
    [(block, runs)] = read(path, None, "embedllm")
    assert {
        (int(run.model), int(item.item)): outcome
        for run in runs
        for item, outcome in zip(block.items, values(run), strict=True)
        if not np.isnan(outcome)
    } == expected


def test_llmrouter(tmp_path: Path) -> None:
    asked = [
        {
            "task_name": task,
            "query": f"What is {place}?",
            "ground_truth": "4",
            "metric": metric,
            "model_name": model,
            "response": f"{model} says {place}",
            "performance": performance,
            "embedding_id": place,
            "token_num": 12,
        }
        for place, task, metric, model, performance in (
            (0, "gsm8k", "GSM8K", "qwen", 1.0),
            (0, "gsm8k", "GSM8K", "llama", 0.0),
            (7, "gsm8k", "GSM8K", "qwen", 0.0),
            (9, "trivia_qa", "f1_score", "qwen", 0.25),
        )
    ]
    path = lines(tmp_path / "default_routing_train_data.jsonl", asked)
    [(sums, [qwen, llama]), (trivia, [other])] = read(path, None, "llmrouter")
    assert (sums.benchmark.name, trivia.benchmark.name) == (
        "llmrouter/gsm8k",
        "llmrouter/trivia_qa",
    )
    assert [(item.item, item.answer) for item in sums.items] == [("0", "4"), ("7", "4")]
    assert values(qwen) == [1.0, 0.0]
    np.testing.assert_equal(values(llama), [0.0, np.nan])
    assert (values(other), other.measure.metric) == ([0.25], "f1_score")
    assert qwen.answers == ["qwen says 0", "qwen says 7"]
    assert qwen.setup.details == {"file": "default_routing_train_data"}
    assert not qwen.complete


def test_livecodebench(tmp_path: Path) -> None:
    """Two tasks of one item each and three models, of which one has an effort."""
    columns = ["benchmark", "model", "item", "pass_at_1", "pass_at_1_cot", "item_date",
               "difficulty", "platform"]  # fmt: skip
    frame = pd.DataFrame(
        [
            ("generation", "A", "1873_A", 0.7, np.nan, "2023-08-22", "easy", "codeforces"),
            ("generation", "O3 (High)", "1873_A", 1.0, np.nan, "2023-08-22", "easy", "codeforces"),
            ("execution", "A", "s1 0", 0.25, 0.5, "2023-09-01", "hard", None),
            ("execution", "B", "s1 0", 0.5, -0.01, "2023-09-01", "hard", None),
        ],
        columns=columns,
    )
    path = tmp_path / "outcomes.parquet"
    frame.to_parquet(path)
    detected = tables.detect(path)
    assert detected is not None
    assert detected.name == "livecodebench"
    [(first, [one, effort]), (second, runs)] = read(path, None, "livecodebench")
    assert (first.benchmark.name, second.benchmark.name) == (
        "livecodebench/generation", "livecodebench/execution",
    )  # fmt: skip
    assert [(one.model, values(one)), (effort.model, values(effort))] == [
        ("A", pytest.approx([0.7])), ("O3", [1.0]),
    ]  # fmt: skip
    assert effort.setup.variant == "High"
    assert [(each.model, values(each)) for each in runs] == [("A", [0.25]), ("B", [0.5])]
    assert [item.domain for item in second.items] == ["hard"]


@pytest.mark.parametrize(
    ("name", "shots"), [("x_0shot.csv", 0), ("x_5shot.csv", 5), ("x.csv", None)]
)
def test_routerbench(tmp_path: Path, name: str, shots: int | None) -> None:
    path = tmp_path / name
    path.write_text(
        "sample_id,prompt,eval_name,gpt-4,acme/m,gpt-4|model_response,acme/m|model_response,"
        "gpt-4|total_cost,acme/m|total_cost,oracle_model_to_route_to\n"
        "mbpp.1,Write,mbpp,1.0,0.0,def,pass,0.1,0.2,gpt-4\n"
        "mbpp.2,Read,mbpp,0.5,,x,,0.1,0.2,gpt-4\n"
    )
    [(block, [gpt, other])] = read(path, None, "routerbench")
    assert [item.item for item in block.items] == ["mbpp.1", "mbpp.2"]
    assert values(gpt) == [1.0, 0.5]
    np.testing.assert_equal(values(other), [0.0, np.nan])
    assert (gpt.answers, other.answers) == (["def", "x"], ["pass", None])
    assert (gpt.setup.shots, other.setup.shots) == (shots, shots)
