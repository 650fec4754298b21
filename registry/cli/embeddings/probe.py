"""`registry embeddings probe`: communities, unseen benchmarks and contributions between them."""

from __future__ import annotations

import math
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import click

from registry.cli import figures
from registry.cli.application import Application, pass_application
from registry.cli.console import say
from registry.cli.extras import require
from registry.cli.output import Field, Output, decimals, grouped, output_options, table
from registry.cli.parameters import AT_LEAST_ONE, SEED, OneOf
from registry.cli.progress import trainings
from registry.enums import VECTOR_METHODS, CommunityKind

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console

    from registry.analysis.probe_metrics import Contribution
    from registry.analysis.unseen_benchmarks import UnseenBenchmark


COMMUNITIES = (
    Field("community", kept=True),
    Field("by"),
    Field("models", look=grouped, right=True),
    Field("inside", look=decimals, right=True, kept=True),
    Field("between", look=decimals, right=True, kept=True),
    Field("ratio", look=decimals, right=True, kept=True),
)

BENCHMARKS = (
    Field("benchmark", kept=True),
    Field("items", look=grouped, right=True),
    Field("models", look=grouped, right=True),
    Field("splits", right=True),
    Field("significant", right=True, kept=True),
    Field("tau", look=decimals, right=True, kept=True),
    Field("rmse", look=decimals, right=True, kept=True),
    Field("rmse_of_mean", look=decimals, right=True),
)


@click.group()
def probe() -> None:
    """Probe learned vectors.

    Are models of a community close to each other, and is accuracy on benchmarks predicted that were
    not learned from?

    \b
    Example:
      registry embeddings probe communities
    """


@probe.command()
@click.option(
    "--by",
    multiple=True,
    type=OneOf(CommunityKind),
    help="Property that models share; repeatable.  [default: all of these]",
)
@click.option("--version", type=AT_LEAST_ONE, help="Of the vectors.  [default: the current one]")
@click.option(
    "--least",
    type=click.IntRange(min=2),
    default=5,
    show_default=True,
    help="Minimum number of models of a community.",
)
@click.option(
    "--most",
    type=AT_LEAST_ONE,
    default=10,
    show_default=True,
    help="Maximum number of communities of a kind, the largest ones.",
)
@output_options
@pass_application
def communities(application: Application, /, output: Output, *, least: int, **chosen: Any) -> None:
    """Compare distances in communities of models.

    Mean L2 distance of two models of a community (inside), and of one of them and one of the rest
    (between). A ratio below 1 shows that the vectors reflect the community. Topics follow from tags
    and from words in names; sizes are read from names where the catalog has none.

    \b
    Examples:
      registry embeddings probe communities
      registry embeddings probe communities --by size --by topic --version 3
    """
    require("scipy", doing="Probing")
    with trainings("reading vectors") as on_progress:
        from registry.analysis.communities import compare

        with application.reading() as connection:
            comparison = compare(connection, least=least, on_progress=on_progress, **chosen)
    rows = (
        [
            each.name,
            kind,
            each.models,
            _known(each.inside),
            _known(each.between),
            _known(each.ratio),
        ]
        for kind, each in comparison.communities
    )
    output.rows(COMMUNITIES, rows, empty=f"None of these communities has {least} models.")
    left_out = f", {comparison.left_out:,} left out" if comparison.left_out else ""
    say(
        f"{comparison.tighter} of {comparison.comparable} communities are closer to each other "
        f"than to the rest; {comparison.models:,} models of version {comparison.version}{left_out}."
    )


def _trained(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options of probes that train to a command."""
    options = (
        click.option(
            "--method",
            type=OneOf(VECTOR_METHODS),
            default="irt",
            show_default=True,
            help="Method that learns the vectors.",
        ),
        click.option(
            "--models",
            type=AT_LEAST_ONE,
            help="Size of a random sample of models to learn from.  [default: all]",
        ),
        click.option(
            "--splits",
            type=AT_LEAST_ONE,
            default=100,
            show_default=True,
            help="Random splits of the models, 80% to fit on.",
        ),
        click.option(
            "--encoder", metavar="NAME", help="Of items' texts, for mf-text, such as minilm."
        ),
        click.option(
            "--device",
            metavar="NAME",
            help="cpu, cuda, cuda:1.  [default: a GPU if there is one]",
        ),
        click.option(
            "--seed",
            type=SEED,
            default=0,
            show_default=True,
            help="Of all random numbers.",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


@probe.command()
@click.option(
    "--benchmark",
    "benchmarks",
    multiple=True,
    metavar="NAME",
    help="Leave this one out; repeatable.  [default: each in turn]",
)
@_trained
@output_options
@pass_application
def benchmarks(application: Application, /, output: Output, **chosen: Any) -> None:
    """Predict accuracy on benchmarks that were not learned from.

    Each is left out of a training, and models' accuracies on it are predicted from their vectors by
    linear regression. Printed are the number of splits where Kendall's tau of the test models is
    above 0 with p < 0.05, its mean, and the RMSE beside that of predicting the mean. No version is
    stored.

    \b
    Examples:
      registry embeddings probe benchmarks
      registry embeddings probe benchmarks --benchmark gsm8k --models 112
    """
    require("torch", "sklearn", doing="Probing")
    began = perf_counter()
    with trainings("loading torch") as on_progress:
        from registry.analysis.unseen_benchmarks import ProbeOptions, predict_benchmarks

        options = ProbeOptions(**chosen)
        with application.engine() as engine:
            predictions = predict_benchmarks(engine, options, on_progress=on_progress)
    output.rows(BENCHMARKS, map(_predicted, predictions.unseen))
    for name, models in predictions.too_few.items():
        say(f"{name} is left out: {models} models were evaluated on it and on another one.")
    significant = sum(
        2 * each.prediction.significant > each.prediction.splits for each in predictions.unseen
    )
    say(
        f"Significant in most splits: {significant} of {len(predictions.unseen)} benchmarks; "
        f"{figures.span(perf_counter() - began)}."
    )


def _predicted(unseen: UnseenBenchmark) -> list[Any]:
    prediction = unseen.prediction
    taus = [tau for tau in prediction.taus.tolist() if not math.isnan(tau)]
    return [
        unseen.benchmark,
        unseen.items,
        prediction.models,
        prediction.splits,
        prediction.significant,
        sum(taus) / len(taus) if taus else None,
        math.sqrt(prediction.mse),
        math.sqrt(prediction.mse_of_mean),
    ]


@probe.command()
@click.option(
    "--benchmark",
    "benchmarks",
    multiple=True,
    metavar="NAME",
    help="Of these alone, at least three; repeatable.  [default: all]",
)
@click.option(
    "--plot",
    "picture",
    metavar="FILE.png",
    type=click.Path(path_type=Path),
    help="Draw the matrix as well.",
)
@_trained
@output_options
@pass_application
def contributions(
    application: Application, /, output: Output, picture: Path | None, **chosen: Any
) -> None:
    """Measure the contribution of each benchmark to the others.

    It is the decrease of the mean squared error of predicting the benchmark of a column when that
    of the row is added to training; below 0, it harms. Accuracies are from 0 to 1. B benchmarks
    take B (B + 1) / 2 trainings. No version is stored.

    \b
    Examples:
      registry embeddings probe contributions --plot contributions.png
      registry embeddings probe contributions --benchmark arc --benchmark mmlu --benchmark gsm8k
    """
    modules = ("torch", "sklearn") if picture is None else ("torch", "sklearn", "matplotlib")
    require(*modules, doing="Probing")
    began = perf_counter()
    with trainings("loading torch") as on_progress:
        from registry.analysis.unseen_benchmarks import ProbeOptions
        from registry.analysis.unseen_benchmarks import contributions as measure

        options = ProbeOptions(**chosen)
        with application.engine() as engine:
            contribution = measure(engine, options, picture=picture, on_progress=on_progress)
    _print_matrix(output, contribution)
    drawn = "" if picture is None else f", drawn in {picture}"
    say(
        f"{len(contribution.benchmarks)} benchmarks{drawn}; {figures.span(perf_counter() - began)}."
    )


def _print_matrix(output: Output, contribution: Contribution) -> None:
    names = list(contribution.benchmarks)
    gains = contribution.gains.tolist()
    given, taken = contribution.given.tolist(), contribution.taken.tolist()
    content = {
        "gains": {
            name: {other: gain for other, gain in zip(names, row, strict=True) if other != name}
            for name, row in zip(names, gains, strict=True)
        },
        "given": dict(zip(names, given, strict=True)),
        "taken": dict(zip(names, taken, strict=True)),
    }

    def draw(screen: Console) -> None:
        fields = [
            Field("added", kept=True),
            *(Field(name, look=_signed, right=True) for name in names),
            Field("given", look=_signed, right=True, kept=True),
        ]
        rows = [
            [
                name,
                *("" if other == name else row[place] for place, other in enumerate(names)),
                sum_,
            ]
            for name, row, sum_ in zip(names, gains, given, strict=True)
        ]
        rows.append(["taken", *taken, sum(given)])
        screen.print(table(fields, rows, width=screen.width, on_hidden=say))

    output.document(content, draw)


def _signed(value: Any) -> str:
    return value if isinstance(value, str) else f"{value:+.5f}"


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value
