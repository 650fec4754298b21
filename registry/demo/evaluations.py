"""Made-up evaluations of the sample's models, drawn from a planted model.

ALL OF IT IS MADE UP: the names of the models are real, their answers here are not. Its use is that
the true parameters are known. A model of ability t gets an item of
discrimination a and difficulty b right with probability 1 / (1 + exp(-a (t - b))), on its own, as
two-parameter item response theory has it; a graded item is the mean of four such draws. b is a
normal number, a is exp(0.3 times one), and nobody guesses. Given these, draws are independent.
Whatever is estimated from the outcomes can be compared with `ability`, `benchmarks` (which have the
items' a and b) and `probabilities`.

An ability is 0.4 for each doubling of the model's parameters from 7 billion, plus an offset that
runs in families: 0.35 times a normal number for a model without parents, else the mean of its
parents' offsets plus 0.15 times one. Models tuned to follow instructions gain 0.5 on what asks for
an order to be kept and 0.3 on negations.

Everything is fixed by names and the seed, on any machine.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from hashlib import blake2b
from itertools import chain
from math import log2
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from registry.demo import questions
from registry.demo.draws import Numbers, Shares, shares
from registry.demo.evaluation_plan import (
    BOARD,
    HARNESS,
    LIMIT,
    LIMITED,
    LOGGED,
    LOGGED_AT,
    MODELS,
    SETUP,
    SPELT,
    STATED_AT,
    TWICE,
    UNKNOWN,
)
from registry.demo.models import RENAMED, models
from registry.evaluations.records import Benchmark, Block, Item, Measure, Outcomes, Run

_USUAL_SIZE = 7e9
_A_DOUBLING, _FAMILY, _OWN = 0.4, 0.35, 0.15
_TUNED: Mapping[str | None, float] = {"demo-order": 0.5, "demo-odd": 0.3}
_REDRAWN = 0.15
_GRADES = 4
# Columns of draws: each is independent of the others.
_OF_MODEL, _DISCRIMINATION, _DIFFICULTY, _WRONG, _AGAIN, _OUTCOME = 1, 2, 3, 4, 5, 10


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Planted:
    """One benchmark and its truth.

    Attributes:
        benchmark: what it is called.
        measure: a share of right answers.
        items: its n questions.
        discrimination: of each item, n positive numbers around 1.
        difficulty: of each item, n numbers around 0, on the scale of abilities.
        draws: how many draws an outcome is the mean of; 1 where answers are right or wrong.
        answered: whether the answers of models are stored.
    """

    benchmark: Benchmark
    measure: Measure
    items: tuple[Item, ...]
    discrimination: NDArray[np.float64]
    difficulty: NDArray[np.float64]
    draws: int = 1
    answered: bool = False


@dataclass(frozen=True, slots=True)
class _Facts:
    parameters: int | None
    parents: tuple[str, ...]
    tuned: bool


@cache
def benchmarks(seed: int = 0) -> tuple[Planted, ...]:
    """Return the benchmarks and the parameters of their items."""
    right = Measure(metric="acc")
    return (
        _planted("demo-sums", "sums", right, questions.arithmetic(), seed, answered=True),
        _planted("demo-cities", "geography", right, questions.capitals(), seed),
        _planted("demo-odd", "language", right, questions.negation(), seed),
        _planted(
            "demo-order",
            "language",
            Measure(metric="neighbours_in_order"),
            questions.sorting(),
            seed,
            draws=_GRADES,
        ),
    )


def ability(model: str, benchmark: str | None = None, *, seed: int = 0) -> float:
    """Return the planted ability of a model of the sample whose size is known, or of `UNKNOWN`.

    Args:
        model: its present name.
        benchmark: one where those may be better that follow instructions; None for the others.
        seed: of all the draws.
    """
    facts = _facts()[model]
    if facts.parameters is None:
        raise KeyError(model)
    size = _A_DOUBLING * log2(facts.parameters / _USUAL_SIZE)
    gain = _TUNED.get(benchmark, 0.0) if facts.tuned else 0.0
    return size + _offset(model, seed) + gain


def probabilities(model: str, planted: Planted, *, seed: int = 0) -> NDArray[np.float64]:
    """Return the probabilities that a model gets each of a benchmark's n items right."""
    distance = ability(model, planted.benchmark.name, seed=seed) - planted.difficulty
    right: NDArray[np.float64] = 1 / (1 + np.exp(-planted.discrimination * distance))
    return right


def blocks(seed: int = 0) -> Iterator[Block]:
    """Yield all evaluations: those of the board, then the logged ones."""
    return chain(board(seed), logs(seed))


def board(seed: int = 0) -> Iterator[Block]:
    """Yield what the board states: a block a benchmark, of all models that were not logged."""
    for planted in benchmarks(seed):
        name = planted.benchmark.name
        runs = [
            _run(model, planted, seed)
            for model in (*MODELS, UNKNOWN)
            if model == TWICE or name not in LOGGED.get(model, ())
        ]
        yield Block(benchmark=planted.benchmark, items=planted.items, runs=runs)


def logs(seed: int = 0) -> Iterator[Block]:
    """Yield what was logged: a block a benchmark, and one more for the limited run."""
    for planted in benchmarks(seed):
        name = planted.benchmark.name
        models = [model for model, names in LOGGED.items() if name in names]
        for limit in (None, LIMIT):
            logged = [model for model in models if (model == LIMITED) == (limit is not None)]
            runs = [_logged(_run(model, planted, seed, again=True), limit) for model in logged]
            if runs:
                items = planted.items[:limit]
                yield Block(benchmark=planted.benchmark, items=items, runs=runs)


def _run(model: str, planted: Planted, seed: int, *, again: bool = False) -> Run:
    """Draw one run as the board has it, or, in part, once more."""
    numbers = _numbers(f"{model} on {planted.benchmark.name}", len(planted.items))
    right = probabilities(model, planted, seed=seed)
    redrawn = again & (shares(numbers, seed, _AGAIN) < _REDRAWN)
    draws = [
        np.where(
            redrawn,
            shares(numbers, seed, _OUTCOME + planted.draws + column),
            shares(numbers, seed, _OUTCOME + column),
        )
        < right
        for column in range(planted.draws)
    ]
    outcomes = np.mean(draws, axis=0).astype(np.float32)
    answers = _answers(planted.items, outcomes, shares(numbers, seed, _WRONG))
    return Run(
        model=SPELT.get(model, model),
        measure=planted.measure,
        source=BOARD,
        evaluated_at=STATED_AT,
        outcomes=outcomes,
        answers=answers if planted.answered else None,
    )


def _logged(run: Run, limit: int | None) -> Run:
    assert run.outcomes is not None
    return replace(
        run,
        source=HARNESS,
        setup=SETUP,
        evaluated_at=LOGGED_AT,
        complete=limit is None,
        outcomes=run.outcomes[:limit],
        answers=None if run.answers is None else run.answers[:limit],
    )


def _answers(items: Sequence[Item], outcomes: Outcomes, share: Shares) -> list[str | None]:
    """Return the right answer where the outcome is 1, else one of the other choices."""
    answers: list[str | None] = []
    for item, outcome, drawn in zip(items, outcomes.tolist(), share.tolist(), strict=True):
        wrong = [choice for choice in item.choices if choice != item.answer]
        answers.append(item.answer if outcome == 1 or not wrong else wrong[int(drawn * len(wrong))])
    return answers


def _planted(
    name: str,
    domain: str,
    measure: Measure,
    items: tuple[Item, ...],
    seed: int,
    *,
    draws: int = 1,
    answered: bool = False,
) -> Planted:
    numbers = _numbers(name, len(items))
    benchmark = Benchmark(
        name=name,
        domain=domain,
        description="Made up for the tour of the registry: nobody ever ran it.",
    )
    return Planted(
        benchmark=benchmark,
        measure=measure,
        items=items,
        discrimination=np.exp(0.3 * _normal(numbers, seed, _DISCRIMINATION)),
        difficulty=_normal(numbers, seed, _DIFFICULTY),
        draws=draws,
        answered=answered,
    )


@cache
def _facts() -> Mapping[str, _Facts]:
    facts = {UNKNOWN: _Facts(int(_USUAL_SIZE), (), tuned=False)}
    for record in models(STATED_AT.date()):
        stated = record["cardData"].get("base_model", [])
        stated = [stated] if isinstance(stated, str) else stated
        parents = [RENAMED.get(name, name) for name in stated]
        facts[record["id"]] = _Facts(
            parameters=record.get("safetensors", {}).get("total"),
            # One model names itself.
            parents=tuple(name for name in parents if name != record["id"]),
            tuned="conversational" in record["tags"],
        )
    return facts


@cache
def _offset(model: str, seed: int) -> float:
    own = float(_normal(_numbers(model, 1), seed, _OF_MODEL)[0])
    parents = _facts()[model].parents if model in _facts() else ()
    if not parents:
        return _FAMILY * own
    return sum(_offset(parent, seed) for parent in parents) / len(parents) + _OWN * own


def _numbers(name: str, count: int) -> Numbers:
    """Return numbers to draw by, which no other name has."""
    first = int.from_bytes(blake2b(name.encode(), digest_size=7).digest())
    return first + np.arange(count)


def _normal(numbers: Numbers, seed: int, column: int) -> NDArray[np.float64]:
    quantile = NormalDist().inv_cdf
    drawn = shares(numbers, seed, column).tolist()
    return np.array([quantile(max(share, 2.0**-53)) for share in drawn])
