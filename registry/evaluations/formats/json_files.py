"""JSON documents and JSON lines in files, plain or gzipped; errors name file and line.

Accepted is all that Python's own JSON writer produces: NaN, infinities and escaped lone surrogates.
"""

import json
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO, TypeVar

import msgspec
import orjson

from registry.bounded import limits
from registry.errors import UnreadableFileError

_Kind = TypeVar("_Kind")

_MARKS = (b"[", b"{", b",")
_HEAD = 1 << 20  # bytes in which the keys of a broken file are looked for
_SPACE, _COLON, _COMMA = (re.compile(rf"\s*{sign}\s*") for sign in ("", ":", ","))


def document(path: Path) -> object:
    """Return the one JSON value that a file holds.

    Raises:
        UnreadableFileError: it cannot be opened, is not UTF-8, is cut off or is not JSON.
    """
    with _opened(path) as file:
        return parsed(_content(path, file), path)


def keys(path: Path) -> frozenset[str]:
    """Return the keys of the JSON object that a file holds; none for any other file.

    Of a file that is cut off, those before its end, so that reading it tells what is wrong. Nothing
    below them is decoded, and the latest file's are cached, as formats ask one by one.
    """
    try:
        status = path.stat()
    except OSError:
        return frozenset()
    return _keys(path, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=1)
def _keys(path: Path, changed: int, size: int) -> frozenset[str]:  # noqa: ARG001 - of the cache
    try:
        content = raw(path)
        try:
            return frozenset(msgspec.json.decode(content, type=dict[str, msgspec.Raw]))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):  # also NaN, as Python has
            return frozenset(members(parsed(content, path)))
    except UnreadableFileError:
        return _first_keys(path)


def _first_keys(path: Path) -> frozenset[str]:
    """Return the keys of an object up to the place where its text is broken."""
    try:
        with _opened(path) as file:
            text = file.read(_HEAD).decode("utf-8", "replace").lstrip("\ufeff \t\r\n")
    except (UnreadableFileError, *limits.BROKEN):
        return frozenset()
    found: set[str] = set()
    decoder, place = json.JSONDecoder(), 1
    try:
        while text[:1] == "{":
            key, place = decoder.raw_decode(text, _SPACE.match(text, place).end())  # type: ignore[union-attr] # matches anything
            if not isinstance(key, str):
                break
            found.add(key)
            place = _COLON.match(text, place).end()  # type: ignore[union-attr] # or ends the loop
            _, place = decoder.raw_decode(text, place)
            place = _COMMA.match(text, place).end()  # type: ignore[union-attr] # or ends the loop
    except (ValueError, AttributeError, RecursionError):
        pass
    return frozenset(found)


def typed(content: bytes, kind: type[_Kind], path: Path, *, part: str = "") -> _Kind:
    """Return JSON text as a type of msgspec, whose unknown keys are left undecoded.

    Args:
        content: the text; NaN and infinities are accepted, as by `document`.
        kind: the type.
        path: of the file, for the error.
        part: of the file that the text is, likewise; empty for all of it.

    Raises:
        UnreadableFileError: it is not JSON, or not of the type; names the field.
    """
    try:
        try:
            return msgspec.json.decode(content, type=kind)
        except msgspec.ValidationError:
            raise
        except (msgspec.DecodeError, UnicodeDecodeError):
            return msgspec.convert(parsed(content, path), kind)
    except msgspec.ValidationError as error:
        problem, _, place = str(error).partition(" - at `$")
        missing = re.search(r"missing required field `(.+?)`", problem)
        place = place.rstrip("`") + (f".{missing[1]}" if missing else "")
        field = ": ".join(filter(None, (part, place.removeprefix(".")))) or None
        raise UnreadableFileError(path, f"{problem}.", field=field) from None
    except RecursionError as error:
        raise UnreadableFileError(path, "this is nested too deeply.", field=part or None) from error
    except UnreadableFileError as error:
        if part and error.field is None:
            raise UnreadableFileError(path, error.problem, field=part) from None
        raise


def rows(path: Path) -> Iterator[tuple[int, dict[str, object]]]:
    """Yield the objects of a file of JSON lines, or of a JSON list, each with its number from 1.

    Lines are read lazily. Empty ones count, but are not yielded.

    Raises:
        UnreadableFileError: as `document`, or a row is not an object; a list's rows count as lines.
    """
    with _opened(path) as file:
        for number, line in enumerate(_lines(path, file), start=1):
            if number == 1 and _is_list(line):
                content = parsed(_content(path, file, line), path)
                elements = content if isinstance(content, list) else []
                yield from ((row, _row(value, path, row)) for row, value in enumerate(elements, 1))
                return
            if line.strip():
                yield number, _row(parsed(line, path, line=number), path, number)


def parsed(content: bytes, path: Path, *, line: int | None = None) -> object:
    """Return the value of JSON text; `path` and `line` are for the error only."""
    content = content.removeprefix(b"\xef\xbb\xbf")
    _require_few_values(content, path, line)
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError as error:
        problem = error
    try:
        value: object = json.loads(content.decode())
    except UnicodeDecodeError as error:
        raise UnreadableFileError(path, f"this is not UTF-8: {error.reason}.", line=line) from error
    except RecursionError as error:
        raise UnreadableFileError(path, "this is nested too deeply.", line=line) from error
    except ValueError as error:
        if not content.strip():
            raise UnreadableFileError(path, "there is nothing in it.", line=line) from error
        place = line if line is not None else problem.lineno
        raise UnreadableFileError(
            path, f"this is not JSON, or was cut off: {problem.msg}.", line=place
        ) from error
    return value


def _require_few_values(content: bytes, path: Path, line: int | None) -> None:
    """Refuse a text whose values take many times its own memory; commas in texts count too."""
    if len(content) > limits.VALUES and sum(map(content.count, _MARKS)) > limits.VALUES:
        raise UnreadableFileError(
            path,
            f"it has more than {limits.VALUES:,} values, the limit of a document that is read as "
            "a whole. Split it, or write JSON lines or Parquet.",
            line=line,
        )


def members(value: object) -> Mapping[str, object]:
    """Return a JSON object, or an empty one for any other value."""
    return value if isinstance(value, dict) else {}


def without_nulls(values: Mapping[str, object]) -> dict[str, object]:
    """Return the members that are not None."""
    return {key: value for key, value in values.items() if value is not None}


def _is_list(line: bytes) -> bool:
    return line[:8].lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"[")


def _row(value: object, path: Path, number: int) -> dict[str, object]:
    if not isinstance(value, dict):
        raise UnreadableFileError(path, "an object was expected here.", line=number)
    return value


def raw(path: Path) -> bytes:
    """Return the bytes of a file, unzipped where its name ends in .gz."""
    with _opened(path) as file:
        return _content(path, file)


def _opened(path: Path) -> BinaryIO:
    try:
        opened = limits.open_packed(path) if path.suffix == ".gz" else path.open("rb")
    except OSError as error:
        raise UnreadableFileError(path, f"{error.strerror or error}.") from error
    return opened


def _content(path: Path, file: BinaryIO, begun: bytes = b"") -> bytes:
    try:
        return limits.content(path, file, begun)
    except limits.BROKEN as error:
        raise UnreadableFileError(path, f"it cannot be read to its end: {error}.") from error


def _lines(path: Path, file: BinaryIO) -> Iterator[bytes]:
    number = 0
    while True:
        try:
            line = file.readline(limits.LINE + 1)
        except limits.BROKEN as error:
            raise UnreadableFileError(path, f"it cannot be read to its end: {error}.") from error
        number += 1
        if len(line) > limits.LINE and not (number == 1 and _is_list(line)):
            raise limits.line_too_long(path, number)
        if not line:
            return
        yield line
