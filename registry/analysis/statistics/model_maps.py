"""Maps of models by their scores, and whether groups of them lie apart."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import orjson
from sqlalchemy import Engine, text

from registry.analysis.plots.map import project
from registry.analysis.statistics.complete_scores import groups_of_models, read_complete
from registry.analysis.statistics.score_frame import FrameOptions, ScoreFrame
from registry.analysis.statistics.stored_analyses import (
    LIBRARIES,
    AnalysisRequest,
    ResultRows,
    StoredAnalysis,
    analysed_once,
    check_level,
    check_seed,
    known,
    library_versions,
    read_results,
)
from registry.db.connection import reading
from registry.db.schema import projection_checks, projections
from registry.enums import AnalysisKind, MapLayout
from registry.learning.arrays import Places, Reals
from registry.learning.statistics.projections import kept_neighbours, standardised, umap_points
from registry.learning.statistics.separation import separation
from registry.version import __version__
from registry.workers import Progress, no_progress

SEED = 42
"""Of layouts, by default; that of the published study."""

STRUCTURE = 0.25
"""Mean silhouette below which groups are no substantial structure (Kaufman and Rousseeuw 1990)."""

LEAST_MODELS = 10
"""Models that a map takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectedModel:
    """A model on a map; see view `registry.projections`."""

    model: str
    x: float
    y: float
    group_name: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MapCheck:
    """What a map keeps, and how far groups lie apart; see view `registry.projection_checks`.

    Numbers are as in `learning.statistics.separation.Separation` and `projections.Kept`, None where
    they are not defined, as without a grouping; those that begin with `map_` are of the plane, the
    others of the scores.
    """

    layout: str
    models: int
    benchmarks: int
    trustworthiness: float | None
    kept_neighbours: float | None
    grouped_models: int
    groups: int
    silhouette: float | None
    silhouette_p: float | None
    purity: float | None
    purity_by_chance: float | None
    purity_p: float | None
    adjusted_rand: float | None
    map_silhouette: float | None
    map_purity: float | None
    map_adjusted_rand: float | None
    verdict: str


class MapAnalysis(NamedTuple):
    """A stored map: its models, by name, and what was measured."""

    stored: StoredAnalysis
    points: Sequence[ProjectedModel]
    check: MapCheck


def run_map(
    engine: Engine,
    options: FrameOptions,
    *,
    layout: MapLayout = MapLayout.TSNE,
    seed: int = SEED,
    level: float = 0.95,
    on_progress: Progress = no_progress,
) -> MapAnalysis:
    """Lay out models on a plane by their scores, measure groups, and store the map.

    Scores are standardised; models of the same scores have one place. A map that is stored of the
    same request and data is read instead, and of one with other groups the places of models.

    Args:
        engine: of a database at head.
        options: which scores and groups; models with a score on each benchmark count.
        layout: t-SNE, with perplexity 30 or a third of the models, or UMAP.
        seed: of the layout, of random orders and samples.
        level: groups lie apart where p is below 1 minus it.
        on_progress: receives the progress.

    Raises:
        UsageError: as `read_complete` does, and for a level or seed that is none.
    """
    check_level(level)
    check_seed(seed)
    on_progress("reading scores", 0, 0)
    # Models in no group are drawn, in grey.
    options = replace(options, ungrouped="in no group")
    frame = read_complete(engine, options, models=LEAST_MODELS, benchmarks=2, doing="A map")
    request = AnalysisRequest.of(AnalysisKind.MAP, options, level=level)
    request = replace(
        request,
        options={**request.options, "layout": str(layout), "scores": _scores_digest(frame)},
        seed=seed,
        libraries=(
            *LIBRARIES,
            "scikit-learn",
            "umap-learn" if layout == MapLayout.UMAP else "openTSNE",
        ),
    )

    def compute(notes: list[str]) -> ResultRows:
        frame.use_all()
        codes = groups_of_models(frame, options.least, notes) if frame.groups else None
        vectors = standardised(frame.values)
        points = _laid_out_before(engine, request, frame)
        if points is None:
            points = lay_out(vectors, layout, seed=seed, on_progress=on_progress)
        on_progress("comparing groups and neighbours", 0, 0)
        check = _check(vectors, points, codes, layout, seed=seed, limit=1 - level)
        return {projections: _models(frame, points, codes), projection_checks: [check]}

    stored = analysed_once(engine, request, frame, compute)
    with reading(engine) as connection:
        models = read_results(connection, projections, ProjectedModel, stored.analysis_id)
        (check,) = read_results(connection, projection_checks, MapCheck, stored.analysis_id)
    return MapAnalysis(stored, sorted(models, key=lambda each: each.model), check)


def _scores_digest(frame: ScoreFrame) -> str:
    """Return a digest of the models and their scores, whatever their groups."""
    return replace(
        frame, groups=(), codes=np.empty((0, 0), np.intp), factors={}, notes=[]
    ).fingerprint()


def _laid_out_before(engine: Engine, request: AnalysisRequest, frame: ScoreFrame) -> Reals | None:
    """Return the places of a stored map of the same scores with other groups, M x 2, if any."""
    with reading(engine) as connection:
        key = connection.scalar(
            text("""
            SELECT max(analysis_id) FROM store.analyses
             WHERE kind = :kind AND seed = :seed AND code_version = :code_version
               AND libraries = CAST(:libraries AS jsonb)
               AND options @> jsonb_build_object(
                       'layout', CAST(:layout AS text), 'scores', CAST(:scores AS text))"""),
            {
                "kind": str(request.kind),
                "seed": request.seed,
                "code_version": __version__,
                "libraries": orjson.dumps(library_versions(request.libraries)).decode(),
                "layout": request.options["layout"],
                "scores": request.options["scores"],
            },
        )
        if key is None:
            return None
        models = read_results(connection, projections, ProjectedModel, key)
    places = {each.model: (each.x, each.y) for each in models}
    return np.array([places[model] for model in frame.models])


def lay_out(vectors: Reals, layout: MapLayout, *, seed: int, on_progress: Progress) -> Reals:
    """Return the places of M vectors on a plane, M x 2; the same vectors have one place."""
    distinct, of = np.unique(vectors, axis=0, return_inverse=True)
    if layout == MapLayout.TSNE or len(distinct) < LEAST_MODELS:
        points = project(distinct.astype(np.float32), seed=seed, on_progress=on_progress)
    else:
        on_progress("laying out models by UMAP", 0, 0)
        points = umap_points(distinct, seed=seed).astype(np.float32)
    return np.asarray(points[of.ravel()], np.float64)


def _models(frame: ScoreFrame, points: Reals, codes: Places | None) -> list[ProjectedModel]:
    groups = [None] * len(points) if codes is None else [
        frame.groups[code] if code >= 0 else None for code in codes
    ]  # fmt: skip
    return [
        ProjectedModel(model=model, x=float(x), y=float(y), group_name=group)
        for model, (x, y), group in zip(frame.models, points, groups, strict=True)
    ]


def _check(
    vectors: Reals,
    points: Reals,
    codes: Places | None,
    layout: MapLayout,
    *,
    seed: int,
    limit: float,
) -> MapCheck:
    kept = kept_neighbours(vectors, points, seed=seed)
    none = np.full(len(vectors), -1, np.intp)
    of_scores = separation(vectors, none if codes is None else codes, seed=seed)
    of_map = separation(points, none if codes is None else codes, seed=seed, permutations=1)
    return MapCheck(
        layout=str(layout),
        models=len(vectors),
        benchmarks=vectors.shape[1],
        trustworthiness=known(kept.trustworthiness),
        kept_neighbours=known(kept.share),
        grouped_models=of_scores.models,
        groups=of_scores.groups,
        silhouette=known(of_scores.silhouette),
        silhouette_p=known(of_scores.silhouette_p),
        purity=known(of_scores.purity),
        purity_by_chance=known(of_scores.chance),
        purity_p=known(of_scores.purity_p),
        adjusted_rand=known(of_scores.adjusted_rand),
        map_silhouette=known(of_map.silhouette),
        map_purity=known(of_map.purity),
        map_adjusted_rand=known(of_map.adjusted_rand),
        verdict=verdict(of_scores.silhouette, of_scores.purity_p, limit),
    )


def verdict(silhouette: float, purity_p: float, limit: float) -> str:
    """Return in words whether groups lie apart.

    `apart` where the mean silhouette is that of a structure (Kaufman and Rousseeuw 1990) and models
    have more neighbours of their group than by chance; `overlapping` where only the latter holds;
    `no difference found`; `unknown` without groups.
    """
    if np.isnan(silhouette) or np.isnan(purity_p):
        return "unknown"
    if purity_p >= limit:
        return "no difference found"
    return "apart" if silhouette > STRUCTURE else "overlapping"
