"""Files that lm-eval 0.3 writes with `--write_out`: the prompts of one task and its results."""

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from registry.coerce import count, number
from registry.errors import UnreadableFileError
from registry.evaluations.formats import json_files

NAME = re.compile(r"(?P<task>.+)_write_out_info\.json(?:\.gz)?")

_REQUEST = re.compile(r"(?:prompt|logit)_\d+")
_TRUTH_VALUES = {"True": 1.0, "False": 0.0}


def is_written_out(content: object) -> bool:
    """Return whether a JSON value is of such a file: a list of rows, or forks' object of them."""
    listed = content.values() if isinstance(content, dict) else content
    first = next(iter(listed), None) if isinstance(listed, Iterable) else None
    return isinstance(first, dict) and "doc_id" in first and "prompt_0" in first


def rows(path: Path) -> Iterator[tuple[int, dict[str, object]]]:
    """Yield the rows as samples of later versions, with their numbers from 1.

    A document is known by its place in the data set only. Its prompt is what its requests have in
    common: before 0.4 context and continuation are one text.

    Raises:
        UnreadableFileError: a row has no `doc_id` or no prompt.
    """
    content = json_files.document(path)
    listed = list(content.values()) if isinstance(content, dict) else content
    for line, row in enumerate(listed if isinstance(listed, list) else [], 1):
        if not isinstance(row, dict):
            raise UnreadableFileError(path, "an object was expected here.", line=line)
        place = count(row.get("doc_id"))
        if place is None or not isinstance(row.get("prompt_0"), str):
            field = "doc_id" if place is None else "prompt_0"
            raise UnreadableFileError(path, "every row needs this.", line=line, field=field)
        own = {"doc_id", "truth"}
        values = {
            name: _value(value)
            for name, value in row.items()
            if name not in own and not _REQUEST.fullmatch(name)
        }
        reply, truth = row.get("logit_0"), row.get("truth")
        yield (
            line,
            {
                "doc_id": place,
                "doc_hash": str(place),
                "target": truth.strip() if isinstance(truth, str) else truth,
                # The second argument marks a request for an answer, not for a likelihood.
                "arguments": [[_context(row), {}]],
                "filtered_resps": [reply] if isinstance(reply, str) else [],
                "metrics": list(values),
                **values,
            },
        )


def _context(row: Mapping[str, object]) -> str:
    prompts = [
        text for key, text in row.items() if key.startswith("prompt_") and isinstance(text, str)
    ]
    common = min(prompts, key=len)
    while not all(text.startswith(common) for text in prompts):
        common = common[:-1]
    if common in prompts:
        return common
    # Choices may begin alike: the context ends before the word in which they differ.
    return common[: max(common.rfind(" "), common.rfind("\n"))] or common


def _value(value: object) -> object:
    """Return a metric's value, which is written as a text."""
    if not isinstance(value, str):
        return value
    if value in _TRUTH_VALUES:
        return _TRUTH_VALUES[value]
    try:
        return number(float(value)) if value.strip().lower() != "nan" else None
    except ValueError:
        return value
