"""Scales that a task, or the harness that runs it, gives its metrics.

Facts from the tasks' sources, one a line: SQuAD's own scripts (`squad`, `squad_v2` of the library
evaluate, and their Japanese port in the fork of Stability AI) state percentages, as do SCROLLS and
the ROUGE scores of TruthfulQA; MT-Bench (arXiv 2306.05685) rates answers out of ten.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

from registry.evaluations.scales.metrics import PERCENT, Scale, plain


class _Fact(NamedTuple):
    """A scale of metrics of tasks; `harness` is None where every program states it so."""

    harness: str | None
    tasks: re.Pattern[str]
    metrics: re.Pattern[str]
    scale: Scale


_OUT_OF_TEN = Scale(0.0, 10.0)
_DIFFERENCE_IN_PERCENT = Scale(-100.0, 100.0, unit="%")

_RATINGS = (
    r"score|mt_?bench(?:_score)?|average(?:_score)?|(?:avg|mean)_score|rating"
    r"|judge_score(?:_\w+)?|turn_\d|first_turn|second_turn"
)
_SQUAD_METRICS = r"(?:(?:has|no)ans_|best_)?(?:exact|exact_match|f1|em)"

# Names of tasks and metrics are as `plain` makes them.
_FACTS: Sequence[_Fact] = tuple(
    _Fact(harness, re.compile(tasks), re.compile(metrics), scale)
    for harness, tasks, metrics, scale in (
        # lm_eval/tasks/squadv2/task.py, squad.py of 0.3 (squad2)
        ("lm-eval", r"squad(?:_?v?2(?:_0)?)?", _SQUAD_METRICS, PERCENT),
        # The fork with Japanese tasks: jsquad-1.1-0.3, jaquad, jaqket_v2-0.2-0.3
        ("lm-eval", r"(?:jsquad|jaquad|jaqket_v2)(?:_\d\w*)?", _SQUAD_METRICS, PERCENT),
        # lm_eval/tasks/scrolls/task.py; acc and acc_norm of its tasks with choices are shares
        ("lm-eval", r"scrolls_\w+", r"em|f1|rouge\w*", PERCENT),
        # lm_eval/tasks/truthfulqa/utils.py and its copies
        ("lm-eval", r"truthfulqa\w*", r"(?:rouge[12l]|bleu)_max", PERCENT),
        ("lm-eval", r"truthfulqa\w*", r"(?:rouge[12l]|bleu)_diff", _DIFFERENCE_IN_PERCENT),
        # fastchat/llm_judge: ratings from 1 to 10, -1 where the judge's reply has none
        (None, r"(?:\w+_)?mt_?bench(?:_\w+)?", _RATINGS, _OUT_OF_TEN),
    )
)


# How files spell the harness that they are from.
_SPELLINGS = dict.fromkeys(
    ("lm_eval", "lm_eval_harness", "lm_evaluation_harness", "eleutherai_lm_evaluation_harness"),
    "lm-eval",
)


def scale_by_task(task: str, metric: str, harness: str | None) -> Scale | None:
    """Return the scale that a task gives a metric; None where it is the metric's usual one.

    Args:
        task: name of the task or the benchmark.
        metric: as stated.
        harness: the program that states it, such as lm-eval; None if it is not known.
    """
    benchmark, name = plain(task), plain(metric)
    program = _SPELLINGS.get(plain(harness or ""), harness)
    for fact in _FACTS:
        if (
            fact.harness in (None, program)
            and fact.tasks.fullmatch(benchmark)
            and fact.metrics.fullmatch(name)
        ):
            return fact.scale
    return None


def is_percent_by_harness(task: str, metric: str) -> bool:
    """Return whether a harness states a metric of a task in percent, where others do not."""
    harnesses = {fact.harness for fact in _FACTS if fact.harness is not None}
    scales = [scale_by_task(task, metric, harness) for harness in harnesses]
    return any(scale is not None and scale.unit == "%" for scale in scales)
