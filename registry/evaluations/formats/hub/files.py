"""Files with results in a model's repository: `.eval_results/*.yaml` and README.md."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import yaml

from registry.bounded import yaml_text
from registry.coerce import short_text
from registry.errors import UnreadableFileError
from registry.evaluations.formats.hub.records import HUB, read_eval_results, read_model_index
from registry.evaluations.records import Block, Notes, Run

_FOLDER = ".eval_results"
_FRONT = re.compile(r"\A\ufeff?---[ \t]*\n(.*?)^---[ \t]*$", re.DOTALL | re.MULTILINE)
_INDEX = re.compile(
    rb"\A(?:\xef\xbb\xbf)?---[ \t]*\r?\n(?:(?!---[ \t\r]*$).*\n)*?model-index[ \t]*:", re.MULTILINE
)
_BENCHMARK = re.compile(r"([\w.-]+/[\w.-]+)(?:/(.+))?", re.ASCII)
_MAX_CARD = 5_000_000  # characters; cards with results rarely reach 1 % of it


def recognizes(path: Path) -> bool:
    """Tell by its name whether a file holds results of a model on the Hub.

    Most README.md have none: those are recognized by the member of their front matter.
    """
    if path.name == "README.md":
        return _has_results(path)
    return path.suffix in (".yaml", ".yml") and path.absolute().parent.name == _FOLDER


def _has_results(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return _INDEX.search(file.read(_MAX_CARD)) is not None
    except OSError:
        return True  # so that reading it raises the error


def read(path: Path, notes: Notes, model: str | None = None) -> Iterator[Block]:
    """Yield the results in a file of a model's repository.

    Args:
        path: `<organisation>/<name>/README.md`, `<organisation>__<name>/.eval_results/x.yaml`, or
            one of these files elsewhere if `model` is given.
        notes: of what is left out.
        model: the model's name; by default that of the repository's directory, which is the whole
            name if it contains two underscores.

    Raises:
        UnreadableFileError: the file is not UTF-8 or not YAML, or no model is named.
    """
    text = _text(path)
    directory = path.absolute().parent
    if path.name == "README.md":
        front = _FRONT.search(text)
        card = _parsed(path, front[1], skipped=1) if front else None
        value = card.get("model-index") if isinstance(card, dict) else None
        yield from read_model_index(model or _model(path, directory), value, notes)
    else:
        value = _parsed(path, text)
        if value is not None and not isinstance(value, list):
            raise UnreadableFileError(path, "a list of results was expected.")
        yield from read_eval_results(model or _model(path, directory.parent), value, notes)


def with_place(blocks: Iterable[Block], notes: Notes) -> Iterator[Block]:
    """Yield blocks with the runs that `write` can represent, and note the others.

    Those are runs with a score on a data set of the Hub: `org/name` or `org/name/task`.
    """
    for block in blocks:
        yield replace(block, runs=_with_place(block, notes))


def _with_place(block: Block, notes: Notes) -> Iterator[Run]:
    on_hub = _BENCHMARK.fullmatch(block.benchmark.name)
    for run in block.runs:
        if on_hub is None:
            notes.left_out("runs on benchmarks that are not data sets of the Hub (org/name)")
        elif run.raw_score() is None:
            notes.left_out("runs without a score")
        else:
            yield run


def write(blocks: Iterable[Block]) -> dict[str, str]:
    """Return a text for each model, a YAML file for its `.eval_results`.

    A run gives an entry: its raw score, on its own scale, as the format has none. A metric that is
    not the benchmark's own `score` is in the notes. Left out are that a result was verified, which
    only a signature shows, and sources without an address, which the format does not accept.

    Args:
        blocks: with runs that the format can represent only; see `with_place`.
    """
    entries: dict[str, list[dict[str, object]]] = {}
    for block in blocks:
        name = _BENCHMARK.fullmatch(block.benchmark.name)
        for run in block.runs:
            score = run.raw_score()
            assert name is not None
            assert score is not None
            dataset = {"id": name[1], "task_id": name[2] or "default"}
            if block.benchmark.version:
                dataset["revision"] = block.benchmark.version
            entries.setdefault(run.model, []).append(_entry(run, dataset, score))
    return {
        model: yaml.safe_dump(listed, sort_keys=False, allow_unicode=True)
        for model, listed in entries.items()
    }


def _entry(run: Run, dataset: dict[str, str], score: float) -> dict[str, object]:
    entry: dict[str, object] = {"dataset": dataset, "value": score}
    if run.evaluated_at is not None:
        entry["date"] = run.evaluated_at.isoformat()
    if run.source.url is not None:
        entry["source"] = {"url": run.source.url}
        if run.source.name != HUB:
            entry["source"] = {"url": run.source.url, "name": run.source.name}
    metric = " ".join(filter(None, (run.measure.metric, run.measure.filter)))
    noted, variant = run.setup.details.get("notes"), run.setup.variant
    notes = [noted, metric if metric != "score" else None]
    if variant is not None and variant not in (noted or ""):
        notes.append(variant)  # the score is not of the plain model
    if any(notes):
        entry["notes"] = ", ".join(filter(None, notes))
    return entry


def _text(path: Path) -> str:
    try:
        with path.open(encoding="utf-8") as file:
            text = file.read(_MAX_CARD + 1)
    except OSError as error:
        raise UnreadableFileError(path, f"{error.strerror or error}.") from error
    except UnicodeDecodeError as error:
        raise UnreadableFileError(path, f"this is not UTF-8: {error.reason}.") from error
    if len(text) > _MAX_CARD:
        raise UnreadableFileError(path, "a model's file of results is never as long as this.")
    return text


def _parsed(path: Path, text: str, skipped: int = 0) -> object:
    """Return the value of YAML; `skipped` lines before it count in errors."""
    try:
        # The base loader makes texts, lists and mappings only: dates and numbers stay as written.
        return yaml_text.load(text, yaml.BaseLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 + skipped if error.problem_mark else None
        raise UnreadableFileError(path, f"this is not YAML: {error.problem}.", line=line) from error
    except yaml.YAMLError as error:
        problem = str(error).splitlines()[0]
        raise UnreadableFileError(path, f"this is not YAML: {problem}.") from error


def _model(path: Path, directory: Path) -> str:
    name, organisation = directory.name, directory.parent.name
    full = name if "__" in name or not organisation else f"{organisation}/{name}"
    if not name or short_text(full) != full:
        raise UnreadableFileError(path, "no model is named; give its name.")
    return full
