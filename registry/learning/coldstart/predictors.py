"""Predictors that a cold-start comparison sets side by side."""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from registry.learning.coldstart import gp, simrmf
from registry.learning.coldstart.kernel import Kernel
from registry.learning.coldstart.pca import LEAST, Reals, decompose
from registry.learning.coldstart.trial import Predictor, Trial
from registry.learning.factorization import selection
from registry.learning.factorization.baselines import MeanScore
from registry.learning.factorization.irt import ItemResponse
from registry.learning.factorization.mf import FreeFactorization, TextFactorization
from registry.learning.factorization.problem import ItemTexts, Matrix, Method, Problem, clipped
from registry.learning.factorization.text_gp import TextRegression

WRITTEN = TextFactorization(rate=1e-4, decay=1e-5, averaged=0)
"""The factorization of METHODS.md section 1 as it is written: all its epochs, and the last step."""


PAIRS = 2048
"""Outcomes a step of the written recipe; a step takes as many items as have them."""


FREE = FreeFactorization(epochs=60, block=64, decay=3e-5)


READING = TextFactorization(epochs=40, block=64, rate=3e-3)
"""The factorizations with our rates, trained until validation tells to stop."""


SHARPNESS = 16
"""Power of similarities in the plain average, which keeps to the nearest."""


RIDGE = 0.5


LEAST_TEXTS = 20


GROUPED = 4.0
"""Length of what tells an item's group beside its text's vector, which has 1."""


def means(trial: Trial) -> Matrix:
    """MeanScore: the item's mean, else the model's, else that of all."""
    return MeanScore("items").fit(trial.problem).probabilities(trial.truth.shape[1])


def oracle(trial: Trial) -> Matrix:
    """Average the known models by their true correlations, to the 16th power: no product method."""
    rest = _filled(trial.truth)
    rest = rest - rest.mean(axis=1, keepdims=True)
    rest /= np.maximum(np.linalg.norm(rest, axis=1, keepdims=True), 1e-9)
    return _averaged(trial, np.maximum(rest @ rest.T, 0) ** SHARPNESS)


def plain_average(trial: Trial) -> Matrix:
    """Average the known models by the cosine of the metadata, to the 16th power."""
    cosines = Kernel({"metadata": 1.0}).between(trial.blocks, trial.blocks)
    return _averaged(trial, np.maximum(cosines, 0) ** SHARPNESS)


def nearest_relative(trial: Trial) -> Matrix:
    """Copy the parent, else whatever is most similar by the graph; else take means."""
    known, _ = trial.known()
    near = trial.graph[:, known].toarray()
    found = means(trial)
    told = near.max(axis=1) > 0
    outcomes = trial.problem.outcomes[known[near.argmax(axis=1)]]
    return np.where(told[:, None] & trial.models[:, None] & ~np.isnan(outcomes), outcomes, found)


def kernel_ridge(trial: Trial) -> Matrix:
    """Kernel ridge regression of all items alike, with the weights that nothing has learned."""
    known, _ = trial.known()
    kernel = Kernel()
    base = means(trial)
    rest = np.nan_to_num(trial.problem.outcomes[known] - base[known])
    own = kernel.between(trial.blocks.rows(known), trial.blocks.rows(known)).astype(np.float64)
    own += RIDGE * own.diagonal().mean() * np.eye(len(known))
    near = kernel.between(trial.blocks, trial.blocks.rows(known))
    found = base + near @ np.linalg.solve(own, rest)
    return clipped(np.where(trial.models[:, None], found, base))


def factorization(trial: Trial) -> Matrix:
    """MF as METHODS.md section 1 has it; new models get the mean vector."""
    return _written(trial, csr_array(trial.graph.shape))


def similarity_factorization(trial: Trial) -> Matrix:
    """SimRMF on that: MF and the graph, whose strength is chosen on validation."""
    return _written(trial, trial.graph)


def stopped_factorization(trial: Trial) -> Matrix:
    """MF with our rates, stopped on validation, known items with free vectors."""
    return _factorized(trial, csr_array(trial.graph.shape))


def stopped_similarity_factorization(trial: Trial) -> Matrix:
    """SimRMF on that."""
    return _factorized(trial, trial.graph)


def oracle_factorization(trial: Trial) -> Matrix:
    """OracleSimRMF: `stopped_similarity_factorization` with true outcomes: no product method."""
    return _factorized(trial, simrmf.oracle_graph(_filled(trial.truth)))


def default(trial: Trial) -> Matrix:
    """The product's: item response, regression on texts, and the prior over models' vectors.

    Known models on known items come from the item response model (A), on new items from their
    texts (B). New models are predicted in the space of components (C); the components of new items
    (D) are those that explain what the texts tell of known models.
    """
    known, items = trial.known()
    problem = trial.problem
    seen = Problem(problem.outcomes[known], problem.texts)
    rank = max(1, min(16, len(known) // 10, len(items) // 10))
    fit = ItemResponse(rank=rank, prior=0.5, sweeps=20).fit(seen, seed=trial.seed)
    found: Matrix = np.full(trial.truth.shape, np.float32(np.nan), np.float32)
    found[known] = fit.probabilities(trial.truth.shape[1])
    fresh = np.flatnonzero(trial.items)
    if len(fresh):
        reader, texts = _reader(trial)
        read = reader.fit(replace(seen, texts=texts), seed=trial.seed)
        found[np.ix_(known, fresh)] = read.predict(fresh)
    told, guess, vectors = guessed(trial)
    new = np.flatnonzero(trial.models)
    found[np.ix_(new, items)] = told
    if len(fresh):
        believed = found[np.ix_(known, fresh)].astype(np.float64)
        centre = believed.mean(axis=0)
        slopes = np.linalg.lstsq(vectors, believed - centre, rcond=None)[0]
        found[np.ix_(new, fresh)] = np.clip(centre + guess @ slopes, LEAST, 1 - LEAST)
    return clipped(found)


METHODS: Mapping[str, Predictor] = MappingProxyType(
    {
        "means": means,
        "mf": factorization,
        "simrmf": similarity_factorization,
        "mf-stopped": stopped_factorization,
        "simrmf-stopped": stopped_similarity_factorization,
        "average": plain_average,
        "kernel-ridge": kernel_ridge,
        "nearest-relative": nearest_relative,
        "default": default,
        "oracle-simrmf": oracle_factorization,
        "oracle": oracle,
    }
)
"""All methods by name, in the order of a table."""


SLOW = frozenset({"simrmf"})
"""Methods that take the better part of an hour on a million outcomes, and so are only measured when
asked for: many small steps, each with the whole graph, for each lambda that is tried."""


def guessed(trial: Trial) -> tuple[Reals, Reals, Reals]:
    """Return chances of new models on known items, their vectors, and those of known models."""
    known, items = trial.known()
    components, vectors = decompose(trial.problem.outcomes[np.ix_(known, items)])
    fitted = gp.fit(trial.blocks.rows(known), vectors, seed=trial.seed)
    guess = fitted.guess(trial.blocks.rows(np.flatnonzero(trial.models))).mean
    return components.probabilities(guess), guess, vectors


def _readable(trial: Trial) -> int:
    """Return how many known items have texts."""
    return 0 if trial.texts is None else int((trial.texts.known & ~trial.items).sum())


def _reader(trial: Trial) -> tuple[Method, ItemTexts | None]:
    """Return what predicts new items of known models, and what it reads of them.

    That is texts where there are enough, and of which group an item is. Settings are those of the
    least error on known items held out.
    """
    vectors = np.zeros((trial.truth.shape[1], 0), np.float32)
    texts = trial.texts if _readable(trial) >= LEAST_TEXTS else None
    if texts is not None:
        vectors = np.nan_to_num(texts.vectors)
    groups = np.unique(trial.groups, return_inverse=True)[1] if trial.groups is not None else None
    if groups is not None and groups.max(initial=0) > 0:
        told = GROUPED * np.eye(groups.max() + 1, dtype=np.float32)[groups]
        vectors = np.concatenate([vectors, told], axis=1)
    elif texts is None:
        return MeanScore("models"), None
    else:
        return TextRegression(words=0.5, traits=0.2), texts
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    nothing = np.zeros((len(vectors), 1), np.float32)
    if texts is None:
        texts = ItemTexts(vectors, nothing, csr_array(nothing))
    return TextRegression(words=0.5, traits=0.2), replace(texts, vectors=vectors)


def _written(trial: Trial, graph: csr_array) -> Matrix:
    """Return what the recipe as written predicts; it learns from texts, and means are without."""
    if _readable(trial) < LEAST_TEXTS:
        return means(trial)
    known, _ = trial.known()
    base = replace(WRITTEN, block=max(1, round(PAIRS / len(known))))
    fit, _ = simrmf.learn(trial.problem, graph, base, seed=trial.seed)
    return fit.probabilities(trial.truth.shape[1])


def _factorized(trial: Trial, graph: csr_array) -> Matrix:
    problem = trial.problem
    items = trial.truth.shape[1]
    free, _ = simrmf.learn(problem, graph, _stopped(FREE, problem, trial.seed), seed=trial.seed)
    found = free.probabilities(items)
    fresh = np.flatnonzero(trial.items)
    if len(fresh) and _readable(trial) >= LEAST_TEXTS:
        base = _stopped(READING, problem, trial.seed)
        reading, _ = simrmf.learn(problem, graph, base, seed=trial.seed)
        found[:, fresh] = reading.predict(fresh)
    return found


_Descending = TypeVar("_Descending", FreeFactorization, TextFactorization)


def _stopped(method: _Descending, problem: Problem, seed: int) -> _Descending:
    """Return the method with the number of epochs that does best on outcomes and items held out."""
    reads = isinstance(method, TextFactorization)
    hidden = selection.carve(problem if reads else Problem(problem.outcomes), seed)
    check = np.where(hidden, problem.outcomes, np.float32(np.nan))
    found = method.fit(problem.without(hidden), check, seed=seed).method
    assert isinstance(found, type(method))
    return found


def _filled(truth: Matrix) -> Matrix:
    """Return outcomes with items' means, of all where there is none, for what nobody observed."""
    seen = ~np.isnan(truth)
    overall = np.float32(truth[seen].mean()) if seen.any() else np.float32(0.5)
    means = (np.where(seen, truth, 0).sum(axis=0) + overall * 1e-6) / (seen.sum(axis=0) + 1e-6)
    filled: Matrix = np.where(seen, truth, means).astype(np.float32)
    return filled


def _averaged(trial: Trial, similar: NDArray[np.floating]) -> Matrix:
    """Average known models' outcomes by similarity; what only means are known of stays a mean."""
    known, _ = trial.known()
    base = means(trial)
    outcomes = trial.problem.outcomes[known]
    weights = similar[:, known] * (np.arange(len(similar))[:, None] != known)
    seen = ~np.isnan(outcomes)
    total = weights @ seen
    found = (weights @ np.nan_to_num(outcomes)) / np.maximum(total, 1e-12)
    return clipped(np.where(total > 1e-12, found, base))  # noqa: PLR2004 - nobody is similar
