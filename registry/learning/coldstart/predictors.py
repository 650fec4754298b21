"""Predictors of the cold-start tests: the registry's default, baselines of the papers, and oracles.

`default` is what the registry does. The baselines are there to compare with: mean scores, the
factorizations of EmbedLLM and SimRMF (METHODS.md sections 1 and 2), and averages over similar
models. The oracles see the true outcomes: upper bounds, never a method of the registry.
"""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from registry.learning.arrays import Reals
from registry.learning.coldstart import gp, simrmf
from registry.learning.coldstart.kernel import Kernel
from registry.learning.coldstart.pca import LEAST, decompose
from registry.learning.coldstart.trial import Predictor, Trial
from registry.learning.factorization import selection
from registry.learning.factorization.baselines import MeanScore
from registry.learning.factorization.irt import ItemResponse
from registry.learning.factorization.mf import FreeFactorization, TextFactorization
from registry.learning.factorization.problem import (
    Context,
    ItemTexts,
    Matrix,
    Method,
    Problem,
    clipped,
)
from registry.learning.factorization.text_gp import TextRegression

WRITTEN = TextFactorization(rate=1e-4, decay=1e-5, averaged=0)
"""The factorization of METHODS.md section 1 as published: all epochs, and the last step."""

PAIRS = 2048
"""Outcomes per step of `WRITTEN`; a step takes as many items as have them."""

FREE = FreeFactorization(epochs=60, block=64, decay=3e-5)
"""Factorization with free item vectors and tuned rates, stopped early on validation."""

READING = TextFactorization(epochs=40, block=64, rate=3e-3)
"""Factorization on texts with tuned rates, stopped early on validation."""

SHARPNESS = 16
"""Power of the similarities in the plain average, which concentrates on the nearest."""

RIDGE = 0.5
"""Ratio of noise to signal variance of `kernel_ridge`."""

LEAST_TEXTS = 20
"""Known items with texts that predicting from texts needs."""

GROUPED = 4.0
"""Norm of an item's group indicator beside its text's vector, which has norm 1."""


def default(trial: Trial) -> Matrix:
    """Predict as the registry does: item response model, text regression, Gaussian process.

    Known models on known items come from the item response model (A), on new items from text
    regression (B). New models are predicted by the Gaussian process in the space of principal
    components (C); the components of new items (D) are regressed from the predictions B.
    """
    known, items = trial.known()
    problem = trial.problem
    context = Context(seed=trial.seed)
    of_known = Problem(problem.outcomes[known], problem.texts)
    rank = max(1, min(16, len(known) // 10, len(items) // 10))
    fit = ItemResponse(rank=rank, prior=0.5, sweeps=20).fit(of_known, context=context)
    predicted: Matrix = np.full(trial.truth.shape, np.float32(np.nan), np.float32)
    predicted[known] = fit.probabilities(trial.truth.shape[1])
    new_items = np.flatnonzero(trial.items)
    if len(new_items):
        method, texts = _text_method(trial)
        text_fit = method.fit(replace(of_known, texts=texts), context=context)
        predicted[np.ix_(known, new_items)] = text_fit.predict(new_items)
    probabilities, predicted_vectors, vectors = predicted_new_models(trial)
    new = np.flatnonzero(trial.models)
    predicted[np.ix_(new, items)] = probabilities
    if len(new_items):
        of_texts = predicted[np.ix_(known, new_items)].astype(np.float64)
        centre = of_texts.mean(axis=0)
        slopes = np.linalg.lstsq(vectors, of_texts - centre, rcond=None)[0]
        of_both = centre + predicted_vectors @ slopes
        predicted[np.ix_(new, new_items)] = np.clip(of_both, LEAST, 1 - LEAST)
    return clipped(predicted)


def predicted_new_models(trial: Trial) -> tuple[Reals, Reals, Reals]:
    """Return probabilities of new models on known items, their vectors, and known models' ones."""
    known, items = trial.known()
    components, vectors = decompose(trial.problem.outcomes[np.ix_(known, items)])
    prior = gp.fit(trial.blocks.rows(known), vectors, seed=trial.seed)
    predicted = prior.predict(trial.blocks.rows(np.flatnonzero(trial.models))).mean
    return components.probabilities(predicted), predicted, vectors


def means(trial: Trial) -> Matrix:
    """Predict the item's mean, else the model's, else the overall mean (MeanScore)."""
    return MeanScore("items").fit(trial.problem).probabilities(trial.truth.shape[1])


def factorization(trial: Trial) -> Matrix:
    """Predict by MF as in METHODS.md section 1; new models get the mean vector."""
    return _published(trial, csr_array(trial.graph.shape))


def similarity_factorization(trial: Trial) -> Matrix:
    """Predict by SimRMF: that MF with the graph, whose lambda is chosen on validation."""
    return _published(trial, trial.graph)


def stopped_factorization(trial: Trial) -> Matrix:
    """Predict by MF with tuned rates, stopped on validation; known items have free vectors."""
    return _stopped_early(trial, csr_array(trial.graph.shape))


def stopped_similarity_factorization(trial: Trial) -> Matrix:
    """Predict by that MF with the graph."""
    return _stopped_early(trial, trial.graph)


def plain_average(trial: Trial) -> Matrix:
    """Average the known models by the cosine of the metadata, to the 16th power."""
    cosines = Kernel({"metadata": 1.0}).between(trial.blocks, trial.blocks)
    return _averaged(trial, np.maximum(cosines, 0) ** SHARPNESS)


def kernel_ridge(trial: Trial) -> Matrix:
    """Predict all items by kernel ridge regression, with the kernel's initial weights."""
    known, _ = trial.known()
    kernel = Kernel()
    base = means(trial)
    residuals = np.nan_to_num(trial.problem.outcomes[known] - base[known])
    own = kernel.between(trial.blocks.rows(known), trial.blocks.rows(known)).astype(np.float64)
    own += RIDGE * own.diagonal().mean() * np.eye(len(known))
    near = kernel.between(trial.blocks, trial.blocks.rows(known))
    predicted = base + near @ np.linalg.solve(own, residuals)
    return clipped(np.where(trial.models[:, None], predicted, base))


def nearest_relative(trial: Trial) -> Matrix:
    """Copy the outcomes of the parent, else of the most similar model by the graph, else means."""
    known, _ = trial.known()
    near = trial.graph[:, known].toarray()
    related = near.max(axis=1) > 0
    outcomes = trial.problem.outcomes[known[near.argmax(axis=1)]]
    copied = related[:, None] & trial.models[:, None] & ~np.isnan(outcomes)
    return np.where(copied, outcomes, means(trial))


def oracle_factorization(trial: Trial) -> Matrix:
    """Predict by OracleSimRMF: `stopped_similarity_factorization` with the true correlations."""
    return _stopped_early(trial, simrmf.oracle_graph(_filled(trial.truth)))


def oracle(trial: Trial) -> Matrix:
    """Average the known models by their true correlations, to the 16th power."""
    return _averaged(trial, simrmf.outcome_correlations(_filled(trial.truth)))


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
"""All predictors by name, in the order of a table."""

SLOW = frozenset({"simrmf"})
"""Predictors that take most of an hour on a million outcomes, and are only measured on request:
many small steps, each with the whole graph, for each candidate lambda."""


def _text_method(trial: Trial) -> tuple[Method, ItemTexts | None]:
    """Return the method that predicts new items of known models, and the features it uses.

    The features are text vectors where there are enough, and the item's group. The settings had
    the lowest error on held-out known items.
    """
    vectors = np.zeros((trial.truth.shape[1], 0), np.float32)
    texts = trial.texts if _has_texts(trial) else None
    if texts is not None:
        vectors = np.nan_to_num(texts.vectors)
    groups = np.unique(trial.groups, return_inverse=True)[1] if trial.groups is not None else None
    if groups is not None and groups.max(initial=0) > 0:
        indicators = GROUPED * np.eye(groups.max() + 1, dtype=np.float32)[groups]
        vectors = np.concatenate([vectors, indicators], axis=1)
    elif texts is None:
        return MeanScore("models"), None
    else:
        return TextRegression(words=0.5, traits=0.2), texts
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    nothing = np.zeros((len(vectors), 1), np.float32)
    if texts is None:
        texts = ItemTexts(vectors, nothing, csr_array(nothing))
    return TextRegression(words=0.5, traits=0.2), replace(texts, vectors=vectors)


def _has_texts(trial: Trial) -> bool:
    """Return whether enough known items have texts."""
    texts = trial.texts
    return texts is not None and bool((texts.present & ~trial.items).sum() >= LEAST_TEXTS)


def _published(trial: Trial, graph: csr_array) -> Matrix:
    """Predict by the published factorization, which needs texts; without them, by means."""
    if not _has_texts(trial):
        return means(trial)
    known, _ = trial.known()
    base = replace(WRITTEN, block=max(1, round(PAIRS / len(known))))
    fit, _ = simrmf.learn(trial.problem, graph, base, Context(seed=trial.seed))
    return fit.probabilities(trial.truth.shape[1])


def _stopped_early(trial: Trial, graph: csr_array) -> Matrix:
    problem, context = trial.problem, Context(seed=trial.seed)
    free, _ = simrmf.learn(problem, graph, _with_epochs(FREE, problem, context), context)
    predicted = free.probabilities(trial.truth.shape[1])
    new_items = np.flatnonzero(trial.items)
    if len(new_items) and _has_texts(trial):
        base = _with_epochs(READING, problem, context)
        reading, _ = simrmf.learn(problem, graph, base, context)
        predicted[:, new_items] = reading.predict(new_items)
    return predicted


_Stopped = TypeVar("_Stopped", FreeFactorization, TextFactorization)


def _with_epochs(method: _Stopped, problem: Problem, context: Context) -> _Stopped:
    """Return the method with the number of epochs that is best on validation outcomes."""
    reads = isinstance(method, TextFactorization)
    hidden = selection.validation_mask(
        problem if reads else Problem(problem.outcomes), context.seed
    )
    check = np.where(hidden, problem.outcomes, np.float32(np.nan))
    chosen = method.fit(problem.without(hidden), check, context).method
    assert isinstance(chosen, type(method))
    return chosen


def _filled(truth: Matrix) -> Matrix:
    """Return outcomes with unobserved ones imputed by items' means, else by the overall mean."""
    observed = ~np.isnan(truth)
    overall = np.float32(truth[observed].mean()) if observed.any() else np.float32(0.5)
    sums, counts = np.where(observed, truth, 0).sum(axis=0), observed.sum(axis=0)
    item_means = (sums + overall * 1e-6) / (counts + 1e-6)
    filled: Matrix = np.where(observed, truth, item_means).astype(np.float32)
    return filled


def _averaged(trial: Trial, similar: NDArray[np.floating]) -> Matrix:
    """Average known models' outcomes by similarity; without a similar model, return means."""
    known, _ = trial.known()
    base = means(trial)
    outcomes = trial.problem.outcomes[known]
    weights = similar[:, known] * (np.arange(len(similar))[:, None] != known)
    observed = ~np.isnan(outcomes)
    total = weights @ observed
    averages = (weights @ np.nan_to_num(outcomes)) / np.maximum(total, 1e-12)
    return clipped(np.where(total > 1e-12, averages, base))  # noqa: PLR2004 - no similar model
