"""Whole scores from a few items, on real outcomes: beside random items, strata and core sets.

`pytest -m benchmark tests/benchmarks/test_few_items.py -s`. SEEDS sets how many splits (3), HELD
how many models of each are new (150). Errors are mean absolute ones of the share of right answers
over all items. The effective sample size is the number of random items whose raw mean has the same
root mean square error.
"""

import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
from banks import planted
from evaluated import block, items, run, write
from metabench import DATA, FILES
from numpy.typing import NDArray
from scipy.stats import ttest_rel
from sklearn.cluster import KMeans
from sqlalchemy import Engine, text

from registry.db import connection as database
from registry.db import migrate
from registry.learning.adaptive_testing.estimation import (
    ScoreEstimate,
    estimate,
    estimate_alike,
)
from registry.learning.adaptive_testing.item_selection import fixed_order, next_items
from registry.learning.adaptive_testing.known import KnownOutcomes, known_outcomes
from registry.learning.adaptive_testing.neighbourhood import NO_ANSWERS, Answers
from registry.prediction.plan import BATCH, PlanOptions, plan_evaluation

SEEDS = range(int(os.environ.get("SEEDS", "3")))
HELD = int(os.environ.get("HELD", "150"))
COUNTS = (10, 20, 50, 100)

pytestmark = [
    pytest.mark.benchmark,
    pytest.mark.skipif(not DATA.is_dir(), reason="needs the real data sets beside the checkout"),
]

Outcomes = NDArray[np.float32]
Items = NDArray[np.intp]


class Responses(NamedTuple):
    """Outcomes of all models, NaN where a model is in none of a benchmark's files."""

    models: list[str]
    items: list[str]
    benchmarks: list[str]
    """Of each item."""
    outcomes: Outcomes

    @property
    def complete(self) -> Items:
        return np.flatnonzero(~np.isnan(self.outcomes).any(axis=1))


@pytest.fixture(scope="module")
def responses() -> Responses:
    tables = [
        pd.read_parquet(DATA / "metabench-responses" / f"responses_{name}.parquet").set_index(
            "model"
        )
        for name in FILES
    ]
    whole = pd.concat(tables, axis=1, join="outer").sort_index()
    benchmarks = [name.partition("_")[0] for name in FILES]
    widths = [table.shape[1] for table in tables]
    return Responses(
        list(whole.index),
        list(whole.columns),
        np.repeat(benchmarks, widths).tolist(),
        whole.to_numpy(np.float32),
    )


class Found(NamedTuple):
    """Estimates of new models by one method at one number of items."""

    errors: NDArray[np.float64]
    inside: NDArray[np.bool_] | None = None
    widths: NDArray[np.float64] | None = None

    @classmethod
    def of(cls, estimates: Sequence[ScoreEstimate], truth: NDArray[np.float64]) -> "Found":
        mean, lower, upper = (
            np.array([getattr(each, end) for each in estimates])
            for end in ("mean", "lower", "upper")
        )
        inside = (lower - 1e-6 <= truth) & (truth <= upper + 1e-6)
        return cls(mean - truth, inside, upper - lower)


def answers(model: Outcomes, places: Items) -> Answers:
    return Answers(places, model[places].astype(np.float64))


def adaptive(known: KnownOutcomes, model: Outcomes, count: int, batch: int) -> Items:
    """Return items in the order in which a new model is asked them."""
    chosen = np.zeros(0, np.intp)
    while len(chosen) < count:
        more = next_items(known, answers(model, chosen), min(batch, count - len(chosen)))
        chosen = np.concatenate([chosen, more])
    return chosen


def matrix(known: KnownOutcomes) -> Outcomes:
    """Return the outcomes of the known models, M x N."""
    return known.values  # noqa: PD011 - no frame


def estimates(
    known: KnownOutcomes, held: Outcomes, orders: Sequence[Items], count: int
) -> list[ScoreEstimate]:
    """Return estimates of new models by their first items; those of one order together."""
    if all(order is orders[0] for order in orders):
        places = orders[0][:count]
        outcomes = held[:, places].astype(np.float64)
        return [each for [each] in estimate_alike(known, places, outcomes)]
    return [
        estimate(known, answers(model, places[:count]))[0]
        for model, places in zip(held, orders, strict=True)
    ]


def stratified(
    known: KnownOutcomes, count: int, rng: np.random.Generator
) -> tuple[Items, NDArray[np.float64]]:
    """Return items drawn one from each of as many strata of difficulty, and the strata's shares."""
    means = matrix(known).mean(axis=0)
    order = np.argsort(means + 1e-6 * rng.random(len(means)))
    strata = np.array_split(order, count)
    drawn = np.array([rng.choice(each) for each in strata], np.intp)
    return drawn, np.array([len(each) for each in strata]) / len(means)


def core_set(known: KnownOutcomes, count: int, seed: int) -> tuple[Items, NDArray[np.float64]]:
    """Return anchor items and their weights: k-means of the items by outcomes (tinyBenchmarks)."""
    models = np.random.default_rng(seed).permutation(len(known.rows))[:500]
    points = matrix(known)[models].T
    means = KMeans(count, n_init=1, random_state=seed).fit(points)
    distances = means.transform(points)
    anchors = distances.argmin(axis=0)
    return anchors, np.bincount(means.labels_, minlength=count) / len(points)


def linear(known: KnownOutcomes, held: Outcomes, counts: Sequence[int]) -> dict[int, Found]:
    """One greedy order and the estimate by a normal distribution of all outcomes."""
    complete = matrix(known).astype(np.float64)
    means, score = complete.mean(axis=0), complete.mean(axis=1)
    covariance = np.cov(complete.T, bias=True)
    chosen: list[int] = []
    left, of_score = covariance.copy(), covariance.mean(axis=1)
    for _ in range(max(counts)):
        gains = of_score**2 / np.maximum(left.diagonal(), 1e-6)
        gains[chosen] = -1
        place = int(gains.argmax())
        chosen.append(place)
        column = left[:, place] / left[place, place]
        of_score = of_score - column * of_score[place]
        left = left - np.outer(column, left[place])
    found = {}
    for count in counts:
        places = chosen[:count]
        own = covariance[np.ix_(places, places)] + 1e-6 * np.eye(count)
        slopes = np.linalg.solve(own, covariance[places].mean(axis=1))
        predicted = score.mean() + (held[:, places] - means[places]) @ slopes
        found[count] = Found(predicted - held.mean(axis=1))
    return found


def measured(
    known: KnownOutcomes, held: Outcomes, seed: int, counts: Sequence[int] = COUNTS
) -> dict[tuple[str, int], Found]:
    """Return what each method finds at each number of items; the first group alone counts."""
    rng = np.random.default_rng(seed)
    truth = held.mean(axis=1).astype(np.float64)
    most, width = max(counts), held.shape[1]
    found: dict[tuple[str, int], Found] = {}
    drawn = [rng.permutation(width)[:most] for _ in held]
    orders: dict[str, list[Items]] = {
        "random, ours": drawn,
        "fixed": [fixed_order(known, most)] * len(held),
        "adaptive": [adaptive(known, model, most, BATCH) for model in held],
    }
    for count in counts:
        raw = [model[places[:count]].mean() for model, places in zip(held, drawn, strict=True)]
        found["random, raw mean", count] = Found(np.array(raw) - truth)
        strata = [stratified(known, count, rng) for _ in held]
        means = [model[drawn] @ shares for model, (drawn, shares) in zip(held, strata, strict=True)]
        found["strata, mean", count] = Found(np.array(means) - truth)
        anchors, weights = core_set(known, count, seed)
        found["core set", count] = Found(held[:, anchors] @ weights - truth)
        for name, order in orders.items():
            found[name, count] = Found.of(estimates(known, held, order, count), truth)
    for count, each in linear(known, held, counts).items():
        found["linear-Gaussian", count] = each
    return found


def joined(parts: Sequence[dict[tuple[str, int], Found]]) -> dict[tuple[str, int], Found]:
    """Return the estimates of several splits together."""
    whole = {}
    for key in parts[0]:
        errors, inside, widths = zip(*(part[key] for part in parts), strict=True)
        whole[key] = Found(np.concatenate(errors))
        if inside[0] is not None:
            whole[key] = Found(*(np.concatenate(each) for each in (errors, inside, widths)))
    return whole


def equivalent(held_variance: float, items_in_all: int, error: float) -> float:
    """Return how many random items have a raw mean with this root mean square error."""
    # Of n out of N items the raw mean has variance v / n (1 - n / N), with v between the items.
    return held_variance / (error**2 + held_variance / items_in_all)


def show(
    found: dict[tuple[str, int], Found], *, items_in_all: int, variance: float
) -> dict[tuple[str, int], float]:
    """Print errors with intervals; return the mean absolute ones."""
    print(
        f"\n  {'items':>5s} {'method':17s} {'error':>16s} {'rmse':>7s} {'ess':>5s}  90% hold, wide"
    )
    for name, count in sorted(found, key=lambda key: (key[1], -np.abs(found[key].errors).mean())):
        each = found[name, count]
        absolute = np.abs(each.errors)
        half = 1.96 * absolute.std() / np.sqrt(len(absolute))
        rmse = float(np.sqrt((each.errors**2).mean()))
        line = f"  {count:5d} {name:17s} {absolute.mean():.4f} +- {half:.4f} {rmse:7.4f}"
        line += f" {equivalent(variance, items_in_all, rmse):5.0f}"
        if each.inside is not None and each.widths is not None:
            line += f"  {each.inside.mean():.3f}, {each.widths.mean():.3f}"
        print(line)
    return {key: float(np.abs(each.errors).mean()) for key, each in found.items()}


def between_items(held: Outcomes) -> float:
    """Return the mean over models of the variance between a model's outcomes."""
    return float(held.var(axis=1, ddof=1).mean())


def paired(found: dict[tuple[str, int], Found], counts: Sequence[int] = COUNTS) -> None:
    """Print the test whether adaptive items have other errors than the fixed ones."""
    for count in counts:
        a, b = (np.abs(found[name, count].errors) for name in ("adaptive", "fixed"))
        test = ttest_rel(a, b)
        low, high = test.confidence_interval(0.95)
        print(f"  {count:3d} items, adaptive minus fixed: {test.statistic:+.1f} t, p ="
              f" {test.pvalue:.1e}, 95% of the difference {low:+.4f} to {high:+.4f}")  # fmt: skip


def split(responses: Responses, seed: int) -> tuple[Outcomes, Outcomes]:
    """Return the outcomes of known models and those of new ones, which have all of them."""
    held = np.random.default_rng(seed).permutation(responses.complete)[:HELD]
    return np.delete(responses.outcomes, held, axis=0), responses.outcomes[held]


def test_the_total_of_860_items(responses: Responses) -> None:
    parts = []
    variances = []
    for seed in SEEDS:
        others, held = split(responses, seed)
        known = known_outcomes(others)
        parts.append(measured(known, held, seed))
        variances.append(between_items(held))
    found = joined(parts)
    print(f"\n  {len(known.rows):,} known models, {len(SEEDS)} x {HELD} new ones", end="")
    variance = float(np.mean(variances))
    errors = show(found, items_in_all=860, variance=variance)
    paired(found)
    assert errors["adaptive", 20] <= 0.025
    assert errors["adaptive", 50] <= 0.016
    sizes = [
        equivalent(variance, 860, float(np.sqrt((found[name, 50].errors ** 2).mean())))
        for name in ("adaptive", "random, raw mean")
    ]
    print(f"  50 adaptive items are worth {sizes[0] / sizes[1]:.1f} times as many random ones")
    assert sizes[0] >= 6 * sizes[1]
    for name in ("random, ours", "fixed", "adaptive"):
        for count in COUNTS:
            inside = found[name, count].inside
            assert inside is not None
            assert 0.88 <= inside.mean() <= 0.95


@pytest.mark.parametrize("known_models", [100, 300, 1000])
def test_fewer_known_models(responses: Responses, known_models: int) -> None:
    parts = []
    for seed in SEEDS:
        chosen = np.random.default_rng(seed).permutation(responses.complete)
        held = responses.outcomes[chosen[: HELD // 2]]
        known = known_outcomes(responses.outcomes[chosen[800 : 800 + known_models]])
        parts.append(measured(known, held, seed, (20, 50)))
    print(f"\n  {known_models} known models", end="")
    found = joined(parts)
    show(found, items_in_all=860, variance=between_items(held))
    paired(found, (20, 50))


FAMILIES = ("llama-?1|llama-(7|13|30|33|65)b", "llama-?2", "mistral", "mixtral", "solar", r"\byi\b",
            "qwen", "falcon", "pythia", "open_llama")  # fmt: skip
"""Words in names of models, and in the names of their roots where these are known."""


def test_new_families(responses: Responses) -> None:
    """Models of a family are estimated from the models of the others."""
    roots = pd.read_csv(DATA / "v1-era-source-models" / "source_models.csv")
    of_root = dict(zip(roots["hf_repo_id"], roots["source_model"].fillna(""), strict=True))
    complete = set(responses.complete.tolist())
    parts = []
    for family in FAMILIES:
        words = re.compile(family, re.IGNORECASE)
        is_kin = np.array(
            [bool(words.search(f"{name} {of_root.get(name, '')}")) for name in responses.models]
        )
        held = np.array([row for row in np.flatnonzero(is_kin).tolist() if row in complete])
        if len(held) < 10:
            continue
        held = np.random.default_rng(0).permutation(held)[:100]
        known = known_outcomes(responses.outcomes[~is_kin])
        part = measured(known, responses.outcomes[held], 0, (20, 50))
        parts.append(part)
        line = ", ".join(
            f"{name} {count} {np.abs(part[name, count].errors).mean():.4f}"
            for count in (20, 50)
            for name in ("random, raw mean", "fixed", "adaptive")
        )
        print(f"\n  {family}: {len(held)} new, {len(known.rows):,} known: {line}", end="")
    found = joined(parts)
    errors = show(found, items_in_all=860, variance=between_items(responses.outcomes[held]))
    paired(found, (20, 50))
    assert errors["adaptive", 50] < 0.5 * errors["random, raw mean", 50]


PUBLISHED = {
    "arc": "tinyBenchmarks 100: 0.020, metabench's adaptive 3PL 76: 0.048 to 0.020",
    "gsm8k": "tinyBenchmarks 100: 0.011 to 0.050",
    "mmlu": "tinyBenchmarks 100: 0.011 to 0.020",
    "truthfulqa": "tinyBenchmarks 100: 0.013 to 0.020",
    "winogrande": "tinyBenchmarks 100: 0.013 to 0.020",
}
"""Errors of the score of the whole benchmark, of all models; as in ../shared/data/README.md."""


@pytest.mark.parametrize("name", ["arc", "gsm8k", "mmlu", "truthfulqa", "winogrande"])
def test_each_benchmark(responses: Responses, name: str) -> None:
    columns = np.array([each == name for each in responses.benchmarks])
    part = responses.outcomes[:, columns]
    part = part[~np.isnan(part).all(axis=1)]
    counts = [count for count in (10, 20, 41, 76, 100) if count < columns.sum()]
    parts = []
    for seed in SEEDS:
        complete = np.flatnonzero(~np.isnan(part).any(axis=1))
        held = np.random.default_rng(seed).permutation(complete)[:HELD]
        known = known_outcomes(np.delete(part, held, axis=0))
        parts.append(measured(known, part[held], seed, counts))
    print(f"\n  {name}, {columns.sum()} items, {len(known.rows):,} known models; published: "
          f"{PUBLISHED[name]}", end="")  # fmt: skip
    found = joined(parts)
    errors = show(found, items_in_all=int(columns.sum()), variance=between_items(part[held]))
    paired(found, counts)
    assert errors["adaptive", 20] < errors["random, raw mean", 20] / 2


@pytest.mark.parametrize("name", ["generation", "repair", "execution", "testgen"])
def test_graded_outcomes_of_few_models(name: str) -> None:
    """Each model of LiveCodeBench is estimated from the others."""
    rows = pd.read_parquet(DATA / "livecodebench-performances" / "outcomes.parquet")
    table = rows[rows["benchmark"] == name].pivot_table(
        index="model", columns="item", values="pass_at_1"
    )
    values = table.to_numpy(np.float32)
    parts = []
    for row in range(len(values)):
        known = known_outcomes(np.delete(values, row, axis=0))
        parts.append(measured(known, values[row : row + 1], row, (10, 20, 50)))
    print(f"\n  {name}: {values.shape[0]} models x {values.shape[1]} items", end="")
    found = joined(parts)
    show(found, items_in_all=values.shape[1], variance=between_items(values))
    paired(found, (10, 20, 50))


def test_items_by_length(responses: Responses) -> None:
    """As many characters, by items of most information and by those of most a character."""
    texts = pd.read_parquet(DATA / "metabench-responses" / "items.parquet").set_index("item_id")
    lengths = np.array([len(texts["prompt"][item]) for item in responses.items], np.float64)
    errors: dict[tuple[str, int], list[NDArray[np.float64]]] = {}
    for seed in SEEDS:
        others, held = split(responses, seed)
        known = known_outcomes(others)
        truth = held.mean(axis=1)
        rng = np.random.default_rng(seed)
        for share in (1, 2, 5):
            most = share / 100 * lengths.sum()
            orders = {
                "random": rng.permutation(860),
                "by item": fixed_order(known, 300),
                "by character": fixed_order(known, 300, lengths),
            }
            for name, order in orders.items():
                places = order[np.cumsum(lengths[order]) <= most]
                found = [each.mean for each in estimates(known, held, [places] * len(held), 860)]
                errors.setdefault((name, share), []).append(np.abs(np.array(found) - truth))
    for (name, share), each in errors.items():
        print(
            f"\n  {share}% of the characters, {name:12s} {np.concatenate(each).mean():.4f}", end=""
        )
    for share in (1, 2, 5):
        by_character, by_item = (
            np.concatenate(errors[name, share]).mean() for name in ("by character", "by item")
        )
        assert by_character <= by_item * 1.02


def took(call: Callable[[], object]) -> float:
    began = perf_counter()
    call()
    return perf_counter() - began


def test_a_plan_of_50_of_10_000_items_takes_a_second(speed_database: str, tmp_path: Path) -> None:
    engine: Engine = database.create_engine(speed_database)
    migrate.upgrade(engine)
    outcomes = planted(1000, 10_000)
    with engine.begin() as connection:
        runs = [run(f"org/m{row}", values.tolist()) for row, values in enumerate(outcomes)]
        write(connection, block("wide", *runs, asked=items(10_000)))
        connection.execute(text("ANALYZE"))
    path = tmp_path / "answers.csv"
    path.write_text("item,outcome\n" + "".join(f"i{place},1\n" for place in range(0, 40, 2)))
    with database.reading(engine, snapshot=True) as connection:
        for name, options in {
            "fixed": PlanOptions(budget=50),
            "the next 10 after 20 answers": PlanOptions(budget=50, adaptive=True, answers=path),
        }.items():
            seconds = [
                took(lambda: plan_evaluation(connection, "org/new", ["wide"], options))  # noqa: B023
                for _ in range(3)
            ]
            print(f"\n  {name}: {min(seconds):.2f} to {max(seconds):.2f} s", end="")
            assert min(seconds) <= 1
    known = known_outcomes(outcomes)
    print(f"\n  of which the choice: {took(lambda: fixed_order(known, 50)):.2f} s, an estimate"
          f" {took(lambda: estimate(known, NO_ANSWERS)):.3f} s")  # fmt: skip
    engine.dispose()
