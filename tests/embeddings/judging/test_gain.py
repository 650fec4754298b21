"""Gains in log loss, and their noise, against resampling."""

import numpy as np
import pytest

from registry.embeddings.judging.gain import Gain, gain, losses, quantile
from registry.learning.metrics import log_loss


def test_the_error_is_that_of_resampled_models() -> None:
    """A version that suits some models and not others: the outcomes of one are no evidence."""
    rng = np.random.default_rng(0)
    models, items = np.repeat(np.arange(30), 40), np.tile(np.arange(40), 30)
    ours = np.zeros(1200)
    theirs = np.repeat(rng.normal(0, 0.2, 30), 40) + rng.normal(0, 0.1, 1200)
    found = gain(theirs, ours, models, items)
    by_model = theirs.reshape(30, 40).mean(axis=1)
    drawn = [by_model[rng.integers(0, 30, 30)].mean() for _ in range(4000)]
    assert found.mean == pytest.approx(theirs.mean())
    assert found.error == pytest.approx(np.std(drawn), rel=0.1)
    assert found.count == 1200
    # Those of items are smaller: the larger one counts, whichever axis is which.
    assert gain(theirs, ours, items, models) == found


def test_one_model_or_item_has_no_error_of_its_own() -> None:
    values, ours, one, many = np.arange(6.0), np.zeros(6), np.zeros(6, int), np.arange(6)
    alone = gain(values, ours, one, many)
    assert alone.error == pytest.approx(np.std(values, ddof=1) / np.sqrt(6))
    assert gain(values, ours, many, one) == alone
    unknown = gain(values, ours, one, one)
    assert unknown.error == float("inf")
    assert not unknown.clear
    assert not gain(-values, ours, one, one).lost(0, 1)
    nothing = np.zeros(0, int)
    assert gain(np.zeros(0), np.zeros(0), nothing, nothing) == Gain(0.0, float("inf"), 0)


def test_what_is_clear_is_beyond_the_noise_of_outcomes_and_of_seeds() -> None:
    assert Gain(0.185, 0.01, 900).clear
    assert not Gain(0.019, 0.01, 900).clear
    assert not Gain(0.0019, 0.0001, 900).clear
    assert Gain(0.0021, 0.0001, 900).clear


def test_of_many_benchmarks_some_seem_to_lose_by_chance() -> None:
    worse = Gain(-0.025, 0.01, 900)
    assert worse.lost(0, 1)
    assert not worse.lost(0.01, 1)
    assert not worse.lost(0, 57)
    rng = np.random.default_rng(1)
    means = rng.normal(0, 1, (2000, 57))
    refused = [(-each).max() > quantile(57) for each in means]
    assert np.mean(refused) == pytest.approx(0.025, abs=0.012)


def test_losses_are_those_of_the_log_loss() -> None:
    y, p = np.array([1, 0, 0.5], np.float32), np.array([0.9, 0.2, 0.6], np.float32)
    assert losses(y, p).mean() == pytest.approx(log_loss(y, p))
    assert np.isfinite(losses(y, np.array([0, 1, 1], np.float32))).all()
