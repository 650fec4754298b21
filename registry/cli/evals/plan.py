"""Command `registry evals plan`."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from registry.cli.application import Application, pass_application
from registry.cli.console import say
from registry.cli.output import Field, Output, grouped, output_options
from registry.cli.parameters import AT_LEAST_ONE, Finite
from registry.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from registry.prediction.plan import EvaluationPlan, PlanOptions

FIELDS = (
    Field("item", kept=True),
    Field("benchmark"),
    Field("version"),
    Field("ordinal", look=grouped, right=True),
    Field("characters", look=grouped, right=True),
)


@click.command()
@click.argument("model")
@click.option(
    "--benchmark",
    "benchmarks",
    multiple=True,
    required=True,
    metavar="NAME",
    help="What to evaluate on, NAME or NAME@VERSION; repeatable, and then the score of each "
    "counts alike.",
)
@click.option(
    "--budget",
    type=AT_LEAST_ONE,
    default=50,
    show_default=True,
    help="Items to run, those in --answers included.",
)
@click.option(
    "--adaptive", is_flag=True, help="Choose the next items by the answers so far, some at a time."
)
@click.option(
    "--batch",
    type=AT_LEAST_ONE,
    default=5,
    show_default=True,
    help="Items at a time, with --adaptive.",
)
@click.option(
    "--answers",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Answers so far: CSV or JSON lines with columns item and outcome.  [default: the model's "
    "outcomes in the registry]",
)
@click.option(
    "--stop-at",
    type=Finite(min=0, max=1),
    metavar="WIDTH",
    help="No more items than an interval of this width needs, as a share: 0.05 is 5 points.",
)
@click.option(
    "--by-length", is_flag=True, help="Choose by information per character of the items' texts."
)
@click.option(
    "--level",
    type=Finite(min=0.5, max=0.99),
    default=0.9,
    show_default=True,
    help="Coverage of the intervals.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Also write the items as a file that lm-eval runs, by its option --samples.",
)
@click.option(
    "--task", metavar="NAME", help="lm-eval's name of the task.  [default: the benchmark's]"
)
@click.option(
    "--doc-ids",
    "documents",
    type=click.Path(path_type=Path),
    multiple=True,
    metavar="FILE",
    help="File of samples that lm-eval wrote of any model on the whole task, which has the places "
    "of its items; repeatable.",
)
@output_options
@pass_application
def plan(
    application: Application,
    /,
    output: Output,
    model: str,
    benchmarks: tuple[str, ...],
    *,
    out: Path | None,
    task: str | None,
    documents: tuple[Path, ...],
    **chosen: Any,
) -> None:
    """Choose the few items that say most of a model's score.

    Prints the items to run, the first ones first; `registry evals estimate` turns their outcomes
    into the score of the whole. They are learned from the outcomes of other models on the same
    items. Without --adaptive the order is the same for every model. With it, the items depend on
    the answers so far: run the items, add their outcomes to FILE, and ask again; two thirds as many
    items give the same interval. MODEL need not be in the catalog.

    \b
    Examples:
      registry evals plan org/new-model --benchmark gsm8k --budget 50
      registry evals plan org/new-model --benchmark gsm8k --format quiet > items.txt
      registry evals plan org/new-model --benchmark gsm8k --adaptive --answers answers.csv
      registry evals plan org/new-model --benchmark gsm8k --benchmark arc --stop-at 0.06
      registry evals plan org/new-model --benchmark gsm8k --out items.json --doc-ids samples.jsonl
    """
    from registry.db.connection import reading
    from registry.files import check_target
    from registry.prediction.plan import PlanOptions, plan_evaluation

    if out is None and (task is not None or documents):
        raise UsageError("--task and --doc-ids are of the file that --out names.")
    if out is not None:
        check_target(out)
    options = PlanOptions(**chosen)
    with application.engine() as engine, reading(engine, snapshot=True) as connection:
        made = plan_evaluation(connection, model, benchmarks, options)
    if out is not None and made.items:
        _write(made, out, task, documents)
    output.rows(FIELDS, made.items, empty="There is no item to run.")
    _say(made, options)


def _write(made: EvaluationPlan, out: Path, task: str | None, documents: Sequence[Path]) -> None:
    from registry.files import new_file
    from registry.prediction.plan_files import lm_eval_samples

    file = lm_eval_samples(made, documents=documents, task=task)
    with new_file(out) as path:
        path.write_bytes(file.content)
    for note in file.notes:
        say(note)
    say(f"Run them by: lm_eval --tasks {shlex.quote(','.join(file.tasks))} "
        f"--samples {shlex.quote(str(out))} --log_samples --output_path results ...")  # fmt: skip


def _say(made: EvaluationPlan, options: PlanOptions) -> None:
    """Print what is known of the score, or will be."""
    for note in made.notes:
        say(note)
    for row in made.benchmarks:
        name = f"{row.benchmark}@{row.version}" if row.version else row.benchmark
        interval = f"the {options.level:.0%} interval of the score"
        width = f"{100 * row.width:.1f} points wide"
        if made.answered:
            state = f"{row.answered:,} answered, {row.planned:,} to run"
            say(f"{name}: {state} of {row.items:,}; {interval} is {width} by the answers so far.")
        else:
            say(
                f"{name}: {row.planned:,} of {row.items:,} items, chosen by the outcomes of "
                f"{row.known_models:,} models; {interval} is expected to be {width}."
            )
    if made.enough:
        say("That is as narrow as was asked: no more items are needed.")
    elif made.enough is False and not options.adaptive:
        say("That is wider than was asked: raise --budget, or choose by answers with --adaptive.")
