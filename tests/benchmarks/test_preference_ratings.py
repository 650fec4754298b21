"""Ratings by preferences on real outcomes, beside published win rates and plain means.

`pytest -m benchmark tests/benchmarks/test_preference_ratings.py -s`. Rank correlations (Spearman)
with 95% intervals, percentiles over 1,000 resamples of models.
"""

from collections.abc import Mapping
from pathlib import Path
from time import perf_counter

import numpy as np
import pandas as pd
import pytest
from cli_commands import Commands
from scipy.stats import spearmanr
from sqlalchemy import Engine, text

from registry.analysis.statistics.preference_ratings import PreferenceAnalysis, run_preferences
from registry.analysis.statistics.shared_outcomes import PreferenceOptions
from registry.evaluations.outcomes import read_outcomes
from registry.learning.statistics.preferences import rate

JUDGES = ("weighted_alpaca_eval_gpt4_turbo", "alpaca_eval_gpt4")

pytestmark = [pytest.mark.benchmark]


def ratings(found: PreferenceAnalysis) -> dict[str, float]:
    return {each.model: each.rating for each in found.models if each.rating is not None}


def compared(values: Mapping[str, float], published: Mapping[str, float]) -> tuple[float, str]:
    """Return the rank correlation of the models that both have, and how it is printed."""
    names = sorted(values.keys() & published.keys())
    pairs = np.array([(values[name], published[name]) for name in names])
    rng = np.random.default_rng(0)
    drawn = [
        spearmanr(*pairs[rng.integers(len(pairs), size=len(pairs))].T).statistic
        for _ in range(1000)
    ]
    found = float(spearmanr(*pairs.T).statistic)
    low, high = np.quantile(drawn, [0.025, 0.975])
    return found, f"{found:.3f} [{low:.3f}, {high:.3f}] of {len(names)} models"


def published(engine: Engine, metric: str, judge: str) -> dict[str, float]:
    with engine.connect() as connection:
        rows = connection.execute(
            text("""
            SELECT model, score FROM registry.runs
             WHERE benchmark = 'alpaca_eval' AND metric = :metric AND filter = :judge
               AND NOT has_outcomes AND variant IS NULL"""),
            {"metric": metric, "judge": judge},
        )
        return {row.model: row.score for row in rows}


def test_ratings_of_judges_are_the_published_order(
    engine: Engine, database_url: str, shared: Path
) -> None:
    files = [*(shared / "alpaca-eval").glob("*.parquet"), *(shared / "alpaca-eval").glob("*.csv")]
    Commands(database_url).done(
        "evals", "import", *map(str, sorted(files)), "--mapping", "alpaca-eval"
    )
    with engine.connect() as connection:
        matrix = read_outcomes(connection, benchmarks=["alpaca_eval"])
    of_any_judge = dict(
        zip(matrix.models, rate(matrix.values, replicates=0).ratings.tolist(), strict=True)
    )
    for judge in JUDGES:
        begun = perf_counter()
        options = PreferenceOptions(benchmark="alpaca_eval", filter=judge, most=200)
        found = run_preferences(engine, options)
        seconds = perf_counter() - begun
        ties = sum(each.ties for each in found.models) / sum(
            each.wins + each.ties + each.losses for each in found.models
        )
        print(f"\n{judge}: {len(found.models)} models, {ties:.0%} ties, {seconds:.1f} s")
        for metric in ("win_rate", "length_controlled_win_rate"):
            rates = published(engine, metric, judge)
            ours, said = compared(ratings(found), rates)
            mixed, said_mixed = compared(of_any_judge, rates)
            print(f"  {metric}: ratings {said}; of any judge's outcomes {said_mixed}")
            if metric == "win_rate":
                assert ours > 0.95
                assert ours > mixed


def test_ratings_of_right_answers_are_the_order_of_accuracies(
    engine: Engine, database_url: str, shared: Path
) -> None:
    folder = shared / "mmlu-pro-responses"
    Commands(database_url).done(
        "evals", "import", str(folder / "responses.parquet"), "--mapping", "mmlu-pro"
    )
    begun = perf_counter()
    found = run_preferences(engine, PreferenceOptions(benchmark="mmlu_pro"))
    seconds = perf_counter() - begun
    table = pd.read_csv(folder / "models.csv")
    accuracies = dict(zip(table["model"], table["accuracy"], strict=True))
    ours, said = compared(ratings(found), accuracies)
    print(f"\nMMLU-Pro: accuracies {said}, {seconds:.1f} s")
    assert ours > 0.95
