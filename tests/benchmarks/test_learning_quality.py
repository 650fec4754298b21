"""Quality of predictions on held-out outcomes of real data, beside baselines, over 5 seeds.

`pytest -m benchmark tests/benchmarks/test_learning_quality.py -s`
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from time import perf_counter

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from registry.learning import splits, text_features
from registry.learning.encoders import open_encoder
from registry.learning.factorization import selection
from registry.learning.factorization.problem import Context, ItemTexts, Mask, Matrix, Problem
from registry.learning.factorization.selection import METHODS
from registry.learning.metrics import holdout_metrics, summary
from registry.learning.text_features import ItemText

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
SEEDS = range(5)
LEARNED = {"blend", "irt", "mf"}

pytestmark = [
    pytest.mark.benchmark,
    pytest.mark.skipif(not DATA.is_dir(), reason="needs the real data sets beside the checkout"),
]


def metabench() -> Problem:
    """All models on the five primary files' items; NaN where a file has not the model."""
    names = ("arc", "gsm8k", "mmlu", "truthfulqa", "winogrande")
    tables = [
        pd.read_parquet(DATA / "metabench-responses" / f"responses_{name}.parquet")
        for name in names
    ]
    whole = pd.concat([table.set_index("model") for table in tables], axis=1)
    return Problem(whole.sort_index().to_numpy(np.float32))


def mmlu_pro(kept: Path | None = None) -> tuple[Problem, Sequence[str]]:
    """Models on MMLU-Pro, and the items' categories; with texts, the complete models only.

    Args:
        kept: folder of the texts' vectors, which take ten minutes to make; None goes without texts.
    """
    folder = DATA / "mmlu-pro-responses"
    questions = pd.read_parquet(folder / "questions.parquet")
    answers = pd.read_parquet(folder / "responses.parquet")
    table = answers.pivot_table(index="model", columns="question_id", values="correct")
    outcomes = table.reindex(columns=questions["question_id"]).to_numpy(np.float32)
    if kept is None:
        return Problem(outcomes), list(questions["category"])
    outcomes = outcomes[np.isnan(outcomes).mean(axis=1) < 0.01]
    complete = ~np.isnan(outcomes).any(axis=0)
    questions = questions[complete]
    asked = [
        ItemText(question, tuple(options))
        for question, options in zip(questions["question"], questions["options"], strict=True)
    ]
    file = kept / "minilm-mmlu-pro.npy"
    if not file.exists():
        np.save(file, open_encoder("minilm", device="cpu").encode([each.whole() for each in asked]))
    texts = ItemTexts(np.load(file), text_features.traits(asked), text_features.words(asked))
    return Problem(outcomes[:, complete], texts), list(questions["category"])


def predicted(problem: Problem, folds: Sequence[Mask], method: str, seed: int) -> Matrix:
    found: NDArray[np.float32] = np.full(problem.outcomes.shape, np.nan, np.float32)
    for hidden in folds:
        rest, asked = problem.without(hidden), np.flatnonzero(hidden.any(axis=0))
        fit = (
            selection.learn(rest, method, Context(seed=seed)).fit
            if method in LEARNED
            else METHODS[method].fit(rest, context=Context(seed=seed))
        )
        found[:, asked] = np.where(hidden[:, asked], fit.predict(asked), found[:, asked])
    return found


def table(
    title: str,
    problem: Problem,
    methods: Sequence[str],
    folds: Callable[[int], Sequence[Mask]],
    seeds: Sequence[int] = SEEDS,
) -> dict[tuple[str, str], float]:
    """Print figures of methods; return the means."""
    print(f"\n{title}: {problem.outcomes.shape[0]:,} x {problem.outcomes.shape[1]:,}")
    means: dict[tuple[str, str], float] = {}
    for method in methods:
        began = perf_counter()
        figures: dict[str, list[float]] = {}
        for seed in seeds:
            predictions = predicted(problem, folds(seed), method, seed)
            metrics = holdout_metrics(
                np.nan_to_num(problem.outcomes), np.nan_to_num(predictions), ~np.isnan(predictions)
            )
            for name, value in metrics.items():
                figures.setdefault(name, []).append(value)
        line = f"  {method:16s}"
        for name in ("auc", "log_loss", "accuracy", "rmse", "rmse_m", "calibration_error"):
            interval = summary(figures[name])
            means[method, name] = interval.mean
            line += f" {name} {interval.mean:.4f} ±{interval.mean - interval.lower:.4f}"
        print(f"{line}  {(perf_counter() - began) / len(seeds):.1f} s a seed", flush=True)
    return means


def by_cell(problem: Problem) -> Callable[[int], Sequence[Mask]]:
    return lambda seed: [splits.by_cell(problem.observed, 0.2, seed).test]


@pytest.mark.parametrize("name", ["metabench", "mmlu-pro"])
def test_hidden_cells(name: str) -> None:
    problem = metabench() if name == "metabench" else mmlu_pro()[0]
    means = table(
        f"Hidden cells, {name}", problem, ("item-mean", "rasch", "blend"), by_cell(problem)
    )
    assert means["blend", "auc"] >= {"metabench": 0.960, "mmlu-pro": 0.868}[name]


def test_new_items(pytestconfig: pytest.Config) -> None:
    assert pytestconfig.cache is not None
    problem, categories = mmlu_pro(pytestconfig.cache.mkdir("vectors"))
    methods = ("model-mean", "knn", "weighted-knn", "mf-text", "text-regression", "blend")

    def by_item(seed: int) -> Sequence[Mask]:
        return [splits.by_item(problem.observed, 0.2, seed).cells(problem.observed).test]

    means = table("New items, mmlu-pro", problem, methods, by_item)
    assert means["blend", "log_loss"] <= 0.583
    assert means["blend", "auc"] >= 0.738

    def by_category(seed: int) -> Sequence[Mask]:
        del seed
        return [split.cells(problem.observed).test for _, split in splits.by_group(categories)]

    left_out = table("Whole categories left out, mmlu-pro", problem, methods, by_category, [0])
    for metric, better in (("log_loss", -1), ("auc", 1)):
        # Of the methods that are not parts of it: it is blended on items, not on categories.
        best = max(better * left_out[method, metric] for method in methods[:4])
        assert better * left_out["blend", metric] > best
