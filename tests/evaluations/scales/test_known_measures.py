import pytest

from registry.evaluations.records import Measure
from registry.evaluations.scales import in_percent, known_measure


@pytest.mark.parametrize(
    "metric",
    [
        *("acc", "acc_norm", "Accuracy", "exact match", "F1", "pass@1", "pass@k", "mc2"),
        *("prompt_level_strict_acc", "ndcg_at_100", "cos_sim_accuracy", "maj@8", "map_at_3"),
        "inst_level_strict_acc and prompt_level_strict_acc",
    ],
)
def test_shares_lie_between_nothing_and_one(metric: str) -> None:
    assert known_measure(metric) == Measure(metric=metric)


@pytest.mark.parametrize("metric", ["word_perplexity", "ppl", "bits_per_byte", "WER", "loss"])
def test_costs_have_no_upper_bound_and_are_better_when_low(metric: str) -> None:
    measure = known_measure(metric)
    assert (measure.lower, measure.upper, measure.higher_is_better) == (0, None, False)
    assert measure.normalised(3) is None


@pytest.mark.parametrize(
    "metric", ["bleu_score_of_mine", "main_score", "", "\ud800", "accuracy gap"]
)
def test_an_unknown_metric_has_no_bounds(metric: str) -> None:
    measure = known_measure(metric, "none")
    assert (measure.lower, measure.upper, measure.filter) == (None, None, "none")
    assert measure.higher_is_better is None


def test_a_source_knows_better_which_way_is_better() -> None:
    assert not known_measure("acc", higher_is_better=False).higher_is_better
    assert known_measure("ppl", higher_is_better=True).higher_is_better


def test_percent_scales_the_bounds() -> None:
    assert in_percent(known_measure("acc")).normalised(25) == 0.25
    assert in_percent(known_measure("pearson")).lower == -100
    assert in_percent(known_measure("ppl")) == known_measure("ppl")
