"""Training speed of factors, beside the plain loop over pairs and a lower bound of the work.

`pytest -m benchmark tests/benchmarks/test_training_speed.py -s`
"""

import resource
from collections.abc import Iterator
from time import perf_counter

import numpy as np
import pytest
import torch
from scipy.sparse import csr_array
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from registry.learning.factorization.irt import ItemResponse
from registry.learning.factorization.mf import TextFactorization
from registry.learning.factorization.problem import Context, ItemTexts, Matrix, Problem
from registry.learning.metrics import accuracy
from registry.prediction.routing.scoring import choose

pytestmark = pytest.mark.benchmark

MODELS, ITEMS, WIDTH, DIMENSION = 112, 28_843, 768, 232
EPOCHS = 50
DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


def drawn(models: int, items: int, *, width: int, seed: int = 0) -> tuple[Problem, Matrix]:
    """Draw outcomes that texts tell some of; hold the last tenth of the items out, whole."""
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(items, width)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    side = vectors[:, :64] @ rng.normal(size=(64, 9)).astype(np.float32) * width**0.5 / 8
    abilities = rng.normal(size=(models, 8)).astype(np.float32) * 0.6
    logits = abilities @ side[:, :8].T + side[:, 8] + rng.normal(size=(models, 1))
    outcomes = (rng.random(logits.shape) < 1 / (1 + np.exp(-logits))).astype(np.float32)
    check = np.full_like(outcomes, np.nan)
    held = items // 10
    check[:, -held:] = outcomes[:, -held:]
    outcomes[:, -held:] = np.nan
    texts = ItemTexts(
        vectors, np.zeros((items, 1), np.float32), csr_array((items, 1), dtype=np.float32)
    )
    return Problem(outcomes, texts), check


class _Pairs(Dataset[tuple[int, int, float]]):
    def __init__(self, outcomes: Matrix) -> None:
        self.models, self.items = np.nonzero(~np.isnan(outcomes))
        self.outcomes = outcomes

    def __len__(self) -> int:
        return len(self.models)

    def __getitem__(self, place: int) -> tuple[int, int, float]:
        model, item = self.models[place], self.items[place]
        return int(model), int(item), float(self.outcomes[model, item])


class _Plain(nn.Module):
    """The decoder as the paper writes it, a pair at a time."""

    def __init__(self, models: int, text: Tensor) -> None:
        super().__init__()
        self.models = nn.Embedding(models, DIMENSION)
        self.text = nn.Embedding.from_pretrained(text)  # type: ignore[no-untyped-call]
        self.project = nn.Linear(text.shape[1], DIMENSION)
        self.classify = nn.Linear(DIMENSION, 2)

    def forward(self, model: Tensor, item: Tensor) -> Tensor:
        text = self.text(item)
        text = text + torch.randn_like(text) * 0.05
        found: Tensor = self.classify(self.models(model) * self.project(text))
        return found


def plain_seconds(problem: Problem, steps: int = 60, batch: int = 2048) -> float:
    """Time some steps of the loop over pairs; return the seconds that 50 epochs would take."""
    assert problem.texts is not None
    plain = _Plain(MODELS, torch.from_numpy(problem.texts.vectors))
    pairs = _Pairs(problem.outcomes)
    loader: Iterator[list[Tensor]] = iter(DataLoader(pairs, batch_size=batch, shuffle=True))
    solver = torch.optim.Adam(plain.parameters(), lr=1e-4, weight_decay=1e-5)
    began = 0.0
    for step in range(steps + 5):
        if step == 5:
            began = perf_counter()
        model, item, label = next(loader)
        loss = nn.functional.cross_entropy(plain(model, item), label.long())
        solver.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call] # torch ships it so
        solver.step()
    return (perf_counter() - began) / steps * len(pairs) / batch * EPOCHS


def right(problem: Problem, check: Matrix, method: TextFactorization, device: str) -> float:
    fit = method.fit(problem, check, Context(device))
    asked = np.flatnonzero(~np.isnan(check).all(axis=0))
    return accuracy(check[:, asked].ravel(), fit.predict(asked).ravel())


@pytest.mark.parametrize("device", DEVICES)
def test_training_of_the_papers_size(device: str) -> None:
    problem, check = drawn(MODELS, ITEMS, width=WIDTH)
    loop = plain_seconds(problem)
    # The loop's own steps, of as many pairs and the same rate, computed dense.
    began = perf_counter()
    same = TextFactorization(dimension=DIMENSION, epochs=EPOCHS, block=18, rate=1e-4)
    target = right(problem, check, same, device)
    dense = perf_counter() - began
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = perf_counter()
    reached = right(problem, check, TextFactorization(dimension=DIMENSION), device)
    ours = perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(
        f"\n{MODELS} x {ITEMS:,}, {WIDTH} dims of text, d = {DIMENSION}, {device}:"
        f"\n  loop over pairs, {EPOCHS} epochs, extrapolated {loop:,.0f} s"
        f"\n  the same steps, dense {dense:.1f} s, accuracy {target:.4f}"
        f"\n  ours {ours:.1f} s, accuracy {reached:.4f}: {loop / ours:,.0f}x the loop"
        f"\n  peak memory {peak / 1024:,.0f} MiB, {(peak - before) / 1024:,.0f} more than before"
    )
    assert reached >= target - 5e-4


@pytest.mark.parametrize(
    ("models", "items"), [(112, 10_000), (1_000, 10_000), (5_000, 10_000), (112, 100_000)]
)
@pytest.mark.parametrize("device", DEVICES)
def test_item_response_as_models_and_items_grow(models: int, items: int, device: str) -> None:
    rng = np.random.default_rng(0)
    outcomes = (rng.random((models, items)) < 0.6).astype(np.float32)
    rank, sweeps = 16, 3
    began = perf_counter()
    ItemResponse(rank=rank, sweeps=sweeps).fit(Problem(outcomes), context=Context(device))
    seconds = (perf_counter() - began) / sweeps
    triangle = (rank + 2) * (rank + 3) // 2
    # Each of the two updates makes two products of cells by moments.
    work = 2 * 2 * 2 * models * items * triangle
    print(
        f"\n{models:,} x {items:,} on {device}, rank {rank}: {seconds:.2f} s a sweep, "
        f"{work / 1e9:,.0f} GFlop, {work / seconds / 1e9:,.0f} GFlop/s"
    )


def test_routing() -> None:
    rng = np.random.default_rng(0)
    serving = rng.normal(size=(112, WIDTH + 1)).astype(np.float32)
    prompts = rng.normal(size=(3_000, WIDTH)).astype(np.float32)
    times = []
    for _ in range(20):
        began = perf_counter()
        choose(serving, prompts)
        times.append(perf_counter() - began)
    print(f"\nrouting 3,000 prompts over 112 models: {np.median(times) * 1e3:.1f} ms")
