"""False findings and coverage of comparisons on generated data whose truth is known.

`pytest -m benchmark tests/benchmarks/test_statistics_truth.py -s`. At level 0.95 false findings are
5% and intervals hold the truth in 95%; over 2,000 simulations either is known to half a
point (one standard error).
"""

import numpy as np
import pytest
from scipy import stats

from registry.learning.statistics import paired
from registry.learning.statistics.group_pairs import group_pairs
from registry.learning.statistics.one_way import one_way

SIMULATIONS = 2_000

pytestmark = pytest.mark.benchmark


def said(name: str, count: int, times: int) -> float:
    """Print a share with its interval and return it."""
    low, high = stats.binomtest(count, times).proportion_ci()
    print(f"\n{name}: {count / times:.3f} [{low:.3f}, {high:.3f}] of {times:,}")
    return count / times


def test_false_findings_of_anova_and_welch_with_unequal_variances() -> None:
    rng, times = np.random.default_rng(1), SIMULATIONS
    found = np.zeros(3, int)
    for _ in range(times):
        alike = one_way([rng.normal(size=count) for count in (30, 40, 30)])
        apart = one_way([rng.normal(scale=scale, size=count)
                         for scale, count in ((3, 20), (1, 60), (1, 60))])  # fmt: skip
        found += np.array([alike.p, apart.welch_p, apart.p]) < 0.05
    assert 0.04 <= said("anova, equal variances", int(found[0]), times) <= 0.06
    assert 0.04 <= said("Welch, unequal variances", int(found[1]), times) <= 0.06
    # Why Welch's p counts where variances differ.
    assert said("anova, unequal variances", int(found[2]), times) > 0.1


@pytest.mark.parametrize("groups", [3, 6])
def test_families_of_pairs(groups: int) -> None:
    """Tukey's where variances are equal, Games and Howell's whatever they are."""
    rng, times = np.random.default_rng(groups), SIMULATIONS
    counts = [20, 60, 30, 45, 25, 50][:groups]
    scales = {"equal": [1.0] * groups, "unequal": [3.0, 1.0, 1.5, 1.0, 2.0, 1.2][:groups]}
    means = 0.4 * np.arange(groups)
    for variances, scale in scales.items():
        false, held = np.zeros(2, int), np.zeros(2, int)
        for _ in range(times):
            null = group_pairs(list(map(rng.normal, np.zeros(groups), scale, counts)))
            false += [bool(p.min() < 0.05) for p in (null.p, null.games_howell_p)]
            moved = group_pairs(list(map(rng.normal, means, scale, counts)))
            truth = means[moved.first] - means[moved.second]
            held += [
                bool(((lower <= truth) & (truth <= upper)).all())
                for lower, upper in (
                    (moved.lower, moved.upper),
                    (moved.games_howell_lower, moved.games_howell_upper),
                )
            ]
        for place, method in enumerate(("Tukey", "Games-Howell")):
            name = f"{method}, {groups} groups, {variances} variances"
            wrong = said(f"{name}: any false finding", int(false[place]), times)
            right = said(f"{name}: all intervals hold", int(held[place]), times)
            if variances == "equal" or method == "Games-Howell":
                assert 0.04 <= wrong <= 0.06
                assert 0.93 <= right <= 0.97
            else:
                # Why Games and Howell's counts where variances differ.
                assert wrong > 0.1


def test_paired_differences_of_clustered_items() -> None:
    rng, times = np.random.default_rng(3), SIMULATIONS
    clusters = np.repeat(np.arange(60), 10)
    held = false = plain = 0
    for _ in range(times):
        # Subjects suit one model or the other, both alike on average.
        lean = np.repeat(rng.normal(scale=0.8, size=60), 10)
        rows = [(rng.random(600) < 1 / (1 + np.exp(sign * lean))).astype(np.float32)
                for sign in (1, -1)]  # fmt: skip
        found = paired.compare(rows[0], rows[1][None], clusters)
        false += bool(found.p[0] < 0.05)
        held += bool(found.lower[0] <= 0 <= found.upper[0])
        plain += bool(paired.compare(rows[0], rows[1][None]).p[0] < 0.05)
    assert 0.04 <= said("paired, clustered: false findings", false, times) <= 0.06
    assert 0.93 <= said("paired, clustered: intervals hold", held, times) <= 0.97
    assert said("paired, items as independent: false findings", plain, times) > 0.1
