"""Mappings: the layout of a data set's tables, as facts.

`mapping_parser` reads them from documents by msgspec: the structs here are what a document holds.
"""

import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from functools import cached_property
from typing import Annotated, Literal, NamedTuple, TypeAlias

import msgspec
from msgspec import UNSET, Meta, UnsetType

from registry.catalog.facts.values import FACT_NAME
from registry.evaluations.formats.tables.roles import (
    MISSING,
    ROLES,
    SERIES_ROLES,
    Formula,
    LayoutKind,
    Scalar,
    Text,
)
from registry.evaluations.identity.variants import SplitName
from registry.evaluations.records import Measure
from registry.evaluations.scales import known_measure

Number: TypeAlias = Annotated[float, Meta(ge=-sys.float_info.max, le=sys.float_info.max)]
"""A finite number."""


def _check_bounds(lower: float, upper: float) -> None:
    if lower >= upper:
        raise ValueError("a scale with lower below upper")


class _Keys(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """An object in a document, with the keys that are known."""


class Like(_Keys, frozen=True):
    """A pattern that a cell has to match somewhere."""

    like: re.Pattern[str]


class TableScale(_Keys, frozen=True):
    """Cells of the worst and the best outcome."""

    lower: Number = 0.0
    upper: Number = 1.0

    def __post_init__(self) -> None:
        _check_bounds(self.lower, self.upper)


SHARES = TableScale()


class MeasureRule(_Keys, frozen=True):
    """Fields of a `Measure` that are stated; the others stay as they are."""

    metric: Text | UnsetType = UNSET
    filter: Text | UnsetType = UNSET
    lower: Number | UnsetType | None = UNSET
    upper: Number | UnsetType | None = UNSET
    higher_is_better: bool | UnsetType = UNSET
    random_baseline: Number | UnsetType | None = UNSET
    unit: Text | UnsetType | None = UNSET

    def __post_init__(self) -> None:
        if isinstance(self.lower, float) and isinstance(self.upper, float):
            _check_bounds(self.lower, self.upper)

    def stated(self) -> dict[str, object]:
        """Return the fields of a measure that are stated."""
        values = {name: getattr(self, name) for name in MeasureRule.__struct_fields__}
        return {name: value for name, value in values.items() if value is not UNSET}


class BenchmarkRule(MeasureRule, frozen=True):
    """Facts about one benchmark: its proper name and version, and how it is measured."""

    name: Text | None = None
    version: Text | None = None
    url: Text | None = None
    domain: Text | None = None


class ModelRule(_Keys, frozen=True):
    r"""Names of one form: the model that they name, and what makes it a system around the model.

    `like` fits whole names; `name` and `variant` may have its groups, as \1. Without `name` the
    name stays.
    """

    like: re.Pattern[str]
    name: Text | None = None
    variant: Text | None = None

    def __post_init__(self) -> None:
        groups = [int(each) for each in re.findall(r"\\(\d)", f"{self.name} {self.variant}")]
        if max(groups, default=0) > self.like.groups:
            raise ValueError("a rule whose name and variant have groups of its pattern alone")

    def split(self, name: str) -> SplitName | None:
        """Split a name; None if it has another form."""
        match = self.like.fullmatch(name)
        if match is None:
            return None
        model = name if self.name is None else match.expand(self.name)
        return SplitName(model, None if self.variant is None else match.expand(self.variant))


class Series(MeasureRule, frozen=True):
    """Columns of a wide table that hold outcomes or scores.

    Besides these fields, those of the measure and the texts of `SERIES_ROLES`, where known.

    Attributes:
        column: name of the only column.
        pattern: of the whole names of the columns; its groups fill `SERIES_ROLES` too.
        details: of the setup.
        standard_error: column with the standard error of the scores.
        items: column with the number of items of the scores.
        answer: column with the answers to the items, {column} being the name of the series' own.

    A text may hold groups of the pattern: `benchmark: suite/{benchmark}`.
    """

    column: Text | None = None
    pattern: re.Pattern[str] | None = None
    benchmark: Text | None = None
    version: Text | None = None
    shots: Text | None = None
    item: Text | None = None
    model: Text | None = None
    domain: Text | None = None
    details: dict[str, Text] = {}
    standard_error: Text | None = None
    items: Text | None = None
    answer: Text | None = None

    def __post_init__(self) -> None:
        MeasureRule.__post_init__(self)
        if (self.column is None) == (self.pattern is None):
            raise ValueError("a series with either a column or a pattern")
        if self.pattern and (unknown := self.pattern.groupindex.keys() - set(SERIES_ROLES)):
            raise ValueError(
                f"a series whose pattern has groups among {', '.join(SERIES_ROLES)}, "
                f"not {', '.join(sorted(unknown))}"
            )

    def texts(self) -> dict[str, str]:
        """Return what is stated of all columns, by role."""
        texts = {role: getattr(self, role) for role in SERIES_ROLES}
        return {role: text for role, text in texts.items() if isinstance(text, str)}

    def fills(self, role: str) -> bool:
        """Tell whether a role is stated, or a group of the pattern."""
        groups = self.pattern.groupindex if self.pattern else {}
        return role in self.texts() or role in groups

    def match(self, column: str) -> dict[str, str] | None:
        """Return the texts in the name of a column, by role; None if it is not of the series."""
        if self.pattern is None:
            return {} if column == self.column else None
        match = self.pattern.fullmatch(column)
        if match is None:
            return None
        groups = {role: text for role, text in match.groupdict().items() if text}
        composed = {role: text for role, text in self.texts().items() if "{" in text}
        for role, text in composed.items():
            for name, group in groups.items():
                text = text.replace(f"{{{name}}}", group)  # noqa: PLW2901 - a group after another
            composed[role] = text
        return groups | composed


class WideColumn(NamedTuple):
    """A column of a wide table, with the roles that its series and its name fill."""

    name: str
    texts: Mapping[str, str]
    series: Series

    @property
    def answer(self) -> str | None:
        """The column with the answers, if there is to be one."""
        stated = self.series.answer
        return None if stated is None else stated.replace("{column}", self.name)


Columns = msgspec.defstruct(
    "Columns",
    [
        *((role, Formula | None, None) for role in ROLES if role != "choices"),
        ("choices", Scalar | list[Scalar] | None, None),
    ],
    bases=(_Keys,),
    frozen=True,
)
"""A formula for each role, None where there is none; columns of choices may be several."""


class Layout(_Keys, frozen=True, dict=True):
    """How the tables of one kind of file are laid out.

    Attributes:
        kind: what a row is.
        match: the names of these files, with * and ?.
        sources: columns and constants that the roles are read from.
        details: what else distinguishes setups, by the name that it is stored under.
        facts: of models, such as parameters and license; of several formulas the first that says
            anything. Tables without their columns are of the layout too.
        where: what the cells of a row have to say for the row to count.
        scale: of outcomes, as cells have them.
        labels: outcomes that are not numbers on the scale, in lower case; None is missing.
        missing: cells that mean a missing value, in lower case.
        measure: of outcomes or scores, unless `measures` (by metric) or `benchmarks` know better.
        measures: by metric.
        benchmarks: by the benchmark's name in the table.
        models: forms of the models' names; the first that fits counts.
        series: which columns hold outcomes or scores; empty for all that have no role.
        ignore: columns that do not, whatever `series` says.
        outside: whether outcomes outside the scale are an error, or missing: not measured.
        repeats: whether two outcomes of a model on an item are an error, or the best one counts.
    """

    kind: LayoutKind = msgspec.field(name="layout")
    match: Text | None = None
    sources: Columns = msgspec.field(name="columns", default=Columns())  # type: ignore[valid-type] # a class
    details: dict[str, Formula] = {}
    facts: dict[str, Scalar | list[Scalar] | None] = {}
    where: dict[str, Like | Scalar] = {}
    scale: TableScale = SHARES
    labels: dict[str, Number | None] = {}
    missing: frozenset[Text] = frozenset()
    measure: MeasureRule = MeasureRule()
    measures: dict[str, MeasureRule] = {}
    benchmarks: dict[str, BenchmarkRule] = {}
    models: list[ModelRule] = []
    series: list[Series] = []
    ignore: list[re.Pattern[str]] = []
    outside: Literal["refused", "missing"] = "refused"
    repeats: Literal["refused", "best"] = "refused"

    def __post_init__(self) -> None:
        labels = {label.strip().lower(): raw for label, raw in self.labels.items()}
        msgspec.structs.force_setattr(self, "labels", labels)
        missing = MISSING | {cell.strip().lower() for cell in self.missing}
        msgspec.structs.force_setattr(self, "missing", missing)
        for name in self.facts:
            if not FACT_NAME.fullmatch(name):
                raise ValueError(f"named facts of small letters, digits and _, not {name!r}")
        _ = self.fact_formulas

    @cached_property
    def roles(self) -> Mapping[str, Formula]:
        """Formulas by role, of the roles that have one."""
        roles = msgspec.structs.asdict(self.sources)
        if isinstance(roles["choices"], Scalar):
            roles["choices"] = Formula.parse(Text.read(roles["choices"]))
        return {role: each for role, each in roles.items() if isinstance(each, Formula)}

    @cached_property
    def choices(self) -> tuple[str, ...]:
        """Columns with one choice each, where they are not all in one."""
        columns = self.sources.choices  # type: ignore[attr-defined] # a role
        return tuple(map(Text.read, columns)) if isinstance(columns, list) else ()

    def covers(self, filename: str) -> bool:
        """Tell whether the layout is meant for a file of this name."""
        return self.match is None or fnmatchcase(filename, self.match)

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """Every column that is named, each once."""
        formulas = [*self.roles.values(), *self.details.values()]
        named = [column for formula in formulas for column in formula.columns]
        for series in self.series:
            named += filter(None, (series.standard_error, series.items))
        return tuple(dict.fromkeys([*named, *self.choices, *self.where]))

    @cached_property
    def fact_formulas(self) -> Mapping[str, list[Formula]]:
        """Formulas of facts by their names."""
        return {
            name: [
                Formula.parse(Text.read(each))
                for each in (stated if isinstance(stated, list) else [stated])
            ]
            for name, stated in self.facts.items()
            if stated is not None
        }

    def formulas_of_facts(self) -> Iterator[Formula]:
        """Yield the formulas of all facts."""
        for formulas in self.fact_formulas.values():
            yield from formulas

    def columns_of(self, roles: tuple[str, ...]) -> tuple[str, ...]:
        """Return every column that these roles use, each once."""
        formulas = [self.roles[role] for role in roles if role in self.roles]
        return tuple(dict.fromkeys(column for each in formulas for column in each.columns))

    @property
    def is_wide(self) -> bool:
        """Whether names of columns are names of models, items or benchmarks."""
        return "-by-" in self.kind

    def wide_columns(self, columns: list[str]) -> Iterator[WideColumn]:
        """Yield those of a table's columns that hold outcomes or scores.

        Scores are in the order of the series: a benchmark's first measure is that of the first one.
        """
        found = list(self._wide_columns(columns))
        if self.kind.startswith("scores") and self.series:
            places = {id(series): place for place, series in enumerate(self.series)}
            found.sort(key=lambda column: places[id(column.series)])
        yield from found

    def _wide_columns(self, columns: list[str]) -> Iterator[WideColumn]:
        facts = (column for each in self.formulas_of_facts() for column in each.columns)
        named = {*self.columns, *self.tops(columns), *facts}
        for name in columns:
            if name in named or any(pattern.search(name) for pattern in self.ignore):
                continue
            for series in self.series or (_ANY,):
                if (texts := series.match(name)) is not None:
                    yield WideColumn(name, {**series.texts(), **texts}, series)
                    break

    def tops(self, columns: list[str]) -> set[str]:
        """Return those of a table's columns of which only fields are named."""
        return {name.partition(".")[0] for name in self.columns if name not in columns}

    def fits(self, columns: list[str], has: Callable[[str], bool] | None = None) -> int:
        """Return how many of a table's columns it explains; 0 if it is for another table.

        `has` tells whether there is a column or a field of a nested one, by default of the former.
        """
        if not all(map(has or columns.__contains__, self.columns)):
            return 0
        if not self.is_wide:
            return len(self.columns)
        wide = sum(1 for _ in self.wide_columns(columns))
        return len(self.columns) + wide if wide else 0

    def measure_of(
        self,
        metric: str | None,
        filter_: str | None,
        benchmark: str,
        series: Series | None = None,
        *,
        harness: str | None = None,
    ) -> Measure:
        """Return what is measured; the most particular statement holds."""
        named = str(metric or self.measure.stated().get("metric", "acc"))
        # What is commonly meant by the metric's name; outcomes lie in [0, 1] whatever it is.
        of_scores = self.kind.startswith("scores")
        scale = (
            known_measure(named, task=benchmark, harness=harness)
            if of_scores
            else Measure(metric=named)
        )
        rule: dict[str, object] = self.measure.stated() | {"metric": named}
        if filter_:
            rule["filter"] = filter_
        for each in (self.measures.get(named), self.benchmarks.get(benchmark)):
            if each is not None:
                rule |= each.stated()
        if series is not None:  # its metric and filter are roles, which `metric` and `filter_` have
            stated = series.stated()
            rule |= {name: stated[name] for name in stated if name not in SERIES_ROLES}
        if not {"lower", "upper"}.isdisjoint(rule):
            rule["assumed"] = False
        if scale.higher_is_better is None and {"lower", "upper"} <= rule.keys():
            rule.setdefault("higher_is_better", True)  # `lower` is the worst
        return replace(scale, **rule)  # type: ignore[arg-type] # checked when the mapping was loaded


_ANY = Series(pattern=re.compile(".*", re.DOTALL))


@dataclass(frozen=True, slots=True, kw_only=True)
class TableMapping:
    """Layouts of the files of one data set; `document` is what they were read from."""

    name: str
    layouts: tuple[Layout, ...]
    about: str = ""
    document: Mapping[str, object] = field(default_factory=dict, repr=False)

    def layout(
        self, filename: str, columns: list[str], has: Callable[[str], bool] | None = None
    ) -> Layout | None:
        """Return the layout of a file: by its name or else, if it was renamed, by its columns."""
        named = [layout for layout in self.layouts if layout.covers(filename)]
        fitting = [layout for layout in named if layout.fits(columns, has)]
        others = [layout for layout in self.layouts if layout.fits(columns, has)]
        best = max(fitting or others, key=lambda layout: layout.fits(columns, has), default=None)
        return best or (named[0] if named else None)
