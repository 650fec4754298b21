"""`registry train`: outcomes to a version of embeddings, and methods side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from registry.cli import figures
from registry.cli.application import Application, pass_application
from registry.cli.console import say
from registry.cli.embeddings.place import place_models
from registry.cli.extras import require
from registry.cli.output import Field, Output, decimals, output_options
from registry.cli.parameters import AT_LEAST_ONE, MOMENT, SEED, Finite, OneOf
from registry.cli.progress import trainings
from registry.enums import MethodName, Metric, SplitKind

if TYPE_CHECKING:
    from datetime import datetime

    from registry.embeddings.comparison_results import MethodComparison
    from registry.embeddings.training import TrainingOptions
    from registry.embeddings.versions import EmbeddingVersion
    from registry.learning.metrics import Interval

ERRORS = ("rmse", "rmse_m", "rmse_q", "share")
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


@click.command()
@click.option(
    "--method",
    "methods",
    multiple=True,
    type=OneOf(MethodName),
    help="How to learn; blend finds out on held-out outcomes. Repeatable with --evaluate.  "
    "[default: blend]",
)
@click.option(
    "--benchmark",
    "benchmarks",
    multiple=True,
    metavar="NAME",
    help="Only this one, all versions or NAME@VERSION; repeatable.",
)
@click.option(
    "--encoder",
    metavar="NAME",
    default="minilm",
    show_default=True,
    help="Of what items ask: minilm, hashing, a sentence-transformers model, or none.",
)
@click.option(
    "--device", metavar="NAME", help="cpu, cuda, cuda:1.  [default: a GPU if there is one]"
)
@click.option(
    "--seed",
    type=SEED,
    default=0,
    show_default=True,
    help="Of all that is random; the same on one device gives the same vectors.",
)
@click.option(
    "--evaluate",
    is_flag=True,
    help="Compare methods on held-out outcomes instead. Of an item that has no others, item-mean "
    "is the model's mean, as model-mean is.",
)
@click.option(
    "--split",
    "kinds",
    multiple=True,
    type=OneOf(SplitKind),
    help="What --evaluate holds out; repeatable.  [default: cell and item]",
)
@click.option(
    "--seeds",
    type=AT_LEAST_ONE,
    default=5,
    show_default=True,
    help="Splits with --evaluate and --protocol.",
)
@click.option(
    "--protocol",
    type=click.Choice(("simrmf",)),
    help="Test instead how well new models and new items are predicted: A known model and item, "
    "B new item, C new model, D both.",
)
@click.option(
    "--held",
    type=Finite(0, 1, min_open=True, max_open=True),
    help="Share of models that are new with --protocol.  [default: 0.3]",
)
@click.option(
    "--new-items",
    type=Finite(0, 1, max_open=True),
    help="Share of items that are new with --protocol.  [default: 0.2]",
)
@click.option(
    "--before",
    type=MOMENT,
    help="With --protocol, models created before are known, later ones new.",
)
@click.option(
    "--margin",
    type=Finite(),
    help="Log loss that a version may lose against the current one; below 0, what it has to gain.  "
    "[default: 0.002]",
)
@click.option(
    "--most-churn",
    type=Finite(0, 1),
    help="Share of models' neighbours that may change.  [default: 0.5]",
)
@click.option("--promote/--no-promote", default=True, help="Whether it may become current.")
@click.option(
    "--place/--no-place",
    default=True,
    help="Whether models that were not trained on get vectors of the current version.",
)
@click.option(
    "--if-changed",
    is_flag=True,
    help="Only if there are other outcomes than those of the method's versions.",
)
@output_options
@pass_application
def train(
    application: Application,
    /,
    output: Output,
    methods: tuple[str, ...],
    kinds: tuple[str, ...],
    seeds: int,
    *,
    evaluate: bool,
    place: bool,
    protocol: str | None,
    held: float | None,
    new_items: float | None,
    before: datetime | None,
    **chosen: Any,
) -> None:
    """Learn embeddings of models from their outcomes.

    They become a new version, and the current one if they predict outcomes that neither was
    trained on no worse than it, and most models keep their neighbours. Then all other models of the
    catalog get vectors of it, as `registry embeddings place` tells. Settings and methods are
    chosen on other outcomes held out. Under torchrun, every process computes a share.

    \b
    Examples:
      registry train
      registry train --benchmark mmlu_pro --method irt --no-promote
      registry train --if-changed
      registry train --evaluate --split item --split domain --seeds 3
      registry train --protocol simrmf --seeds 3
      registry train --protocol simrmf --before 2024-06-01
      torchrun --standalone --nproc-per-node 2 -m registry train
    """
    require("torch", "sklearn", doing="Training")
    from registry.embeddings.training import TrainingOptions

    told = {name: value for name, value in chosen.items() if value is not None}
    told["encoder"] = None if told["encoder"] == "none" else told["encoder"]
    told["benchmarks"] = told["benchmarks"] or None
    asked = {"held": held, "new_items": new_items, "before": before}
    draws = {name: value for name, value in asked.items() if value is not None}
    if protocol:
        if evaluate or methods or kinds:
            raise click.UsageError("--protocol goes without --evaluate, --method and --split.")
        _test(application, output, TrainingOptions(**told), seeds=seeds, **draws)
    elif draws:
        raise click.UsageError("--held, --new-items and --before need --protocol.")
    elif evaluate:
        options = TrainingOptions(**told)
        _evaluate(application, output, options, methods=methods, kinds=kinds, seeds=seeds)
    elif len(methods) > 1 or kinds:
        raise click.UsageError("Several methods and --split need --evaluate.")
    else:
        if methods:
            told["method"] = methods[0]
        _learn(application, output, TrainingOptions(**told), place=place)


def _learn(
    application: Application, output: Output, options: TrainingOptions, *, place: bool
) -> None:
    from registry.embeddings.training import train
    from registry.embeddings.versions import list_versions
    from registry.errors import NoOutcomesError

    with application.engine() as engine, trainings() as on_progress:
        application.set_up(engine)
        with engine.connect() as connection:
            before = {version.version for version in list_versions(connection)}
        try:
            version = train(engine, options, on_progress=on_progress)
        except NoOutcomesError as error:
            if not options.if_changed:
                raise
            say(str(error))
            return
    if version is None:
        return
    _print_version(output, version)
    if version.version in before:
        say(f"Nothing changed since version {version.version}, so nothing was trained.")
    # Two models tell nothing of a third.
    if place and version.current and version.models > 2:  # noqa: PLR2004
        with application.engine() as engine:
            place_models(engine)


def _print_version(output: Output, version: EmbeddingVersion) -> None:
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
    if version.state == "refused":
        say(f"Version {version.version} is kept, but not current: {version.reason}.")
        say(f"registry embeddings promote {version.version} --force makes it current all the same.")


def _evaluate(
    application: Application,
    output: Output,
    options: TrainingOptions,
    *,
    methods: tuple[str, ...],
    kinds: tuple[str, ...],
    seeds: int,
) -> None:
    from registry.embeddings.comparison import COMPARED, compare

    with application.engine() as engine, trainings() as on_progress:
        application.set_up(engine)
        found = compare(
            engine,
            options,
            methods=methods or COMPARED,
            kinds=kinds or (SplitKind.CELL, SplitKind.ITEM),
            seeds=seeds,
            on_progress=on_progress,
        )
    _print_comparison(output, found)
    say(
        f"Comparison {found.comparison}, kept in view training_results with 95% intervals; "
        f"{figures.span(found.seconds)}."
    )


def _test(application: Application, output: Output, options: TrainingOptions, **drawn: Any) -> None:
    from registry.embeddings.coldstart_comparison import Draws, run

    if {"held", "before"} <= drawn.keys():
        raise click.UsageError("Models are new by --held or by --before, not by both.")

    with application.engine() as engine, trainings() as on_progress:
        application.set_up(engine)
        found = run(engine, options, Draws(**drawn), on_progress=on_progress)
    fields = (
        Field("train", "T", right=True, kept=True),
        Field("test", kept=True),
        Field("method", kept=True),
        *(Field(error, look=_interval, right=True) for error in ERRORS),
        Field("new", right=True),
        Field("seeds", right=True),
    )
    output.rows(
        fields,
        (
            [
                row.train,
                row.test,
                row.method,
                *(_bounds(getattr(row, error)) for error in ERRORS),
                row.new,
                row.seeds,
            ]
            for row in found.rows
        ),
    )
    say(f"{found.models:,} models with outcomes on {found.items:,} items; intervals are of 95%.")
    if found.left_out:
        sizes = ", ".join(f"{size:,}" for size in found.left_out)
        say(f"There are too few models for T = {sizes}.")
    if found.undated:
        say(f"Of {found.undated:,} models no date is known: they count as created before.")


def _bounds(told: Interval | None) -> dict[str, float | None] | None:
    if told is None:
        return None
    several = told.seeds > 1
    return {
        "mean": told.mean,
        "lower": told.lower if several else None,
        "upper": told.upper if several else None,
    }


def _print_comparison(output: Output, found: MethodComparison) -> None:
    fields = (
        Field("split", kept=True),
        Field("method", kept=True),
        *(Field(metric, look=_interval, right=True) for metric in Metric),
        Field("seeds", right=True),
    )
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for figure in found.figures:
        row = rows.setdefault((figure.split, figure.method), {"seeds": figure.seeds})
        row[figure.metric] = {
            "mean": figure.mean,
            "lower": figure.lower,
            "upper": figure.upper,
        }
    output.rows(
        fields,
        (
            [*key, *(row.get(metric) for metric in Metric), row["seeds"]]
            for key, row in rows.items()
        ),
    )


def _interval(figure: Any) -> str:
    """Write a mean with half of its interval."""
    if figure is None:
        return ""
    half = "" if figure["lower"] is None else f" ±{figure['mean'] - figure['lower']:.4f}"
    return f"{figure['mean']:.4f}{half}"
