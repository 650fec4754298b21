"""Digests of raw records, which identify unchanged records without reading them."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import orjson

PARSER_VERSION = 4
"""Raised whenever `parse_record` reads anything differently; every digest depends on it."""

_VERSION = PARSER_VERSION.to_bytes(2)

COUNTERS = ("downloads", "downloadsAllTime", "likes", "trendingScore")
"""Fields that change without a change of the model."""

_SEPARATE = frozenset({*COUNTERS, "cardData", "config"})


class Encoded(NamedTuple):
    """A raw record without its counters as JSON with sorted keys: both documents, and the rest."""

    card: bytes
    config: bytes
    rest: bytes


def encode(raw: Mapping[str, object]) -> Encoded | None:
    """Encode a raw record, for its digest and its documents.

    None where it holds lone surrogates, integers beyond 64 bits, or more than 254 levels.
    """
    rest = {key: value for key, value in raw.items() if key not in _SEPARATE}
    try:
        return Encoded(
            orjson.dumps(raw.get("cardData"), option=orjson.OPT_SORT_KEYS),
            orjson.dumps(raw.get("config"), option=orjson.OPT_SORT_KEYS),
            orjson.dumps(rest, option=orjson.OPT_SORT_KEYS),
        )
    except TypeError:
        return None


def digest(raw: object, encoded: Encoded | None = None, unread: Sequence[str] = ()) -> int:
    """Return the digest of a raw record without its counters: a signed 64-bit integer.

    Equal records have equal digests in any order of keys; a changed field or another
    `PARSER_VERSION` changes it.

    Args:
        raw: the record.
        encoded: the result of `encode`, where there is one already.
        unread: names of the counters that cannot be read. They are part of the digest, so that
            a record is read again once a counter becomes unreadable.
    """
    if encoded is None and isinstance(raw, dict):
        encoded = encode(raw)
    if encoded is None:
        parts = [each.encode() for each in _flattened(_without_counters(raw))]
    else:
        parts = [*encoded]
    parts += [name.encode() for name in unread]
    # JSON has no bytes below 32. Processors have instructions for this hash: it takes half
    # the time of blake2b.
    hashed = hashlib.sha1(b"\0".join([_VERSION, *parts]), usedforsecurity=False).digest()
    return int.from_bytes(hashed[:8], signed=True)


def _without_counters(raw: object) -> object:
    if not isinstance(raw, dict):
        return raw
    return {key: value for key, value in raw.items() if key not in COUNTERS}


def _flattened(value: object) -> Iterator[str]:
    """Spell out a JSON value, however deep, without recursion."""
    todo = [value]
    while todo:
        item = todo.pop()
        if isinstance(item, dict):
            yield f"{{{len(item)}"
            for key in sorted(item):
                todo += (item[key], key)
        elif isinstance(item, list):
            yield f"[{len(item)}"
            todo += item
        else:
            yield hex(item) if type(item) is int else ascii(item)
