"""`registry train`: a version of embeddings from stored outcomes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from registry.cli import figures
from registry.cli.application import Application
from registry.cli.console import say
from registry.cli.extras import require
from registry.cli.output import Field, Output, decimals, output_options
from registry.cli.parameters import SEED, Finite, OneOf
from registry.cli.progress import trainings
from registry.enums import VECTOR_METHODS, MethodName
from registry.errors import first_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sqlalchemy import Engine

    from registry.embeddings.training import TrainingOptions, TrainingReport
    from registry.embeddings.versions import EmbeddingVersion
    from registry.prediction.scores.fitting import PredictionReport
    from registry.workers import Progress

REFUSED = 3
"""Exit code of a training whose version is stored but does not become current, as of a sync that is
done but for some records."""

VERSION = (
    Field("version", right=True, kept=True),
    Field("method", kept=True),
    Field("state", kept=True),
    Field("models", right=True),
    Field("items", right=True),
    Field("outcomes", right=True),
    Field("dimension", right=True),
    Field("log_loss", look=decimals, right=True),
    Field("auc", look=decimals, right=True),
    Field("seconds", look=decimals, right=True),
    Field("reason", whole=True),
)


def data_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that say which outcomes to learn from, and on what."""
    options = (
        click.option(
            "--benchmark",
            "benchmarks",
            multiple=True,
            metavar="NAME",
            help="Only this one, all versions or NAME@VERSION; repeatable.",
        ),
        click.option(
            "--encoder",
            metavar="NAME",
            default="minilm",
            show_default=True,
            help="Encoder of the items' texts: minilm, hashing, a sentence-transformers model, or "
            "none.",
        ),
        click.option(
            "--device", metavar="NAME", help="cpu, cuda, cuda:1.  [default: a GPU if there is one]"
        ),
        click.option(
            "--seed",
            type=SEED,
            default=0,
            show_default=True,
            help="Random seed; the same seed on one device gives the same result.",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


def training_options(encoder: str, benchmarks: tuple[str, ...], **chosen: Any) -> TrainingOptions:
    """Return the options of a training; what is None takes its default."""
    from registry.embeddings.training import TrainingOptions

    return TrainingOptions(
        encoder=None if encoder == "none" else encoder,
        benchmarks=benchmarks or None,
        **{name: value for name, value in chosen.items() if value is not None},
    )


@click.command()
@click.option(
    "--method",
    type=OneOf((MethodName.BLEND, *VECTOR_METHODS)),
    default="blend",
    show_default=True,
    help="How to learn; blend chooses and combines by held-out outcomes.",
)
@data_options
@click.option(
    "--margin",
    type=Finite(),
    help="Log loss that a version may lose against the current one; below 0, what it must gain.  "
    "[default: 0.002]",
)
@click.option(
    "--most-churn",
    type=Finite(0, 1),
    help="Share of models' neighbours that may change without a gain in log loss beyond noise.  "
    "[default: 0.5]",
)
@click.option("--promote/--no-promote", default=True, help="Whether it may become current.")
@click.option(
    "--place/--no-place",
    default=True,
    help="Whether other models get vectors of the version when it is current.",
)
@click.option(
    "--if-changed",
    is_flag=True,
    help="Train only if the outcomes differ from those of the method's versions; predict scores "
    "again only if scores or models are new or changed.",
)
@output_options
@click.pass_context
def train(ctx: click.Context, /, output: Output, *, place: bool, **chosen: Any) -> None:
    """Learn embeddings of models from their outcomes.

    They become a new version. It becomes current if it predicts held-out outcomes no worse than the
    current one, on the whole and on each benchmark, and if most models keep their neighbours or it
    predicts better beyond noise. Before that, all other models of the catalog get vectors of it, as
    by `registry embeddings place`: the version before serves until then. A training that was
    interrupted is gone on with by the next one of the same outcomes.

    Then the model that predicts scores (`registry predict`) is fitted to all scores; where there
    are scores and no outcomes, that alone. Not with --no-promote or --benchmark.

    Settings and methods are chosen on other held-out outcomes; `registry embeddings compare`
    compares methods. Under torchrun, every process computes a share.

    The exit code is 3 where the new version is refused, with the reason; 0 with --no-promote.

    \b
    Examples:
      registry train
      registry train --benchmark mmlu_pro --method irt --no-promote
      registry train --if-changed
      torchrun --standalone --nproc-per-node 2 -m registry train
    """
    require("torch", "sklearn", doing="Training")
    # Loading torch takes seconds, in which the command already says what it does.
    with trainings("loading torch") as on_progress:
        application = ctx.ensure_object(Application)
        options = training_options(**chosen)
        with application.engine() as engine:
            application.set_up(engine)
            report, predicted = _trained(engine, options, place=place, on_progress=on_progress)
    new = None if report.unchanged else report.version
    if report.version is not None:
        _print(output, report.version)
    if new is not None:
        # Of an earlier version it was said then: each night's mail would repeat it.
        _say_of(new)
    if report.note is not None:
        say(report.note)
    if report.cut:
        say(_cut(report.cut))
    if report.placement is not None:
        say(f"{report.placement.sentence()[:-1]}; {figures.span(report.placement.seconds)}.")
    if predicted is not None and predicted.version is not None:
        _say_of_scores(predicted)
    if new is not None and new.state == "refused":
        ctx.exit(REFUSED)


def _trained(
    engine: Engine, options: TrainingOptions, *, place: bool, on_progress: Progress
) -> tuple[TrainingReport, PredictionReport | None]:
    """Train embeddings, and fit the score model to all scores; without outcomes, that alone.

    The score model is left as it is by trainings that are no candidates, or of some benchmarks.
    """
    from registry.embeddings.training import TrainingReport, train_and_place
    from registry.errors import NoOutcomesError
    from registry.learning.factorization import distributed
    from registry.prediction.scores.fitting import fit_scores

    def fit() -> PredictionReport:
        return fit_scores(
            engine, seed=options.seed, if_changed=options.if_changed, on_progress=on_progress
        )

    whole = options.promote and options.benchmarks is None
    try:
        report = train_and_place(engine, options, place=place, on_progress=on_progress)
    except NoOutcomesError:
        predicted = fit() if whole else None
        if predicted is None or not (predicted.version or predicted.unchanged):
            raise
        return TrainingReport(
            note="No outcomes are stored, so no embeddings were trained."
        ), predicted
    return report, fit() if whole and not distributed.rank() else None


def _say_of_scores(report: PredictionReport) -> None:
    """Say what scores are predicted from, and whether their intervals can be trusted."""
    assert report.held_out is not None
    held = report.held_out["all"]
    say(
        f"Scores of {report.models + report.placed:,} models on {report.benchmarks:,} benchmarks "
        f"are predicted from {report.scores:,} scores of {report.models:,} models: 90% intervals "
        f"held {held['coverage']:.1%} of held-out ones; {figures.span(report.seconds)}."
    )
    if not report.reliable:
        say(
            "Some kinds of predictions have intervals that held too few or too many held-out "
            "scores: predictions are marked (`SELECT metrics FROM prediction_versions`)."
        )


def _cut(items: Mapping[str, int]) -> str:
    """Return a sentence on texts that are longer than the encoder reads."""
    named = first_of([f"{count:,} of {name}" for name, count in items.items()], noun="benchmark")
    return (
        f"The texts of {sum(items.values()):,} items are longer than the encoder reads, so that "
        f"only their ends count: {named}."
    )


def _print(output: Output, version: EmbeddingVersion) -> None:
    held = version.metrics["held_out"]
    output.rows(
        VERSION,
        [
            [
                version.version,
                version.method,
                version.state,
                version.models,
                version.items,
                version.outcomes,
                version.dimension,
                held["log_loss"],
                held["auc"],
                version.seconds,
                version.reason,
            ]
        ],
    )


def _say_of(version: EmbeddingVersion) -> None:
    """Say whether a version was refused, and what to be careful of."""
    from registry.embeddings.judging.sentences import warnings_of

    if version.state == "refused":
        say(f"Version {version.version} is stored, but not current: {version.reason}.")
        say(f"registry embeddings promote {version.version} --force makes it current all the same.")
    for warning in warnings_of(version.metrics):
        say(warning)
