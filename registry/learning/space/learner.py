"""Choice of settings and fit of a problem's exams, in one space."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from registry.enums import MethodName
from registry.learning.factorization import selection
from registry.learning.factorization.portions import portions
from registry.learning.factorization.problem import CPU, Context, Factors, Method, Problem
from registry.learning.factorization.selection import Choice, SelectionResult
from registry.learning.space.choices import Choices, NoChoices, key_of
from registry.learning.space.exams import Exam, exams_of
from registry.learning.space.join import Joined, by_exam
from registry.learning.space.reference import coordinates, item_weights

JOINED = frozenset({"blend", MethodName.IRT, MethodName.RASCH})
"""Methods whose exams are fitted one by one and joined; others learn from all outcomes at once."""


def learn(
    problem: Problem,
    name: str = "blend",
    context: Context = CPU,
    choices: Choices | None = None,
) -> SelectionResult:
    """Choose the settings of a method for each exam, and fit them to all outcomes, in one space.

    Distances of the vectors are those of `registry.learning.space.reference`.

    Args:
        problem: the outcomes.
        name: a method of `selection.METHODS`, or blend.
        context: device, seed and progress.
        choices: of settings that were made before, which are not made again; new ones are kept
            there. None makes all.

    Raises:
        UsageError: for too few outcomes, or an unknown method.
    """
    selection.check(problem)
    if name not in JOINED:
        learned = selection.learn(problem, name, context)
        fit = replace(learned.fit, factors=_referenced(learned.fit.factors, problem))
        return replace(learned, fit=fit)
    exams = exams_of(problem)
    choosing, fitting = portions((1, 1), context)
    chosen = [
        _chosen(part, name, each, choices or NoChoices())
        for part, each in by_exam("choosing settings", problem, exams, choosing)
    ]
    method = Joined(tuple(choice.method for choice in chosen))
    fit = selection.with_serving(method.fit(problem, context=fitting), problem)
    return SelectionResult(fit, _trials(exams, chosen), _validation(chosen))


def _chosen(problem: Problem, name: str, context: Context, choices: Choices) -> Choice:
    """Return the choice of an exam's settings, made before or now."""
    key = key_of(problem, name, context)
    choice = choices.find(key)
    if choice is None:
        choice = selection.choose(problem, name, context)
        choices.keep(key, choice)
    return choice


def _referenced(factors: Factors | None, problem: Problem) -> Factors | None:
    """Return vectors of the same logits in coordinates of the reference set.

    A method with vectors but no uncertainties has no other meaning of its coordinates.
    """
    if factors is None or factors.uncertainties is not None:
        return factors
    models, items = factors.models.astype(np.float64), factors.items.astype(np.float64)
    weights = item_weights(problem.groups, problem.observed_items)
    forth, back = coordinates(models, items, factors.offsets.astype(np.float64), weights)
    return replace(
        factors,
        models=(models @ forth).astype(np.float32),
        items=(items @ back).astype(np.float32),
    )


def _trials(exams: Sequence[Exam], choices: Sequence[Choice]) -> list[Mapping[str, object]]:
    return [
        {**trial, "exam": {"models": len(exam.rows), "items": len(exam.columns)}}
        for exam, choice in zip(exams, choices, strict=True)
        for trial in choice.trials
    ]


def _validation(choices: Sequence[Choice]) -> dict[str, dict[str, float]]:
    """Return the metrics of all exams, weighted by their numbers of validation outcomes."""
    joined: dict[str, dict[str, float]] = {}
    for kind in ("known", "new"):
        parts = [
            (each.validation[kind], each.held[kind]) for each in choices if kind in each.validation
        ]
        total = sum(count for _, count in parts)
        if total:
            joined[kind] = {
                metric: sum(part[metric] * count for part, count in parts) / total
                for metric in parts[0][0]
            }
    return joined


def settings(method: Method) -> dict[str, object]:
    """Return a method's name and settings, as JSON has them; of several exams, those of each."""
    if not isinstance(method, Joined):
        return selection.settings(method)
    parts = [selection.settings(part) for part in method.parts]
    return parts[0] if len(parts) == 1 else {"method": method.name, "exams": parts}
