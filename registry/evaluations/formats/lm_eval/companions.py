"""Search for the results file of a file of samples, which states its model and setup."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

from registry.errors import UnreadableFileError
from registry.evaluations.formats import json_files
from registry.evaluations.formats.lm_eval.results import ResultsFile, is_results
from registry.evaluations.records import Notes

_REPLACED = re.compile(r'["<>:/|\\?*\[\]=_]+')
_ENDINGS = (".json", ".json.gz")


def results_file(path: Path, content: object) -> ResultsFile:
    """Return a results file.

    Raises:
        UnreadableFileError: the content is not that of one.
    """
    if not isinstance(content, dict):
        raise UnreadableFileError(path, "an object was expected here.")
    if not isinstance(content.get("results"), dict):
        raise UnreadableFileError(path, "lm-eval's results are an object.", field="results")
    return ResultsFile(path, content)


def results_beside(
    path: Path, time: str | None, fits: Callable[[ResultsFile], bool], notes: Notes
) -> ResultsFile:
    """Return the results file of a file of samples, in the same folder.

    It is results_TIME.json (before 0.4.3 results.json), or after `--output_path X.json` X_TIME.json
    (X.json). Where there is none, an empty one is returned: model and setup are unknown.

    Args:
        path: of the samples.
        time: in their name.
        fits: whether a file of another name may be the one.
        notes: of what is left out.

    Raises:
        UnreadableFileError: several fit, or the one is invalid.
    """
    ending = "" if time is None else f"_{time}"
    for candidate in (path.with_name(f"results{ending}{suffix}") for suffix in _ENDINGS):
        if candidate.exists():
            return results_file(candidate, json_files.document(candidate))
    fitting = [each for each in _others(path, ending) if fits(each)]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        names = " and ".join(each.path.name for each in fitting[:2])
        raise UnreadableFileError(
            path,
            f"{names} may both be the results file of these samples: keep one of them beside it.",
        )
    notes.left_out("files of samples without their results file: their setups are unknown")
    return ResultsFile(path, {})


def _others(path: Path, ending: str) -> Iterator[ResultsFile]:
    """Yield the results files in a folder whose names have an ending."""
    for candidate in sorted(path.absolute().parent.iterdir()):
        if not candidate.name.endswith(tuple(ending + suffix for suffix in _ENDINGS)):
            continue
        if candidate.name == path.name or "results" not in json_files.keys(candidate):
            continue
        try:
            content = json_files.document(candidate)
        except UnreadableFileError:
            continue
        if isinstance(content, dict) and is_results(content):
            yield ResultsFile(candidate, content)


def is_old_name(stem: str, results: ResultsFile) -> bool:
    """Return whether lm-eval before 0.4.3 names samples so: by the model's arguments and a task."""
    prefix = "" if results.arguments_text is None else _plain(results.arguments_text)
    return any(_plain(stem).endswith(_plain(f"{prefix}_{task}")) for task in results.tasks)


def _plain(name: str) -> str:
    """Return a name without the characters that versions replace in their ways."""
    return _REPLACED.sub("_", name)
