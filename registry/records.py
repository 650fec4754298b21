"""What the registry knows of one model, read from one record of the Hub.

No network, no database, and no record that stops the rest: whatever a field holds, the others
are still read.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NamedTuple, TypeVar

import orjson

from registry.errors import HubError
from registry.fingerprints import Encoded
from registry.parentage import (
    EdgeSource,
    Parent,
    Relation,
    model_name,
    model_reference,
    read_parentage,
)
from registry.values import (
    MAX_DIGITS,
    MAX_LIST,
    MAX_TEXT,
    count,
    document,
    number,
    short_text,
    storable,
    texts,
    timestamp,
)
from registry.values import tags as read_tags
from registry.weights import (
    ParametersSource,
    quantization,
    read_weights,
    tagged_model_type,
)

__all__ = [
    "Counters",
    "EdgeSource",
    "ModelRecord",
    "ParametersSource",
    "Parent",
    "Rejected",
    "Relation",
    "counters",
    "decode_page",
    "name_of",
    "parse_record",
]

_T = TypeVar("_T")


_PREFIXES = ("base_model", "license", "language", "dataset", "arxiv")
_TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"?|[\[\]{},]', re.DOTALL)
_ID = re.compile(r'"id"\s*:\s*"([^"\\]{1,255})"')
_ARXIV = re.compile(r"(\d{4}\.\d{4,5}|[a-z-]+(?:\.[A-Z]{2})?/\d{7})(?:v\d+)?", re.ASCII)

_LIBRARIES = frozenset(
    """adapter-transformers allennlp asteroid coreml ctranslate2 diffusers espnet fairseq fastai
    flair gguf gliner jax keras litert mlc-llm mlx nemo onnx open_clip openvino peft pyannote-audio
    sentence-transformers setfit spacy span-marker speechbrain stanza tensorrt timm transformers
    transformers.js vllm""".split()  # noqa: SIM905 - reads as what it is, a list of words
)

# ISO 639-1 codes of written languages that as a bare tag rarely mean anything else.
_LANGUAGES = frozenset(
    """af ar az be bg bn bs ca cs cy da de el en eo es et eu fa fi fr ga gl gu he hi hr hu hy it ja
    ka kk km kn ko ky lt lv mk mn mr ne nl pa pl pt ro ru sk sl sq sr sv sw ta te th tl tr uk ur uz
    vi zh""".split()  # noqa: SIM905 - as above
)


class ModelRecord(NamedTuple):
    """One model as one reply of the Hub describes it; a field is None (or empty) where unknown.

    `parameters` counts weights; `dtypes` counts them by data type. `card` and `config` are the
    raw JSON documents, as text that Postgres' jsonb accepts. `unread` names the fields of the
    reply that were there but could not be read. `renames` pairs a parent's former name with its
    present one, as far as the record itself tells. `evaluations` is the JSON of the Hub's
    evaluation results: an empty list where only the card has some, None where there are none.
    """

    name: str
    hub_id: str | None
    author: str | None
    sha: str | None
    created_at: datetime | None
    last_modified: datetime | None
    downloads: int | None
    downloads_all_time: int | None
    likes: int | None
    trending_score: float | None
    gated: Literal["auto", "manual"] | None
    private: bool
    disabled: bool
    pipeline_tag: str | None
    library: str | None
    license: str | None
    license_name: str | None
    license_link: str | None
    languages: tuple[str, ...]
    datasets: tuple[str, ...]
    arxiv: tuple[str, ...]
    tags: tuple[str, ...]
    architectures: tuple[str, ...]
    model_type: str | None
    parameters: int | None
    parameters_source: ParametersSource | None
    dtypes: Mapping[str, int]
    quantization: str | None
    new_version: str | None
    card: str | None
    config: str | None
    parents: tuple[Parent, ...]
    renames: tuple[tuple[str, str], ...]
    unread: tuple[str, ...]
    evaluations: str | None = None


@dataclass(frozen=True, slots=True)
class Rejected:
    """A record that cannot be read: why, and under which key it was seen ('' if it has none)."""

    key: str
    reason: str


def decode_page(body: bytes) -> list[object]:
    """Decode one page of the listing into its raw records.

    Also reads what strict parsers refuse but Python's writes: NaN, infinities and lone
    surrogates; bytes that are no UTF-8 become U+FFFD. A record nested too deeply to decode
    becomes a `Rejected` in its place, so that it cannot hold up the page. Raises `HubError` if
    the body is not JSON or not a list.
    """
    try:
        page = orjson.loads(body)
    except orjson.JSONDecodeError:
        text = body.decode(errors="replace")
        try:
            page = _loads(text)
        except RecursionError:
            page = [_decode_alone(element) for element in _elements(text)]
        except ValueError as error:
            raise HubError(f"The reply is not JSON ({error}); it begins {text[:80]!r}.") from error
    if isinstance(page, list):
        return page
    if isinstance(page, dict) and "error" in page:
        raise HubError(f"The Hub answered with an error: {str(page['error'])[:500]}.")
    raise HubError(f"The reply should be a list of records but is of type {type(page).__name__}.")


def _loads(text: str) -> object:
    # Python refuses to read integers of more than 4,300 digits; as floats they are infinite.
    return json.loads(
        text, parse_int=lambda digits: (int if len(digits) <= MAX_DIGITS else float)(digits)
    )


def _elements(text: str) -> Iterator[str]:
    """Split the text of a JSON list into the texts of its elements, without recursion."""
    depth = start = 0
    for token in _TOKEN.finditer(text):
        mark = token[0]
        if mark in "[{":
            depth += 1
            if depth == 1:
                start = token.end()
        elif mark in "]}":
            depth -= 1
        if (depth == 1 and mark == ",") or (depth == 0 and mark in "]}"):
            yield text[start : token.start()]
            start = token.end()


def _decode_alone(text: str) -> object:
    try:
        return _loads(text)
    except RecursionError:
        key = _ID.search(text)
        return Rejected(key[1] if key else "", "The record is nested too deeply to be read.")
    except ValueError as error:
        raise HubError(f"The reply is not JSON ({error}).") from error


class Counters(NamedTuple):
    """The numbers of a record that move without the model having changed."""

    downloads: int | None
    downloads_all_time: int | None
    likes: int | None
    trending_score: float | None


def name_of(raw: object) -> str | None:
    """Return the model's name in a raw record, None if it has no usable one."""
    if not isinstance(raw, dict):
        return None
    return model_name(raw.get("id")) or model_name(raw.get("modelId"))


def counters(raw: object) -> Counters:
    """Read the counters of a raw record; None for what is missing or unreadable."""
    if not isinstance(raw, dict):
        return Counters(None, None, None, None)
    return Counters(
        count(raw.get("downloads")),
        count(raw.get("downloadsAllTime")),
        count(raw.get("likes")),
        number(raw.get("trendingScore")),
    )


def parse_record(raw: object, encoded: Encoded | None = None) -> ModelRecord | Rejected:
    """Read one record of the Hub's listing, or one reply of its detail endpoint.

    Never raises, whatever JSON it is given. Rejected is only what is no object or has no usable
    name; any other field that cannot be read is left out and named in `unread`. A `Rejected`, as
    `decode_page` may put in a record's place, is passed on. `encoded` is what `encode` makes of the
    record, where that is known.
    """
    if isinstance(raw, Rejected):
        return raw
    if not isinstance(raw, dict):
        return Rejected("", f"The record is of type {type(raw).__name__}, not an object.")
    name = name_of(raw)
    if name is None:
        keys = (raw.get(key) for key in ("id", "modelId", "_id"))
        seen = next((key for key in keys if isinstance(key, str) and key), "")
        return Rejected(
            storable(seen[:MAX_TEXT]), "The record has no id that could be a model's name."
        )

    fields = _Fields(raw)
    take = fields.take
    raw_card = take("cardData", _mapping)
    card = _lower_keys(raw_card or {})
    raw_config = take("config", _mapping)
    config = raw_config or {}
    gguf = take("gguf", _mapping) or {}
    tags = fields.tags()
    tagged = _by_prefix(tags)

    weights = read_weights(name, raw.get("safetensors"), gguf)
    if not weights.complete:
        fields.unread.append("safetensors")
    has_gguf = bool(gguf) or "gguf" in tags
    full_weights = bool(weights.dtypes) or "safetensors" in tags or "pytorch" in tags
    quantized_to = quantization(name, config, tags, gguf_only=has_gguf and not full_weights)
    library = take("library_name", short_text) or take("library_name", short_text, card)
    parentage = read_parentage(
        tagged["base_model"],
        card,
        adapter=library == "peft" or "peft" in tags,
        quantized=has_gguf or quantized_to is not None,
    )
    languages = _unique([text.lower() for text in fields.texts("language", card)])
    # By position, in a third of the time that it takes by name.
    return ModelRecord(
        name,
        take("_id", short_text),
        take("author", short_text) or name.rpartition("/")[0] or None,
        take("sha", short_text),
        take("createdAt", timestamp),
        take("lastModified", timestamp),
        take("downloads", count),
        take("downloadsAllTime", count),
        take("likes", count),
        take("trendingScore", number),
        fields.gate("gated"),
        fields.flag("private"),
        fields.flag("disabled"),
        take("pipeline_tag", short_text) or take("pipeline_tag", short_text, card),
        library or next((tag for tag in tags if tag in _LIBRARIES), None),
        take("license", _license, card) or next(iter(tagged["license"]), None),
        take("license_name", short_text, card),
        take("license_link", short_text, card),
        tuple(languages or tagged["language"] or [tag for tag in tags if tag in _LANGUAGES]),
        _unique(fields.texts("datasets", card) + tagged["dataset"]),
        _papers(tagged["arxiv"]),
        tuple(tags),
        tuple(fields.texts("architectures", config)),
        take("model_type", short_text, config)
        or take("architecture", short_text, gguf)
        or tagged_model_type(tags),
        weights.parameters,
        weights.source,
        weights.dtypes,
        quantized_to,
        take("new_version", model_reference, card),
        fields.keep("cardData", raw_card, encoded.card if encoded else None),
        fields.keep("config", raw_config, encoded.config if encoded else None),
        parentage.parents,
        parentage.renames,
        _unique([*fields.unread, *parentage.unread]),
        _evaluations(raw.get("evalResults"), card),
    )


class _Fields:
    """The fields of one raw record; gathers the names of those that cannot be read."""

    __slots__ = ("raw", "unread")

    def __init__(self, raw: Mapping[str, object]) -> None:
        self.raw = raw
        self.unread: list[str] = []

    def take(
        self,
        key: str,
        read: Callable[[object], _T | None],
        source: Mapping[str, object] | None = None,
    ) -> _T | None:
        """Read one field of the record, or of `source`; None is missing, not unreadable."""
        value = (self.raw if source is None else source).get(key)
        if value is None:
            return None
        result = read(value)
        if result is None and value != "":
            self.unread.append(key)
        return result

    def texts(self, key: str, source: Mapping[str, object] | None = None) -> list[str]:
        value = (self.raw if source is None else source).get(key)
        if value is None:
            return []
        kept, partial = texts(value)
        if partial:
            self.unread.append(key)
        return kept

    def tags(self) -> list[str]:
        value = self.raw.get("tags")
        if value is None:
            return []
        kept, partial = read_tags(value)
        if partial:
            self.unread.append("tags")
        return kept

    def flag(self, key: str) -> bool:
        value = self.raw.get(key)
        if value is not None and not isinstance(value, bool):
            self.unread.append(key)
        return value is True

    def gate(self, key: str) -> Literal["auto", "manual"] | None:
        value = self.raw.get(key)
        if value is None or value is False:
            return None
        if value == "manual":
            return "manual"
        if value is True or value == "auto":
            return "auto"
        self.unread.append(key)
        return None

    def keep(
        self, key: str, value: Mapping[str, object] | None, encoded: bytes | None
    ) -> str | None:
        if value is None:
            return None
        text = document(value, encoded)
        if text is None:
            self.unread.append(key)
        return text


def _evaluations(results: object, card: Mapping[str, object]) -> str | None:
    if isinstance(results, list) and results:
        return document(results)
    return "[]" if card.get("model-index") else None


def _mapping(value: object) -> Mapping[str, object] | None:
    return value if isinstance(value, dict) else None


def _lower_keys(card: Mapping[str, object]) -> Mapping[str, object]:
    """Let `Base_model` stand for `base_model`, as some cards have it, unless both are there."""
    joined = "".join(card)
    if joined == joined.lower():
        return card
    return {key.lower(): value for key, value in card.items()} | dict(card)


def _by_prefix(tags: Iterable[str]) -> Mapping[str, list[str]]:
    """Group tags such as `license:mit` by what stands before the colon."""
    groups: dict[str, list[str]] = {prefix: [] for prefix in _PREFIXES}
    for tag in tags:
        if ":" in tag:
            prefix, _, rest = tag.partition(":")
            if rest and prefix in groups:
                groups[prefix].append(rest)
    return groups


def _license(value: object) -> str | None:
    first = next(iter(value), None) if isinstance(value, list) else value
    text = short_text(first)
    return text.lower() if text else None


def _papers(tags: list[str]) -> tuple[str, ...]:
    return _unique([match[1] for tag in tags if (match := _ARXIV.fullmatch(tag))])


def _unique(texts: list[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(texts))[:MAX_LIST] if texts else ()
