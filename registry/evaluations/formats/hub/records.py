"""Results in a model's record on the Hub: `.eval_results`, and the older `model-index`.

Both readers accept parsed JSON of any shape and never raise: unreadable results are left out with
a note. A sync calls them for every model, so that absent results cost nothing.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import islice
from typing import NamedTuple

from registry.coerce import number, short_text, timestamp
from registry.evaluations.formats.json_files import members
from registry.evaluations.identity.variants import variant_in
from registry.evaluations.records import (
    HUB_DATASETS,
    Benchmark,
    Block,
    Measure,
    Notes,
    Run,
    Setup,
    Source,
)
from registry.evaluations.scales import in_percent, known_measure

MAX_RESULTS = 1_000
"""Results, readable or not, that are read of one model at most."""

HUB = "huggingface.co"

_MAX_DETAILS = 20
_NUMBER = re.compile(
    r"([+-]?\d{1,15}(?:\.\d{0,30})?(?:e[+-]?\d{1,3})?)\s*(%?)", re.ASCII | re.IGNORECASE
)
_DATASET = re.compile(r"[\w.-]+(?:/[\w.-]+)?", re.ASCII)
_WHOLE = frozenset({"default", "main", "all"})  # configurations of a whole data set
_NO_TYPES = frozenset({"unknown", "custom", "other", "none", "private", "dataset", "text"})
# They write percentages: the leaderboards' results, and those of the program mteb.
_PERCENT_SOURCES = re.compile(r"open[ _-]llm[ _-]leaderboard", re.IGNORECASE)
_ABOVE_CHANCE = re.compile(r"(?:BBH|GPQA|MuSR|MMLU-PRO) \(\d-shot\)", re.IGNORECASE)
_LEVEL_5 = re.compile(r"\bMATH (?:Lvl|Level) 5\b", re.IGNORECASE)
_SEVERAL = 3  # scores below one percent that no model has on as many usual benchmarks
_NOTHING = frozenset({"", "null", "~"})


class _Result(NamedTuple):
    """A run on a benchmark; `percent` if its score is stated as one, `title` of the data set."""

    benchmark: Benchmark
    run: Run
    percent: bool = False
    title: str | None = None


def read_eval_results(model: str, value: object, notes: Notes) -> list[Block]:
    """Read a model's `.eval_results`: the entries of its files, or `evalResults` of the Hub's API.

    A benchmark has the name of its data set, with `/task_id` unless that is `default`. The entries
    name neither metric nor scale: the measure is a `score` without bounds, better when higher, as
    the Hub ranks by it.
    """
    if not value:
        return []
    entries = _entries(value, notes)
    results = [result for entry in entries if (result := _eval_result(model, entry, notes))]
    return _blocks(results, notes)


def read_model_index(model: str, value: object, notes: Notes) -> list[Block]:
    """Read the `model-index` of a model's card.

    A benchmark is named by the type of its data set, the id on the Hub, with `/config` unless that
    is the whole; or by its title, if there is no such type or the card has several titles for it.
    `num_few_shot` gives the shots; the split and other arguments are details of the setup. Cards
    have shares or percentages and do not state which: a known metric is in percent where its source
    is known to write percentages, or another of its values shows it.
    """
    if not value:
        return []
    results = [_distinct(result) for result in _index_results(model, value, notes)]
    return _blocks(list(_scaled(_with_titles(results))), notes)


def _eval_result(model: str, entry: Mapping[str, object], notes: Notes) -> _Result | None:
    if "error" in entry:
        notes.left_out("files of results that the Hub found invalid")
        return None
    data = members(entry.get("data", entry))
    dataset, source = members(data.get("dataset")), members(data.get("source"))
    name, value = _text(dataset.get("id")), _value(data.get("value"))
    if name is None or value is None:
        notes.left_out("results without a benchmark or a finite number")
        return None
    url = f"{HUB_DATASETS}{name}" if _DATASET.fullmatch(name) else None
    task = _text(dataset.get("task_id")) or _text(dataset.get("config"))
    if task is not None and task != "default":
        name = f"{name}/{task}"
    if short_text(name) is None:
        notes.left_out("results whose benchmark's name is too long")
        return None
    score, percent = value
    details = {"notes": _text(data.get("notes")), "split": _text(dataset.get("split"))}
    run = Run(
        model=model,
        measure=Measure(
            metric="score", lower=None, upper=None, unit="%" if percent else None, assumed=True
        ),
        source=_source(source),
        setup=Setup(
            variant=variant_in(details["notes"]),
            details={key: text for key, text in details.items() if text},
        ),
        evaluated_at=timestamp(data.get("date")),
        score=score,
        verified=_text(data.get("verifyToken"), most=None) is not None
        or entry.get("verified") is True,
    )
    version = _text(dataset.get("revision")) or ""
    return _Result(Benchmark(name=name, version=version, url=url), run)


def _index_results(model: str, value: object, notes: Notes) -> Iterator[_Result]:
    """Yield the results of a `model-index`, of at most MAX_RESULTS entries."""
    left = MAX_RESULTS
    for card in _entries(value, notes):
        for result in _entries(card.get("results"), notes):
            dataset = members(result.get("dataset"))
            benchmark = _index_benchmark(dataset)
            shots, details = _index_arguments(dataset)
            types: set[str] = set()
            before = left
            for metric in _entries(result.get("metrics"), notes):
                left -= 1
                score = _value(metric.get("value"))
                name = _text(metric.get("type")) or _text(metric.get("name"))
                if benchmark is None or score is None or name is None:
                    notes.left_out("results without a benchmark, a metric or a finite number")
                else:
                    run = Run(
                        model=model,
                        measure=_index_measure(name, metric),
                        source=_source(members(result.get("source"))),
                        setup=Setup(
                            shots=shots, details={**details, **_own_details(metric, name in types)}
                        ),
                        score=score[0],
                        verified=_text(metric.get("verifyToken"), most=None) is not None,
                    )
                    types.add(name)
                    yield _Result(benchmark, run, score[1], _text(dataset.get("name")))
                if left == 0:
                    break
            left -= left == before  # an empty one counts too
            if left == 0:
                notes.left_out(f"cards cut off after {MAX_RESULTS:,} results")
                return


def _index_benchmark(dataset: Mapping[str, object]) -> Benchmark | None:
    kind, title = _text(dataset.get("type")), _text(dataset.get("name"))
    usable = kind is not None and _DATASET.fullmatch(kind) and kind.lower() not in _NO_TYPES
    name = kind if usable else title or kind
    if name is None:
        return None
    url = f"{HUB_DATASETS}{name}" if usable else None
    config = _text(dataset.get("config"))
    if config is not None and config.lower() not in _WHOLE:
        name = f"{name}/{config}"
    version = _text(dataset.get("revision")) or ""
    return Benchmark(name=name, version=version, url=url) if short_text(name) else None


def _index_arguments(dataset: Mapping[str, object]) -> tuple[int | None, dict[str, str]]:
    """Return the shots and the details of a setup that a data set states."""
    shots, details = None, {}
    split, arguments = _text(dataset.get("split")), dataset.get("args")
    if split is not None:
        details["split"] = split
    for key, value in islice(members(arguments).items(), _MAX_DETAILS):
        text, name = _scalar(value), _text(key)
        if name in ("num_few_shot", "num_fewshot") and text is not None and text.isdecimal():
            shots = min(int(text), 10_000)
        elif name is not None and text is not None:
            details[name] = text
    if (text := _scalar(arguments)) is not None:
        details["args"] = text
    return shots, details


def _own_details(metric: Mapping[str, object], is_repeated: bool) -> dict[str, str]:  # noqa: FBT001 - a fact
    """Return the details that distinguish a metric; the first of a type has no title."""
    stated = {
        "metric_config": metric.get("config"),
        "metric": metric.get("name") if is_repeated else None,
    }
    return {key: text for key, value in stated.items() if (text := _text(value))}


def _index_measure(name: str, metric: Mapping[str, object]) -> Measure:
    """Return the measure of a metric; the scale is of its title where its type has none."""
    measure, title = known_measure(name), _text(metric.get("name"))
    if measure.lower is None and measure.unit is None and title is not None:
        return replace(known_measure(title), metric=name)
    return measure


def _distinct(result: _Result) -> _Result:
    """Keep apart what a title says of a data set's items, and of its score's scale.

    The Open LLM Leaderboard wrote scores into cards of which 0 is guessing, not no item right.
    """
    title, run = result.title or "", result.run
    if run.source.name == "Open LLM Leaderboard" and _ABOVE_CHANCE.fullmatch(title):
        measure = replace(run.measure, metric=f"{run.measure.metric}_above_chance")
        return result._replace(run=replace(run, measure=measure))
    if _LEVEL_5.search(title):
        name = f"{result.benchmark.name}/Level 5"
        return result._replace(benchmark=replace(result.benchmark, name=name))
    return result


def _with_titles(results: list[_Result]) -> list[_Result]:
    """Name benchmarks of one type by their titles: they are usually parts of a data set."""
    titles: dict[object, set[str | None]] = {}
    for result in results:
        titles.setdefault((result.benchmark.name, result.run.setup.shots), set()).add(result.title)
    return [
        result._replace(benchmark=replace(result.benchmark, name=result.title))
        if result.title is not None
        and len(titles[result.benchmark.name, result.run.setup.shots]) > 1
        else result
        for result in results
    ]


def _scaled(results: list[_Result]) -> Iterator[_Result]:
    """Put percentages on their scale, determined for each source.

    A source states percentages if it is known to, or writes a percent sign. Where only a score
    above 1 shows it, a score up to 1 beside it may be either: it has no bounds. Nor have those of a
    source that is known to state percentages where several in the card are all up to 1: some cards
    have the results of the same boards as shares.
    """
    stated = {r.run.source for r in results if r.percent or _states_percent(r)}
    doubtful = stated - {r.run.source for r in results if r.percent}
    doubtful = {source for source in doubtful if _may_be_shares(results, source)}
    stated -= doubtful
    shown = {r.run.source for r in results if _is_percent(r.run.score, r.run.measure)} - stated
    shown |= doubtful
    for result in results:
        run, measure = result.run, result.run.measure
        if measure.upper == 1 and run.source in stated | shown:
            may_be_share = bool(run.score) and measure.allows(run.score or 0.0)
            measure = in_percent(measure)
            if run.source in shown and may_be_share:
                measure = replace(measure, lower=None, upper=None, unit=None)
        elif result.percent and measure.upper is None:
            measure = replace(measure, unit="%")
        yield result._replace(run=replace(run, measure=measure))


def _states_percent(result: _Result) -> bool:
    return bool(
        _PERCENT_SOURCES.search(result.run.source.name) or result.benchmark.name.startswith("mteb/")
    )


def _may_be_shares(results: list[_Result], source: Source) -> bool:
    scores = {r.run.score for r in results if r.run.source == source and r.run.score}
    return len(scores) >= _SEVERAL and all(0 < score <= 1 for score in scores if score)


def _is_percent(score: float | None, measure: Measure) -> bool:
    return score is not None and measure.upper == 1 and 1 < score <= 100  # noqa: PLR2004


def _blocks(results: list[_Result], notes: Notes) -> list[Block]:
    """Group results by version of a benchmark; the first of contradicting ones counts."""
    blocks: dict[tuple[str, str], tuple[Benchmark, list[Run]]] = {}
    scores: dict[object, float | None] = {}
    for benchmark, run, *_ in results:
        version = (benchmark.name, benchmark.version)
        setup = run.setup.fingerprint()
        key = (version, run.measure.metric, run.source.name, run.evaluated_at, setup)
        if key in scores:
            is_same = scores[key] == run.score
            notes.left_out("results stated twice" if is_same else "results that contradict another")
            continue
        scores[key] = run.score
        blocks.setdefault(version, (benchmark, []))[1].append(run)
    return [Block(benchmark=benchmark, runs=runs) for benchmark, runs in blocks.values()]


def _source(source: Mapping[str, object]) -> Source:
    names = (_text(source.get(key)) for key in ("name", "org", "user"))
    return Source(name=next(filter(None, names), HUB), url=_text(source.get("url")))


def _value(value: object) -> tuple[float, bool] | None:
    """Read a finite number, as such or as a text, and whether a percent sign follows it."""
    if isinstance(value, str):
        match = _NUMBER.fullmatch(value.strip()) if len(value) < 100 else None  # noqa: PLR2004
        real = number(float(match[1])) if match else None
        return None if match is None or real is None else (real, bool(match[2]))
    real = number(value)
    return None if real is None else (real, False)


def _entries(value: object, notes: Notes) -> Iterator[Mapping[str, object]]:
    """Yield the objects in a list, or the only one; empty ones for anything else."""
    elements = value if isinstance(value, list) else [] if value is None else [value]
    if len(elements) > MAX_RESULTS:
        notes.left_out(f"lists cut off after {MAX_RESULTS:,} results")
    for element in elements[:MAX_RESULTS]:
        yield element if isinstance(element, dict) else {}


def _text(value: object, most: int | None = 255) -> str | None:
    """Return a text; None if it is empty or `null`, as in YAML that is read without types."""
    if most is None and isinstance(value, str):
        value = value[:255]
    text = short_text(value)
    return None if text is None or text in _NOTHING else text


def _scalar(value: object) -> str | None:
    if isinstance(value, bool) or number(value) is not None:
        return str(value)
    return _text(value)
