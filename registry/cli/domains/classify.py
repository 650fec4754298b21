"""Command `registry domains classify`, and prompts of the command line or of a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from registry.cli.application import Application, pass_application
from registry.cli.output import Field, Output, decimals, output_options
from registry.cli.parameters import AT_LEAST_ONE
from registry.errors import UsageError

if TYPE_CHECKING:
    from registry.prediction.prompts import Prompt

_FIELDS = (
    Field("prompt", kept=True),
    Field("domain", kept=True),
    Field("probability", look=decimals, right=True, kept=True),
    Field("confident"),
    Field("energy", look=decimals, right=True),
    Field("by", tabled=False),
)


@click.command()
@click.argument("prompt", required=False)
@click.option(
    "--prompts",
    "path",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="A file of prompts instead: JSON lines with the fields id and prompt.",
)
@click.option("--set", "domain_set", metavar="NAME", help="Set of domains.  [default: modem]")
@click.option(
    "--classifier",
    "folder",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="By this one of `registry domains finetune` instead.",
)
@click.option("-k", type=AT_LEAST_ONE, default=1, show_default=True, help="Domains of each.")
@output_options
@pass_application
def classify(
    application: Application,
    /,
    output: Output,
    prompt: str | None,
    path: Path | None,
    **chosen: Any,
) -> None:
    """Print the domains that PROMPT may be of.

    PROMPT is a text, or `-` to read it from stdin: its vector counts, and its words, which SQL and
    the routers do not have, so that theirs may be another domain; column by says so. Probabilities
    are calibrated on items that the training left out. A prompt is confident where its domain can
    be relied on: likely enough, not the fallback, and like some of the items.

    \b
    Examples:
      registry domains classify "What is the derivative of x^2?" -k 3
      registry domains classify --prompts prompts.jsonl --format csv
      registry domains classify "Why is the sky blue?" --classifier modem-router
    """
    from registry.prediction.domains.domain_prompts import classify_texts
    from registry.prediction.prompt_texts import naming_lines

    prompts = given_prompts(prompt, path)
    texts = {each.id: each.text for each in prompts}
    folder, domain_set = chosen.pop("folder"), chosen.pop("domain_set")
    if folder is not None:
        if domain_set is not None:
            raise UsageError("The domains are those of the classifier: leave --set out.")
        from registry.prediction.domains.domain_finetuning import classify_by_encoder

        with naming_lines(path, prompts):
            found = classify_by_encoder(folder, list(texts.values()), k=chosen["k"])
    else:
        with naming_lines(path, prompts), application.engine() as engine:
            found = classify_texts(engine, list(texts.values()), domain_set or "modem", **chosen)
    output.rows(
        _FIELDS,
        ([key, *each] for key, of_prompt in zip(texts, found, strict=True) for each in of_prompt),
    )


def given_prompts(prompt: str | None, path: Path | None) -> list[Prompt]:
    """Return the prompt of an argument or of stdin, or those of a file.

    Raises:
        UsageError: when there is none, or both are given.
    """
    from registry.prediction.prompts import Prompt, read_prompts

    if (prompt is None) == (path is None):
        raise UsageError("Give a PROMPT, or a file of them with --prompts.")
    if path is not None:
        return read_prompts(path)
    if prompt == "-":
        prompt = click.open_file("-", errors="replace").read()
    if prompt is None or not prompt.strip():
        raise UsageError("There is no prompt: give a text, or - and a text on stdin.")
    return [Prompt("1", prompt)]
