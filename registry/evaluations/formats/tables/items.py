"""Items of a benchmark, from the cells of rows."""

from collections.abc import Mapping, Sequence

import orjson

from registry.coerce import storable
from registry.errors import shortened
from registry.evaluations.formats.tables.cells import BadCellError, name_of, text_of
from registry.evaluations.formats.tables.roles import ITEM_TEXTS
from registry.evaluations.formats.tables.rows import Sheet
from registry.evaluations.records import Item


class ItemReader:
    """Reader of items; what is the same for all rows is determined once."""

    def __init__(self, sheet: Sheet) -> None:
        layout = sheet.layout
        self._sheet = sheet
        self._name = layout.roles["item"]
        # An item may be called "NA": in a plain column nothing counts as missing.
        self._column = self._name.columns[0] if self._name.is_plain else None
        self._label = self._name.label
        self._has_texts = bool(layout.columns_of(ITEM_TEXTS) or layout.choices)

    def item(self, values: Mapping[str, object], row: int | None = None) -> Item:
        """Read an item; `row` is its place in the file, from 0.

        Raises:
            BadCellError: a cell is invalid for its role.
        """
        name = values[self._column] if self._column is not None else None
        if not isinstance(name, str):
            name = self._name.text(self._sheet.cell_texts(values, row))
        name = name_of(name, "item's name", self._label)
        return self._with_texts(name, values) if self._has_texts else Item(name)

    def items(self, columns: Mapping[str, Sequence[object]], count: int) -> list[Item]:
        """Read `count` items, whose cells are given by column.

        Raises:
            BadCellError: as `item`; its row is the place of the bad one.
        """
        bare = not self._has_texts and self._column is not None
        names = columns[self._column] if self._column is not None else ()
        if bare and all(type(name) is int for name in names):
            texts = list(map(str, names))
            if self._sheet.layout.missing.isdisjoint(texts):
                return list(map(Item, texts))
        result: list[Item] = []
        try:
            for place in range(count):
                if bare and isinstance(name := names[place], str):
                    result.append(Item(name_of(name, "item's name", self._label)))
                else:
                    result.append(self.item({key: cells[place] for key, cells in columns.items()}))
        except BadCellError as bad:
            bad.row = len(result)
            raise
        return result

    def _with_texts(self, name: str, values: Mapping[str, object]) -> Item:
        sheet, role = self._sheet, self._sheet.layout.roles.get("domain")
        domain = role.text(sheet.cell_texts(values)) if role else None
        return Item(
            name,
            prompt=_whole(sheet, values, "prompt"),
            choices=_choices(sheet, values),
            answer=_whole(sheet, values, "right_answer"),
            domain=name_of(domain, "domain", role.label) if role and domain else None,
        )


def _whole(sheet: Sheet, values: Mapping[str, object], role: str) -> str | None:
    """Return a text as it is: in a question or an answer even "None" is a value."""
    formula = sheet.layout.roles.get(role)
    if formula is None:
        return None
    text = formula.text(lambda column: text_of(values[column]))
    return storable(text) if text else None


def _choices(sheet: Sheet, values: Mapping[str, object]) -> tuple[str, ...]:
    """Return the choices: of a list, of a list written as JSON, or of one column each."""
    if sheet.layout.choices:
        cells = [text_of(values[column]) for column in sheet.layout.choices]
        return tuple(storable(cell) for cell in cells if cell)
    formula = sheet.layout.roles.get("choices")
    if formula is None:
        return ()
    column = formula.columns[0]
    value = values[column]
    if isinstance(value, str):
        if not value.strip():
            return ()
        try:
            value = orjson.loads(value)
        except orjson.JSONDecodeError:
            value = None
        if not isinstance(value, list):
            problem = f"{shortened(values[column])} is not a list of choices in JSON."
            raise BadCellError(problem, field=column)
    if value is None:
        return ()
    if not isinstance(value, list):
        raise BadCellError(f"{shortened(value)} is not a list of choices.", field=column)
    return tuple(storable(text_of(choice) or "") for choice in value)
