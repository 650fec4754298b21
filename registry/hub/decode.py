"""Decoder of listing pages into raw records."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import msgspec
import orjson

from registry.coerce import MAX_DIGITS
from registry.errors import HubError

_TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"?|[\[\]{},]', re.DOTALL)
_ID = re.compile(r'"id"\s*:\s*"([^"\\]{1,255})"')

PART = 40
"""Records decoded at once: they and their rows fit in the cache of a core."""

RecordText: TypeAlias = msgspec.Raw
"""The JSON text of one record: a view of the body of its page, which it keeps in memory."""

_SPLITTER = msgspec.json.Decoder(list[RecordText])


@dataclass(frozen=True, slots=True)
class Rejected:
    """A record that cannot be read: its key ('' if it has none), and why."""

    key: str
    reason: str


def decode_page(body: bytes) -> list[object]:
    """Decode one page of the listing into its raw records.

    Also reads what strict parsers reject but Python writes: NaN, infinities and lone
    surrogates; bytes that are no UTF-8 become U+FFFD. A record nested too deeply to decode
    becomes a `Rejected` in its place, so that the rest of the page is read. Raises `HubError` if
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


class RecordPart(NamedTuple):
    """Part of the records of a page, in their order.

    Attributes:
        records: the records.
        texts: the text of each, for `decode_again`. None where only the tolerant decoder
            succeeded, which may fail a second time: how deep it can go depends on the depth of
            the call.
    """

    records: Sequence[object]
    texts: Sequence[RecordText] | None


def decode_parts(body: bytes) -> Iterator[RecordPart]:
    """Decode one page as `decode_page`, PART records at a time.

    The caller can finish one part before the next one replaces it in the processor's cache.
    """
    try:
        texts = _SPLITTER.decode(body)
    except (msgspec.DecodeError, RecursionError):
        yield RecordPart(decode_page(body), None)
        return
    for start in range(0, len(texts), PART):
        part = texts[start : start + PART]
        try:
            yield RecordPart(decode_again(part), part)
        except orjson.JSONDecodeError:
            yield RecordPart(decode_page(_listed(part)), None)


def decode_again(texts: Sequence[RecordText]) -> list[object]:
    """Decode records from their texts."""
    records = orjson.loads(_listed(texts))
    assert isinstance(records, list)
    return records


def _listed(texts: Sequence[RecordText]) -> bytes:
    return b"[" + b",".join(texts) + b"]"


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
