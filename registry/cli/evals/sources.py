"""Command `registry evals sources`."""

from __future__ import annotations

import click

from registry.cli.output import Field, Output, output_options


@click.command()
@click.argument("name", required=False)
@output_options
def sources(output: Output, name: str | None) -> None:
    """List public sets of evaluations, and how to import them.

    With a NAME, print the command that imports that set. Sets have licences of their own; some
    forbid commercial use.

    \b
    Examples:
      registry evals sources
      registry evals sources open-llm-leaderboard-v2
      registry evals sources --format json
    """
    from registry.evaluations.remote.public_sets import public_set, public_sets

    if name is not None:
        chosen = public_set(name)
        output.document(
            {
                "name": name,
                "about": chosen.about,
                "holds": chosen.holds,
                "licence": chosen.licence,
                "size": chosen.size,
                "command": chosen.command,
            },
            lambda _: click.echo(
                f"{chosen.about}: {chosen.holds}.\nLicence: {chosen.licence}. "
                f"Size: {chosen.size}.\n{chosen.command}"
            ),
        )
        return
    fields = (
        Field("name", kept=True),
        Field("about"),
        Field("holds", tabled=False),
        Field("read_as", "read as"),
        Field("licence"),
        Field("size"),
        Field("addresses", tabled=False),
        Field("command", tabled=False),
    )
    output.rows(
        fields,
        (
            [
                name,
                each.about,
                each.holds,
                each.read_as,
                each.licence,
                each.size,
                list(each.addresses),
                each.command,
            ]
            for name, each in public_sets().items()
        ),
    )
