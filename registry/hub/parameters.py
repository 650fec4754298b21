"""Number and form of a model's weights, from file headers, config, tags and name."""

import math
import re
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Literal, NamedTuple

from registry.coerce import Memo, count, short_text

ParametersSource = Literal["safetensors", "packed", "gguf", "name"]

_MAX_DTYPES = 64
_MAX_PARAMETERS = 5e12  # a larger number in a name is no size

_PACKED = {"I32": 32, "U32": 32, "I16": 16, "U8": 8}
"""Data types that packed weights are in, with the bits of a number."""

_LEAST_PACKED = 0.25  # of all numbers
_WHOLE = (
    0.2  # of the size in a name: packed weights are fewer numbers, those of adapters hardly any
)
_ROUNDED = math.log(1.5)  # a size in a name is within this factor of the number of weights
_BITS = re.compile(r"([2-8])-?bit|(?:fp|int|w)([48])")

# "7B", "1.1b", "0_5B", "8x7B", "350m"; not "4bit", "128k", "A3B" (active experts), "v2b", or
# "17B-16E" (active weights, and the number of experts).
_SIZE = re.compile(
    r"(?<![A-Za-z0-9.])(?:(\d{1,3})x)?([01]_\d|\d{1,6}(?:\.\d{1,6})?)([bBmM])(?![A-Za-z0-9])"
    r"(?!-\d{1,3}[eE](?![A-Za-z0-9]))"
)
_ACTIVE = re.compile(r"(?<![A-Za-z0-9])[aA](\d{1,4}(?:\.\d{1,4})?)[bB](?![A-Za-z0-9])")

_METHODS = {
    "awq": "awq",
    "gptq": "gptq",
    "gptqmodel": "gptq",
    "bitsandbytes": "bitsandbytes",
    "bnb": "bitsandbytes",
    "nf4": "bitsandbytes",
    "exl2": "exl2",
    "exl3": "exl3",
    "hqq": "hqq",
    "aqlm": "aqlm",
    "autoround": "auto-round",
    "auto-round": "auto-round",
    "mlx": "mlx",
    "fp8": "fp8",
    "mxfp4": "mxfp4",
    "nvfp4": "nvfp4",
    "int4": "int4",
    "int8": "int8",
    "gguf": "gguf",
    "ggml": "gguf",
}
_BITS_IMPLIED = frozenset({"fp8", "mxfp4", "nvfp4", "int4", "int8", "gguf"})
_UNPACKED = frozenset({"gguf", "fp8", "int8"})
# The tag gguf is also given to models with full weights beside the quantized ones.
_METHOD_TAGS = {tag: method for tag, method in _METHODS.items() if method != "gguf"}
_METHOD_IN_NAME = re.compile(rf"(?<![a-z0-9])({'|'.join(_METHODS)})(?![a-z0-9])")
_BIT_TAGS = {f"{bits}-bit": str(bits) for bits in range(2, 9)}
_BITS_IN_NAME = re.compile(r"(?<![a-z0-9.])([2-8])[-_]?bits?(?![a-z0-9])")

# The `config.model_type` of records without a config: the Hub adds it as a tag.
_ARCHITECTURES = frozenset(
    """arcee aya_vision baichuan bamba bart bert bitnet bloom chatglm codegen cohere cohere2
    command-r dbrx deepseek deepseek_v2 deepseek_v3 deepseek_v32 deepseek_v4 ernie4_5
    ernie4_5_moe exaone exaone4 falcon falcon_h1 falcon_mamba gemma gemma2 gemma3 gemma3_text
    gemma3n gemma4 glm glm4 glm4_moe gpt2 gpt_bigcode gpt_neo gpt_neox gpt_oss gptj granite
    granitemoe granitemoehybrid hunyuan internlm internlm2 internlm3 jamba kimi_k2 lfm2 llama
    llama4 mamba mamba2 minicpm minicpm3 minimax mistral mistral3 mixtral modernbert mpt nemotron
    nemotron_h olmo olmo2 olmo3 olmoe openelm opt persimmon phi phi3 phi3small phimoe qwen
    qwen2 qwen2_moe qwen2_vl qwen2_5_vl qwen3 qwen3_moe qwen3_next qwen3_vl qwen3_vl_moe
    recurrent_gemma roberta rwkv rwkv5 seed_oss smollm3 stablelm starcoder2 t5 xglm xlm-roberta
    zamba zamba2""".split()  # noqa: SIM905 - reads as what it is, a list of words
)


class Weights(NamedTuple):
    """Number of weights, its source, and the number of each data type.

    `complete` is False if the files' headers are present but could not all be read. `stored` is the
    number that headers count, which packed formats keep several weights in.
    """

    parameters: int | None
    source: ParametersSource | None
    dtypes: dict[str, int]
    complete: bool
    stored: int | None = None


def read_weights(name: str, safetensors: object, gguf: Mapping[str, object]) -> Weights:
    """Count the weights of a model by its safetensors headers, its GGUF header or its name.

    The total is the Hub's own, or the sum of the data types where that is larger. `unpack`
    estimates it where weights are packed.
    """
    total, dtypes, complete = (None, {}, True) if safetensors is None else _header(safetensors)
    # Some totals leave out data types: one has 414,720 beside 23.6 billion BF16.
    if total := max(total or 0, count(sum(dtypes.values())) or 0):
        return Weights(total, "safetensors", dtypes, complete, total)
    if total := count(gguf.get("total")):
        return Weights(total, "gguf", dtypes, complete, total)
    if total := parameters_in_name(name):
        return Weights(total, "name", dtypes, complete)
    return Weights(None, None, dtypes, complete)


def unpack(weights: Weights, name: str, quantized_to: str | None) -> Weights:
    """Estimate the number of weights where a good part of what is stored is packed.

    GPTQ, AWQ and MLX keep eight 4-bit weights in a number of 32 bits, bitsandbytes two in a U8. The
    Hub counts some of them as they are stored and others unpacked, and does not say which: the size
    in the name decides. Without one the number is not known here; see `catalog.facts.effective`.
    """
    dtypes = weights.dtypes
    if _PACKED.keys().isdisjoint(dtypes) or weights.source != "safetensors":
        return weights
    stored = weights.parameters or 0
    packed = sum(dtypes.get(dtype, 0) for dtype in _PACKED)
    if packed < _LEAST_PACKED * stored:
        return weights
    unpacked = unpacked_count(stored, dtypes, quantized_to)
    # No model has as many as this would be, so the Hub has unpacked them already.
    if (unpacked or unpacked_count(stored, dtypes, "4-bit") or 0) > _MAX_PARAMETERS:
        return weights
    named = parameters_in_name(name)
    fitting: list[tuple[float, int, ParametersSource]] = []
    if named:
        counts: list[tuple[int | None, ParametersSource]]
        counts = [(stored, "safetensors"), (unpacked, "packed")]
        for number, source in counts:
            if number is not None and (distance := abs(math.log(number / named))) <= _ROUNDED:
                fitting.append((distance, number, source))
    if fitting:
        _, number, source = min(fitting)
        return weights._replace(parameters=number, source=source)
    if named and named > stored:
        return weights._replace(parameters=named, source="name")
    return weights._replace(parameters=None, source=None)


def of_adapter(weights: Weights, name: str, bases: Sequence[str]) -> Weights:
    """Return the weights of an adapter with those that it is loaded on, as far as names say.

    Its files hold a few millions, with which a 70 B model would pass for a small one. A repository
    of an adapter may hold the merged model as well: then there are about as many as in the name.
    """
    if weights.source != "safetensors" or weights.parameters is None:
        return weights
    own, *others = parameters_in_names([name, *bases])
    whole = own or next(filter(None, others), None)
    if whole is None or weights.parameters >= _WHOLE * whole:
        return weights
    return weights._replace(parameters=own, source="name" if own else None)


def unpacked_count(stored: int, dtypes: Mapping[str, int], quantized_to: str | None) -> int | None:
    """Return the number of weights if packed ones are stored; None where their bits are unknown."""
    bits = _bits(quantized_to)
    if bits is None:
        return None
    packed = {dtype: dtypes[dtype] for dtype in _PACKED if dtype in dtypes}
    held = sum(number * _PACKED[dtype] / bits for dtype, number in packed.items())
    return round(stored - sum(packed.values()) + held)


def _bits(quantized_to: str | None) -> int | None:
    """Return the bits of a weight, of the form that weights are quantized to."""
    match = _BITS.search(quantized_to or "")
    return int(match[1] or match[2]) if match else None


def _header(safetensors: object) -> tuple[int | None, dict[str, int], bool]:
    """Read the total, the weights of each data type, and whether all of them could be read."""
    if not isinstance(safetensors, dict):
        return None, {}, False
    stated, by_dtype = safetensors.get("total"), safetensors.get("parameters")
    total = count(stated)
    complete = total is not None or stated is None
    dtypes: dict[str, int] = {}
    if isinstance(by_dtype, dict):
        for key, value in by_dtype.items():
            dtype, weights = short_text(key), count(value)
            if dtype and weights is not None:
                dtypes[dtype] = weights
        complete = complete and len(dtypes) == len(by_dtype)
    elif by_dtype is not None:
        complete = False
    if len(dtypes) > _MAX_DTYPES:
        return total, {}, False
    return total, dtypes, complete


def parameters_in_name(name: str) -> int | None:
    """Read the number of weights from a model's name: 7e9 of "Llama-2-7b", 56e9 of "8x7B".

    The first size in billions counts, else the first in millions; above 5e12, or zero, is none. Of
    mixtures of experts (MoE) it is the largest, as names such as "OLMoE-1B-7B" begin with the
    active weights; a size below the active weights ("1.5B-A3B") is none.
    """
    return parameters_in_names([name])[0]


def parameters_in_names(names: Sequence[str]) -> list[int | None]:
    """Read the number of weights from each name, as `parameters_in_name`, in half the time."""
    titles = [name.rpartition("/")[2] for name in names]
    # No size goes beyond the end of a line, so one search finds those of all.
    ends = list(accumulate(len(title) + 1 for title in titles))
    billions: dict[int, int] = {}
    millions: dict[int, int] = {}
    for size in _SIZE.finditer("\n".join(titles)):
        weights = _WEIGHTS[size[0]]
        if weights:
            sizes = billions if size[3] in "bB" else millions
            index = bisect_right(ends, size.start())
            if index in sizes and "moe" in titles[index].lower():
                sizes[index] = max(sizes[index], weights)
            sizes.setdefault(index, weights)
    for active in _ACTIVE.finditer("\n".join(titles)):
        index = bisect_right(ends, active.start())
        if billions.get(index, math.inf) < float(active[1]) * 1e9:
            del billions[index]
            millions.pop(index, None)
    return [billions.get(index) or millions.get(index) for index in range(len(titles))]


def _weights(size: str) -> int:
    """Return the number of weights of a size; 0 for too many."""
    experts, _, each = size[:-1].rpartition("x")
    scale = 1e9 if size[-1] in "bB" else 1e6
    weights = int(experts or 1) * float(each.replace("_", ".")) * scale
    return round(weights) if weights <= _MAX_PARAMETERS else 0


_WEIGHTS: Memo[int] = Memo(_weights)


def tagged_model_type(tags: Sequence[str]) -> str | None:
    """Return the first tag that names a known architecture, as a config's `model_type` would."""
    if _ARCHITECTURES.isdisjoint(tags):
        return None
    return next((tag for tag in tags if tag in _ARCHITECTURES), None)


def quantization(
    name: str, config: Mapping[str, object], tags: Sequence[str], *, gguf_only: bool
) -> str | None:
    """Return the quantization of the weights, such as "gptq-4bit", "fp8" or "gguf".

    The config decides; else GGUF files without others beside them, tags, and the name, in this
    order. The bits are added where they are stated.
    """
    if stated := _configured(config.get("quantization_config")):
        return stated
    configured = _configured_bits(config)
    if gguf_only:
        return "gguf"
    named = name.rpartition("/")[2].lower()
    method, bits = _first(tags, _METHOD_TAGS), _first(tags, _BIT_TAGS)
    # Looking for each word takes half the time of the pattern, and most names have none.
    if method is None and [word for word in _METHODS if word in named]:
        match = _METHOD_IN_NAME.search(named)
        method = _METHODS[match[1]] if match else None
    bits = configured or bits
    if bits is None and "bit" in named and (match := _BITS_IN_NAME.search(named)):
        bits = match[1]
    if method == "mlx" and bits is None:  # a framework; its weights need not be quantized
        return None
    if method and bits and method not in _BITS_IMPLIED:
        return f"{method}-{bits}bit"
    return method or (f"{bits}-bit" if bits else None)


def _configured_bits(config: Mapping[str, object]) -> str | None:
    """Read the bits of a configuration that names no method, as MLX writes it."""
    for key in ("quantization_config", "quantization"):
        settings = config.get(key)
        bits = settings.get("bits") if isinstance(settings, dict) else None
        if type(bits) is int and 0 < bits < 16:  # noqa: PLR2004 - 16 are not quantized
            return str(bits)
    return None


def is_packed_name(name: str) -> bool:
    """Return whether a model's name says that its weights are quantized to few bits."""
    quantized = quantization(name, {}, (), gguf_only=False)
    return quantized is not None and quantized not in _UNPACKED


def _configured(settings: object) -> str | None:
    """Read the config's `quantization_config`."""
    if not isinstance(settings, dict):
        return None
    method = short_text(settings.get("quant_method"))
    if method is None:
        return None
    if settings.get("load_in_4bit") is True:
        return f"{method.lower()}-4bit"
    if settings.get("load_in_8bit") is True:
        return f"{method.lower()}-8bit"
    bits = settings.get("bits")
    stated = type(bits) is int and 0 < bits < 100  # noqa: PLR2004 - two digits
    return f"{method.lower()}-{bits}bit" if stated else method.lower()


def _first(tags: Sequence[str], meanings: Mapping[str, str]) -> str | None:
    """Return the meaning of the first tag that has one."""
    if meanings.keys().isdisjoint(tags):
        return None
    return next(meanings[tag] for tag in tags if tag in meanings)
