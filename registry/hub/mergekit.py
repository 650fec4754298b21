"""Models of a merge, from the mergekit configuration in its card.

The format is mergekit's: https://github.com/arcee-ai/mergekit (`config.py`, `moe/config.py`).
"""

import re
from collections.abc import Iterator, Mapping

import yaml

from registry.bounded import yaml_text
from registry.coerce import short_text

_KEYS = ("merge_config", "mergekit_config", "mergekit", "merge", "config", "yaml")
_PARTS = ("models", "slices", "experts", "shared_experts", "modules")
_ALL = frozenset(_KEYS + _PARTS)

_MAX_YAML = 16_384  # characters; real ones have about 1,000, and PyYAML reads slowly
_MAX_STEPS = 10_000  # YAML aliases can make a short text unfold into an endless traversal

_NAME = re.compile(r"(?!\.{1,2}/)[\w.-]+/(?!\.{1,2}$)[\w.-]+", re.ASCII)


def merged_models(card: Mapping[str, object]) -> list[str]:
    """List the models that a card's merge configuration refers to, each once, in its order.

    The configuration is a mapping or YAML text under a key such as `mergekit_config`, or its
    parts are at the card's top level. Local paths are left out, and so is everything that
    does not look like mergekit's format.
    """
    if _ALL.isdisjoint(card):
        return []
    configs = [card] if any(part in card for part in _PARTS) else []
    configs += [config for key in _KEYS if key in card for config in _configs(card[key])]
    names: dict[str, None] = {}
    for steps, reference in enumerate(_references(configs, card)):
        if steps >= _MAX_STEPS:
            break
        names.update(dict.fromkeys(_names(reference)))
    return list(names)


def _configs(value: object) -> list[Mapping[str, object]]:
    if isinstance(value, str) and len(value) <= _MAX_YAML:
        try:
            # The base loader makes texts, lists and mappings only; a file may hold several.
            documents = yaml_text.load_all(value, yaml.BaseLoader)
        except yaml.YAMLError:
            return []
    else:
        documents = [value]
    return [document for document in documents if isinstance(document, dict)]


def _references(
    configs: list[Mapping[str, object]], card: Mapping[str, object]
) -> Iterator[object]:
    """Yield each model reference, and None for other members, so that steps can be counted."""
    for config in configs:
        if not any(part in config for part in _PARTS):
            continue
        modules = config.get("modules")
        for section in (config, *(modules.values() if isinstance(modules, dict) else ())):
            if not isinstance(section, dict):
                yield None
                continue
            if section is not card:  # there it is the card's own field
                yield section.get("base_model")
            for part, key in (
                ("models", "model"),
                ("experts", "source_model"),
                ("shared_experts", "source_model"),
            ):
                for member in _mappings(section.get(part)):
                    yield member.get(key)
            for layers in _mappings(section.get("slices")):
                yield layers.get("base_model")
                for source in _mappings(layers.get("sources")):
                    yield source.get("model")


def _mappings(value: object) -> Iterator[Mapping[str, object]]:
    for member in value if isinstance(value, list) else ():
        yield member if isinstance(member, dict) else {}


def _names(reference: object) -> list[str]:
    """Read `org/name[@revision][+org/lora[@revision]]`, or the same as a mapping."""
    if isinstance(reference, dict):
        parts = [reference.get("model"), reference.get("lora")]
        paths = [part.get("path") if isinstance(part, dict) else part for part in parts]
    else:
        paths = [reference]
    return [
        name
        for path in paths
        if (text := short_text(path))
        for part in text.split("+")
        if _NAME.fullmatch(name := part.partition("@")[0].strip())
    ]
