"""Checked reading of mappings: types and keys by msgspec, rules between keys here."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, get_args

import msgspec
from msgspec import UNSET, UnsetType

from registry.errors import UnreadableFileError, shortened
from registry.evaluations.formats.tables.mapping import Layout, TableMapping
from registry.evaluations.formats.tables.roles import LAYOUT_KINDS, NEEDED, ROW, Formula, Text

LAYOUT_KEYS = Layout.__struct_encode_fields__

_MERGED = ("columns", "details", "facts", "measures", "benchmarks")
_PLAIN = ("outcome", "score", "answer", "input_tokens", "output_tokens", "latency", "choices")
_NEVER_ROW = ("outcomes", "outcomes-by-model")

_MESSAGE = re.compile(r"(?P<problem>.*?)(?: - at `\$(?P<path>.*)`)?", re.DOTALL)
_STEP = re.compile(r"\[\.\.\.\]|\w+")
_TYPES = {
    "str": "a text",
    "float": "a number",
    "bool": "true or false",
    "array": "a list",
    "object": "an object with keys",
}


class _Head(msgspec.Struct):
    """Keys that are no layout's."""

    about: Text = Text()
    files: list[dict[str, Any]] | UnsetType = UNSET


def parse_mapping(file: object, name: str, document: dict[str, object]) -> TableMapping:
    """Read a mapping; `file` is what messages call it.

    Raises:
        UnreadableFileError: it is none; names the key and what is allowed.
    """
    value = _with_text_keys(document)
    head: _Head = _Part(file, value).decode(_Head)
    base = {key: each for key, each in value.items() if key not in _Head.__struct_fields__}
    if isinstance(head.files, UnsetType):
        parts = [_Part(file, base)]
    else:
        parts = [_Part.of_file(file, base, *each) for each in enumerate(head.files)]
    if not parts:
        raise _Part(file, value).rejected("files", [], "a list of at least one file")
    layouts = tuple(map(_layout, parts))
    return TableMapping(name=name, about=head.about, layouts=layouts, document=document)


@dataclass(frozen=True, slots=True)
class _Part:
    """What a mapping says of one file.

    Attributes:
        file: what messages call the mapping.
        value: the keys of the file, and those for all files.
        own: which of them are stated of the file itself, and where.
    """

    file: object
    value: dict[str, Any]
    own: frozenset[str] = frozenset()
    path: str = ""

    @classmethod
    def of_file(
        cls, file: object, base: dict[str, Any], index: int, own: dict[str, Any]
    ) -> "_Part":
        """Return what is said of a file, given the keys for all files and its own."""
        value = {**base, **own}
        for key in _MERGED:
            if isinstance(base.get(key), dict) and isinstance(own.get(key), dict):
                value[key] = {**base[key], **own[key]}
        return cls(file, value, frozenset(own), f"files[{index}].")

    def decode(self, kind: type) -> Any:
        """Return it as a struct."""
        try:
            return msgspec.convert(self.value, kind, dec_hook=_decode)
        except msgspec.ValidationError as error:
            raise self._error_of(kind, str(error)) from None

    def _error_of(self, kind: Any, message: str) -> UnreadableFileError:
        """Return the error for a message of msgspec, with the keys and values it leaves out."""
        match = _MESSAGE.fullmatch(message)
        assert match is not None
        problem, value, path = match["problem"], self.value, ""
        for step in _STEP.findall(match["path"] or ""):
            kind, value, name = _below(kind, value, step)
            path += name
        if problem.startswith("Object contains unknown field"):
            key = problem.split("`")[1]
            allowed = _struct(kind).__struct_encode_fields__
            if not path and key not in self.own:
                allowed += _Head.__struct_fields__
            problem = f"There is no such key; allowed are {', '.join(allowed)}."
            return self.error(f"{path}.{key}"[1:], problem)
        return self.rejected(path[1:], value, _expected(problem))

    def error(self, path: str, problem: str) -> UnreadableFileError:
        """Return an error that names a key."""
        is_own = re.split(r"[.[]", path, maxsplit=1)[0] in self.own
        return UnreadableFileError(self.file, problem, field=f"{self.path * is_own}{path}" or None)

    def rejected(self, path: str, value: object, expected: str) -> UnreadableFileError:
        """Return the error of a value that is not allowed."""
        problem = f"{shortened(value)} is not allowed here; it has to be {expected}."
        return self.error(path, problem)


def _with_text_keys(value: Any) -> Any:
    """Return a document whose keys are texts: YAML reads bare numbers, yes and no as such."""
    if isinstance(value, list):
        return [_with_text_keys(each) for each in value]
    if isinstance(value, dict):
        return {
            str(key).lower() if isinstance(key, bool) else str(key): _with_text_keys(each)
            for key, each in value.items()
        }
    return value


def _decode(kind: type, value: object) -> object:
    """Return a value as a type that msgspec does not know."""
    text = Text.read(value)
    if kind is Text:
        return text
    if kind is Formula:
        return Formula.parse(text)
    try:
        return re.compile(text)
    except re.error as problem:
        raise ValueError(f"a regular expression ({problem})") from None


def _below(kind: Any, value: Any, step: str) -> tuple[Any, Any, str]:
    """Return the type, the value and the name one step down a path of msgspec."""
    if step == "[...]":  # a key that msgspec does not name
        kind = get_args(kind)[1]
        key = next(key for key, each in value.items() if not _fits(each, kind))
        return kind, value[key], f".{key}"
    if step.isdigit():
        return get_args(kind)[0], value[int(step)], f"[{step}]"
    types = {each.encode_name: each.type for each in msgspec.structs.fields(_struct(kind))}
    return types[step], value[step], f".{step}"


def _struct(kind: Any) -> Any:
    """Return the struct that a type is, or may be."""
    kinds = get_args(kind) or (kind,)
    return next(each for each in kinds if issubclass(each, msgspec.Struct))


def _fits(value: object, kind: Any) -> bool:
    try:
        msgspec.convert(value, kind, dec_hook=_decode)
    except msgspec.ValidationError:
        return False
    return True


def _expected(problem: str) -> str:
    """Return what a value has to be, of a message of msgspec or of a rule."""
    if problem.startswith("Invalid enum value"):
        return f"one of {', '.join(LAYOUT_KINDS)}"
    if problem.startswith("Object missing required field"):
        return f"an object with the key {problem.split('`')[1]}"
    if not problem.startswith("Expected `"):
        return problem
    if ", got `" not in problem:  # a bound that is not met
        return "a finite number"
    types = problem.split("`")[1].split(" | ")
    if "str" in types:  # numbers and flags count as texts
        types = [each for each in types if each not in ("bool", "int", "float")]
    return " or ".join(_TYPES.get(each, each) for each in types)


def _layout(part: _Part) -> Layout:
    """Read the layout of a file.

    Raises:
        UnreadableFileError: as `parse_mapping`.
    """
    if "layout" not in part.value:
        problem = f"It does not say its layout: one of {', '.join(LAYOUT_KINDS)}."
        raise part.error("layout", problem)
    layout: Layout = part.decode(Layout)
    for role, formula in layout.roles.items():
        path, value = f"columns.{role}", part.value["columns"][role]
        if role in _PLAIN and not formula.is_plain:
            raise part.rejected(path, value, "the name of a column")
        if any(column == ROW for _, column in formula.parts) and (
            role != "item" or layout.kind in _NEVER_ROW
        ):
            expected = "a text without {@row}, which only names items, one a row"
            raise part.rejected(path, value, expected)
    if layout.facts and "model" not in layout.roles:
        problem = "Facts are of models, and there is no column for the model."
        raise part.error("facts", problem)
    for role, problem in _lacking(layout):
        raise part.error(f"columns.{role}", problem)
    return layout


def _lacking(layout: Layout) -> Iterator[tuple[str, str]]:
    """Yield roles that are not filled as the layout requires, and what is wrong."""

    def in_series(role: str) -> bool:
        return bool(layout.series) and all(series.fills(role) for series in layout.series)

    for role in NEEDED[layout.kind]:
        if role not in layout.roles and not (layout.is_wide and in_series(role)):
            yield role, f"The layout {layout.kind} needs a column for {role}, or {role}: =constant."
    if layout.kind == "outcomes-by-model":
        if "benchmark" not in layout.roles and not in_series("benchmark"):
            yield "benchmark", "It does not say of which benchmark the items are."
        if layout.columns_of(("benchmark", "version")):
            problem = "Here one row has all items: this cannot be a column; give a =constant."
            yield "benchmark", problem
