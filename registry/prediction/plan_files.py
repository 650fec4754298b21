"""Evaluation plans as files that lm-eval runs: its option `--samples`."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from registry.errors import UsageError, first_of
from registry.evaluations.formats.lm_eval.documents import (
    document_numbers,
    numbers_in_names,
    samples_option,
)
from registry.prediction.plan import EvaluationPlan, PlannedItem


class SamplesFile(NamedTuple):
    """A file for `lm_eval --samples`, its tasks, and what to know of it."""

    content: bytes
    tasks: Sequence[str]
    notes: Sequence[str]


def lm_eval_samples(
    plan: EvaluationPlan, *, documents: Sequence[Path] = (), task: str | None = None
) -> SamplesFile:
    """Return a plan as the file that lm-eval's option `--samples` reads.

    It has the `doc_id` of each item by task. lm-eval runs them in the order of its data set: the
    order of the plan is in what the command prints.

    Args:
        plan: at least one item.
        documents: files of samples that lm-eval wrote of any model on these tasks, which have the
            `doc_id` of the items that are named by their `doc_hash`.
        task: lm-eval's name of the task, where it is not the name of the benchmark; of plans of one
            benchmark.

    Raises:
        UsageError: for an item whose `doc_id` is not known, or a task's name for several
            benchmarks.
        UnreadableFileError: for a file of samples that is not one.
    """
    planned: dict[str, list[PlannedItem]] = {}
    for item in plan.items:
        planned.setdefault(item.benchmark, []).append(item)
    if task is not None and len(planned) > 1:
        raise UsageError("--task names the task of one benchmark; this plan is of several.")
    stated: dict[str, int] = {}
    for path in documents:
        stated |= document_numbers(path)
    notes, tasks = [], {}
    for benchmark, items in planned.items():
        names = [each.item for each in items]
        numbers = [stated[name] for name in names if name in stated]
        if len(numbers) < len(names):
            numbers = _numbers(benchmark, names, stated)
            notes.append(
                f"The items of {benchmark} are named by numbers, which are taken for their places "
                "in lm-eval's data set: compare one before a long run."
            )
        tasks[task or benchmark] = numbers
    return SamplesFile(samples_option(tasks.items()), list(tasks), notes)


def _numbers(benchmark: str, names: Sequence[str], stated: dict[str, int]) -> list[int]:
    numbers = None if stated else numbers_in_names(names)
    if numbers is not None:
        return numbers
    missing = [name for name in names if name not in stated]
    raise UsageError(
        f"lm-eval selects documents by their places in its data set, which are not known of "
        f"{first_of(missing, noun='item')} of {benchmark}. Give a file of samples that lm-eval "
        "wrote of any model on the whole task, by --doc-ids samples_TASK_....jsonl."
    )
