"""Every router of the registry on real data in one table: five seeds, intervals over items.

`pytest -m benchmark tests/benchmarks/test_routing_evaluation.py -s`. Prompts are encoded once, in
minutes, and kept in pytest's cache.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from routing_tables import DATA, READ, encoded, llmrouter, mmlu_pro

from registry.evaluations.outcomes import Column
from registry.learning.arrays import Codes, Places, Reals
from registry.learning.factorization.problem import Matrix
from registry.learning.routing.routing_problem import RoutingProblem
from registry.learning.routing_evaluation.answer_cards import ItemAnswers
from registry.prediction.routing_evaluation.evaluate_routers import (
    EvaluationOptions,
    evaluate_data,
)
from registry.prediction.routing_evaluation.routing_data import RoutingData
from registry.prediction.routing_evaluation.routing_results import RoutingFigure

SHOWN = (
    "avg_acc", "over_best_single", "gain_at_b", "gap_at_o", "gap_closed", "over_same_frequencies",
    "within_prompt_auc", "spearman", "ndcg_5", "log_loss", "calibration_error",
    "model_calibration_error", "worst_calibration_error", "cost_per_1000", "cost_save",
    "perf_gain", "quality_gain", "aiq", "pareto_dist", "models_dominated", "arena_score",
    "optimal_selection", "optimal_cost", "optimal_accuracy", "apgr", "cpt_50", "cpt_80", "vote_2",
    "vote_3", "vote_3_weighted", "vote_3_random", "vote_5_weighted", "vote_3_over_top_1",
    "vote_3_weighted_over_top_1",
)  # fmt: skip

Table = dict[tuple[str, str], RoutingFigure]

pytestmark = [
    pytest.mark.benchmark,
    pytest.mark.skipif(not DATA.is_dir(), reason="needs the real data sets beside the checkout"),
]


@pytest.fixture
def kept(pytestconfig: pytest.Config) -> Path:
    """The folder of vectors of prompts, which take minutes to make."""
    assert pytestconfig.cache is not None
    return pytestconfig.cache.mkdir("vectors")


def data_of(
    problem: RoutingProblem, models: Sequence[str], answers: ItemAnswers | None = None
) -> RoutingData:
    """Return arrays as the registry reads them."""
    count = problem.outcomes.shape[1]
    unpriced = [
        name for name, costs in zip(models, problem.costs, strict=True) if np.isnan(costs).any()
    ]
    return RoutingData(
        models=models,
        columns=[Column("benchmark", "", str(item)) for item in range(count)],
        problem=problem,
        subjects=[str(group) for group in np.unique(problem.groups)],
        benchmarks=np.zeros(count, np.intp),
        answers=answers,
        encoder="minilm",
        notes=[],
        unpriced=unpriced,
    )


def evaluated(title: str, data: RoutingData, routers: Sequence[str] | None = None) -> Table:
    """Evaluate, and print a line for each router."""
    figures, details = evaluate_data(data, EvaluationOptions(routers=routers))
    table = {(each.router, each.metric): each for each in figures}
    print(f"\n{title}: {len(data.models)} models x {data.problem.outcomes.shape[1]:,} prompts")
    for router in dict.fromkeys(each.router for each in figures):
        line = f"  {router:28s}"
        for metric in SHOWN:
            if found := table.get((router, metric)):
                line += f" {metric} {found.value:.4f}"
                if found.lower is not None:
                    line += f" [{found.lower:.4f}, {found.upper:.4f}]"
        print(line)
    for router, detail in details["item"].items():
        for rate in detail.get("pick_rates", ())[1:4] if router in {"best", "neighbours"} else ():
            print(f"  {router}: {rate['right']} right models, {rate['prompts']} prompts, picked "
                  f"{rate['picked']:.3f}, by chance {rate['chance']:.3f}")  # fmt: skip
    print("  accuracy of votes by w (plain, weighted, random), of the blend:")
    for w in (1, 2, 3, 4, 5, 7, 9):
        if ("best", f"vote_{w}") in table:
            each = [table["best", f"vote_{w}{kind}"].value for kind in ("", "_weighted", "_random")]
            print(f"    {w}: " + " ".join(f"{value:.4f}" for value in each))
    return table


def answers_of_mmlu_pro(models: Sequence[str], kept_items: int) -> ItemAnswers:
    """Return the letters that models answered, to the questions that all have outcomes on."""
    folder = DATA / "mmlu-pro-responses"
    questions = pd.read_parquet(folder / "questions.parquet")
    responses = pd.read_parquet(folder / "responses.parquet")
    letters = responses.assign(
        code=responses["pred"].map(
            lambda each: ord(each) - ord("A") if isinstance(each, str) else -1
        )
    )
    seen = letters.pivot_table(index="question_id", columns="model", values="correct")
    table = letters.pivot_table(index="question_id", columns="model", values="code")
    order = questions["question_id"]
    complete = seen.reindex(order)[list(models)].notna().all(axis=1).to_numpy()
    assert complete.sum() == kept_items
    codes: Codes = table.reindex(order)[list(models)].to_numpy()[complete].astype(np.int64)
    choices: Reals = questions["options"].map(len).to_numpy(np.float64)[complete]
    return ItemAnswers(codes, choices)


def nearest(problem: RoutingProblem, count: int) -> Places:
    """Return the models whose mean outcomes are closest together."""
    means = problem.outcomes.mean(axis=1)
    order = np.argsort(means)
    spans = means[order][count - 1 :] - means[order][: len(means) - count + 1]
    return np.sort(order[int(spans.argmin()) : int(spans.argmin()) + count])


def test_mmlu_pro(kept: Path) -> None:
    table = mmlu_pro(kept)
    answers = answers_of_mmlu_pro(table.models, table.problem.outcomes.shape[1])
    whole = evaluated("mmlu-pro-responses", data_of(table.problem, table.models, answers))
    assert whole["best", "over_best_single"].value > 0
    chosen = nearest(table.problem, 7)
    pool = replace(
        table.problem,
        outcomes=table.problem.outcomes[chosen],
        costs=table.problem.costs[chosen],
    )
    names = [table.models[at] for at in chosen.tolist()]
    print("\n  the 7 models nearest in mean accuracy:", ", ".join(names))
    seven = evaluated(
        "mmlu-pro-responses, those 7",
        data_of(pool, names, replace(answers, codes=answers.codes[:, chosen])),
    )
    for router in ("best", "neighbours"):
        lower = seven[router, "vote_3_over_top_1"].lower
        assert lower is not None
        assert lower > 0


def test_llmrouter(kept: Path) -> None:
    table = llmrouter(kept)
    priced = replace(table.problem, costs=table.problem.costs / 1000)
    found = evaluated(
        "llmrouter-queries, a thousand tokens a prompt", data_of(priced, table.models)
    )
    assert found["best", "cost_save"].value >= 0.3
    # All but the cheapest, which is the first point of the frontier itself.
    assert found["best", "models_dominated"].value >= 1 - 1 / len(table.models) - 1e-9


def test_routellm(kept: Path) -> None:
    frame = pd.read_parquet(DATA / "routellm-mmlu-gsm8k" / "outcomes.parquet")
    models = ["gpt-4-1106-preview", "mistralai/Mixtral-8x7B-Instruct-v0.1"]
    outcomes = frame[models].to_numpy(np.float32).T
    # Dollars for a thousand tokens of prompts, when the paper was written.
    prices = np.array([[10e-3], [0.24e-3]])
    problem = RoutingProblem(
        outcomes,
        vectors(kept / "minilm-routellm.npy", frame["prompt"]),
        pd.factorize(frame["benchmark"] + frame["subject"].fillna(""))[0].astype(np.intp),
        np.repeat(prices, len(frame), axis=1),
    )
    found = evaluated("routellm-mmlu-gsm8k", data_of(problem, models))
    assert found["best", "apgr"].value > 0.5


def test_routerarena(kept: Path) -> None:
    folder = DATA / "routerarena-sub10"
    items = pd.read_parquet(folder / "items.parquet")
    rows = pd.read_parquet(folder / "outcomes.parquet")
    rows["score"] = rows["score"].clip(0, 1)
    scores = rows.pivot_table(index="model", columns="item", values="score")
    costs = rows.pivot_table(index="model", columns="item", values="cost_usd")
    complete = items["item"].isin(scores.columns[scores.notna().all() & costs.notna().all()])
    items = items[complete]
    problem = RoutingProblem(
        scores[items["item"]].to_numpy(np.float32),
        vectors(kept / "minilm-routerarena.npy", items["prompt"]),
        pd.factorize(items["dataset"].str.split("_").str[0])[0].astype(np.intp),
        costs[items["item"]].to_numpy(np.float64),
    )
    found = evaluated("routerarena-sub10", data_of(problem, list(scores.index)))
    best = found["best-single", "arena_score"].value
    print(f"  arena score of the best single model {best:.4f}")


def vectors(file: Path, prompts: "pd.Series[str]") -> Matrix:
    """Return the vectors of prompts, made once."""
    if not file.exists():
        np.save(file, encoded([prompt[:READ] for prompt in prompts]))
    made: Matrix = np.load(file)
    return made
