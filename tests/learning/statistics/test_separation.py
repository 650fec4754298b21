"""Separation of groups, and neighbours that a plane keeps: the library's numbers, and chance."""

import numpy as np
import pytest
from sklearn.manifold import trustworthiness
from sklearn.metrics import silhouette_score
from sklearn.metrics.pairwise import pairwise_distances
from sklearn.neighbors import NearestNeighbors

from registry.learning.arrays import Places, Reals
from registry.learning.statistics import projections, separation
from registry.learning.statistics.projections import kept_neighbours, umap_points
from registry.learning.statistics.separation import silhouettes


def clouds(distance: float, count: int = 60, seed: int = 0) -> tuple[Reals, Places]:
    """Return points in three groups whose means lie apart."""
    rng = np.random.default_rng(seed)
    codes = np.arange(count) % 3
    return rng.normal(size=(count, 4)) + distance * np.eye(4)[codes], codes


def test_silhouettes_are_those_of_scikit_learn() -> None:
    points, codes = clouds(2.0)
    alone = np.where(np.arange(60) == 5, 3, codes)
    # With fewer groups than another grouping, and with a number that no model has.
    gapped, two = np.where(codes == 1, 3, codes), codes % 2
    found = silhouettes(pairwise_distances(points), np.array([codes, alone, gapped, two]))
    assert list(found) == pytest.approx(
        [silhouette_score(points, each) for each in (codes, alone, gapped, two)], rel=1e-12
    )
    same = np.zeros((6, 2))
    assert silhouettes(pairwise_distances(same), np.arange(6)[None] % 2) == [0]


def test_orders_are_compared_with_the_groups_however_many_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    points, codes = clouds(0.0)
    found = separation.separation(points, codes, seed=0, permutations=33)
    assert 0.1 < found.silhouette_p < 0.9
    monkeypatch.setattr(separation, "ORDERS_AT_ONCE", 7)
    assert separation.separation(points, codes, seed=0, permutations=33) == found


def test_groups_apart_are_found_and_others_are_not() -> None:
    points, codes = clouds(4.0)
    found = separation.separation(points, codes, seed=0, permutations=99)
    near = NearestNeighbors(n_neighbors=10).fit(points).kneighbors(return_distance=False)
    assert (found.models, found.groups) == (60, 3)
    assert found.purity == pytest.approx((codes[near] == codes[:, None]).mean())
    assert found.chance == pytest.approx(19 / 59, abs=0.02)
    assert (found.silhouette_p, found.purity_p) == (0.01, 0.01)
    assert found.silhouette == pytest.approx(silhouette_score(points, codes))
    assert found.adjusted_rand > 0.9
    none = separation.separation(*clouds(0.0), seed=0, permutations=99)
    assert min(none.silhouette_p, none.purity_p) > 0.05
    assert abs(none.adjusted_rand) < 0.15
    assert separation.separation(points, codes, seed=0, permutations=99) == found


def test_models_in_no_group_or_alone_in_theirs_are_left_out() -> None:
    points, codes = clouds(4.0)
    part = np.where(np.arange(60) < 10, -1, codes)
    part[10] = 7
    found = separation.separation(points, part, seed=0, permutations=9)
    assert (found.models, found.groups) == (49, 3)
    assert found == separation.separation(points[11:], codes[11:], seed=0, permutations=9)
    for without in (
        np.full(60, -1),
        np.zeros(60, np.intp),
        np.where(np.arange(60) < 20, codes, -1),
    ):
        assert np.isnan(separation.separation(points, without, seed=0).purity)


def test_of_many_models_a_sample_has_silhouettes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(separation, "MOST_FOR_SILHOUETTES", 45)
    points, codes = clouds(4.0)
    found = separation.separation(points, codes, seed=0, permutations=9)
    assert found.silhouette != pytest.approx(silhouette_score(points, codes))
    assert found.silhouette == pytest.approx(silhouette_score(points, codes), abs=0.05)


def test_kept_neighbours_are_those_of_scikit_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    points, _ = clouds(1.0)
    found = kept_neighbours(points, points[:, :2])
    expected = trustworthiness(points, points[:, :2], n_neighbors=10)
    assert found.trustworthiness == pytest.approx(expected, rel=1e-12)
    assert 0.2 < found.share < 0.9
    assert kept_neighbours(points, points) == (1.0, 1.0, 60)
    assert np.isnan(kept_neighbours(points[:20], points[:20]).share)
    monkeypatch.setattr(projections, "ROWS_AT_ONCE", 7)
    assert kept_neighbours(points, points[:, :2]) == found
    monkeypatch.setattr(projections, "MOST_COMPARED", 40)
    assert kept_neighbours(points, points).models == 40


@pytest.mark.benchmark  # compiling it takes ten seconds
def test_umap_is_the_library_s() -> None:
    umap = pytest.importorskip("umap", exc_type=ImportError)
    points, _ = clouds(3.0, 30)
    expected = umap.UMAP(n_neighbors=15, random_state=3, n_jobs=1).fit_transform(points)
    assert np.array_equal(umap_points(points, seed=3), expected.astype(np.float64))


def test_fewer_distinct_models_than_groups() -> None:
    points = np.repeat([[0.2, 0.2], [0.6, 0.6]], 15, axis=0)
    found = separation.separation(points, np.arange(30) % 3, seed=1, permutations=19)
    assert found.groups == 3
    assert found.adjusted_rand == pytest.approx(0, abs=0.1)
    halves = np.where(np.arange(30) == 3, 2, np.arange(30) // 15)
    halves[4] = 2
    assert 0.5 < separation.separation(points, halves, seed=1, permutations=19).adjusted_rand < 1
