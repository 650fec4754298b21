"""JSON values of unknown shape, read as what Postgres can store; nothing here raises."""

import json
import math
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeVar

import orjson

MAX_TEXT = 255
"""Characters of a text that gets indexed."""

MAX_LIST = 1_000
"""Elements of a list that are stored."""

MAX_DOCUMENT = 16_000_000
"""Bytes of the largest JSON document that is stored."""

MAX_DIGITS = 1_000
"""Decimal digits of an integer inside a document; Python handles up to 4,300."""

_BIGINT = 2**63 - 1

_T = TypeVar("_T")

# Postgres' text and jsonb accept neither U+0000 nor half of a surrogate pair.
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


class Memo(dict[str, _T]):
    """Cache of a function of texts, emptied when it is full; errors are not cached.

    For texts that are often repeated, as tags are: `memo[text]` takes half as long as a call of a
    function with an `lru_cache`.
    """

    def __init__(self, make: Callable[[str], _T], most: int = 20_000) -> None:
        super().__init__()
        self._make, self._most = make, most

    def __missing__(self, text: str) -> _T:
        if len(self) >= self._most:
            self.clear()
        value = self[text] = self._make(text)
        return value


def storable(text: str) -> str:
    """Replace what Postgres cannot store in `text` by U+FFFD."""
    if text.isascii() and "\0" not in text:
        return text
    return _UNSTORABLE.sub("\ufffd", text)


def short_text(value: object) -> str | None:
    """Return `value` stripped and storable if it is a text of 1 to `MAX_TEXT` characters."""
    if not isinstance(value, str) or len(value) > MAX_TEXT:
        return None
    if not value.isascii() or "\0" in value:
        value = _UNSTORABLE.sub("\ufffd", value)
    return value.strip() or None


def count(value: object) -> int | None:
    """Return `value` if it is an integer in [0, 2**63)."""
    return value if type(value) is int and 0 <= value <= _BIGINT else None


def number(value: object) -> float | None:
    """Return `value` as a float if it is a finite number below 2**63 in size; a bool is none."""
    if type(value) is int or type(value) is float:
        return float(value) if -_BIGINT <= value <= _BIGINT else None
    return None


def timestamp(value: object) -> datetime | None:
    """Return an ISO 8601 text as a time in UTC; without an offset it is taken as UTC."""
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def texts(value: object) -> tuple[list[str], bool]:
    """Read a text or a list of texts; return them, and whether any was left out.

    At most `MAX_LIST` different texts are returned, in their order. None and blank texts do not
    count as left out.
    """
    if value is None:
        return [], False
    elements = value if isinstance(value, list) else [value]
    if _clean_texts(elements):
        stripped = list(map(str.strip, elements))
        different = set(stripped)
        if len(different) == len(stripped) and "" not in different:
            return stripped, False
        return [text for text in dict.fromkeys(stripped) if text], False
    accepted = [text for element in elements[:MAX_LIST] if (text := short_text(element))]
    blank = sum(
        element is None or (isinstance(element, str) and not element.strip())
        for element in elements
    )
    return list(dict.fromkeys(accepted)), len(accepted) + blank < len(elements)


def _stripped(text: str) -> str:
    """Return a storable text without the spaces around it.

    Raises:
        ValueError: when it is too long or not storable.
        TypeError: when it is no text.
    """
    if len(text) > MAX_TEXT or _UNSTORABLE.search(text):
        raise ValueError
    return text.strip()


_STRIPPED = Memo(_stripped)


def tags(value: object) -> tuple[list[str], bool]:
    """Read a list of tags, as `texts`, in a quarter of the time: most are cached."""
    if type(value) is list and len(value) <= MAX_LIST:
        try:
            different = dict.fromkeys(map(_STRIPPED.__getitem__, value))
        except (TypeError, ValueError):
            return texts(value)
        different.pop("", None)
        return list(different), False
    return texts(value)


def _clean_texts(elements: list[object]) -> bool:
    """Return quickly whether all `elements` are storable texts, as nearly always."""
    try:
        joined = "".join(elements)  # type: ignore[arg-type] # checked by trying
    except TypeError:
        return False
    return (
        joined.isascii()
        and "\0" not in joined
        and len(elements) <= MAX_LIST
        and (len(joined) <= MAX_TEXT or max(map(len, elements)) <= MAX_TEXT)  # type: ignore[arg-type]
    )


def document(value: object, encoded: bytes | None = None) -> str | None:
    """Return `value` as JSON text that Postgres' jsonb accepts; None if it cannot be stored.

    NaN and infinities become null, U+0000 and lone surrogates U+FFFD. Not stored: more than
    `MAX_DOCUMENT` bytes, or nesting too deep to traverse. `encoded` is the value as orjson writes
    it, if the caller has that already.
    """
    try:
        storable_bytes = _encode(value, encoded)
    except (ValueError, TypeError, RecursionError):
        return None
    return storable_bytes.decode() if len(storable_bytes) <= MAX_DOCUMENT else None


def _encode(value: object, encoded: bytes | None) -> bytes:
    if encoded is None:
        try:
            encoded = orjson.dumps(value)
        except TypeError:  # a lone surrogate, an integer beyond 64 bits, or more than 254 levels
            return json.dumps(_clean(value), ensure_ascii=False, allow_nan=False).encode()
    # Also true for a harmless backslash before u0000, which cleaning leaves as it is.
    return orjson.dumps(_clean(value)) if b"\\u0000" in encoded else encoded


def _clean(value: object) -> object:
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, dict):
        return {storable(key): _clean(member) for key, member in value.items()}
    if isinstance(value, list):
        return [_clean(element) for element in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, int) and value.bit_length() > 3 * MAX_DIGITS:
        return None
    return value
