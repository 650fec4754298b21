"""Any task, metric and value in every reader: the right share within bounds, nothing outside."""

import csv
import json
import math
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import evaluated
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from registry.errors import RegistryError
from registry.evaluations.formats import every_eval_ever, lm_eval, tables
from registry.evaluations.formats.hub.records import read_eval_results, read_model_index
from registry.evaluations.records import Block, Notes, Run
from registry.evaluations.scales import known_measure
from registry.evaluations.scales.measured import measured

# What the harness's tasks state, from their sources: the worst and the best value.
LM_EVAL: dict[tuple[str, str], tuple[float, float]] = {
    **{
        (task, metric): (0, 100)
        for task in ("squad2", "squadv2", "squad_v2")
        for metric in ("exact", "f1", "HasAns_exact", "HasAns_f1", "NoAns_f1", "best_f1")
    },
    **{
        (task, metric): (0, 100)
        for task in ("jsquad-1.1-0.3", "jsquad", "jaqket_v2-0.2-0.3", "jaquad")
        for metric in ("exact_match", "f1")
    },
    ("scrolls_qasper", "f1"): (0, 100),
    ("scrolls_quality", "em"): (0, 100),
    ("scrolls_quality", "acc"): (0, 1),
    ("ja_leaderboard_jsquad", "exact_match"): (0, 1),
    ("squad_completion", "contains"): (0, 1),
    ("coqa", "f1"): (0, 1),
    ("glue", "mcc"): (-1, 1),
    ("hellaswag", "brier_score"): (2, 0),
    ("arc_easy", "brier_score"): (2, 0),
    ("bigbench_x", "multiple_choice_grade"): (0, 1),
    ("bigbench_x", "exact_str_match"): (0, 1),
    ("minerva_math", "math_verify"): (0, 1),
    ("bbq", "acc_ambig"): (0, 1),
    ("crows_pairs_english", "pct_stereotype"): (1, 0),
    ("niah_single_1", "4096"): (0, 1),
    ("mt_bench", "score"): (0, 10),
    ("truthfulqa_gen", "rouge1_max"): (0, 100),
    ("truthfulqa_gen", "bleu_acc"): (0, 1),
    ("eq_bench", "percent_parseable"): (0, 100),
}

# No bounds, but a direction: True if higher is better.
UNBOUNDED = {
    "word_perplexity": False,
    "bits_per_byte": False,
    "bleu": True,
    "rougeL": True,
    "chrf": True,
    "wer": False,
    "likelihood_diff": False,
}

SENTINELS = (-1.0, 999.0, -999.0, math.nan, math.inf)
# Of three decimals, as what exceeds a bound by a millionth of its scale is on it.
VALUES = st.one_of(
    st.floats(-2, 120).map(lambda value: round(value, 3)),
    st.sampled_from([*SENTINELS, 0.0, 1.0, 100.0, 0.8, 50.07]),
)


def share(value: float, worst: float, best: float) -> float | None:
    """The share of a value by its bounds, None outside them."""
    position = (value - worst) / (best - worst)
    return position if 0 <= position <= 1 else None


def shares(blocks: Iterable[Block]) -> dict[tuple[str, str], float | None]:
    read: dict[tuple[str, str], float | None] = {}
    try:
        for block in measured(blocks, Notes(), file="a file"):
            for run in block.runs:
                read[block.benchmark.name, run.measure.metric] = _share(run)
    except RegistryError as error:
        assert "--scale" in str(error)  # noqa: PT017
    return read


def _share(run: Run) -> float | None:
    assert run.score is not None
    return run.measure.normalised(run.score)


def lm_eval_file(folder: Path, scores: dict[tuple[str, str], float]) -> list[Block]:
    results: dict[str, dict[str, float]] = {}
    for (task, metric), value in scores.items():
        results.setdefault(task, {})[f"{metric},none"] = value
    path = folder / "results.json"
    content = {"results": results, "config": {"model_args": "pretrained=a/m"}}
    path.write_text(json.dumps(content))
    try:
        return list(lm_eval.read(path, Notes()))
    except RegistryError:  # nothing but NaN
        return []


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.sampled_from(sorted(LM_EVAL)), VALUES, min_size=1, max_size=6))
@example({("bigbench_x", "multiple_choice_grade"): 50.07, ("bigbench_x", "exact_str_match"): 0.8})
@example({("coqa", "f1"): 12.6, ("squad2", "f1"): 12.6, ("squad2", "NoAns_f1"): 0.8})
def test_any_task_and_metric_of_lm_eval(scores: dict[tuple[str, str], float]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        read = shares(lm_eval_file(Path(folder), scores))
    # A share above 1 is a percentage: the file does not say which values are.
    doubtful = {
        key for key, value in scores.items() if sorted(LM_EVAL[key]) == [0, 1] and 1 < value <= 100
    }
    metrics, tasks = {metric for _, metric in doubtful}, {task for task, _ in doubtful}
    for key, value in scores.items():
        expected = share(value, *LM_EVAL[key])
        if sorted(LM_EVAL[key]) == [0, 1] and (key[1] in metrics or key[0] in tasks):
            expected = None
        assert read.get(key) == (None if expected is None else pytest.approx(expected)), key
    assert read.keys() <= scores.keys()


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(sorted(UNBOUNDED)), VALUES)
def test_measures_without_bounds_have_a_direction(metric: str, value: float) -> None:
    with tempfile.TemporaryDirectory() as folder:
        blocks = lm_eval_file(Path(folder), {("t", metric): value})
    runs = [run for block in measured(blocks, Notes()) for run in block.runs]
    assert len(runs) == (value >= 0 and math.isfinite(value))
    for run in runs:
        assert run.measure.higher_is_better is UNBOUNDED[metric]
        assert run.measure.normalised(value) is None


BOUNDS = st.sampled_from([(0.0, 1.0), (0.0, 100.0), (0.0, 10.0), (-1.0, 1.0), (1.0, 5.0)])


@settings(max_examples=100, deadline=None)
@given(BOUNDS, st.booleans(), st.lists(VALUES, min_size=1, max_size=5), st.booleans())
def test_any_stated_bounds(
    bounds: tuple[float, float],
    lower_is_better: bool,  # noqa: FBT001 - a fact
    values: list[float],
    known: bool,  # noqa: FBT001 - a fact
) -> None:
    """A file that states bounds is read by them, whatever its metric usually has."""
    metric = "acc" if known else "zonk"
    finite = [value if math.isfinite(value) else 999.0 for value in values]
    expected = [share(value, *bounds) for value in finite]
    if lower_is_better:
        expected = [None if each is None else 1 - each for each in expected]
    wanted = {f"b{n}": each for n, each in enumerate(expected) if each is not None}
    with tempfile.TemporaryDirectory() as folder:
        for blocks in (
            eee_file(Path(folder), metric, bounds, finite, lower_is_better=lower_is_better),
            table(Path(folder), metric, bounds, finite, lower_is_better=lower_is_better),
        ):
            read = {name: each for (name, _), each in shares(blocks).items()}
            assert read == pytest.approx(wanted)


def eee_file(
    folder: Path,
    metric: str,
    bounds: tuple[float, float],
    values: list[float],
    *,
    lower_is_better: bool,
) -> list[Block]:
    config = {
        "metric_id": metric,
        "lower_is_better": lower_is_better,
        "score_type": "continuous",
        "min_score": bounds[0],
        "max_score": bounds[1],
    }
    content = {
        "schema_version": "0.3.0",
        "evaluation_id": "x",
        "retrieved_timestamp": "1750000000",
        "source_metadata": {"source_organization_name": "Org"},
        "model_info": {"id": "a/m"},
        "evaluation_results": [
            {
                "evaluation_name": f"b{number}",
                "metric_config": config,
                "score_details": {"score": value},
            }
            for number, value in enumerate(values)
        ],
    }
    path = folder / "aggregate.json"
    path.write_text(json.dumps(content))
    return list(every_eval_ever.read(path, Notes()))


def table(
    folder: Path,
    metric: str,
    bounds: tuple[float, float],
    values: list[float],
    *,
    lower_is_better: bool,
) -> list[Block]:
    path = folder / "scores.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["model", "benchmark", "score"])
        writer.writerows(["a/m", f"b{number}", value] for number, value in enumerate(values))
    roles = {
        "model": "model",
        "benchmark": "benchmark",
        "score": "score",
        "metric": f"={metric}",
        "measure.lower": f"{bounds[0]}",
        "measure.upper": f"{bounds[1]}",
        "measure.higher_is_better": str(not lower_is_better).lower(),
    }
    mapping = tables.of_columns(roles)
    return [each for each in tables.read(path, mapping, Notes()) if isinstance(each, Block)]


@pytest.mark.parametrize(
    ("value", "read"),
    [(1.0, [0.5, 1.0]), (1.5, []), (100.0, []), (100.5, [0.5]), (999.0, [0.5]), (-1.0, [0.5])],
)
def test_what_shows_that_a_file_states_percentages(value: float, read: list[float]) -> None:
    """Every score that can be one, the highest included; what cannot be was not measured."""
    measure = known_measure("acc")
    runs = [evaluated.run(f"m{score}", score=score, measure=measure) for score in (0.5, value)]
    notes = Notes()
    found = [
        each.score for one in measured([evaluated.block("b", *runs)], notes) for each in one.runs
    ]
    assert found == read
    assert sum(notes.counts.values()) == 2 - len(read)


@settings(max_examples=100, deadline=None)
@given(st.lists(VALUES.filter(math.isfinite), min_size=1, max_size=5))
def test_cards_are_never_read_value_by_value(values: list[float]) -> None:
    metrics = [
        {"type": f"{number + 1}_accuracy", "value": value} for number, value in enumerate(values)
    ]
    card: list[dict[str, Any]] = [
        {"name": "m", "results": [{"dataset": {"type": "a/b"}, "metrics": metrics}]}
    ]
    read = shares(read_model_index("a/m", card, Notes()))
    in_percent = any(1 < value <= 100 for value in values)
    for number, value in enumerate(values):
        got = read.get(("a/b", f"{number + 1}_accuracy"))
        if in_percent:
            expected = value / 100 if value == 0 or 1 < value <= 100 else None
        else:
            expected = value if 0 <= value <= 1 else None
        assert got == (None if expected is None else pytest.approx(expected))


def test_results_of_the_hub_rank_by_their_value() -> None:
    entry = {"dataset": {"id": "cais/hle"}, "value": 20.9}
    [block] = measured(read_eval_results("a/m", [entry], Notes()), Notes())
    [run] = block.runs
    assert (run.score, run.measure.higher_is_better) == (20.9, True)
    assert run.measure.normalised(20.9) is None


def eee_results(
    folder: Path, results: list[tuple[str, str, float]], harness: str | None
) -> list[Block]:
    """An aggregate of benchmarks, metrics and scores, without any scale."""
    content: dict[str, Any] = {
        "schema_version": "0.3.0",
        "evaluation_id": "x",
        "retrieved_timestamp": "1750000000",
        "source_metadata": {"source_organization_name": "Org"},
        "model_info": {"id": "a/m"},
        "evaluation_results": [
            {
                "evaluation_name": benchmark,
                "metric_config": {
                    "metric_id": metric,
                    "lower_is_better": False,
                    "score_type": "continuous",
                },
                "score_details": {"score": value},
            }
            for benchmark, metric, value in results
        ],
    }
    if harness is not None:
        content["eval_library"] = {"name": harness, "version": "1"}
    path = folder / "aggregate.json"
    path.write_text(json.dumps(content))
    return list(every_eval_ever.read(path, Notes()))


@pytest.mark.parametrize("harness", ["lm-eval", "lm_eval", "lm-evaluation-harness"])
def test_percentages_of_a_harness_however_it_is_spelt(tmp_path: Path, harness: str) -> None:
    results = [("squadv2", "f1", 12.6), ("squadv2", "NoAns_f1", 0.8)]
    read = shares(eee_results(tmp_path, results, harness))
    assert read == {
        ("squadv2", "f1"): pytest.approx(0.126), ("squadv2", "NoAns_f1"): pytest.approx(0.008),
    }  # fmt: skip


@pytest.mark.parametrize("other", [0.5, 67.2])
def test_a_share_of_every_eval_ever_among_percentages(tmp_path: Path, other: float) -> None:
    """Without a scale, a score up to 1 is no share where the record has percentages."""
    read = shares(eee_results(tmp_path, [("x", "accuracy", other), ("y", "f1", 1.0)], None))
    assert read == (
        {("x", "accuracy"): 0.5, ("y", "f1"): 1.0}
        if other == 0.5
        else {("x", "accuracy"): None, ("y", "f1"): None}
    )
