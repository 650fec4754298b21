"""Seconds of all analyses of 7,000 models on six benchmarks, and of their parts beside libraries.

`pytest -m benchmark tests/benchmarks/test_statistics_speed.py -s`. The aim is 20 seconds on two
cores for all of them together, by size and by architecture where models are grouped. Parts are
compared in one run with the library that computes the same: pairs of groups with scipy's, places on
a map with scikit-learn's t-SNE, factors with its fit.
"""

import resource
from collections.abc import Callable
from pathlib import Path
from time import perf_counter, process_time

import numpy as np
import pytest
from cli_commands import Commands
from scipy import stats
from sklearn.decomposition import FactorAnalysis
from sklearn.manifold import TSNE
from sqlalchemy import Engine

from registry.analysis.plots.map import project
from registry.analysis.statistics.ability_factors import run_factors
from registry.analysis.statistics.additive_models import run_gam
from registry.analysis.statistics.additive_samples import GamOptions
from registry.analysis.statistics.benchmark_correlations import run_correlations
from registry.analysis.statistics.benchmark_saturation import run_saturation
from registry.analysis.statistics.group_differences import run_anova, run_tukey
from registry.analysis.statistics.mixed_models import run_mixed
from registry.analysis.statistics.model_maps import run_map
from registry.analysis.statistics.scaling_curves import run_scaling
from registry.analysis.statistics.score_frame import FrameOptions, read_frame
from registry.enums import Grouping, MixedSubject
from registry.learning.arrays import Reals
from registry.learning.statistics.ability_factoring import factor_loadings
from registry.learning.statistics.group_pairs import group_pairs
from registry.learning.statistics.projections import kept_neighbours, standardised

pytestmark = pytest.mark.benchmark


def seconds(work: Callable[[], object]) -> float:
    """Return how long it takes."""
    began = perf_counter()
    work()
    return perf_counter() - began


def test_all_analyses(engine: Engine, database_url: str, shared: Path) -> None:
    file = shared / "open-llm-leaderboard-v1" / "models.csv.gz"
    Commands(database_url).done(
        "evals", "import", str(file), "--mapping", "open-llm-leaderboard-v1"
    )
    plain = FrameOptions()
    size, architecture = (
        FrameOptions(grouping=each) for each in (Grouping.SIZE, Grouping.ARCHITECTURE)
    )
    mixed, authors = MixedSubject.GROUPS, [Grouping.AUTHOR]
    runs: dict[str, Callable[[], object]] = {
        "anova by size": lambda: run_anova(engine, size),
        "anova by architecture": lambda: run_anova(engine, architecture),
        "tukey by size": lambda: run_tukey(engine, size),
        "tukey by architecture": lambda: run_tukey(engine, architecture),
        "correlate": lambda: run_correlations(engine, plain),
        "gam on size": lambda: run_gam(engine, plain),
        "gam on abilities and size": lambda: run_gam(
            engine, plain, GamOptions(on=("abilities", "size"))
        ),
        "mixed by size, authors": lambda: run_mixed(engine, size, mixed, authors),
        "mixed by architecture, authors": lambda: run_mixed(engine, architecture, mixed, authors),
        "map by size": lambda: run_map(engine, size),
        "map by architecture": lambda: run_map(engine, architecture),
        "factors": lambda: run_factors(engine, plain),
        "scaling by architecture": lambda: run_scaling(engine, architecture),
        "saturation": lambda: run_saturation(engine, plain),
    }
    runs = {"frame alone": lambda: read_frame(engine, size)} | runs
    took: dict[str, tuple[float, float]] = {}
    for name, run in runs.items():
        began = process_time()
        wall = seconds(run)
        took[name] = wall, process_time() - began
    took["all"] = sum(each for each, _ in took.values()), sum(each for _, each in took.values())
    print(f"\n{'':32} {'seconds':>8} {'of cores':>9} times the frame")
    for name, (wall, of_cores) in took.items():
        print(f"{name:32} {wall:8.2f} {of_cores:9.2f} {wall / took['frame alone'][0]:8.1f}")
    print(f"memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f} MB at most")


def test_pairs_of_groups_beside_scipy() -> None:
    rng = np.random.default_rng(0)
    groups = [rng.normal(rng.normal() / 5, rng.uniform(0.5, 2), 100) for _ in range(12)]
    group_pairs(groups)

    def by_scipy() -> None:
        for equal in (True, False):
            stats.tukey_hsd(*groups, equal_var=equal).confidence_interval()

    ours, theirs = seconds(lambda: group_pairs(groups)), seconds(by_scipy)
    print(f"\npairs of 12 groups: {1000 * ours:.0f} ms, scipy {theirs / ours:,.0f} times that")


def abilities(models: int, benchmarks: int, factors: int) -> Reals:
    """Return scores that go together by a few abilities, some benchmarks hardly with noise."""
    rng = np.random.default_rng(0)
    loadings = rng.normal(size=(factors, benchmarks)) / np.sqrt(factors)
    noise = np.where(np.arange(benchmarks) % 5 == 0, 0.05, 0.6)
    common = rng.normal(size=(models, factors)) @ loadings
    return standardised(common + noise * rng.normal(size=(models, benchmarks)))


def test_places_beside_scikit_learn() -> None:
    vectors = abilities(5_000, 6, 3).astype(np.float32)
    layout = TSNE(perplexity=30, init="pca", random_state=0, max_iter=1000)
    found: dict[str, tuple[float, Reals]] = {}
    for name, work in (("ours", project), ("scikit-learn", layout.fit_transform)):
        began = perf_counter()
        points = np.asarray(work(vectors), np.float64)
        found[name] = perf_counter() - began, points
    for name, (took, points) in found.items():
        kept = kept_neighbours(vectors.astype(np.float64), points)
        print(
            f"\nplaces of 5,000 models, {name}: {took:.1f} s ({took / found['ours'][0]:.2f}),"
            f" neighbours kept {kept.share:.3f}, trustworthiness {kept.trustworthiness:.4f}"
        )


def test_factors_beside_scikit_learn() -> None:
    of = abilities(2_000, 40, 4)
    correlations = np.asarray(np.corrcoef(of, rowvar=False))
    start = 1 - (factor_loadings(correlations, 4) ** 2).sum(axis=1)
    ours = seconds(lambda: factor_loadings(correlations, 4, start))
    root = np.linalg.cholesky(correlations).T * np.sqrt(40)
    fit = FactorAnalysis(4, tol=1e-10, max_iter=20_000, svd_method="lapack", rotation="varimax")
    theirs = seconds(lambda: fit.fit(np.concatenate([root, -root])))
    print(
        f"\nfactors of 40 benchmarks, of a resample: {1000 * ours:.0f} ms, scikit-learn in"
        f" {fit.n_iter_:,} steps {theirs / ours:,.0f} times that"
    )
