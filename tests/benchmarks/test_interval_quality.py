"""Whether intervals hold what they state, where they are used, on real data.

`pytest -m benchmark tests/benchmarks/test_interval_quality.py -s`. SEEDS sets how many draws of the
held-back models, TRAINED how many models are trained on, PLACED the size of the generated catalog
on which time and space are measured.
"""

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
from filling import fill
from learned import trained
from metabench import DATA, FILES, catalog, responses
from numpy.typing import NDArray
from sqlalchemy import Engine, text
from sqlalchemy.engine import make_url

from registry.db import connection as database
from registry.db import migrate
from registry.embeddings import placement, save, versions
from registry.embeddings.posterior import DEGREES
from registry.embeddings.version_uncertainty import VersionUncertainty
from registry.learning import text_features
from registry.learning.arrays import Reals
from registry.learning.axes import Axes
from registry.learning.calibrated_variances import Cells, learn_intervals
from registry.learning.coldstart import gp
from registry.learning.coldstart.features import FeatureBlocks, Featurizer
from registry.learning.coldstart.fold_in import ItemParameters, fold
from registry.learning.coldstart.gp import VectorEstimate
from registry.learning.coldstart.kernel_features import kernel_features
from registry.learning.coldstart.variance_scales import (
    MOST_MODELS,
    Placing,
    VarianceScales,
    learn_scales,
)
from registry.learning.encoders import open_encoder
from registry.learning.factorization.problem import Context, Factors, ItemTexts, Matrix, Problem
from registry.learning.factorization.serving import text_map
from registry.learning.intervals import expected, mean_outcome
from registry.learning.metrics import calibration_error
from registry.learning.space import learner
from registry.learning.text_features import ItemText

SEEDS = range(int(os.environ.get("SEEDS", "3")))
TRAINED = int(os.environ.get("TRAINED", "1000"))
PLACED = int(os.environ.get("PLACED", "50000"))
HELD = 800
COUNTS = (0, 10, 50, 100)
SHARE = 0.05

pytestmark = [
    pytest.mark.benchmark,
    pytest.mark.skipif(not DATA.is_dir(), reason="needs the real data sets beside the checkout"),
]


class Evaluated(NamedTuple):
    truth: Matrix
    blocks: FeatureBlocks
    groups: NDArray[np.intp]
    """Benchmark of each item."""


@pytest.fixture(scope="module")
def evaluated() -> Evaluated:
    whole, files = responses()
    described = catalog()
    whole = whole.loc[sorted(name for name in whole.index if name in described)]
    featurizer = Featurizer.of([list(described.values())])
    blocks = featurizer.blocks([described[name] for name in whole.index])
    names = np.array([name.removesuffix("_secondary") for name in FILES])[files]
    return Evaluated(whole.to_numpy(np.float32), blocks, np.unique(names, return_inverse=True)[1])


class Learned(NamedTuple):
    """What training and placement know, and models that neither has seen."""

    factors: Factors
    axes: Axes
    item_variance: float
    placing: Placing
    scales: VarianceScales
    new: VectorEstimate
    truth: Matrix


def learned(evaluated: Evaluated, seed: int) -> Learned:
    """Train and fit placement as the workflows do, and predict the held-back models."""
    order = np.random.default_rng(seed).permutation(len(evaluated.truth))
    new, known = order[:HELD], order[HELD : HELD + TRAINED]
    outcomes = evaluated.truth[known]
    hidden = np.random.default_rng(seed + 9).random(outcomes.shape) < SHARE
    blocks = evaluated.blocks.rows(known)
    features = kernel_features(blocks).astype(np.float32)
    problem = Problem(outcomes, groups=evaluated.groups, catalog=features).without(hidden)
    began = perf_counter()
    factors = learner.learn(problem, "irt", Context(seed=seed)).fit.factors
    assert factors is not None
    assert factors.axes is not None
    assert factors.unexplained is not None
    fitting, began = perf_counter() - began, perf_counter()
    rows, columns = np.nonzero(hidden)
    figures = learn_intervals(
        factors, Cells(rows, columns, outcomes[rows, columns], evaluated.groups)
    )
    measuring, began = perf_counter() - began, perf_counter()
    assert figures is not None
    print(
        f"\nseed {seed}, {len(known):,} models: trained {figures.coverage:.3f} of {figures.means:,}"
        f" means held, ECE {figures.calibration_error:.4f} of {figures.cells:,} cells; variance of"
        f" items {figures.item_variance:g}, factor {figures.scale:.2f}"
    )
    axes, vectors = Axes(factors.axes), factors.models.astype(np.float64)
    least = factors.unexplained.diagonal()
    together = factors.unexplained / np.sqrt(np.outer(least, least))
    prior = gp.fit(blocks, vectors, seed=seed)

    def informed(estimate: VectorEstimate) -> VectorEstimate:
        variance = np.maximum(estimate.variance, least)
        assert factors.unexplained is not None
        along = axes.of_prior(variance, factors.unexplained)
        return replace(estimate, variance=variance, along=along)

    items = ItemParameters(factors.items, factors.offsets)
    placing = Placing(items, together, DEGREES, axes, figures.item_variance)
    some = np.random.default_rng(seed).permutation(len(known))[:MOST_MODELS]
    began = perf_counter()
    scales = learn_scales(
        informed(prior.left_out.rows(some)), outcomes[some], evaluated.groups, placing, seed
    )
    print(
        f"  training {fitting:.1f} s, measuring its intervals {measuring:.1f} s, factors of placed"
        f" models {perf_counter() - began:.1f} s: {scales.by_count()}"
    )
    assert 0.88 <= figures.coverage <= 0.92
    assert figures.calibration_error <= 0.03
    predicted = informed(prior.predict(evaluated.blocks.rows(new)))
    return Learned(
        factors, axes, figures.item_variance, placing, scales, predicted, evaluated.truth[new]
    )


def coverage(
    made: Learned, groups: NDArray[np.intp], logits: Reals, variances: Reals, hidden: Matrix
) -> tuple[float, float]:
    """Return the share of means of benchmarks that intervals hold, and their median width."""
    sides = made.factors.items.astype(np.float64) @ made.axes.directions
    holds, widths = [], []
    for row, outcomes in enumerate(hidden):
        for group in range(int(groups.max()) + 1):
            rest = np.flatnonzero((groups == group) & ~np.isnan(outcomes))
            predicted = mean_outcome(
                logits[row, rest], sides[rest], variances[row], made.item_variance
            )
            low, high = predicted.interval()
            holds.append(low <= outcomes[rest].mean(dtype=np.float64) <= high)
            widths.append(high - low)
    return float(np.mean(holds)), float(np.median(widths))


def one_number(made: Learned) -> Learned:
    """Return axes that are the coordinates, and no variance of items."""
    coordinates = Axes(np.eye(made.factors.items.shape[1]))
    return made._replace(axes=coordinates, item_variance=0.0)


def spread_evenly(folded: VectorEstimate) -> Reals:
    """Return the mean variance of a model's coordinates for each of them."""
    return np.repeat(folded.variance.mean(axis=1)[:, None], folded.mean.shape[1], axis=1)


def test_intervals_of_models_that_were_held_back(evaluated: Evaluated) -> None:
    """By kind and number of outcomes; beside the one number a model that was all there was."""
    held: dict[int, list[float]] = {count: [] for count in COUNTS}
    errors: dict[int, list[float]] = {count: [] for count in COUNTS}
    for seed in SEEDS:
        made = learned(evaluated, seed)
        sides = made.factors.items.astype(np.float64) @ made.axes.directions
        ranks = np.random.default_rng(seed + 50).random(made.truth.shape).argsort(1).argsort(1)
        for count in COUNTS:
            shown = np.where(ranks < count, made.truth, np.float32(np.nan))
            hidden = np.where(ranks < count, np.float32(np.nan), made.truth)
            placing = made.placing
            folded = fold(
                made.new,
                placing.items.flattened(made.item_variance),
                shown,
                placing.correlation,
                degrees=DEGREES,
                axes=made.axes,
            )
            assert folded.along is not None
            variances = folded.along * made.scales.of(np.full(HELD, count))[:, None]
            logits = folded.mean @ placing.items.vectors.T + placing.items.offsets
            share, width = coverage(made, evaluated.groups, logits, variances, hidden)
            before = coverage(
                one_number(made), evaluated.groups, logits, spread_evenly(folded), hidden
            )
            p = expected(logits, variances @ np.square(sides).T + made.item_variance)
            rest = ~np.isnan(hidden)
            error = calibration_error(hidden[rest], p[rest])
            held[count].append(share)
            errors[count].append(error)
            print(
                f"  {'cold' if not count else 'folded':6} {count:3d} outcomes: {share:.3f} of"
                f" benchmarks' means held, median width {width:.3f}, ECE {error:.4f}; with one"
                f" number a model {before[0]:.3f}, width {before[1]:.3f}",
                flush=True,
            )
    for count in COUNTS:
        print(f"{count:3d} outcomes: {np.mean(held[count]):.3f}, ECE {np.mean(errors[count]):.4f}")
        assert 0.88 <= np.mean(held[count]) <= 0.92
        assert np.mean(errors[count]) <= 0.03


def mmlu_pro(kept: Path) -> Problem:
    """Complete models on MMLU-Pro with texts; `kept` is a folder for the texts' vectors."""
    folder = DATA / "mmlu-pro-responses"
    questions = pd.read_parquet(folder / "questions.parquet")
    answers = pd.read_parquet(folder / "responses.parquet")
    table = answers.pivot_table(index="model", columns="question_id", values="correct")
    outcomes = table.reindex(columns=questions["question_id"]).to_numpy(np.float32)
    outcomes = outcomes[np.isnan(outcomes).mean(axis=1) < 0.01]
    complete = ~np.isnan(outcomes).any(axis=0)
    questions = questions[complete]
    asked = [
        ItemText(question, tuple(options))
        for question, options in zip(questions["question"], questions["options"], strict=True)
    ]
    file = kept / "minilm-mmlu-pro.npy"
    if not file.exists():
        np.save(file, open_encoder("minilm", device="cpu").encode([each.whole() for each in asked]))
    texts = ItemTexts(np.load(file), text_features.traits(asked), text_features.words(asked))
    _, groups = np.unique(questions["category"], return_inverse=True)
    return Problem(outcomes[:, complete], texts, groups=groups)


def test_few_models_and_items_that_are_known_by_their_texts(pytestconfig: pytest.Config) -> None:
    """On MMLU-Pro: 28 models, their held-out outcomes, and items without any."""
    assert pytestconfig.cache is not None
    problem = mmlu_pro(pytestconfig.cache.mkdir("vectors"))
    assert problem.texts is not None
    models, items = problem.outcomes.shape
    errors, of_texts = [], []
    for seed in SEEDS:
        draw = np.random.default_rng(seed)
        new = np.zeros(items, np.bool_)
        new[draw.permutation(items)[: items // 5]] = True
        cells = (draw.random(problem.outcomes.shape) < SHARE) & ~new
        rest = problem.without(cells | new)
        factors = learner.learn(rest, "irt", Context(seed=seed)).fit.factors
        assert factors is not None
        assert problem.groups is not None
        rows, columns = np.nonzero(cells)
        outcomes = problem.outcomes[rows, columns]
        figures = learn_intervals(factors, Cells(rows, columns, outcomes, problem.groups))
        found = text_map(factors, problem.texts, rest.outcomes, seed)
        assert figures is not None
        assert found is not None
        assert factors.axes is not None
        assert factors.variances is not None
        sides = found.items(problem.texts.vectors[new])
        logits = factors.models @ sides[:, :-1].T + sides[:, -1]
        own = found.variances(factors.models)[:, None]
        spread = factors.variances @ Axes(factors.axes).squares(sides[:, :-1]).T + own
        truth, p = problem.outcomes[:, new], expected(logits, spread)
        of_texts.append(calibration_error(truth, p))
        errors.append(figures.calibration_error)
        sure = calibration_error(truth, expected(logits, np.zeros_like(spread)))
        print(
            f"\nseed {seed}, {models} models: {figures.coverage:.3f} of {figures.means:,} means of"
            f" categories held, ECE {figures.calibration_error:.4f}, variance of items"
            f" {figures.item_variance:g}; {int(new.sum()):,} new items by their texts ECE"
            f" {of_texts[-1]:.4f} (stated {found.calibration_error:.4f}; without their variance"
            f" {sure:.4f}), mean outcomes off by"
            f" {np.abs((truth - p).mean(axis=1)).mean():.4f}",
            flush=True,
        )
        assert 0.85 <= figures.coverage <= 0.95
    assert np.mean(errors) <= 0.03
    assert np.mean(of_texts) <= 0.03


@pytest.fixture
def generated(benchmark_server: str) -> Iterator[Engine]:
    alone = database.create_engine(benchmark_server).execution_options(isolation_level="AUTOCOMMIT")
    with alone.connect() as connection:
        connection.exec_driver_sql("CREATE DATABASE intervals")
    engine = database.create_engine(make_url(benchmark_server).set(database="intervals"))
    migrate.upgrade(engine)
    with engine.begin() as connection:
        fill(connection, PLACED)
    yield engine
    engine.dispose()
    with alone.connect() as connection:
        connection.exec_driver_sql("DROP DATABASE intervals WITH (FORCE)")
    alone.dispose()


def test_time_and_space_of_variances(generated: Engine) -> None:
    """Placement of a generated catalog with variances beside the same without."""
    draw = np.random.default_rng(0)
    dimension, count = 33, 2_000
    with generated.connect() as connection:
        names = connection.scalars(
            text("""
            SELECT name FROM store.models WHERE state = 'available' ORDER BY md5(name)
             LIMIT :count"""),
            {"count": count},
        ).all()
    vectors = draw.normal(size=(count, dimension)).astype(np.float32)
    root = draw.normal(size=(dimension, dimension))
    unexplained = root @ root.T / dimension
    kept = VersionUncertainty(Axes.of(unexplained, np.diag(np.arange(dimension) / dimension)), 0.3)
    variances = np.full((count, dimension), 0.1, np.float32)
    found = {}
    for name, fields in (
        ("without", {}),
        ("with", {"variances": variances, "uncertainty": kept}),
        ("without again", {}),
        ("with again", {"variances": variances, "uncertainty": kept}),
    ):
        with generated.begin() as connection:
            version = save.save(
                connection, trained(list(names), vectors, unexplained=unexplained, **fields)
            )
            versions.promote(connection, version)
        began = perf_counter()
        report = placement.place(generated)
        seconds = perf_counter() - began
        with generated.connect() as connection:
            size = connection.scalar(
                text("SELECT pg_total_relation_size(CAST(:name AS regclass))"),
                {"name": f"store.embeddings_{version}"},
            )
        assert isinstance(size, int)
        found[name] = seconds, size
        print(f"\n{name}: {report.cold:,} placed in {seconds:.1f} s, {size / 2**20:.1f} MB", end="")
    times, sizes = ([each[place] for each in found.values()] for place in (0, 1))
    print(
        f"\ntime {(times[1] + times[3]) / (times[0] + times[2]):.2f} times, space"
        f" {(sizes[1] + sizes[3]) / (sizes[0] + sizes[2]):.2f} times"
    )
