"""Command `registry domains finetune`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from registry.cli.application import Application
from registry.cli.console import say
from registry.cli.extras import require
from registry.cli.parameters import AT_LEAST_ONE, SEED, Finite
from registry.cli.progress import trainings


@click.command()
@click.argument("domain_set", metavar="SET")
@click.option(
    "--to", "folder", type=click.Path(path_type=Path), required=True, metavar="FOLDER",
    help="Where the classifier is saved.",
)  # fmt: skip
@click.option(
    "--base",
    metavar="NAME",
    default="microsoft/deberta-v3-large",
    show_default=True,
    help="Encoder of the Hub, or folder of one, to begin with.",
)
@click.option("--epochs", type=AT_LEAST_ONE, default=1, show_default=True, help="Passes.")
@click.option("--batch", type=AT_LEAST_ONE, default=32, show_default=True, help="Texts a step.")
@click.option(
    "--learning-rate", type=Finite(0), default=1e-5, show_default=True, help="Of the first step."
)
@click.option(
    "--longest", type=AT_LEAST_ONE, default=512, show_default=True, help="Tokens of a text."
)
@click.option(
    "--device", metavar="NAME", help="cpu, cuda, cuda:1.  [default: a GPU if there is one]"
)
@click.option("--seed", type=SEED, default=0, show_default=True, help="Random seed.")
@click.pass_context
def finetune(ctx: click.Context, /, domain_set: str, folder: Path, **chosen: Any) -> None:
    """Fine-tune an encoder to recognise the domains of SET.

    MoDEM's own router, for whoever has a GPU: the defaults are the paper's. The classifier is saved
    in FOLDER, for `registry domains classify --classifier FOLDER`; SQL goes on with the one of
    `registry domains train`. One text in ten is left out, to calibrate and to measure it.

    \b
    Example:
      registry domains finetune modem --to modem-router
    """
    require("torch", "transformers", doing="Fine-tuning")
    from registry.learning.domains.encoder_classifier import FineTuning
    from registry.prediction.domains.domain_finetuning import fine_tune_set

    application = ctx.ensure_object(Application)
    with trainings("loading torch") as on_progress, application.engine() as engine:
        tuned = fine_tune_set(
            engine, domain_set, folder, FineTuning(**chosen), on_progress=on_progress
        )
    figures = tuned.figures
    say(
        f"Saved in {folder}: of {figures.items:,} texts left out, {figures.accuracy:.1%} are "
        f"classified right; calibration error {figures.calibration_error:.3f}."
    )
