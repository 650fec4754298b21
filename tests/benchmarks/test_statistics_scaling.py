"""Scaling curves, abilities and maps on real scores, beside simple baselines and a published study.

`pytest -m benchmark tests/benchmarks/test_statistics_scaling.py -s`. Larger models are predicted
from smaller ones of their series, and a benchmark from the others as in observational scaling laws
(Ruan, Maddison and Hashimoto 2024), on base models with stated tokens and operations. Intervals are
percentiles over 1,000 resamples of series.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from cli_commands import Commands
from scipy.special import expit
from sqlalchemy import Engine

from registry.analysis.statistics.ability_factors import run_factors
from registry.analysis.statistics.model_maps import MapAnalysis, run_map
from registry.analysis.statistics.scaling_curves import ALL, ScalingResult, run_scaling
from registry.analysis.statistics.score_frame import FrameOptions
from registry.enums import Grouping, ScalingAxis
from registry.learning.arrays import Reals
from registry.learning.statistics.ability_factoring import abilities
from registry.learning.statistics.projections import nearest
from registry.learning.statistics.scaling import fit_curve, predict, slope_test
from registry.learning.statistics.separation import separation

BASE = (
    "arc_challenge", "gsm8k", "hellaswag", "humaneval", "mmlu", "truthfulqa", "winogrande",
    "xwinograd",
)  # fmt: skip
SIX = ("arc_challenge", "gsm8k", "hellaswag", "mmlu", "truthfulqa", "winogrande")
EARLY = (
    "architecture IN ('llama', 'gpt', 'gptj', 'gptneo', 'gptneox', 'gptbigcode', 'bloom', "
    "'falcon', 'opt', 'rwkv', 'glm', 'chatglm', 'mpt', 'stablelm')"
)

LAST_STEP, STEP_TOKENS = 143_000, 2_097_152
"""Of the training of Pythia, and tokens of each step (Biderman et al. 2023)."""

pytestmark = [pytest.mark.benchmark]


@pytest.fixture
def base_models(engine: Engine, database_url: str, shared: Path) -> Engine:
    """Base models of Ruan et al. with stated series, tokens and operations."""
    file = shared / "obs-scaling-scores" / "base_llm_benchmark_eval.csv"
    Commands(database_url).done("evals", "import", str(file), "--mapping", "obs-scaling")
    return engine


@pytest.fixture
def board(engine: Engine, database_url: str, shared: Path) -> Engine:
    """The leaderboard of the study, imported as users import it."""
    file = shared / "open-llm-leaderboard-v1" / "models.csv.gz"
    Commands(database_url).done(
        "evals", "import", str(file), "--mapping", "open-llm-leaderboard-v1"
    )
    return engine


def interval(by_group: Sequence[Sequence[float]]) -> str:
    """Return a mean over all values and its interval, over resamples of groups."""
    rng = np.random.default_rng(0)
    values = [np.array(each, float) for each in by_group]
    draws = [
        np.concatenate([values[place] for place in rng.integers(len(values), size=len(values))])
        for _ in range(1000)
    ]
    lower, upper = np.quantile([each.mean() for each in draws], [0.025, 0.975])
    return f"{np.concatenate(values).mean():.3f} [{lower:.3f}, {upper:.3f}]"


def held_out(fits: Sequence[ScalingResult], name: str) -> list[list[float]]:
    """Return values of the curves of groups by group, each as often as it has held-out models."""
    found: dict[str, list[float]] = defaultdict(list)
    for each in fits:
        value = getattr(each, name)
        if each.group_name != ALL and each.error is not None and value is not None:
            found[each.group_name] += [value] * each.held_out
    return list(found.values())


@pytest.mark.shared
def test_larger_models_are_predicted_from_smaller_ones(base_models: Engine) -> None:
    options = FrameOptions(grouping=Grouping.SERIES, most=60, least=4)
    for axis in ScalingAxis:
        found = run_scaling(base_models, options, axis=axis)
        columns = (
            "error", "last_error", "line_error", "pooled_error", "shared_error", "covered",
            "shared_covered",
        )  # fmt: skip
        parts = {name: held_out(found.fits, name) for name in columns}
        count = sum(map(len, parts["error"]))
        print(f"\nover {axis}: {count} scores of the largest models of {len(parts['error'])} series"
              f" on {len({each.benchmark for each in found.fits})} benchmarks")  # fmt: skip
        said = ("curve", "score at the largest size", "line", "curve of all series",
                "slope of all series", "covered by 95% intervals", "with shared slope")  # fmt: skip
        for title, name in zip(said, columns, strict=True):
            print(f"  {title:28} " + (interval(parts[name]) if parts[name] else "not known"))
        for each in found.abilities:
            print(f"  ability of {each.group_name:20} n {each.n:3} slope {each.slope:+.2f}"
                  f" [{each.slope_lower:+.2f}, {each.slope_upper:+.2f}] R2 {each.r_squared:.2f}"
                  f" (PC-1 {each.ability_share:.0%})")  # fmt: skip
        assert count >= 20


@pytest.mark.shared
@pytest.mark.parametrize("axis", [ScalingAxis.SIZE, ScalingAxis.TOKENS])
def test_pythia_by_size_and_by_checkpoint(
    engine: Engine, database_url: str, shared: Path, tmp_path: Path, axis: ScalingAxis
) -> None:
    results = pd.read_parquet(shared / "pythia-evals" / "results.parquet")
    results = results[
        (results.suite == "pythia-v1") & (results.num_fewshot == 0) & (results.metric == "acc")
        & results.model.str.fullmatch(r"pythia-[0-9.]+[mb](-deduped)?")
        & ~results.task.str.startswith("blimp_") & results.step.ge(1000)
    ]  # fmt: skip
    if axis == ScalingAxis.SIZE:
        results = results[results.step == LAST_STEP]
    sizes = results.model.str.extract(r"-([0-9.]+)([mb])")
    table = pd.DataFrame({
        "model": "EleutherAI/" + results.model + "-step" + results.step.astype(str),
        "task": results.task, "acc": results.value,
        "parameters": (sizes[0].astype(float) * sizes[1].map({"m": 1e6, "b": 1e9})).astype(int),
        "tokens": results.step * STEP_TOKENS,
        "series": results.model.str.replace(
            r"-[0-9.]+[mb]" if axis == ScalingAxis.SIZE else "^$", "", regex=True
        ),
    })  # fmt: skip
    file = tmp_path / "pythia.csv"
    table.drop_duplicates(["model", "task"]).to_csv(file, index=False)
    roles = ("model=model", "benchmark=task", "score=acc", "fact.parameters=parameters",
             "fact.tokens=tokens", "fact.series=series")  # fmt: skip
    columns = [part for role in roles for part in ("--column", role)]
    Commands(database_url).done("evals", "import", str(file), *columns, "--scale", "0-1")
    found = run_scaling(engine, FrameOptions(grouping=Grouping.SERIES, most=60, least=4), axis=axis)
    names = ("error", "line_error", "last_error", "shared_error", "covered", "shared_covered")
    parts = {name: held_out(found.fits, name) for name in names}
    print(f"\nPythia over {axis}: {sum(map(len, parts['error']))} scores of"
          f" {len(parts['error'])} series, {len({each.benchmark for each in found.fits})}"
          " benchmarks")  # fmt: skip
    for name in names:
        print(f"  {name:16} " + (interval(parts[name]) if parts[name] else "not known"))
    assert parts["error"]


@pytest.mark.shared
def test_bands_of_many_models_of_an_architecture(board: Engine) -> None:
    options = FrameOptions(grouping=Grouping.ARCHITECTURE, benchmarks=SIX, least=20)
    found = run_scaling(board, options)
    for name in ("error", "line_error", "last_error", "covered"):
        print(f"  {name:12} {interval(held_out(found.fits, name))}")
    for each in found.fits:
        print(f"  {each.benchmark:14} {each.group_name:12} n {each.n:5}, held {each.held_out:4},"
              f" drift {each.drift or 0:.3f}, deviation {each.deviation or 0:.3f}, covered"
              f" {each.covered}")  # fmt: skip


@pytest.mark.shared
def test_a_benchmark_is_predicted_from_abilities(base_models: Engine) -> None:
    options = FrameOptions(benchmarks=BASE, complete=True)
    found = run_scaling(base_models, options, axis=ScalingAxis.COMPUTE)
    frame = found.frame
    known = np.isfinite(frame.sizes)
    values = frame.values[known]  # noqa: PD011 - a frame of ours
    x = np.log10(frame.sizes[known])
    floors = {each.benchmark: each.floor or 0.0 for each in found.fits}
    large = x > np.quantile(x, 2 / 3)
    print(f"\n{known.sum()} base models with all {len(BASE)} scores and known compute, the"
          f" {large.sum()} of most compute held out; mean absolute errors")  # fmt: skip
    errors: dict[str, list[Reals]] = defaultdict(list)
    for column, benchmark in enumerate(each.name for each in frame.benchmarks):
        y, floor = values[:, column], floors[benchmark]
        others = np.delete(values, column, axis=1)
        scaled = (others - others[~large].mean(axis=0)) / others[~large].std(axis=0)
        _, _, axes = np.linalg.svd(scaled[~large], full_matrices=False)
        guesses: dict[str, Reals] = {
            "last (most compute below)": np.full(large.sum(), y[~large][np.argmax(x[~large])]),
        }
        for name, features in (
            ("compute", x[:, None]), ("PC-1", scaled @ axes[:1].T),
            ("PC-1 to 3 (Ruan et al.)", scaled @ axes[:3].T),
        ):  # fmt: skip
            fit = fit_curve(features[~large], y[~large], floor=floor)
            assert fit is not None
            guesses[name] = predict(fit, features[large]).mean
        for name, guess in guesses.items():
            errors[name].append(np.abs(guess - y[large]))
        print(f"  {benchmark:14} " + ", ".join(
            f"{name} {each[-1].mean():.3f}" for name, each in errors.items()))  # fmt: skip
    for name, each in errors.items():
        print(f"  {name:26} {interval(list(map(list, np.array(each).T)))}")
    mean = {name: float(np.mean(each)) for name, each in errors.items()}
    assert mean["PC-1 to 3 (Ruan et al.)"] < mean["compute"]


@pytest.mark.shared
@pytest.mark.parametrize("grouping", [Grouping.SIZE, Grouping.ARCHITECTURE])
def test_clusters_beside_the_study(board: Engine, grouping: Grouping) -> None:
    for said, condition in {"all": None, "early architectures": EARLY}.items():
        found = run_map(board, FrameOptions(condition=condition, benchmarks=SIX, grouping=grouping))
        check = found.check
        print(f"\nby {grouping}, {said}: {check.models:,} models, {check.verdict}; silhouette"
              f" {check.silhouette:+.3f} (p {check.silhouette_p}), on the map"
              f" {check.map_silhouette:+.3f}; neighbours of the same group {check.purity:.2f}, by"
              f" chance {check.purity_by_chance:.2f}; adjusted Rand {check.adjusted_rand:+.2f};"
              f" trustworthiness {check.trustworthiness:.3f}, kept"
              f" {check.kept_neighbours:.2f}")  # fmt: skip
        for line in by_group(found):
            print(line)
        assert check.verdict == "overlapping"


def by_group(found: MapAnalysis) -> Iterator[str]:
    """Yield how many neighbours on the map are of the same group, by group."""
    points = np.array([(each.x, each.y) for each in found.points if each.group_name])
    names = np.array([each.group_name for each in found.points if each.group_name])
    same = names[nearest(points).astype(np.intp)] == names[:, None]
    for name in dict.fromkeys(sorted(names)):
        own = names == name
        yield (f"  {name:14} n {own.sum():5} neighbours of the group {same[own].mean():.2f}, by"
               f" chance {own.mean():.2f}")  # fmt: skip


@pytest.mark.shared
def test_abilities_of_the_board(board: Engine) -> None:
    for said, condition in {"all": None, "early architectures": EARLY}.items():
        found = run_factors(board, FrameOptions(condition=condition, benchmarks=SIX))
        first = found.factors[0]
        print(f"\n{said}: {found.stored.model_count:,} models, first factor {first.share:.3f}"
              f" [{first.share_lower:.3f}, {first.share_upper:.3f}],"
              f" {sum(each.kept for each in found.factors)} kept; loadings "
              + ", ".join(f"{each.benchmark} {each.loading:.2f}" for each in found.loadings
                          if each.factor == 1))  # fmt: skip
        assert first.share > 0.5


def test_coverage_and_false_findings() -> None:
    rng = np.random.default_rng(0)
    sizes = np.log10(np.array([0.1, 0.4, 1.0, 1.4, 2.8, 6.9, 12.0, 30.0, 70.0]))
    held, slopes, false, count = 0, 0, 0, 2000
    for _ in range(count):
        truth = 0.25 + 0.75 * expit(1.5 * sizes)
        fit = fit_curve(sizes, truth + 0.03 * rng.normal(size=9), floor=0.25)
        assert fit is not None
        new = float(rng.uniform(-1, 1.9))
        band = predict(fit, np.array([new]))
        score = 0.25 + 0.75 * expit(1.5 * new) + 0.03 * rng.normal()
        held += bool(band.lower[0] <= score <= band.upper[0])
        _, lower, upper, _ = slope_test(fit)
        slopes += lower <= 1.5 <= upper
        null = fit_curve(sizes, 0.6 + 0.03 * rng.normal(size=9), floor=0.25)
        assert null is not None
        false += slope_test(null)[3] < 0.05
    print(f"\n95% bands hold a new score: {held / count:.3f}, intervals the slope:"
          f" {slopes / count:.3f}; false slopes at 5%: {false / count:.3f}")  # fmt: skip
    assert 0.93 <= held / count <= 0.97
    assert 0.93 <= slopes / count <= 0.97
    assert 0.04 <= false / count <= 0.06
    found = [
        separation(rng.normal(size=(60, 4)), np.arange(60) % 3, seed=place, permutations=199)
        for place in range(500)
    ]
    silhouettes = np.mean([each.silhouette_p <= 0.05 for each in found])
    purities = np.mean([each.purity_p <= 0.05 for each in found])
    print(f"false groups at 5%: by silhouettes {silhouettes:.3f}, by neighbours {purities:.3f}")
    assert 0.03 <= silhouettes <= 0.07
    assert 0.03 <= purities <= 0.07
    kept = np.mean([
        abilities(rng.normal(size=(100, 6)), seed=place, draws=100).kept > 0 for place in range(200)
    ])  # fmt: skip
    print(f"factors found in scores that go together by chance only, at 5%: {kept:.3f}")
    assert kept < 0.1
