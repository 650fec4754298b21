"""Features of models: similarities, and trends that go on beyond the known models."""

from dataclasses import replace

import numpy as np

from registry.learning.coldstart.features import Description, FeatureBlocks, Featurizer
from registry.learning.coldstart.kernel import Kernel
from registry.learning.scores.fit import fit
from registry.learning.scores.model_features import ModelFeatureSpace
from registry.learning.scores.observations import ScoreObservations


def described(count: int, *, dated: bool = True) -> list[Description]:
    rng = np.random.default_rng(0)
    makers = ("alpha", "beta", "gamma")
    return [
        Description(
            f"{makers[place % 3]}/{makers[place % 3]}-{place}",
            int(rng.choice([1, 7, 70])) * 10**9,
            makers[place % 3],
            created=float(10 * place) if dated else None,
        )
        for place in range(count)
    ]


def blocks(models: list[Description]) -> FeatureBlocks:
    return Featurizer.of([models]).blocks(models)


def test_inner_products_are_similarities() -> None:
    of_models = blocks(described(40))
    space = ModelFeatureSpace.of(of_models)
    features = space.features(of_models)[:, space.groups == 0]
    similar = Kernel().between(of_models, of_models).astype(np.float64)
    centring = np.eye(40) - 1 / 40
    expected = centring @ similar @ centring / Kernel().own(of_models).mean()
    assert np.allclose(features @ features.T, expected, atol=1e-3)
    assert np.allclose(features.mean(axis=0), 0, atol=1e-9)


def test_new_models_fit_in() -> None:
    models = described(40)
    of_models = blocks(models)
    space = ModelFeatureSpace.of(of_models, most=20)
    whole = space.features(of_models)
    part = space.features(of_models.rows(np.arange(5, 9)))
    assert np.allclose(part, whole[5:9], atol=1e-6)
    assert whole.shape == (40, len(space.groups))
    assert (space.groups == 0).sum() == 20


def test_trends_are_in_standard_deviations_and_unknown_ones_are_the_mean() -> None:
    of_models = blocks(described(30))
    dates = of_models.dates.copy()
    dates[4] = np.nan
    of_models = replace(of_models, dates=dates)
    space = ModelFeatureSpace.of(of_models)
    trend = space.features(of_models)[:, np.flatnonzero(space.groups == 1)[0]]
    known = np.arange(30) != 4
    assert np.isclose(trend[known].mean(), 0)
    assert np.isclose(trend[known].std(), 1)
    assert trend[4] == 0
    none = replace(of_models, dates=np.full(30, np.nan))
    unknown = ModelFeatureSpace.of(none).features(none)
    assert (unknown[:, -2] == 0).all()


def test_a_trend_goes_on_beyond_the_known_models() -> None:
    of_models = blocks(described(60))
    space = ModelFeatureSpace.of(of_models)
    features = space.features(of_models)
    rng = np.random.default_rng(1)
    truth = np.arange(60)[:, None] * 0.05 + np.linspace(-1, 1, 8)
    rows, columns = np.nonzero(np.ones((45, 8), bool))
    values = truth[rows, columns] + rng.normal(size=len(rows)) * 0.1
    names = [f"{place:02d}" for place in range(8)]
    observations = ScoreObservations(
        rows, columns, values, np.zeros(len(rows)), 60, 8, features, names, groups=space.groups
    )
    newest = np.repeat(np.arange(50, 60), 8)
    found = fit(observations).predict(newest, np.tile(np.arange(8), 10)).mean.reshape(10, 8)
    assert np.abs(found - truth[50:]).mean() < 0.3 * (truth[50:].mean() - truth[:45].mean())


def test_features_lack_what_is_unlike_the_models_of_the_fit() -> None:
    models = described(40)
    of_models = blocks(models)
    space = ModelFeatureSpace.of(of_models)
    # Each of them is a landmark: nothing is lacking but rounding.
    assert np.allclose(space.apart(of_models, space.features(of_models)), 0, atol=1e-3)
    few = ModelFeatureSpace.of(of_models, most=3)
    lacking = Kernel().own(of_models) / Kernel().own(of_models).mean()
    near = few.features(of_models)[:, :3] + few.similar.centre
    lacking = lacking - (near**2).sum(axis=1)
    # The kernel of a model with itself is that of the mean here, where all is stated.
    assert np.allclose(Kernel().own(of_models), Kernel().own(of_models)[0], atol=1e-5)
    expected = np.maximum(lacking - np.maximum(lacking, 0).mean(), 0)
    assert np.allclose(few.apart(of_models, few.features(of_models)), expected, atol=1e-4)
    assert expected.max() > 0.05
    others = Featurizer.of([models]).blocks(
        [
            Description("alpha/alpha-7", 7 * 10**9, "alpha", created=70.0),
            Description("zeta/unheard-of", None, "omega", created=10**5),
        ]
    )
    like, unlike = space.apart(others, space.features(others))
    assert like < 0.5 < unlike


def test_a_model_of_which_nothing_is_stated_lacks_as_much_as_any() -> None:
    space = ModelFeatureSpace.of(blocks(described(40)))
    nothing = Featurizer.of([described(40)]).blocks([Description("x")])
    assert Kernel().own(nothing)[0] < 0.6 * space.similar.scale
    assert space.apart(nothing, space.features(nothing))[0] > 0.6


def test_what_is_lacking_makes_predictions_less_certain_and_scores_count_more() -> None:
    rng = np.random.default_rng(5)
    features = rng.normal(size=(60, 3))
    features -= features.mean(axis=0)
    values = features @ rng.normal(size=(3, 8)) + rng.normal(size=(60, 8)) * 0.1
    rows, columns = np.nonzero(np.ones((50, 8), bool))
    apart = np.zeros(60)
    apart[55:] = 0.7
    names = [f"{place:02d}" for place in range(8)]
    observations = ScoreObservations(
        rows, columns, values[rows, columns], np.zeros(400), 60, 8, features, names, apart=apart
    )
    found = fit(observations)
    own = np.einsum("nii->ni", found.covariances)
    plain = found.place(features[50:])
    assert np.allclose(own[50:55], np.einsum("nii->ni", plain.covariances)[:5])
    added = own[55:] - np.einsum("nii->ni", plain.covariances)[5:]
    assert np.allclose(added, 0.7 * found.prior.signal[0])
    placed = found.place(features[50:], apart[50:])
    assert np.allclose(placed.covariances, found.covariances[50:])
    assert np.allclose(placed.means, found.means[50:])


def test_a_date_says_nothing_where_the_models_of_the_fit_state_none() -> None:
    undated = blocks(described(40, dated=False))
    dated = blocks(described(40))
    few = replace(undated, dates=np.where(np.arange(40) < 9, dated.dates, np.nan))
    same = replace(undated, dates=np.full(40, 20_000.0))
    for models in (undated, few, same):
        space = ModelFeatureSpace.of(models)
        assert (space.features(dated)[:, space.groups == 1] == 0).all()
    enough = replace(undated, dates=np.where(np.arange(40) < 10, dated.dates, np.nan))
    space = ModelFeatureSpace.of(enough)
    assert (space.features(dated)[:, space.groups == 1] != 0).any()
