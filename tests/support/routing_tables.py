"""Routing problems of real data, with vectors of their prompts by the offline encoder."""

import ast
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from registry.learning.encoders import open_encoder
from registry.learning.factorization.problem import Matrix
from registry.learning.routing.routing_problem import RoutingProblem

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"

READ = 1200
"""Characters of a prompt that are encoded."""


class RoutingTable(NamedTuple):
    """A problem, its models' names, and the prompts' texts."""

    problem: RoutingProblem
    models: Sequence[str]
    prompts: Sequence[str]


def llmrouter(kept: Path) -> RoutingTable:
    """9 models on 14 tasks; costs are the models' prices for a million tokens.

    Args:
        kept: folder of the prompts' vectors, which take minutes to make.
    """
    folder = DATA / "llmrouter-queries"
    items = pd.read_parquet(folder / "items.parquet")
    scores = pd.read_parquet(folder / "outcomes.parquet")
    table = scores.pivot_table(index="model", columns="item", values="score")
    table = table.reindex(columns=items["item"])
    prices = pd.read_csv(folder / "models.csv").set_index("name").loc[table.index]
    price = prices[["input_price", "output_price"]].mean(axis=1).to_numpy(np.float64)
    rows = zip(items["prompt"], items["choices"], items["metric"], strict=True)
    prompts = [prompt + _choices(choices, metric) for prompt, choices, metric in rows]
    return RoutingTable(
        RoutingProblem(
            table.to_numpy(np.float32),
            _vectors(kept / "minilm-llmrouter-choices.npy", prompts),
            pd.factorize(items["task"])[0].astype(np.intp),
            np.repeat(price[:, None], len(items), axis=1),
        ),
        list(table.index),
        prompts,
    )


def mmlu_pro(kept: Path) -> RoutingTable:
    """28 models on 14 categories, without costs.

    Args:
        kept: folder of the prompts' vectors, which take ten minutes to make.
    """
    folder = DATA / "mmlu-pro-responses"
    questions = pd.read_parquet(folder / "questions.parquet")
    answers = pd.read_parquet(folder / "responses.parquet")
    table = answers.pivot_table(index="model", columns="question_id", values="correct")
    table = table.reindex(columns=questions["question_id"])
    table = table[table.isna().mean(axis=1) < 0.01]
    complete = table.notna().all(axis=0).to_numpy()
    rows = zip(questions["question"], questions["options"], strict=True)
    prompts = ["\n".join([question, *options]) for question, options in rows]
    vectors = _vectors(kept / "minilm-mmlu-pro-prompts.npy", prompts)
    outcomes = table.to_numpy(np.float32)[:, complete]
    groups = pd.factorize(questions["category"])[0][complete]
    return RoutingTable(
        RoutingProblem(
            outcomes,
            vectors[complete],
            groups.astype(np.intp),
            np.full(outcomes.shape, np.nan),
        ),
        list(table.index),
        [prompt for prompt, is_complete in zip(prompts, complete, strict=True) if is_complete],
    )


def nearest_in_accuracy(problem: RoutingProblem, count: int) -> RoutingProblem:
    """Return the problem of the models whose mean outcomes are closest together, at the top."""
    order = np.argsort(-problem.outcomes.mean(axis=1))
    means = problem.outcomes.mean(axis=1)[order]
    spans = means[: len(means) - count + 1] - means[count - 1 :]
    chosen = np.sort(order[int(spans.argmin()) : int(spans.argmin()) + count])
    return RoutingProblem(
        problem.outcomes[chosen], problem.vectors, problem.groups, problem.costs[chosen]
    )


def encoded(prompts: Sequence[str]) -> Matrix:
    """Return the vectors of prompts, as those of the tables were made."""
    return open_encoder("minilm", device="cpu").encode([prompt[:READ] for prompt in prompts])


def _vectors(file: Path, prompts: Sequence[str]) -> Matrix:
    if not file.exists():
        np.save(file, encoded(prompts))
    vectors: Matrix = np.load(file)
    return vectors


def _choices(stated: object, metric: str) -> str:
    if metric != "em_mc" or not isinstance(stated, str):
        return ""
    found = ast.literal_eval(stated)
    texts = found["text"] if isinstance(found, dict) else found
    return "".join(f"\n{chr(65 + place)}. {each}" for place, each in enumerate(texts))
