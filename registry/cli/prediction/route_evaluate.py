"""`registry route evaluate`: routers measured on the same held-out items of stored outcomes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from registry.cli import figures
from registry.cli.application import Application, pass_application
from registry.cli.console import say
from registry.cli.extras import require
from registry.cli.output import Field, Output, decimals, output_options
from registry.cli.parameters import AT_LEAST_ONE, SEED, Finite, OneOf
from registry.cli.progress import trainings
from registry.enums import RoutingSplit

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from registry.prediction.routing_evaluation.routing_results import RoutingEvaluation

SHOWN = (
    "avg_acc",
    "over_best_single",
    "gap_closed",
    "gap_at_o",
    "within_prompt_auc",
    "spearman",
    "ndcg_5",
    "log_loss",
    "calibration_error",
    "model_calibration_error",
    "worst_calibration_error",
    "cost_per_1000",
    "cost_save",
    "perf_gain",
    "aiq",
    "pareto_dist",
    "robustness",
    "vote_3",
    "vote_3_weighted",
    "vote_3_random",
)
"""Metrics of the table, the most telling first; all others are in view routing_results."""

WITH_INTERVALS = frozenset({"avg_acc", "over_best_single", "cost_save", "vote_3"})


@click.command()
@click.option(
    "--benchmark",
    "benchmarks",
    multiple=True,
    metavar="NAME",
    help="On outcomes of this one, all versions or NAME@VERSION; repeatable.  [default: all]",
)
@click.option(
    "--pool",
    multiple=True,
    metavar="MODEL",
    help="Choose among these models; repeatable.  [default: all with outcomes on 90% of the items]",
)
@click.option(
    "--router",
    "routers",
    multiple=True,
    metavar="NAME",
    help="Router or baseline to compare; repeatable.  [default: all]",
)
@click.option(
    "--split",
    "splits",
    multiple=True,
    type=OneOf(RoutingSplit),
    help="What is held out: items within each subject, whole subjects, or whole benchmarks; "
    "repeatable.  [default: item]",
)
@click.option(
    "--seeds", type=AT_LEAST_ONE, default=5, show_default=True, help="Random splits of each kind."
)
@click.option("--seed", type=SEED, default=0, show_default=True, help="Seed of the first split.")
@click.option(
    "--max-price",
    type=Finite(0),
    metavar="DOLLARS",
    help="Choose among models that cost at most this for a million tokens, three of input to one "
    "of output.",
)
@click.option(
    "--encoder",
    metavar="NAME",
    default="minilm",
    show_default=True,
    help="Encoder of the prompts: minilm, hashing, or a sentence-transformers model.",
)
@click.option(
    "--rewordings",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    metavar="N",
    help="Reword so many held-out prompts, and measure the share of picks that stay (robustness).",
)
@click.option(
    "--again", is_flag=True, help="Evaluate again, also where results of the same data are stored."
)
@click.option(
    "--plot",
    "plots",
    multiple=True,
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Draw quality against cost to this new .png or .html file; repeatable.",
)
@output_options
@pass_application
def evaluate(
    application: Application,
    /,
    output: Output,
    plots: tuple[Path, ...],
    **chosen: Any,
) -> None:
    """Measure routers on held-out items of stored outcomes.

    Each router learns from the same items and picks a model for each of the others, beside the best
    single model, random picks and oracles that know the answer. Printed: accuracy with 95%
    intervals over items and the difference from the best single model; where models have prices,
    what is saved at its quality; where answers are stored, votes of three models. All metrics are
    in view routing_results. The same data is not evaluated twice.

    \b
    Examples:
      registry route evaluate --benchmark mmlu_pro
      registry route evaluate --split item --split subject --plot frontier.html --plot frontier.png
    """
    require("sklearn", doing="Evaluating routers")
    _check_plots(plots)
    with trainings("reading outcomes") as on_progress:
        from registry.prediction.routing_evaluation import evaluate_routers as workflow

        with application.engine() as engine:
            application.set_up(engine)
            result = workflow.evaluate_routers(engine, _options(**chosen), on_progress=on_progress)
    evaluation = result.evaluation
    print_evaluation(output, evaluation)
    _explain(evaluation, stored_before=result.stored_before)
    for path in plots:
        _draw(evaluation, path)


def _options(**chosen: Any) -> Any:
    from registry.prediction.routing_evaluation.evaluate_routers import EvaluationOptions
    from registry.prediction.routing_evaluation.routing_data import PoolOptions

    return EvaluationOptions(
        pool=PoolOptions(
            benchmarks=chosen["benchmarks"] or None,
            models=chosen["pool"] or None,
            encoder=chosen["encoder"],
            max_price=chosen["max_price"],
        ),
        routers=chosen["routers"] or None,
        splits=chosen["splits"] or (RoutingSplit.ITEM,),
        seeds=chosen["seeds"],
        seed=chosen["seed"],
        again=chosen["again"],
        rewordings=chosen["rewordings"],
    )


def print_evaluation(output: Output, evaluation: RoutingEvaluation) -> None:
    """Print a row for each split and router, the most accurate first; single models are left out.

    Programs get all metrics that the table shows, as value, lower and upper.
    """
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for each in evaluation.figures:
        if not each.router.startswith("model:"):
            row = rows.setdefault((each.split, each.router), {"n": each.n})
            row[each.metric] = {"mean": each.value, "lower": each.lower, "upper": each.upper}
    shown = [name for name in SHOWN if any(name in row for row in rows.values())]
    fields = (
        Field("split", kept=True),
        Field("router", kept=True),
        *(
            Field(
                name,
                look=figures.interval if name in WITH_INTERVALS else decimals,
                right=True,
                kept=name in SHOWN[:2],
            )
            for name in shown
        ),
        Field("n", right=True),
    )
    output.rows(fields, _cells(rows, shown))


def _cells(
    rows: Mapping[tuple[str, str], Mapping[str, Any]], shown: Iterable[str]
) -> Iterable[list[Any]]:
    names = list(shown)
    for key in sorted(rows, key=lambda key: (key[0], -rows[key]["avg_acc"]["mean"], key[1])):
        row = rows[key]
        cells = [
            row.get(name) if name in WITH_INTERVALS or name not in row else row[name]["mean"]
            for name in names
        ]
        yield [*key, *cells, row["n"]]


def _check_plots(plots: tuple[Path, ...]) -> None:
    from registry.errors import UsageError

    for path in plots:
        if path.suffix not in {".png", ".html"}:
            raise UsageError(f"{path}: a plot is a .png or an .html file.")


def _draw(evaluation: RoutingEvaluation, path: Path) -> None:
    from registry.analysis.plots.cost_quality import of_evaluation, write_page, write_picture

    unpriced = evaluation.settings["unpriced"]
    if unpriced:
        say(f"{path} is not drawn: quality against cost needs a price of each model of the pool.")
        return
    drawn = of_evaluation(evaluation.details, evaluation.figures)
    write = write_page if path.suffix == ".html" else write_picture
    write(drawn, path)
    say(f"Drawn to {path}.")


def _explain(evaluation: RoutingEvaluation, *, stored_before: bool) -> None:
    settings = evaluation.settings
    say(
        f"{len(settings['models']):,} models on {settings['items']:,} items, "
        f"{_number(evaluation.seeds, 'split')}, {settings['share']:.0%} held out each."
    )
    for note in settings["notes"]:
        say(note)
    unpriced = settings["unpriced"]
    if unpriced:
        named = ", ".join(unpriced[:3]) + (", ..." if len(unpriced) > 3 else "")  # noqa: PLR2004
        say(
            f"Costs are not compared: {_number(len(unpriced), 'model')} "
            f"{'has' if len(unpriced) == 1 else 'have'} no price ({named}). "
            "`registry prices import` stores prices; --pool and --max-price choose models."
        )
    elif settings["cost_basis"].get("estimated"):
        say("Costs are of estimated numbers of tokens where sources state none.")
    if stored_before:
        say(
            f"Evaluation {evaluation.evaluation} of {figures.minute(evaluation.evaluated_at)}, as "
            "stored; --again evaluates anew."
        )
    else:
        say(
            f"Evaluation {evaluation.evaluation}, stored in view routing_results; "
            f"{figures.span(evaluation.seconds)}."
        )


def _number(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
