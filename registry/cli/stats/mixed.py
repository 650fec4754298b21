"""Command `registry stats mixed`."""

from __future__ import annotations

from typing import Any

import click

from registry.cli.application import Application, pass_application
from registry.cli.console import say
from registry.cli.extras import require
from registry.cli.output import Field, Output, grouped, output_options
from registry.cli.parameters import OneOf, Whole
from registry.cli.stats.options import (
    frame_options,
    one_grouping,
    probability,
    say_analysis,
    signed,
    slice_options,
)
from registry.enums import Grouping, MixedSubject
from registry.errors import UsageError

FIELDS = (
    Field("benchmark", whole=True),
    Field("version", tabled=False),
    Field("kind", tabled=False),
    Field("term", whole=True, kept=True),
    Field("group_name", "group", whole=True, kept=True),
    Field("reference", "beside", whole=True),
    Field("n", look=grouped, right=True),
    Field("groups", look=lambda value: "" if value is None else grouped(value), right=True),
    Field("estimate", look=signed, right=True, kept=True),
    Field("error", tabled=False),
    Field("lower", "from", look=signed, right=True),
    Field("upper", "to", look=signed, right=True),
    Field("share", look=lambda value: "" if value is None else f"{value:.0%}", right=True),
    Field("statistic", tabled=False),
    Field("df", look=lambda value: "" if value is None else f"{value:.1f}", right=True),
    Field("p", look=probability, right=True, kept=True),
    Field("plain_p", "p if independent", look=probability, right=True, kept=True),
    Field("holm", "p corrected", look=probability, right=True),
    Field("plain_estimate", tabled=False),
    Field("plain_error", tabled=False),
)


@click.command()
@click.option(
    "--by",
    "grouping",
    type=OneOf(Grouping),
    multiple=True,
    callback=one_grouping,
    help="Compare groups of models by this.",
)
@click.option(
    "--effect",
    type=OneOf(MixedSubject),
    help="Or the change over time, or models less their parents, or none: variances alone.",
)
@click.option(
    "--random",
    multiple=True,
    type=OneOf(Grouping),
    default=(Grouping.FAMILY,),
    help="With a random effect of this grouping; repeatable.  [default: family]",
)
@click.option("--cuts", metavar="BILLIONS", help="Bounds of ranges of size, with --by size.")
@click.option(
    "--least",
    type=Whole(min=2),
    default=5,
    show_default=True,
    help="Leave out groups with fewer scores on a benchmark.",
)
@click.option(
    "--most",
    type=Whole(min=2),
    default=12,
    show_default=True,
    help="Compare no more groups than this, the largest.",
)
@slice_options
@output_options
@pass_application
def mixed(
    application: Application,
    /,
    *,
    output: Output,
    level: float,
    effect: MixedSubject | None,
    random: tuple[Grouping, ...],
    **chosen: Any,
) -> None:
    """Find effects where models of one family are not independent.

    Linear mixed models by REML, with random effects of family, author, architecture and others:
    differences of groups, change per year, or models less their parents on the same benchmark and
    in the same setup, by relation. Beside each p is what it would be if models were independent.
    Families and parents are known of models that `registry sync` has stored; authors of all.

    \b
    Examples:
      registry stats mixed --by size --random author
      registry stats mixed --effect parents
      registry stats mixed --effect none --random author --random architecture
    """
    require("scipy", "statsmodels", "mixedlm", doing="Fitting mixed models", extra="stats")
    from registry.analysis.report.sentences import lost_effects
    from registry.analysis.statistics.mixed_models import run_mixed

    subject = effect or (MixedSubject.NONE if chosen["grouping"] is None else MixedSubject.GROUPS)
    if effect is None and chosen["grouping"] is None:
        raise UsageError("Name what to compare: --by size, or --effect time, parents or none.")
    options = frame_options(**chosen)
    with application.engine() as engine:
        found = run_mixed(engine, options, subject, random, level=level)
    rows = [[getattr(each, field.name) for field in FIELDS] for each in found.effects]
    output.rows(FIELDS, rows)
    say_analysis(found.stored)
    lost = len(lost_effects(found.effects, level))
    if lost:
        said = "1 effect is" if lost == 1 else f"{lost} effects are"
        say(f"{said} significant only if models were independent.")
