"""Files of lighteval's details: the documents of one task, and a model's results on them.

Since 0.9 a row has the structs `__doc__`, `__metric__` and `__model_response__`; before, a column
for each fact of the document, and its metrics in a struct `metrics` or in columns of their own.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import orjson
import pyarrow as pa

from registry.bounded import parquet
from registry.coerce import number, short_text, storable
from registry.errors import UnreadableFileError
from registry.evaluations.formats.json_files import members
from registry.evaluations.formats.lighteval.results import LightevalResults, TaskKey
from registry.evaluations.formats.means import outcomes_of
from registry.evaluations.records import Block, Item, Notes, Run

_NAME = re.compile(r"details_(?P<task>.+)_(?P<time>\d{4}-\d\d-\d\dT[\d:.-]+)\.parquet")
_STRUCTS = ("__doc__", "__metric__", "__model_response__")
_TEXTS = ("example", "choices", "gold", "gold_index", "predictions", "metrics")
_FLAT = "metrics."
_ROWS = 1 << 12


def recognizes(path: Path) -> bool:
    """Tell by its name and columns whether a file has details; never raises."""
    if not _NAME.fullmatch(path.name):
        return False
    try:
        names = set(parquet.opened(path).schema_arrow.names)
    except (pa.ArrowException, OSError, UnicodeError, UnreadableFileError):
        return True  # so that reading it raises the error
    return {"__doc__", "__metric__"} <= names or "example" in names


def task_and_time(path: Path) -> tuple[str, str]:
    """Return the task and the time in a file's name.

    Raises:
        UnreadableFileError: there are none.
    """
    match = _NAME.fullmatch(path.name)
    if match is None:
        problem = "its name is not details_<task>_<time>.parquet, as lighteval names it."
        raise UnreadableFileError(path, problem)
    return match["task"], match["time"]


def read_details(path: Path, results: LightevalResults, key: TaskKey, notes: Notes) -> Block:
    """Return the documents of a task, with a run for each metric whose values are outcomes.

    A document is named by its id, else by a digest of its text. One that the task holds twice is
    two items.

    Raises:
        UnreadableFileError: it is not a whole file, or a row is not one of details.
    """
    items: dict[str, Item] = {}
    values: dict[str, list[float]] = {}
    answers: list[str | None] = []
    metrics = [name for name in results.scores(key) if not name.endswith("_stderr")]
    for number_, row in enumerate(_rows(path, metrics), 1):
        document, measured, answer = _parts(path, number_, row, metrics)
        item = _item(path, number_, document)
        name, copies = item.item, 1
        while item.item in items:
            copies += 1
            item = item._replace(item=f"{name}#{copies}")
        items[item.item] = item
        answers.append(answer)
        for metric in {**values, **measured}:
            column = values.setdefault(metric, [float("nan")] * (number_ - 1))
            column.append(_value(measured.get(metric)))
    if not items:
        raise UnreadableFileError(path, "there are no rows in it.")
    runs = list(_runs(results, key, values, answers, notes))
    return Block(benchmark=results.benchmark(key), items=list(items.values()), runs=runs)


def _runs(
    results: LightevalResults,
    key: TaskKey,
    values: Mapping[str, list[float]],
    answers: list[str | None],
    notes: Notes,
) -> Iterator[Run]:
    scores, (number_of_items, complete) = results.scores(key), results.extent(key)
    is_part = number_of_items is not None and len(answers) < number_of_items
    for name, column in values.items():
        metric = short_text(name)
        measure = results.measure(key, metric or "")
        stated = number(scores.get(name))
        outcomes = None if stated is None else outcomes_of(measure, stated, column, is_part=is_part)
        if metric is None or outcomes is None:
            notes.left_out("metrics of documents that are not outcomes of the stated score")
            continue
        has_answers = any(answer is not None for answer in answers)
        yield results.run(
            key,
            measure,
            outcomes=outcomes,
            answers=answers if has_answers else None,
            complete=complete,
            # Of more documents than the details are, the score stays as stated.
            **({"score": stated, "items": number_of_items} if is_part else {}),
        )


def _value(value: object) -> float:
    """Return a value of a metric: NaN where there is none, infinite where it is no number."""
    if value is None or value != value:  # noqa: PLR0124 - NaN
        return float("nan")
    real = float(value) if isinstance(value, bool) else number(value)
    return float("inf") if real is None else real


def _rows(path: Path, metrics: list[str]) -> Iterator[dict[str, object]]:
    """Yield the rows, of the columns that are used: those of tokens are most of a file."""
    with _arrow_errors(path), parquet.opened(path) as file:
        names = list(file.schema_arrow.names)
        if "__doc__" in names:
            columns = [name for name in _STRUCTS[:2] if name in names]
            if "__model_response__" in names:
                response = file.schema_arrow.field("__model_response__").type
                columns.append(
                    "__model_response__.text"
                    if pa.types.is_struct(response) and response.get_field_index("text") >= 0
                    else "__model_response__"
                )
        else:
            columns = [
                name
                for name in names
                if name in _TEXTS or name in metrics or name.startswith(_FLAT)
            ]
        for batch in parquet.batches(path, file, _ROWS, columns):
            yield from batch.to_pylist()


def _parts(
    path: Path, row_number: int, row: dict[str, object], metrics: list[str]
) -> tuple[Mapping[str, object], Mapping[str, object], str | None]:
    """Return the document, the metrics and the answer of a row."""
    if "__doc__" in row:
        document, measured, response = (_object(row.get(name)) for name in _STRUCTS)
        field = "__metric__"
        answer = response.get("text")
    else:
        document, field, answer = row, "metrics", row.get("predictions")
        measured = dict(_object(row.get("metrics")))
        measured |= {n[len(_FLAT) :]: v for n, v in row.items() if n.startswith(_FLAT)}
        measured |= {name: row[name] for name in metrics if name in row}
    measured = {name: value for name, value in measured.items() if value is not None}
    if not measured:
        problem = "every row needs values of metrics here."
        raise UnreadableFileError(path, problem, row=row_number, field=field)
    return document, measured, _answer(answer)


def _object(value: object) -> Mapping[str, object]:
    """Return a struct, or the object in a text of JSON."""
    if isinstance(value, str):
        try:
            value = orjson.loads(value)
        except orjson.JSONDecodeError:
            return {}
    if isinstance(value, list):  # a map
        pairs = [pair for pair in value if isinstance(pair, tuple) and len(pair) == 2]  # noqa: PLR2004
        value = dict(pairs)
    return members(value)


def _item(path: Path, row: int, document: Mapping[str, object]) -> Item:
    field = "__doc__.query" if "query" in document else "example"
    query = document.get("query", document.get("example"))
    if not isinstance(query, str) or not query:
        raise UnreadableFileError(path, "every row needs the text here.", row=row, field=field)
    listed = document.get("choices")
    texts = [each for each in listed if isinstance(each, str)] if isinstance(listed, list) else []
    gold = document.get("gold_index")
    gold = gold[0] if isinstance(gold, list) and len(gold) == 1 else gold
    answer = texts[gold] if type(gold) is int and 0 <= gold < len(texts) else document.get("gold")
    answer = answer[0] if isinstance(answer, list) and len(answer) == 1 else answer
    name = (
        short_text(document.get("id"))
        or sha256("\0".join([query, *texts]).encode("utf-8", "replace")).hexdigest()
    )
    return Item(
        item=name,
        prompt=storable(query),
        choices=tuple(map(storable, texts)) if len(texts) > 1 else (),
        answer=storable(answer) if isinstance(answer, str) and answer else None,
    )


def _answer(value: object) -> str | None:
    """Return a model's first text; None for likelihoods."""
    first = value[0] if isinstance(value, list) and value else value
    first = first[0] if isinstance(first, list) and first else first
    return storable(first) if isinstance(first, str) and first else None


@contextmanager
def _arrow_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError, EOFError, UnicodeDecodeError) as error:
        what = " ".join(str(error).split())[:200]
        problem = f"it is not a whole Parquet file ({what}). Fetch it again."
        raise UnreadableFileError(path, problem) from error
