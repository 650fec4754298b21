import numpy as np
import pytest
from numpy.typing import NDArray

from registry.learning.domains import domain_calibration, domain_classifier
from registry.learning.domains.domain_calibration import classifier_figures, evidence_weights
from registry.learning.domains.domain_classifier import DomainClassifier, learn_classifier
from registry.learning.domains.domain_discriminant import DomainParts, learn_parts
from registry.learning.domains.prompt_words import COLUMNS, learn_words, word_counts

Matrix = NDArray[np.float32]


def planted(seed: int, count: int = 300, spread: float = 0.5) -> tuple[Matrix, NDArray[np.intp]]:
    """Three domains of two distant clouds each, so that no domain's mean is near its items."""
    rng = np.random.default_rng(seed)
    centres = np.eye(6)[[0, 1, 2, 3, 4, 5]] * 1.0
    domains = np.arange(count) % 3
    cloud = domains + 3 * (np.arange(count) // 3 % 2)
    vectors = centres[cloud] + spread * rng.normal(size=(count, 6))
    return vectors.astype(np.float32), domains


def naive(parts: DomainParts, vectors: Matrix, scale: float) -> NDArray[np.float64]:
    """Scores one by one."""
    count = int(parts.owners.max()) + 1
    scores = np.zeros((len(vectors), count))
    for row, vector in enumerate(vectors):
        for domain in range(count):
            terms = [
                np.exp(scale * (float(part[:-1] @ vector) + float(part[-1])))
                for part, owner in zip(parts.vectors, parts.owners, strict=True)
                if owner == domain
            ]
            scores[row, domain] = np.log(sum(terms))
    return scores


def test_a_domain_of_several_clouds_has_several_parts() -> None:
    vectors, domains = planted(0)
    parts = learn_parts(vectors, domains, 3)
    assert np.bincount(parts.owners).tolist() == [1, 1, 1]
    parts = learn_parts(vectors, domains, 3, size=50)
    assert np.bincount(parts.owners).tolist() == [2, 2, 2]
    assert parts.owners.tolist() == sorted(parts.owners)
    few, _ = planted(1, 30)
    np.testing.assert_allclose(parts.scores(few, 0.3), naive(parts, few, 0.3), atol=1e-5)
    np.testing.assert_allclose(parts.scaled(0.3).scores(few), naive(parts, few, 0.3), atol=1e-5)


def test_one_part_a_domain_is_linear_discriminant_analysis() -> None:
    vectors, domains = planted(2, 90)
    parts = learn_parts(vectors, domains, 3, size=1_000)
    means = np.stack([vectors[domains == each].mean(axis=0) for each in range(3)])
    residuals = vectors - means[domains]
    covariance = residuals.T @ residuals / len(vectors)
    covariance = 0.98 * covariance + 0.02 * np.trace(covariance) / 6 * np.eye(6)
    inverse = np.linalg.inv(covariance)
    densities = np.stack(
        [-0.5 * np.einsum("ij,jk,ik->i", vectors - each, inverse, vectors - each) for each in means]
    ).T
    # Relative to one Gaussian of all items, of parts and of domains alike.
    apart = vectors - vectors.mean(axis=0)
    ground = -0.5 * np.einsum("ij,jk,ik->i", apart, inverse, apart)[:, None]
    expected = 2 * (densities - ground + np.log(1 / 3))
    np.testing.assert_allclose(parts.scores(vectors), expected, atol=1e-3)


def test_domains_are_told_apart_and_probabilities_are_calibrated() -> None:
    vectors, domains = planted(3, 1_500, 0.6)
    learned = learn_classifier(vectors, domains, 3)
    new, truth = planted(4, 3_000, 0.6)
    found = learned.classifier.predict(new)
    figures = classifier_figures(found.probabilities, truth)
    assert figures.accuracy > 0.68
    assert figures.calibration_error < 0.04
    assert figures.accuracy == pytest.approx(learned.by_vector.accuracy, abs=0.04)
    assert figures.confidence_auc > 0.7
    assert learned.by_text is None
    np.testing.assert_allclose(found.probabilities.sum(axis=1), 1, atol=1e-5)


def test_figures_of_training_are_of_items_left_out() -> None:
    rng = np.random.default_rng(5)
    vectors = rng.normal(size=(200, 60)).astype(np.float32)
    domains = rng.integers(0, 2, 200)
    learned = learn_classifier(vectors, domains, 2, ["word"] * 200)
    # Of pure noise nothing can be known, though the classifier fits the items themselves.
    assert learned.by_vector.accuracy < 0.62
    assert classifier_figures(learned.left_out, domains).accuracy == learned.by_vector.accuracy
    own = learned.classifier.parts.scores(vectors).argmax(axis=1)
    assert (own == domains).mean() > 0.7
    assert learned.left_out.max(axis=1).mean() < 0.65


def test_probabilities_are_of_weighted_scores() -> None:
    vectors, domains = planted(12, 300)
    texts = [f"word{each}" for each in domains]
    parts = learn_parts(vectors, domains, 3)
    words = learn_words([word_counts(each) for each in texts], domains, 3)
    classifier = DomainClassifier(parts, 0.4, words, (0.7, 0.2), 0.0)

    def softmax(scores: Matrix) -> Matrix:
        weights = np.exp(scores)
        return np.asarray(weights / weights.sum(axis=1, keepdims=True), np.float32)

    scores = parts.scores(vectors[:9])
    found = classifier.predict(vectors[:9])
    np.testing.assert_allclose(found.probabilities, softmax(0.4 * scores), atol=1e-5)
    np.testing.assert_allclose(found.energies, np.log(np.exp(scores).sum(axis=1)), atol=1e-4)
    both = softmax(0.7 * scores + 0.2 * words.scores([word_counts(each) for each in texts[:9]]))
    np.testing.assert_allclose(
        classifier.predict(vectors[:9], texts[:9]).probabilities, both, atol=1e-5
    )


def test_prompts_unlike_all_items_have_little_energy() -> None:
    vectors, domains = planted(6, 600, 0.1)
    classifier = learn_classifier(vectors, domains, 3).classifier
    like, _ = planted(7, 600, 0.1)
    unlike = np.zeros((50, 6), np.float32) + vectors.mean(axis=0)
    assert (classifier.predict(like).energies < classifier.least_energy).mean() < 0.05
    assert (classifier.predict(unlike).energies < classifier.least_energy).mean() == 1


def test_words_help_where_vectors_do_not() -> None:
    rng = np.random.default_rng(8)
    domains = np.arange(400) % 2
    vectors = rng.normal(size=(400, 4)).astype(np.float32)
    texts = [
        f"{'tax law' if each else 'bird song'} {number}" for number, each in enumerate(domains)
    ]
    learned = learn_classifier(vectors, domains, 2, texts)
    assert learned.by_text is not None
    assert learned.by_text.accuracy > 0.99
    assert learned.by_vector.accuracy < 0.65
    found = learned.classifier.predict(vectors[:2], ["the law of tax", "a song of a bird"])
    assert found.probabilities.argmax(axis=1).tolist() == [1, 0]
    alone = learned.classifier.predict(vectors[:2])
    assert (alone.energies == found.energies).all()


def test_words_are_counted_without_case_and_with_pairs() -> None:
    counts = word_counts("Law law of")
    assert len(counts.columns) == 5 - 1  # law, of, law law, law of
    assert sorted(counts.counts.tolist()) == pytest.approx([np.log(2)] * 3 + [np.log(3)])
    assert (counts.columns < COLUMNS).all()
    assert len(word_counts("").columns) == 0
    assert word_counts("\ud800 x").columns.size == 1


def test_evidence_of_words_is_that_of_naive_bayes() -> None:
    texts = [word_counts(each) for each in ("a b", "a c", "d")]
    evidence = learn_words(texts, np.array([0, 0, 1]), 2)
    counts: dict[int, dict[int, float]] = {0: {}, 1: {}}
    for text, domain in zip(texts, (0, 0, 1), strict=True):
        for column, count in zip(text.columns.tolist(), text.counts.tolist(), strict=True):
            counts[domain][column] = counts[domain].get(column, 0) + count
    vocabulary = {column for each in counts.values() for column in each}
    column = int(word_counts("a").columns[0])

    def log_probability(domain: int) -> float:
        total = sum(counts[domain].values()) + 0.03 * len(vocabulary) + 0.03
        return float(np.log((counts[domain].get(column, 0) + 0.03) / total))

    gap = log_probability(0) - log_probability(1)
    scores = evidence.scores([word_counts("a"), word_counts("nowhere")])
    length = np.log(2)
    assert scores[0, 0] - scores[0, 1] == pytest.approx(gap * length / np.sqrt(length), rel=1e-2)
    assert scores[1].tolist() == [0, 0]
    assert scores.sum(axis=1) == pytest.approx([0, 0], abs=1e-3)


def test_weights_of_evidence_are_the_likeliest() -> None:
    rng = np.random.default_rng(9)
    evidence = rng.normal(size=(2, 3_000, 3))
    logits = 1.5 * evidence[0] + 0.4 * evidence[1]
    chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    domains = (chances.cumsum(axis=1) > rng.random((3_000, 1))).argmax(axis=1)
    assert evidence_weights(evidence, domains) == pytest.approx([1.5, 0.4], abs=0.1)
    # A kind that speaks against the truth counts nothing.
    assert evidence_weights(np.stack([evidence[0], -evidence[1]]), domains)[1] == 0


def test_figures_are_those_of_their_definitions() -> None:
    probabilities = np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.4, 0.6]], np.float32)
    figures = classifier_figures(probabilities, np.array([0, 1, 1, 0]))
    assert figures.accuracy == 0.5
    assert figures.log_loss == pytest.approx(-np.log([0.9, 0.2, 0.7, 0.4]).mean())
    # Right at 0.9 and 0.7, wrong at 0.8 and 0.6: three of four pairs in order.
    assert figures.confidence_auc == 0.75
    assert figures.calibration_error == pytest.approx((0.1 + 0.8 + 0.3 + 0.6) / 4)
    assert figures.items == 4
    assert domain_calibration.area_under_curve(np.array([1.0]), np.array([1.0])) == 0.5
    assert np.isnan(domain_calibration.area_under_curve(np.array([]), np.array([1.0])))


@pytest.mark.parametrize(
    ("shape", "count"), [((9, 2), 2), ((20, 2), 1)], ids=["few items", "one domain"]
)
def test_too_little_to_learn_from_is_an_error(shape: tuple[int, int], count: int) -> None:
    domains = np.arange(shape[0]) % count
    with pytest.raises(ValueError, match="two domains or more, each of 5 items"):
        learn_classifier(np.ones(shape, np.float32), domains, count)


def test_vectors_that_do_not_fit_are_errors() -> None:
    vectors, domains = planted(10, 60)
    classifier = learn_classifier(vectors, domains, 3).classifier
    with pytest.raises(ValueError, match=r"P x 6, not \(2, 5\)"):
        classifier.predict(np.ones((2, 5), np.float32))
    with pytest.raises(ValueError, match="P x 6"):
        classifier.predict(np.ones(6, np.float32))
    with pytest.raises(ValueError, match="no finite numbers"):
        classifier.predict(np.full((1, 6), np.nan, np.float32))


def test_the_same_seed_gives_the_same_classifier() -> None:
    vectors, domains = planted(11, 300)
    first, second, other = (
        learn_classifier(vectors, domains, 3, seed=seed).left_out for seed in (1, 1, 2)
    )
    assert (first == second).all()
    assert (first != other).any()


def test_folds_spread_each_domain_evenly() -> None:
    domains = np.array([0] * 50 + [1] * 12)
    folds = domain_classifier._folds(domains, 3)
    assert np.bincount(folds[:50]).tolist() == [10] * 5
    assert sorted(np.bincount(folds[50:]).tolist()) == [2, 2, 2, 3, 3]
