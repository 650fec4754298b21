"""`registry predict`: scores of models, measured or predicted with an interval."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from registry.cli.application import Application, pass_application
from registry.cli.console import say
from registry.cli.output import Field, Output, decimals, output_options, plain
from registry.cli.parameters import Finite
from registry.cli.prediction.prompts_table import print_prompt_predictions
from registry.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.console import Console

    from registry.prediction.scores.forecasts import Forecast

PREDICTED = (
    Field("benchmark", kept=True),
    Field("benchmark_version", "version"),
    Field("score", look=decimals, right=True, kept=True),
    Field("lower", look=decimals, right=True, kept=True),
    Field("upper", look=decimals, right=True, kept=True),
    Field("kind", kept=True),
    Field("predicted", look=decimals, right=True),
    Field("predicted_lower", look=decimals, right=True, tabled=False),
    Field("predicted_upper", look=decimals, right=True, tabled=False),
    Field("raw_score", look=plain, right=True, tabled=False),
    Field("raw_lower", look=plain, right=True, tabled=False),
    Field("raw_upper", look=plain, right=True, tabled=False),
    Field("unit", tabled=False),
    Field("support", look=decimals, right=True),
    Field("caution", whole=True),
)

MISSING = (
    Field("model", kept=True),
    Field("benchmark", kept=True),
    Field("score", look=decimals, right=True, kept=True),
    Field("lower", look=decimals, right=True, kept=True),
    Field("upper", look=decimals, right=True, kept=True),
    Field("kind", kept=True),
)


@click.command()
@click.argument("model", required=False)
@click.option(
    "--benchmark",
    "benchmarks",
    multiple=True,
    metavar="NAME",
    help="On this one, all versions or NAME@VERSION; repeatable.  [default: on all; with "
    "--missing, on six with most scores]",
)
@click.option(
    "--missing", is_flag=True, help="Predict the scores that models lack, of all or of --only."
)
@click.option(
    "--only",
    "models",
    multiple=True,
    metavar="MODEL",
    help="With --missing: only this model, also one without any score; with --prompts: this model "
    "too. Repeatable.",
)
@click.option(
    "--prompts",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Predict the outcomes of MODEL on the prompts of a file instead: JSON lines with the "
    "fields id and prompt.",
)
@click.option(
    "--level",
    type=Finite(0.5, 0.99),
    default=0.9,
    show_default=True,
    help="Share of scores, or of probabilities, that intervals are to hold.",
)
@output_options
@pass_application
def predict(
    application: Application,
    /,
    output: Output,
    *,
    model: str | None,
    benchmarks: tuple[str, ...],
    models: tuple[str, ...],
    prompts: Path | None,
    level: float,
    missing: bool,
) -> None:
    """Print scores of MODEL: measured, or predicted with an interval.

    A prediction rests on outcomes (on a part of the items, of this benchmark or of others), on
    scores of the model on other benchmarks, or on the catalog alone (lineage and metadata): kind
    says which. Beside a measured score stands what would have been predicted without it. With
    --benchmark, the models and scores that a prediction rests on are shown as well. `registry
    train` fits the model that predicts; function `predict` and view `predictions` are the same in
    SQL. With --missing, the scores that models lack, as columns model, benchmark, score, lower,
    upper, kind: predictions, which leaderboards do not count.

    With --prompts, the probability that MODEL answers each prompt of a file well, as columns model,
    id, probability, lower, upper, kind, calibrated, version: of an item like those that the current
    version of the embeddings was trained on, and from its text alone, which leaves much open.

    \b
    Examples:
      registry predict TheBloke/zephyr-7B-beta-AWQ --benchmark gsm8k
      registry predict mistralai/Mistral-7B-v0.1 --level 0.5
      registry predict --missing --benchmark gsm8k --benchmark mmlu_pro --format csv > holes.csv
      registry predict mistralai/Mistral-7B-v0.1 --prompts prompts.jsonl
    """
    from registry.prediction.scores import forecasts

    if prompts is not None:
        if missing or benchmarks:
            raise UsageError("--prompts goes with MODEL, --only and --level alone.")
        print_prompt_predictions(
            application, output, [*([model] if model else []), *models], prompts, level
        )
        return
    if missing == (model is not None):
        raise UsageError("Give a MODEL, or --missing for the scores that models lack.")
    if models and not missing:
        raise UsageError("--only chooses models of --missing; give one MODEL without it.")
    with application.reading() as connection:
        if model is None:
            output.rows(
                MISSING,
                forecasts.missing(connection, benchmarks=benchmarks, models=models, level=level),
                empty="No score is missing that can be predicted.",
            )
        elif benchmarks:
            found = forecasts.predict(connection, model, benchmarks, level=level)
            _print(output, found)
        else:
            if level != 0.9:  # noqa: PLR2004 - the default
                raise UsageError("--level needs --benchmark: without, intervals are of 0.9.")
            _print_all(output, forecasts.of_model(connection, model))


def _print(output: Output, found: Sequence[Forecast]) -> None:
    """Print forecasts with their evidence: one as a document, several as rows."""
    if output.format in {"csv", "quiet"} or len(found) > 1:
        _print_all(output, [asdict(each) for each in found])
        for each in found if output.format == "table" else ():
            say(_evidence(each))
        return
    (one,) = found

    def show(screen: Console) -> None:
        screen.print(_sentence(one), markup=False, highlight=False, soft_wrap=True)
        screen.print(_evidence(one), markup=False, highlight=False, soft_wrap=True)

    output.document(asdict(one), show)


def _print_all(output: Output, rows: Sequence[Mapping[str, Any]]) -> None:
    output.rows(PREDICTED, ([row[field.name] for field in PREDICTED] for row in rows))


def _sentence(of: Forecast) -> str:
    """Return a forecast as a sentence."""
    benchmark = f"{of.benchmark}@{of.benchmark_version}".rstrip("@")
    predicted = f"{_number(of, of.predicted)} is predicted"
    if of.score is None and of.kind != "measured":
        between = f"{of.raw_lower:.6g} to {of.raw_upper:.6g}"
        predicted = f"{of.raw_score:.6g} is predicted ({between})"
    elif of.predicted is not None:
        predicted += f" ({of.predicted_lower:.3f} to {of.predicted_upper:.3f})"
    weak = f" Weak: {of.caution}." if of.caution else ""
    if of.kind == "measured":
        without = f"; {predicted} without it" if of.predicted is not None else ""
        return f"{of.model} scores {_number(of, of.score)} on {benchmark}, measured{without}.{weak}"
    basis = {
        "outcomes": "its outcomes on parts of benchmarks and its scores",
        "scores": "its scores on other benchmarks",
        "catalog": "lineage and metadata alone",
    }[of.kind]
    return f"{of.model} on {benchmark}: {predicted}, from {basis}.{weak}"


def _number(of: Forecast, share: float | None) -> str:
    return f"{of.raw_score:.6g}" if share is None else f"{share:.3f}"


def _evidence(of: Forecast) -> str:
    """Return lines on what a forecast rests on."""
    lines = [
        f"  {each['benchmark']} {each['score']:.3f} (weight {each['weight']:.2f})"
        for each in of.evidence["scores"]
    ]
    if lines:
        lines.insert(0, "Its scores on other benchmarks that weigh most:")
    relatives = [
        f"  {each['model']}{_relation(each)} {each['score']:.3f} (weight {each['weight']:.2f})"
        for each in of.evidence["relatives"]
    ]
    if relatives:
        lines += ["Models like it with a score there:", *relatives]
    return "\n".join(lines) if lines else "No model like it has a score there."


def _relation(relative: Mapping[str, Any]) -> str:
    return f" [{relative['relation']}]" if "relation" in relative else ""
