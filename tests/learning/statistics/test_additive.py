"""Additive models: the same as R's mgcv, and right about known truth."""

import csv
import io
import json
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from registry.learning.arrays import Reals
from registry.learning.statistics.additive import (
    AdditiveFit,
    PartialEffect,
    Smooth,
    _directions,
    fit_additive_model,
)
from registry.learning.statistics.smooth_tests import exceedance

COUNT = 240
Columns = dict[str, Reals]


@cache
def drawn() -> Columns:
    """Return numbers of which y rises with a, wiggles with b, and has nothing of c."""
    rng = np.random.default_rng(5)
    a, b, c = rng.uniform(size=(3, COUNT))
    g, h = rng.integers(0, 9, COUNT), rng.integers(0, 5, COUNT)
    t = rng.integers(0, 3, COUNT)
    effects, others = rng.normal(size=9) * 0.25, rng.normal(size=5) * 0.05
    noise = rng.normal(size=COUNT) * 0.3
    y = a + 0.4 * np.sin(7 * b) + effects[g] + others[h] + noise
    z = np.where(t == 1, 1 + np.sin(5 * a), np.where(t == 2, a, 0.3)) + effects[g] + noise
    return {"a": a, "b": b, "c": c, "g": g, "h": h, "t": t, "y": 30 + 5 * y, "z": z}


def ours(response: str, names: str, groups: str = "g", **of: Any) -> AdditiveFit:
    data = drawn()
    return fit_additive_model(
        data[response], [Smooth(data[name]) for name in names],
        [data[name].astype(np.intp) for name in groups], **of,
    )  # fmt: skip


R = """
suppressMessages(library(mgcv)); d <- read.csv("DATA")
for (name in c("g", "h", "t")) d[[name]] <- factor(d[[name]])
grid <- function(x) seq(min(x), max(x), length.out = 100)
fit <- function(formula, names) {
  m <- gam(formula, data = d, method = "REML"); s <- summary(m); new <- d[rep(1, 100), ]
  for (name in names) new[[name]] <- grid(d[[name]])
  p <- predict(m, new, type = "terms", se.fit = TRUE)
  of <- sprintf("s(%s)", names)
  list(r2 = s$r.sq, explained = s$dev.expl, residual = sqrt(m$sig2), edf = unname(s$s.table[, 1]),
       rank = unname(s$s.table[, 2]),
       p = unname(s$s.table[, 4]), effect = unname(p$fit[, of, drop = FALSE]),
       error = unname(p$se.fit[, of, drop = FALSE]))
}
say <- function(x) if (is.list(x)) sprintf("{%s}", paste(sprintf('"%s": %s', names(x),
  sapply(x, say)), collapse = ",")) else if (is.matrix(x)) sprintf("[%s]", paste(apply(x, 2, say),
  collapse = ",")) else sprintf("[%s]", paste(sprintf("%.15g", x), collapse = ","))
cat(say(list(
  a = fit(y ~ s(a, bs = "cr") + s(g, bs = "re"), "a"),
  all = fit(y ~ s(a, bs = "cr") + s(b, bs = "cr") + s(c, bs = "cr") + s(g, bs = "re"),
            c("a", "b", "c")),
  two = fit(y ~ s(b, bs = "cr", k = 6) + s(g, bs = "re") + s(h, bs = "re"), "b"),
  none = fit(y ~ s(c, bs = "cr"), "c")
)))
"""


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """The same models by mgcv."""
    if shutil.which("Rscript") is None:
        pytest.skip("R is not installed")
    path: Path = tmp_path_factory.mktemp("gam") / "data.csv"
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(drawn())
    writer.writerows(zip(*(map(repr, map(float, each)) for each in drawn().values()), strict=True))
    path.write_text(text.getvalue())
    done = subprocess.run(
        ["Rscript", "-"], input=R.replace("DATA", str(path)), capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    if "there is no package" in done.stderr:
        pytest.skip("mgcv is not installed")
    found: dict[str, dict[str, Any]] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize(
    ("name", "smooths", "groups", "basis"),
    [("a", "a", "g", 10), ("all", "abc", "g", 10), ("two", "b", "gh", 6), ("none", "c", "", 10)],
)
def test_fits_and_tests_are_those_of_mgcv(
    theirs: dict[str, dict[str, Any]], name: str, smooths: str, groups: str, basis: int
) -> None:
    expected, found = theirs[name], ours("y", smooths, groups, basis=basis)
    spread = drawn()["y"].std()
    assert found.converged
    assert found.r_squared == pytest.approx(expected["r2"][0], abs=1e-5)
    assert found.explained == pytest.approx(expected["explained"][0], abs=1e-5)
    assert found.residual == pytest.approx(expected["residual"][0], rel=1e-4)
    assert [each.edf for each in found.tests] == pytest.approx(expected["edf"], abs=0.01)
    assert [each.rank for each in found.tests] == pytest.approx(expected["rank"], abs=0.02)
    for place, curve in enumerate(found.curves):
        assert curve.effect == pytest.approx(np.array(expected["effect"][place]), abs=spread * 1e-3)
        # A straight line has no error where it crosses its mean, and a ratio says nothing there.
        error = np.array(expected["error"][place])
        kept = error > error.max() / 10
        assert np.abs(curve.error / error - 1)[kept].max() < 0.01
    for test, p in zip(found.tests, expected["p"], strict=True):
        if max(p, test.p) > 1e-6:
            assert 0.5 < test.p / p < 2


def test_smooths_by_group_have_levels_and_knots_of_their_own() -> None:
    data = drawn()
    kinds = data["t"]
    # The last group has few values, as groups of models of one size have.
    values = np.where(kinds == 2, np.round(data["a"], 1), data["a"])
    found = fit_additive_model(
        data["z"], [Smooth(values, kinds == kind) for kind in range(3)], [data["g"].astype(np.intp)]
    )
    assert found.converged
    flat, wave, line = found.curves
    assert (flat.rises, flat.falls) == (False, False)
    assert (wave.rises, wave.falls) == (True, True)
    assert (line.rises, line.falls) == (True, False)
    assert found.tests[0].p > 0.05
    assert max(each.p for each in found.tests[1:]) < 1e-6
    assert wave.effect[[0, 31, 94, 99]] == pytest.approx(
        np.sin(5 * wave.x[[0, 31, 94, 99]]) - np.sin(5 * values[kinds == 1]).mean(), abs=0.25
    )
    # The constant of a group is no part of its curve or its degrees of freedom.
    for curve, kind in zip(found.curves, range(3), strict=True):
        at = np.interp(values[kinds == kind], curve.x, curve.effect)
        assert at.mean() == pytest.approx(0, abs=0.01)
        assert (curve.x[0], curve.x[-1]) == (values[kinds == kind].min(),
                                             values[kinds == kind].max())  # fmt: skip
    assert found.tests[2].edf == pytest.approx(1, abs=0.3)
    assert found.df == pytest.approx(3 + sum(each.edf for each in found.tests))


def test_a_random_effect_is_tested_beside_others() -> None:
    rng = np.random.default_rng(4)
    small = np.repeat(np.arange(12), 20)
    large = (small // 4).astype(np.intp)
    y = rng.normal(size=12)[small] + 0.3 * rng.normal(size=240)
    found = fit_additive_model(y, [Smooth(drawn()["a"])], [small, large])
    # Means of the large groups differ, but no more than those of the small ones in them make them.
    assert found.tests[1].p < 1e-12
    assert found.tests[2].p > 0.05


def test_shapes_are_of_all_pairs_of_points_at_once() -> None:
    points = np.array([0.0, 4.5, 4.5])
    # 3.2 standard errors apart, where nine degrees of freedom take 4.1 and one takes 2.
    assert _directions(points, np.eye(3), 9, 0.95) == (False, False)
    assert _directions(points, np.eye(3), 1, 0.95) == (True, False)
    assert _directions(-points, np.eye(3), 0.5, 0.95) == (False, True)
    assert _directions(points, np.eye(3), 1, 0.999) == (False, False)


def test_units_of_numbers_and_response_change_nothing_else() -> None:
    data = drawn()
    plain = ours("y", "ab")
    scaled = fit_additive_model(
        data["y"] / 1e4 + 7, [Smooth(1e9 * data["a"] + 1e12), Smooth(data["b"])],
        [data["g"].astype(np.intp)],
    )  # fmt: skip
    assert [each.p for each in scaled.tests] == pytest.approx(
        [each.p for each in plain.tests], rel=1e-3
    )
    assert scaled.curves[0].effect * 1e4 == pytest.approx(plain.curves[0].effect, abs=1e-3)
    assert scaled.curves[0].x == pytest.approx(1e9 * plain.curves[0].x + 1e12)
    assert scaled.deviations[0] * 1e4 == pytest.approx(plain.deviations[0], rel=1e-3)
    assert scaled.residual * 1e4 == pytest.approx(plain.residual, rel=1e-3)


def test_too_few_values_and_nothing_left_are_said() -> None:
    data = drawn()
    with pytest.raises(ValueError, match="9 values are too few for 18 coefficients"):
        fit_additive_model(data["y"][:9], [Smooth(data["a"][:9])], [np.arange(9)])
    with pytest.raises(ValueError, match="leave nothing"):
        fit_additive_model(2 * data["a"], [Smooth(data["a"])])


@pytest.mark.parametrize("df", [5, 30, 4000])
def test_sums_of_chi_squares(df: int) -> None:
    # Of equal weights it is F.
    assert exceedance(9.0, np.ones(3), df) == pytest.approx(stats.f.sf(3, 3, df))
    rng = np.random.default_rng(0)
    weights = np.array([2.0, 1, 0.5, 0.1])
    draws = rng.chisquare(1, size=(200_000, 4)) @ weights / (rng.chisquare(df, 200_000) / df)
    for statistic in (0.5, 4.0, 15.0):
        share = float((draws > statistic).mean())
        assert exceedance(statistic, weights, df) == pytest.approx(
            share, abs=4 * np.sqrt(share / 200_000)
        )
    # Far out the saddle point goes on where the integral ends.
    almost = np.array([1.0, 1, 1 + 1e-6])
    for statistic in (60.0, 200.0):
        expected = stats.f.sf(statistic / 3, 3, df)
        assert exceedance(statistic, almost, df) == pytest.approx(expected, rel=0.05, abs=0)


def known_curve() -> tuple[Reals, Reals]:
    x = np.linspace(0, 1, 120)
    return x, np.sin(6 * x) * 0.6


def simulated(seed: int) -> tuple[PartialEffect, AdditiveFit, AdditiveFit]:
    rng = np.random.default_rng(seed)
    x, truth = known_curve()
    groups = np.tile(np.arange(6), 20)
    noise = rng.normal(size=120) * 0.5
    moved = fit_additive_model(truth + 0.4 * rng.normal(size=6)[groups] + noise, [Smooth(x)],
                               [groups])  # fmt: skip
    null = fit_additive_model(noise, [Smooth(x)], [groups])
    return moved.curves[0], moved, null


def test_bands_hold_the_truth_and_nothing_is_found_where_nothing_is() -> None:
    held, false, shapes = [], np.zeros(2), 0
    x, truth = known_curve()
    for seed in range(40):
        curve, _, null = simulated(seed)
        at = np.interp(curve.x, x, truth - truth.mean())
        held.append(np.mean(np.abs(curve.effect - at) < 1.96 * curve.error))
        false += [each.p < 0.05 for each in null.tests]
        shapes += null.curves[0].rises or null.curves[0].falls
    # Bands hold the truth on average over the curve (Nychka 1988).
    assert 0.9 < np.mean(held) < 0.98
    assert max(*false, shapes) <= 6
