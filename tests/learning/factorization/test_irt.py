"""The item response model's formulas, each against its definition."""

import numpy as np
import pytest
from planted import planted

from registry.learning.factorization import irt
from registry.learning.factorization.irt import ItemResponse
from registry.learning.metrics import log_loss

torch = pytest.importorskip("torch")


def side(count: int, rank: int, seed: int) -> irt._Side:
    """Return a posterior of vectors at random, whose entries go together."""
    draw = torch.Generator().manual_seed(seed)
    mean = torch.randn(count, rank + 1, generator=draw)
    root = torch.randn(count, rank + 1, rank + 1, generator=draw) * 0.6
    return irt._Side(mean, root @ root.transpose(1, 2) + 0.1 * torch.eye(rank + 1))


def test_a_prediction_integrates_the_variance_of_the_logit() -> None:
    """Of logit a.w + b + c, with (a, b) and (w, c) independent of each other."""
    rank = 2
    models, items = side(3, rank, 0), side(4, rank, 1)
    found = irt._predicted(models, items)
    for m in range(3):
        for n in range(4):
            x = torch.cat([models.mean[m], torch.ones(1)])
            # In the order of the model's: (w, 1 for the level, c).
            y = torch.cat([items.mean[n, :rank], torch.ones(1), items.mean[n, rank:]])
            of_x, of_y = torch.zeros(rank + 2, rank + 2), torch.zeros(rank + 2, rank + 2)
            of_x[: rank + 1, : rank + 1] = models.covariance[m]
            places = torch.tensor([*range(rank), rank + 1])
            of_y[places[:, None], places] = items.covariance[n]
            variance = torch.trace(of_x @ of_y) + x @ of_y @ x + y @ of_x @ y
            expected = torch.sigmoid(x @ y / torch.sqrt(1 + torch.pi / 8 * variance))
            assert float(found[m, n]) == pytest.approx(float(expected), abs=1e-5)


@pytest.mark.parametrize("prior", [1.0, 0.5])
def test_variances_of_priors_are_those_of_the_posteriors(prior: float) -> None:
    """Automatic relevance determination: a precision is the inverse of a mean square."""
    rank, outcomes = 3, torch.from_numpy(planted(15, 40, rank=3).problem.outcomes)
    state = irt._initial(outcomes, 40, rank, 0)
    for _ in range(2):
        state = irt._swept(state, outcomes, 40, prior)
    mean, spread = state.items.mean.numpy(), state.items.covariance.numpy()
    for k in range(rank):
        square = np.mean([mean[i, k] ** 2 + spread[i, k, k] for i in range(40)])
        assert float(state.precisions[k]) == pytest.approx(prior / square, rel=1e-4)
    easiness = np.mean([mean[i, rank] for i in range(40)])
    assert float(state.easiness) == pytest.approx(easiness, rel=1e-4)
    square = np.mean([(mean[i, rank] - easiness) ** 2 + spread[i, rank, rank] for i in range(40)])
    assert float(state.precisions[rank]) == pytest.approx(1 / square, rel=1e-4)
    level, of_level = state.models.mean[:, rank], state.models.covariance[:, rank, rank]
    square = np.mean([float(level[m]) ** 2 + float(of_level[m]) for m in range(15)])
    assert float(state.level) == pytest.approx(1 / square, rel=1e-4)


def test_priors_shrink_towards_their_means() -> None:
    """What was never observed is as its prior says: its mean, and its variance."""
    rank = 2
    outcomes = torch.from_numpy(planted(12, 30, rank=2, seen=1.0).problem.outcomes).clone()
    outcomes[:, 7] = torch.nan
    outcomes[4] = torch.nan
    state = irt._swept(irt._initial(outcomes, 30, rank, 0), outcomes, 30, 1.0)
    after = irt._swept(state, outcomes, 30, None)
    np.testing.assert_allclose(after.items.mean[7, :rank], 0, atol=1e-5)
    assert float(after.items.mean[7, rank]) == pytest.approx(float(state.easiness), rel=1e-4)
    expected = torch.diag(1 / state.precisions)
    np.testing.assert_allclose(after.items.covariance[7], expected, atol=1e-5)
    np.testing.assert_allclose(after.models.mean[4], 0, atol=1e-5)
    # Abilities have the variance 1, the level that which was learned.
    expected = torch.diag(torch.tensor([1.0, 1.0, float(1 / state.level)]))
    np.testing.assert_allclose(after.models.covariance[4], expected, atol=1e-5)


def test_of_all_sweeps_the_best_by_the_check_is_returned() -> None:
    made = planted(12, 60, rank=1, seen=0.9)
    cells = np.random.default_rng(2).random(made.outcomes.shape) < 0.3
    check = np.where(cells, made.outcomes, np.float32(np.nan))
    fit = ItemResponse(rank=8, prior=0.3, sweeps=40).fit(made.problem.without(cells), check)
    history = fit.notes["log_loss"]
    assert isinstance(history, list)
    assert history[-1] > 1.05 * min(history), "it overfits"
    found = log_loss(made.outcomes[cells], fit.probabilities(60)[cells])
    assert found == pytest.approx(min(history), rel=1e-4)
