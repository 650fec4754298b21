"""Model and setup of an evaluation by Inspect."""

import json
from collections.abc import Mapping

from registry.coerce import count, short_text
from registry.errors import UnreadableFileError
from registry.evaluations.formats.inspect_logs.log import InspectLog
from registry.evaluations.formats.json_files import members
from registry.evaluations.records import Setup

_HOSTS = frozenset(
    {"hf", "vllm", "sglang", "nnterp", "transformer_lens", "ollama", "llama-cpp-python", "together"}
    | {"openrouter", "openai-api", "hf-inference-providers", "groq", "azureai", "cloudflare"}
    | {"sambanova", "perplexity", "fireworks", "bedrock"}
)
"""Providers that serve the models of others: a name below them is `org/name` where it has both."""

_SERVICES = frozenset({"azure", "bedrock", "vertex"})
"""Services in the middle of a name: openai/azure/gpt-4o."""

_LOCAL = frozenset({"hf", "vllm", "sglang"})
"""Providers that load weights, for which a colon in a name is before an adapter's."""

_PLAIN = frozenset(
    {"generate", "multiple_choice", "prompt_template", "system_message", "user_message"}
    | {"assistant_message", "chat_prompt"}
)
"""Solvers that ask the model once; with any other it is a system around the model."""

_SHOTS = ("fewshot", "num_fewshot", "n_fewshot", "num_shots", "shots", "few_shot")
_MODEL_ARGS = ("load_in_4bit", "load_in_8bit", "quantization", "enable_thinking", "max_model_len")
_GENERATION = ("temperature", "top_p", "top_k", "max_tokens", "seed", "stop_seqs", "system_message")
_EFFORT = ("reasoning_effort", "reasoning_tokens", "effort", "best_of")


def model_of(log: InspectLog) -> str:
    """Return the model's name: without the provider that serves it, or that of its adapter.

    Raises:
        UnreadableFileError: none is named.
    """
    task = log.header.eval
    own = short_text(task.model_args.get("model_path"))
    name = own or short_text(task.model)
    if name is None:
        raise UnreadableFileError(log.path, "no model is named.", field="eval.model")
    if own:
        return own
    provider, _, rest = name.partition("/")
    service, _, below = rest.partition("/")
    if provider == "openai-api" and "/" in below:
        rest = below
    if provider in _LOCAL and ":" in rest:
        return rest.rpartition(":")[2]  # the adapter
    if provider in _HOSTS and "/" in rest:
        return rest
    return f"{provider}/{below}" if service in _SERVICES and below else name


def _base(log: InspectLog) -> str | None:
    provider, _, rest = log.header.eval.model.partition("/")
    return rest.rpartition(":")[0] or None if provider in _LOCAL else None


def setup_of(log: InspectLog) -> Setup:
    """Return the setup: arguments of the task, generation, and what makes it a system."""
    header = log.header
    task, plan = header.eval, header.plan
    arguments = task.task_args if task.task_args_passed is None else task.task_args_passed
    arguments = arguments or {}
    generation = {**task.model_generate_config, **plan.config}
    shots = [count(arguments.get(key)) for key in _SHOTS]
    packages = task.packages.get("inspect_ai")
    precision = task.model_args.get("dtype") or task.model_args.get("torch_dtype")
    details = {
        "provider": task.model.partition("/")[0],
        "base": _base(log),
        "task_args": _flat({k: v for k, v in arguments.items() if k not in _SHOTS}),
        "gen_kwargs": _flat({k: generation.get(k) for k in _GENERATION}),
        "grader": short_text(members(members(task.model_roles).get("grader")).get("model")),
        "epochs": _flat_value(task.config.get("epochs")),
        **{key: _flat_value(task.model_args.get(key)) for key in _MODEL_ARGS},
    }
    plain = {key: text for key, text in details.items() if text and text not in ("False", "1")}
    return Setup(
        harness="Inspect",
        harness_version=short_text(packages),
        task_version=_flat_value(task.task_version),
        shots=next((each for each in shots if each is not None), None),
        precision=(short_text(precision) or "").removeprefix("torch.") or None,
        variant=_variant(log, generation),
        details=plain,
    )


def _variant(log: InspectLog, generation: Mapping[str, object]) -> str | None:
    """Return the solvers that are more than a request, and the effort of reasoning."""
    steps = [step.solver for step in log.header.plan.steps]
    if not steps and log.header.eval.solver:
        steps = [log.header.eval.solver]
    parts = [step.rpartition("/")[2] for step in steps]
    named = [part for part in parts if part not in _PLAIN]
    named += [f"{key}={generation[key]}" for key in _EFFORT if generation.get(key) is not None]
    return short_text(", ".join(named)[:255])


def _flat(values: Mapping[str, object]) -> str | None:
    pairs = [(key, _flat_value(value)) for key, value in sorted(values.items())]
    return short_text(",".join(f"{key}={text}" for key, text in pairs if text)[:255])


def _flat_value(value: object) -> str | None:
    """Return a value as a short text; lists and objects as JSON."""
    if value is None:
        return None
    if isinstance(value, dict | list):
        return json.dumps(value, sort_keys=True)[:255] if value else None
    return short_text(str(value))
