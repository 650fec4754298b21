"""Tables that list items, or names of models."""

from collections.abc import Iterator

from registry.catalog.resolution import StatedName
from registry.evaluations.formats.tables.cells import BadCellError, name_of, number_of
from registry.evaluations.formats.tables.items import ItemReader
from registry.evaluations.formats.tables.rows import Sheet
from registry.evaluations.formats.tables.runs import RunReader
from registry.evaluations.records import Benchmark, Block, Item, Names, Source


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
