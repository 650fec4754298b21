"""Output of `registry predict --prompts`: outcomes of models on prompts of a file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Any

from registry.cli.application import Application
from registry.cli.console import say
from registry.cli.output import Field, Output, decimals, plain
from registry.errors import UsageError

if TYPE_CHECKING:
    from registry.prediction.prompts import PromptPredictions

FIELDS = (
    Field("model", kept=True),
    Field("id", kept=True),
    Field("probability", look=decimals, right=True, kept=True),
    Field("lower", look=decimals, right=True, kept=True),
    Field("upper", look=decimals, right=True, kept=True),
    Field("kind"),
    Field("calibrated"),
    Field("version", look=plain, right=True),
)


def print_prompt_predictions(
    application: Application, output: Output, models: Sequence[str], file: Path, level: float
) -> None:
    """Print the probability of a right answer of each model on each prompt, with its interval.

    Args:
        application: to open the database by.
        output: to print to.
        models: any names.
        file: JSON lines with the fields id and prompt.
        level: share of probabilities that intervals are to hold.

    Raises:
        UsageError: without a model.
        RegistryError: as `registry.prediction.prompts.read_prompts` and `predict_prompts`.
    """
    from registry.prediction.prompts import predict_prompts, read_prompts

    if not models:
        raise UsageError("Give a MODEL, or models by --only, to predict outcomes of.")
    prompts = read_prompts(file)
    with application.engine() as engine:
        found = predict_prompts(engine, models, prompts, level=level)
    output.rows(FIELDS, _rows(found))
    if found.cut.any():
        count = int(found.cut.sum())
        say(f"{count:,} of the prompts are longer than the encoder reads: a part of each counts.")
    if not found.calibrated:
        say(
            f"The probabilities of version {found.version} were not measured to hold, or do not: "
            "take them as weak. `registry embeddings show` has the figures."
        )


def _rows(found: PromptPredictions) -> Iterator[list[Any]]:
    for at, model in enumerate(found.models):
        for place, prompt in enumerate(found.prompts):
            yield [
                model,
                prompt,
                float(found.probability[at, place]),
                _end(found.lower[at, place]),
                _end(found.upper[at, place]),
                str(found.kind[at]),
                found.calibrated,
                found.version,
            ]


def _end(value: float) -> float | None:
    return None if isnan(value) else float(value)
