"""Scales of known metrics: their bounds, and whether higher is better.

A small table of the names that harnesses and cards use. A metric that is not in it has no bounds,
so that no score is normalised by a guessed scale.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

from registry.evaluations.records import Measure


class _Scale(NamedTuple):
    lower: float | None
    upper: float | None
    higher_is_better: bool = True
    unit: str | None = None


_SHARE = _Scale(0.0, 1.0)
_ERROR_RATE = _Scale(0.0, None, higher_is_better=False)  # may exceed 1: insertions count too
_CORRELATION = _Scale(-1.0, 1.0)
_UNKNOWN = _Scale(None, None)

# Names as `_plain` makes them: small letters and digits, parts joined by one underscore.
_KNOWN: Mapping[str, _Scale] = (
    dict.fromkeys(
        (
            *(
                "acc",
                "accuracy",
                "acc_norm",
                "accuracy_norm",
                "normalized_accuracy",
                "acc_mutual_info",
            ),
            *("acc_all", "acc_bytes", "acc_greedy", "balanced_accuracy", "strict_accuracy"),
            *("averaged_accuracy", "relaxed_accuracy", "raw_accuracy", "sentence_accuracy"),
            *(
                "exact_match",
                "em",
                "quasi_exact_match",
                "contains",
                "correct",
                "solved",
                "resolved",
            ),
            *("f1", "f1_macro", "f1_micro", "macro_f1", "micro_f1", "weighted_f1", "best_f1"),
            *("precision", "recall", "auc", "roc_auc", "auroc", "ap", "average_precision"),
            *("mc1", "mc2", "win_rate", "winrate", "length_controlled_win_rate", "success_rate"),
            *("pass_rate", "pct_stereotype", "mrr", "ndcg", "bertscore", "likelihood_win_rate"),
        ),
        _SHARE,
    )
    | dict.fromkeys(
        (
            *("perplexity", "word_perplexity", "byte_perplexity", "token_perplexity", "ppl"),
            *("bits_per_byte", "bpb", "loss", "eval_loss", "nll", "mse", "mae", "rmse"),
        ),
        _Scale(0.0, None, higher_is_better=False),
    )
    | dict.fromkeys(("wer", "cer", "ter", "word_error_rate"), _ERROR_RATE)
    | dict.fromkeys(("brier_score", "ece"), _Scale(0.0, 1.0, higher_is_better=False))
    | dict.fromkeys(("mcc", "matthews_correlation"), _CORRELATION)
    | dict.fromkeys(("pearson", "spearman", "pearsonr", "spearmanr", "kendall"), _CORRELATION)
    | dict.fromkeys(
        ("cos_sim_pearson", "cos_sim_spearman", "cosine_pearson", "cosine_spearman"), _CORRELATION
    )
    | dict.fromkeys(("elo", "elo_rating", "arena_score"), _Scale(None, None, unit="Elo"))
)

# Families of names: pass@10, ndcg_at_100, prompt_level_strict_acc, inst_level_loose_acc.
_SHARES = re.compile(
    r"(?:pass|maj|avg|cons|best|hits|recall|precision|map|mrr|ndcg|accuracy|acc)_(?:at_)?\d+"
    r"|(?:pass|maj|recall|precision|map|mrr|ndcg|hits)_at_k"
    r"|\w*(?:_acc|_accuracy|_acc_norm|_exact_match|_f1)"
)


def known_measure(
    metric: str,
    filter: str = "",  # noqa: A002 - as Measure calls it
    *,
    higher_is_better: bool | None = None,
) -> Measure:
    """Return the measure of a metric, with the usual scale of its name.

    The metric keeps its spelling; case, spaces and signs do not count in the look-up.

    Args:
        metric: such as acc, exact_match, word_perplexity.
        filter: how answers were extracted; empty for none.
        higher_is_better: as the source states it, before the table; None where it does not.

    Returns:
        A measure with bounds if the metric is known, else one without bounds, higher being better.
    """
    scale = _scale(metric)
    measure = Measure(
        metric=metric,
        filter=filter,
        lower=scale.lower,
        upper=scale.upper,
        higher_is_better=scale.higher_is_better,
        unit=scale.unit,
    )
    if higher_is_better is None or higher_is_better == measure.higher_is_better:
        return measure
    return replace(measure, higher_is_better=higher_is_better)


def in_percent(measure: Measure) -> Measure:
    """Return a measure in percent: its bounds times 100; without bounds, itself."""
    if measure.lower is None or measure.upper is None:
        return measure
    return replace(measure, lower=100 * measure.lower, upper=100 * measure.upper, unit="%")


def _scale(metric: str) -> _Scale:
    name = _plain(metric)
    if name in _KNOWN:
        return _KNOWN[name]
    return _SHARE if _SHARES.fullmatch(name) else _UNKNOWN


def _plain(metric: str) -> str:
    spelt = metric.lower().replace("@", "_at_")
    return re.sub(r"[^a-z0-9]+", "_", spelt).strip("_")
