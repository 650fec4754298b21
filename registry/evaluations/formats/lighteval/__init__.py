"""Results and details of lighteval, and the raw ones of the Open LLM Leaderboards.

A results file holds the scores of one model on several tasks; a file of details, in Parquet, its
results on each document of one task.
"""

from collections.abc import Iterator
from pathlib import Path

from registry.errors import UnreadableFileError
from registry.evaluations.formats import json_files
from registry.evaluations.formats.lighteval import details
from registry.evaluations.formats.lighteval.results import LightevalResults
from registry.evaluations.formats.protocol import no_parts as parts
from registry.evaluations.records import Block, Notes

__all__ = ["DESCRIPTION", "parts", "read", "recognizes"]

DESCRIPTION = "results_*.json and details_*.parquet of lighteval and the Open LLM Leaderboards"

_KEYS = frozenset({"config_general", "results"})
_ENDINGS = (".json", ".json.gz")


def recognizes(path: Path) -> bool:
    """Tell by its name and keys, or columns, whether a file is one of lighteval."""
    if path.name.endswith(_ENDINGS):
        return json_files.keys(path) >= _KEYS
    return details.recognizes(path)


def read(path: Path, notes: Notes) -> Iterator[Block]:
    """Yield a block for each task of a results file, or the task of a file of details.

    Details have the model, setup and time of the results file of the same time, which is searched
    beside them, in the folders above, and in `results` where they are in `details`.

    Raises:
        UnreadableFileError: the file is invalid, or there is no results file for the details.
    """
    if path.name.endswith(_ENDINGS):
        yield from LightevalResults.load(path).blocks(notes)
        return
    task, time = details.task_and_time(path)
    results = _beside(path, time)
    if results is None:
        problem = (
            "whose results these are, only their results file says: put "
            f"results_{time}.json beside it, or into a folder above."
        )
        raise UnreadableFileError(path, problem)
    yield details.read_details(path, results, results.key_of(task), notes)


def _beside(path: Path, time: str) -> LightevalResults | None:
    """Read the results file of the same time: in the folder, above, or in the twin `results`."""
    folder = path.absolute().parent
    places = [folder, *list(folder.parents)[:2]]
    parts_ = list(folder.parts)
    if "details" in parts_:
        at = len(parts_) - 1 - parts_[::-1].index("details")
        places.append(Path(*parts_[:at], "results", *parts_[at + 1 : -1]))
    for place in places:
        for candidate in sorted(place.glob("results_*.json*")):
            if _plain(candidate.name.removeprefix("results_").partition(".json")[0]) == _plain(
                time
            ):
                return LightevalResults.load(candidate)
    return None


def _plain(time: str) -> str:
    return time.replace(":", "-")
