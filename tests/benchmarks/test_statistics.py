"""What a published study found of the Open LLM Leaderboard, version 1, beside our figures.

`pytest -m benchmark tests/benchmarks/test_statistics.py -s`. The study (Comprehensive Reassessment
of Large-Scale Evaluation Outcomes in LLMs, 2024) is of 1,186 models on 2024-01-12; this table has
5,133 with all six scores, most of them later, and neither dates nor training types. The second
slice leaves out architectures that came late or were rare then. Correlations are of figure 5, pairs
of appendix A.
"""

import time
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from cli_commands import Commands
from scipy import stats
from sqlalchemy import Engine
from statsmodels.stats.oneway import anova_oneway

from registry.analysis.statistics.benchmark_correlations import run_correlations
from registry.analysis.statistics.group_differences import run_anova, run_tukey
from registry.analysis.statistics.score_frame import FrameOptions, read_frame
from registry.enums import Grouping
from registry.learning.statistics.one_way import one_way

ARC, HELLASWAG, MMLU = "arc_challenge", "hellaswag", "mmlu"
WINOGRANDE, GSM8K, TRUTHFULQA = "winogrande", "gsm8k", "truthfulqa"
EARLY = (
    "architecture IN ('llama', 'gpt', 'gptj', 'gptneo', 'gptneox', 'gptbigcode', 'bloom', "
    "'falcon', 'opt', 'rwkv', 'glm', 'chatglm', 'mpt', 'stablelm')"
)
SLICES = {"all": None, "without late architectures": EARLY}

CORRELATIONS = {
    (HELLASWAG, ARC): 0.92, (HELLASWAG, WINOGRANDE): 0.87, (HELLASWAG, MMLU): 0.69,
    (HELLASWAG, GSM8K): 0.31, (HELLASWAG, TRUTHFULQA): 0.0, (ARC, WINOGRANDE): 0.90,
    (ARC, MMLU): 0.80, (ARC, GSM8K): 0.42, (ARC, TRUTHFULQA): 0.09, (WINOGRANDE, MMLU): 0.75,
    (WINOGRANDE, GSM8K): 0.51, (WINOGRANDE, TRUTHFULQA): 0.09, (MMLU, GSM8K): 0.49,
    (MMLU, TRUTHFULQA): 0.24, (GSM8K, TRUTHFULQA): 0.17,
}  # fmt: skip

RANGES = ("0-1.5B", "1.5-3B", "3-7B", "7-13B", "13-35B", "35B and more")
TINY, SMALL, LOW, MIDDLE, HIGH, _ = RANGES
ALIKE = {
    HELLASWAG: {(SMALL, HIGH), (LOW, MIDDLE)},
    ARC: {(LOW, MIDDLE)},
    MMLU: {(TINY, SMALL), (LOW, HIGH), (LOW, MIDDLE)},
    WINOGRANDE: {(LOW, HIGH), (MIDDLE, HIGH), (LOW, MIDDLE)},
    GSM8K: {(TINY, SMALL), (LOW, HIGH), (MIDDLE, HIGH), (LOW, MIDDLE)},
    TRUTHFULQA: set(combinations(RANGES, 2)) - {(TINY, SMALL), (SMALL, MIDDLE)},
}
"""Pairs of ranges of size that the study found no difference of, by benchmark."""

pytestmark = [pytest.mark.benchmark, pytest.mark.shared]


@pytest.fixture
def board(engine: Engine, database_url: str, shared: Path) -> Engine:
    """The leaderboard, imported as users import it."""
    file = shared / "open-llm-leaderboard-v1" / "models.csv.gz"
    Commands(database_url).done(
        "evals", "import", str(file), "--mapping", "open-llm-leaderboard-v1"
    )
    return engine


def test_correlations_beside_the_study(board: Engine) -> None:
    found = {
        said: {
            frozenset((each.benchmark, each.other)): each
            for each in run_correlations(
                board, FrameOptions(condition=condition, complete=True)
            ).results
        }
        for said, condition in SLICES.items()
    }
    print(f"\n{'':28} study " + " ".join(f"{said:>40}" for said in SLICES))
    for pair, theirs in CORRELATIONS.items():
        ours = [found[said][frozenset(pair)] for said in SLICES]
        cells = [
            f"{each.pearson:+.2f} [{each.pearson_lower:+.2f}, {each.pearson_upper:+.2f}]"
            f" given size {each.partial:+.2f}"
            for each in ours
        ]
        print(f"{' - '.join(pair):28} {theirs:+.2f} " + " ".join(f"{cell:>40}" for cell in cells))
    for said, of in found.items():
        own = [of[frozenset(pair)].pearson for pair in CORRELATIONS]
        order = stats.spearmanr(own, list(CORRELATIONS.values())).statistic
        n = next(iter(of.values())).n
        print(f"{said}: {n:,} models; rank correlation of the fifteen with the study's {order:.2f}")
        assert order > 0.7
        for names, each in of.items():
            # Truthfulness goes with others least of all but one, as in the study.
            if TRUTHFULQA in names:
                assert (each.pearson or 0) < 0.8


@pytest.mark.parametrize("grouping", [Grouping.SIZE, Grouping.ARCHITECTURE])
def test_anova_beside_the_study(board: Engine, grouping: Grouping) -> None:
    for said, condition in SLICES.items():
        options = FrameOptions(condition=condition, complete=True, grouping=grouping)
        found, frame = run_anova(board, options), read_frame(board, options)
        print(f"\nby {grouping}, {said}: the study finds p < 0.05 on all six")
        for each in found.results:
            print(
                f"{each.benchmark:14} n {each.n:5} F {each.f:7.1f} p {each.holm:.1e} Welch"
                f" {each.welch_holm if each.welch_holm is None else format(each.welch_holm, '.1e')}"
                f" ranks {each.kruskal_holm:.1e} eta2 {each.eta_squared:.3f}"
                f" [{each.effect_lower:.3f}, {each.effect_upper:.3f}]"
                f" variances {each.levene_p:.1e} {each.verdict}"
            )
            column = [benchmark.name for benchmark in frame.benchmarks].index(each.benchmark)
            codes, values = frame.codes[:, column], frame.values[:, column]
            groups = [values[codes == place] for place in range(len(frame.groups))]
            direct = anova_oneway([one for one in groups if len(one) >= 5], use_var="equal")
            assert (each.f, each.p) == pytest.approx((direct.statistic, direct.pvalue))
            assert each.verdict == "differ"


def test_pairs_of_sizes_beside_the_study(board: Engine) -> None:
    for said, condition in SLICES.items():
        begun = time.monotonic()
        options = FrameOptions(condition=condition, complete=True, grouping=Grouping.SIZE)
        found = run_tukey(board, options)
        took = time.monotonic() - begun
        print(f"\n{said}: pairs of sizes that do not differ (study | Tukey | by the variances)")
        agreed = [0, 0]
        for benchmark, theirs in ALIKE.items():
            own = [each for each in found.results if each.benchmark == benchmark]
            pairs = {(each.group_name, each.other_group): each for each in own}
            tukey = {pair for pair, each in pairs.items() if not each.differs}
            ours = {pair for pair, each in pairs.items() if each.verdict == "no difference found"}
            for place, same in enumerate((tukey, ours)):
                agreed[place] += sum((pair in same) == (pair in theirs) for pair in pairs)
            said_of = [", ".join(map(" / ".join, sorted(each))) for each in (theirs, tukey, ours)]
            print(f"{benchmark}: {' | '.join(said_of)}")
        print(
            f"agree with the study on {agreed[0]} (Tukey) and {agreed[1]} of {len(found.results)};"
            f" {took:.1f} s"
        )
        counts = {
            (each.group_name, each.other_group): sum(
                other.differs or False
                for other in found.results
                if (other.group_name, other.other_group) == (each.group_name, each.other_group)
            )
            for each in found.results
        }
        # The ranges around 7 billion differ least from each other, but for neighbours at the ends.
        assert counts[TINY, LOW] == 6


def test_pairs_of_architectures(board: Engine) -> None:
    options = FrameOptions(complete=True, grouping=Grouping.ARCHITECTURE)
    begun = time.monotonic()
    found = run_tukey(board, options)
    print(
        f"\npairs of architectures in {time.monotonic() - begun:.1f} s (study's frequency beside)"
    )
    theirs = {("llama", "opt"): 5, ("gpt", "llama"): 5, ("gptneox", "llama"): 4,
              ("falcon", "llama"): 2, ("gpt", "mistral"): 4, ("mistral", "opt"): 2}  # fmt: skip
    for pair, study in theirs.items():
        own = [each for each in found.results if (each.group_name, each.other_group) == pair]
        tukey = sum(bool(each.differs) for each in own)
        verdict = sum(each.verdict in {"higher", "lower"} for each in own)
        print(f"{' - '.join(pair):20} study {study} Tukey {tukey} by the variances {verdict}")
        assert tukey >= study - 1


def test_coverage_and_false_findings() -> None:
    rng = np.random.default_rng(0)
    means, counts = np.array([0.0, 0.3, 0.6]), (30, 40, 30)
    weights = np.array(counts) / 100
    spread = float(weights @ (means - weights @ means) ** 2)
    truth, held, false = spread / (1 + spread), 0, np.zeros(3)
    for _ in range(2000):
        noise = [rng.normal(size=count) for count in counts]
        moved = one_way([mean + each for mean, each in zip(means, noise, strict=True)])
        held += moved.lower <= truth <= moved.upper
        null = one_way(noise)
        false += np.array([null.p, null.welch_p, null.kruskal_p]) < 0.05
    print(f"\n95% intervals hold the effect: {held / 2000:.3f}; false findings at 5% (classic,"
          f" Welch, ranks): {false / 2000}")  # fmt: skip
    assert 0.93 <= held / 2000 <= 0.97
    assert ((false / 2000 >= 0.04) & (false / 2000 <= 0.06)).all()
