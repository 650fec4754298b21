"""Aggregate of Every Eval Ever: the source, the model, its setups and scores."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import blake2b
from pathlib import Path

from registry.coerce import count, number, short_text, timestamp
from registry.errors import UnreadableFileError
from registry.evaluations.formats.every_eval_ever.distinctions import (
    Result,
    distinguished,
    facts,
)
from registry.evaluations.formats.every_eval_ever.instances import Instances
from registry.evaluations.formats.json_files import members
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

SCHEMA = "0.3.0"

_VERSION = re.compile(r"0\.\d{1,3}(?:\.\d{1,3})?")
_DATASET = re.compile(r"[\w.-]+(?:/[\w.-]+)?", re.ASCII)
_MAX_DETAILS = 50
_UNKNOWN = (None, "", "unknown")
_AGENTS = ("agent", "agent_name", "scaffold", "scaffolding", "agent_framework")
_SAMPLES = ("best_of", "n", "num_samples", "n_samples", "k")
_SELECTED = {
    "bestofn": "best-of-",
    "bestofk": "best-of-",
    "majorityvote": "maj@",
    "majorityvoting": "maj@",
    "selfconsistency": "maj@",
}
"""Ways of choosing one of several samples, by what names of variants begin with."""


class Aggregate:
    """One aggregate: JSON of any shape."""

    def __init__(self, path: Path, content: object, notes: Notes) -> None:
        if not isinstance(content, dict):
            raise UnreadableFileError(path, "an object was expected here.")
        self._path, self._content, self._notes = path, content, notes
        version = content.get("schema_version")
        if not isinstance(version, str) or not _VERSION.fullmatch(version):
            raise UnreadableFileError(path, "only 0.x can be read.", field="schema_version")
        if version != SCHEMA:
            notes.left_out(f"aggregates of another schema than {SCHEMA}: read as far as they agree")
        self._model_info = members(content.get("model_info"))
        self._model_details = members(self._model_info.get("additional_details"))

    @property
    def instances(self) -> Mapping[str, object]:
        """The entry of the file of instances."""
        return members(self._content.get("detailed_evaluation_results"))

    def blocks(self, instances: Instances | None) -> Iterator[Block]:
        """Yield a block for each benchmark, with items where there are instances of it."""
        by_benchmark: dict[Benchmark, list[Result]] = {}
        first: dict[tuple[str, str], Benchmark] = {}
        keys: set[str] = set()
        for result in distinguished(self._results(), self._notes):
            keys.add(result.key)
            version = (result.benchmark.name, result.benchmark.version)
            by_benchmark.setdefault(first.setdefault(version, result.benchmark), []).append(result)
        for benchmark, results in by_benchmark.items():
            runs = [(result.key, result.run) for result in results]
            if instances is None:
                yield Block(benchmark=benchmark, runs=[run for _, run in runs])
            else:
                yield instances.joined(benchmark, runs, keys)

    def _results(self) -> Iterator[Result]:
        entries = self._content.get("evaluation_results")
        if not isinstance(entries, list):
            raise self._error("a list was expected.", "evaluation_results")
        model, source = self._model(), self._source()
        self._has_percentages = False
        self._unscaled = frozenset(self._without_scale(entries))
        for position, entry in enumerate(entries):
            at = f"evaluation_results[{position}]"
            if not isinstance(entry, dict):
                raise self._error("an object was expected.", at)
            details = members(entry.get("score_details"))
            score = number(details.get("score"))
            benchmark = self._benchmark(entry, at)
            measure = self._measure(members(entry.get("metric_config")), benchmark, at)
            if score is None:
                self._notes.left_out("results without a finite score")
                continue
            uncertainty = members(details.get("uncertainty"))
            error = uncertainty.get("standard_error")
            samples = [uncertainty.get("num_samples")]
            samples.append(members(entry.get("source_data")).get("samples_number"))
            run = Run(
                model=model,
                measure=measure,
                source=source,
                setup=self._setup(entry),
                revision=_known(self._model_details.get("revision")),
                evaluated_at=self._time(entry),
                score=score,
                standard_error=number(error.get("value") if isinstance(error, dict) else error),
                items=next((n for sample in samples if (n := count(sample)) is not None), None),
                complete=members(details.get("details")).get("complete") != "false",
            )
            key = short_text(entry.get("evaluation_result_id")) or ""
            yield Result(benchmark, run, key, facts(entry))

    def _model(self) -> str:
        names = (self._model_info.get("id"), self._model_info.get("name"))
        for name in names:
            if text := short_text(name):
                return text
        raise self._error("no model is named.", "model_info.id")

    def _source(self) -> Source:
        source = members(self._content.get("source_metadata"))
        name = short_text(source.get("source_organization_name"))
        if name is None:
            raise self._error("no source is named.", "source_metadata.source_organization_name")
        return Source(name=name, url=short_text(source.get("source_organization_url")))

    def _benchmark(self, entry: Mapping[str, object], at: str) -> Benchmark:
        name = short_text(entry.get("evaluation_name"))
        if name is None:
            raise self._error("this is not a short name.", f"{at}.evaluation_name")
        data = members(entry.get("source_data"))
        extra = members(data.get("additional_details"))
        url, repository = data.get("url"), short_text(data.get("hf_repo"))
        url = url[0] if isinstance(url, list) and url else url
        if not isinstance(url, str) and repository and _DATASET.fullmatch(repository):
            url = HUB_DATASETS + repository
        return Benchmark(
            name=name,
            version=short_text(extra.get("version")) or "",
            domain=short_text(extra.get("domain")),
            url=short_text(url),
        )

    def _measure(self, config: Mapping[str, object], benchmark: Benchmark, at: str) -> Measure:
        lower_is_better = config.get("lower_is_better")
        if not isinstance(lower_is_better, bool):
            raise self._error("this must be true or false.", f"{at}.metric_config.lower_is_better")
        extra = members(config.get("additional_details"))
        metric = _metric(config)
        higher = None if extra.get("direction") == "unknown" else not lower_is_better
        known = known_measure(
            metric, task=benchmark.name, harness=self._harness, higher_is_better=higher
        )
        known = replace(
            known,
            filter=short_text(extra.get("filter")) or "",
            higher_is_better=higher,
            random_baseline=_number_in(extra.get("random_baseline")),
        )
        stated = _known(config.get("metric_unit"))
        unit = {"percent": "%", "proportion": None}.get(stated, stated) if stated else None
        lower, upper = number(config.get("min_score")), number(config.get("max_score"))
        if lower is not None and upper is not None and lower >= upper:
            self._notes.left_out("scales whose lowest score is not below the highest")
            return replace(known, lower=None, upper=None, unit=unit, assumed=False)
        if lower is not None or upper is not None or extra.get("bounds") == "none":
            return replace(known, lower=lower, upper=upper, unit=unit, assumed=False)
        if (bounds := _implied(config)) is not None:
            return replace(known, lower=bounds[0], upper=bounds[1], unit=unit, assumed=False)
        if stated == "percent":
            return replace(in_percent(_as_share(known)), assumed=False)
        if stated == "proportion":
            return replace(_as_share(known), unit=None, assumed=False)
        is_share = (known.lower, known.upper) == (0.0, 1.0)
        is_fact = known.unit == "%"  # of the task
        if not is_fact and (metric in self._unscaled or (is_share and self._has_percentages)):
            known = replace(known, lower=None, upper=None)
        return replace(known, unit=unit or known.unit)

    def _without_scale(self, entries: Sequence[object]) -> Iterator[str]:
        """Yield the metrics without stated bounds that have scores above their usual ones.

        None of their scores in the file is a share then, not even those that might be one.
        """
        for entry in map(members, entries):
            config = members(entry.get("metric_config"))
            score = number(members(entry.get("score_details")).get("score"))
            if config.get("max_score") is not None or score is None:
                continue
            known = known_measure(
                _metric(config),
                task=short_text(entry.get("evaluation_name")) or "",
                harness=self._harness,
            )
            if known.upper is not None and score > known.upper:
                yield _metric(config)
                self._has_percentages |= known.upper == 1 < score <= 100  # noqa: PLR2004

    @property
    def _harness(self) -> str | None:
        return short_text(members(self._content.get("eval_library")).get("name"))

    def _setup(self, entry: Mapping[str, object]) -> Setup:
        library = members(self._content.get("eval_library"))
        source = members(self._content.get("source_metadata"))
        config = members(entry.get("generation_config"))
        parts = ("generation_args", "additional_details")
        # Before schema 0.1 the configuration had no parts.
        stated = dict(_flat({key: config[key] for key in config if key not in parts}))
        for part in parts:
            stated |= dict(_flat(members(config.get(part))))
        shots = stated.pop("num_fewshot", "")
        template = stated.pop("prompt_template", None)
        version, chat = stated.pop("task_version", ""), stated.pop("chat_template", None)
        precision, variant = stated.pop("precision", ""), stated.pop("variant", "")
        engine = members(self._model_info.get("inference_engine"))
        details = {
            "evaluator_relationship": _known(source.get("evaluator_relationship")),
            "inference_platform": _known(self._model_info.get("inference_platform")),
            "inference_engine": _known(engine.get("name")),
            "inference_engine_version": _known(engine.get("version")),
        }
        if details["evaluator_relationship"] == "other":  # no information
            details["evaluator_relationship"] = None
        named = {key[:255]: _short(text) for key, text in stated.items()}
        return Setup(
            harness=_known(library.get("name")),
            harness_version=_known(library.get("version")),
            shots=int(shots) if shots.isdecimal() and len(shots) < 5 else None,  # noqa: PLR2004
            prompt_template=None if template is None else _short(template),
            task_version=_short(version) or None,
            chat_template=None if chat is None else _short(chat),
            precision=_short(precision) or _known(self._model_details.get("precision")),
            variant=_short(variant) or self._system(config, stated),
            details={key: text for key, text in {**details, **named}.items() if text},
        )

    def _system(self, config: Mapping[str, object], stated: Mapping[str, str]) -> str | None:
        """Return what makes it a system around the model: an agent, tools, effort, samples."""
        arguments = members(config.get("generation_args"))
        listed = members(arguments.get("agentic_eval_config")).get("available_tools")
        names = [members(tool).get("name") for tool in listed] if isinstance(listed, list) else []
        tools = sorted({name for name in map(short_text, names) if name})
        every = {**dict(_flat(self._model_details)), **stated}
        last = {key.rpartition(".")[2]: text for key, text in every.items()}
        agent = next((name for key in _AGENTS if (name := _known(last.get(key)))), None)
        parts = [f"agent {agent}"] if agent else []
        parts += [f"tools {'+'.join(tools)}"] if tools else ["tools"] if names else []
        parts += [
            f"{key}={value}"
            for key in ("reasoning_effort", "thinking_budget", "budget_tokens")
            if (value := _known(last.get(key)))
        ]
        samples = next((last[key] for key in _SAMPLES if key in last), "n")
        if selected := _SELECTED.get(
            re.sub(r"[\W_]", "", last.get("sampling_strategy", "").lower())
        ):
            parts.append(f"{selected}{samples}")
        elif (best := last.get("best_of", "1")).isdecimal() and int(best) > 1:
            parts.append(f"best-of-{int(best)}")
        if (attempts := last.get("max_attempts", "1")).isdecimal() and int(attempts) > 1:
            parts.append(f"max_attempts={int(attempts)}")
        return _short(", ".join(parts)) or None

    def _time(self, entry: Mapping[str, object]) -> datetime | None:
        stated = [entry.get("evaluation_timestamp"), self._content.get("evaluation_timestamp")]
        stated.append(self._content.get("retrieved_timestamp"))
        return next((moment for value in stated if (moment := _moment(value))), None)

    def _error(self, problem: str, field: str) -> UnreadableFileError:
        return UnreadableFileError(self._path, problem, field=field)


def _metric(config: Mapping[str, object]) -> str:
    names = (config.get(key) for key in ("metric_id", "metric_name", "metric_kind"))
    return next((text for name in names if (text := short_text(name))), "score")


def _implied(config: Mapping[str, object]) -> tuple[float, float] | None:
    """Return the bounds implied by the type of a score."""
    levels = config.get("level_names")
    if config.get("score_type") == "binary":
        return 0.0, 1.0
    if config.get("score_type") == "levels" and isinstance(levels, list) and len(levels) > 1:
        return 0.0, len(levels) - 1.0
    return None


def _as_share(measure: Measure) -> Measure:
    """Return a measure from 0 to 1; one that has bounds in units of one keeps them."""
    if measure.upper == 1:
        return measure
    return replace(measure, lower=0.0, upper=1.0)


def _moment(value: object) -> datetime | None:
    """Return a time given as seconds since 1970, as a number or a text, or as ISO 8601."""
    seconds = _number_in(value)
    if seconds is None:
        return timestamp(value)
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _number_in(value: object) -> float | None:
    if not isinstance(value, str):
        return number(value)
    try:
        return number(float(value))
    except ValueError:
        return None


def _flat(value: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield the scalars in nested mappings, three deep, under names joined by dots."""
    for key, member in list(value.items())[:_MAX_DETAILS]:
        name = short_text(key)
        if name is None:
            continue
        if isinstance(member, dict) and prefix.count(".") < 2:  # noqa: PLR2004
            yield from _flat(member, f"{prefix}{name}.")
        elif isinstance(member, str):
            yield prefix + name, member
        elif isinstance(member, bool) or number(member) is not None:
            yield prefix + name, str(member)


def _short(text: str) -> str:
    """Return a text if it is short, else its hash, which distinguishes texts as well."""
    return short_text(text) or (
        blake2b(text.encode(errors="replace"), digest_size=16).hexdigest() if text.strip() else ""
    )


def _known(value: object) -> str | None:
    text = short_text(value)
    return None if text in _UNKNOWN else text
