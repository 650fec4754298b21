"""Results of generalised additive models, as rows of their tables."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from registry.analysis.statistics.stored_analyses import known
from registry.enums import Grouping
from registry.learning.arrays import Places, Reals
from registry.learning.statistics.additive import AdditiveFit, Smooth


class GamVariable(NamedTuple):
    """A response, or what explains it: size, or the scores on a benchmark.

    Attributes:
        name: canonical, or size.
        version: of the benchmark; empty where none is stated.
        column: of the frame; None for size.
    """

    name: str
    version: str
    column: int | None

    @property
    def title(self) -> str:
        """Name with the version, if it has one."""
        return f"{self.name}@{self.version}" if self.version else self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class GamFit:
    """Fit of a response; see view `registry.gam_fits`."""

    response: str
    version: str
    n: int
    df: float
    r_squared: float
    explained: float
    residual: float
    converged: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class GamTerm:
    """Term of a fit; see view `registry.gam_terms`."""

    response: str
    version: str
    position: int
    kind: str
    term: str
    term_version: str
    group_name: str | None
    groups: int | None
    edf: float
    rank: float
    f: float | None
    p: float | None
    holm: float | None = None
    deviation: float | None
    shape: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class GamPoint:
    """Point of the curve of a smooth; see view `registry.gam_curves`."""

    response: str
    version: str
    position: int
    point: int
    x: float
    effect: float
    error: float
    lower: float
    upper: float
    below: float


class FittedResponse(NamedTuple):
    """Rows of the tables of results of one response."""

    fit: GamFit
    terms: Sequence[GamTerm]
    points: Sequence[GamPoint]


class PreparedResponse(NamedTuple):
    """A response, and the terms of its model.

    Attributes:
        response: that is explained.
        values: n, its values.
        of: what each smooth is of, and of which group of models; None for all.
        smooths: S of them.
        random: group of each value, n, by random effect.
    """

    response: GamVariable
    values: Reals
    of: Sequence[tuple[GamVariable, str | None]]
    smooths: Sequence[Smooth]
    random: Mapping[Grouping, Places]


def fitted_rows(
    prepared: PreparedResponse, fit: AdditiveFit, *, level: float, log: bool
) -> FittedResponse:
    """Return a fit as rows of the tables of results.

    Args:
        prepared: what was fitted.
        fit: of it.
        level: of bands, in (0, 1).
        log: whether scores were taken as logarithms.
    """
    response = prepared.response
    return FittedResponse(
        GamFit(
            response=response.name, version=response.version, n=fit.n, df=fit.df,
            r_squared=fit.r_squared, explained=fit.explained, residual=fit.residual,
            converged=fit.converged,
        ),
        [*_smooth_terms(prepared, fit), *_random_terms(prepared, fit)],
        [
            point
            for place in range(len(prepared.of))
            for point in _points(prepared, place, fit, level=level, log=log)
        ],
    )  # fmt: skip


def _smooth_terms(prepared: PreparedResponse, fit: AdditiveFit) -> Iterator[GamTerm]:
    for place, (term, name) in enumerate(prepared.of):
        test, curve = fit.tests[place], fit.curves[place]
        yield GamTerm(
            response=prepared.response.name, version=prepared.response.version, position=place,
            kind="smooth", term=term.name, term_version=term.version, group_name=name, groups=None,
            edf=test.edf, rank=test.rank, f=known(test.f), p=known(test.p), deviation=None,
            shape=_shape(rises=curve.rises, falls=curve.falls),
        )  # fmt: skip


def _random_terms(prepared: PreparedResponse, fit: AdditiveFit) -> Iterator[GamTerm]:
    first = len(prepared.of)
    for place, (grouping, codes) in enumerate(prepared.random.items()):
        test = fit.tests[first + place]
        yield GamTerm(
            response=prepared.response.name, version=prepared.response.version,
            position=first + place, kind="random", term=str(grouping), term_version="",
            group_name=None, groups=int(codes.max()) + 1, edf=test.edf, rank=test.rank,
            f=known(test.f), p=known(test.p), deviation=fit.deviations[place], shape=None,
        )  # fmt: skip


def _points(
    prepared: PreparedResponse, place: int, fit: AdditiveFit, *, level: float, log: bool
) -> Iterator[GamPoint]:
    from scipy import stats  # noqa: PLC0415 - slow to import

    curve, smooth, (term, _) = fit.curves[place], prepared.smooths[place], prepared.of[place]
    half = float(stats.norm.isf((1 - level) / 2)) * curve.error
    below = np.searchsorted(np.sort(smooth.own), curve.x, side="right") / len(smooth.own)
    # Rounding must not leave the largest value out.
    below[-1] = 1
    shown = np.exp(curve.x) if log or term.column is None else curve.x
    for point in range(len(curve.x)):
        yield GamPoint(
            response=prepared.response.name, version=prepared.response.version, position=place,
            point=point, x=float(shown[point]), effect=float(curve.effect[point]),
            error=float(curve.error[point]), lower=float(curve.effect[point] - half[point]),
            upper=float(curve.effect[point] + half[point]), below=float(below[point]),
        )  # fmt: skip


def _shape(*, rises: bool, falls: bool) -> str:
    if rises and falls:
        return "rising and falling"
    return "rising" if rises else "falling" if falls else "flat"
