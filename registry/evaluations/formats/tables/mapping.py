"""What a mapping says: which columns of a table play which role. Facts only; nothing is read here.

`loading` makes mappings from YAML and checks them.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from fnmatch import fnmatchcase
from typing import Literal, NamedTuple, TypeAlias, get_args

from registry.evaluations.records import Measure
from registry.evaluations.scales import known_measure

LayoutKind = Literal[
    "outcomes",
    "outcomes-by-model",
    "outcomes-by-item",
    "scores",
    "scores-by-model",
    "items",
    "names",
]
KINDS: tuple[str, ...] = get_args(LayoutKind)

BENCHMARK_ROLES = ("benchmark", "version", "benchmark_url")
SETUP_ROLES = (
    "harness",
    "harness_version",
    "task_version",
    "shots",
    "prompt_template",
    "chat_template",
    "precision",
)
MEASURE_ROLES = ("metric", "filter")
SOURCE_ROLES = ("source", "source_url")
RUN_ROLES = (
    "model",
    "revision",
    "evaluated_at",
    "complete",
    *MEASURE_ROLES,
    *SETUP_ROLES,
    *SOURCE_ROLES,
)
ITEM_TEXTS = ("prompt", "choices", "right_answer", "domain")
ITEM_ROLES = ("item", *ITEM_TEXTS)
CELL_ROLES = ("outcome", "answer", "input_tokens", "output_tokens", "latency")
SCORE_ROLES = ("score", "standard_error", "items")
NAME_ROLES = ("name", "confidence")
ROLES = BENCHMARK_ROLES + RUN_ROLES + ITEM_ROLES + CELL_ROLES + SCORE_ROLES + NAME_ROLES


def roles_of(kind: str) -> tuple[str, ...]:
    """Return the roles that a layout of this kind has a use for."""
    if kind == "names":
        return ("name", "model", "confidence", *SOURCE_ROLES)
    if kind == "items":
        return BENCHMARK_ROLES + ITEM_ROLES
    own = {"outcomes": CELL_ROLES, "scores": SCORE_ROLES}.get(kind, ())
    return BENCHMARK_ROLES + RUN_ROLES + (ITEM_ROLES if kind.startswith("outcomes") else ()) + own


NEEDED: Mapping[str, tuple[str, ...]] = {
    "outcomes": ("benchmark", "model", "item", "outcome"),
    "outcomes-by-model": ("model",),
    "outcomes-by-item": ("benchmark", "item"),
    "scores": ("benchmark", "model", "score"),
    "scores-by-model": ("model",),
    "items": ("benchmark", "item"),
    "names": ("name", "model"),
}
"""Roles without which a layout says nothing."""

ROW = "@row"
"""Stands in a formula for the number of the row, from 1."""

FILE = "@file"
"""Stands in a formula for the file's name without its extensions."""

MISSING = frozenset({"", "nan", "null", "none", "na", "n/a", "<na>"})
"""Cells that say that there is nothing, in lower case."""


@dataclass(frozen=True, slots=True)
class Formula:
    """How a text is made of a row: literal texts, each followed by the value of a column or not.

    Attributes:
        parts: the literal texts, each with the column after it.
        columns: the columns that it is made of.
        is_plain: whether it is just a column.
        label: what to call it in a message about a cell.
    """

    parts: tuple[tuple[str, str | None], ...]
    columns: tuple[str, ...] = field(init=False)
    is_plain: bool = field(init=False)
    label: str = field(init=False)

    def __post_init__(self) -> None:
        columns = tuple(name for _, name in self.parts if name is not None and name[:1] != "@")
        object.__setattr__(self, "columns", columns)
        object.__setattr__(self, "is_plain", len(self.parts) == 1 and bool(columns))
        object.__setattr__(self, "label", ", ".join(columns) if columns else "constant")

    @classmethod
    def parse(cls, text: str) -> "Formula":
        """Read `column`, or `=constant`, or `=text {column} text`."""
        if not text.startswith("="):
            return cls((("", text),))
        pieces = re.split(r"\{([^{}]*)\}", text[1:])
        columns: list[str | None] = [*pieces[1::2], None]
        return cls(tuple(zip(pieces[::2], columns, strict=True)))

    def text(self, value: Callable[[str], str | None]) -> str | None:
        """Return the text for a row, `value` telling its cells; None if any of them is missing."""
        made = ""
        for literal, column in self.parts:
            made += literal
            if column is not None:
                cell = value(column)
                if cell is None:
                    return None
                made += cell
        return made


MeasureRule: TypeAlias = Mapping[str, object]
"""Fields of a `Measure` that are stated; the others stay as they are."""

Condition: TypeAlias = str | re.Pattern[str]
"""What a cell has to say, or to look like, for its row to count."""


class Scale(NamedTuple):
    """Cells of the worst and the best outcome."""

    lower: float = 0.0
    upper: float = 1.0


SHARES = Scale()


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchmarkRule:
    """What holds for one benchmark: its proper name and version, and how it is measured."""

    name: str | None = None
    version: str | None = None
    url: str | None = None
    domain: str | None = None
    measure: MeasureRule = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Columns of a wide table that hold outcomes or scores.

    Attributes:
        names: what the names of these columns look like as a whole; its groups are `texts` too.
        texts: benchmark, version, metric, filter, shots, item, model or domain, where known.
        measure: how the numbers are to be read.
        details: of the setup.
        companions: columns with the standard_error and the number of items of the scores.
    """

    names: re.Pattern[str]
    texts: Mapping[str, str] = field(default_factory=dict)
    measure: MeasureRule = field(default_factory=dict)
    details: Mapping[str, str] = field(default_factory=dict)
    companions: Mapping[str, str] = field(default_factory=dict)


class WideColumn(NamedTuple):
    """A column of a wide table and what its name tells."""

    name: str
    texts: Mapping[str, str]
    series: Series


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """How the tables of one kind of file are laid out.

    Attributes:
        match: the names of these files, with * and ?.
        kind: what a row is.
        roles: where the parts of the common form come from.
        choices: columns with one choice each, where they are not all in one.
        details: what else tells setups apart, by the name that it is kept under.
        where: what the cells of a row have to say for the row to count.
        scale: of outcomes, as cells have them.
        labels: outcomes that are not numbers on the scale, in lower case; None is missing.
        missing: cells that say that there is nothing, in lower case.
        measure: of outcomes or scores, unless `measures` (by metric) or `benchmarks` know better.
        measures: by metric.
        benchmarks: by the benchmark's name in the table.
        series: which columns hold outcomes or scores; empty for all that have no role.
        ignore: columns that do not, whatever `series` says.
    """

    kind: str
    match: str | None = None
    roles: Mapping[str, Formula] = field(default_factory=dict)
    choices: tuple[str, ...] = ()
    details: Mapping[str, Formula] = field(default_factory=dict)
    where: Mapping[str, Condition] = field(default_factory=dict)
    scale: Scale = SHARES
    labels: Mapping[str, float | None] = field(default_factory=dict)
    missing: frozenset[str] = MISSING
    measure: MeasureRule = field(default_factory=dict)
    measures: Mapping[str, MeasureRule] = field(default_factory=dict)
    benchmarks: Mapping[str, BenchmarkRule] = field(default_factory=dict)
    series: tuple[Series, ...] = ()
    ignore: tuple[re.Pattern[str], ...] = ()

    def covers(self, filename: str) -> bool:
        """Tell whether the layout is meant for a file of this name."""
        return self.match is None or fnmatchcase(filename, self.match)

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column that is named, each once."""
        formulas = [*self.roles.values(), *self.details.values()]
        named = [column for formula in formulas for column in formula.columns]
        for series in self.series:
            named += series.companions.values()
        return tuple(dict.fromkeys([*named, *self.choices, *self.where]))

    def columns_of(self, roles: tuple[str, ...]) -> tuple[str, ...]:
        """Every column that these roles are made of, each once."""
        found = [self.roles[role].columns for role in roles if role in self.roles]
        return tuple(dict.fromkeys(column for columns in found for column in columns))

    @property
    def is_wide(self) -> bool:
        """Whether names of columns are names of models, items or benchmarks."""
        return "-by-" in self.kind

    def wide_columns(self, columns: list[str]) -> Iterator[WideColumn]:
        """Yield those of a table's columns that hold outcomes or scores."""
        taken = set(self.columns)
        for name in columns:
            if name in taken or any(pattern.search(name) for pattern in self.ignore):
                continue
            for series in self.series or (_ANY,):
                if found := series.names.fullmatch(name):
                    told = {key: text for key, text in found.groupdict().items() if text}
                    yield WideColumn(name, {**series.texts, **told}, series)
                    break

    def fits(self, columns: list[str]) -> int:
        """Return how many of a table's columns it explains; 0 if the table is another one."""
        if not set(self.columns) <= set(columns):
            return 0
        if not self.is_wide:
            return len(self.columns)
        wide = sum(1 for _ in self.wide_columns(columns))
        return len(self.columns) + wide if wide else 0

    def measure_of(
        self, metric: str | None, filter_: str | None, benchmark: str, stated: MeasureRule
    ) -> Measure:
        """Return what is measured; the most particular statement holds."""
        named = str(metric or self.measure.get("metric", "acc"))
        # What is commonly meant by the metric's name; outcomes lie in [0, 1] whatever it is.
        scale = known_measure(named) if self.kind.startswith("scores") else Measure(metric=named)
        rule: dict[str, object] = {**asdict(scale), **self.measure, "metric": named}
        if filter_:
            rule["filter"] = filter_
        rule |= self.measures.get(str(rule["metric"]), {})
        if benchmark in self.benchmarks:
            rule |= self.benchmarks[benchmark].measure
        rule |= stated
        return Measure(**rule)  # type: ignore[arg-type] # checked when the mapping was loaded


_ANY = Series(names=re.compile(".*", re.DOTALL))


@dataclass(frozen=True, slots=True, kw_only=True)
class TableMapping:
    """Layouts of the files of one data set; `document` is what was read to make it."""

    name: str
    layouts: tuple[Layout, ...]
    about: str = ""
    document: Mapping[str, object] = field(default_factory=dict, repr=False)

    def layout(self, filename: str, columns: list[str]) -> Layout | None:
        """Return the layout of a file: by its name or else, if it was renamed, by its columns."""
        named = [layout for layout in self.layouts if layout.covers(filename)]
        fitting = [layout for layout in named if layout.fits(columns)]
        others = [layout for layout in self.layouts if layout.fits(columns)]
        best = max(fitting or others, key=lambda layout: layout.fits(columns), default=None)
        return best or (named[0] if named else None)
