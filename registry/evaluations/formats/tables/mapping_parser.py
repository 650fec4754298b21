"""Mappings from the documents that they are written as, checked key by key."""

import re
from collections.abc import Mapping

from registry.errors import UnreadableFileError
from registry.evaluations.formats.tables.checking import MEASURE_FIELDS, Node, measure_rule
from registry.evaluations.formats.tables.mapping import (
    KINDS,
    MISSING,
    NEEDED,
    ROLES,
    ROW,
    BenchmarkRule,
    Condition,
    Formula,
    Layout,
    Scale,
    Series,
    TableMapping,
)

LAYOUT_KEYS = (
    "layout",
    "columns",
    "details",
    "where",
    "scale",
    "labels",
    "missing",
    "measure",
    "measures",
    "benchmarks",
    "series",
    "ignore",
)
_SERIES_TEXTS = ("benchmark", "version", "metric", "filter", "shots", "item", "model", "domain")
_COMPANIONS = ("standard_error", "items")
_PLAIN = ("outcome", "score", "answer", "input_tokens", "output_tokens", "latency", "choices")
_NEVER_ROW = ("outcomes", "outcomes-by-model")


def parse_mapping(file: object, name: str, document: dict[str, object]) -> TableMapping:
    """Read a mapping; `file` is what messages call it.

    Raises:
        UnreadableFileError: it is none; names the key and what is allowed.
    """
    node = Node(file, document)
    keys = node.keys((*LAYOUT_KEYS, "about", "files"))
    about = keys.pop("about").text() if "about" in keys else ""
    if "files" not in keys:
        return TableMapping(
            name=name, about=about, layouts=(_layout(node, keys),), document=document
        )
    elements = keys.pop("files").elements()
    if not elements:
        raise Node(node.file, [], "files").wrong("a list of at least one file")
    layouts = tuple(_layout(each, _inherited(each, keys)) for each in elements)
    return TableMapping(name=name, about=about, layouts=layouts, document=document)


def _inherited(node: Node, base: Mapping[str, Node]) -> dict[str, Node]:
    """Return the keys for one file: its own, and those for all files where it has none."""
    own = node.keys((*LAYOUT_KEYS, "match"))
    merged = {**base, **own}
    for key in ("columns", "details", "measures", "benchmarks"):
        if key in base and key in own:
            above, below = base[key].keys(), own[key].keys()
            value = {name: each.value for name, each in {**above, **below}.items()}
            merged[key] = Node(node.file, value, own[key].path)
    return merged


def _layout(node: Node, keys: Mapping[str, Node]) -> Layout:
    if "layout" not in keys:
        raise UnreadableFileError(
            node.file, f"It does not say its layout: one of {', '.join(KINDS)}.", field="layout"
        )
    kind = keys["layout"].text()
    if kind not in KINDS:
        raise keys["layout"].wrong(f"one of {', '.join(KINDS)}")
    roles, choices = _roles(keys["columns"], kind) if "columns" in keys else ({}, ())
    series = tuple(map(_series, keys["series"].elements())) if "series" in keys else ()
    ignore = keys["ignore"].elements() if "ignore" in keys else []
    layout = Layout(
        kind=kind,
        match=keys["match"].text() if "match" in keys else None,
        roles=roles,
        choices=choices,
        details=keys["details"].each(_formula) if "details" in keys else {},
        where=keys["where"].each(_condition) if "where" in keys else {},
        scale=_scale(keys["scale"]) if "scale" in keys else Scale(),
        labels=_labels(keys["labels"]) if "labels" in keys else {},
        missing=_missing(keys["missing"]) if "missing" in keys else MISSING,
        measure=measure_rule(keys["measure"]) if "measure" in keys else {},
        measures=keys["measures"].each(measure_rule) if "measures" in keys else {},
        benchmarks=keys["benchmarks"].each(_benchmark) if "benchmarks" in keys else {},
        series=series,
        ignore=tuple(each.pattern() for each in ignore),
    )
    _check(node, layout)
    return layout


def _check(node: Node, layout: Layout) -> None:
    for role in NEEDED[layout.kind]:
        told = [role in one.texts or role in one.names.groupindex for one in layout.series]
        if role not in layout.roles and not (layout.is_wide and told and all(told)):
            problem = f"The layout {layout.kind} needs a column for {role}, or {role}: =constant."
            raise UnreadableFileError(node.file, problem, field=f"columns.{role}")
    if layout.kind == "outcomes-by-model" and "benchmark" not in layout.roles:
        told = ["benchmark" in {**one.texts, **one.names.groupindex} for one in layout.series]
        if not told or not all(told):
            problem = "It does not say of which benchmark the items are."
            raise UnreadableFileError(node.file, problem, field="columns.benchmark")
    if layout.kind == "outcomes-by-model" and layout.columns_of(("benchmark", "version")):
        problem = "Here one row has all items, so that this cannot be a column; give a =constant."
        raise UnreadableFileError(node.file, problem, field="columns.benchmark")


def _roles(node: Node, kind: str) -> tuple[dict[str, Formula], tuple[str, ...]]:
    roles: dict[str, Formula] = {}
    choices: tuple[str, ...] = ()
    for role, member in node.keys(ROLES).items():
        if member.value is None:
            continue
        if role == "choices" and isinstance(member.value, list):
            choices = tuple(each.text() for each in member.elements())
            continue
        formula = roles[role] = _formula(member)
        if role in _PLAIN and not formula.is_plain:
            raise member.wrong("the name of a column")
        if any(column == ROW for _, column in formula.parts) and (
            role != "item" or kind in _NEVER_ROW
        ):
            raise member.wrong("a text without {@row}, which only names items, one a row")
    return roles, choices


def _formula(node: Node) -> Formula:
    formula = Formula.parse(node.text())
    for _, column in formula.parts:
        if column is not None and column[:1] == "@" and column not in ("@row", "@file"):
            raise node.wrong("a text with {column}, {@file} or {@row}")
    return formula


def _condition(node: Node) -> Condition:
    if isinstance(node.value, dict):
        keys = node.keys(("like",))
        if "like" not in keys:
            raise node.wrong("a text, or like: a regular expression")
        return keys["like"].pattern()
    return node.text()


def _scale(node: Node) -> Scale:
    keys = node.keys(("lower", "upper"))
    scale = Scale(**{key: member.number() for key, member in keys.items()})
    if scale.lower >= scale.upper:
        raise node.wrong("a scale with lower below upper")
    return scale


def _labels(node: Node) -> dict[str, float | None]:
    labels = node.each(lambda member: member.optional(Node.number))
    return {label.strip().lower(): raw for label, raw in labels.items()}


def _missing(node: Node) -> frozenset[str]:
    return MISSING | {each.text().strip().lower() for each in node.elements()}


def _benchmark(node: Node) -> BenchmarkRule:
    texts = ("name", "version", "url", "domain")
    keys = node.keys((*texts, *MEASURE_FIELDS))
    measure = {key: member.value for key, member in keys.items() if key in MEASURE_FIELDS}
    return BenchmarkRule(
        **{key: keys[key].text() for key in texts if key in keys},
        measure=measure_rule(Node(node.file, measure, node.path)),
    )


def _series(node: Node) -> Series:
    texts = tuple(key for key in _SERIES_TEXTS if key not in MEASURE_FIELDS)
    keys = node.keys(("column", "pattern", *texts, *MEASURE_FIELDS, *_COMPANIONS, "details"))
    if ("column" in keys) == ("pattern" in keys):
        raise node.wrong("a series with either a column or a pattern")
    if "column" in keys:
        names = re.compile(re.escape(keys["column"].text()))
    else:
        names = keys["pattern"].pattern()
        if unknown := set(names.groupindex) - set(_SERIES_TEXTS):
            allowed = f"a pattern with groups among {', '.join(_SERIES_TEXTS)}"
            raise keys["pattern"].wrong(f"{allowed}, not {', '.join(sorted(unknown))}")
    measure = {key: member.value for key, member in keys.items() if key in MEASURE_FIELDS}
    stated = measure_rule(Node(node.file, measure, node.path))
    return Series(
        names=names,
        texts={key: keys[key].text() for key in _SERIES_TEXTS if key in keys},
        measure={key: value for key, value in stated.items() if key not in _SERIES_TEXTS},
        details=keys["details"].each(Node.text) if "details" in keys else {},
        companions={key: keys[key].text() for key in _COMPANIONS if key in keys},
    )
