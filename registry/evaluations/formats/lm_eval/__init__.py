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
from registry.evaluations.formats.lm_eval.results import ResultsFile, safe_name
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
_OF_LIGHTEVAL = "config_general"  # whose files have the same names


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
    if isinstance(content, list):
        return bool(content) and isinstance(content[0], dict) and _is_sample(content[0])
    return _is_results(content)


def read(path: Path, notes: Notes) -> Iterator[Block]:
    """Yield the blocks of a results file or a file of samples.

    A results file gives a block without items for each task and each group, with a run for each
    metric and filter. A file of samples gives one block, with its items. Its model, setup and time
    come from the results file of the same time beside it. Without it, or where it names no model,
    the runs' model is empty. The filter `none` means no filter, so that old and new layouts agree.

    Raises:
        UnreadableFileError: the file, or the results file beside it, is invalid.
    """
    samples = _SAMPLES.fullmatch(path.name)
    if samples is None and ".jsonl" not in path.name:
        content = json_files.document(path)
        if not isinstance(content, list):
            yield from _results_file(path, content).blocks(notes)
            return
    results = _beside(path, samples["time"] if samples else None)
    task = _task(samples["task"], results) if samples else _old_task(path, results)
    if results is None:
        notes.left_out("files of samples without their results file: their setups are unknown")
    yield read_samples(path, task, results, notes)


def _is_sample(row: Mapping[str, object]) -> bool:
    return ("doc_id" in row or "doc_hash" in row) and not _OF_SAMPLES.isdisjoint(row)


def _is_results(content: object) -> bool:
    return (
        isinstance(content, dict)
        and isinstance(content.get("results"), dict)
        and ("config" in content or "versions" in content)
        and _OF_LIGHTEVAL not in content
    )


def _results_file(path: Path, content: object) -> ResultsFile:
    if not isinstance(content, dict):
        raise UnreadableFileError(path, "an object was expected here.")
    if not isinstance(content.get("results"), dict):
        raise UnreadableFileError(path, "lm-eval's results are an object.", field="results")
    return ResultsFile(path, content)


def _beside(path: Path, time: str | None) -> ResultsFile | None:
    """Read the results file of a file of samples; before 0.4.3 its name has no time."""
    name = "results" if time is None else f"results_{time}"
    for candidate in (path.with_name(f"{name}.json"), path.with_name(f"{name}.json.gz")):
        if candidate.exists():
            return _results_file(candidate, json_files.document(candidate))
    return None


def _task(name: str, results: ResultsFile | None) -> str:
    """Return a task, given its name in that of a file, where special characters are replaced."""
    fitting = [task for task in results.tasks if safe_name(task) == name] if results else []
    return fitting[0] if fitting else name


def _old_task(path: Path, results: ResultsFile | None) -> str:
    """Return the task in a name such as pretrained__gpt2_arc_easy.jsonl, from before 0.4.3."""
    stem = path.name.partition(".json")[0]
    fitting = [task for task in results.tasks if stem.endswith(task)] if results else []
    return max(fitting, key=len, default=stem)
