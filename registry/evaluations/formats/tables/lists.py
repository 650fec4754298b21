"""Lists in tables: of items, of names of models, and of facts of models."""

from collections.abc import Iterator, Mapping, Sequence

import pyarrow as pa

from registry.catalog.facts.values import ModelFact, joined, read_fact
from registry.catalog.resolution import StatedName
from registry.errors import shortened
from registry.evaluations.formats.tables.cells import BadCellError, name_of, number_of
from registry.evaluations.formats.tables.items import ItemReader
from registry.evaluations.formats.tables.roles import SOURCE_ROLES, Formula
from registry.evaluations.formats.tables.rows import Sheet, TableRows
from registry.evaluations.formats.tables.runs import RunReader
from registry.evaluations.records import Benchmark, Block, Facts, Item, Names, Source


def read_items(sheet: Sheet) -> Iterator[Block]:
    """Yield a block without runs for each benchmark of a table with one item per row.

    Raises:
        UnreadableFileError: a cell cannot be read, or two rows of an item contradict each other.
    """
    runs, reader = RunReader(sheet), ItemReader(sheet)
    benchmarks: dict[tuple[str, str], tuple[Benchmark, dict[str, Item]]] = {}
    for rows in sheet.rows(sheet.layout.columns):
        columns = {name: array.to_pylist() for name, array in rows.columns.items()}
        for row in range(rows.length):
            values = {name: column[row] for name, column in columns.items()}
            with sheet.places(rows, row):
                benchmark = runs.benchmark(values)
                _, items = benchmarks.setdefault(benchmark.key, (benchmark, {}))
                item = reader.item(values, rows.number(row))
                if items.setdefault(item.item, item) is not item:
                    _repeated(sheet, items[item.item], item)
    for benchmark, items in benchmarks.values():
        yield Block(benchmark=benchmark, items=list(items.values()))


def _repeated(sheet: Sheet, before: Item, item: Item) -> None:
    if before != item:
        problem = f"Item {item.item!r} is another one in an earlier row. Give it a name of its own."
        raise BadCellError(problem, field=sheet.layout.roles["item"].label)
    sheet.notes.left_out("rows that repeat another one")


def read_names(sheet: Sheet) -> Iterator[Names]:
    """Yield the models that names resolve to; a name that is the model's own is left out.

    Raises:
        UnreadableFileError: a name is missing or cannot be stored.
    """
    roles = sheet.layout.roles
    confidence = roles.get("confidence")
    sources: dict[Source, dict[StatedName, None]] = {}
    for rows in sheet.rows(sheet.layout.columns):
        columns = {name: array.to_pylist() for name, array in rows.columns.items()}
        for row in range(rows.length):
            values = {name: column[row] for name, column in columns.items()}
            cell = sheet.cell_texts(values)
            with sheet.places(rows, row):
                model = roles["model"].text(cell)
                if model is None:
                    sheet.notes.left_out("names without a model")
                    continue
                stated = StatedName(
                    name_of(roles["name"].text(cell), "name", roles["name"].label),
                    name_of(model, "model's name", roles["model"].label),
                    _confidence(confidence.text(cell), confidence.label) if confidence else 1.0,
                )
            source = Source(
                name=_text(sheet, "source", values) or sheet.table.path.name,
                url=_text(sheet, "source_url", values),
            )
            names = sources.setdefault(source, {})
            rules = (rule.split(stated.name) for rule in sheet.layout.models)
            system = next(filter(None, rules), None)
            if system is not None and system.model != stated.name:
                # The model that it is around is named without it.
                sheet.notes.left_out("names of systems around a model")
            elif stated.name == stated.model:
                sheet.notes.left_out("names that are the models' own")
            elif stated in names:
                sheet.notes.left_out("rows that repeat another one")
            else:
                names[stated] = None
    for source, names in sources.items():
        yield Names(source=source, names=list(names))


def _text(sheet: Sheet, role: str, values: dict[str, object]) -> str | None:
    formula = sheet.layout.roles.get(role)
    return formula.text(sheet.cell_texts(values)) if formula else None


def _confidence(text: str | None, column: str) -> float:
    if text is None:
        return 1.0
    confidence = number_of(text, column)
    if not 0 <= confidence <= 1:
        raise BadCellError(f"The confidence {confidence:g} is not from 0 to 1.", field=column)
    return confidence


def read_facts(sheet: Sheet) -> Iterator[Facts]:
    """Yield the facts that a table states of its models.

    Facts whose columns it lacks are left out.

    Raises:
        UnreadableFileError: a fact cannot be read.
    """
    layout, reader = sheet.layout, RunReader(sheet)
    formulas = _present(sheet)
    used = [column for each in formulas.values() for formula in each for column in formula.columns]
    columns = tuple(dict.fromkeys([*layout.columns_of(("model", *SOURCE_ROLES)), *used]))
    stated: dict[Source, dict[tuple[str, str], set[str]]] = {}
    for rows in sheet.rows(columns) if formulas else ():
        for row, values in _distinct(rows, columns):
            with sheet.places(rows, row):
                model, source = reader.stated_by(values)
                facts = stated.setdefault(source, {})
                for fact, each in formulas.items():
                    value = _fact(sheet, fact, each, values)
                    if value is not None and (fact, value) != ("base_model", model):
                        facts.setdefault((model, fact), set()).add(value)
    for source, facts in stated.items():
        listed = [ModelFact(*key, joined(key[1], values)) for key, values in facts.items()]
        yield Facts(source=source, facts=listed)


def _present(sheet: Sheet) -> dict[str, list[Formula]]:
    """Return the formulas of facts whose columns there are."""
    columns = set(sheet.table.columns)
    present = {
        fact: [each for each in formulas if columns.issuperset(each.columns)]
        for fact, formulas in sheet.layout.fact_formulas.items()
    }
    lacking = [fact for fact, formulas in present.items() if not formulas]
    sheet.notes.left_out_named("facts whose columns it lacks", lacking)
    return {fact: formulas for fact, formulas in present.items() if formulas}


def _distinct(
    rows: TableRows, columns: Sequence[str]
) -> Iterator[tuple[int, Mapping[str, object]]]:
    """Yield the first of equal rows, with its place among the rows, and its cells."""
    arrays = {
        name: array.dictionary_decode() if pa.types.is_dictionary(array.type) else array
        for name, array in rows.columns.items()
        if name in columns
    }
    table = pa.table({**arrays, _PLACE: pa.array(range(rows.length), pa.int64())})
    if not any(pa.types.is_nested(array.type) for array in arrays.values()):
        grouped = table.group_by(list(arrays), use_threads=False).aggregate([(_PLACE, "min")])
        table = grouped.rename_columns(
            [_PLACE if name == f"{_PLACE}_min" else name for name in grouped.column_names]
        )
    for values in table.to_pylist():
        place: int = values.pop(_PLACE)
        yield place, values


_PLACE = "@place"


def _fact(
    sheet: Sheet, fact: str, formulas: Sequence[Formula], values: Mapping[str, object]
) -> str | None:
    """Return the value of the first formula that says one."""
    for formula in formulas:
        text = formula.text(sheet.cell_texts(values))
        try:
            value = None if text is None else read_fact(fact, text)
        except ValueError as expected:
            problem = f"{shortened(text)} is not {expected}, the fact {fact}."
            raise BadCellError(problem, field=formula.label) from None
        if value is not None:
            return value
    return None
