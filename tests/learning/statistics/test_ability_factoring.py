"""Factors: the library's numbers, as many as there are, and intervals that hold the truth."""

import numpy as np
import pytest
from sklearn.decomposition import FactorAnalysis

from registry.learning.arrays import Reals
from registry.learning.statistics.ability_factoring import (
    _matched,
    abilities,
    factor_loadings,
    most_factors,
    own_variances,
    principal_abilities,
)
from registry.learning.statistics.projections import standardised

TRUTH = np.array([[0.9, 0.0], [0.8, 0.1], [0.7, 0.0], [0.1, 0.8], [0.0, 0.7], [0.0, 0.6]])


def scores(count: int, truth: Reals = TRUTH, seed: int = 0) -> Reals:
    """Return scores of models with normal abilities."""
    rng = np.random.default_rng(seed)
    common = rng.normal(size=(count, truth.shape[1])) @ truth.T
    own = np.sqrt(1 - (truth**2).sum(axis=1))
    return np.asarray(0.5 + 0.1 * (common + own * rng.normal(size=(count, len(truth)))))


def test_loadings_are_those_of_a_direct_fit_of_all_scores() -> None:
    of = scores(300)
    direct = FactorAnalysis(
        2, rotation="varimax", svd_method="lapack", tol=1e-13, max_iter=20_000
    ).fit(standardised(of))
    expected = direct.components_.T
    expected = expected[:, np.argsort(-(expected**2).sum(axis=0))]
    found = factor_loadings(np.asarray(np.corrcoef(of, rowvar=False)), 2)
    assert np.abs(found) == pytest.approx(np.abs(expected), abs=2e-5)
    assert (found.sum(axis=0) > 0).all()
    assert np.allclose(found, TRUTH, atol=0.15)
    assert factor_loadings(np.eye(3), 0).shape == (3, 0)


def test_a_search_ends_where_it_begins_elsewhere() -> None:
    correlations = np.asarray(np.corrcoef(scores(300), rowvar=False))
    found = own_variances(correlations, 2)
    assert own_variances(correlations, 2, np.full(6, 0.9)) == pytest.approx(found, abs=1e-4)
    # Unique variances and loadings make up each variance of 1.
    explained = (factor_loadings(correlations, 2, found) ** 2).sum(axis=1)
    assert found + explained == pytest.approx(1, abs=1e-4)


def test_a_benchmark_that_follows_from_others_has_hardly_a_variance_of_its_own() -> None:
    of = scores(200)
    of = np.column_stack([of, of[:, :3].mean(axis=1)])
    correlations = np.asarray(np.corrcoef(of, rowvar=False))
    loadings = factor_loadings(correlations, 2)
    assert np.isfinite(loadings).all()
    communality = (loadings**2).sum(axis=1)
    assert communality[-1] == pytest.approx(1, abs=1e-4)
    assert (communality <= 1 + 1e-6).all()
    assert abilities(of, seed=0, draws=5).kept == 2


def test_as_many_factors_are_kept_as_explain_more_than_chance() -> None:
    of = scores(400)
    found = abilities(of, seed=1, draws=40)
    assert found.kept == 2
    assert found.eigenvalues.sum() == pytest.approx(6)
    assert found.shares == pytest.approx(found.eigenvalues / 6)
    assert found.share_lower[0] < found.shares[0] < found.share_upper[0]
    inside = (found.lower <= TRUTH) & (found.upper >= TRUTH)
    assert inside.mean() >= 0.75
    assert (found.upper - found.lower).max() < 0.5
    assert found.rotated_shares == pytest.approx((found.loadings**2).sum(axis=0) / 6)
    wide = abilities(of, seed=1, draws=40, level=0.5)
    assert (wide.upper - wide.lower).mean() < (found.upper - found.lower).mean()
    # The same seed gives the same.
    assert np.array_equal(abilities(of, seed=1, draws=40).lower, found.lower)
    assert abilities(scores(300, np.zeros((4, 1))), seed=0, draws=40).kept == 0


def test_no_more_factors_than_are_unique() -> None:
    assert [most_factors(width) for width in (3, 4, 5, 6, 10)] == [1, 1, 2, 3, 6]


def test_principal_abilities_are_those_of_standardised_scores() -> None:
    of = scores(50)
    found = principal_abilities(of, 2)
    vectors = standardised(of)
    variances = np.linalg.eigvalsh(vectors.T @ vectors / 50)[::-1]
    assert found.var(axis=0) == pytest.approx(variances[:2])
    assert np.corrcoef(found[:, 0], vectors.sum(axis=1))[0, 1] > 0.5


def test_factors_of_resamples_are_matched_by_what_they_are_like() -> None:
    rng = np.random.default_rng(6)
    reference = np.linalg.qr(rng.normal(size=(6, 3)))[0]
    drawn = reference[:, [2, 0, 1]] * [-1.0, 1.0, -1.0] + 0.01 * rng.normal(size=(6, 3))
    assert _matched(drawn, reference) == pytest.approx(reference, abs=0.05)


def test_shares_of_columns_that_follow_from_others_are_not_negative() -> None:
    scores = np.random.default_rng(3).random((12, 6))
    scores[:, 1], scores[:, 2], scores[:, 3] = scores[:, 0], 2 * scores[:, 0], 1 - scores[:, 0]
    found = abilities(scores, seed=1, draws=5)
    assert min(found.shares.min(), found.share_lower.min()) >= 0
    assert found.shares.sum() == pytest.approx(1)
