"""Runs and benchmarks from the cells of rows; equal parts are one object."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from registry.coerce import timestamp
from registry.errors import shortened
from registry.evaluations.formats.tables.cells import (
    BadCellError,
    count_of,
    flag_of,
    name_of,
)
from registry.evaluations.formats.tables.mapping import (
    BenchmarkRule,
    Series,
)
from registry.evaluations.formats.tables.roles import (
    BENCHMARK_ROLES,
    MEASURE_ROLES,
    SETUP_ROLES,
    SOURCE_ROLES,
    Formula,
)
from registry.evaluations.formats.tables.rows import Sheet
from registry.evaluations.identity.variants import SplitName, split
from registry.evaluations.records import Benchmark, Measure, Run, Setup, Source

NO_TEXTS: Mapping[str, str] = {}

_SINGLE = ("model", "revision", "evaluated_at", "complete")
_Part = TypeVar("_Part")


@dataclass(frozen=True, slots=True)
class RunMetadata:
    """Everything that identifies a run, without its outcomes or scores."""

    benchmark: Benchmark
    model: str
    measure: Measure
    source: Source
    setup: Setup
    revision: str | None
    evaluated_at: datetime | None
    complete: bool | None

    @property
    def key(self) -> tuple[object, ...]:
        """The identity of the run among those of a file."""
        return (
            self.benchmark.name,
            self.benchmark.version,
            self.model,
            self.measure.metric,
            self.measure.filter,
            self.source.name,
            id(self.setup),  # equal ones are the same object
            self.revision,
            self.evaluated_at,
        )

    def run(self, **results: object) -> Run:
        """Return the run, with its outcomes or scores."""
        return Run(
            model=self.model,
            measure=self.measure,
            source=self.source,
            setup=self.setup,
            revision=self.revision,
            evaluated_at=self.evaluated_at,
            complete=self.complete is not False,
            **results,  # type: ignore[arg-type] # fields of Run, by their names
        )


class RunReader:
    """Reader of runs. Each part is read once for the same cells; equal parts are one object."""

    def __init__(self, sheet: Sheet) -> None:
        layout = sheet.layout
        self._sheet = sheet
        details = [column for formula in layout.details.values() for column in formula.columns]
        self._columns = {
            "benchmark": layout.columns_of(BENCHMARK_ROLES),
            "measure": layout.columns_of((*MEASURE_ROLES, *BENCHMARK_ROLES, "harness")),
            "source": layout.columns_of(SOURCE_ROLES),
            "setup": (*layout.columns_of(SETUP_ROLES), *details),
            **{role: layout.columns_of((role,)) for role in _SINGLE},
        }
        # A wide column's name says nothing of the model where a column of the table has it.
        self._models_have_columns = "model" in layout.roles
        # Texts are held with each part, so that no others get their identity.
        self._parts: dict[tuple[object, ...], tuple[Mapping[str, str], object]] = {}
        self._equal: dict[object, object] = {}

    def read(
        self,
        values: Mapping[str, object],
        *,
        series: Series | None = None,
        texts: Mapping[str, str] = NO_TEXTS,
    ) -> RunMetadata:
        """Read all of a run but its outcomes or scores.

        Args:
            values: the cells of its row, by column.
            series: of the wide column, if the table is wide.
            texts: those in the wide column's name, by role; a role of the layout takes precedence.
                The same object belongs to the same series.

        Raises:
            BadCellError: a cell is invalid for its role.
        """
        cells = _Cells(self._sheet, values, texts)
        system = self._system(cells)
        # Of most models the name makes no difference to the setup, which they share.
        around = system if "(" in system.model else system._replace(model="")
        return RunMetadata(
            benchmark=self._part("benchmark", cells, self._benchmark),
            model=system.model,
            measure=self._part("measure", cells, lambda cells: self._measure(cells, series)),
            source=self._part("source", cells, self._source),
            setup=self._part(
                "setup",
                cells,
                lambda cells: self._setup(cells, series, around),
                around,
            ),
            revision=self._part("revision", cells, lambda cells: cells.short("revision")),
            evaluated_at=self._part("evaluated_at", cells, _Cells.moment),
            complete=self._part("complete", cells, lambda cells: cells.flag("complete")),
        )

    def benchmark(
        self, values: Mapping[str, object], texts: Mapping[str, str] = NO_TEXTS
    ) -> Benchmark:
        """Read the benchmark of a row; see `read`."""
        return self._part("benchmark", _Cells(self._sheet, values, texts), self._benchmark)

    def stated_by(self, values: Mapping[str, object]) -> tuple[str, Source]:
        """Read the model of a row, and the source that speaks of it."""
        cells = _Cells(self._sheet, values, NO_TEXTS)
        return self._system(cells).model, self._part("source", cells, self._source)

    def _system(self, cells: "_Cells") -> SplitName:
        if self._models_have_columns:
            cells = cells.without_texts()
        return self._part("model", cells, _Cells.system)

    def _part(
        self, name: str, cells: "_Cells", make: "Callable[[_Cells], _Part]", *further: object
    ) -> _Part:
        """Return a part of the cells, made once for the same ones and anything further."""
        values = cells.values
        key = (name, id(cells.texts), *further, *[values[column] for column in self._columns[name]])
        try:
            entry = self._parts.get(key)
        except TypeError:  # a list in a cell
            return make(cells)
        if entry is None:
            entry = self._parts[key] = cells.texts, make(cells)
        part: _Part = entry[1]  # type: ignore[assignment] # made by the same function
        return part

    def _benchmark(self, cells: "_Cells") -> Benchmark:
        named = name_of(cells.text("benchmark"), "benchmark's name", cells.label("benchmark"))
        rule = self._sheet.layout.benchmarks.get(named, BenchmarkRule())
        benchmark = Benchmark(
            name=rule.name or named,
            version=cells.short("version") or rule.version or "",
            domain=rule.domain,
            url=cells.text("benchmark_url") or rule.url,
        )
        return self._shared(benchmark, benchmark)

    def _measure(self, cells: "_Cells", series: Series | None) -> Measure:
        measure = self._sheet.layout.measure_of(
            cells.short("metric"),
            cells.short("filter"),
            cells.text("benchmark") or "",
            series,
            harness=cells.short("harness"),
        )
        return self._shared(measure, measure)

    def _source(self, cells: "_Cells") -> Source:
        name = cells.short("source") or self._sheet.table.path.name
        return Source(name=name, url=cells.text("source_url"))

    def _setup(self, cells: "_Cells", series: Series | None, system: SplitName) -> Setup:
        chat = cells.short("chat_template")
        details = {
            name: text
            for name, formula in self._sheet.layout.details.items()
            if (text := cells.of(formula)) is not None
        }
        setup = Setup(
            harness=cells.short("harness"),
            harness_version=cells.short("harness_version"),
            task_version=cells.short("task_version"),
            shots=cells.count("shots"),
            prompt_template=cells.short("prompt_template"),
            chat_template=None if chat is None else _chat_template(chat),
            precision=cells.short("precision"),
            variant=_variant(system, cells.short("variant")),
            details={**details, **(series.details if series else {})},
        )
        return self._shared(setup.fingerprint(), setup)

    def _shared(self, key: object, part: _Part) -> _Part:
        shared: _Part = self._equal.setdefault(key, part)  # type: ignore[assignment] # equal to it
        return shared


def _variant(system: SplitName, column: str | None) -> str | None:
    """Return what the name of a system and a column say is around the model, each part once."""
    if column is not None and f"({column})" in system.model:
        column = None  # of one of several models, as in o3 (high) + gpt-4.1
    return ", ".join(dict.fromkeys(filter(None, (system.variant, column)))) or None


def _chat_template(text: str) -> str:
    """Return a template's name; some tables only say whether the model's own was used."""
    return {"true": "default", "false": ""}.get(text.strip().lower(), text)


class _Cells:
    """The cells of a row by role, supplemented by the texts in a wide column's name."""

    def __init__(
        self, sheet: Sheet, values: Mapping[str, object], texts: Mapping[str, str]
    ) -> None:
        self._sheet = sheet
        self._roles, self.texts, self.values = sheet.layout.roles, texts, values
        self._rules = sheet.layout.models
        self._cell = sheet.cell_texts(values)

    def label(self, role: str) -> str:
        formula = self._roles.get(role)
        return formula.label if formula else role

    def of(self, formula: Formula) -> str | None:
        return formula.text(self._cell)

    def text(self, role: str) -> str | None:
        formula = self._roles.get(role)
        text = self.texts.get(role) if formula is None else formula.text(self._cell)
        return None if text is None else text.strip() or None

    def without_texts(self) -> "_Cells":
        """Return the cells alone."""
        return self if self.texts is NO_TEXTS else _Cells(self._sheet, self.values, NO_TEXTS)

    def system(self) -> SplitName:
        """Split the model's name off what says that it is a system around the model.

        "None" and "NA" are names here, not missing values.
        """
        formula = self._roles.get("model")
        value = self.values[formula.columns[0]] if formula and formula.is_plain else None
        name = value if isinstance(value, str) else self.text("model")
        stated = name_of(name, "model's name", self.label("model"))
        return split(stated, self._rules)

    def short(self, role: str) -> str | None:
        text = self.text(role)
        return None if text is None else name_of(text, role, self.label(role))

    def count(self, role: str) -> int | None:
        text = self.text(role)
        return None if text is None else count_of(text, self.label(role))

    def flag(self, role: str) -> bool | None:
        text = self.text(role)
        return None if text is None else flag_of(text, self.label(role))

    def moment(self) -> datetime | None:
        text = self.text("evaluated_at")
        if text is None:
            return None
        moment = timestamp(text)
        if moment is None:
            problem = f"{shortened(text)} is not a date or a time as in 2024-06-08T12:00:00Z."
            raise BadCellError(problem, field=self.label("evaluated_at"))
        return moment
