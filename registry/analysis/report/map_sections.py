"""Sections of a report on many benchmarks at once: abilities, and a map of models."""

from dataclasses import replace

import numpy as np
from sqlalchemy import Engine

from registry.analysis.report.document import (
    MapFigure,
    ReportSection,
    ReportTable,
    Span,
    SpanFigure,
)
from registry.analysis.report.sections import analysed
from registry.analysis.report.sentences import (
    factor_sentence,
    interval,
    map_sentences,
    number,
    titled,
)
from registry.analysis.statistics.ability_factors import run_factors
from registry.analysis.statistics.model_maps import run_map
from registry.analysis.statistics.score_frame import FrameOptions
from registry.enums import Grouping

MOST_FACTORS = 3
"""Factors whose loadings are drawn."""


VERDICTS = {
    "apart": "So groups lie apart by their scores.",
    "overlapping": "So models have more neighbours of their group than by chance, but on the whole"
    " groups are no clusters of their own.",
    "no difference found": "That models of one group lie nearer each other than by chance was not"
    " found.",
}
"""What a verdict on groups says."""


def ability_section(engine: Engine, options: FrameOptions, level: float) -> ReportSection:
    """Return how many abilities are behind scores, and what the first one explains."""
    found = run_factors(engine, options, level=level)
    kept = [each.factor for each in found.factors if each.kept]
    return ReportSection(
        title="Abilities",
        sentences=[
            (f"Over {found.stored.model_count:,} models with a score on each of"
            f" {len(found.factors)} benchmarks, standardised: {factor_sentence(found)}"),
            ("That is how scores go together among these models, whose size and training may lift"
            " all scores at once; it is no ability of one model. The interval takes models as"
            " independent."),
        ],
        notes=found.stored.notes,
        figures=[
            SpanFigure(
                caption=f"Loadings on factor {factor}{' (rotated, varimax)' * (len(kept) > 1)}:"
                f" correlations of benchmarks with it, with {level:.0%} intervals over resampled"
                f" models. {analysed(found.stored)}",
                spans=[
                    Span(
                        name=titled(each.benchmark, each.version), value=each.loading,
                        lower=each.lower, upper=each.upper,
                        said=interval(each.loading, each.lower, each.upper),
                    )
                    for each in found.loadings if each.factor == factor
                ],
                low=min(0.0, *(each.lower for each in found.loadings)), high=1,
            )
            for factor in kept[:MOST_FACTORS]
        ],
        tables=[
            ReportTable(
                caption="Factors by eigenvalue, beside what chance does on as many models"
                f" (parallel analysis), and shares of the variance. {analysed(found.stored)}",
                headings=("factor", "eigenvalue", "by chance", "more than chance", "share"),
                rows=[
                    [str(each.factor), number(each.eigenvalue), number(each.by_chance),
                     "yes" if each.kept else "no",
                     interval(each.share, each.share_lower, each.share_upper)]
                    for each in found.factors
                ],
            )
        ],
    )  # fmt: skip


def map_section(
    engine: Engine, options: FrameOptions, grouping: Grouping | None, level: float
) -> ReportSection:
    """Return a map of models by their scores, and whether groups lie apart."""
    found = run_map(engine, replace(options, grouping=grouping), level=level)
    groups = f", coloured by {grouping}" if grouping is not None else ""
    said = map_sentences(found.check)
    if verdict := VERDICTS.get(found.check.verdict):
        said.append(verdict)
    if found.check.silhouette is not None:
        said.append(
            "Silhouette, neighbours and adjusted Rand are of the scores, not of the plane; p takes"
            " models as independent, which those of one family are not."
        )
    return ReportSection(
        title="Map of models",
        sentences=[
            *said,
            ("Near models have like scores; how far clusters lie from each other, and how wide they"
            " are, says nothing on such a map."),
        ],
        notes=found.stored.notes,
        figures=[
            MapFigure(
                caption=f"All {found.check.models:,} models with a score on each of"
                f" {found.check.benchmarks} benchmarks, by t-SNE of standardised scores{groups};"
                " the axes have no unit, and dots of one place cover each other."
                f" {analysed(found.stored)}",
                points=np.array([(each.x, each.y) for each in found.points], np.float64),
                groups=[each.group_name for each in found.points],
            )
        ],
    )  # fmt: skip
