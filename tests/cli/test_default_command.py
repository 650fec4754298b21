"""Groups that are a command themselves: which command gets which arguments."""

import click
import pytest
from click.testing import CliRunner

from registry.cli.default_command import DefaultCommandGroup


def said(*arguments: str, **environ: str) -> str:
    @click.command()
    @click.argument("text")
    @click.option("-k", type=int, default=1, help="How many.")
    @click.option("--loud", is_flag=True, help="Aloud.")
    def say(text: str, k: int, *, loud: bool) -> None:
        """Say TEXT."""
        click.echo(f"say {text} {k} {loud}")

    @click.command()
    @click.argument("file", default="-")
    def report(file: str) -> None:
        """Report on a FILE."""
        click.echo(f"report {file}")

    group = DefaultCommandGroup("say", say)
    group.add_command(report)
    whole = click.Group("whole", {"say": group})
    return CliRunner().invoke(whole, ["say", *arguments], prog_name="all", env=environ).output


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("hello",), "say hello 1 False"),
        (("-k", "3", "hello"), "say hello 3 False"),
        (("hello", "-k", "3", "--loud"), "say hello 3 True"),
        (("--loud", "report"), "say report 1 True"),
        (("--", "report"), "say report 1 False"),
        (("say",), "say say 1 False"),
        (("report",), "report -"),
        (("report", "a"), "report a"),
    ],
)
def test_the_first_argument_chooses(arguments: tuple[str, ...], expected: str) -> None:
    assert said(*arguments) == f"{expected}\n"


def test_help_shows_both() -> None:
    shown = said("--help")
    assert shown.startswith("Usage: all say [OPTIONS] TEXT\n\n  Say TEXT.")
    assert "How many." in shown
    assert "report  Report on a FILE." in shown
    assert said("hello", "--help").startswith("Usage: all say [OPTIONS] TEXT\n")


def test_errors_name_the_group() -> None:
    assert "Usage: all say [OPTIONS] TEXT" in said()
    assert "Missing argument 'TEXT'" in said()
    assert "Usage: all say report" in said("report", "a", "b")


def test_completion_offers_the_other_commands() -> None:
    group = DefaultCommandGroup("say", click.Command("say", params=[click.Option(["--loud"])]))
    group.add_command(click.Command("report"))
    context = group.make_context("say", [], resilient_parsing=True)
    assert [each.value for each in group.shell_complete(context, "re")] == ["report"]
