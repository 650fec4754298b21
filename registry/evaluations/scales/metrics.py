"""Scales of metrics by their names, as harnesses and cards use them.

Sources: `lm_eval/api/metrics.py` and the task files of lm-evaluation-harness 0.3 to 0.4.9,
`lighteval/metrics`, BIG-bench's `json_task.py`, and the papers of the metrics. ROUGE and BLEU have
no bounds here: libraries state them from 0 to 1 or from 0 to 100.
"""

import re
from collections.abc import Mapping
from typing import NamedTuple


class Scale(NamedTuple):
    """Bounds, direction and unit of a metric; None is not known, or no bound.

    `by_definition` where the direction follows from what the metric is, so that a harness's
    statement of the other one is a slip.
    """

    lower: float | None
    upper: float | None
    higher_is_better: bool | None = True
    unit: str | None = None
    by_definition: bool = False


SHARE = Scale(0.0, 1.0)
PERCENT = Scale(0.0, 100.0, unit="%")
UNKNOWN = Scale(None, None, None)

_ERROR_SHARE = Scale(0.0, 1.0, higher_is_better=False)
_GAIN = Scale(0.0, None)  # ROUGE, BLEU, chrF
_DIFFERENCE = Scale(None, None)
_ELO = Scale(None, None, unit="Elo")
_COST = Scale(0.0, None, higher_is_better=False, by_definition=True)
_CORRELATION = Scale(-1.0, 1.0)
# The sum of squared differences over classes (Brier 1950): 0 is best, 2 is worst.
_BRIER = Scale(0.0, 2.0, higher_is_better=False, by_definition=True)

# Names as `plain` makes them: small letters and digits, parts joined by one underscore.
_KNOWN: Mapping[str, Scale] = (
    dict.fromkeys(
        (
            *("acc", "accuracy", "acc_norm", "accuracy_norm", "normalized_accuracy"),
            *("acc_all", "acc_bytes", "acc_greedy", "balanced_accuracy", "strict_accuracy"),
            *("acc_mutual_info", "averaged_accuracy", "relaxed_accuracy", "raw_accuracy"),
            *("sentence_accuracy", "acc_ambig", "acc_disambig", "accuracy_amb"),
            *("accuracy_disamb", "strict_acc", "loose_acc", "extractive_match"),
            *("exact_match", "exact", "em", "quasi_exact_match", "prefix_exact_match", "contains"),
            *("prefix_quasi_exact_match", "qem", "pem", "pqem", "exact_str_match"),
            *("multiple_choice_grade", "math_verify", "correct", "solved", "resolved"),
            *("is_included", "json_validity", "schema_compliance", "options_consistency_rate"),
            *("f1", "f1_macro", "f1_micro", "f1_weighted", "macro_f1", "micro_f1", "weighted_f1"),
            *("best_f1", "best_exact", "f1_radgraph", "precision", "recall", "auc", "roc_auc"),
            *("auroc", "ap", "ap_weighted", "average_precision", "mc1", "mc2", "truthfulqa_mc1"),
            *("truthfulqa_mc2", "win_rate", "winrate", "length_controlled_win_rate"),
            *("length_controlled_winrate", "discrete_win_rate", "success_rate", "pass_rate"),
            *("mrr", "ndcg", "bertscore", "likelihood_win_rate", "consistency_rate"),
            *("qa_f1_score", "qa_f1_zh_score", "classification_score", "retrieval_score"),
            *("retrieval_zh_score", "count_score", "code_sim_score"),
        ),
        SHARE,
    )
    | dict.fromkeys(
        (
            *("perplexity", "word_perplexity", "byte_perplexity", "token_perplexity", "ppl"),
            *("bits_per_byte", "bpb", "loss", "eval_loss", "nll", "mse", "mae", "rmse"),
            # May exceed 1, or 100: insertions count too.
            *("wer", "cer", "ter", "word_error_rate", "character_error_rate"),
        ),
        _COST,
    )
    | dict.fromkeys(("brier_score", "brier"), _BRIER)
    | {"ece": _ERROR_SHARE._replace(by_definition=True)}
    | dict.fromkeys(
        (
            *("pct_stereotype", "pct_male_preferred", "pct_female_preferred", "pct_invalid"),
            "perspective_api_toxicity_score",
        ),
        _ERROR_SHARE,
    )
    | dict.fromkeys(
        ("likelihood_diff", "difference_male_female", "average_len"),
        Scale(0.0, None, higher_is_better=False),
    )
    | dict.fromkeys(("mcc", "matthews_correlation", "matthews_corrcoef"), _CORRELATION)
    | dict.fromkeys(("pearson", "spearman", "pearsonr", "spearmanr", "kendall"), _CORRELATION)
    | dict.fromkeys(
        ("cos_sim_pearson", "cos_sim_spearman", "cosine_pearson", "cosine_spearman"), _CORRELATION
    )
    | dict.fromkeys(
        ("elo", "elo_rating", "arena_score", "arena_elo"), Scale(None, None, unit="Elo")
    )
    | {"eqbench": Scale(None, 100.0), "percent_parseable": PERCENT, "bleurt": _DIFFERENCE}
)

# Families of names: pass@10, ndcg_at_100, prompt_level_strict_acc, inst_level_loose_acc. A number
# alone is a length of contexts that RULER measures the accuracy at.
_FAMILIES: tuple[tuple[re.Pattern[str], Scale], ...] = (
    (
        re.compile(
            r"(?:pass|maj|avg|cons|best|hits|recall|precision|map|mrr|ndcg|accuracy|acc|r)_(?:at_)?\d+"
            r"|(?:pass|maj|recall|precision|map|mrr|ndcg|hits)_at_k|g_pass_at_\w+"
            r"|(?:has|no)ans_(?:exact|f1)"
            r"|(?:per_option|non_greedy|\d+)_(?:macro_)?accuracy(?:_\w+)?"
            r"|\w*(?:_acc|_accuracy|_acc_norm|_exact_match|_f1)"
            r"|\d{3,7}"
        ),
        SHARE,
    ),
    (re.compile(r"(?:dis)?amb_bias_score(?:_\w+)?"), Scale(-1.0, 1.0, higher_is_better=False)),
    (re.compile(r"(?:rouge\w*|bleu\w*|bleurt)_diff"), _DIFFERENCE),
    (
        re.compile(
            r"rouge_?(?:\d|l|lsum|w)?(?:_zh)?(?:_(?:f|f1|fmeasure|precision|recall|score|max|mean))?"
            r"|(?:smoothed_|sacre_?)?bleu(?:_?\d)?(?:_max)?|chrf(?:_?\d|_plus_plus|pp)?|meteor|cider"
        ),
        _GAIN,
    ),
)


# "acc (%)", "MMLU [%]", "accuracy_pct", "percent_correct": the name states the unit of values.
_UNIT = r"%|pct|percent(?:age)?"
_IN_PERCENT = re.compile(
    rf"[(\[]\s*(?:{_UNIT})\s*[)\]]|%\s*$|(?:^|[\s_,-])(?:{_UNIT})\s*$|^percent(?:age)?[\s_-]",
    re.IGNORECASE,
)


def scale_of(metric: str) -> Scale:
    """Return the usual scale of a metric; without bounds and direction if its name says none.

    A name that says so is of percentages.
    """
    name = plain(metric)
    if name in _KNOWN:
        scale = _KNOWN[name]
    elif states_percent(metric) and (stem := _IN_PERCENT.sub(" ", metric)) != metric:
        scale = scale_of(stem)
    else:
        scale = next((scale for names, scale in _FAMILIES if names.fullmatch(name)), UNKNOWN)
    return percentages(scale) if states_percent(metric) else scale


def states_percent(name: str) -> bool:
    """Return whether the name of a metric or a column says that its values are percentages."""
    return bool(_IN_PERCENT.search(name))


def percentages(scale: Scale) -> Scale:
    """Return a scale in percent; one with a unit, or of a cost without bounds, as it is."""
    if scale.unit is not None or (scale.by_definition and scale.upper is None):
        return scale
    lower, upper = scale.lower or 0.0, 1.0 if scale.upper is None else scale.upper
    return scale._replace(lower=100 * lower, upper=100 * upper, unit="%")


def plain(name: str) -> str:
    """Return a name in small letters and digits, its parts joined by one underscore."""
    spelt = name.lower().replace("@", "_at_")
    return re.sub(r"[^a-z0-9]+", "_", spelt).strip("_")
