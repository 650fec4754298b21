"""Whether intervals hold what they state, where they are used, on real data.

`pytest -m benchmark tests/benchmarks/test_interval_quality.py -s`. SEEDS sets how many draws of the
held-back models, TRAINED how many models are trained on, PLACED the size of the generated catalog
on which time and space are measured.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
from evaluated import block, run, write
from factories import model
from filling import fill
from learned import trained
from metabench import DATA, FILES, catalog, responses
from numpy.typing import NDArray
from sqlalchemy import Engine, text
from sqlalchemy.engine import make_url

from registry.db import connection as database
from registry.db import migrate
from registry.embeddings import placement, save, training, versions
from registry.embeddings.posterior import DEGREES
from registry.embeddings.read import read_embeddings, read_items
from registry.embeddings.training import TrainingOptions
from registry.embeddings.version_uncertainty import VersionUncertainty, read_uncertainty
from registry.evaluations.records import Item
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
from registry.prediction.outcomes import predict_outcomes

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


@contextmanager
def made(server: str, name: str) -> Iterator[Engine]:
    """Make a database at head, and drop it."""
    alone = database.create_engine(server).execution_options(isolation_level="AUTOCOMMIT")
    with alone.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    engine = database.create_engine(make_url(server).set(database=name))
    migrate.upgrade(engine)
    yield engine
    engine.dispose()
    with alone.connect() as connection:
        connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")
    alone.dispose()


class Served(NamedTuple):
    """What is to be held of a model: its hidden outcomes, by the names of items."""

    seen: int
    hidden: dict[str, NDArray[np.float32]]


def imported(engine: Engine, seed: int) -> dict[str, Served]:
    """Store models and outcomes of some, train, and import a few outcomes of others.

    Returns:
        The others, by name.
    """
    whole, files = responses()
    described = catalog()
    whole = whole.loc[sorted(name for name in whole.index if name in described)]
    names = np.array([name.removesuffix("_secondary") for name in FILES])[files]
    order = np.random.default_rng(seed).permutation(len(whole))
    known, others = order[:TRAINED], order[TRAINED : TRAINED + HELD]
    counts = np.array(COUNTS)[np.arange(len(others)) % len(COUNTS)]
    truth = whole.to_numpy(np.float32)
    ranks = np.random.default_rng(seed + 50).random((len(others), truth.shape[1]))
    shown = np.where(ranks.argsort(1).argsort(1) < counts[:, None], truth[others], np.nan)

    def stored(rows: NDArray[np.intp], outcomes: NDArray[np.floating]) -> None:
        with engine.begin() as connection:
            for benchmark in np.unique(names):
                columns = np.flatnonzero(names == benchmark)
                asked = [Item(f"i{column}") for column in columns]
                runs = [
                    run(str(whole.index[row]), outcomes[place, columns])
                    for place, row in enumerate(rows)
                    if not np.isnan(outcomes[place, columns]).all()
                ]
                write(connection, block(str(benchmark), *runs, asked=asked))

    with engine.begin() as connection:
        for name in whole.index[np.concatenate([known, others])]:
            facts = described[name]
            model(connection, str(name), parameters=facts.parameters, model_type=facts.family)
    stored(known, truth[known])
    report = training.train_and_place(engine, TrainingOptions(method="irt", seed=seed), place=False)
    assert report.version is not None
    print(f"\n{report.version.metrics['intervals']}, calibrated: {report.version.calibrated}")
    assert report.version.calibrated
    stored(others, shown)
    print(placement.place(engine).sentence())
    found = {}
    for place, row in enumerate(others):
        hidden = np.where(np.isnan(shown[place]), truth[row], np.nan)
        by_benchmark = {str(each): np.where(names == each, hidden, np.nan) for each in set(names)}
        found[str(whole.index[row])] = Served(int(counts[place]), by_benchmark)
    return found


def test_intervals_of_what_the_database_serves(benchmark_server: str) -> None:
    """From imports to stored vectors: trained, placed and read as any program would."""
    with made(benchmark_server, "served") as engine:
        others = imported(engine, 0)
        with engine.connect() as connection:
            outcomes = predict_outcomes(connection, list(others))
            found = read_embeddings(connection)
            columns, items = read_items(connection, found.version)
            kept = read_uncertainty(connection, found.version)
    assert kept.axes is not None
    assert found.variances is not None
    assert outcomes.calibrated.all()
    places = [int(each.item[1:]) for each in columns]
    sides = items[:, :-1] @ kept.axes.directions
    rows = {name: row for row, name in enumerate(found.models)}
    held: dict[int, list[bool]] = {count: [] for count in COUNTS}
    cells: dict[int, list[NDArray[np.float64]]] = {count: [] for count in COUNTS}
    for at, (name, served) in enumerate(others.items()):
        row = rows[name]
        assert found.kind[row] == ("folded" if served.seen else "cold")
        logits = items[:, :-1] @ found.vectors[row] + items[:, -1]
        for benchmark_outcomes in served.hidden.values():
            truth = benchmark_outcomes[places]
            rest = np.flatnonzero(~np.isnan(truth))
            predicted = mean_outcome(
                logits[rest].astype(np.float64),
                sides[rest],
                found.variances[row].astype(np.float64),
                kept.item_variance,
            )
            low, high = predicted.interval()
            held[served.seen].append(low <= truth[rest].mean() <= high)
            cells[served.seen].append(np.stack([truth[rest], outcomes.probability[at, rest]]))
    for count in COUNTS:
        share = float(np.mean(held[count]))
        truth, p = np.concatenate(cells[count], axis=1)
        error = calibration_error(truth, p)
        means = len(held[count])
        print(f"  {count:3d} outcomes: {share:.3f} of {means:,} means held, ECE {error:.4f}")
        # 1,000 means of 200 models: 0.9 within three standard errors, as those of a model go
        # together.
        assert 0.86 <= share <= 0.94
        assert error <= 0.04


def test_time_and_space_of_variances(benchmark_server: str) -> None:
    """Placement of a generated catalog with variances beside the same without."""
    with made(benchmark_server, "generated") as engine:
        with engine.begin() as connection:
            fill(connection, PLACED)
        compare_placements(engine)


def compare_placements(generated: Engine) -> None:
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
