"""Files of a run folder of HELM: the specification, statistics, and requests with their results."""

from pathlib import Path
from typing import Any, TypeVar

import msgspec

from registry.errors import UnreadableFileError
from registry.evaluations.formats import json_files

RUN_SPEC = "run_spec.json"
_STATS = "stats.json"
_INSTANCE_STATS = "per_instance_stats.json"
_STATE = "scenario_state.json"
_INSTANCES = "instances.json"

_Kind = TypeVar("_Kind")


class ScenarioSpec(msgspec.Struct):
    """Scenario of a run, and its arguments."""

    class_name: str = ""
    args: dict[str, Any] = {}


class AdapterSpec(msgspec.Struct):
    """How instances become requests to a model."""

    model: str
    model_deployment: str = ""
    method: str = ""
    global_prefix: str = ""
    global_suffix: str = ""
    instructions: str = ""
    input_prefix: str = ""
    input_suffix: str = ""
    reference_prefix: str = ""
    reference_suffix: str = ""
    output_prefix: str = ""
    output_suffix: str = ""
    instance_prefix: str = ""
    max_train_instances: int | None = None
    max_eval_instances: int | None = None
    num_train_trials: int = 1
    temperature: float | None = None
    max_tokens: int | None = None
    num_outputs: int | None = None


class RunSpec(msgspec.Struct):
    """Specification of a run."""

    name: str
    scenario_spec: ScenarioSpec
    adapter_spec: AdapterSpec


class Perturbation(msgspec.Struct):
    """Change of instances, and the ones of which a statistic is: changed, original, or worst."""

    name: str
    computed_on: str | None = None


class MetricName(msgspec.Struct):
    """Name of a statistic, and the instances that it is of."""

    name: str
    split: str | None = None
    sub_split: str | None = None
    perturbation: Perturbation | None = None


class Statistic(msgspec.Struct):
    """A statistic; its mean is None where nothing was counted."""

    name: MetricName
    count: int = 0
    sum: float = 0.0
    mean: float | None = None


class InstanceStatistics(msgspec.Struct):
    """Statistics of one instance in one trial."""

    instance_id: str
    train_trial_index: int = 0
    perturbation: Perturbation | None = None
    stats: list[Statistic] = []


class Instance(msgspec.Struct):
    """A question; texts are in objects, and were plain before 0.2.1."""

    id: str | None = None
    input: Any = None
    references: list[dict[str, Any]] = []
    split: str | None = None
    sub_split: str | None = None
    perturbation: Perturbation | None = None


class RequestState(msgspec.Struct):
    """A request about an instance, with its result."""

    instance: Instance
    reference_index: int | None = None
    request_mode: str | None = None
    train_trial_index: int = 0
    result: dict[str, Any] | None = None


class ScenarioState(msgspec.Struct):
    """All requests of a run."""

    request_states: list[RequestState] = []


class RunFolder:
    """A run folder, given by the path of its specification."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.spec = json_files.typed(json_files.raw(path), RunSpec, path)

    def file(self, name: str) -> Path:
        """Return the path of a file of the folder."""
        return self.path.with_name(name)

    def statistics(self) -> list[Statistic]:
        """Return the statistics of the run.

        Raises:
            UnreadableFileError: there are none.
        """
        stated = self._read(_STATS, list[Statistic])
        if stated is None:
            problem = "it has to be beside run_spec.json; the run did not finish without it."
            raise UnreadableFileError(self.file(_STATS), problem)
        return stated

    def instance_statistics(self) -> list[InstanceStatistics]:
        """Return the statistics of instances; none where they were not kept."""
        return self._read(_INSTANCE_STATS, list[InstanceStatistics]) or []

    def requests(self) -> list[RequestState]:
        """Return the requests, or else the instances without results; none if neither is kept."""
        state = self._read(_STATE, ScenarioState)
        if state is not None:
            return state.request_states
        return [RequestState(instance) for instance in self._read(_INSTANCES, list[Instance]) or []]

    def _read(self, name: str, kind: type[_Kind]) -> _Kind | None:
        path = self.file(name)
        return json_files.typed(json_files.raw(path), kind, path) if path.is_file() else None
