"""Score matrix of BenchPress: models, benchmarks and scores in JSON, each with its source."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from registry.coerce import number, short_text
from registry.errors import UnreadableFileError
from registry.evaluations.formats import json_files
from registry.evaluations.formats.json_files import members
from registry.evaluations.formats.protocol import no_parts as parts
from registry.evaluations.records import (
    Benchmark,
    Block,
    Measure,
    Notes,
    Run,
    Setup,
    Source,
)

__all__ = ["DESCRIPTION", "parts", "read", "recognizes"]

DESCRIPTION = "llm_benchmark_data.json of BenchPress: models, benchmarks and scores"

SOURCE = Source(name="BenchPress", url="https://github.com/microsoft/benchpress")

_KEYS = frozenset({"models", "benchmarks", "scores"})
_PLAIN = frozenset({"none", "n/a", "default", "unspecified", "pass@1", "benchmark-specified"})
_VARIANT = ("effort", "tools", "sampling")
_DETAILS = ("mode", "judge", "harness", "prompt_style", "temperature")
_UNITS = {"pct": "%", "elo": "Elo", "rating": "Elo", "dollars": "$"}


class _Entry(msgspec.Struct):
    """A score of a model on a benchmark, or a further one that another source states."""

    score: float | None = None
    reference_url: str | None = None
    reported_setting: Any = None
    audit_status: str | None = None


class _Score(_Entry, kw_only=True):
    model_id: str
    benchmark_id: str
    candidates: list[_Entry] | None = None


class _Benchmark(msgspec.Struct):
    id: str
    category: str | None = None
    source_url: str | None = None
    canonical_setting: dict[str, Any] | None = None


class _Matrix(msgspec.Struct):
    benchmarks: list[_Benchmark]
    scores: list[_Score]


def recognizes(path: Path) -> bool:
    """Tell by its keys whether a file is a score matrix of BenchPress."""
    if path.suffix != ".json" or not json_files.keys(path) >= _KEYS:
        return False
    try:
        matrix = json_files.typed(json_files.raw(path), _Matrix, path)
    except UnreadableFileError:
        # A matrix that is broken is accepted, so that reading it raises the error.
        return b"benchmark_id" in json_files.raw(path)
    return bool(matrix.scores)


def read(path: Path, notes: Notes) -> Iterator[Block]:
    """Yield a block for each benchmark, on the scale that it states.

    Scores that are not verified are left out. Effort, tools and sampling other than the plain ones
    make a run's variant.

    Raises:
        UnreadableFileError: the file is invalid; names the field.
    """
    matrix = json_files.typed(json_files.raw(path), _Matrix, path)
    known = {benchmark.id: benchmark for benchmark in matrix.benchmarks}
    by_benchmark: dict[str, list[Run]] = {}
    for place, score in enumerate(matrix.scores):
        benchmark = known.get(score.benchmark_id)
        if benchmark is None:
            problem = f"{score.benchmark_id[:80]!r} is not among the benchmarks."
            raise UnreadableFileError(path, problem, field=f"scores[{place}].benchmark_id")
        model = short_text(score.model_id)
        if model is None:
            problem = "no model is named."
            raise UnreadableFileError(path, problem, field=f"scores[{place}].model_id")
        measure = _measure(path, benchmark)
        runs = by_benchmark.setdefault(benchmark.id, [])
        if not (score.audit_status or "").startswith("verified"):
            notes.left_out("scores that are not verified")
            continue
        for entry in (score, *(score.candidates or ())):
            runs += _run(model, measure, entry, notes)
    if not any(by_benchmark.values()):
        raise UnreadableFileError(path, "there are no scores in it.", field="scores")
    for name, runs in by_benchmark.items():
        stated = short_text(name)
        if stated is None:
            raise UnreadableFileError(path, "a benchmark has no name.", field="benchmarks.id")
        facts = known[name]
        yield Block(
            benchmark=Benchmark(
                name=stated, domain=short_text(facts.category), url=short_text(facts.source_url)
            ),
            runs=runs,
        )


def _run(model: str, measure: Measure, entry: _Entry, notes: Notes) -> Iterator[Run]:
    score = number(entry.score)
    if score is None:
        notes.left_out("scores that are no finite numbers")
    else:
        yield Run(model=model, measure=measure, source=SOURCE, setup=_setup(entry), score=score)


def _measure(path: Path, benchmark: _Benchmark) -> Measure:
    """Return the measure of a benchmark, with the range that it states; percent without one."""
    stated = benchmark.canonical_setting or {}
    kind = stated.get("metric_type", "pct")
    bounds = stated.get("range")
    if bounds is None:
        bounds = [0, 100] if kind == "pct" else [None, None]
    lower, upper = (
        (number(each) for each in bounds)
        if isinstance(bounds, list) and len(bounds) == 2  # noqa: PLR2004 - lower and upper
        else (None, None)
    )
    if not isinstance(bounds, list) or (None not in (lower, upper) and lower >= upper):  # type: ignore[operator] # not None
        field = f"benchmarks.{benchmark.id[:80]}.canonical_setting.range"
        raise UnreadableFileError(path, "a range is its lower and its upper end.", field=field)
    if kind != "pct":
        lower = upper = None  # the range of Elo and the like is for clipping
    higher = stated.get("higher_is_better", True)
    return Measure(
        metric="score",
        lower=lower,
        upper=upper,
        higher_is_better=higher is not False,
        unit=_UNITS.get(str(kind)),
        assumed=kind not in _UNITS,
    )


def _setup(entry: _Entry) -> Setup:
    stated = members(entry.reported_setting)
    named = [f"{key}={text}" for key in _VARIANT if (text := _special(stated, key))]
    details = {key: _special(stated, key) for key in _DETAILS}
    details["stated_by"] = short_text(entry.reference_url)
    return Setup(
        variant=short_text(", ".join(named)[:255]),
        details={key: text for key, text in details.items() if text},
    )


def _special(stated: Mapping[str, object], key: str) -> str | None:
    """Return a part of a setting as a text; None where it is a plain one."""
    value = stated.get(key)
    text = short_text(str(value)) if isinstance(value, str | int | float) else None
    return None if text is None or text.lower() in _PLAIN else text
