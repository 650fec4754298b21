"""Analyses of scores by generalised additive models: how they rise with size and other abilities.

Each response on smooths of the logarithm of size and of other benchmarks' scores, with random
effects of groups of models.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from sqlalchemy import Engine

from registry.analysis.statistics.additive_results import GamFit, GamPoint, GamTerm
from registry.analysis.statistics.additive_samples import (
    ABILITIES,
    SIZE,
    GamOptions,
    ResponseSamples,
    is_benchmark,
)
from registry.analysis.statistics.frame_scores import canonical_benchmarks
from registry.analysis.statistics.score_frame import (
    FrameOptions,
    read_frame,
)
from registry.analysis.statistics.stored_analyses import (
    AnalysisRequest,
    ResultRows,
    StoredAnalysis,
    analysed_once,
    check_level,
    known,
    read_results,
)
from registry.db.connection import reading
from registry.db.schema import gam_curves, gam_fits, gam_terms
from registry.enums import AnalysisKind, Grouping
from registry.errors import UsageError
from registry.learning.statistics.additive import LEAST_DISTINCT
from registry.learning.statistics.corrections import corrected


class GamAnalysis(NamedTuple):
    """A stored analysis: fits, their terms, and the points of the smooths."""

    stored: StoredAnalysis
    fits: Sequence[GamFit]
    terms: Sequence[GamTerm]
    points: Sequence[GamPoint]


def run_gam(
    engine: Engine, options: FrameOptions, model: GamOptions | None = None, *, level: float = 0.95
) -> GamAnalysis:
    """Fit a generalised additive model of each response, and store the analysis.

    One that is stored of the same request and data is read instead.

    Args:
        engine: of a database at head.
        options: which scores; with a grouping the one smooth is one for each of its groups.
        model: which models are fitted.
        level: share of intervals that hold what they are of, in (0, 1).

    Raises:
        UsageError: as `read_frame` does; for a level or a model that is none; and where no
            response can be fitted.
    """
    model = model or GamOptions()
    _check(options, model, level)
    names = sorted({each for each in (*(model.responses or ()), *model.on) if is_benchmark(each)})
    with reading(engine) as connection:
        named = {name: canonical_benchmarks(connection, [name]) for name in names}
    # What is named is read too, whether or not all others are.
    benchmarks = sorted({*(options.benchmarks or ()), *names})
    narrow = options.benchmarks is not None or not _all_benchmarks(model)
    options = replace(
        options, benchmarks=(benchmarks or None) if narrow else None, factors=tuple(model.random)
    )
    frame = read_frame(engine, options)
    request = AnalysisRequest.of(
        AnalysisKind.GAM, options, level=level,
        responses=None if model.responses is None else sorted(set(model.responses)),
        on=sorted(set(model.on)), random=sorted(map(str, model.random)),
        scale="log" if model.log else "raw", basis=model.basis,
    )  # fmt: skip

    def compute(notes: list[str]) -> ResultRows:
        fitted = list(ResponseSamples(frame, options, model, named, notes).fits(level))
        return {
            gam_fits: [each.fit for each in fitted],
            gam_terms: _corrected([term for each in fitted for term in each.terms]),
            gam_curves: [point for each in fitted for point in each.points],
        }

    stored = analysed_once(engine, request, frame, compute)
    with reading(engine) as connection:
        key = stored.analysis_id
        return GamAnalysis(
            stored,
            read_results(connection, gam_fits, GamFit, key),
            read_results(connection, gam_terms, GamTerm, key),
            read_results(connection, gam_curves, GamPoint, key),
        )


def _all_benchmarks(model: GamOptions) -> bool:
    """Return whether benchmarks count that are not named."""
    return model.responses is None or ABILITIES in model.on


def _check(options: FrameOptions, model: GamOptions, level: float) -> None:
    check_level(level)
    if not model.on:
        raise UsageError("Name what scores are explained by: size, abilities or benchmarks.")
    if model.basis < LEAST_DISTINCT:
        raise UsageError(f"A smooth has {LEAST_DISTINCT} coefficients or more.")
    if Grouping.SIZE in model.random:
        raise UsageError("Size has a smooth; a random effect is of another grouping.")
    if options.grouping in model.random:
        raise UsageError(
            f"A smooth for each {options.grouping} has a level for each: name another random"
            " effect, or none."
        )
    if options.grouping is not None and (len(set(model.on)) > 1 or ABILITIES in model.on):
        raise UsageError("A smooth for each group is of one number: size, or one benchmark.")
    if model.responses is not None and set(model.responses) == {SIZE} == set(model.on):
        raise UsageError("Size does not explain itself; name benchmarks to explain it by.")


def _corrected(terms: Sequence[GamTerm]) -> list[GamTerm]:
    """Return terms with p-values corrected for their number (Holm)."""
    p = corrected(np.array([np.nan if each.p is None else each.p for each in terms]), "holm")
    return [replace(each, holm=known(p[place])) for place, each in enumerate(terms)]
