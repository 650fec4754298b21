"""Smooth curves and mixed models of the Open LLM Leaderboard, version 1, beside R and a study.

`pytest -m benchmark tests/benchmarks/test_statistics_gam.py -s`. The study (Comprehensive
Reassessment of Large-Scale Evaluation Outcomes in LLMs, 2024) fits logarithms of scores by R's
mgcv, on 905 models of 2024-01-12 with a random effect of architecture; this table has some 3,800
with all that it takes, most of them later. The second slice leaves out architectures that came late
or were rare then. Its adjusted R2 are those of its own output.
"""

import csv
import json
import resource
import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_commands import Commands
from factories import family
from sqlalchemy import Engine, text

from registry.analysis.statistics.additive_models import GamAnalysis, run_gam
from registry.analysis.statistics.additive_samples import GamOptions
from registry.analysis.statistics.mixed_models import MixedAnalysis, run_mixed
from registry.analysis.statistics.score_frame import FrameOptions, read_frame
from registry.enums import Grouping, MixedSubject
from registry.learning.statistics.additive import Smooth, fit_additive_model
from registry.learning.statistics.mixed import fit_mixed_model

STUDY = {
    "arc_challenge": 0.952, "hellaswag": 0.934, "mmlu": 0.834, "winogrande": 0.905, "gsm8k": 0.563,
    "truthfulqa": 0.536,
}  # fmt: skip
"""Adjusted R2 of each ability on all others, size and architecture."""

EARLY = (
    "architecture IN ('llama', 'gpt', 'gptj', 'gptneo', 'gptneox', 'gptbigcode', 'bloom', "
    "'falcon', 'opt', 'rwkv', 'glm', 'chatglm', 'mpt', 'stablelm')"
)
SLICES = {"all": None, "without late architectures": EARLY}

pytestmark = [pytest.mark.benchmark, pytest.mark.shared]

R = """
suppressMessages(library(mgcv)); d <- read.csv("DATA"); d$architecture <- factor(d$architecture)
names <- strsplit("NAMES", ",")[[1]]; out <- list()
say <- function(x) if (is.list(x)) sprintf("{%s}", paste(sprintf('"%s": %s', names(x),
  sapply(x, say)), collapse = ",")) else sprintf("[%s]", paste(sprintf("%.15g", x), collapse = ","))
for (basis in c("cr", "tp")) for (kind in c("size", "all")) for (y in names) {
  on <- if (kind == "size") "size" else c(setdiff(names, y), "size")
  m <- gam(as.formula(paste(y, "~", paste(sprintf("s(%s, bs = '%s')", on, basis), collapse = "+"),
    "+ s(architecture, bs = 're')")), data = d, method = "REML"); s <- summary(m)
  new <- m$model[rep(1, 100), ]
  new$size <- seq(min(m$model$size), max(m$model$size), length.out = 100)
  p <- predict(m, new, type = "terms", terms = "s(size)", se.fit = TRUE)
  out[[paste(basis, kind, y)]] <- list(n = nrow(m$model), r2 = s$r.sq, p = s$s.table[, 4],
    effect = p$fit[, 1], error = p$se.fit[, 1], names = seq_along(on))
}
cat(say(out))
"""


@pytest.fixture
def board(engine: Engine, database_url: str, shared: Path) -> Engine:
    """The leaderboard, imported as users import it."""
    file = shared / "open-llm-leaderboard-v1" / "models.csv.gz"
    Commands(database_url).done(
        "evals", "import", str(file), "--mapping", "open-llm-leaderboard-v1"
    )
    return engine


def log(values: Any) -> Any:
    return np.log(np.where(values > 0, values, np.nan))


def by_r(engine: Engine, condition: str | None, folder: Path) -> dict[str, dict[str, list[float]]]:
    """Fit the same models with mgcv, by splines of the same kind and by its default."""
    if shutil.which("Rscript") is None:
        pytest.skip("R is not installed")
    frame = read_frame(
        engine,
        FrameOptions(condition=condition, complete=True, factors=(Grouping.ARCHITECTURE,)),
    )
    names = [each.name for each in frame.benchmarks]
    rows = np.column_stack([log(frame.values), log(frame.sizes)])
    labels = frame.factors[Grouping.ARCHITECTURE][:, 0]
    path = folder / "data.csv"
    with path.open("w") as file:
        writer = csv.writer(file)
        writer.writerow([*names, "size", "architecture"])
        for row, label in zip(rows.tolist(), labels, strict=True):
            writer.writerow([*("NA" if np.isnan(each) else repr(each) for each in row),
                             label or "NA"])  # fmt: skip
    script = R.replace("DATA", str(path)).replace("NAMES", ",".join(names))
    done = subprocess.run(["Rscript", "-"], input=script, capture_output=True, text=True,
                          check=True)  # fmt: skip
    found: dict[str, dict[str, list[float]]] = json.loads(done.stdout)
    return found


def six(engine: Engine, condition: str | None, on: Sequence[str]) -> GamAnalysis:
    options = FrameOptions(condition=condition, complete=True)
    return run_gam(engine, options, GamOptions(on=on, log=True))


def shape(found: GamAnalysis, response: str) -> str:
    """Say where a curve of size is lowest and highest, and what it does after 13 billion."""
    points = [each for each in found.points if each.response == response]
    low = min(points, key=lambda each: each.effect)
    high = max(points, key=lambda each: each.effect)
    return (
        f"lowest at {low.x / 1e9:.2f}B ({low.effect:+.2f} [{low.lower:+.2f}, {low.upper:+.2f}]),"
        f" highest at {high.x / 1e9:.1f}B ({high.effect:+.2f}), at the least size"
        f" {points[0].effect:+.2f} [{points[0].lower:+.2f}, {points[0].upper:+.2f}], at the largest"
        f" {points[-1].effect:+.2f} [{points[-1].lower:+.2f}, {points[-1].upper:+.2f}]"
    )


def test_smooths_beside_mgcv_and_the_study(board: Engine, tmp_path: Path) -> None:
    for said, condition in SLICES.items():
        theirs = by_r(board, condition, tmp_path)
        single, full = (
            six(board, condition, ("size",)),
            six(board, condition, ("abilities", "size")),
        )
        frame = read_frame(board, FrameOptions(condition=condition, complete=True))
        print(f"\n{said}: scores on size; difference from mgcv over the deviation of the response")
        for fit in single.fits:
            column = [each.name for each in frame.benchmarks].index(fit.response)
            spread = float(np.nanstd(log(frame.values[:, column])))
            expected = theirs[f"cr size {fit.response}"]
            points = [each for each in single.points if each.response == fit.response]
            term = next(each for each in single.terms if each.response == fit.response)
            off = np.abs(np.array([each.effect for each in points]) - expected["effect"])
            ratio = np.array([each.error for each in points]) / np.array(expected["error"])
            print(
                f"{fit.response:14} n {fit.n} R2 {fit.r_squared:.3f} edf {term.edf:.2f}"
                f" p {term.holm:.1e} {term.shape}; off {off.max() / spread:.1e}, errors"
                f" {ratio.min():.4f} to {ratio.max():.4f}; {shape(single, fit.response)}"
            )
            assert fit.n == expected["n"][0]
            assert off.max() < 1e-3 * spread
            assert 0.99 < ratio.min() <= ratio.max() < 1.01
        print(f"\n{said}: abilities on all others (adjusted R2: study, ours, mgcv cr, mgcv tp)")
        for fit in full.fits:
            cr, tp = (theirs[f"{basis} all {fit.response}"] for basis in ("cr", "tp"))
            own = [each for each in full.terms if each.response == fit.response]
            print(
                f"{fit.response:14} n {fit.n} {STUDY[fit.response]:.3f} {fit.r_squared:.3f}"
                f" {cr['r2'][0]:.3f} {tp['r2'][0]:.3f}; "
                + ", ".join(f"{each.term} {each.p:.1e} {each.shape or ''}" for each in own)
            )
            assert fit.r_squared == pytest.approx(cr["r2"][0], abs=0.01)
            assert fit.r_squared == pytest.approx(tp["r2"][0], abs=0.01)
            for each, p in zip(own, cr["p"], strict=True):
                ours = each.p or 0.0
                assert (ours < 0.05) == (p < 0.05), (fit.response, each.term, ours, p)
                if max(ours, p) > 1e-6:
                    assert 0.5 < ours / p < 2, (fit.response, each.term, ours, p)
            for each, p in zip(own, tp["p"], strict=True):
                if ((each.p or 0.0) < 0.05) != (p < 0.05):
                    print(f"  by thin plates {each.term} has p {p:.3f}, here {each.p:.3f}")


def test_significance_with_authors_and_architectures(board: Engine) -> None:
    print("\np of all groups at once: independent, then with a random effect")
    for random in (Grouping.AUTHOR, Grouping.ARCHITECTURE):
        for by in (Grouping.SIZE, Grouping.ARCHITECTURE):
            if by == random:
                continue
            options = FrameOptions(complete=True, grouping=by)
            found = run_mixed(board, options, MixedSubject.GROUPS, [random])
            report(found, by, random)
            assert all((each.p or 0) < 0.05 for each in found.effects if each.kind == "test")


def test_significance_with_stated_families(board: Engine, shared: Path) -> None:
    """Families as another data set states them: of models without scores on four of the six."""
    with (shared / "v1-era-source-models" / "source_models.csv").open() as file:
        stated = {row["hf_repo_id"]: row["source_model"] for row in csv.DictReader(file)}
    with board.begin() as connection:
        known = connection.scalars(
            text("SELECT name FROM store.models WHERE name = ANY (:names) ORDER BY name"),
            {"names": [name for name, source in stated.items() if source != "unknown"]},
        ).all()
        connection.execute(text("DELETE FROM store.model_families"))
        first: dict[str, str] = {}
        for name in known:
            family(connection, name, first.setdefault(stated[name], name))
    print(f"\n{len(known)} models of {len(first)} stated families")
    for by in (Grouping.SIZE, Grouping.ARCHITECTURE):
        options = FrameOptions(
            grouping=by, condition="family_root IS NOT NULL", benchmarks=["gsm8k", "winogrande"]
        )
        found = run_mixed(board, options, MixedSubject.GROUPS, [Grouping.FAMILY])
        report(found, by, Grouping.FAMILY)


def report(found: MixedAnalysis, by: Grouping, random: Grouping) -> None:
    """Print how p changes with a random effect."""
    fixed = [each for each in found.effects if each.kind == "fixed"]
    lost = [each for each in fixed if (each.plain_p or 0) < 0.05 <= (each.p or 0)]
    wider = [(each.error or 0) / (each.plain_error or 1) for each in fixed]
    print(
        f"{by} with {random}: {len(lost)} of {len(fixed)} differences from the first or largest"
        f" lose significance; errors {np.median(wider):.2f} times as large"
    )
    for each in found.effects:
        if each.kind == "test":
            share = next(
                other.share
                for other in found.effects
                if (other.benchmark, other.term) == (each.benchmark, str(random))
            )
            print(f"  {each.benchmark:14} n {each.n} {each.plain_p:.1e} -> {each.p:.1e}; {random}"
                  f" has {share:.0%} of the variance")  # fmt: skip


def test_coverage_and_false_findings() -> None:
    rng = np.random.default_rng(0)
    group = np.repeat(np.arange(24), 6)
    kind = (group % 3).astype(np.intp)
    numbers = np.equal.outer(kind, (1, 2)).astype(float)
    held, false = np.zeros(2), np.zeros(4)
    for _ in range(500):
        y = rng.normal(size=24)[group] * 0.8 + rng.normal(size=144)
        found = fit_mixed_model(y + 0.5 * numbers[:, 0], numbers, {"family": group})
        held += [one.lower <= truth <= one.upper
                 for one, truth in zip(found.effects, (0.5, 0.0), strict=True)]  # fmt: skip
        null = fit_mixed_model(y, numbers, {"family": group})
        assert null.joint is not None
        assert null.plain_joint is not None
        false[:2] += null.joint.p < 0.05, null.plain_joint.p < 0.05
    print(f"\nmixed: intervals hold {held / 500}; false findings at 5% {false[0] / 500} (taken for"
          f" independent: {false[1] / 500})")  # fmt: skip
    assert ((held / 500 >= 0.93) & (held / 500 <= 0.97)).all()
    x = np.linspace(0, 1, 150)
    truth = np.sin(6 * x)
    codes = np.tile(np.arange(6), 25)
    within, turns = [], 0
    for _ in range(500):
        noise = rng.normal(size=150)
        moved = fit_additive_model(truth + 0.4 * rng.normal(size=6)[codes] + noise, [Smooth(x)],
                                   [codes])  # fmt: skip
        curve = moved.curves[0]
        at = np.interp(curve.x, x, truth - truth.mean())
        within.append(np.mean(np.abs(curve.effect - at) < 1.96 * curve.error))
        null_fit = fit_additive_model(noise, [Smooth(x)], [codes])
        false[2:] += [each.p < 0.05 for each in null_fit.tests]
        turns += null_fit.curves[0].rises or null_fit.curves[0].falls
    print(f"additive: bands hold {np.mean(within):.3f} of the curve; false findings at 5%: smooth"
          f" {false[2] / 500}, random effect {false[3] / 500}, shape {turns / 500}")  # fmt: skip
    assert 0.93 <= np.mean(within) <= 0.97
    assert false[2] / 500 <= 0.08


def test_speed_and_memory(board: Engine) -> None:
    with board.begin() as connection:
        before = connection.scalar(text("SELECT count(*) FROM registry.canonical_leaderboard"))
    runs: dict[str, Callable[[], GamAnalysis | MixedAnalysis]] = {
        "six on size": lambda: six(board, None, ("size",)),
        "six on abilities and size": lambda: six(board, None, ("abilities", "size")),
        "six on size by architecture": lambda: run_gam(
            board, FrameOptions(grouping=Grouping.ARCHITECTURE), GamOptions(random=())
        ),
        "mixed, sizes with authors": lambda: run_mixed(
            board, FrameOptions(grouping=Grouping.SIZE), MixedSubject.GROUPS, [Grouping.AUTHOR]
        ),
        "mixed, authors and architectures": lambda: run_mixed(
            board, FrameOptions(), MixedSubject.NONE, [Grouping.AUTHOR, Grouping.ARCHITECTURE]
        ),
    }
    for said, run in runs.items():
        begun = time.monotonic()
        stored = run().stored
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        print(f"\n{said}: {stored.model_count} models, {before} scores, "
              f"{time.monotonic() - begun:.1f} s, peak {peak:.2f} GB")  # fmt: skip
        assert peak < 1.5
