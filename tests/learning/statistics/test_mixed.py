"""Mixed models: the same as mixedlm and R's lme4 and lmerTest, and right about known truth."""

import json
import shutil
import subprocess
from functools import cache
from typing import Any

import mixedlm
import numpy as np
import pandas as pd
import pytest
from mixedlm.inference.ddf import satterthwaite_df
from scipy import stats

from registry.learning.arrays import Places, Reals
from registry.learning.statistics.mixed import MixedFit, _pooled, fit_mixed_model

COUNT = 180


@cache
def drawn() -> tuple[Reals, Places, Places, Places]:
    """Return values, families, authors and three kinds; kinds are of families."""
    rng = np.random.default_rng(2)
    family, author = rng.integers(0, 30, COUNT), rng.integers(0, 7, COUNT)
    kind = family % 3
    y = 1000 + 3 * rng.normal(size=30)[family] + 2 * rng.normal(size=7)[author]
    return y + 2 * (kind == 1) + 3 * rng.normal(size=COUNT), family, author, kind


def dummies(kind: Places, names: tuple[int, ...] = (1, 2)) -> Reals:
    return np.equal.outer(kind, names).astype(float)


def crossed() -> MixedFit:
    y, family, author, kind = drawn()
    return fit_mixed_model(y, dummies(kind), {"author": author, "family": family}, level=0.9)


def test_each_number_is_that_of_the_library() -> None:
    y, family, author, kind = drawn()
    data = pd.DataFrame(
        {"y": y, "family": family.astype(str), "author": author.astype(str)}
        | {f"k{place}": column for place, column in enumerate(dummies(kind).T)}
    )
    model = mixedlm.lmer("y ~ k0 + k1 + (1 | family) + (1 | author)", data)
    found = crossed()
    errors, degrees = np.sqrt(np.diag(model.vcov())), satterthwaite_df(model).df
    for place, effect in enumerate(found.effects, start=1):
        assert effect.estimate == pytest.approx(model.beta[place], rel=1e-5)
        assert effect.error == pytest.approx(errors[place], rel=1e-4)
        assert effect.df == pytest.approx(degrees[place], rel=1e-3)
        t = effect.estimate / effect.error
        assert effect.p == pytest.approx(2 * stats.t.sf(abs(t), effect.df))
        half = stats.t.ppf(0.95, effect.df) * effect.error
        assert (effect.lower, effect.upper) == pytest.approx(
            (effect.estimate - half, effect.estimate + half)
        )
    assert found.residual == pytest.approx(model.sigma, rel=1e-4)
    assert found.n == COUNT
    assert found.converged


R = """
suppressMessages(library(lmerTest)); d <- read.csv(text = "DATA")
d$k <- factor(d$k); m <- lmer(y ~ k + (1 | family) + (1 | author), d)
v <- as.data.frame(VarCorr(m))
mean <- lmer(y ~ 1 + (1 | family), d); none <- lmer(y ~ 0 + k + (1 | family), d)
say <- function(x) sprintf("[%s]", paste(sprintf("%.15g", x), collapse = ","))
row <- function(m) say(t(coef(summary(m))))
cat(sprintf('{"fixed": %s, "test": %s, "sd": %s, "p": %s, "mean": %s, "none": %s, "plain": %s}',
  row(m), say(unlist(anova(m)[1, 3:6])), say(v$sdcor), say(ranova(m)[["Pr(>Chisq)"]][-1]),
  row(mean), row(none), say(unlist(anova(lm(y ~ k, d))[1, 4:5]))))
"""


@pytest.fixture(scope="module")
def theirs() -> dict[str, Any]:
    """The same models by lme4 and lmerTest."""
    if shutil.which("Rscript") is None:
        pytest.skip("R is not installed")
    y, family, author, kind = drawn()
    lines = "\\n".join(
        ["y,family,author,k",
         *(f"{one!r},f{two},a{three},{four}" for one, two, three, four in zip(
             y.tolist(), family, author, kind, strict=True))]
    )  # fmt: skip
    done = subprocess.run(
        ["Rscript", "-"], input=R.replace("DATA", lines), capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    if "there is no package" in done.stderr:
        pytest.skip("lmerTest is not installed")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_numbers_are_those_of_lme4(theirs: dict[str, Any]) -> None:
    found = crossed()
    _, *expected = np.reshape(theirs["fixed"], (3, 5))
    for effect, (estimate, error, df, _, p) in zip(found.effects, expected, strict=True):
        assert (effect.estimate, effect.error) == pytest.approx((estimate, error), rel=1e-4)
        assert (effect.df, effect.p) == pytest.approx((df, p), rel=5e-3)
    df, within, f, p = theirs["test"]
    assert found.joint is not None
    assert (found.joint.df, found.joint.f) == pytest.approx((df, f), rel=1e-4)
    assert (found.joint.df_within, found.joint.p) == pytest.approx((within, p), rel=5e-3)
    family, author, residual = theirs["sd"]
    assert found.components["family"].deviation == pytest.approx(family, rel=1e-3)
    assert found.components["author"].deviation == pytest.approx(author, rel=1e-3)
    assert found.residual == pytest.approx(residual, rel=1e-4)
    # Half of theirs, as a variance has a bound.
    assert [found.components[name].p for name in ("family", "author")] == pytest.approx(
        [each / 2 for each in theirs["p"]], rel=1e-3, abs=0
    )
    assert [found.components[name].groups for name in ("family", "author")] == [30, 7]
    total = family**2 + author**2 + residual**2
    assert found.components["author"].share == pytest.approx(author**2 / total, rel=1e-3)
    assert found.plain_joint is not None
    assert (found.plain_joint.f, found.plain_joint.p) == pytest.approx(tuple(theirs["plain"]))


def test_means_alone_and_of_groups(theirs: dict[str, Any]) -> None:
    y, family, _, kind = drawn()
    mean = fit_mixed_model(y, dummies(kind, ()), {"family": family})
    estimate, error, df = theirs["mean"][:3]
    assert (mean.effects[0].estimate, mean.effects[0].error) == pytest.approx(
        (estimate, error), rel=1e-4
    )
    assert mean.effects[0].df == pytest.approx(df, rel=5e-3)
    assert mean.effects[0].p < 1e-30
    assert mean.plain[0].estimate == pytest.approx(y.mean())
    assert mean.joint is None
    groups = fit_mixed_model(y, dummies(kind, (0, 1, 2)), {"family": family}, intercept=False)
    for effect, expected in zip(groups.effects, np.reshape(theirs["none"], (3, 5)), strict=True):
        assert (effect.estimate, effect.error) == pytest.approx(tuple(expected[:2]), rel=1e-4)
    assert [each.estimate for each in groups.plain] == pytest.approx(
        [y[kind == each].mean() for each in range(3)]
    )


def test_no_variance_is_found_where_there_is_none() -> None:
    rng = np.random.default_rng(1)
    family = np.repeat(np.arange(20), 5)
    noise = rng.normal(size=100)
    # Means of families are alike: their variance is at its bound.
    flat = noise - np.bincount(family, noise)[family] / 5
    found = fit_mixed_model(flat, np.empty((100, 0)), {"family": family})
    assert found.components["family"].deviation == pytest.approx(0, abs=1e-3)
    assert found.components["family"].p == 1
    assert np.isfinite(found.effects[0]).all()


def test_too_few_values_are_said() -> None:
    y, family, _, kind = drawn()
    with pytest.raises(ValueError, match="3 values are too few for 3 effects"):
        fit_mixed_model(y[:3], dummies(kind[:3]), {"family": family[:3]})
    with pytest.raises(ValueError, match="each value is the only one of its family"):
        fit_mixed_model(y, dummies(kind), {"family": np.arange(COUNT)})
    with pytest.raises(ValueError, match="one of the effects follows from the others"):
        fit_mixed_model(y, dummies(kind, (0, 1, 2)), {"family": family})
    noise = np.random.default_rng(0).normal(size=30)[family]
    with pytest.raises(ValueError, match="effects and groups leave nothing"):
        fit_mixed_model(noise, dummies(kind), {"family": family})
    with pytest.raises(ValueError, match="leave nothing"):
        fit_mixed_model(kind * np.float64(2), dummies(kind), {"family": family})


def test_degrees_of_freedom_of_a_joint_test() -> None:
    assert _pooled(np.array([7.0, 7.0])) == 7
    # Fai and Cornelius: 2 E / (E - q) of E = 6 / 4 + 10 / 8.
    assert _pooled(np.array([6.0, 10.0])) == pytest.approx(2 * 2.75 / 0.75)
    assert _pooled(np.array([1.5, 1.2])) == 2


def test_intervals_hold_the_truth_where_those_of_independence_do_not() -> None:
    rng = np.random.default_rng(0)
    family = np.repeat(np.arange(24), 5)
    kind = family % 2
    outside, plain = 0, 0
    for _ in range(60):
        y = 0.5 * kind + rng.normal(size=24)[family] * 0.8 + rng.normal(size=120)
        found = fit_mixed_model(y, kind[:, None].astype(float), {"family": family})
        for effect, beside in zip(found.effects, found.plain, strict=True):
            outside += not effect.lower <= 0.5 <= effect.upper
            plain += not beside.lower <= 0.5 <= beside.upper
    assert outside <= 7
    assert plain >= 9
