"""Axes along which posteriors are uncorrelated, and variances of logits from them."""

import numpy as np
import pytest

from registry.learning.arrays import Reals
from registry.learning.axes import LEAST_VARIANCE, Axes

D = 4


def positive(seed: int, rank: int = D) -> Reals:
    root = np.random.default_rng(seed).normal(size=(D, rank))
    return root @ root.T


PRIOR, INFORMATION = positive(1), positive(2)
AXES = Axes.of(PRIOR, INFORMATION)
ITEMS = np.random.default_rng(3).normal(size=(6, D))


def logit_variances(covariance: Reals) -> Reals:
    found: Reals = np.einsum("nd,de,ne->n", ITEMS, covariance, ITEMS)
    return found


def posterior(count: int) -> Reals:
    """Return the covariance after so many outcomes."""
    found = np.linalg.inv(np.linalg.inv(PRIOR) + count * INFORMATION)
    return np.asarray(found, np.float64)


@pytest.mark.parametrize("count", [0, 1, 7, 300])
def test_one_variance_an_axis_gives_every_logit_of_any_number_of_outcomes(count: int) -> None:
    covariance = posterior(count)
    along = AXES.along(covariance[None])[0]
    assert (along > 0).all()
    assert AXES.squares(ITEMS) @ along == pytest.approx(logit_variances(covariance), rel=1e-6)
    if not count:
        assert along == pytest.approx(np.ones(D))
    # One number for all coordinates says less.
    single = np.trace(covariance) / D * (ITEMS**2).sum(1)
    assert abs(np.log(single / logit_variances(covariance))).max() > 0.1


def test_a_prior_of_other_variances_is_exact_to_first_order() -> None:
    own = PRIOR.diagonal()
    twice = AXES.of_prior(np.array([2 * own, own]), PRIOR)
    assert twice == pytest.approx(np.array([[2.0] * D, [1.0] * D]))
    slightly = own * np.array([1.02, 1.0, 1.03, 1.01])
    root = np.sqrt(slightly / own)
    exact = AXES.along((PRIOR * np.outer(root, root))[None])
    assert AXES.of_prior(slightly[None], PRIOR) == pytest.approx(exact, rel=2e-3)
    assert AXES.of_prior(own[None] * 1e-9, PRIOR).min() == LEAST_VARIANCE


def test_a_rotation_with_zeros_turns_the_axes_alone() -> None:
    rotation = np.linalg.qr(np.random.default_rng(4).normal(size=(D + 2, D + 2)))[0][:D]
    turned = Axes(rotation.T @ AXES.directions)
    covariance = posterior(5)
    along = turned.along((rotation.T @ covariance @ rotation)[None])
    assert along == pytest.approx(AXES.along(covariance[None]))
    assert turned.squares(ITEMS @ rotation) == pytest.approx(AXES.squares(ITEMS))


def test_a_prior_and_information_without_full_rank_are_no_error() -> None:
    axes = Axes.of(positive(5, rank=2), positive(6, rank=1))
    assert np.isfinite(axes.directions).all()
    assert np.isfinite(axes.along(positive(5, rank=2)[None])).all()
