"""`registry embeddings`: versions of learned vectors; `registry nearest` beside it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from registry.cli.application import Application, pass_application
from registry.cli.console import say
from registry.cli.embeddings.coldstart_test import coldstart_test
from registry.cli.embeddings.compare import compare
from registry.cli.embeddings.map_page import map_
from registry.cli.embeddings.nearest import nearest
from registry.cli.embeddings.place import place, say_placed
from registry.cli.embeddings.probe import probe
from registry.cli.embeddings.version_page import draw
from registry.cli.output import Field, Output, decimals, grouped, output_options, plain
from registry.cli.parameters import AT_LEAST_ONE, OneOf
from registry.cli.progress import trainings
from registry.enums import VectorFormat
from registry.errors import UsageError

if TYPE_CHECKING:
    from registry.embeddings.versions import EmbeddingVersion

__all__ = ["embeddings", "nearest"]

LISTED = (
    Field("version", right=True, kept=True),
    Field("method", kept=True),
    Field("state", kept=True),
    Field("created_at", "created (UTC)"),
    Field("models", look=grouped, right=True),
    Field("items", look=grouped, right=True),
    Field("outcomes", look=grouped, right=True),
    Field("dimension", right=True),
    Field("encoder"),
    Field("aligned_to", look=plain, right=True),
    Field("alignment_residual", "residual", look=decimals, right=True),
    Field("churn", look=decimals, right=True),
    Field("promoted_at", "promoted (UTC)"),
    Field("reason", whole=True),
    Field("metrics", tabled=False),
    Field("data_fingerprint", tabled=False),
)


@click.group()
def embeddings() -> None:
    """Manage versions of learned embeddings, one of which is current.

    \b
    Example:
      registry embeddings list
    """


embeddings.add_command(map_)
embeddings.add_command(probe)
embeddings.add_command(place)
embeddings.add_command(compare)
embeddings.add_command(coldstart_test)


@embeddings.command("list")
@output_options
@pass_application
def list_(application: Application, output: Output) -> None:
    """List the versions, newest first.

    \b
    Example:
      registry embeddings list
    """
    from registry.embeddings.versions import list_versions

    with application.reading() as connection:
        versions = list_versions(connection)
    _print(output, versions)


def _print(output: Output, versions: list[EmbeddingVersion]) -> None:
    rows = ([getattr(version, field.name) for field in LISTED] for version in versions)
    output.rows(LISTED, rows, empty="There are no embeddings yet; `registry train` learns some.")


@embeddings.command()
@click.argument("version", type=AT_LEAST_ONE, required=False)
@output_options
@pass_application
def show(application: Application, version: int | None, output: Output) -> None:
    """Print how a version was trained and how well it predicts.

    VERSION is by default the current one. Metrics are of held-out outcomes, for each benchmark as
    well. For each exam (benchmarks that mostly the same models took), the share of the nearest
    neighbours that took the same one stands beside the share by the catalog alone and that of all
    models: where it is much more, near models are those with the same exam.

    \b
    Examples:
      registry embeddings show
      registry embeddings show 3 --format json
    """
    from registry.embeddings.judging.sentences import movement, warnings_of
    from registry.embeddings.versions import read_version

    with application.reading() as connection:
        found = read_version(connection, version)
    content = asdict(found)
    moved = movement(found)
    output.document(content, lambda screen: draw(screen, content, [moved] if moved else []))
    for warning in warnings_of(found.metrics):
        say(warning)


@embeddings.command()
@click.argument("version", type=AT_LEAST_ONE)
@click.option("--force", is_flag=True, help="Promote it even if it was refused.")
@output_options
@pass_application
def promote(application: Application, version: int, output: Output, *, force: bool) -> None:
    """Make VERSION the current one.

    Models that have no vector of it yet get one first, as by `registry embeddings place`. Readers
    see the version before or this one, never a mix.

    \b
    Example:
      registry embeddings promote 4
    """
    from registry.embeddings import publication

    with trainings("looking for models to place") as on_progress, application.engine() as engine:
        application.set_up(engine)
        published = publication.promote(engine, version, force=force, on_progress=on_progress)
    if published.before == version:
        say(f"Version {version} is current already.")
    else:
        say(f"Version {version} is current now{_instead(published.before)}.")
    _print(output, [published.version])
    say_placed(published.placement)


def _instead(before: int | None) -> str:
    return "" if before is None else f", instead of {before}"


@embeddings.command()
@output_options
@pass_application
def rollback(application: Application, output: Output) -> None:
    """Make the previously current version current again.

    A second rollback goes one version further back.

    \b
    Example:
      registry embeddings rollback
    """
    from registry.embeddings import publication

    with trainings("looking for models to place") as on_progress, application.engine() as engine:
        application.set_up(engine)
        published = publication.rollback(engine, on_progress=on_progress)
    say(f"Version {published.version.version} is current again{_instead(published.before)}.")
    _print(output, [published.version])
    say_placed(published.placement)


@embeddings.command()
@click.argument("numbers", metavar="VERSION...", type=AT_LEAST_ONE, nargs=-1, required=True)
@pass_application
def drop(application: Application, numbers: tuple[int, ...]) -> None:
    """Remove versions with their vectors.

    All of them or none; the current one cannot be dropped.

    \b
    Example:
      registry embeddings drop 1 2
    """
    from registry.embeddings import versions

    with application.writing() as connection:
        for number in numbers:
            versions.drop(connection, number)
    say(f"Dropped {', '.join(map(str, numbers))}.")


@embeddings.command()
@click.argument("target", metavar="FILE", type=click.Path(path_type=Path))
@click.option(
    "--to",
    "file_format",
    type=OneOf(VectorFormat),
    help="Format of the file.  [default: by its suffix; parquet without one]",
)
@click.option("--version", type=AT_LEAST_ONE, help="Version.  [default: the current one]")
@pass_application
def export(
    application: Application, target: Path, file_format: str | None, version: int | None
) -> None:
    """Write the vectors of a version to a new file.

    All of them or nothing, each with its kind, uncertainty and support. The metadata of the file
    hold the provenance: version, method, settings, seed, metrics, encoder, data and code.

    \b
    Examples:
      registry embeddings export embeddings.parquet
      registry embeddings export embeddings.safetensors --version 3
    """
    from registry.embeddings.export import export as write

    ending = target.suffix.removeprefix(".")
    if ending in set(VectorFormat) and file_format not in {None, ending}:
        raise UsageError(f"{target} has the suffix of another format than {file_format}.")
    if ending and ending not in set(VectorFormat) and file_format is None:
        raise UsageError(
            f"The format of {target} is unknown: name it .parquet or .safetensors, or use --to."
        )
    chosen = file_format or ending or "parquet"
    with application.engine() as engine:
        written = write(engine, target, chosen, version)
    say(
        f"{target}: {len(written.models):,} vectors of {written.provenance['dimension']} "
        f"dimensions, version {written.version}, {target.stat().st_size:,} bytes."
    )
