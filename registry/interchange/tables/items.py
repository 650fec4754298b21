"""Items from the cells of a row."""

from collections.abc import Mapping

import orjson

from registry.evaluation import Item
from registry.interchange.tables.cells import BadCellError, name_of, shown, text_of
from registry.interchange.tables.rows import Sheet
from registry.values import storable


def item_of(sheet: Sheet, values: Mapping[str, object], row: int | None = None) -> Item:
    """Read an item; `row` is its place in the file, from 0.

    Raises:
        BadCellError: a cell is not what its role asks for.
    """
    roles, tell = sheet.layout.roles, sheet.teller(values, row)
    formula = roles["item"]
    columns = formula.columns
    if len(formula.parts) == 1 and columns and isinstance(values[columns[0]], str):
        name: str | None = str(values[columns[0]])  # an item may be called "NA"
    else:
        name = formula.text(tell)
    domain = roles["domain"].text(tell) if "domain" in roles else None
    return Item(
        name_of(name, "item's name", formula.label),
        prompt=_whole(sheet, values, "prompt"),
        choices=_choices(sheet, values),
        answer=_whole(sheet, values, "right_answer"),
        domain=name_of(domain, "domain", roles["domain"].label) if domain else None,
    )


def _whole(sheet: Sheet, values: Mapping[str, object], role: str) -> str | None:
    """Return a text as it is: in a question or an answer even "None" is something."""
    formula = sheet.layout.roles.get(role)
    if formula is None:
        return None
    text = formula.text(lambda column: text_of(values[column]))
    return storable(text) if text else None


def _choices(sheet: Sheet, values: Mapping[str, object]) -> tuple[str, ...]:
    """Return the choices: a list, a list written as JSON, or one a column."""
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
            problem = f"{shown(values[column])} is not a list of choices in JSON."
            raise BadCellError(problem, field=column)
    if value is None:
        return ()
    if not isinstance(value, list):
        raise BadCellError(f"{shown(value)} is not a list of choices.", field=column)
    return tuple(storable(text_of(choice) or "") for choice in value)
