"""A table of generated scores is recovered, with intervals that hold what they say."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from registry.errors import UsageError
from registry.learning.factorization.problem import Context
from registry.learning.scores import evidence
from registry.learning.scores.conformal import GROUPS, LEVELS
from registry.learning.scores.fit import fit
from registry.learning.scores.links import MARGIN, ScoreLinks
from registry.learning.scores.observations import ScoreObservations
from registry.learning.scores.score_fit import ScoreFit

Reals = NDArray[np.float64]


class Table(NamedTuple):
    observations: ScoreObservations
    truth: Reals
    """Working scale, without noise."""
    values: Reals
    """With noise, M x B."""
    known: NDArray[np.bool_]


def test_progress_is_of_the_fits() -> None:
    said: list[tuple[str, int, int]] = []
    fit(
        table(models=40, unmeasured=4).observations,
        Context(on_progress=lambda *each: said.append(each)),
    )
    assert said == [("fitting predicted scores", done, 12) for done in range(12)]


def table(
    *,
    models: int = 120,
    benchmarks: int = 16,
    share: float = 0.5,
    noise: float = 0.15,
    unmeasured: int = 20,
    seed: int = 0,
) -> Table:
    """Two abilities, of which features state most, and benchmarks of which some are noisier."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(models, 4))
    features -= features.mean(axis=0)
    abilities = features @ rng.normal(size=(4, 2)) * 0.4 + rng.normal(size=(models, 2)) * 0.4
    loadings = np.column_stack([rng.uniform(0.5, 1.2, benchmarks), rng.normal(size=benchmarks)])
    truth = rng.normal(size=benchmarks) + abilities @ loadings.T
    spread = noise * np.where(np.arange(benchmarks) % 5 == 0, 3, 1)
    values = truth + rng.normal(size=truth.shape) * spread
    known = rng.random(truth.shape) < share
    known[:unmeasured] = False
    rows, columns = np.nonzero(known)
    observations = ScoreObservations(
        rows,
        columns,
        values[known],
        np.zeros(len(rows)),
        models,
        benchmarks,
        features / np.sqrt((features**2).sum(axis=1).mean()),
        [f"{number:03d}" for number in range(benchmarks)],
    )
    return Table(observations, truth, values, known)


@pytest.fixture(scope="module")
def known() -> Table:
    return table()


@pytest.fixture(scope="module")
def fitted(known: Table) -> ScoreFit:
    return fit(known.observations)


def hidden(known: Table) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    rows, columns = np.nonzero(~known.known)
    return rows, columns


def test_hidden_scores_are_recovered(known: Table, fitted: ScoreFit) -> None:
    rows, columns = hidden(known)
    found = fitted.predict(rows, columns)
    error = found.mean - known.truth[rows, columns]
    measured = rows >= 20
    spread = known.truth[rows, columns] - known.truth.mean(axis=0)[columns]
    assert np.sqrt((error[measured] ** 2).mean()) < 0.2 * spread.std()
    assert np.sqrt((error[~measured] ** 2).mean()) < 0.7 * spread[~measured].std()
    assert (found.groups[~measured] == 0).all()
    assert (found.groups[measured] > 0).all()


def test_deviations_are_larger_where_less_is_known(known: Table, fitted: ScoreFit) -> None:
    rows, columns = hidden(known)
    sd = fitted.calibration.deviations(fitted.predict(rows, columns))
    assert sd[rows < 20].mean() > 1.5 * sd[rows >= 20].mean()
    noisy = columns % 5 == 0
    assert sd[noisy & (rows >= 20)].mean() > 1.8 * sd[~noisy & (rows >= 20)].mean()


@pytest.mark.parametrize("level", [0.5, 0.9])
def test_intervals_cover(known: Table, fitted: ScoreFit, level: float) -> None:
    rows, columns = hidden(known)
    found = fitted.intervals(fitted.predict(rows, columns), level)
    score = fitted.links.scores(known.values[rows, columns], columns)
    within = (found.lower <= score) & (score <= found.upper)
    # Scores of one model without others err together, so that 20 of them vary.
    assert within[rows < 20].mean() == pytest.approx(level, abs=0.12)
    assert within[rows >= 20].mean() == pytest.approx(level, abs=0.06)
    assert ((found.lower <= found.score) & (found.score <= found.upper)).all()
    assert ((found.lower >= 0) & (found.upper <= 1)).all()


def test_trust_is_the_share_within_the_tolerance(known: Table, fitted: ScoreFit) -> None:
    rows, columns = hidden(known)
    predictions = fitted.predict(rows, columns)
    error = np.abs(
        fitted.links.scores(predictions.mean, columns)
        - fitted.links.scores(known.values[rows, columns], columns)
    )
    for tolerance in (0.02, 0.05):
        trust = fitted.trust(predictions, tolerance)
        assert trust.mean() == pytest.approx((error <= tolerance).mean(), abs=0.05)
        high = trust > np.median(trust)
        assert (error[high] <= tolerance).mean() > (error[~high] <= tolerance).mean() + 0.1
    with pytest.raises(ValueError, match="above 0"):
        fitted.trust(predictions, 0.0)


def test_models_that_are_predicted_worse_have_wider_intervals() -> None:
    known = table(models=200, unmeasured=40, seed=4)
    odd = np.arange(200) % 2 == 0
    rng = np.random.default_rng(0)
    values = known.values + rng.normal(size=known.values.shape) * odd[:, None] * 1.5
    features = np.column_stack([known.observations.features, odd - 0.5])
    observations = replace(
        known.observations,
        values=values[known.known],
        features=features,
        groups=np.repeat([0, 1], [4, 1]),
    )
    fitted = fit(observations)
    ratio = fitted.scales[odd].mean(axis=0) / fitted.scales[~odd].mean(axis=0)
    assert ratio[1] > 2.5
    assert ratio[0] > 1.3
    rows, columns = hidden(known)
    found = fitted.intervals(fitted.predict(rows, columns))
    score = fitted.links.scores(values[rows, columns], columns)
    within = (found.lower <= score) & (score <= found.upper)
    for kind in (odd, ~odd):
        for cold in (rows < 40, rows >= 40):
            assert within[cold & kind[rows]].mean() == pytest.approx(0.9, abs=0.08)
    placed = fitted.place(features[:4])
    assert np.allclose(placed.scales, fitted.scales[:4])


def test_held_out_figures_agree_with_hidden_scores(known: Table, fitted: ScoreFit) -> None:
    assert fitted.held_out["all"].coverage == pytest.approx(0.9, abs=0.03)
    assert fitted.held_out["all"].scores == 2 * len(known.observations)
    assert set(fitted.held_out) <= {"all", *GROUPS}
    rows, columns = hidden(known)
    found = fitted.intervals(fitted.predict(rows, columns))
    error = np.abs(found.score - fitted.links.scores(known.values[rows, columns], columns))
    cold = fitted.held_out["no other scores"]
    assert cold.mean_error == pytest.approx(error[rows < 20].mean(), rel=0.2)
    assert cold.width == pytest.approx(np.median((found.upper - found.lower)[rows < 20]), rel=0.2)
    assert fitted.held_out["all"].trust_error < 0.05


def test_left_out_predictions_do_not_see_the_score(known: Table) -> None:
    changed = known.observations.values.copy()
    changed[7] += 5
    before, after = (
        fit(replace(known.observations, values=values)).left_out
        for values in (known.observations.values, changed)
    )
    assert len(before) == len(known.observations)
    assert np.array_equal(before.columns, known.observations.columns)
    assert after.mean[7] == pytest.approx(before.mean[7])
    assert not np.allclose(after.mean, before.mean)
    error = before.mean - known.observations.values
    assert np.sqrt((error**2).mean()) < 0.6


def test_variances_are_inner_products(known: Table, fitted: ScoreFit) -> None:
    rows, columns = hidden(known)
    variance = (fitted.model_vectors()[rows] * fitted.benchmark_vectors()[columns]).sum(axis=1)
    found = fitted.predict(rows, columns)
    scales = fitted.scales[rows, (found.groups > 0).astype(int)]
    assert np.allclose((variance + fitted.residuals[columns]) * scales**2, found.sd**2)
    mean, cell = rows[5], columns[5]
    weights, covariance = fitted.loadings[cell], fitted.covariances[mean]
    extended = np.append(1, fitted.means[mean])
    loading = fitted.loading_covariances[cell]
    expected = weights @ covariance @ weights + extended @ loading @ extended
    expected += np.trace(loading[1:, 1:] @ covariance) + fitted.residuals[cell]
    assert found.sd[5] ** 2 == pytest.approx(expected * scales[5] ** 2)


def test_folding_in_agrees_with_a_refit(known: Table, fitted: ScoreFit) -> None:
    observations = known.observations
    models = [25, 60, 110]
    others = ~np.isin(observations.rows, models)
    rest = fit(observations.only(others))
    own = observations.only(~others).of_models(np.array(models, np.intp))
    folded = rest.fold_in(own.features, own.rows, own.columns, own.values, own.variances)
    assert np.array_equal(folded.own, np.bincount(own.rows))
    columns = np.tile(np.arange(observations.benchmarks), len(models))
    found = rest.predict(np.repeat(np.arange(len(models)), 16), columns, folded)
    again = fitted.predict(np.repeat(models, 16), columns)
    assert np.abs(found.mean - again.mean).max() < 0.35 * again.sd.max()
    assert np.allclose(found.sd, again.sd, rtol=0.25)
    assert np.array_equal(found.groups, again.groups)


def test_folding_in_nothing_gives_the_prior(known: Table, fitted: ScoreFit) -> None:
    features = known.observations.features[:3]
    none = np.zeros(0)
    places = np.zeros(0, np.intp)
    prior = fitted.place(features)
    folded = fitted.fold_in(features, places, places, none, none)
    assert np.allclose(folded.means, prior.means)
    assert np.allclose(folded.covariances, prior.covariances)
    assert np.allclose(prior.means, fitted.means[:3])


def test_exact_scores_count_more_than_estimated_ones(known: Table, fitted: ScoreFit) -> None:
    features, rows = known.observations.features[:1], np.zeros(5, np.intp)
    columns, values = np.arange(1, 6), fitted.intercepts[1:6] + 1
    exact, rough = (
        fitted.fold_in(features, rows, columns, values, np.full(5, variance))
        for variance in (0.0, 4.0)
    )
    prior = fitted.place(features)
    moved = [np.abs(each.means - prior.means).sum() for each in (exact, rough)]
    assert moved[0] > 2 * moved[1] > 0
    assert np.trace(exact.covariances[0]) < np.trace(rough.covariances[0])


def test_errors_of_scores_are_no_residual() -> None:
    known = table(noise=0.05, seed=3)
    rng = np.random.default_rng(1)
    values = known.observations.values + rng.normal(size=len(known.observations))
    plain = fit(replace(known.observations, values=values))
    stated = fit(
        replace(known.observations, values=values, variances=np.ones(len(known.observations)))
    )
    assert np.median(stated.residuals) < 0.3 * np.median(plain.residuals)


def test_an_outlier_has_little_influence(known: Table, fitted: ScoreFit) -> None:
    values = known.observations.values.copy()
    values[11] += 20
    spoilt = fit(replace(known.observations, values=values))
    row = int(known.observations.rows[11])
    columns = np.arange(known.observations.benchmarks)
    before, after = (each.predict(np.full(16, row), columns).mean for each in (fitted, spoilt))
    assert np.abs(after - before).max() < 0.4


def test_benchmarks_of_similar_names_have_similar_loadings() -> None:
    known = table(models=60, benchmarks=40, share=0.6, unmeasured=0, seed=2)
    observations = known.observations
    kind = np.arange(40) % 2
    truth = known.truth - 3.0 * kind
    names = [f"{'mathematics' if each else 'history'} {place}" for place, each in enumerate(kind)]
    few = (observations.columns > 1) | (observations.rows < 1)
    own = replace(
        observations, values=truth[observations.rows, observations.columns], names=names
    ).only(few)
    intercepts = fit(own).intercepts
    assert intercepts[kind == 0].mean() - intercepts[kind == 1].mean() > 2
    unnamed = fit(replace(own, names=observations.names)).intercepts
    gap, other = intercepts[0] - intercepts[1], unnamed[0] - unnamed[1]
    assert gap > other


def test_weights_of_relatives_are_derivatives(known: Table, fitted: ScoreFit) -> None:
    feature, column = known.observations.features[3], 3
    new = fitted.place(feature[None])
    near = evidence.relatives(fitted, feature, column, new, most=5)
    assert len(near.places) == 5
    assert (np.diff(np.abs(near.weights)) <= 0).all()
    loadings = fitted.loadings[column]
    prior, local = fitted.prior, fitted.local
    vectors = local.left + prior.means()
    assert local.shares.any()

    def placed(abilities: Reals) -> Reals:
        products = prior.features.T @ (abilities - prior.mean)
        moved = replace(prior, slopes=np.einsum("dij,jd->id", prior.inverses, products))
        left = replace(local, left=abilities - moved.means())
        return np.asarray(replace(fitted, prior=moved, local=left).place(feature[None]).means[0])

    for place, weight in zip(near.places, near.weights, strict=True):
        raised = vectors.copy()
        raised[np.searchsorted(fitted.measured, place)] += loadings / (loadings @ loadings)
        assert weight == pytest.approx(float((placed(raised) - placed(vectors)) @ loadings))


def test_a_model_is_no_relative_of_its_own(known: Table, fitted: ScoreFit) -> None:
    feature = known.observations.features[30]
    one = fitted.abilities.only(np.array([30]))
    others = evidence.relatives(fitted, feature, 3, one, row=30, most=200)
    assert 30 not in others.places
    assert set(others.places) <= set(range(20, 120))
    own_rows = known.observations.rows == 30
    columns, values = known.observations.columns[own_rows], known.observations.values[own_rows]
    own = evidence.own_scores(fitted, 3, one, (columns, values, np.zeros(len(columns))))
    # Its own scores say more of a model than others' do.
    assert np.abs(own.weights).sum() > np.abs(others.weights).sum()
    unknown = evidence.relatives(fitted, feature, 3, fitted.place(feature[None]), most=200)
    assert np.abs(others.weights).sum() < np.abs(unknown.weights).sum()


def test_weights_without_the_model_itself_give_the_prior_of_the_others(
    known: Table, fitted: ScoreFit
) -> None:
    prior, local = fitted.prior, fitted.local
    vectors = local.left + prior.means()
    products = prior.features.T @ (vectors - prior.mean)
    prior = replace(prior, slopes=np.einsum("dij,jd->id", prior.inverses, products))
    linear = replace(fitted, prior=prior, local=replace(local, shares=np.zeros(len(prior.mean))))
    place = 10
    feature = known.observations.features[fitted.measured[place]]
    weights, variance = linear.prior_weights(feature, place)
    mean, spread = prior.others(vectors)
    found = prior.mean + (weights * (vectors - prior.mean)).sum(axis=0)
    assert found == pytest.approx(mean[place])
    assert variance == pytest.approx(spread[place])


def test_neighbours_make_the_prior_narrower(known: Table, fitted: ScoreFit) -> None:
    features = known.observations.features[:20]
    variances = np.einsum("nii->ni", fitted.place(features).covariances)
    of_features = fitted.prior.predict(features)[1]
    on = fitted.local.shares > 0
    assert on.any()
    assert (variances[:, on] <= of_features[:, on]).all()
    assert (variances[:, on] < of_features[:, on]).any(axis=0).all()
    assert np.allclose(variances[:, ~on], of_features[:, ~on])
    assert np.array_equal(fitted.covariances[:20], fitted.place(features).covariances)


def test_the_strongest_of_many_are_relatives(known: Table, fitted: ScoreFit) -> None:
    features = known.observations.features[:30]
    places = np.append(np.full(20, -1), np.arange(10))
    found = evidence.strongest(fitted, features, places, most=100)
    assert found.places.shape == (30, 100)
    assert (np.diff(np.abs(found.weights), axis=1) <= 0).all()
    for row in (0, 25):
        worth = np.square(fitted.loadings).mean(axis=0)
        expected, _ = fitted.prior_weights(features[row], int(places[row]))
        weights = np.zeros(100)
        weights[found.places[row]] = found.weights[row]
        # A model's own prior leaves it out, which makes the weights of others larger.
        assert np.corrcoef(weights, expected @ worth)[0, 1] > 0.99
    assert not found.weights[25][found.places[25] == 5].any()
    few = evidence.strongest(fitted, features, places, most=3)
    assert np.array_equal(few.places, found.places[:, :3])


def test_own_scores_are_weighted_as_derivatives(known: Table, fitted: ScoreFit) -> None:
    features = known.observations.features[:1]
    columns = np.arange(2, 8)
    values = fitted.intercepts[columns] + 0.1
    zero, rows = np.zeros(6), np.zeros(6, np.intp)
    folded = fitted.fold_in(features, rows, columns, values, zero)
    own = evidence.own_scores(fitted, 12, folded, (columns, values, zero))
    heaviest = own.places[0]
    moved = fitted.fold_in(features, rows, columns, values + 0.01 * (columns == heaviest), zero)
    means = [
        fitted.predict(np.array([0]), np.array([12]), each).mean[0] for each in (folded, moved)
    ]
    assert (means[1] - means[0]) / 0.01 == pytest.approx(own.weights[0], rel=0.6)
    assert np.sign(means[1] - means[0]) == np.sign(own.weights[0])


def test_an_own_score_unlike_all_others_weighs_little(fitted: ScoreFit, known: Table) -> None:
    features = known.observations.features[:1]
    columns, zero, rows = np.arange(2, 8), np.zeros(6), np.zeros(6, np.intp)
    values = fitted.intercepts[columns] + 0.1
    unlike = values + 8 * np.sqrt(fitted.residuals[columns[2]]) * (columns == columns[2])
    weights = []
    for each in (values, unlike):
        folded = fitted.fold_in(features, rows, columns, each, zero)
        own = evidence.own_scores(fitted, 12, folded, (columns, each, zero))
        weights.append(dict(zip(own.places.tolist(), own.weights.tolist(), strict=True)))
    assert abs(weights[1][4]) < 0.25 * abs(weights[0][4])


def test_groups_of_features_have_weights_of_their_own() -> None:
    known = table(seed=5)
    observations = known.observations
    noise = np.random.default_rng(9).normal(size=(120, 60))
    features = np.column_stack([observations.features, noise - noise.mean(axis=0)])
    kinds = np.repeat([0, 1], [4, 60])
    rows, columns = np.nonzero(~known.known & (np.arange(120) < 20)[:, None])
    error = []
    for groups in (kinds, None):
        fitted = fit(replace(observations, features=features, groups=groups))
        found = fitted.predict(rows, columns)
        error.append(np.abs(found.mean - known.truth[rows, columns]).mean())
    assert error[0] < 0.95 * error[1]


def test_informative_benchmarks_say_most_of_the_others(known: Table, fitted: ScoreFit) -> None:
    features = known.observations.features[:1]
    new = fitted.place(features)
    every = np.arange(16)
    chosen = evidence.informative_benchmarks(fitted, new, every, 4)
    assert len(set(chosen)) == 4
    assert set(evidence.informative_benchmarks(fitted, new, every[3:6], 9)) == {3, 4, 5}

    def left(columns: NDArray[np.intp]) -> float:
        count = len(columns)
        values = fitted.intercepts[columns]
        rows, none = np.zeros(count, np.intp), np.zeros(count)
        folded = fitted.fold_in(features, rows, columns, values, none)
        spread = np.einsum("bi,ij,bj->b", fitted.loadings, folded.covariances[0], fitted.loadings)
        return float((spread / fitted.residuals).sum())

    rng = np.random.default_rng(0)
    drawn = [left(rng.permutation(every)[:4]) for _ in range(30)]
    assert left(chosen) < np.quantile(drawn, 0.2)


def test_working_scales_and_back() -> None:
    bounded = np.array([True, False, False])
    columns = np.array([0, 0, 0, 1, 1, 1, 2, 2, 2], np.intp)
    scores = np.array([0.0, 1.0, 0.3, 1000, 1200, 1400, 5, 5, 5])
    links = ScoreLinks.of(columns, scores, bounded, [True, False, True])
    working = links.working(scores, columns)
    assert working[0] == pytest.approx(np.log(MARGIN / (1 + MARGIN)))
    assert working[1] == -working[0]
    assert working[3] > working[4] == 0 > working[5]
    assert np.allclose(links.scores(working, columns), scores)
    assert links.spreads[2] == 1
    assert links.scores(np.array([90.0, -90.0]), columns[:2]).tolist() == [1, 0]
    step = 1e-6
    inner = np.array([0.3, 0.5, 0.9, 1000, 1200, 1400, 4, 5, 6])
    slope = (links.working(inner + step, columns) - links.working(inner, columns)) / step
    assert np.allclose(links.slopes(inner, columns), slope, rtol=1e-3)
    ends = links.ends(np.array([-0.1, 1.1, 0.3, 0, 0, 0, 0, 0, 0]), columns)
    assert ends[0] == -np.inf
    assert ends[1] == np.inf
    assert ends[2] == working[2]


def test_scores_that_are_no_shares_are_refused() -> None:
    links = ScoreLinks.shares(2)
    with pytest.raises(ValueError, match=r"Score 55 of benchmark 1 .* divide percentages"):
        links.working(np.array([0.5, 55.0]), np.array([0, 1]))
    with pytest.raises(ValueError, match="finite"):
        links.working(np.array([np.nan]), np.array([0]))
    with pytest.raises(ValueError, match="spread"):
        ScoreLinks(np.array([False]), np.zeros(1), np.zeros(1))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rows": np.array([120])}, "rows"),
        ({"columns": np.array([-1])}, "columns"),
        ({"values": np.array([np.inf])}, "values"),
        ({"variances": np.array([-1.0])}, "variances"),
        ({"features": np.zeros((3, 1))}, "120 rows"),
        ({"features": np.full((120, 1), np.nan)}, "features"),
        ({"names": ["one"]}, "names"),
        ({"links": ScoreLinks.shares(3)}, "links"),
        ({"values": np.zeros(2)}, "one length"),
        ({"groups": np.zeros(3, np.intp)}, "groups"),
    ],
)
def test_bad_observations_are_refused(
    known: Table, change: dict[str, object], message: str
) -> None:
    first = known.observations.only(np.arange(len(known.observations)) < 1)
    with pytest.raises(ValueError, match=message):
        replace(first, **change)  # type: ignore[arg-type]


def test_two_scores_of_a_cell_are_refused(known: Table) -> None:
    observations = known.observations
    twice = np.append(np.arange(len(observations)), 4)
    with pytest.raises(ValueError, match=r"two scores on benchmark 0"):
        replace(
            observations,
            rows=observations.rows[twice],
            columns=observations.columns[twice],
            values=observations.values[twice],
            variances=observations.variances[twice],
        )


def test_too_few_scores_are_refused(known: Table) -> None:
    observations = known.observations
    with pytest.raises(UsageError, match="9 scores"):
        fit(observations.only(np.arange(len(observations)) < 9))
    with pytest.raises(UsageError, match="one model"):
        fit(
            ScoreObservations(
                np.zeros(12, np.intp), np.arange(12), np.zeros(12), np.zeros(12), 1, 12,
                np.zeros((1, 0)), [str(each) for each in range(12)],
            )
        )  # fmt: skip


def test_small_and_featureless_tables_are_fitted() -> None:
    rng = np.random.default_rng(0)
    rows, columns = np.nonzero(np.ones((5, 3), bool))
    level = rng.normal(size=5)
    fitted = fit(
        ScoreObservations(
            rows, columns, level[rows], np.zeros(15), 6, 3, np.zeros((6, 0)), ["a", "b", "c"]
        )
    )
    new = fitted.predict(np.array([5]), np.array([1]))
    assert new.mean[0] == pytest.approx(level.mean(), abs=0.5)
    assert np.isfinite(fitted.intervals(new).lower).all()


def test_levels_outside_the_grid_are_refused(fitted: ScoreFit) -> None:
    predictions = fitted.predict(np.array([0]), np.array([1]))
    widths = [fitted.intervals(predictions, level) for level in (0.5, 0.8, 0.99)]
    assert (np.diff([each.upper[0] - each.lower[0] for each in widths]) > 0).all()
    for level in (0.4, 0.995):
        with pytest.raises(ValueError, match="level"):
            fitted.intervals(predictions, level)
    assert fitted.calibration.quantiles.shape == (len(GROUPS), len(LEVELS))


def test_arguments_of_folding_are_checked(known: Table, fitted: ScoreFit) -> None:
    features, place = known.observations.features[:1], np.array([0])
    one = np.ones(1)
    for arguments, message in (
        ((features[:, :2], place, place, one, one), "columns"),
        ((features, place, place + 16, one, one), "from 0 to 15"),
        ((features, place + 1, place, one, one), "from 0 to 0"),
        ((features, place, place, one * np.nan, one), "values"),
        ((features, place, place, one, -one), "variances"),
        ((features, place, place, np.ones(2), one), "one length"),
    ):
        with pytest.raises(ValueError, match=message):
            fitted.fold_in(*arguments)
