"""Mappings from YAML: built-in ones, the user's own, and changes from the command line."""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import replace
from functools import cache
from importlib.resources import files
from pathlib import Path

import msgspec
import yaml

from registry.bounded import yaml_text
from registry.bounded.limits import MAPPING
from registry.errors import UnreadableFileError, UsageError
from registry.evaluations.formats.tables.mapping import (
    SHARES,
    Layout,
    MeasureRule,
    TableMapping,
    TableScale,
)
from registry.evaluations.formats.tables.mapping_parser import LAYOUT_KEYS, parse_mapping
from registry.evaluations.formats.tables.open import open_table
from registry.evaluations.formats.tables.roles import FACT, ITEM_TEXTS, ROLES, Text, roles_of
from registry.evaluations.scales.stated import StatedScale

GENERAL = "long"
"""Mapping of tables of any origin, by the names of their columns alone."""


def presets() -> tuple[str, ...]:
    """Return the names of the built-in mappings."""
    folder = files(__package__) / "presets"
    names = (file.name for file in folder.iterdir())
    return tuple(sorted(name[:-5] for name in names if name.endswith(".yaml")))


@cache
def _built_in(name: str) -> TableMapping:
    # Cached, as every table in a folder is compared with all of them.
    text = (files(__package__) / "presets" / f"{name}.yaml").read_text("utf-8")
    return _parse(text, name, f"{name}.yaml")


def load_mapping(name_or_path: str | Path) -> TableMapping:
    """Load a mapping: a built-in one by its name, or one of a YAML file.

    Raises:
        UsageError: there is no such mapping.
        UnreadableFileError: the file is not a mapping; names the key and what is allowed.
    """
    names = presets()
    if str(name_or_path) in names:
        return _built_in(str(name_or_path))
    path = Path(name_or_path)
    if not path.is_file():
        raise UsageError(
            f"There is no mapping {str(path)!r}: neither a file nor one of {', '.join(names)}."
        )
    try:
        if path.stat().st_size > MAPPING:
            problem = f"A mapping has at most {MAPPING // 1024} KB; is this the table itself?"
            raise UnreadableFileError(path, problem)
        text = path.read_text("utf-8-sig")
    except UnicodeDecodeError as problem:
        raise UnreadableFileError(path, f"It is not UTF-8 ({problem}).") from None
    return _parse(text, path.stem, path)


def of_columns(roles: Mapping[str, str]) -> TableMapping:
    """Return the mapping of tables of which the command line names columns, by role.

    Its other columns are those of mapping `long`. A table is of outcomes; or of scores, given a
    score and neither an item nor an outcome; or of names of models, given a name. Given a text of
    items and no model, a table without models and outcomes lists items.

    Raises:
        UsageError: there is no such role, or the value is not allowed there.
    """
    if "layout" in roles:
        return _of_kind(roles["layout"], roles)
    if "score" in roles and not {"item", "outcome"} & roles.keys():
        return _of_kind("scores", roles)
    if "name" in roles:
        return _of_kind("names", roles)
    outcomes = override(_built_in(GENERAL), roles)
    if not roles.keys() & set(ITEM_TEXTS) or not roles.keys() <= {*roles_of("items")}:
        return outcomes
    items = _of_kind("items", roles)
    return replace(outcomes, layouts=outcomes.layouts + items.layouts)


def _of_kind(kind: str, roles: Mapping[str, str]) -> TableMapping:
    mapping = _built_in(GENERAL)
    others = {role for layout in mapping.layouts for role in layout.roles} - {*roles_of(kind)}
    return override(mapping, {"layout": kind, **dict.fromkeys(sorted(others), ""), **roles})


def override(mapping: TableMapping, changes: Mapping[str, str]) -> TableMapping:
    """Return a mapping with some of its values replaced, as from the command line.

    Keys are roles, or keys of the YAML with a point between levels, such as `scale.upper`; an
    empty text removes a role. They apply to all files of the mapping.

    Raises:
        UsageError: there is no such key, or the value is not allowed there.
    """
    document = deepcopy(dict(mapping.document))
    layouts: list[dict[str, object]] = [document]
    elements = document.get("files")
    if isinstance(elements, list):
        layouts += elements
    kinds = [changes["layout"]] if "layout" in changes else [each.kind for each in mapping.layouts]
    usable = dict.fromkeys(role for kind in kinds for role in roles_of(kind))
    for key, text in changes.items():
        parts = ["columns", key] if key in ROLES else key.split(".")
        if key.startswith(FACT):
            parts = ["facts", key.removeprefix(FACT)]
        if parts[0] not in LAYOUT_KEYS or (key in ROLES and text and key not in usable):
            hint = "" if "score" in usable else " A table of scores has a score, and no item."
            raise UsageError(
                f"There is no role {key!r} of columns; there are {', '.join(usable)}.{hint}"
            )
        is_text = parts[0] in ("columns", "details", "facts", "where", "layout")
        value: object = text if is_text else _plain_value(key, text)
        removed = parts[0] in ("columns", "facts") and not text
        for layout in layouts:
            _put(layout, parts, None if removed else value, key)
    try:
        return parse_mapping("the mapping", mapping.name, document)
    except UnreadableFileError as error:
        raise UsageError(str(error)) from None


def on_scale(mapping: TableMapping, stated: StatedScale) -> TableMapping:
    """Return a mapping whose outcomes are as a person states at an import: scale and direction.

    Raises:
        UsageError: the mapping states another scale.
    """
    layouts = tuple(
        _on_scale(mapping, layout, stated) if layout.kind.startswith("outcomes") else layout
        for layout in mapping.layouts
    )
    return replace(mapping, layouts=layouts)


def _on_scale(mapping: TableMapping, layout: Layout, stated: StatedScale) -> Layout:
    rule = layout.measure.stated()
    if stated.higher_is_better is not None:
        rule.setdefault("higher_is_better", stated.higher_is_better)
    scale = layout.scale
    if stated.lower is not None and stated.upper is not None:
        scale = TableScale(stated.lower, stated.upper)
        if scale != layout.scale and (layout.scale != SHARES or _states_scale(mapping.document)):
            raise UsageError(
                f"The mapping {mapping.name!r} has outcomes from {layout.scale.lower:g} to "
                f"{layout.scale.upper:g}, and --scale says from {stated.lower:g} to "
                f"{stated.upper:g}: leave one of them out."
            )
    if scale != layout.scale:
        unit = {} if stated.unit is None else {"unit": Text(stated.unit)}
        rule = {"lower": stated.lower, "upper": stated.upper, **unit, **rule}
    measure: MeasureRule = msgspec.structs.replace(layout.measure, **rule)
    return msgspec.structs.replace(layout, scale=scale, measure=measure)


def _states_scale(document: Mapping[str, object]) -> bool:
    files = document.get("files")
    listed = files if isinstance(files, list) else []
    return any("scale" in each for each in (document, *listed))


def detect(path: Path) -> TableMapping | None:
    """Return the built-in mapping that explains a table's columns best, if any does.

    Raises:
        UnreadableFileError: the file is not a table.
    """
    table = open_table(path)
    best: tuple[tuple[bool, int], TableMapping] | None = None
    for name in presets():
        mapping = load_mapping(name)
        for layout in mapping.layouts:
            count = layout.fits(table.columns, table.has)
            rank = (layout.match is not None and layout.covers(path.name), count)
            if count and (best is None or rank > best[0]):
                best = rank, mapping
    return best[1] if best else None


def _plain_value(key: str, text: str) -> object:
    try:
        return yaml_text.load(text, yaml.SafeLoader)
    except yaml.YAMLError:
        raise UsageError(f"{text!r} is not a value for {key}.") from None


def _put(document: dict[str, object], parts: list[str], value: object, key: str) -> None:
    for part in parts[:-1]:
        below = document.setdefault(part, {})
        if not isinstance(below, dict):
            raise UsageError(f"There is no {key} in a mapping.")
        document = below
    document[parts[-1]] = value


def _parse(text: str, name: str, file: object) -> TableMapping:
    try:
        document = yaml_text.load(text, yaml.SafeLoader)
    except yaml.MarkedYAMLError as problem:
        line = problem.problem_mark.line + 1 if problem.problem_mark else None
        message = f"It is not YAML: {problem.problem}."
        raise UnreadableFileError(file, message, line=line) from None
    except yaml.YAMLError as problem:
        raise UnreadableFileError(file, f"It is not YAML: {problem}.") from None
    if not isinstance(document, dict):
        raise UnreadableFileError(file, "It is not a mapping: it has no keys.")
    return parse_mapping(file, name, document)
