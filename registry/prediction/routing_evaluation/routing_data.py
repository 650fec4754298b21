"""Data of an evaluation of routers: outcomes, vectors, groups, costs and answers of a pool."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2b

import numpy as np
from sqlalchemy import Engine

from registry.db.connection import reading
from registry.embeddings import item_vectors
from registry.errors import UsageError
from registry.evaluations.outcomes import Column, OutcomeMatrix, read_outcomes
from registry.learning.arrays import Places
from registry.learning.encoders import open_encoder
from registry.learning.factorization.problem import Matrix
from registry.learning.routing.routing_problem import RoutingProblem
from registry.learning.routing_evaluation.answer_cards import ItemAnswers
from registry.learning.routing_evaluation.voting import NONE, check_comparable
from registry.prediction.domains import domain_storage
from registry.prediction.domains.domain_sets import DEFAULT
from registry.prediction.routing_evaluation.item_costs import (
    PoolPrices,
    item_costs,
    read_prices,
)
from registry.prediction.routing_evaluation.item_details import ItemDetails, read_item_details
from registry.workers import Progress, no_progress

COVERAGE = 0.9
"""Least share of the items that a model of the pool has outcomes on, where no pool is given."""

LEAST_ITEMS = 20
"""Items with which anything can be held out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolOptions:
    """Which models and items to evaluate on.

    Attributes:
        benchmarks: names, each with all its versions, or name@version; None is all with outcomes.
        models: any names of the pool; None is all with outcomes on nearly all items.
        encoder: of the prompts.
        max_price: most dollars per million tokens, of three of input to one of output; models
            without a price are left out. None is any, priced or not.
    """

    benchmarks: Sequence[str] | None = None
    models: Sequence[str] | None = None
    encoder: str = "minilm"
    max_price: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class RoutingData:
    """Outcomes of M models on N items, complete, and what is known of the items.

    Attributes:
        models: names of the pool.
        columns: the items.
        problem: outcomes, vectors, costs; groups are subjects.
        subjects: name of each group: benchmark and subject.
        domains: of the set that prompts are routed by, by group; -1 for none.
        fallback: the domain of prompts that are of no other; None for none.
        benchmarks: int, N: number of each item's benchmark.
        answers: of the models; None where none can be compared.
        encoder: of the prompts.
        notes: sentences on what was left out, and why.
        unpriced: names of models without a price.
        cost_basis: how many costs are of stated tokens, of estimated ones, and unknown.
    """

    models: Sequence[str]
    columns: Sequence[Column]
    problem: RoutingProblem
    subjects: Sequence[str]
    benchmarks: Places
    answers: ItemAnswers | None
    encoder: str
    notes: Sequence[str]
    unpriced: Sequence[str]
    cost_basis: Mapping[str, int] = field(default_factory=dict)
    domains: Mapping[int, int] = field(default_factory=dict)
    fallback: int | None = None

    def fingerprint(self) -> str:
        """Return a digest of everything that results depend on."""
        digest = blake2b(digest_size=16)
        named = (list(self.models), self.encoder, list(self.subjects), sorted(self.domains.items()),
                 self.fallback)  # fmt: skip
        digest.update(repr(named).encode(errors="replace"))
        digest.update(repr([tuple(each) for each in self.columns]).encode(errors="replace"))
        arrays = [self.problem.outcomes, self.problem.vectors, self.problem.groups]
        arrays += [self.problem.costs, self.benchmarks]
        if self.answers is not None:
            arrays += [self.answers.codes, self.answers.choices]
        for array in arrays:
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()


def read_routing_data(
    engine: Engine, options: PoolOptions, *, on_progress: Progress = no_progress
) -> RoutingData:
    """Read what routers are evaluated on; texts without a vector are encoded first.

    Args:
        engine: of a database at head.
        options: which models and items.
        on_progress: receives the progress of encoding, in texts.

    Raises:
        UsageError: when there are fewer than two models or too few items, or a name is unknown.
    """
    encoder = open_encoder(options.encoder)
    on_progress("reading outcomes", 0, 0)
    with reading(engine) as connection:
        matrix = read_outcomes(connection, models=options.models, benchmarks=options.benchmarks)
        benchmarks = sorted({f"{each.benchmark}@{each.version}" for each in matrix.columns})
        prices = read_prices(connection, matrix.models, options.max_price)
        domain_set = domain_storage.read_or_shipped(connection, DEFAULT)
    pool = _pool(matrix, options, prices)
    item_vectors.refresh(engine, encoder, benchmarks=benchmarks, on_progress=on_progress)
    on_progress("reading vectors and answers", 0, 0)
    with reading(engine) as connection:
        vectors = item_vectors.read(connection, encoder.name, matrix.columns)
        details = read_item_details(connection, matrix.columns, pool.models, domain_set.places())
    data = _assembled(pool, vectors, details, prices, encoder.name)
    return replace(data, fallback=domain_set.fallback_number)


@dataclass(frozen=True, slots=True, eq=False)
class _Pool:
    """Chosen models and their outcomes on all items, some of which may be missing."""

    models: Sequence[str]
    columns: Sequence[Column]
    outcomes: Matrix
    notes: Sequence[str]


def _pool(matrix: OutcomeMatrix, options: PoolOptions, prices: PoolPrices) -> _Pool:
    """Choose the models, and say which are left out."""
    if not matrix.columns:
        raise UsageError("There are no outcomes by item yet; `registry evals import` imports them.")
    shares = matrix.mask.mean(axis=1)
    named = options.models is not None
    covering = shares > 0 if named else shares >= COVERAGE
    affordable = np.array([prices.allows(name) for name in matrix.models], np.bool_)
    kept = np.flatnonzero(covering & affordable)
    notes = []
    if sparse := int((~covering).sum()):
        notes.append(
            f"Models with outcomes on less than {COVERAGE:.0%} of the items, left out: {sparse:,}."
        )
    if dear := int((covering & ~affordable).sum()):
        notes.append(f"Models that cost more than the limit or have no price, left out: {dear:,}.")
    if len(kept) < 2:  # noqa: PLR2004 - a choice is between two
        raise UsageError(
            f"{len(kept)} of {len(matrix.models):,} models can be compared on these "
            f"{len(matrix.columns):,} items; a router needs two. {' '.join(notes)} Choose "
            "benchmarks that the same models took by --benchmark, or models by --pool."
        )
    return _Pool(
        [matrix.models[at] for at in kept.tolist()], matrix.columns, matrix.values[kept], notes
    )


def _assembled(
    pool: _Pool, vectors: Matrix, details: ItemDetails, prices: PoolPrices, encoder: str
) -> RoutingData:
    """Keep the items with a text and outcomes of all models of the pool."""
    readable = ~np.isnan(vectors).any(axis=1)
    complete = ~np.isnan(pool.outcomes).any(axis=0)
    items = np.flatnonzero(readable & complete)
    notes = list(pool.notes)
    if silent := int((~readable).sum()):
        notes.append(f"Items without a text, left out: {silent:,}.")
    if missing := int((readable & ~complete).sum()):
        notes.append(f"Items without outcomes of a model of the pool, left out: {missing:,}.")
    if len(items) < LEAST_ITEMS:
        raise UsageError(
            f"{len(items):,} of {len(pool.columns):,} items can be evaluated on; at least "
            f"{LEAST_ITEMS} are needed. {' '.join(notes)}"
        )
    columns = [pool.columns[at] for at in items.tolist()]
    subjects, groups = np.unique(
        [details.subjects[at] for at in items.tolist()], return_inverse=True
    )
    named = [f"{each.benchmark}@{each.version}" for each in columns]
    costs = item_costs(prices, pool.models, details.usage.only(items))
    outcomes = pool.outcomes[:, items]
    answers, reason = _comparable(details, items, outcomes)
    return RoutingData(
        models=pool.models,
        columns=columns,
        problem=RoutingProblem(outcomes, vectors[items], groups, costs.dollars),
        subjects=subjects.tolist(),
        benchmarks=np.unique(named, return_inverse=True)[1],
        answers=answers,
        encoder=encoder,
        notes=[*notes, *([reason] if reason else [])],
        unpriced=[name for name in pool.models if name not in prices.prices],
        cost_basis=costs.basis,
        domains=dict(zip(groups.tolist(), details.domains[items].tolist(), strict=True)),
    )


def _comparable(
    details: ItemDetails, items: Places, outcomes: Matrix
) -> tuple[ItemAnswers | None, str | None]:
    """Return the answers if votes can be counted, else why not."""
    answers = ItemAnswers(details.answers[items], details.choices[items])
    if (answers.codes == NONE).all():
        return None, None
    try:
        check_comparable(answers.codes, outcomes.T)
    except UsageError as error:
        return None, f"No votes: {error}"
    return answers, None
