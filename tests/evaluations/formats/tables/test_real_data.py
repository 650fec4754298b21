"""The built-in mappings on the real data sets, against what pandas makes of the same files."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from registry.evaluations.formats import tables
from registry.evaluations.records import Block, Facts, Names, Notes, Run

pytestmark = pytest.mark.shared

Found = tuple[list[tuple[Block, list[Run]]], Notes]


def found(path: Path, preset: str) -> Found:
    notes = Notes()
    blocks = []
    for content in tables.read(path, tables.load_mapping(preset), notes):
        if isinstance(content, Facts):
            continue
        assert isinstance(content, Block)
        blocks.append((content, list(content.runs)))
    return blocks, notes


def names(path: Path, preset: str) -> Names:
    [content] = tables.read(path, tables.load_mapping(preset), Notes())
    assert isinstance(content, Names)
    return content


def means(runs: list[Run]) -> dict[str, float]:
    result = {}
    for run in runs:
        assert run.outcomes is not None
        result[run.model] = float(np.nanmean(run.outcomes.astype(np.float64)))
    return result


def observed(blocks: list[tuple[Block, list[Run]]]) -> int:
    return sum(
        int((~np.isnan(run.outcomes)).sum())
        for _, runs in blocks
        for run in runs
        if run.outcomes is not None
    )


FOLDERS = {
    "metabench-responses": "metabench",
    "mmlu-pro-responses": "mmlu-pro",
    "open-llm-leaderboard-v1": "open-llm-leaderboard-v1",
    "open-llm-leaderboard-v2": "open-llm-leaderboard-v2",
    "pythia-evals": "pythia",
    "alpaca-eval": "alpaca-eval",
    "obs-scaling-scores": "obs-scaling",
    "routellm-mmlu-gsm8k": "routellm",
    "eval-model-registry": "eval-model-registry",
    "routerarena-sub10": "routerarena",
    "livebench-tables": "livebench",
    "benchpress-scores": "benchpress",
    "aider-leaderboards": "aider",
    "livecodebench-performances": "livecodebench",
}


OTHERS = frozenset({
    *("eval-model-registry/canonical_models.parquet", "routerarena-sub10/prices.csv"),
    *("benchpress-scores/models.csv", "benchpress-scores/benchmarks.csv"),
    *("benchpress-scores/folds.parquet", "benchpress-scores/benchpress_predictions.parquet"),
})  # fmt: skip
"""Files that hold something else than evaluations."""


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_file_is_known_by_its_columns(shared: Path, folder: str) -> None:
    for path in sorted((shared / folder).iterdir()):
        if path.name == "README.md" or f"{folder}/{path.name}" in OTHERS:
            continue
        detected = tables.detect(path)
        assert detected is not None, path
        assert detected.name == FOLDERS[folder]


@pytest.mark.parametrize(
    "part",
    [
        "arc",
        "arc_secondary",
        "gsm8k",
        "gsm8k_secondary",
        "mmlu",
        "truthfulqa",
        "winogrande",
    ],
)
def test_metabench(shared: Path, part: str) -> None:
    path = shared / "metabench-responses" / f"responses_{part}.parquet"
    frame = pd.read_parquet(path).set_index("model")
    [(block, runs)], notes = found(path, "metabench")
    assert block.benchmark.name == part.removesuffix("_secondary")
    assert [item.item for item in block.items] == list(frame.columns)
    assert means(runs) == pytest.approx(frame.mean(axis=1).to_dict())
    assert {run.setup.details["matrix"] for run in runs} == {f"responses_{part}"}
    assert not any(run.complete for run in runs)
    assert not notes.counts


def test_metabench_items(shared: Path) -> None:
    path = shared / "metabench-responses" / "items.parquet"
    blocks, _ = found(path, "metabench")
    prompts = pd.read_parquet(path).set_index("item_id")["prompt"].to_dict()
    assert {item.item: item.prompt for block, _ in blocks for item in block.items} == prompts
    assert len(blocks) == 5


def test_livecodebench(shared: Path) -> None:
    folder = shared / "livecodebench-performances"
    frame = pd.read_parquet(folder / "outcomes.parquet")
    blocks, _ = found(folder / "outcomes.parquet", "livecodebench")
    assert observed(blocks) == len(frame) == 63_078
    for block, runs in blocks:
        own = frame[frame["benchmark"] == block.benchmark.name.removeprefix("livecodebench/")]
        assert len(block.items) == own["item"].nunique()
        # Efforts of one model are runs of their own.
        found_means = sorted(mean for run in runs for mean in means([run]).values())
        assert found_means == pytest.approx(sorted(own.groupby("model")["pass_at_1"].mean()))
    assert len(blocks) == 4


def test_mmlu_pro(shared: Path) -> None:
    folder = shared / "mmlu-pro-responses"
    frame = pd.read_parquet(folder / "responses.parquet")
    blocks, _ = found(folder / "responses.parquet", "mmlu-pro")
    [(block, runs)] = blocks
    assert observed(blocks) == len(frame) == 277_772
    assert means(runs) == pytest.approx(frame.groupby("model")["correct"].mean().to_dict())
    assert len(block.items) == frame["question_id"].nunique()
    said = 0
    for run in runs:
        assert run.answers is not None
        said += sum(answer is not None for answer in run.answers)
    assert said == frame["pred"].notna().sum()
    last = frame.iloc[-1]
    run = next(run for run in runs if run.model == last["model"])
    place = [item.item for item in block.items].index(str(last["question_id"]))
    assert run.answers is not None
    assert run.answers[place] == last["pred"]

    [(block, _)], _ = found(folder / "questions.parquet", "mmlu-pro")
    questions = pd.read_parquet(folder / "questions.parquet")
    assert [item.prompt for item in block.items] == questions["question"].tolist()
    assert [item.choices for item in block.items] == list(map(tuple, questions["options"]))
    assert [item.domain for item in block.items] == questions["category"].tolist()
    stated = {name.name: name.model for name in names(folder / "models.csv", "mmlu-pro").names}
    models = pd.read_csv(folder / "models.csv").dropna(subset="hf_repo_id")
    assert stated == dict(zip(models["model"], models["hf_repo_id"], strict=True))


def scores(
    blocks: list[tuple[Block, list[Run]]], column: Callable[[Block, Run], str]
) -> dict[str, dict[str, float]]:
    """Every score, by what `column` calls its column and by model."""
    result: dict[str, dict[str, float]] = {}
    for block, runs in blocks:
        for run in runs:
            assert run.score is not None
            by_model = result.setdefault(column(block, run), {})
            assert run.model not in by_model
            by_model[run.model] = run.score
    return result


def wanted(frame: pd.DataFrame, model: str, columns: list[str]) -> dict[str, dict[str, float]]:
    by_model = frame.set_index(model)
    return {
        name: {str(model): float(score) for model, score in by_model[name].dropna().items()}
        for name in columns
    }


def test_leaderboard_v1(shared: Path) -> None:
    path = shared / "open-llm-leaderboard-v1" / "models.csv.gz"
    frame = pd.read_csv(path)
    blocks, _ = found(path, "open-llm-leaderboard-v1")
    columns = ["arc", "hellaswag", "mmlu", "truthfulqa", "winogrande", "gsm8k"]
    expected = wanted(frame, "name", columns)
    assert scores(blocks, lambda block, _: block.benchmark.name) == expected
    revisions = {run.model: run.revision for _, runs in blocks for run in runs}
    known = frame.dropna(subset="sha").set_index("name")["sha"].to_dict()
    assert {model: sha for model, sha in revisions.items() if sha} == {
        model: sha for model, sha in known.items() if model in revisions
    }
    measure = blocks[2][1][0].measure
    assert (measure.metric, measure.upper, measure.random_baseline) == ("acc", 100, 25)


def test_leaderboard_v2(shared: Path) -> None:
    path = shared / "open-llm-leaderboard-v2" / "contents.csv.gz"
    frame = pd.read_csv(path)
    blocks, _ = found(path, "open-llm-leaderboard-v2")
    assert sum(len(runs) for _, runs in blocks) == 6 * len(frame)
    by_name = {block.benchmark.name: runs for block, runs in blocks}
    gpqa = by_name["leaderboard_gpqa"]
    assert [run.score for run in gpqa] == frame["GPQA Raw"].tolist()
    assert [run.model for run in gpqa] == frame["fullname"].tolist()
    assert [run.setup.chat_template for run in gpqa] == [
        "default" if chat else "" for chat in frame["Chat Template"]
    ]
    # What the leaderboard makes of the raw score tells its random baseline.
    assert [
        100 * (run.score - 0.25) / 0.75 if run.score and run.score > 0.25 else 0.0 for run in gpqa
    ] == pytest.approx(frame["GPQA"].tolist())
    days = [run.evaluated_at.date().isoformat() for run in gpqa if run.evaluated_at]
    assert days == frame["Submission Date"].dropna().tolist()


def test_leaderboard_v2_parts(shared: Path) -> None:
    path = shared / "open-llm-leaderboard-v2" / "subtask_scores.csv.gz"
    frame = pd.read_csv(path)
    blocks, _ = found(path, "open-llm-leaderboard-v2")
    expected = wanted(frame, "model_id", [name for name in frame.columns if name != "model_id"])
    assert (
        scores(blocks, lambda block, run: f"{block.benchmark.name}_{run.measure.metric}_none")
        == expected
    )


def test_pythia(shared: Path) -> None:
    path = shared / "pythia-evals" / "results.parquet"
    frame = pd.read_parquet(path)
    blocks, _ = found(path, "pythia")
    runs = [(block.benchmark.name, run) for block, block_runs in blocks for run in block_runs]
    rows = {
        (
            run.setup.details["suite"],
            # The first suite's models have names of their own on the Hub.
            run.model.removesuffix("-v0"),
            run.revision,
            run.setup.shots,
            task,
            run.measure.metric,
        ): (run.score, run.standard_error)
        for task, run in runs
    }
    assert len(rows) == len(runs) == len(frame)
    suites = {(key[0], run.model[-3:] == "-v0") for key, (_, run) in zip(rows, runs, strict=True)}
    assert suites == {("pythia-v0", True), ("pythia-v1", False)}
    keys = ["suite", "model", "step", "num_fewshot", "task", "metric"]
    for *key, value, error in frame[[*keys, "value", "stderr"]].itertuples(index=False):
        key[2] = f"step{key[2]}"
        score, standard_error = rows[tuple(key)]
        assert score == value
        assert standard_error == (None if pd.isna(error) else error)


def as_listed(run: Run) -> str:
    """Return the name that AlpacaEval has for a model, or for a system around it."""
    model, variant = run.model, run.setup.variant
    if variant is None or variant == "pairrm":
        return model
    if variant in ("aligner-2b", "SelfMoA"):
        return f"{variant}_{model}"
    return f"{model}{'_' if variant in ('concise', 'verbose', 'gamed') else '-'}{variant}"


def test_alpaca_eval(shared: Path) -> None:
    folder = shared / "alpaca-eval"
    blocks, notes = found(folder / "annotations.parquet", "alpaca-eval")
    frame = pd.read_parquet(folder / "annotations.parquet")
    [(block, runs)] = blocks
    assert observed(blocks) == len(frame) - 64
    assert notes.counts == {"rows without an outcome": 64}
    frame["share"] = frame["preference"].replace({0.0: 1.5}) - 1
    keys = ["model", "annotator", "generator_1"]
    expected = frame.groupby(keys)["share"].mean().to_dict()
    shares = {}
    for run in runs:
        assert run.outcomes is not None
        key = as_listed(run), run.setup.details["annotator"], run.setup.details["baseline"]
        shares[key] = float(np.nanmean(run.outcomes.astype(np.float64)))
    assert shares == pytest.approx(expected, rel=1e-6)
    # A draw counts half: so does the official leaderboard count.
    official = pd.read_csv(folder / "leaderboard_v1_alpaca_eval_gpt4.csv", index_col=0)
    for (model, annotator, _), share in shares.items():
        if annotator == "alpaca_eval_gpt4" and model in ("alpaca-7b", "phi-2", "gpt4"):
            assert 100 * share == pytest.approx(official.loc[model, "win_rate"], rel=1e-6)
    assert len(block.items) == 805


@pytest.mark.parametrize(
    ("file", "metrics"),
    [
        ("leaderboard_v1_alpaca_eval_gpt4.csv", "length_controlled_winrate"),
        ("leaderboard_v2_weighted_alpaca_eval_gpt4_turbo.csv", "length_controlled_winrate"),
    ],
)
def test_alpaca_eval_leaderboards(shared: Path, file: str, metrics: str) -> None:
    path = shared / "alpaca-eval" / file
    frame = pd.read_csv(path).rename(columns={"Unnamed: 0": "model"})
    frame = frame.rename(columns={metrics: "length_controlled_win_rate"})
    columns = ["win_rate", "discrete_win_rate", "length_controlled_win_rate"]
    blocks, _ = found(path, "alpaca-eval")
    expected = wanted(frame, "model", columns)
    listed = [
        (block, [replace(run, model=as_listed(run)) for run in runs]) for block, runs in blocks
    ]
    assert scores(listed, lambda _, run: run.measure.metric) == expected
    plain = {run.model for _, runs in blocks for run in runs if run.setup.variant is None}
    assert {"Mixtral-8x7B-Instruct-v0.1", "Yi-34B-Chat"} <= plain
    assert not any(name.endswith(("_concise", "best-of-16", "_verbose")) for name in plain)
    assert {run.items for run in blocks[0][1]} == set(frame["n_total"])


def test_alpaca_eval_instructions_and_models(shared: Path) -> None:
    folder = shared / "alpaca-eval"
    [(block, _)], _ = found(folder / "instructions.parquet", "alpaca-eval")
    frame = pd.read_parquet(folder / "instructions.parquet")
    assert [item.prompt for item in block.items] == frame["instruction"].tolist()
    stated = names(folder / "models.csv", "alpaca-eval").names
    models = pd.read_csv(folder / "models.csv")["model_name"].dropna()
    # Local paths, such as ./alpaca_7b, are no names on the Hub.
    on_hub = models.str.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*/[A-Za-z0-9_.-]+")
    assert on_hub.sum() == 126
    # Systems are no other names of their models, but for those whose names do not have the model's.
    assert len(stated) == 118
    assert {each.name: each.model for each in stated}[
        "pairrm-tulu-2-13b"
    ] == "allenai/tulu-2-dpo-13b"


def test_obs_scaling(shared: Path) -> None:
    left_out = {
        "Model",
        "Model Family",
        "Model Size (B)",
        "Pretraining Data Size (T)",
        "FLOPs (1E21)",
    }
    for path in sorted((shared / "obs-scaling-scores").glob("*.csv")):
        frame = pd.read_csv(path)
        columns = [name for name in frame.columns if name not in left_out]
        blocks, _ = found(path, "obs-scaling")
        runs = [run for _, block_runs in blocks for run in block_runs]
        numbers = frame[columns].to_numpy(float)
        assert len(runs) == np.isfinite(numbers).sum()
        assert sum(run.score or 0 for run in runs) == pytest.approx(np.nansum(numbers))
        assert {run.setup.details["table"] for run in runs} == {path.stem}
        by_model = frame.set_index("Model")[columns].mean(axis=1)
        for model in by_model.index[:5]:
            own = [run.score for run in runs if run.model == model]
            assert np.mean(np.array(own, float)) == pytest.approx(by_model[model])


def test_routellm(shared: Path) -> None:
    path = shared / "routellm-mmlu-gsm8k" / "outcomes.parquet"
    frame = pd.read_parquet(path)
    blocks, _ = found(path, "routellm")
    assert observed(blocks) == 2 * len(frame)
    for block, runs in blocks:
        part = frame[frame["benchmark"] == block.benchmark.name]
        assert [item.prompt for item in block.items] == part["prompt"].tolist()
        assert [item.domain for item in block.items] == part["subject"].tolist()
        models = list(frame.columns[3:])
        assert means(runs) == pytest.approx(part[models].mean().to_dict())


def test_eval_model_registry(shared: Path) -> None:
    path = shared / "eval-model-registry" / "aliases.parquet"
    frame = pd.read_parquet(path)
    frame = frame[frame["entity_type"] == "model"]
    other = frame[frame["raw_value"] != frame["canonical_id"]]
    stated = names(path, "eval-model-registry").names
    assert {(name.name, name.model) for name in stated} == set(
        zip(other["raw_value"].str.strip(), other["canonical_id"], strict=True)
    )
    assert len(stated) == len(other) == 11_489
