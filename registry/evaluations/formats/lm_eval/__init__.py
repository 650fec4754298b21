"""Logs of EleutherAI's lm-evaluation-harness: results files and files of samples.

A results file holds the scores of one model on several tasks; a file of samples its results on each
item of one task. Layouts from before 0.4 are read too.
"""

import re
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path

from registry.errors import UnreadableFileError
from registry.evaluations.formats import json_files
from registry.evaluations.formats.lm_eval import write_out
from registry.evaluations.formats.lm_eval.companions import (
    is_old_name,
    results_beside,
    results_file,
)
from registry.evaluations.formats.lm_eval.results import ResultsFile, is_results, safe_name
from registry.evaluations.formats.lm_eval.samples import read_samples
from registry.evaluations.formats.lm_eval.writer import write
from registry.evaluations.formats.protocol import no_parts as parts
from registry.evaluations.records import Block, Notes

__all__ = ["DESCRIPTION", "parts", "read", "recognizes", "write"]

DESCRIPTION = "results_*.json and samples_*.jsonl of lm-evaluation-harness"

_RESULTS = re.compile(r"results(?:_.*)?\.json(?:\.gz)?")
_SAMPLES = re.compile(
    r"samples_(?P<task>.+?)(?:_(?P<time>\d{4}-\d\d-\d\dT[\d:.+-]+?))?\.jsonl?(?:\.gz)?"
)
_JSON = re.compile(r".*\.jsonl?(?:\.gz)?")

# Any of these beside a document's id or hash makes a row a sample of lm-eval.
_OF_SAMPLES = frozenset({"resps", "filtered_resps", "arguments"})


def recognizes(path: Path) -> bool:
    """Tell by its name and content whether a file is a log of lm-eval; never raises."""
    if not _JSON.fullmatch(path.name):
        return False
    try:
        if _SAMPLES.fullmatch(path.name) or ".jsonl" in path.name:
            return any(_is_sample(row) for _, row in islice(json_files.rows(path), 1))
        content = json_files.document(path)
    except UnreadableFileError:
        # A file with a name of lm-eval's is accepted, so that reading it raises the error.
        return bool(_RESULTS.fullmatch(path.name) or _SAMPLES.fullmatch(path.name))
    if write_out.NAME.fullmatch(path.name):
        return write_out.is_written_out(content)
    if isinstance(content, list):
        first = content[0] if content else None
        return isinstance(first, dict) and _is_sample(first)
    return is_results(content)


def read(path: Path, notes: Notes) -> Iterator[Block]:
    """Yield the blocks of a results file or a file of samples.

    A results file gives a block without items for each task and each group, with a run for each
    metric and filter. A file of samples gives one block, with its items. Its model, setup and time
    come from the results file of the same run beside it. Without it, or where it names no model,
    the runs' model is empty. The filter `none` means no filter, so that old and new layouts agree.

    Raises:
        UnreadableFileError: the file, or the results file beside it, is invalid, or several fit.
    """
    written_out = write_out.NAME.fullmatch(path.name)
    samples = _SAMPLES.fullmatch(path.name)
    if written_out:
        task = written_out["task"]
        results = results_beside(path, None, lambda each: task in each.tasks, notes)
        yield read_samples(path, task, results, write_out.rows(path), notes)
        return
    if samples is None and ".jsonl" not in path.name:
        content = json_files.document(path)
        if not isinstance(content, list):
            yield from results_file(path, content).blocks(notes)
            return
    if samples:
        name = samples["task"]
        results = results_beside(
            path, samples["time"], lambda each: bool(_tasks(name, each)), notes
        )
        task = next(iter(_tasks(name, results)), name)
    else:
        stem = path.name.partition(".json")[0]
        results = results_beside(path, None, lambda each: is_old_name(stem, each), notes)
        task = _old_task(stem, results)
    yield read_samples(path, task, results, json_files.rows(path), notes)


def _is_sample(row: Mapping[str, object]) -> bool:
    return ("doc_id" in row or "doc_hash" in row) and not _OF_SAMPLES.isdisjoint(row)


def _tasks(name: str, results: ResultsFile) -> list[str]:
    """Return the tasks of a name in that of a file, where special characters are replaced."""
    return [task for task in results.tasks if safe_name(task) == name]


def _old_task(stem: str, results: ResultsFile) -> str:
    """Return the task in a name such as pretrained__gpt2_arc_easy, from before 0.4.3."""
    fitting = [task for task in results.tasks if stem.endswith(task)]
    return max(fitting, key=len, default=stem)
