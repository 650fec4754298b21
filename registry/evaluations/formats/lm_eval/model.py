"""Model of a results file of lm-eval: its name, and what else its arguments say of the run."""

import ast
import json
import re
from collections.abc import Iterator, Mapping
from functools import cached_property
from hashlib import blake2b

from registry.coerce import MAX_TEXT, number, short_text, storable
from registry.evaluations.formats.json_files import members
from registry.hub.parents import cached_name

MODEL_ARGS = (
    *("load_in_4bit", "load_in_8bit", "quantization", "autogptq", "gptqmodel", "gguf_file"),
    *("enable_thinking", "add_bos_token", "max_length", "max_model_len"),
)
"""Arguments of the model that the registry writes back from the details of a setup."""

_ADAPTERS = ("peft", "delta", "lora_local_path", "lora_path", "adapter_path")
_OTHER_WEIGHTS = ("subfolder", "gguf_file", "steer_path", "lora_modules")
"""Arguments that choose or change the weights of a repository."""

_BUDGETS = ("thinking_budget", "budget_tokens", "max_thinking_tokens", "reasoning_budget")
_MODELS = (
    *("pretrained", "model", "path", "engine"),
    *("model_name", "model_version", "model_id", "model_name_or_path"),
)
_SAME_ANSWERS = frozenset({
    *_ADAPTERS, *_MODELS, "revision", "subfolder", "dtype", "enable_lora", "max_lora_rank",
    "backend", "trust_remote_code", "low_cpu_mem_usage", "use_cache", "cache_dir", "download_dir",
    "parallelize", "device", "device_map", "device_map_option", "max_memory_per_gpu",
    "max_cpu_memory", "offload_folder", "batch_size", "max_batch_size", "tensor_parallel_size",
    "data_parallel_size", "pipeline_parallel_size", "dp_size", "tp_size", "gpu_memory_utilization",
    "mem_fraction_static", "swap_space", "cpu_offload_gb", "max_num_seqs",
    "max_num_batched_tokens", "enforce_eager", "enable_prefix_caching", "disable_log_stats",
    "distributed_executor_backend", "base_url", "num_concurrent", "max_retries", "timeout",
    "verify_certificate", "tokenized_requests", "tokenizer_backend", "truncate", "logits_cache",
})  # fmt: skip
"""Arguments that do not make it another run: the model's names, hardware and connections."""

_SECRET = re.compile(
    r"(?:^|_)(?:(?:api_?)?keys?|auth(?:orization)?|headers?|passwords?|secrets?)$"
    r"|^(?:(?:hf|use_auth|auth|access|api|huggingface)_)?token$",
    re.IGNORECASE,
)
_NOTHING = ("", "None", "none", "null", "False", "false")
_RANDOM = re.compile(r"[a-z0-9]{8}")
_SHA = re.compile(r"[0-9a-f]{40}")
_OPENING, _CLOSING = "{[(", "}])"
_MOST = 50  # nested arguments that are kept
_READABLE, _DIGITS = 60, 12  # characters of an instruction in the name of a variant, or its digest


class StatedModel:
    """The model that a results file states, by `config`, its arguments and what lm-eval adds.

    Nothing is taken from the names of files and folders.
    """

    def __init__(self, content: Mapping[str, object]) -> None:
        self._content, self._config = content, members(content.get("config"))
        self._arguments = arguments(self._config.get("model_args"))
        self.arguments = dict(flat(self._arguments))

    @cached_property
    def name(self) -> str:
        """The model's name, that of an adapter rather than that of its base; empty if unknown."""
        stated = [self._adapter, *map(self._argument, _MODELS)]
        names = [self._content.get("model_name"), self._config.get("model_name")]
        names.append(self._content.get("model_name_sanitized"))
        # Where the arguments name no model, lm-eval makes up a name.
        stated += [name for name in map(short_text, names) if name and not _RANDOM.fullmatch(name)]
        program = short_text(self._config.get("model"))
        if program and ("/" in program or program == "gpt2"):
            stated.append(program)  # of a model that was loaded before, and lm-eval's first default
        return next(filter(None, stated), "")

    @cached_property
    def base(self) -> str | None:
        """The base of an adapter or a delta; None for any other model."""
        if self._adapter is None:
            return None
        return next(filter(None, map(self._argument, _MODELS)), None)

    @cached_property
    def revision(self) -> str | None:
        """The model's commit, else the requested branch unless that is main.

        lm-eval's `model_sha` and `revision` are those of the base if there is an adapter.
        """
        if self._adapter is None:
            branches = [self._argument("revision"), short_text(self._config.get("model_revision"))]
            commit = self._config.get("model_sha")
        else:
            branches = []
            commit = self._config.get("peft_sha") or self._config.get("delta_sha")
        if isinstance(commit, str) and _SHA.fullmatch(commit):
            return commit
        if (cached := cached_name(self.name)) is not None:
            branches.append(cached.revision)
        return next((branch for branch in branches if branch not in (None, "main")), None)

    @cached_property
    def precision(self) -> str | None:
        """Data type of the weights, where it is stated."""
        stated = short_text(self._config.get("model_dtype")) or self._argument("dtype") or "auto"
        stated = stated.removeprefix("torch.")
        return None if stated == "auto" else stated

    @cached_property
    def details(self) -> dict[str, str]:
        """Arguments that make it another run, nested ones by dotted names."""
        return {
            key: text
            for key, text in self.arguments.items()
            if key.partition(".")[0] not in _SAME_ANSWERS
            and not any(_SECRET.search(part) for part in key.split("."))
            and text not in _NOTHING
        }

    @cached_property
    def variant(self) -> str | None:
        """What makes it another system than the plain model; None for that."""
        generation = dict(flat(arguments(self._config.get("gen_kwargs"))))
        stated = {**generation, **self.arguments}
        last = {key.rpartition(".")[2]: text for key, text in stated.items()}
        parts = [
            f"{key}={self.arguments[key]}"
            for key in _OTHER_WEIGHTS
            if self.arguments.get(key, "") not in _NOTHING
        ]
        parts += [
            f"{key}={last[key]}"
            for key in ("reasoning_effort", *_BUDGETS)
            if last.get(key, "") not in _NOTHING
        ]
        if last.get("enable_thinking", "").lower() == "false":
            parts.append("enable_thinking=False")
        if (best := last.get("best_of", "1")).isdecimal() and int(best) > 1:
            parts.append(f"best-of-{int(best)}")
        if instruction := self._instruction:
            parts.append(f"system_instruction={instruction}")
        return short_or_digest(", ".join(parts))

    @property
    def _instruction(self) -> str | None:
        """The instruction before all prompts, or its digest where it is long."""
        text = short_text(self._content.get("system_instruction"))
        if text is not None and len(text) <= _READABLE:
            return text
        digest = short_text(self._content.get("system_instruction_sha"))
        return digest[:_DIGITS] if digest else short_or_digest(text)

    @cached_property
    def _adapter(self) -> str | None:
        if str(self._arguments.get("enable_lora", True)).lower() == "false":
            return next(filter(None, map(self._argument, ("peft", "delta"))), None)
        direct = next(filter(None, map(self._argument, _ADAPTERS)), None)
        nested = (
            text
            for key, text in self.arguments.items()
            if key.rpartition(".")[2] in _ADAPTERS and text not in _NOTHING
        )
        return direct or next(nested, None)

    def _argument(self, key: str) -> str | None:
        text = short_text(self._arguments.get(key))
        return None if text in _NOTHING else text


def arguments(value: object) -> dict[str, object]:
    """Read arguments: an object, that as text, a list of `key=value`, or `key=value,key=value`."""
    if isinstance(value, dict):
        return {storable(str(key)): member for key, member in value.items()}
    if isinstance(value, list):
        value = ",".join(each for each in value if isinstance(each, str))
    if not isinstance(value, str):
        return {}
    whole = _literal(value)
    if isinstance(whole, dict):
        return arguments(whole)
    pairs = (part.partition("=") for part in _parts(value))
    return {storable(key.strip()): _member(text) for key, _, text in pairs if text.strip()}


def flat(value: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield the values of arguments as texts; nested ones under names joined by dots."""
    for key, member in list(value.items())[:_MOST]:
        name = short_text(f"{prefix}{key}")
        if name is None:
            continue
        if isinstance(member, dict) and prefix.count(".") < 2:  # noqa: PLR2004 - three deep
            yield from flat(member, f"{name}.")
        elif isinstance(member, list | dict):
            if member:
                yield name, short_or_digest(json.dumps(member, default=str, sort_keys=True)) or ""
        elif (text := scalar(member)) is not None:
            yield name, text


def scalar(value: object) -> str | None:
    """Return a text, a number or a truth value as a text; None for anything else and for N/A."""
    if isinstance(value, bool):
        return str(value)
    if number(value) is not None:
        return str(value)
    text = short_or_digest(value)
    return None if text == "N/A" else text


def short_or_digest(value: object) -> str | None:
    """Return a text, or the digest of one that is too long, which distinguishes runs as well."""
    if isinstance(value, str) and len(value) > MAX_TEXT:
        return blake2b(value.encode(errors="replace"), digest_size=16).hexdigest()
    return short_text(value)


def _parts(text: str) -> Iterator[str]:
    """Split a text at commas that are in neither brackets nor quotes."""
    depth, quote, start = 0, "", 0
    for place, character in enumerate(text):
        if quote:
            quote = "" if character == quote else quote
        elif character in "\"'" and (depth or text[place - 1 : place] == "="):
            quote = character
        elif character in _OPENING:
            depth += 1
        elif character in _CLOSING:
            depth = max(depth - 1, 0)
        elif character == "," and depth == 0:
            yield text[start:place]
            start = place + 1
    yield text[start:]


def _member(text: str) -> object:
    text = text.strip()
    nested = _literal(text)
    if nested is not None:
        return nested
    is_quoted = len(text) > 1 and text[0] == text[-1] and text[0] in "\"'"
    return text[1:-1] if is_quoted else text


def _literal(text: str) -> object:
    """Return an object or a list that a text writes, as JSON or as Python; else None."""
    text = text.strip()
    if text[:1] not in ("{", "[") or text[-1:] not in ("}", "]"):
        return None
    for read in (json.loads, ast.literal_eval):
        try:
            value = read(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
            continue
        return value if isinstance(value, dict | list) else None
    return None
