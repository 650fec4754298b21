"""Whether vectors mean the same whatever a model was evaluated on, on real data.

`pytest -m benchmark tests/benchmarks/test_space_quality.py -s`. REST sets how many models there are
beside the twins (default: all), SEED draws others.
"""

import os
from typing import NamedTuple

import numpy as np
import pytest
from metabench import DATA, FILES, catalog, responses
from numpy.typing import NDArray

from registry.learning.coldstart.features import Description, Featurizer
from registry.learning.coldstart.kernel_features import kernel_features
from registry.learning.factorization import selection
from registry.learning.factorization.irt import ItemResponse
from registry.learning.factorization.problem import Factors, Matrix, Problem
from registry.learning.metrics import auc, log_loss
from registry.learning.space.exams import exams_of
from registry.learning.space.join import Joined

FIRST_HALF = {"arc", "gsm8k"}
TWINS = 300
NEAR = 10
REST = int(os.environ.get("REST", "1000000"))
SEED = int(os.environ.get("SEED", "0"))

pytestmark = [
    pytest.mark.benchmark,
    pytest.mark.skipif(not DATA.is_dir(), reason="needs the real data sets beside the checkout"),
]


class Evaluated(NamedTuple):
    outcomes: Matrix
    benchmarks: NDArray[np.str_]
    """Of each item."""
    descriptions: list[Description]
    featurizer: Featurizer


@pytest.fixture(scope="module")
def evaluated() -> Evaluated:
    """Models with outcomes on all of metabench, as the catalog describes them."""
    found = responses()
    benchmarks = np.array([name.removesuffix("_secondary") for name in FILES])[found.files]
    described = catalog()
    models = [described.get(str(name), Description(str(name))) for name in found.table.index]
    featurizer = Featurizer.of([[*described.values()]])
    return Evaluated(found.table.to_numpy(np.float32), benchmarks, models, featurizer)


class Twins(NamedTuple):
    """Models with one half of the items each; row t and row TWINS + t are one model's halves."""

    problem: Problem
    whole: Matrix


def twins(evaluated: Evaluated, linked: int | None, *, at_random: bool, known: bool) -> Twins:
    """Draw twins; of the other models, `linked` have both halves (None: all of them)."""
    draw = np.random.default_rng(SEED)
    order = draw.permutation(len(evaluated.outcomes))[: TWINS + REST]
    pairs, rest = order[:TWINS], order[TWINS:]
    first = np.isin(evaluated.benchmarks, list(FIRST_HALF))
    if at_random:
        first = draw.random(len(first)) < 0.5
    both = rest if linked is None else rest[:linked]
    apart = rest[len(both) :]
    one, other = apart[: len(apart) // 2], apart[len(apart) // 2 :]
    rows = np.concatenate([pairs, pairs, both, one, other])
    half = np.repeat([1, 2, 0, 1, 2], [TWINS, TWINS, len(both), len(one), len(other)])
    whole = evaluated.outcomes[rows]
    hidden = ((half == 1)[:, None] & ~first) | ((half == 2)[:, None] & first)
    blocks = evaluated.featurizer.blocks([evaluated.descriptions[row] for row in rows])
    features = kernel_features(blocks).astype(np.float32)
    if not known:
        features[: 2 * TWINS] = 0
    _, groups = np.unique(evaluated.benchmarks, return_inverse=True)
    outcomes = np.where(hidden, np.float32(np.nan), whole)
    return Twins(Problem(outcomes, groups=groups, catalog=features), whole)


def ranks(vectors: NDArray[np.floating]) -> NDArray[np.intp]:
    """Return the rank of each twin's other half among all others, from 1."""
    found = []
    for one in range(2 * TWINS):
        distances = ((vectors - vectors[one]) ** 2).sum(axis=1)
        distances[one] = np.inf
        found.append(1 + np.count_nonzero(distances < distances[(one + TWINS) % (2 * TWINS)]))
    return np.array(found)


def report(name: str, made: Twins, factors: Factors, predicted: Matrix) -> tuple[float, float]:
    found = ranks(factors.models.astype(np.float64))
    middle, near = float(np.median(found)) / (len(made.whole) - 1), float((found <= NEAR).mean())
    line = f"{name:<44} median rank {np.median(found):6.1f} ({middle:6.2%}), in {NEAR}: {near:5.1%}"
    never = np.isnan(made.problem.outcomes)
    if never.any():
        means = np.broadcast_to(np.nanmean(made.problem.outcomes, axis=0), never.shape)
        line += (
            f"; other half AUC {auc(made.whole[never], predicted[never]):.4f}"
            f" (item means {auc(made.whole[never], means[never]):.4f})"
            f", log loss {log_loss(made.whole[never], predicted[never]):.4f}"
        )
    print(line, flush=True)
    return middle, near


def joined(made: Twins) -> tuple[Factors, Matrix]:
    problem = made.problem
    parts = tuple(
        ItemResponse(selection.rank_for(len(exam.rows), len(exam.columns)), 0.5, 20)
        for exam in exams_of(problem)
    )
    fit = Joined(parts).fit(problem)
    assert fit.factors is not None
    return fit.factors, fit.probabilities(problem.outcomes.shape[1])


def alone(made: Twins) -> tuple[Factors, Matrix]:
    """One item response model of all outcomes, without the catalog, compared by direction."""
    fit = ItemResponse(16, 0.5, 20).fit(made.problem)
    assert fit.factors is not None
    models = fit.factors.models / np.linalg.norm(fit.factors.models, axis=1, keepdims=True)
    factors = Factors(models, fit.factors.items, fit.factors.offsets)
    return factors, fit.probabilities(made.problem.outcomes.shape[1])


def test_twins_find_each_other(evaluated: Evaluated) -> None:
    """The same model under two names, with the outcomes of one half of the benchmarks each."""
    full = twins(evaluated, None, at_random=True, known=True)
    print(f"\n{len(full.whole):,} models x {full.whole.shape[1]} items, {TWINS} twice")
    _, most = report("items split at random, all other models have all", full, *joined(full))
    bars = {0: (0.1, 0.0), 50: (0.02, 0.4)}
    for linked in (0, 10, 50, None):
        made = twins(evaluated, linked, at_random=False, known=True)
        number = "all" if linked is None else str(linked)
        middle, near = report(f"halves by benchmark, {number} linked", made, *joined(made))
        if linked in bars:
            least, share = bars[linked]
            assert middle <= least
            assert near >= share * most
        hidden = twins(evaluated, linked, at_random=False, known=False)
        report(f"  and nothing known of the twins, {number} linked", hidden, *joined(hidden))
        if linked in {0, 50}:
            report(f"  one model of all, by cosine, {number} linked", made, *alone(made))
