"""Workflow: evaluate routers on held-out items of stored outcomes, and store the results.

No connection is open while routers are fitted.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from math import isfinite
from time import perf_counter
from typing import Any

import numpy as np
from sqlalchemy import Engine

from registry.db.connection import reading
from registry.db.errors import translated_errors
from registry.enums import RoutingSplit
from registry.errors import UsageError
from registry.learning.arrays import Places
from registry.learning.domains.expert_router import ExpertRouter
from registry.learning.encoders import open_encoder
from registry.learning.routing_evaluation import answer_cards
from registry.learning.routing_evaluation.contest import (
    ContestResult,
    RoutingContender,
    run_contest,
    singles,
)
from registry.learning.routing_evaluation.cost_metrics import Curve, is_dominated, pareto_distance
from registry.learning.routing_evaluation.routing_intervals import REPLICATES, Estimate
from registry.learning.routing_evaluation.routing_splits import hold_out_groups, hold_out_items
from registry.learning.routing_evaluation.scorecard import Scorecard, score_router
from registry.prediction.routing_evaluation.compared_routers import ORACLES, contenders
from registry.prediction.routing_evaluation.item_details import NO_DOMAIN
from registry.prediction.routing_evaluation.robustness import measure_robustness, read_texts
from registry.prediction.routing_evaluation.routing_data import (
    PoolOptions,
    RoutingData,
    read_routing_data,
)
from registry.prediction.routing_evaluation.routing_results import (
    EvaluationRecord,
    RoutingEvaluation,
    RoutingFigure,
    find_evaluation,
    read_evaluation,
    save_evaluation,
)
from registry.workers import Progress, no_progress

SHARE = 0.2
"""Share of the items that is held out."""

CONFUSIONS = 30
"""Most frequent confusions of a router that are kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationOptions:
    """What to evaluate.

    Attributes:
        pool: models and items.
        routers: names; None is all.
        splits: what to hold out.
        seeds: number of splits of each kind.
        seed: of the first.
        device: of torch, for routers that use it.
        again: whether to evaluate again what is stored already.
        replicates: resamples of the items for the intervals.
        rewordings: prompts to reword, for robustness; held-out ones of the first split by item.
    """

    pool: PoolOptions = field(default_factory=PoolOptions)
    routers: Sequence[str] | None = None
    splits: Sequence[RoutingSplit] = (RoutingSplit.ITEM,)
    seeds: int = 5
    seed: int = 0
    device: str = "cpu"
    again: bool = False
    replicates: int = REPLICATES
    rewordings: int = 0


@dataclass(frozen=True, slots=True)
class EvaluationResult:
    """An evaluation, and whether it was stored already."""

    evaluation: RoutingEvaluation
    stored_before: bool


def evaluate_routers(
    engine: Engine, options: EvaluationOptions, *, on_progress: Progress = no_progress
) -> EvaluationResult:
    """Fit routers on a part of the stored outcomes, measure them on the rest, and store that.

    Args:
        engine: of a database at head.
        options: what to evaluate.
        on_progress: receives the progress, with totals.

    Raises:
        UsageError: when there is too little to evaluate on, or a name is unknown.
        RegistryError: when the database fails.
    """
    began = perf_counter()
    with translated_errors("evaluate routers"):
        data = read_routing_data(engine, options.pool, on_progress=on_progress)
        settings = _settings(data, options)
        fingerprint = data.fingerprint()
        if not options.again:
            with reading(engine) as connection:
                found = find_evaluation(
                    connection, fingerprint, settings, options.seed, options.seeds
                )
                if found is not None:
                    return EvaluationResult(read_evaluation(connection, found), stored_before=True)
        figures, details = evaluate_data(data, options, on_progress=on_progress)
        figures += _robustness(engine, data, options, on_progress)
        record = EvaluationRecord(
            data_fingerprint=fingerprint,
            seed=options.seed,
            seeds=options.seeds,
            seconds=round(perf_counter() - began, 3),
            settings=settings,
            details=details,
        )
        with engine.begin() as connection:
            number = save_evaluation(connection, record, figures)
            return EvaluationResult(read_evaluation(connection, number), stored_before=False)


def evaluate_data(
    data: RoutingData, options: EvaluationOptions, *, on_progress: Progress = no_progress
) -> tuple[list[RoutingFigure], dict[str, Any]]:
    """Return metrics and details of routers on data that is read, by split; nothing is stored."""
    figures: list[RoutingFigure] = []
    details: dict[str, Any] = {}
    compared = _compared(data, options)
    for split in options.splits:
        contest = run_contest(
            data.problem,
            folds(data, split, options),
            compared,
            seed=options.seed,
            device=options.device,
            on_progress=partial(_report, on_progress, str(split)),
        )
        of_split = _Measured(data, _clustered(data, contest, split), options, on_progress)
        figures += of_split.figures(str(split))
        details[str(split)] = of_split.details
    return figures, details


def _clustered(data: RoutingData, contest: ContestResult, split: RoutingSplit) -> ContestResult:
    """Return a contest whose intervals resample what the split has drawn: items, or groups.

    How a router does on a subject that it has not seen differs from subject to subject: intervals
    over items would be of these subjects alone (Miller 2024, arXiv 2411.00640).
    """
    if split == RoutingSplit.ITEM:
        return contest
    groups = data.benchmarks if split == RoutingSplit.BENCHMARK else data.problem.groups
    held = contest.held
    return replace(contest, held=replace(held, clusters=groups[held.items]))


def _report(on_progress: Progress, split: str, what: str, done: int, total: int) -> None:
    on_progress(f"by {split}: {what}", done, total)


def folds(data: RoutingData, split: RoutingSplit, options: EvaluationOptions) -> list[Places]:
    """Return the items that each split holds out.

    Raises:
        UsageError: where there is one group only, or too few items.
    """
    seeds = range(options.seed, options.seed + options.seeds)
    problem = data.problem
    if split == RoutingSplit.ITEM:
        return [hold_out_items(problem.groups, problem.vectors, SHARE, seed) for seed in seeds]
    groups = data.benchmarks if split == RoutingSplit.BENCHMARK else problem.groups
    if len(np.unique(groups)) < 2:  # noqa: PLR2004 - one to leave out, one to learn from
        raise UsageError(f"There is one {split} only, so none can be left out; use --split item.")
    return [hold_out_groups(groups, SHARE, seed) for seed in seeds]


def _compared(data: RoutingData, options: EvaluationOptions) -> list[RoutingContender]:
    experts = ExpertRouter(data.domains, data.fallback) if data.domains else None
    return contenders(options.routers, priced=not data.unpriced, experts=experts)


def _settings(data: RoutingData, options: EvaluationOptions) -> dict[str, Any]:
    compared = _compared(data, options)
    return {
        "models": list(data.models),
        "benchmarks": sorted({f"{each.benchmark}@{each.version}" for each in data.columns}),
        "items": len(data.columns),
        "encoder": data.encoder,
        "routers": [each.name for each in compared],
        "splits": [str(each) for each in options.splits],
        "share": SHARE,
        "replicates": options.replicates,
        "rewordings": options.rewordings,
        "max_price": options.pool.max_price,
        "unpriced": list(data.unpriced),
        "cost_basis": dict(data.cost_basis),
        "notes": [*data.notes, *_of_domains(data, compared)],
    }


def _of_domains(data: RoutingData, compared: Sequence[RoutingContender]) -> list[str]:
    """Return a sentence where router domain has nothing to go by."""
    if ExpertRouter().name not in {each.name for each in compared}:
        return []
    if any(domain != NO_DOMAIN for domain in data.domains.values()):
        return []
    sentence = (
        "No item is of a subject that the set of domains `modem` names, so that router `domain` "
        "sends all prompts to the best general model."
    )
    return [sentence]


def _robustness(
    engine: Engine, data: RoutingData, options: EvaluationOptions, on_progress: Progress
) -> list[RoutingFigure]:
    """Return the robustness of the routers; none where no prompt is to be reworded."""
    if not options.rewordings:
        return []
    on_progress("rewording prompts", 0, 0)
    held = hold_out_items(data.problem.groups, data.problem.vectors, SHARE, options.seed)
    some = np.random.default_rng(options.seed).permutation(held)[: options.rewordings]
    with reading(engine) as connection:
        texts = read_texts(connection, [data.columns[at] for at in some.tolist()])
    compared = [each for each in _compared(data, options) if each.name not in (*ORACLES, "random")]
    found = measure_robustness(
        data.problem, some, texts, open_encoder(options.pool.encoder), compared, seed=options.seed
    )
    return [
        RoutingFigure(
            split=str(RoutingSplit.ITEM),
            router=name,
            metric="robustness",
            value=each.value,
            lower=each.lower,
            upper=each.upper,
            n=len(some),
        )
        for name, each in found.items()
    ]


class _Measured:
    """Metrics of all contenders of one contest."""

    def __init__(
        self,
        data: RoutingData,
        contest: ContestResult,
        options: EvaluationOptions,
        on_progress: Progress,
    ) -> None:
        self._data, self._contest, self._options = data, contest, options
        self.details: dict[str, Any] = {}
        self._estimates: dict[str, dict[str, Estimate]] = {}
        self._curves: dict[str, Curve] = {}
        self._singles: dict[str, Curve] = {}
        self._add_singles()
        self._add_routers(on_progress)
        self._add_frontier()

    def figures(self, split: str) -> list[RoutingFigure]:
        """Return all metrics as rows."""
        count = len(self._contest.held.items)
        return [
            RoutingFigure(
                split=split,
                router=router,
                metric=metric,
                value=each.value,
                lower=each.lower if isfinite(each.lower) else None,
                upper=each.upper if isfinite(each.upper) else None,
                n=count,
            )
            for router, estimates in self._estimates.items()
            for metric, each in estimates.items()
        ]

    def _add_singles(self) -> None:
        held = self._contest.held
        for model, costs, outcomes in singles(held):
            name = f"model:{self._data.models[model]}"
            quality = float(outcomes.mean())
            self._estimates[name] = {"avg_acc": Estimate(quality)}
            if held.priced:
                cost = float(costs.mean())
                self._estimates[name]["cost_per_1000"] = Estimate(1000 * cost)
                self._singles[name] = Curve(np.array([cost]), np.array([quality]))

    def _add_routers(self, on_progress: Progress) -> None:
        held, answers = self._contest.held, self._data.answers
        settings = {"replicates": self._options.replicates, "seed": self._options.seed}
        overlaps = (
            answer_cards.learn_overlaps(self._data.problem, self._contest, answers)
            if answers is not None
            else None
        )
        total = len(self._contest.probabilities)
        for done, (name, p) in enumerate(self._contest.probabilities.items()):
            on_progress("measuring routers", done, total)
            card = score_router(held, p, **settings)
            self._estimates[name] = dict(card.estimates)
            self.details[name] = _details(card, self._data.models)
            if card.curve is not None and name not in ORACLES:
                self._curves[name] = card.curve
            if np.isnan(p).any() or name in ORACLES:
                continue
            if answers is not None and overlaps is not None:
                self._estimates[name] |= answer_cards.vote_metrics(
                    held, p, answers, overlaps, **settings
                )
            if held.priced:
                cascade = answer_cards.score_cascade(
                    self._contest, p, answers, overlaps, **settings
                )
                self._estimates[f"cascade:{name}"] = dict(cascade.estimates)
                self._curves[f"cascade:{name}"] = cascade.curve
                self.details[f"cascade:{name}"] = {
                    "curve": _points(cascade.curve), "asked": cascade.asked,
                }  # fmt: skip
        on_progress("measuring routers", total, total)

    def _add_frontier(self) -> None:
        """Add what depends on all that is compared: ParetoDist, and models that are dominated."""
        if not self._singles:
            return
        every = [*self._curves.values(), *self._singles.values()]
        together = Curve(*(np.concatenate([each[part] for each in every]) for part in (0, 1)))
        for name, curve in self._curves.items():
            self._estimates[name]["pareto_dist"] = Estimate(pareto_distance(curve, together))
            beaten = [
                is_dominated(curve, float(each.costs[0]), float(each.qualities[0]))
                for each in self._singles.values()
            ]
            self._estimates[name]["models_dominated"] = Estimate(float(np.mean(beaten)))


def _details(card: Scorecard, models: Sequence[str]) -> Mapping[str, Any]:
    counts = np.bincount(card.picks, minlength=len(models))
    off = card.confusion.copy()
    np.fill_diagonal(off, 0)
    order = np.argsort(-off, axis=None, kind="stable")[:CONFUSIONS]
    pairs = [(int(at) // len(models), int(at) % len(models)) for at in order]
    return {
        "curve": None if card.curve is None else _points(card.curve),
        "calibration": None
        if card.calibration is None
        else {name: round(float(card.calibration[at]), 5) for at, name in enumerate(models)},
        "picks": {models[at]: int(counts[at]) for at in np.argsort(-counts) if counts[at]},
        "pick_rates": [each._asdict() for each in card.pick_rates],
        "confusion": [
            {"routed": models[a], "should": models[b], "prompts": round(float(off[a, b]), 3)}
            for a, b in pairs
            if off[a, b] > 0
        ],
    }


def _points(curve: Curve) -> list[list[float]]:
    return [
        list(point) for point in zip(curve.costs.tolist(), curve.qualities.tolist(), strict=True)
    ]
