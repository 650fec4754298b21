"""Runs and benchmarks from the cells of a row, each different part made once."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from registry.evaluation import Benchmark, Measure, Run, Setup, Source
from registry.interchange.tables.cells import (
    BadCellError,
    count_of,
    flag_of,
    name_of,
    shown,
)
from registry.interchange.tables.mapping import BenchmarkRule, Formula, MeasureRule, Series
from registry.interchange.tables.rows import Sheet
from registry.values import timestamp

NO_SERIES: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True)
class Head:
    """What is known of a run before its outcomes or scores: everything that tells it apart."""

    benchmark: Benchmark
    model: str
    measure: Measure
    source: Source
    setup: Setup
    revision: str | None
    evaluated_at: datetime | None
    complete: bool

    @property
    def key(self) -> tuple[object, ...]:
        """What no two runs of a file may share."""
        return (
            self.benchmark.name,
            self.benchmark.version,
            self.model,
            self.measure.metric,
            self.measure.filter,
            self.source,
            self.setup.fingerprint(),
            self.revision,
            self.evaluated_at,
        )

    def run(self, **known: object) -> Run:
        """Return the run, with what else is known."""
        return Run(
            model=self.model,
            measure=self.measure,
            source=self.source,
            setup=self.setup,
            revision=self.revision,
            evaluated_at=self.evaluated_at,
            complete=self.complete,
            **known,  # type: ignore[arg-type] # fields of Run, by their names
        )


@dataclass
class Heads:
    """Makes heads of runs; equal setups, measures and benchmarks are the same objects."""

    sheet: Sheet
    _setups: dict[object, Setup] = field(default_factory=dict)
    _measures: dict[object, Measure] = field(default_factory=dict)
    _benchmarks: dict[object, Benchmark] = field(default_factory=dict)

    def head(
        self,
        values: Mapping[str, object],
        *,
        series: Series | None = None,
        texts: Mapping[str, str] = NO_SERIES,
    ) -> Head:
        """Read the head of a run.

        Args:
            values: the cells of its row, by column.
            series: of the wide column, if the table is wide.
            texts: what the wide column's name tells, by role; a role of the layout goes before.

        Raises:
            BadCellError: a cell is not what its role asks for.
        """
        cells = _Cells(self.sheet, values, texts)
        benchmark = self.benchmark(values, texts)
        named = cells.text("benchmark") or benchmark.name
        stated: MeasureRule = series.measure if series else {}
        return Head(
            benchmark=benchmark,
            model=name_of(cells.model(), "model's name", cells.label("model")),
            measure=self._measure(cells.text("metric"), cells.text("filter"), named, stated),
            source=Source(
                name=cells.text("source") or self.sheet.table.path.name,
                url=cells.text("source_url"),
            ),
            setup=self._setup(cells, series.details if series else {}),
            revision=cells.short("revision"),
            evaluated_at=cells.moment("evaluated_at"),
            complete=cells.flag("complete") is not False,
        )

    def benchmark(
        self, values: Mapping[str, object], texts: Mapping[str, str] = NO_SERIES
    ) -> Benchmark:
        """Read which benchmark it is; see `head`."""
        cells = _Cells(self.sheet, values, texts)
        named = name_of(cells.text("benchmark"), "benchmark's name", cells.label("benchmark"))
        key = named, cells.short("version"), cells.text("benchmark_url")
        if key not in self._benchmarks:
            rule = self.sheet.layout.benchmarks.get(named, BenchmarkRule())
            self._benchmarks[key] = Benchmark(
                name=rule.name or named,
                version=key[1] or rule.version or "",
                domain=rule.domain,
                url=key[2] or rule.url,
            )
        return self._benchmarks[key]

    def _measure(
        self, metric: str | None, filter_: str | None, benchmark: str, stated: MeasureRule
    ) -> Measure:
        key = metric, filter_, benchmark, tuple(stated.items())
        if key not in self._measures:
            self._measures[key] = self.sheet.layout.measure_of(metric, filter_, benchmark, stated)
        return self._measures[key]

    def _setup(self, cells: "_Cells", more: Mapping[str, str]) -> Setup:
        chat = cells.text("chat_template")
        details = {
            name: text
            for name, formula in self.sheet.layout.details.items()
            if (text := cells.of(formula)) is not None
        }
        details |= more
        known = (
            cells.short("harness"),
            cells.short("harness_version"),
            cells.short("task_version"),
            cells.count("shots"),
            cells.short("prompt_template"),
            None if chat is None else _chat_template(chat),
            cells.short("precision"),
        )
        key = known, tuple(details.items())
        if key not in self._setups:
            self._setups[key] = Setup(
                harness=known[0],
                harness_version=known[1],
                task_version=known[2],
                shots=known[3],
                prompt_template=known[4],
                chat_template=known[5],
                precision=known[6],
                details=details,
            )
        return self._setups[key]


def _chat_template(text: str) -> str:
    """Some tables name the template, others only tell whether the model's own was used."""
    return {"true": "default", "false": ""}.get(text.strip().lower(), text)


class _Cells:
    """The cells of a row by role; what the name of a wide column tells fills in."""

    def __init__(
        self, sheet: Sheet, values: Mapping[str, object], texts: Mapping[str, str]
    ) -> None:
        self._roles, self._texts, self._values = sheet.layout.roles, texts, values
        self._tell = sheet.teller(values)

    def label(self, role: str) -> str:
        formula = self._roles.get(role)
        return formula.label if formula else role

    def of(self, formula: Formula) -> str | None:
        return formula.text(self._tell)

    def text(self, role: str) -> str | None:
        formula = self._roles.get(role)
        text = self._texts.get(role) if formula is None else formula.text(self._tell)
        return None if text is None else text.strip() or None

    def model(self) -> str | None:
        """The model's name; one that is called "None" or "NA" is so, and not missing."""
        formula = self._roles.get("model")
        if formula is None or not formula.is_plain:
            return self.text("model")
        value = self._values[formula.columns[0]]
        return value if isinstance(value, str) else self.text("model")

    def short(self, role: str) -> str | None:
        text = self.text(role)
        return None if text is None else name_of(text, role, self.label(role))

    def count(self, role: str) -> int | None:
        text = self.text(role)
        return None if text is None else count_of(text, self.label(role))

    def flag(self, role: str) -> bool | None:
        text = self.text(role)
        return None if text is None else flag_of(text, self.label(role))

    def moment(self, role: str) -> datetime | None:
        text = self.text(role)
        if text is None:
            return None
        moment = timestamp(text)
        if moment is None:
            problem = f"{shown(text)} is not a date or a time as in 2024-06-08T12:00:00Z."
            raise BadCellError(problem, field=self.label(role))
        return moment
