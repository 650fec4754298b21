"""Values of facts, read from texts such as 7.24B."""

import re
import unicodedata
from collections.abc import Iterable
from typing import NamedTuple

from registry.coerce import MAX_TEXT, storable
from registry.hub.parents import model_reference

FACT_NAME = re.compile(r"[a-z][a-z0-9_]{0,59}", re.ASCII)
"""Form of the name of a fact."""

SEVERAL = "; "
"""Between the values of a fact of which a source states several for one model."""

_SIZE = re.compile(r"([+-]?\d{1,15}(?:\.\d{1,15})?)\s*([KMBT]?)", re.ASCII | re.IGNORECASE)
_COUNT = re.compile(r"[1-9]\d{0,14}", re.ASCII)
_UNITS = {"": 1.0, "K": 1e3, "M": 1e6, "B": 1e9, "T": 1e12}
_LEAST_COUNT = 100_000  # smaller numbers without a unit are millions or billions
_MOST_PARAMETERS = 2e13
_MERGE = re.compile(r"\s*\(merge\)$", re.IGNORECASE)


class ModelFact(NamedTuple):
    """A fact that a source states of a model, by the name that it has for it."""

    model: str
    fact: str
    value: str


def read_fact(fact: str, text: str) -> str | None:
    """Return the value of a fact, None where the text says that it is not known.

    `parameters` is a number of weights, `base_model` the name of a model, `license` an identifier
    in lower case; of other facts pictures at the beginning are left out.

    Raises:
        ValueError: the text is none; says what is expected.
    """
    if fact == "parameters":
        return _parameters(text)
    if fact == "base_model":
        return model_reference(_MERGE.sub("", text.strip()))
    value = storable(_without_pictures(text))[:MAX_TEXT].strip()
    if fact == "license" or value.lower() in ("true", "false"):
        value = value.lower()
    return value or None


def is_fact(fact: ModelFact) -> bool:
    """Return whether a fact could be stored: its name has the form, and its value is one."""
    if not fact.model or not FACT_NAME.fullmatch(fact.fact):
        return False
    if fact.fact == "parameters":
        is_count = _COUNT.fullmatch(fact.value) is not None
        return is_count and int(fact.value) <= _MOST_PARAMETERS
    return 0 < len(fact.value) <= MAX_TEXT


def joined(fact: str, values: Iterable[str]) -> str:
    """Return the value of a fact of which one source states several for a model.

    The largest number of weights: packed and partial ones are smaller, rounded ones hardly differ.
    """
    if fact == "parameters":
        return str(max(map(int, values)))
    return SEVERAL.join(sorted(set(values)))[:MAX_TEXT]


def _parameters(text: str) -> str | None:
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise ValueError("a number of weights, such as 7.24B")
    number, unit = float(match[1]), match[2].upper()
    if number <= 0:  # boards have 0 and -1 where it is not known
        return None
    weights = round(number * _UNITS[unit])
    if not unit and weights < _LEAST_COUNT:
        raise ValueError("a number of weights with its unit, such as 7.24B or ={column}B")
    if not 1 <= weights <= _MOST_PARAMETERS:
        raise ValueError("a number of weights up to 20T")
    return str(weights)


def _without_pictures(text: str) -> str:
    """Return a text without the symbols before its first letter, digit or punctuation."""
    for place, character in enumerate(text):
        if unicodedata.category(character)[0] in "LNP":
            return text[place:]
    return ""
