"""Ratings from preferences: against evalica, a second computation, and known strengths."""

from itertools import combinations

import evalica
import numpy as np
import pytest
from scipy.optimize import minimize

from registry.learning.arrays import Reals
from registry.learning.factorization.problem import Matrix
from registry.learning.statistics import preferences
from registry.learning.statistics.preferences import rate


def outcomes(items: int = 300, seed: int = 0, missing: float = 0.1) -> Matrix:
    """Return graded outcomes of four models, better from one to the next."""
    rng = np.random.default_rng(seed)
    values = np.round(rng.normal(size=(4, items)) + 0.4 * np.arange(4)[:, None])
    values[rng.random(values.shape) < missing] = np.nan
    return values.astype(np.float32)


def comparisons(values: Matrix) -> list[tuple[int, int, evalica.Winner]]:
    found = []
    for item in values.T:
        for first, second in combinations(range(len(values)), 2):
            if np.isnan(item[[first, second]]).any():
                continue
            difference = item[first] - item[second]
            winner = evalica.Winner.X if difference > 0 else evalica.Winner.Y
            found.append((first, second, winner if difference else evalica.Winner.Draw))
    return found


def likeliest(values: Matrix) -> Reals:
    """Return strengths by direct maximum likelihood, as logits."""
    pairs = comparisons(values)

    def loss(logits: Reals) -> float:
        total = 0.0
        for first, second, winner in pairs:
            share = {evalica.Winner.X: 1.0, evalica.Winner.Y: 0.0}.get(winner, 0.5)
            difference = logits[first] - logits[second]
            total += np.logaddexp(0, -difference) * share + np.logaddexp(0, difference) * (
                1 - share
            )
        return total + 1e-9 * float((logits**2).sum())

    return np.asarray(minimize(loss, np.zeros(len(values))).x)


def test_ratings_are_those_of_evalica_and_of_maximum_likelihood() -> None:
    values = outcomes(60)
    found = rate(values, replicates=20)
    first, second, winners = zip(*comparisons(values), strict=True)
    scores = evalica.bradley_terry(first, second, winners, tolerance=1e-10, limit=10_000).scores
    ratings = 400 * np.log10(scores.reindex(range(4)).to_numpy())
    assert found.ratings == pytest.approx(ratings - ratings.mean() + 1000, abs=1e-3)
    logits = likeliest(values) * 400 / np.log(10)
    assert found.ratings == pytest.approx(logits - logits.mean() + 1000, abs=0.1)
    assert found.ratings.mean() == pytest.approx(1000)
    assert (found.lower <= found.ratings).all()
    assert (found.ratings <= found.upper).all()


def test_wins_ties_and_losses_are_counted() -> None:
    nan = np.nan
    values = np.array([[1, 1, 0, nan], [0, 1, 1, 1], [nan, 0, nan, nan]], np.float32)
    found = rate(values, replicates=20)
    assert found.wins.tolist() == [2, 2, 0]
    assert found.ties.tolist() == [1, 1, 0]
    assert found.losses.tolist() == [1, 1, 2]
    # The last item is of one model alone.
    assert found.items.tolist() == [3, 3, 1]
    # Two that beat each other are rated; one that always loses is not.
    assert found.ratings[:2] == pytest.approx([1000, 1000])
    assert np.isnan([found.ratings[2], found.lower[2], found.upper[2]]).all()
    assert found.ranks.tolist() == [1, 1, 0]
    assert (found.best_ranks.tolist(), found.worst_ranks.tolist()) == ([1, 1, 0], [2, 2, 0])


def test_models_without_comparisons_are_apart() -> None:
    found = rate(np.array([[1, np.nan], [np.nan, 1]], np.float32), replicates=20)
    assert np.isnan(found.ratings).all()
    assert found.ranks.tolist() == [0, 0]
    assert found.items.tolist() == [0, 0]
    assert np.isnan(rate(np.zeros((2, 0), np.float32)).ratings).all()


def test_ranks_are_ranges_where_intervals_overlap() -> None:
    values = outcomes(2000)
    values[3] = values[2]  # the same model twice
    found = rate(values, replicates=50)
    assert found.ranks.tolist() == [4, 3, 1, 1]
    assert found.best_ranks.tolist() == [4, 3, 1, 1]
    assert found.worst_ranks.tolist() == [4, 3, 2, 2]


def test_intervals_hold_the_truth() -> None:
    truth = np.array([0.0, 100.0, 250.0])
    truth += 1000 - truth.mean()
    held = []
    for seed in range(30):
        rng = np.random.default_rng(seed)
        # Of each item one pair is compared, so that comparisons are independent.
        values = np.full((3, 150), np.nan, np.float32)
        for item in range(150):
            first, second = rng.choice(3, 2, replace=False)
            odds = 1 / (1 + 10 ** ((truth[second] - truth[first]) / 400))
            wins = float(rng.random() < odds)
            values[[first, second], item] = wins, 1 - wins
        found = rate(values, replicates=60, seed=seed)
        held += ((found.lower <= truth) & (truth <= found.upper)).tolist()
    # 90 intervals of 95%, from few resamples; half as wide ones would hold 67%.
    assert np.mean(held) >= 0.87


def test_the_level_and_the_seed_count() -> None:
    values = outcomes(100)
    wide, narrow = rate(values, replicates=50), rate(values, replicates=50, level=0.5)
    assert (narrow.upper - narrow.lower < wide.upper - wide.lower).all()
    assert not np.array_equal(rate(values, replicates=50, seed=1).lower, wide.lower)
    assert np.array_equal(rate(values, replicates=50).lower, wide.lower)


def test_resamples_are_the_same_however_many_are_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    values = outcomes(40)
    steps: list[tuple[str, int, int]] = []
    whole = rate(values, replicates=21, on_progress=lambda *step: steps.append(step))
    assert steps == [("rating models", step, 21) for step in range(22)]
    monkeypatch.setattr(preferences, "_PAIRS", 5 * 16)
    parts = rate(values, replicates=21)
    assert np.array_equal(parts.lower, whole.lower)
    assert np.array_equal(parts.upper, whole.upper)
    assert parts.resamples == whole.resamples == 21


def test_of_sets_as_large_that_of_the_first_model_is_rated() -> None:
    first = [[np.nan, np.nan, 1, 0], [np.nan, np.nan, 0, 1]]
    other = [[1, 0, np.nan, np.nan], [0, 1, np.nan, np.nan]]
    for values in (first + other, other + first):
        found = rate(np.array(values, np.float32), replicates=20)
        assert found.ranks.tolist() == [1, 1, 0, 0]
        # Half of the resamples of two items have one of them twice, and some none of them.
        assert 0 < found.resamples < 20


def test_a_set_that_always_wins_has_no_say_in_which_is_rated() -> None:
    better, worse = [[1, 0.8], [0.8, 1]], [[0.2, 0], [0, 0.2]]
    for values in (better + worse, worse + better):
        found = rate(np.array(values, np.float32), replicates=20)
        assert found.ranks.tolist() == [1, 1, 0, 0]


def test_infinite_outcomes_are_refused() -> None:
    values = outcomes(20)
    values[1, 2] = np.inf
    with pytest.raises(ValueError, match="finite"):
        rate(values)
