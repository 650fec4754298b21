"""Training workflow: outcomes to a version of embeddings, judged and placed.

No connection to the database is open during a computation: outcomes are read before it, the version
is written after it in one transaction, and judged in the next.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from time import perf_counter

import numpy as np
from sqlalchemy import Engine

from registry.db.connection import reading
from registry.db.errors import translated_errors
from registry.db.jobs import Lock, job
from registry.embeddings import (
    dataset,
    item_vectors,
    model_features,
    save,
    versions,
)
from registry.embeddings.candidates import Candidate, Limits, publish, unfinished
from registry.embeddings.choices import KeptChoices
from registry.embeddings.dataset import TrainingData
from registry.embeddings.judging.evidence import Evidence
from registry.embeddings.judging.promotion import MARGIN, MOST_CHURN, check_limits
from registry.embeddings.placement import PlacementReport
from registry.embeddings.routers.learned_router import learn_router
from registry.embeddings.save import TrainedVersion
from registry.embeddings.version_uncertainty import VersionUncertainty
from registry.embeddings.versions import NOT_JUDGED, EmbeddingVersion
from registry.enums import VECTOR_METHODS, VersionState
from registry.errors import NoOutcomesError, UsageError
from registry.evaluations.outcomes import any_outcomes, select
from registry.learning.axes import Axes
from registry.learning.calibrated_variances import IntervalFigures, learn_intervals
from registry.learning.encoders import open_encoder
from registry.learning.factorization import devices, distributed
from registry.learning.factorization.problem import Context, Factors, Fit, Matrix, Problem
from registry.learning.factorization.selection import METHODS, SelectionResult
from registry.learning.space import learner
from registry.learning.space.choices import Choices
from registry.version import __version__
from registry.workers import Progress, no_progress


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingOptions:
    """What to train, and when its version becomes current.

    Attributes:
        method: blend, or one of `enums.VECTOR_METHODS`.
        benchmarks: names to learn from; None is all.
        encoder: of items' texts; None is none.
        device: of torch; None is a GPU if there is one.
        seed: of all random numbers.
        margin: log loss, in nats, that a new version may lose against the current one.
        most_churn: share of models' neighbours that may change.
        promote: whether the version becomes current if it passes.
        if_changed: train only if no version of this method has learned from the same outcomes.
    """

    method: str = "blend"
    benchmarks: Sequence[str] | None = None
    encoder: str | None = None
    device: str | None = None
    seed: int = 0
    margin: float = MARGIN
    most_churn: float = MOST_CHURN
    promote: bool = True
    if_changed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingReport:
    """Result of `train_and_place`.

    Attributes:
        version: current or not; None without outcomes, and in all processes of torchrun but the
            first.
        note: a sentence on what was not done, and why; None where all was.
        unchanged: whether the version is an earlier one, as no outcome is new since.
        placement: None where no models were placed.
        cut: numbers of items whose text is longer than the encoder reads, by benchmark.
    """

    version: EmbeddingVersion | None = None
    note: str | None = None
    unchanged: bool = False
    cut: Mapping[str, int] = field(default_factory=dict)
    placement: PlacementReport | None = None


def train_and_place(
    engine: Engine,
    options: TrainingOptions | None = None,
    *,
    place: bool = True,
    on_progress: Progress = no_progress,
) -> TrainingReport:
    """Train a version, and place all other models in it before it becomes current.

    Args:
        engine: of a database at head.
        options: what to train. With `if_changed`, no outcomes are no error.
        place: whether to place models.
        on_progress: receives the progress.

    Raises:
        RegistryError: as `train` and `placement.place`.
    """
    options = options or TrainingOptions()
    try:
        report = _run(engine, options, place=place, on_progress=on_progress)
    except NoOutcomesError as error:
        if not options.if_changed:
            raise
        return TrainingReport(note=str(error))
    if report.version is None or report.version.encoder is None:
        return report
    with engine.connect() as connection:
        return replace(report, cut=item_vectors.cut_items(connection, report.version.encoder))


def train(
    engine: Engine, options: TrainingOptions | None = None, *, on_progress: Progress = no_progress
) -> EmbeddingVersion | None:
    """Train a version of embeddings, and promote it if it is no worse than the current one.

    Under torchrun, each process computes its share of the items, and the first one writes. A
    training that did not end is gone on with: settings that it chose for an exam are not chosen
    again, and a version that it stored is judged without training.

    Args:
        engine: of a database at head.
        options: what to train.
        on_progress: receives the progress.

    Returns:
        The version, current or not; with `if_changed`, an earlier one of the same outcomes. None in
        all processes of torchrun but the first.

    Raises:
        LockHeldError: when another training is running.
        NoOutcomesError: when there are no outcomes; with `if_changed`, before the job is recorded.
        UsageError: when there is too little to learn from, a named benchmark, encoder, device or
            method does not exist, or `margin` or `most_churn` is out of range.
    """
    report = _run(engine, options or TrainingOptions(), place=False, on_progress=on_progress)
    return report.version


def _run(
    engine: Engine, options: TrainingOptions, *, place: bool, on_progress: Progress
) -> TrainingReport:
    device = devices.choose(options.device)
    _check(options.method)
    check_limits(options.margin, options.most_churn)
    with translated_errors("train"):
        with reading(engine) as connection:
            if options.if_changed and not any_outcomes(connection):
                # Raised outside the job: a nightly run before the first import has not failed.
                raise NoOutcomesError
        with distributed.joined(device):
            if distributed.rank():
                data = dataset.learnable(read_data_and_catalog(engine, options))
                _learned(data.problem.without(data.held_out), options, device, no_progress)
                return TrainingReport()
            with job(engine, "train", lock=Lock.TRAINING, doing="train") as run:
                report = _trained(engine, options, device, place=place, on_progress=on_progress)
                assert report.version is not None
                run.summary = {"version": report.version.version, "state": report.version.state}
                return report


def _check(method: str) -> None:
    if method != "blend" and method not in METHODS:
        raise UsageError(f"There is no method {method!r}; there are blend, {', '.join(METHODS)}.")
    if method != "blend" and method not in VECTOR_METHODS:
        raise UsageError(
            f"Method {method} learns no vectors of models, so it makes no version; "
            f"`registry embeddings compare --method {method}` measures it."
        )


def read_data(
    engine: Engine, options: TrainingOptions, on_progress: Progress = no_progress
) -> TrainingData:
    """Encode the items' texts that have no vector yet, and read what to learn from."""
    name = None
    on_progress("reading outcomes", 0, 0)
    with reading(engine) as connection:
        # Checked before an encoder is loaded, which takes seconds.
        if not select(connection, benchmarks=options.benchmarks).columns:
            raise NoOutcomesError
    if options.encoder is not None:
        on_progress(f"loading encoder {options.encoder}", 0, 0)
        encoder = open_encoder(options.encoder, device=options.device)
        name = encoder.name
        if distributed.rank() == 0:
            item_vectors.refresh(
                engine,
                encoder,
                benchmarks=options.benchmarks,
                on_progress=on_progress,
            )
        distributed.wait()
        on_progress("reading outcomes and texts", 0, 0)
    with engine.connect() as connection:
        return dataset.read(connection, benchmarks=options.benchmarks, encoder=name)


def read_data_and_catalog(
    engine: Engine, options: TrainingOptions, on_progress: Progress = no_progress
) -> TrainingData:
    """Read what to learn from, and what the catalog says of the models."""
    data = read_data(engine, options, on_progress)
    on_progress("comparing models by the catalog", 0, 0)
    return replace(data, catalog=model_features.read_kernel_features(engine, data.matrix.models))


def _learned(
    problem: Problem,
    options: TrainingOptions,
    device: str,
    on_progress: Progress,
    choices: Choices | None = None,
) -> SelectionResult:
    context = Context(device, options.seed, on_progress)
    return learner.learn(problem, options.method, context, choices)


def _trained(
    engine: Engine, options: TrainingOptions, device: str, *, place: bool, on_progress: Progress
) -> TrainingReport:
    """Train a version, or go on with one that is stored, and publish it."""
    data = dataset.learnable(read_data_and_catalog(engine, options, on_progress))
    stored, note = _unfinished(engine, data, options) if options.promote else None, None
    if stored is not None:
        note = f"Version {stored.number} was trained before, and is judged now."
    if stored is None and options.if_changed:
        with engine.connect() as connection:
            same = versions.trained_on(connection, data.fingerprint(), options.method)
        if same is not None:
            return TrainingReport(version=same, note=_unchanged(same), unchanged=True)
    if stored is None:
        stored = _new(engine, data, options, device, on_progress)
    if not options.promote:
        with engine.connect() as connection:
            return TrainingReport(version=versions.read_version(connection, stored.number))
    limits = Limits(options.margin, options.most_churn)
    published = publish(engine, stored, limits, place=place, on_progress=on_progress)
    return TrainingReport(version=published.version, note=note, placement=published.placement)


def _unchanged(version: EmbeddingVersion) -> str:
    refused = ", which was refused" if version.state == VersionState.REFUSED else ""
    return f"Nothing changed since version {version.version}{refused}, so nothing was trained."


def _unfinished(engine: Engine, data: TrainingData, options: TrainingOptions) -> Candidate | None:
    """Return the version of a training of these outcomes that ended before it was judged."""
    with reading(engine) as connection:
        found = unfinished(connection, data, options.method, options.seed)
    if found is None:
        return None
    number, trained = found
    return Candidate(number, trained, Evidence.read(engine, data, data.held_out))


def _new(
    engine: Engine,
    data: TrainingData,
    options: TrainingOptions,
    device: str,
    on_progress: Progress,
) -> Candidate:
    """Train a version and store it, in one transaction."""
    began = perf_counter()
    hidden = data.held_out
    # Processes of torchrun choose together, or they would wait for each other for ever.
    choices = KeptChoices(engine) if distributed.size() == 1 else None
    problem = data.problem.without(hidden)
    learned = _learned(problem, options, device, on_progress, choices)
    fit = learned.fit
    if fit.factors is None:
        raise UsageError(f"Method {options.method} learns no vectors of models.")
    on_progress("measuring on held-out outcomes", 0, 0)
    items = np.column_stack([fit.factors.items, fit.factors.offsets])
    evidence = Evidence.read(engine, data, hidden)
    metrics = {
        # Of what the version serves; then of the method, whose predictions may be a blend.
        **evidence.metrics(fit.factors.models, items, _exams(fit)),
        options.method: evidence.measured(fit.predict),
        "validation": learned.validation,
    }
    on_progress("learning routers", 0, 0)
    router = learn_router(data, problem, fit.factors, Context(device, options.seed, on_progress))
    if router is not None:
        metrics["routers"] = router.figures
    intervals = learn_intervals(fit.factors, evidence.cells())
    if intervals is not None:
        metrics["intervals"] = asdict(intervals)
        if fit.text_map is not None:
            metrics["intervals"]["text_calibration_error"] = fit.text_map.calibration_error
    trained = TrainedVersion(
        method=options.method,
        models=data.matrix.models,
        vectors=fit.factors.models,
        uncertainties=fit.factors.uncertainties,
        variances=_variances(fit.factors, intervals),
        uncertainty=_uncertainty(fit, intervals),
        unexplained=fit.factors.unexplained,
        serving=fit.serving,
        encoder=data.encoder,
        items=data.matrix.columns,
        item_vectors=items,
        settings=learner.settings(fit.method),
        trials=learned.trials,
        metrics=metrics,
        data_fingerprint=data.fingerprint(),
        code_version=__version__,
        device=devices.describe(device),
        seed=options.seed,
        seconds=round(perf_counter() - began, 3),
        outcomes=problem.count,
        reason=NOT_JUDGED if options.promote else None,
        router=router,
    )
    on_progress("saving the version", 0, 0)
    with engine.begin() as connection:
        number = save.save(connection, trained)
        if choices is not None:
            choices.forget(connection)
    return Candidate(number, trained, evidence)


def _variances(factors: Factors, intervals: IntervalFigures | None) -> Matrix | None:
    """Return the calibrated variances of trained models; None without."""
    if factors.variances is None or intervals is None:
        return None
    return intervals.scaled(factors.variances)


def _uncertainty(fit: Fit, intervals: IntervalFigures | None) -> VersionUncertainty:
    factors = fit.factors
    if factors is None or factors.axes is None or intervals is None:
        return VersionUncertainty(texts=fit.text_map)
    return VersionUncertainty(Axes(factors.axes), intervals.item_variance, fit.text_map)


def _exams(fit: Fit) -> list[dict[str, object]]:
    """Return how each exam was tied to the others; nothing of methods that know no exams."""
    exams = fit.notes.get("exams")
    return exams if isinstance(exams, list) else []
