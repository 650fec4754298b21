"""Stored state of a version that places models that came since: its prior of abilities."""

from collections.abc import Iterator, Mapping
from dataclasses import astuple
from typing import Any

import numpy as np
from numpy.typing import NDArray

from registry.learning.arrays import Places, Reals
from registry.learning.coldstart.kernel import Kernel
from registry.learning.coldstart.kernel_features import KernelSpace
from registry.learning.coldstart.stored_features import (
    block_arrays,
    featurizer_arrays,
    json_array,
    of_json,
    packed,
    stored_blocks,
    stored_featurizer,
    unpacked,
)
from registry.learning.scores.drift import Drift
from registry.learning.scores.error_scales import KINDS, ErrorScales
from registry.learning.scores.feature_prior import FeaturePrior
from registry.learning.scores.local_prior import LocalPrior
from registry.learning.scores.model_features import ModelFeatureSpace
from registry.learning.scores.score_estimate import ScaledFactors
from registry.prediction.scores.placing import AbilityPlacer

_PRIOR = ("mean", "slopes", "inverses", "noise", "signal")
_LOCAL = ("left", "uncertain", "noise", "lengths", "shares")
_ESTIMATE = ("means", "scales", "intercepts", "loadings", "loading_covariances", "residuals")
_SIMILAR = ("axes", "centre", "scale", "lacking")

LAYOUT = 2
"""Number of the arrays' names and meanings: another one is of another release."""

_UNUSED: Mapping[str, Reals] = {name: np.zeros(0) for name in ("inverses", "noise", "signal")}
"""Of the prior of error scales, which gives means alone."""


def state(placer: AbilityPlacer) -> bytes:
    """Return what places models as an npz file, in single precision."""
    return packed(_arrays(placer))


def _arrays(placer: AbilityPlacer) -> Iterator[tuple[str, NDArray[Any]]]:
    estimate, space = placer.estimate, placer.space
    prior, scales = estimate.prior, estimate.error_scales.prior
    yield "layout", np.array(LAYOUT)
    yield from featurizer_arrays(placer.featurizer)
    yield from block_arrays(space.similar.similarities.models)
    yield "kernel", json_array(dict(Kernel().weights))
    yield "models", placer.keys
    yield "blocks", placer.blocks
    yield "benchmarks", placer.benchmarks
    yield "groups", prior.groups
    yield "of benchmarks", estimate.of_benchmarks
    yield "features", prior.features.astype(np.float32)
    yield "trends", space.trends
    yield "scale mean", scales.mean
    yield "scale slopes", scales.slopes
    yield "drift", np.array(astuple(estimate.error_scales.drift))
    for part, names, of in (
        ("similar", _SIMILAR, space.similar),
        ("prior", _PRIOR, prior),
        ("local", _LOCAL, estimate.local),
        ("estimate", _ESTIMATE, estimate),
    ):
        for name in names:
            yield f"{part} {name}", getattr(of, name).astype(np.float32)


def placer_of(file: bytes) -> AbilityPlacer | None:
    """Return what places models; None where none is stored, or by a release that did it otherwise.

    The estimate has no covariances of the models that it was fitted to, and none can be added to
    its prior; the featurizer has no authors and no lineage.

    Args:
        file: of `state`.
    """
    if not file:
        return None
    stored = unpacked(file)
    if int(stored.get("layout", 0)) != LAYOUT:
        return None
    featurizer, kernel = stored_featurizer(stored), Kernel()
    if featurizer is None or of_json(stored["kernel"]) != dict(kernel.weights):
        return None
    landmarks = kernel.towards(stored_blocks(stored))
    similar = KernelSpace(landmarks, **_parts(stored, "similar", _SIMILAR))
    space = ModelFeatureSpace(similar, stored["trends"])
    return AbilityPlacer(
        featurizer,
        space,
        _estimate(stored),
        stored["models"],
        stored["blocks"],
        stored["benchmarks"],
    )


def _estimate(stored: Mapping[str, NDArray[Any]]) -> ScaledFactors:
    features = stored["features"].astype(np.float64)
    groups: Places = stored["groups"].astype(np.intp)
    count, size = stored["local left"].shape
    prior = _prior(features, groups, _parts(stored, "prior", _PRIOR))
    local = LocalPrior(features=features[:, groups == 0], **_parts(stored, "local", _LOCAL))
    scales = _prior(
        np.zeros((0, len(groups))),
        groups,
        {**_parts(stored, "scale", ("mean", "slopes")), **_UNUSED},
    )
    return ScaledFactors(
        covariances=np.zeros((0, size, size)),
        own=np.ones(count, np.intp),
        of_benchmarks=stored["of benchmarks"].astype(np.intp),
        prior=prior,
        local=local,
        measured=np.arange(count),
        error_scales=ErrorScales(
            scales, np.zeros(0, np.intp), np.zeros((0, KINDS)), Drift(*stored["drift"].tolist())
        ),
        **_parts(stored, "estimate", _ESTIMATE),
    )


def _prior(features: Reals, groups: Places, parts: Mapping[str, Reals]) -> FeaturePrior:
    """Return a prior that predicts, and does not learn."""
    nothing = np.zeros((0, 0))
    return FeaturePrior(
        features=features,
        groups=groups,
        products=nothing,
        expected=(nothing, nothing),
        weight=0.0,
        **parts,
    )


def _parts(
    stored: Mapping[str, NDArray[Any]], part: str, names: tuple[str, ...]
) -> dict[str, Reals]:
    return {name: stored[f"{part} {name}"].astype(np.float64) for name in names}
