"""Command `registry domains train`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from registry.cli.application import Application
from registry.cli.console import say
from registry.cli.output import Field, Output, decimals, grouped, output_options
from registry.cli.parameters import SEED, Finite
from registry.cli.progress import trainings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from registry.prediction.domains.domain_training import DomainReport

_FIELDS = (
    Field("domain_set", "set", kept=True),
    Field("domains", right=True, kept=True),
    Field("items", look=grouped, right=True),
    Field("accuracy", look=decimals, right=True),
    Field("accuracy_with_words", "with words", look=decimals, right=True),
    Field("calibration_error", look=decimals, right=True),
    Field("confidence_auc", look=decimals, right=True),
    Field("scores", look=grouped, right=True),
    Field("seconds", look=decimals, right=True),
    Field("note", whole=True, tabled=False),
)


@click.command()
@click.argument("sets", nargs=-1, metavar="[SET]...")
@click.option(
    "--encoder",
    metavar="NAME",
    default="minilm",
    show_default=True,
    help="Encoder of prompts: minilm, hashing, or a sentence-transformers model.",
)
@click.option(
    "--least-probability",
    type=Finite(0, 1),
    default=0.5,
    show_default=True,
    help="Of the likeliest domain; prompts below go to the best general model.",
)
@click.option(
    "--device", metavar="NAME", help="cpu, cuda, cuda:1.  [default: a GPU if there is one]"
)
@click.option("--seed", type=SEED, default=0, show_default=True, help="Random seed.")
@output_options
@click.pass_context
def train(ctx: click.Context, /, output: Output, **chosen: Any) -> None:
    """Learn to tell domains apart, and score models in each.

    Of each SET, or of all whose items are stored; the sets that ship are stored first. Learns from
    the texts of items whose benchmark and subject the set names, and scores models by their
    outcomes on them. Accuracy, calibration error and the AUC of confidence are of items that were
    left out.

    \b
    Examples:
      registry domains train
      registry domains train modem --least-probability 0.6
    """
    from registry.prediction.domains.domain_training import DomainTraining, train_domains

    application = ctx.ensure_object(Application)
    with trainings("reading items") as on_progress, application.engine() as engine:
        application.set_up(engine)
        reports = train_domains(engine, DomainTraining(**chosen), on_progress=on_progress)
    print_reports(output, reports)


def print_reports(output: Output, reports: Sequence[DomainReport]) -> None:
    """Print what was trained, a row a set, and say what was not."""
    rows = [
        [
            each.name,
            each.domains,
            each.items,
            each.by_vector and each.by_vector.accuracy,
            each.by_text and each.by_text.accuracy,
            each.by_vector and each.by_vector.calibration_error,
            each.by_vector and each.by_vector.confidence_auc,
            each.scores,
            each.seconds,
            each.note,
        ]
        for each in reports
    ]
    output.rows(_FIELDS, rows)
    for each in reports:
        if each.note is not None:
            say(f"{each.name}: {each.note}.")
