"""Commands `registry domains list`, `show` and `import`."""

from __future__ import annotations

from pathlib import Path

import click

from registry.cli.application import Application, pass_application
from registry.cli.console import say
from registry.cli.output import Field, Output, decimals, grouped, output_options, plain

SETS = (
    Field("domain_set", "set", kept=True),
    Field("domains", right=True, kept=True),
    Field("items", look=grouped, right=True),
    Field("accuracy", look=decimals, right=True),
    Field("accuracy_with_words", "with words", look=decimals, right=True),
    Field("calibration_error", look=decimals, right=True),
    Field("confidence_auc", look=decimals, right=True),
    Field("encoder"),
    Field("shipped"),
    Field("trained_at", tabled=False),
    Field("description", whole=True),
)

DOMAINS = (
    Field("domain", kept=True),
    Field("fallback"),
    Field("items", look=grouped, right=True),
    Field("accuracy", look=decimals, right=True),
    Field("models", look=grouped, right=True),
    Field("subjects", look=plain, whole=True),
)


@click.command("list")
@output_options
@pass_application
def list_(application: Application, output: Output) -> None:
    """Print the sets of domains, and how accurate their classifiers are.

    Accuracy and calibration are of items that the training left out; with words are those of the
    form that reads the text too.

    \b
    Example:
      registry domains list
    """
    from registry.prediction.domains import domain_tables

    with application.reading() as connection:
        output.rows(
            SETS,
            domain_tables.list_sets(connection, [field.name for field in SETS]),
            empty="No set of domains is stored: registry domains train stores those that ship.",
        )


@click.command()
@click.argument("name", default="modem")
@output_options
@pass_application
def show(application: Application, name: str, output: Output) -> None:
    """Print the domains of the set NAME, with their subjects.

    The set is modem by default.

    \b
    Examples:
      registry domains show
      registry domains show mmlu_pro --format csv
    """
    from registry.prediction.domains import domain_tables

    with application.reading() as connection:
        output.rows(
            DOMAINS,
            domain_tables.list_domains(connection, name, [field.name for field in DOMAINS]),
        )


@click.command("import")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--name", metavar="NAME", help="Name of the only set.  [default: as the file has it]")
@pass_application
def import_(application: Application, path: Path, name: str | None) -> None:
    """Import sets of domains from a file.

    A set of the same name that differs is replaced.

    YAML of sets, each with its domains, and for each domain the benchmarks with their subjects, or
    all; docs/routing.md has an example. CSV of one set has the columns domain, benchmark (* for
    any) and, as it likes, subject and fallback. A set that is replaced loses its classifier: train
    it again.

    \b
    Examples:
      registry domains import ours.yaml
      registry domains import mapping.csv --name support
    """
    from registry.prediction.domains.domain_import import import_sets

    with application.engine() as engine:
        application.set_up(engine)
        for report in import_sets(engine, path, name):
            did = "is stored" if report.changed else "is the same as before"
            say(f"The set {report.name}, of {report.domains} domains, {did}.")
            if report.changed:
                say(f"registry domains train {report.name} learns to tell them apart.")
