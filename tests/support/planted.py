"""Outcomes drawn from factors that are known, so that what was learned can be compared."""

from typing import NamedTuple

import numpy as np
from evaluated import block, run, write
from numpy.typing import NDArray
from scipy.sparse import csr_array
from sqlalchemy import Engine

from registry.evaluations.records import Item
from registry.learning.factorization.problem import ItemTexts, Problem

Matrix = NDArray[np.float32]


class Planted(NamedTuple):
    problem: Problem
    probabilities: Matrix
    """True probabilities, models x items."""
    outcomes: Matrix
    """What was drawn, all of it."""


def planted(
    models: int,
    items: int,
    *,
    rank: int = 3,
    seen: float = 0.8,
    text: float = 0.0,
    graded: bool = False,
    seed: int = 0,
) -> Planted:
    """Draw outcomes; `text` is the share of an item's vector that its text gives, 0: no texts."""
    rng = np.random.default_rng(seed)
    abilities, level = rng.normal(size=(models, rank)), rng.normal(size=models)
    vectors = rng.normal(size=(items, 16))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    of_text = vectors @ rng.normal(size=(16, rank + 1)) * 1.5
    own = rng.normal(size=(items, rank + 1))
    sides = text * of_text + (1 - text) * own
    logits = abilities @ sides[:, :rank].T + level[:, None] + sides[:, rank]
    probabilities = (1 / (1 + np.exp(-logits))).astype(np.float32)
    drawn = probabilities if graded else (rng.random(probabilities.shape) < probabilities)
    outcomes = drawn.astype(np.float32)
    shown = np.where(rng.random(probabilities.shape) < seen, outcomes, np.float32(np.nan))
    texts = None
    if text:
        texts = ItemTexts(
            vectors.astype(np.float32),
            np.zeros((items, 2), np.float32),
            csr_array((items, 4), dtype=np.float32),
        )
    return Planted(Problem(shown, texts), probabilities, outcomes)


def planted_graph(pairs: NDArray[np.float64]) -> csr_array:
    """Return the graph of given similarities, n x n, without its diagonal."""
    graph = csr_array(np.where(np.eye(len(pairs), dtype=bool), 0, np.maximum(pairs, 0)))
    graph.eliminate_zeros()
    return graph


WORDS = [f"word{chr(97 + n) * 3}" for n in range(14)]


def prompt(number: int) -> str:
    """Return a question whose words depend on its number."""
    return f"What is {WORDS[number % 14]} and {WORDS[number // 14 % 14]} and {number % 7}?"


def fill(engine: Engine, *, models: int = 40, items: int = 120, seed: int = 0) -> None:
    """Put planted outcomes on two benchmarks into a database."""
    made = planted(models, items, rank=2, seen=0.9, seed=seed)
    asked = [Item(f"i{number}", prompt(number)) for number in range(items)]
    half, seen = items // 2, made.problem.outcomes
    with engine.begin() as connection:
        for name, part in (("arc", slice(0, half)), ("gsm", slice(half, items))):
            runs = [
                run(
                    f"org/m{number}",
                    [None if np.isnan(each) else float(each) for each in seen[number, part]],
                )
                for number in range(models)
            ]
            write(connection, block(name, *runs, asked=asked[part]))
