"""One space of models that took different exams."""

from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import expit

from registry.learning.factorization import selection
from registry.learning.factorization.irt import ItemResponse
from registry.learning.factorization.problem import Context, Factors, Problem, VectorEvidence
from registry.learning.metrics import auc
from registry.learning.space import learner
from registry.learning.space.abilities import Abilities, abilities_of
from registry.learning.space.exams import Exam, exams_of
from registry.learning.space.join import Joined
from registry.learning.space.posterior import DEGREES, STEPS, PriorOf, posteriors
from registry.learning.space.prior import LEAST_RESIDUAL, joint_prior
from registry.learning.space.reference import coordinates, item_weights
from registry.workers import WHOLE

pytest.importorskip("torch")

MODELS, ITEMS, TWINS = 240, 60, 30


class Mixture(NamedTuple):
    """Models that took one of two exams; some are there twice, with an exam each."""

    problem: Problem
    probabilities: NDArray[np.float64]


def mixture(*, linked: int = 0, catalog: bool = True, seed: int = 0) -> Mixture:
    """Draw models of three abilities, of which two show in the catalog, and their outcomes."""
    draw = np.random.default_rng(seed)
    abilities = draw.normal(size=(MODELS, 3))
    abilities[TWINS : 2 * TWINS] = abilities[:TWINS]
    loadings = draw.normal(size=(2 * ITEMS, 3)) * 1.5
    probabilities = expit(abilities @ loadings.T + draw.normal(size=2 * ITEMS))
    outcomes = (draw.random(probabilities.shape) < probabilities).astype(np.float32)
    first = np.arange(2 * ITEMS) < ITEMS
    took_first = draw.random(MODELS) < 0.5
    took_first[:TWINS], took_first[TWINS : 2 * TWINS] = True, False
    both = np.zeros(MODELS, bool)
    both[2 * TWINS : 2 * TWINS + linked] = True
    hidden = np.where(took_first[:, None], ~first, first) & ~both[:, None]
    outcomes[hidden] = np.nan
    known = np.column_stack([abilities[:, :2] + draw.normal(size=(MODELS, 2)) * 0.5])
    known -= known.mean(axis=0)
    groups = np.where(first, 0, 1)
    features = known.astype(np.float32) if catalog else None
    return Mixture(Problem(outcomes, groups=groups, catalog=features), probabilities)


def joined(problem: Problem) -> Factors:
    exams = exams_of(problem)
    assert len(exams) == 2
    fit = Joined((ItemResponse(rank=3, prior=0.5, sweeps=12),) * 2).fit(problem)
    assert fit.factors is not None
    return fit.factors


def ranks(vectors: NDArray[np.floating]) -> NDArray[np.intp]:
    """Return the rank of each model's twin among all others, from 1."""
    pairs = [(place, place + TWINS) for place in range(TWINS)]
    found = []
    for one, other in pairs + [(b, a) for a, b in pairs]:
        distances = np.linalg.norm(vectors - vectors[one], axis=1)
        distances[one] = np.inf
        found.append(1 + np.count_nonzero(distances < distances[other]))
    return np.array(found)


def test_the_catalog_ties_exams_that_share_no_model() -> None:
    made = mixture()
    tied = np.median(ranks(joined(made.problem).models))
    alone = np.median(
        ranks(joined(Problem(made.problem.outcomes, None, made.problem.groups)).models)
    )
    assert tied <= 0.1 * MODELS
    assert tied < alone / 2


def test_models_of_both_exams_tie_them_without_a_catalog() -> None:
    made = mixture(linked=40, catalog=False)
    untied = mixture(linked=0, catalog=False)
    assert np.median(ranks(joined(made.problem).models)) <= 0.1 * MODELS
    assert np.median(ranks(joined(untied.problem).models)) > 0.1 * MODELS


def test_an_exam_that_a_model_never_took_is_predicted() -> None:
    made = mixture(linked=20)
    fit = Joined((ItemResponse(rank=3, prior=0.5, sweeps=12),) * 2).fit(made.problem)
    never = np.isnan(made.problem.outcomes)
    predicted = fit.probabilities(2 * ITEMS)
    right = (np.random.default_rng(9).random(never.shape) < made.probabilities).astype(np.float64)
    means = np.broadcast_to(np.nanmean(made.problem.outcomes, axis=0), never.shape)
    assert auc(right[never], predicted[never].astype(np.float64)) > 0.8
    assert auc(right[never], means[never].astype(np.float64)) < 0.75


def test_an_exam_that_a_model_took_is_predicted_by_the_fit_of_it_alone() -> None:
    problem = mixture(linked=20).problem
    method = ItemResponse(rank=3, prior=0.5, sweeps=12)
    fit = Joined((method, method)).fit(problem)
    for exam in exams_of(problem):
        alone = method.fit(problem.part(exam.rows, exam.columns))
        columns = exam.columns[::7]
        own = np.searchsorted(exam.columns, columns)
        np.testing.assert_allclose(fit.predict(columns)[exam.rows], alone.predict(own), atol=1e-5)


def test_vectors_of_two_exams_have_norms_of_one_size() -> None:
    problem = mixture().problem
    vectors = joined(problem).models
    norms = np.linalg.norm(vectors - vectors.mean(axis=0), axis=1)
    first, second = (np.median(norms[exam.rows]) for exam in exams_of(problem))
    assert 0.5 < first / second < 2


def test_a_distance_is_the_difference_of_probabilities_on_the_reference_set() -> None:
    """To first order: of models that differ little, with each benchmark weighing the same."""
    draw = np.random.default_rng(3)
    items, offsets = draw.normal(size=(50, 4)), draw.normal(size=50)
    groups = np.repeat([0, 1], [40, 10])
    models = draw.normal(size=(1, 4)) + draw.normal(size=(30, 4)) * 0.02
    weights = item_weights(groups, np.ones(50, bool))
    assert weights[groups == 0].sum() == pytest.approx(0.5)
    forth, back = coordinates(models, items, offsets, weights)
    vectors = models @ forth
    np.testing.assert_allclose(vectors @ (items @ back).T, models @ items.T, atol=1e-6)
    p = expit(models @ items.T + offsets)
    for one, other in ((0, 1), (2, 17), (29, 5)):
        expected = np.sqrt((weights * (p[one] - p[other]) ** 2).sum())
        assert np.linalg.norm(vectors[one] - vectors[other]) == pytest.approx(expected, rel=0.05)


def test_items_without_outcomes_are_not_of_the_reference_set() -> None:
    weights = item_weights(np.array([0, 0, 1, 1]), np.array([True, False, True, True]))
    np.testing.assert_allclose(weights, [0.5, 0, 0.25, 0.25])


def test_abilities_keep_every_logit_and_have_unit_covariance() -> None:
    draw = np.random.default_rng(1)
    factors = Factors(
        (draw.normal(size=(50, 4)) @ draw.normal(size=(4, 4)) + 3).astype(np.float32),
        draw.normal(size=(20, 4)).astype(np.float32),
        draw.normal(size=20).astype(np.float32),
        evidence=VectorEvidence(np.zeros((50, 4, 4), np.float32), np.zeros((50, 4), np.float32)),
    )
    found = abilities_of(Exam(np.arange(50), np.arange(20)), factors)
    logits = factors.models @ factors.items.T + factors.offsets
    np.testing.assert_allclose(found.values @ found.loadings.T + found.offsets, logits, atol=1e-3)
    np.testing.assert_allclose(found.values.T @ found.values / 50, np.eye(4), atol=1e-6)
    np.testing.assert_allclose(found.values.mean(axis=0), 0, atol=1e-6)


def test_what_outcomes_say_of_abilities_is_what_they_say_of_vectors() -> None:
    """Models whose vectors have a mean far from 0: where the evidence alone puts each stays."""
    draw = np.random.default_rng(5)
    vectors = draw.normal(size=(50, 3)) + np.array([3, -2, 1])
    roots = draw.normal(size=(50, 3, 3))
    precisions = roots @ roots.transpose(0, 2, 1) + np.eye(3)
    most_likely = vectors + 0.3 * draw.normal(size=(50, 3))
    informations = (precisions @ most_likely[:, :, None])[:, :, 0]
    items, offsets = draw.normal(size=(20, 3)), draw.normal(size=20)
    found = abilities_of(
        Exam(np.arange(50), np.arange(20)),
        Factors(
            vectors.astype(np.float32),
            items.astype(np.float32),
            offsets.astype(np.float32),
            evidence=VectorEvidence(precisions.astype(np.float32), informations.astype(np.float32)),
        ),
    )
    abilities = np.linalg.solve(found.precisions, found.informations[:, :, None])[:, :, 0]
    np.testing.assert_allclose(
        abilities @ found.loadings.T + found.offsets, most_likely @ items.T + offsets, atol=1e-3
    )


def test_directions_in_which_no_model_differs_are_dropped() -> None:
    vectors = np.random.default_rng(1).normal(size=(30, 3)).astype(np.float32)
    vectors[:, 1] = 2
    items = np.ones((5, 3), np.float32)
    nothing = VectorEvidence(np.zeros((30, 3, 3), np.float32), np.zeros((30, 3), np.float32))
    found = abilities_of(
        Exam(np.arange(30), np.arange(5)),
        Factors(vectors, items, np.zeros(5, np.float32), evidence=nothing),
    )
    assert found.values.shape == (30, 2)
    np.testing.assert_allclose(
        found.values @ found.loadings.T + found.offsets, vectors @ items.T, atol=1e-4
    )


def exam(precisions: NDArray[np.float64], means: NDArray[np.float64]) -> Abilities:
    """Return an exam of the first models, whose outcomes say as much of each."""
    count, width = means.shape
    return Abilities(
        np.arange(count),
        np.arange(3),
        np.zeros((count, width)),
        np.zeros((3, width), np.float32),
        np.zeros(3, np.float32),
        precisions,
        (precisions @ means[:, :, None])[:, :, 0],
    )


def test_a_model_without_outcomes_has_its_prior() -> None:
    taken = exam(np.full((1, 1, 1), 2.0), np.array([[1.0]]))
    prior = PriorOf(np.array([[0.2], [0.7]]), np.array([[0.5]]))
    (found,) = posteriors([taken], prior, np.arange(2))
    assert found.mean[1, 0] == pytest.approx(0.7)
    assert found.covariance[1, 0, 0] == pytest.approx(0.5)
    assert found.covariance[0, 0, 0] < 0.5


def test_a_posterior_is_that_of_normal_densities_where_they_agree() -> None:
    """Of two exams that one model took, with a prior that ties them; scale 1 at its distance."""
    covariance = np.array([[1.0, 0.6], [0.6, 1.0]])
    prior = PriorOf(np.array([[0.3, -0.2]]), covariance)
    one = exam(np.array([[[3.0]]]), np.array([[1.0]]))
    other = exam(np.array([[[2.0]]]), np.array([[0.5]]))
    (found,) = posteriors([one, other], prior, np.arange(1))
    precision, evidence = np.linalg.inv(covariance), np.diag([3.0, 2.0])
    shift = found.mean[0] - prior.mean[0]
    distance = shift @ precision @ shift + np.trace(precision @ found.covariance[0])
    scale = (DEGREES + 2) / (DEGREES + distance)
    expected = np.linalg.inv(scale * precision + evidence)
    np.testing.assert_allclose(found.covariance[0], expected, rtol=1e-3)
    mean = expected @ (scale * precision @ prior.mean[0] + evidence @ [1.0, 0.5])
    np.testing.assert_allclose(found.mean[0], mean, rtol=1e-3)


def test_posteriors_are_those_of_inverses_of_all_dimensions() -> None:
    """Of models that took none, one or several of four exams, against the formula as it stands."""
    draw = np.random.default_rng(5)
    widths, models = (3, 1, 4, 2), 25
    total = sum(widths)
    square = draw.normal(size=(total, total))
    prior = PriorOf(draw.normal(size=(models, total)), square @ square.T / total + np.eye(total))
    exams, precisions = [], np.zeros((models, total, total))
    informations, start = np.zeros((models, total)), 0
    for width in widths:
        rows = np.flatnonzero(draw.random(models) < 0.4)
        root = draw.normal(size=(len(rows), width, width))
        own, means = root @ root.transpose(0, 2, 1) * 3, draw.normal(size=(len(rows), width))
        exams.append(exam(own, means)._replace(rows=rows))
        here = slice(start, start + width)
        precisions[rows, here, here] = own
        informations[rows, here] = exams[-1].informations
        start += width
    inverse = np.linalg.inv(prior.covariance)
    (found,) = posteriors(exams, prior, np.arange(models))
    for model in range(models):
        mean, covariance = prior.mean[model], prior.covariance
        for _ in range(STEPS):
            shift = mean - prior.mean[model]
            distance = shift @ inverse @ shift + np.sum(inverse * covariance)
            scale = (DEGREES + total) / (DEGREES + distance)
            covariance = np.linalg.inv(scale * inverse + precisions[model])
            mean = covariance @ (scale * inverse @ prior.mean[model] + informations[model])
        np.testing.assert_allclose(found.mean[model], mean, rtol=1e-8, atol=1e-10)
        np.testing.assert_allclose(found.covariance[model], covariance, rtol=1e-8, atol=1e-10)


def test_an_exam_moves_abilities_in_one_that_was_not_taken() -> None:
    prior = PriorOf(np.zeros((1, 2)), np.array([[1.0, 0.6], [0.6, 1.0]]))
    one = exam(np.array([[[1e6]]]), np.array([[1.0]]))
    other = exam(np.zeros((1, 1, 1)), np.zeros((1, 1)))
    (found,) = posteriors([one, other], prior, np.arange(1))
    assert found.mean[0, 1] == pytest.approx(0.6, abs=0.01)


def test_outcomes_overcome_a_prior_that_is_far_away() -> None:
    """As of a model under a wrong name: a normal prior would have as much weight as they."""
    prior = PriorOf(np.array([[2.0]]), np.array([[0.04]]))
    (found,) = posteriors([exam(np.full((1, 1, 1), 25.0), np.array([[-2.0]]))], prior, np.arange(1))
    assert found.mean[0, 0] < -1.5


def test_models_come_out_the_same_whatever_is_computed_at_a_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    draw = np.random.default_rng(4)
    taken = exam(np.tile(np.eye(2), (30, 1, 1)), draw.normal(size=(30, 2)))
    prior = PriorOf(draw.normal(size=(30, 2)), np.eye(2))
    (whole,) = posteriors([taken], prior, np.arange(30))
    monkeypatch.setattr("registry.learning.space.posterior.AT_ONCE", 20)
    parts = list(posteriors([taken], prior, np.arange(30)))
    assert len(parts) > 5
    np.testing.assert_allclose(np.concatenate([each.mean for each in parts]), whole.mean, atol=1e-6)


def test_uncertain_abilities_before_widen_no_prior() -> None:
    """Half of the second exam's models did not take the first, where only the catalog tells.

    Their abilities there are uncertain, which is in the residuals of the regression and in the
    prior of the abilities before: it counts once.
    """
    draw = np.random.default_rng(6)
    known, hidden, own = draw.normal(size=(3, 3_000))
    first = 0.7 * known + np.sqrt(0.51) * hidden
    second = 0.8 * first + 0.6 * own

    def precise(rows: slice, values: NDArray[np.float64]) -> Abilities:
        taken = exam(np.full((3_000, 1, 1), 1e4), values[:, None])
        return taken._replace(
            rows=np.arange(3_000)[rows],
            values=values[rows, None],
            precisions=taken.precisions[rows],
            informations=taken.informations[rows],
        )

    exams = [precise(slice(0, 2_000), first), precise(slice(1_000, 3_000), second)]
    prior = joint_prior(3_000, exams, known[:, None].astype(np.float32))
    covariance = prior.of_abilities.covariance
    about_catalog = np.array([[0.51, 0.8 * 0.51], [0.8 * 0.51, 0.64 * 0.51 + 0.36]])
    np.testing.assert_allclose(covariance, about_catalog, atol=0.06)


def test_a_catalog_may_have_any_mean() -> None:
    """That of an exam's models is no other than that of all: neither is 0."""
    known = np.random.default_rng(7).normal(size=(300, 2)) + np.array([3, -2])
    values = (known - known[:200].mean(axis=0)) @ np.array([[0.8], [0.5]])
    taken = exam(np.full((200, 1, 1), 1e4), values[:200])._replace(values=values[:200])
    prior = joint_prior(300, [taken], known.astype(np.float32))
    np.testing.assert_allclose(prior.of_abilities.mean, values, atol=0.05)


def test_evidence_and_prior_give_the_posterior_of_the_fit() -> None:
    """An item response model's vectors are its evidence times its prior, normal with mean 0."""
    problem = mixture(linked=20).problem
    part = exams_of(problem)[0]
    factors = ItemResponse(3, 0.5, 12).fit(problem.part(part.rows, part.columns)).factors
    assert factors is not None
    assert factors.evidence is not None
    precisions = factors.evidence.precisions.astype(np.float64)
    assert np.linalg.eigvalsh(precisions).min() > -1e-3, "outcomes add precision"
    without = np.linalg.solve(precisions, factors.evidence.informations[:, :, None])[:, :, 0]
    # What the outcomes alone say is further from 0 than with the prior.
    assert (np.linalg.norm(without, axis=1) > np.linalg.norm(factors.models, axis=1)).all()
    for axis in range(3):
        assert np.corrcoef(without[:, axis], factors.models[:, axis])[0, 1] > 0.9


def test_a_catalog_of_noise_explains_nothing() -> None:
    made = mixture(linked=20)
    draw = np.random.default_rng(8)
    noise = draw.normal(size=(MODELS, 5)).astype(np.float32)
    abilities = []
    for each in exams_of(made.problem):
        fit = ItemResponse(rank=3, prior=0.5, sweeps=12).fit(
            made.problem.part(each.rows, each.columns)
        )
        assert fit.factors is not None
        abilities.append(abilities_of(each, fit.factors))
    prior = joint_prior(MODELS, abilities, noise)
    alone, tied = prior.ties
    assert alone.explained < 0.1
    assert (alone.linked, tied.linked) == (0, 20)
    informed = joint_prior(MODELS, abilities, made.problem.catalog)
    assert informed.ties[0].explained > 0.25
    values = np.linalg.eigvalsh(informed.of_abilities.covariance)
    assert values.min() > LEAST_RESIDUAL * 0.05, "a covariance"


def test_a_problem_of_several_exams_is_learned_in_one_space() -> None:
    learned = learner.learn(mixture(linked=10).problem, "irt")
    assert isinstance(learned.fit.method, Joined)
    settings = learner.settings(learned.fit.method)
    assert settings["method"] == "irt"
    assert len(settings["exams"]) == 2  # type: ignore[arg-type]
    assert {trial["exam"]["items"] for trial in learned.trials} == {ITEMS}  # type: ignore[index]
    assert learned.fit.factors is not None
    assert learned.fit.factors.unexplained is not None
    assert learned.validation["known"]["auc"] > 0.6


def test_progress_is_that_of_all_exams_and_never_goes_back() -> None:
    reports: list[tuple[str, int, int]] = []
    context = Context(on_progress=lambda *report: reports.append(report))
    learner.learn(mixture(linked=10).problem, "blend", context)
    shares = [done for _, done, _ in reports]
    assert {total for _, _, total in reports} == {WHOLE}
    assert shares == sorted(shares)
    assert shares[0] < 0.1 * WHOLE
    assert shares[-1] > 0.9 * WHOLE
    stages = list(dict.fromkeys(what.partition(": ")[0] for what, _, _ in reports))
    assert stages == [
        "choosing settings, exam 1 of 2",
        "choosing settings, exam 2 of 2",
        "final fit, exam 1 of 2",
        "final fit, exam 2 of 2",
        "final fit",
    ]
    # Both fits of all exams are about half of it: settings are chosen by one fit of each.
    halfway = next(done for what, done, _ in reports if what.startswith("final fit"))
    assert 0.45 * WHOLE < halfway <= 0.6 * WHOLE


def test_metrics_of_exams_weigh_as_their_validation_outcomes() -> None:
    whole = mixture(linked=10).problem
    problem = whole.part(np.arange(MODELS), np.arange(ITEMS + ITEMS // 4))
    learned = learner.learn(problem, "irt")
    losses, counts = [], []
    for each in exams_of(problem):
        part = problem.part(each.rows, each.columns)
        losses.append(selection.learn(part, "irt").validation["known"]["log_loss"])
        counts.append(int(selection.validation_mask(part, 0).sum()))
    assert counts[0] > 2 * counts[1]
    assert abs(losses[0] - losses[1]) > 0.01
    expected = np.average(losses, weights=counts)
    assert learned.validation["known"]["log_loss"] == pytest.approx(expected, abs=1e-4)


def test_other_seeds_give_the_same_rank_and_neighbours() -> None:
    problem = mixture(linked=20).problem

    neighbours = []
    for seed in (0, 1):
        factors = learner.learn(problem, "irt", Context(seed=seed)).fit.factors
        assert factors is not None
        distances = np.linalg.norm(factors.models[:, None] - factors.models[None], axis=2)
        np.fill_diagonal(distances, np.inf)
        neighbours.append(np.argsort(distances, axis=1)[:, :5])
    same = np.mean([len(set(a) & set(b)) / 5 for a, b in zip(*neighbours, strict=True)])
    assert same >= 0.95
