"""Scores that came after a fit: what they change, and what is predicted without each of them."""

import numpy as np
import pytest

from registry.learning.arrays import Places
from registry.learning.scores import later_scores
from registry.learning.scores.fit import fit
from registry.learning.scores.later_scores import LaterScores
from registry.learning.scores.observations import ScoreObservations
from registry.learning.scores.score_fit import ScoreFit


@pytest.fixture(scope="module")
def observations() -> ScoreObservations:
    rng = np.random.default_rng(3)
    features = rng.normal(size=(60, 3))
    features -= features.mean(axis=0)
    abilities = features @ rng.normal(size=(3, 2)) * 0.4 + rng.normal(size=(60, 2)) * 0.4
    values = abilities @ rng.normal(size=(2, 8)) + rng.normal(size=(60, 8)) * 0.1
    rows, columns = np.nonzero(rng.random(values.shape) < 0.6)
    return ScoreObservations(
        rows,
        columns,
        values[rows, columns],
        np.zeros(len(rows)),
        60,
        8,
        features,
        [f"{number:03d}" for number in range(8)],
    )


@pytest.fixture(scope="module")
def fitted(observations: ScoreObservations) -> ScoreFit:
    return fit(observations)


def later(rows: list[int], columns: list[int], values: list[float]) -> LaterScores:
    return LaterScores(
        np.array(rows, np.intp),
        np.array(columns, np.intp),
        np.array(values),
        np.zeros(len(rows)),
    )


def places(numbers: list[int]) -> Places:
    return np.array(numbers, np.intp)


def test_pairs_are_all_ordered_pairs_of_scores_of_one_model() -> None:
    rows = [2, 0, 2, 1, 0, 2]
    first, second = later(rows, [0] * 6, [0.0] * 6).pairs()
    expected = {
        (one, other)
        for one in range(6)
        for other in range(6)
        if one != other and rows[one] == rows[other]
    }
    assert len(first) == len(expected) == 8
    assert set(zip(first.tolist(), second.tolist(), strict=True)) == expected


def test_each_score_is_predicted_from_all_others_of_its_model(
    observations: ScoreObservations, fitted: ScoreFit
) -> None:
    prior = fitted.place(observations.features[:2])
    scores = LaterScores(
        places([1, 0, 1, 1]),
        places([3, 3, 5, 0]),
        np.array([0.4, -1.0, 0.2, 0.9]),
        np.array([0.0, 0.0, 0.5, 0.0]),
    )
    found = later_scores.left_out(fitted, prior, scores)
    for place in range(4):
        rest = scores.only(
            np.array([
                other != place and scores.rows[other] == scores.rows[place] for other in range(4)
            ])
        )  # fmt: skip
        folded = later_scores.fold_in(fitted, prior, rest)
        alone = fitted.predict(
            scores.rows[place : place + 1], scores.columns[place : place + 1], folded
        )
        assert found.mean[place] == pytest.approx(alone.mean[0])
        assert found.sd[place] == pytest.approx(alone.sd[0])
        assert found.groups[place] == alone.groups[0]
        assert found.columns[place] == scores.columns[place]
    # The one score of its model is predicted by the prior.
    by_prior = fitted.predict(places([0]), places([3]), prior)
    assert found.mean[1] == pytest.approx(by_prior.mean[0])
    assert found.groups[1] == 0


def test_the_error_of_an_estimate_makes_it_count_less(
    observations: ScoreObservations, fitted: ScoreFit
) -> None:
    prior = fitted.place(observations.features[:1])
    exact = later([0], [3], [3.0])
    rough = LaterScores(exact.rows, exact.columns, exact.values, np.array([9.0]))
    moved = [
        np.abs(later_scores.fold_in(fitted, prior, each).means - prior.means).max()
        for each in (exact, rough)
    ]
    assert moved[0] > 3 * moved[1] > 0


def test_a_model_with_scores_is_expected_by_all_others(
    observations: ScoreObservations, fitted: ScoreFit
) -> None:
    asked = places([7, 41])
    prior = fitted.measured_prior(asked)
    rest = fit(observations.only(~np.isin(observations.rows, asked)))
    alone = rest.place(observations.features[asked])
    # Coordinates of another fit differ, predictions of benchmarks do not.
    columns = np.tile(np.arange(8), 2)
    rows = np.repeat(places([0, 1]), 8)
    ours, theirs = fitted.predict(rows, columns, prior), rest.predict(rows, columns, alone)
    own = fitted.predict(asked[rows], columns)
    assert np.abs(ours.mean - theirs.mean).max() < 0.35 * np.abs(own.mean - theirs.mean).max()
    assert prior.own.tolist() == [0, 0]
    assert np.array_equal(prior.scales, fitted.scales[asked])


def test_scores_of_a_model_of_the_fit_give_its_abilities_again(
    observations: ScoreObservations, fitted: ScoreFit
) -> None:
    asked = places([7, 41])
    which = np.isin(observations.rows, asked)
    scores = LaterScores(
        np.searchsorted(asked, observations.rows[which]),
        observations.columns[which],
        observations.values[which],
        observations.variances[which],
    )
    folded = later_scores.fold_in(fitted, fitted.measured_prior(asked), scores)
    assert np.allclose(folded.means, fitted.means[asked], atol=0.05)
    assert np.allclose(folded.covariances, fitted.covariances[asked], atol=0.02)
    assert folded.own.tolist() == fitted.own[asked].tolist()
