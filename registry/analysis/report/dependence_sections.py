"""Sections of a report on models that are not independent: families, authors and parents."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from sqlalchemy import Engine

from registry.analysis.listing import listed
from registry.analysis.p_values import p_value
from registry.analysis.report.document import ReportSection, ReportTable, Span, SpanFigure
from registry.analysis.report.sections import analysed
from registry.analysis.report.sentences import interval, lost_effects, range_of, titled
from registry.analysis.statistics.mixed_models import MixedAnalysis, MixedEffect, run_mixed
from registry.analysis.statistics.score_frame import FrameOptions, read_frame
from registry.enums import Grouping, MixedSubject
from registry.errors import UsageError

FACTORS = (Grouping.FAMILY, Grouping.AUTHOR)
"""What models may share, the first that can be used before others."""

LEAST_SHARING = 20
"""Models beyond the first of their groups without which what a group shares cannot be told from
what is of one model alone."""

PLURAL = {Grouping.FAMILY: "families", Grouping.AUTHOR: "authors"}


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedFactor:
    """How many models share a family or an author, on the benchmark where most do.

    Attributes:
        factor: what they share.
        models: whose group is known.
        groups: of them.
    """

    factor: Grouping
    models: int
    groups: int

    @property
    def usable(self) -> bool:
        """Whether there are enough models with others of their group."""
        return self.models - self.groups >= LEAST_SHARING and self.groups > 1


def shared_factors(engine: Engine, options: FrameOptions) -> list[SharedFactor]:
    """Return how many models share a family, and an author."""
    frame = read_frame(engine, replace(options, grouping=None, factors=FACTORS))
    found = []
    for factor in FACTORS:
        counts = []
        for column in range(len(frame.benchmarks)):
            of = frame.factors[factor][np.isfinite(frame.values[:, column]), column]
            names = [name for name in of if name is not None]
            counts.append((len(names), len(set(names))))
        models, groups = max(counts, key=lambda count: count[0] - count[1])
        found.append(SharedFactor(factor=factor, models=models, groups=groups))
    return found


def dependence_section(
    engine: Engine, options: FrameOptions, groupings: Sequence[Grouping], level: float
) -> ReportSection:
    """Return what part of the variance families and authors have, and which findings are lost."""
    factors = shared_factors(engine, options)
    usable = _in_order([each for each in factors if each.usable])
    said = [
        f"A random effect of {each.factor} is not used: {_why_not(each)}."
        for each in factors if not each.usable
    ]  # fmt: skip
    figures, tables, notes = [], [], list[str]()
    for factor in usable:
        try:
            found = run_mixed(engine, options, MixedSubject.NONE, [factor], level=level)
        except UsageError as error:
            said.append(f"Shares of {factor} were not computed: {error}")
            continue
        shares = [each for each in found.effects if each.term == str(factor)]
        said.append(_share_sentence(shares, factor))
        notes += found.stored.notes
        figures.append(_share_figure(shares, factor, found))
    for grouping in groupings:
        factor_of = next((each for each in usable if each != grouping), None)
        if factor_of is None:
            said.append(
                f"Which differences by {grouping} are lost is not known: no random effect is left."
            )
            continue
        try:
            found = run_mixed(
                engine, replace(options, grouping=grouping), MixedSubject.GROUPS, [factor_of],
                level=level,
            )  # fmt: skip
        except UsageError as error:
            said.append(f"Differences by {grouping} were not computed: {error}")
            continue
        said += _lost_sentences(found.effects, grouping, factor_of, level)
        notes += found.stored.notes
        if tests := [each for each in found.effects if each.kind == "test"]:
            tables.append(_test_table(tests, grouping, factor_of, found))
    return ReportSection(
        title="Models that share a family or an author",
        sentences=said,
        figures=figures,
        tables=tables,
        notes=notes,
    )


def _in_order(shared: Sequence[SharedFactor]) -> list[Grouping]:
    """Return families before authors, but not where half of the models or more would be lost."""
    most = max((each.models for each in shared), default=0)
    return [each.factor for each in sorted(shared, key=lambda each: 2 * each.models < most)]


def _why_not(shared: SharedFactor) -> str:
    if not shared.models:
        return f"no model's {shared.factor} is known"
    if shared.groups == 1:
        return f"all {shared.models:,} models whose {shared.factor} is known are of one"
    return (
        f"{shared.models:,} models whose {shared.factor} is known are of {shared.groups:,}"
        f" {PLURAL[shared.factor]}, so that what they share cannot be told from what is of one"
        " model alone"
    )


def _share_sentence(shares: Sequence[MixedEffect], factor: Grouping) -> str:
    known = [each.share for each in shares if each.share is not None]
    least, most = min(known), max(known)
    part = f"{least:.0%}" if least == most else f"{least:.0%} to {most:.0%}"
    return (
        f"{str(factor).capitalize()} goes with {part} of the variance, over"
        f" {range_of([each.n for each in shares])} models of"
        f" {range_of([each.groups or 0 for each in shares])} {PLURAL[factor]} a benchmark: models"
        " of one are alike, and count for less than as many independent ones. What they share may"
        " be size or architecture."
    )


def _share_figure(
    shares: Sequence[MixedEffect], factor: Grouping, found: MixedAnalysis
) -> SpanFigure:
    return SpanFigure(
        caption=f"Share of the variance of scores between {PLURAL[factor]} (random effect of"
        f" {factor} alone, by REML); no interval is computed. {analysed(found.stored)}",
        spans=[
            Span(
                name=titled(each.benchmark, each.version), value=each.share, lower=None, upper=None,
                said=f"{each.share:.2f}, n={each.n:,}",
            )
            for each in shares if each.share is not None
        ],
        low=0, high=1,
    )  # fmt: skip


def _lost_sentences(
    effects: Sequence[MixedEffect], grouping: Grouping, factor: Grouping, level: float
) -> list[str]:
    """Say which differences are found, and which only if models were independent."""
    said = []
    counted = [each for each in effects if each.kind == "random"]
    for kind, what in (
        ("test", "benchmarks"),
        ("fixed", "groups beside that of comparison"),
    ):
        of = [
            each for each in effects
            if each.kind == kind and each.p is not None and each.plain_p is not None
        ]  # fmt: skip
        plain = [each for each in of if (each.plain_p or 0) < 1 - level]
        lost = lost_effects(of, level)
        gained = [each for each in of if (each.p or 0) < 1 - level <= (each.plain_p or 0)]
        if not of:
            continue
        sentence = (
            f"By {grouping}, over {range_of([each.n for each in counted])} models a benchmark,"
            f" {len(plain)} of {len(of)} {what} would be found to differ (p below {1 - level:.2g},"
            " not corrected for the number of tests) if models were independent; with a random"
            f" effect of {factor} {_how_many(lost)}"
        )
        if gained:
            sentence += f", and {len(gained)} found besides: {_effect_names(gained)}"
        said.append(sentence + ".")
    return said


def _how_many(lost: Sequence[MixedEffect]) -> str:
    if not lost:
        return "none of them is lost"
    return f"{len(lost)} of them {'is' if len(lost) == 1 else 'are'} lost ({_effect_names(lost)})"


def _effect_names(effects: Sequence[MixedEffect]) -> str:
    return listed([_effect_name(each) for each in effects])


def _effect_name(effect: MixedEffect) -> str:
    title = titled(effect.benchmark, effect.version)
    if effect.group_name is None:
        return title
    return f"{effect.group_name} beside {effect.reference} on {title}"


def _test_table(
    tests: Sequence[MixedEffect], grouping: Grouping, factor: Grouping, found: MixedAnalysis
) -> ReportTable:
    return ReportTable(
        caption=f"Tests of equal means by {grouping} with a random effect of {factor} (F, degrees"
        " of freedom by Satterthwaite), p corrected for the number of benchmarks (Holm), and"
        f" beside it p, not corrected, with the effect and if models were independent."
        f" {analysed(found.stored)}",
        headings=("benchmark", "n", "groups", "F", "p corrected", "p", "p if independent"),
        rows=[
            [titled(each.benchmark, each.version), f"{each.n:,}", str(each.groups),
             f"{each.statistic:.4g}" if each.statistic is not None else "not known",
             p_value(each.holm), p_value(each.p), p_value(each.plain_p)]
            for each in tests
        ],
    )  # fmt: skip


def parents_section(engine: Engine, options: FrameOptions, level: float) -> ReportSection:
    """Return whether models are better than their parents, by relation."""
    found = _beside_parents(engine, options, level)
    effects = [each for each in found.effects if each.kind == "fixed" and each.estimate is not None]
    said = []
    for relation in dict.fromkeys(each.group_name for each in effects):
        of = [each for each in effects if each.group_name == relation]
        clear = [each for each in of if each.holm is not None and each.holm < 1 - level]
        higher = sum((each.estimate or 0) > 0 for each in clear)
        said.append(
            f"{str(relation).capitalize()}: {range_of([each.n for each in of])} models a benchmark;"
            f" higher than the parent on {higher} of {len(of)} benchmarks, lower on"
            f" {len(clear) - higher}, and on {len(of) - len(clear)} no difference was found."
        )
    ends = [end for each in effects for end in (each.estimate, each.lower, each.upper)
            if end is not None]  # fmt: skip
    return ReportSection(
        title="Models beside their parents",
        sentences=[
            *said,
            ("Scores of a model and its parent are on the same benchmark and in the same setup;"
            " which models are made from others and published is no random choice."),
        ],
        notes=found.stored.notes,
        figures=[
            SpanFigure(
                caption="Mean difference of a model's score from its parent's (shares, or raw where"
                f" the measure has no bounds), with {level:.0%} intervals, by relation."
                f" {analysed(found.stored)}",
                spans=[
                    Span(
                        name=f"{titled(each.benchmark, each.version)}, {each.group_name}",
                        value=each.estimate or 0.0, lower=each.lower, upper=each.upper,
                        said=f"{interval(each.estimate, each.lower, each.upper)} n={each.n:,}",
                    )
                    for each in effects
                ],
                low=min(0.0, *ends), high=max(0.0, *ends),
            )
        ],
        tables=[
            ReportTable(
                caption="Differences of models from their parents, p corrected for the number of"
                f" effects (Holm), beside p if models were independent. {analysed(found.stored)}",
                headings=("benchmark", "relation", "n", "difference", "p corrected", "p",
                          "p if independent"),
                rows=[
                    [titled(each.benchmark, each.version), str(each.group_name), f"{each.n:,}",
                     interval(each.estimate, each.lower, each.upper), p_value(each.holm),
                     p_value(each.p), p_value(each.plain_p)]
                    for each in effects
                ],
            )
        ],
    )  # fmt: skip


def _beside_parents(engine: Engine, options: FrameOptions, level: float) -> MixedAnalysis:
    """Return models less their parents, with a random effect of family or, else, of author.

    Raises:
        UsageError: as that of families does.
    """
    of = replace(options, grouping=None)
    try:
        return run_mixed(engine, of, MixedSubject.PARENTS, [Grouping.FAMILY], level=level)
    except UsageError:
        try:
            return run_mixed(engine, of, MixedSubject.PARENTS, [Grouping.AUTHOR], level=level)
        except UsageError:
            pass
        raise
