"""Router by experts of domains, as it is served: one domain, and its expert (MoDEM, section 3).

A prompt of a certain domain goes to the domain's expert: the best model there, where it is better
than the best general model by more than a standard error of their difference, else that one.
Prompts of no certain domain, of the fallback, or like none of the training go to the best general
model. SQL's `registry.route_domain` does the same.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from registry.learning.arrays import Places, Reals
from registry.learning.domains.domain_classifier import (
    LEAST_ITEMS,
    DomainClassifier,
    learn_classifier,
)
from registry.learning.domains.model_scores import ModelScores, domain_scores, general_scores
from registry.learning.factorization.problem import CPU, Context, Matrix
from registry.learning.routing.routing_problem import RoutePredictions, RoutingProblem

LEAST_PROBABILITY = 0.5
"""Of the likeliest domain, to rely on it: above, it is more often right than wrong."""

_APART = 1e-4
"""By how much the expert is shown above models that are better within the noise."""


@dataclass(frozen=True, slots=True)
class ExpertRouter:
    """Experts of domains.

    Attributes:
        domains: the domain of each group of the problem, from 0, by the group's number; -1 is none.
            Groups that are not in it are of none. None: each group is a domain.
        fallback: the domain of prompts that are of no other; None for none.
        least_probability: of the likeliest domain, to rely on it.
    """

    domains: Mapping[int, int] | None = None
    fallback: int | None = None
    least_probability: float = LEAST_PROBABILITY

    @property
    def name(self) -> str:
        """Name of the method."""
        return "domain"

    def fit(self, problem: RoutingProblem, context: Context = CPU) -> "FittedExperts":
        """Learn the classifier of domains, the scores of models in each, and the experts."""
        found = self._of_items(problem.groups)
        numbers = np.bincount(found[found >= 0], minlength=1)
        present = np.flatnonzero(numbers >= LEAST_ITEMS)
        of_domains = [domain_scores(problem.outcomes[:, found == each]) for each in present]
        general = general_scores(problem.outcomes, of_domains)
        best = int(np.nan_to_num(general.scores, nan=-1).argmax())
        places = {domain: place for place, domain in enumerate(present.tolist())}
        usual = None if self.fallback is None else places.get(self.fallback)
        experts = [
            best if place == usual else expert_of(scores, best)
            for place, scores in enumerate(of_domains)
        ]
        shown, errors = _shown([general, *of_domains], [best, *experts])
        return FittedExperts(
            _classifier(problem, found, present, context),
            shown,
            errors,
            np.array([best, *experts], np.intp),
            None if usual is None else 1 + usual,
            self.least_probability,
        )

    def _of_items(self, groups: Places) -> Places:
        if self.domains is None:
            return groups
        return np.array([self.domains.get(each, -1) for each in groups.tolist()], np.intp)


@dataclass(frozen=True, slots=True, eq=False)
class FittedExperts:
    """Scores of M models in D domains, and over all; the experts; the classifier.

    Attributes:
        classifier: of prompts; None where there are not two domains.
        scores: float64, (1 + D) x M: over all domains, then in each. No model is above the expert,
            where it is so within the noise alone.
        errors: float64, (1 + D) x M: their standard errors.
        experts: int, 1 + D: the best general model, then the expert of each domain.
        usual: row of the fallback; None for none.
        least_probability: of the likeliest domain, to rely on it.
    """

    classifier: DomainClassifier | None
    scores: Reals
    errors: Reals
    experts: Places
    usual: int | None
    least_probability: float

    def predict(self, vectors: Matrix) -> RoutePredictions:
        """Return predictions for prompts, P x T: the scores in the domain of each."""
        rows = self.rows(vectors)
        return RoutePredictions(
            self.scores[rows].astype(np.float32), self.errors[rows].astype(np.float32)
        )

    def rows(self, vectors: Matrix) -> Places:
        """Return the row of scores that counts for each prompt, P: 0 where no domain is certain."""
        if self.classifier is None:
            return np.zeros(len(vectors), np.intp)
        found = self.classifier.predict(vectors)
        sure = (found.probabilities.max(axis=1) >= self.least_probability) & (
            found.energies >= self.classifier.least_energy
        )
        likeliest = 1 + found.probabilities.argmax(axis=1)
        return np.where(sure | (likeliest == self.usual), likeliest, 0)


def _classifier(
    problem: RoutingProblem, domains: Places, present: Places, context: Context
) -> DomainClassifier | None:
    """Return the classifier of prompts into the domains that are present, None of fewer than two.

    Args:
        problem: has the prompts.
        domains: of each, -1 for none.
        present: domains with enough prompts, ascending.
        context: has the seed.
    """
    if len(present) < 2:  # noqa: PLR2004 - nothing to tell apart
        return None
    items = np.flatnonzero(np.isin(domains, present))
    of_items = np.searchsorted(present, domains[items])
    return learn_classifier(
        problem.vectors[items], of_items, len(present), seed=context.seed
    ).classifier


def expert_of(scores: ModelScores, general: int) -> int:
    """Return the expert of a domain: the best of those beyond the noise of the general model."""
    known = np.nan_to_num(scores.scores, nan=-1)
    if known.max() < 0:
        return general
    if np.isnan(scores.scores[general]):
        return int(known.argmax())
    noise = np.hypot(scores.residuals, scores.residuals[general])
    beyond = scores.scores - scores.scores[general] > noise
    return int(np.where(beyond, known, -1).argmax()) if beyond.any() else general


def _shown(rows: list[ModelScores], experts: list[int]) -> tuple[Reals, Reals]:
    """Return scores and errors by row: over all domains for models that are not known there.

    NaN of models that are known neither there nor in half of the domains.
    """
    known = np.stack([~np.isnan(row.scores) for row in rows])
    scores = np.where(known, np.stack([row.scores for row in rows]), rows[0].scores)
    errors = np.where(known, np.stack([row.errors for row in rows]), rows[0].errors)
    for row, expert in zip(scores, experts, strict=True):
        others = np.arange(len(row)) != expert
        row[others] = np.clip(row[others], 0, max(row[expert] - _APART, 0))
    return scores, errors
