"""Runs of a log of Inspect: its scorers' metrics, with the samples' scores as outcomes."""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from registry.coerce import number, short_text, timestamp
from registry.errors import UnreadableFileError
from registry.evaluations.formats.inspect_logs.log import (
    InspectLog,
    MetricValue,
    Reduction,
    ScorerResults,
)
from registry.evaluations.formats.inspect_logs.samples import EpochSamples, values_of
from registry.evaluations.formats.inspect_logs.setup import model_of, setup_of
from registry.evaluations.formats.means import outcomes_of
from registry.evaluations.records import (
    HUB_DATASETS,
    Benchmark,
    Block,
    Measure,
    Notes,
    Run,
    Source,
)
from registry.evaluations.scales import known_measure

SOURCE = Source(name="Inspect")

_ERRORS = ("stderr", "bootstrap_stderr")
_NO_SCORES = frozenset({*_ERRORS, "std", "var", "bootstrap_std"})
_MEANS = frozenset({"accuracy", "mean"})
_DATASET = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)


def block(log: InspectLog, notes: Notes) -> Block:
    """Return the block of a log.

    Raises:
        UnreadableFileError: the evaluation did not finish, or the log has no scores.
    """
    header, path = log.header, log.path
    if header.status != "success":
        problem = (
            f"the evaluation ended as {header.status[:40]!r}; only finished ones (success) are "
            "read. Run it again."
        )
        raise UnreadableFileError(path, problem, field="status")
    if header.invalidated:
        problem = "samples of it were invalidated, and its scores with them."
        raise UnreadableFileError(path, problem, field="invalidated")
    scorers = list(_scorers(log))
    if not scorers:
        raise UnreadableFileError(path, "there are no scores in it.", field="results.scores")
    samples = EpochSamples(path)
    for sample in log.samples():
        samples.add(sample, header.eval.model, scorers[0].name)
    runs = _Runs(log, samples, notes)
    return Block(
        benchmark=_benchmark(log),
        items=list(samples.items.values()),
        runs=[run for scorer in scorers for run in runs.of(scorer)],
    )


def _scorers(log: InspectLog) -> Iterator[ScorerResults]:
    results = log.header.results
    if results is None:
        return
    yield from results.scores
    if results.scorer is not None and not results.scores:
        results.scorer.metrics = results.metrics or results.scorer.metrics
        yield results.scorer


def _benchmark(log: InspectLog) -> Benchmark:
    task = log.header.eval
    name = short_text(task.task)
    if name is None:
        raise UnreadableFileError(log.path, "no task is named.", field="eval.task")
    location = task.dataset.location or ""
    is_dataset = _DATASET.fullmatch(location) and not location.endswith((".json", ".jsonl", ".csv"))
    return Benchmark(name=name, url=f"{HUB_DATASETS}{location}" if is_dataset else None)


class _Runs:
    """Runs of a log, and what they have in common."""

    def __init__(self, log: InspectLog, samples: EpochSamples, notes: Notes) -> None:
        self._log, self._samples, self._notes = log, samples, notes
        self._reductions = log.reductions()
        self._model, self._setup = model_of(log), setup_of(log)
        config = log.header.eval.config
        results = log.header.results
        whole = results is None or results.completed_samples >= results.total_samples
        self._complete = whole and config.get("limit") is None and config.get("sample_id") is None
        revision = log.header.eval.model_args.get("revision")
        self._revision = None if revision == "main" else short_text(revision)

    def of(self, scorer: ScorerResults) -> Iterator[Run]:
        """Yield a run for each metric of a scorer."""
        label = _label(scorer, self._reducer(scorer))
        observed = self._observed(scorer)
        named = [name for name in scorer.metrics if name not in _NO_SCORES]
        errors = [scorer.metrics[name] for name in _ERRORS if name in scorer.metrics]
        for name in named:
            metric, value = short_text(name), _finite(scorer.metrics[name])
            if metric is None or value is None:
                self._notes.left_out("metrics without a finite number")
                continue
            measure = known_measure(metric, label, task=self._log.header.eval.task)
            error = _finite(errors[0]) if errors and len(named) == 1 else None
            yield self._run(scorer, measure, value, error, observed)

    def _run(
        self,
        scorer: ScorerResults,
        measure: Measure,
        value: float,
        error: float | None,
        observed: Mapping[str, float],
    ) -> Run:
        run = Run(
            model=self._model,
            measure=measure,
            source=SOURCE,
            setup=self._setup,
            revision=self._revision,
            evaluated_at=timestamp(self._log.header.eval.created),
            complete=self._complete,
        )
        names = list(self._samples.items)
        values = [observed.get(name, math.nan) for name in names]
        number_of_items = self._number_of_items(scorer)
        # A log may hold some of the samples only: edited, or cut for size.
        kept = len(names) if scorer.scored_samples is None else len(observed)
        is_part = measure.metric in _MEANS and bool(observed) and kept < (number_of_items or 0)
        outcomes = outcomes_of(measure, value, values, is_part=is_part)
        if outcomes is None:
            if measure.metric in _MEANS and names:
                self._notes.left_out("samples' scores that are not outcomes of the stated score")
            items = number_of_items or (len(observed) or None)
            return replace(run, score=value, standard_error=error, items=items)
        if is_part:
            run = replace(run, score=value, standard_error=error, items=number_of_items)
        answers = [self._samples.answers[name] for name in names]
        latencies = np.array([self._samples.latencies[name] for name in names], np.float32)
        return replace(
            run,
            outcomes=outcomes,
            answers=answers if any(each is not None for each in answers) else None,
            input_tokens=_counts(self._samples.input_tokens, names),
            output_tokens=_counts(self._samples.output_tokens, names),
            latencies=None if np.isnan(latencies).all() else latencies,
        )

    def _number_of_items(self, scorer: ScorerResults) -> int | None:
        """Return the number of samples that a scorer's metrics are of; None if unknown."""
        results = self._log.header.results
        epochs = self._log.header.eval.config.get("epochs") or 1
        if scorer.scored_samples is not None or results is None:
            return scorer.scored_samples
        # Counted once for each epoch.
        completed = results.completed_samples
        return completed // epochs if type(epochs) is int and epochs > 0 else None

    def _reducer(self, scorer: ScorerResults) -> str:
        """Return the name of what makes a sample's epochs one score."""
        stated = self._log.header.eval.config.get("epochs_reducer")
        alone = stated[0] if isinstance(stated, list) and len(stated) == 1 else None
        return scorer.reducer or short_text(alone) or "mean"

    def _observed(self, scorer: ScorerResults) -> Mapping[str, float]:
        """Return the samples' scores over their epochs, as far as the log or their mean has them.

        A reducer that is not the mean is known from the reductions alone.
        """
        for key in (scorer.name, scorer.scorer):
            fitting = [each for each in self._reductions if each.scorer == key]
            own = [each for each in fitting if (each.reducer or "mean") == (self._reducer(scorer))]
            if own or (len(fitting) == 1 and scorer.reducer is None):
                return _reduced((own or fitting)[0], scorer)
        by_sample = self._samples.scores.get(scorer.name) or self._samples.scores.get(
            f"{scorer.scorer}/{scorer.name}", {}
        )
        once = all(len(epochs) == 1 for epochs in by_sample.values())
        if not once and self._reducer(scorer) != "mean":
            return {}
        return {name: sum(each.values()) / len(each) for name, each in by_sample.items()}


def _reduced(reduction: Reduction, scorer: ScorerResults) -> dict[str, float]:
    scores: dict[str, float] = {}
    for sample in reduction.samples:
        values = values_of(reduction.scorer, sample.value)
        value = values.get(scorer.name, values.get(f"{reduction.scorer}/{scorer.name}"))
        if value is not None and sample.sample_id is not None:
            scores[str(sample.sample_id)] = value
    return scores


def _finite(metric: MetricValue) -> float | None:
    return None if metric.value is None else number(metric.value)


def _label(scorer: ScorerResults, reducer: str) -> str:
    """Return a scorer's name as a filter, with the reducer unless that is the mean."""
    own = short_text(scorer.name) or ""
    whole = short_text(scorer.scorer)
    if whole and whole != own:
        own = f"{whole}/{own}"
    return own if reducer == "mean" else f"{own},{reducer}"


def _counts(values: Mapping[str, int], names: Sequence[str]) -> Any:
    counts = np.array([values[name] for name in names], np.int32)
    return None if (counts < 0).all() else counts
