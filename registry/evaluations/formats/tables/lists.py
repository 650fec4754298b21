"""Tables that list items, or names of models."""

from collections.abc import Iterator

from registry.catalog.resolution import StatedName
from registry.evaluations.formats.tables.cells import BadCellError, name_of, number_of
from registry.evaluations.formats.tables.items import ItemColumns
from registry.evaluations.formats.tables.rows import Sheet
from registry.evaluations.formats.tables.runs import RunReader
from registry.evaluations.records import Benchmark, Block, Item, Names, Source


def read_items(sheet: Sheet) -> Iterator[Block]:
    """Yield a block without runs a benchmark, of a table with one item a row.

    Raises:
        UnreadableFileError: a cell cannot be read, or two rows of an item contradict each other.
    """
    heads, reader = RunReader(sheet), ItemColumns(sheet)
    found: dict[tuple[str, str], tuple[Benchmark, dict[str, Item]]] = {}
    for rows in sheet.rows(sheet.layout.columns):
        columns = {name: array.to_pylist() for name, array in rows.columns.items()}
        for row in range(rows.length):
            values = {name: column[row] for name, column in columns.items()}
            with sheet.places(rows, row):
                benchmark = heads.benchmark(values)
                _, items = found.setdefault(benchmark.key, (benchmark, {}))
                item = reader.item(values, rows.number(row))
                if items.setdefault(item.item, item) is not item:
                    _again(sheet, items[item.item], item)
    for benchmark, items in found.values():
        yield Block(benchmark=benchmark, items=list(items.values()))


def _again(sheet: Sheet, before: Item, item: Item) -> None:
    if before != item:
        problem = f"Item {item.item!r} is another one in a row before. Give it a name of its own."
        raise BadCellError(problem, field=sheet.layout.roles["item"].label)
    sheet.notes.left_out("rows that say the same again")


def read_names(sheet: Sheet) -> Iterator[Names]:
    """Yield what names stand for which models; a name that is the model's own says nothing.

    Raises:
        UnreadableFileError: a name is missing or cannot be kept.
    """
    roles = sheet.layout.roles
    sure = roles.get("confidence")
    sources: dict[Source, dict[StatedName, None]] = {}
    for rows in sheet.rows(sheet.layout.columns):
        columns = {name: array.to_pylist() for name, array in rows.columns.items()}
        for row in range(rows.length):
            values = {name: column[row] for name, column in columns.items()}
            tell = sheet.teller(values)
            with sheet.places(rows, row):
                model = roles["model"].text(tell)
                if model is None:
                    sheet.notes.left_out("names that stand for no model")
                    continue
                stated = StatedName(
                    name_of(roles["name"].text(tell), "name", roles["name"].label),
                    name_of(model, "model's name", roles["model"].label),
                    _confidence(sure.text(tell), sure.label) if sure else 1.0,
                )
            source = Source(
                name=_told(sheet, "source", values) or sheet.table.path.name,
                url=_told(sheet, "source_url", values),
            )
            names = sources.setdefault(source, {})
            if stated.name == stated.model:
                sheet.notes.left_out("names that are the models' own")
            elif stated in names:
                sheet.notes.left_out("rows that say the same again")
            else:
                names[stated] = None
    for source, found in sources.items():
        yield Names(source=source, names=list(found))


def _told(sheet: Sheet, role: str, values: dict[str, object]) -> str | None:
    formula = sheet.layout.roles.get(role)
    return formula.text(sheet.teller(values)) if formula else None


def _confidence(text: str | None, column: str) -> float:
    if text is None:
        return 1.0
    confidence = number_of(text, column)
    if not 0 <= confidence <= 1:
        raise BadCellError(f"The confidence {confidence:g} is not from 0 to 1.", field=column)
    return confidence
