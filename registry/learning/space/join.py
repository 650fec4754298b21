"""Join of the fits of several exams to one, whose vectors are in one space."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from registry.learning.arrays import Reals
from registry.learning.axes import Axes
from registry.learning.factorization.irt import ItemResponse
from registry.learning.factorization.portions import cost, portions
from registry.learning.factorization.problem import (
    CPU,
    Columns,
    Context,
    Factors,
    Fit,
    Matrix,
    Method,
    Problem,
    sigmoid,
)
from registry.learning.factorization.selection import named, rank_for
from registry.learning.factorization.text_gp import TextRegression
from registry.learning.space.abilities import Abilities, abilities_of
from registry.learning.space.exams import Exam, exams_of
from registry.learning.space.posterior import posteriors
from registry.learning.space.prior import JointPrior, joint_prior
from registry.learning.space.reference import coordinates, information, item_weights

_JOINING = 0.1
"""Share of the fits' time in which exams are joined, about."""


@dataclass(frozen=True, slots=True)
class Joined:
    """A method for each exam of a problem, and their common prior.

    Attributes:
        parts: methods with vectors, one for each of `exams_of`, in that order.
    """

    parts: tuple[Method, ...]

    @property
    def name(self) -> str:
        """Name of the methods."""
        return self.parts[0].name

    def fit(self, problem: Problem, check: Matrix | None = None, context: Context = CPU) -> Fit:
        """Fit each exam, then the common prior and all posteriors; see `Method.fit`."""
        exams = exams_of(problem)
        fitting, joining = portions((1 - _JOINING, _JOINING), context)
        fits = [
            method.fit(part, _part(check, exam), each)
            for method, exam, (part, each) in zip(
                self.parts, exams, by_exam("final fit", problem, exams, fitting), strict=True
            )
        ]
        return join(problem, exams, fits, named("final fit", joining))


def by_exam(
    stage: str, problem: Problem, exams: Sequence[Exam], context: Context
) -> Iterator[tuple[Problem, Context]]:
    """Yield the problem of each exam, and the context of what is done with it.

    Args:
        stage: what is done, for people.
        problem: of all.
        exams: of the problem.
        context: of the whole stage.
    """
    sizes = [_size(len(exam.rows), len(exam.columns)) for exam in exams]
    for place, (exam, each) in enumerate(zip(exams, portions(sizes, context), strict=True), 1):
        name = stage if len(exams) == 1 else f"{stage}, exam {place} of {len(exams)}"
        yield problem.part(exam.rows, exam.columns), named(name, each)


def _size(models: int, items: int) -> float:
    """Return about how many seconds the methods that are usually fitted to an exam take."""
    response = ItemResponse(rank=rank_for(models, items), sweeps=20)
    return cost(response, (models, items)) + cost(TextRegression(), (models, items))


def _part(check: Matrix | None, exam: Exam) -> Matrix | None:
    return None if check is None else check[np.ix_(exam.rows, exam.columns)]


class _Space(NamedTuple):
    """Vectors of all models and items: logits are `models @ items.T + offsets`.

    `variances` are those along the axes, M x k; `uncertainties` those of a mean coordinate, M.
    """

    models: Reals
    variances: Matrix
    uncertainties: Matrix
    items: Reals
    offsets: Matrix
    unexplained: Reals
    axes: Axes


def join(problem: Problem, exams: Sequence[Exam], fits: Sequence[Fit], context: Context) -> Fit:
    """Join fits of exams.

    A model is predicted by the fit of an exam where it took it, else by its posterior.

    Args:
        problem: of all models and items.
        exams: of the problem.
        fits: of the exams, each with vectors.
        context: device and progress.
    """
    abilities = []
    for exam, fit in zip(exams, fits, strict=True):
        assert fit.factors is not None
        abilities.append(abilities_of(exam, fit.factors))
    prior = joint_prior(len(problem.outcomes), abilities, problem.catalog, context)
    space = _placed(problem, abilities, prior, context)

    def predict(columns: Columns) -> Matrix:
        items = space.items[columns]
        variance = space.variances @ space.axes.squares(items).T
        logits = space.models @ items.T + space.offsets[columns]
        probabilities = sigmoid(logits / np.sqrt(1 + np.pi / 8 * variance))
        for exam, fit in zip(exams, fits, strict=True):
            inside = np.flatnonzero(np.isin(columns, exam.columns))
            if len(inside):
                own = np.searchsorted(exam.columns, columns[inside])
                probabilities[np.ix_(exam.rows, inside)] = fit.predict(own)
        return probabilities

    factors = Factors(
        space.models.astype(np.float32),
        space.items.astype(np.float32),
        space.offsets,
        np.sqrt(space.uncertainties),
        space.unexplained,
        space.axes.directions,
        space.variances,
    )
    method = Joined(tuple(fit.method for fit in fits))
    return Fit(method, predict, factors, notes=_notes(exams, fits, prior))


def _notes(exams: Sequence[Exam], fits: Sequence[Fit], prior: JointPrior) -> dict[str, object]:
    return {
        "exams": [
            {
                "models": tie.models,
                "items": len(exam.columns),
                "linked": tie.linked,
                "explained": round(tie.explained, 4),
                "fit": dict(fit.notes),
            }
            for exam, fit, tie in zip(exams, fits, prior.ties, strict=True)
        ]
    }


def _placed(
    problem: Problem, exams: Sequence[Abilities], prior: JointPrior, context: Context
) -> _Space:
    """Return the posteriors of all models, in coordinates of the reference set."""
    models, dimension = prior.of_abilities.mean.shape
    items = np.zeros((problem.outcomes.shape[1], dimension))
    offsets = np.zeros(len(items), np.float32)
    start = 0
    for exam in exams:
        stop = start + exam.loadings.shape[1]
        items[exam.columns, start:stop] = exam.loadings
        offsets[exam.columns] = exam.offsets
        start = stop
    rows = np.arange(models)
    mean = np.empty((models, dimension))
    for part in posteriors(exams, prior.of_abilities, rows, context.device):
        mean[part.rows] = part.mean
        context.on_progress("placing models in the common space", int(part.rows[-1]) + 1, models)
    weights = item_weights(problem.groups, problem.observed_items)
    forth, back = coordinates(mean, items, offsets.astype(np.float64), weights)
    mean, items = mean @ forth, items @ back
    unexplained = forth.T @ prior.of_abilities.covariance @ forth
    axes = Axes.of(unexplained, information(mean, items, offsets.astype(np.float64), weights))
    # Computed again, since the covariances of all models would take too much memory. The variance
    # of a coordinate D' a, or of an error along an axis, is that of a along a column.
    turned = forth @ axes.inverse.T
    variances = np.empty((models, turned.shape[1]), np.float32)
    uncertainties = np.empty(models, np.float32)
    for part in posteriors(exams, prior.of_abilities, rows, context.device):
        variances[part.rows] = ((part.covariance @ turned) * turned).sum(1)
        uncertainties[part.rows] = ((part.covariance @ forth) * forth).sum(1).mean(1)
        context.on_progress("measuring uncertainties", int(part.rows[-1]) + 1, models)
    return _Space(mean, variances, uncertainties, items, offsets, unexplained, axes)
