"""Mixture of domains: each model's accuracy in the domains that a prompt may be of (MoDEM).

    expected outcome of m on q = sum over domains d of P(d | q) x accuracy of m in d

A baseline, which is not served: MoDEM (Simonds et al. 2024, section 3) takes the likeliest domain
alone, as `expert_router` does. Accuracies are drawn towards the model's mean by as many items as
make the least difference to expect: a domain of few items says little.
"""

from dataclasses import dataclass

import numpy as np

from registry.learning.arrays import Places, Reals
from registry.learning.domains.domain_classifier import (
    LEAST_ITEMS,
    DomainClassifier,
    learn_classifier,
)
from registry.learning.factorization.problem import CPU, Context, Matrix
from registry.learning.routing.routing_problem import RoutePredictions, RoutingProblem


@dataclass(frozen=True, slots=True)
class DomainRouter:
    """Accuracy by domain, weighted by a classifier's probabilities.

    The domains are the groups of the problem; those of fewer than 5 items are one together.

    Attributes:
        prior: outcomes at the model's mean, beside those in each domain.
    """

    prior: float = 10.0

    @property
    def name(self) -> str:
        """Name of the method."""
        return "domain-mixture"

    def fit(self, problem: RoutingProblem, context: Context = CPU) -> "FittedDomainRouter":
        """Learn the classifier, and the models' accuracies."""
        domains, count = _kept(problem.groups)
        # The mean of all models stands in for one without outcomes.
        seen = ~np.isnan(problem.outcomes)
        outcomes = np.where(seen, problem.outcomes, 0)
        numbers = seen.sum(axis=1)
        overall = outcomes.sum(dtype=np.float64) / max(int(seen.sum()), 1)
        means = np.where(numbers > 0, outcomes.sum(axis=1) / np.maximum(numbers, 1), overall)
        sums, counts = np.zeros((2, count, len(outcomes)))
        np.add.at(sums, domains, outcomes.T)
        np.add.at(counts, domains, seen.T)
        accuracies = (sums + self.prior * means) / (counts + self.prior)
        variances = accuracies * (1 - accuracies) / (counts + self.prior)
        classifier = None
        if count > 1:
            classifier = learn_classifier(
                problem.vectors, domains, count, seed=context.seed
            ).classifier
        return FittedDomainRouter(classifier, accuracies, variances)


@dataclass(frozen=True, slots=True, eq=False)
class FittedDomainRouter:
    """Accuracies of M models in D domains, and the classifier of prompts.

    Attributes:
        classifier: of prompts; None where there is one domain alone.
        accuracies: float64, D x M, in [0, 1].
        variances: float64, D x M: of those accuracies.
    """

    classifier: DomainClassifier | None
    accuracies: Reals
    variances: Reals

    def predict(self, vectors: Matrix) -> RoutePredictions:
        """Return predictions for prompts, P x T."""
        if self.classifier is None:
            chances = np.ones((len(vectors), 1), np.float32)
        else:
            chances = self.classifier.predict(vectors).probabilities
        expected = chances @ self.accuracies
        deviations = np.sqrt(chances**2 @ self.variances)
        return RoutePredictions(expected.astype(np.float32), deviations.astype(np.float32))


def _kept(groups: Places) -> tuple[Places, int]:
    """Return groups from 0 without gaps, the small ones made one, and their number."""
    names, members, numbers = np.unique(groups, return_inverse=True, return_counts=True)
    small = numbers < LEAST_ITEMS
    if numbers[small].sum() < LEAST_ITEMS and not small.all():
        # Too few for a domain of their own: they go with the largest one.
        places = np.where(small, -1, np.cumsum(~small) - 1)
        places[small] = places[numbers.argmax()]
    else:
        places = np.where(small, (~small).sum(), np.cumsum(~small) - 1)
    return np.asarray(places[members], np.intp), int(places.max()) + 1 if len(names) else 1
