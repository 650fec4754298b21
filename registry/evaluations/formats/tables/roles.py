"""Roles that columns of a table play, and the formulas that fill them."""

import re
from collections.abc import Callable, Mapping
from typing import Literal, TypeAlias, get_args

LayoutKind = Literal[
    "outcomes",
    "outcomes-by-model",
    "outcomes-by-item",
    "scores",
    "scores-by-model",
    "items",
    "names",
]
LAYOUT_KINDS: tuple[str, ...] = get_args(LayoutKind)

BENCHMARK_ROLES = ("benchmark", "version", "benchmark_url")
SETUP_ROLES = (
    "harness",
    "harness_version",
    "task_version",
    "shots",
    "prompt_template",
    "chat_template",
    "precision",
    "variant",
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
    """Return the roles that a layout of this kind uses."""
    if kind == "names":
        return ("name", "model", "confidence", *SOURCE_ROLES)
    if kind == "items":
        return BENCHMARK_ROLES + ITEM_ROLES
    own = {"outcomes": CELL_ROLES, "scores": SCORE_ROLES}.get(kind, ())
    return BENCHMARK_ROLES + RUN_ROLES + (ITEM_ROLES if kind.startswith("outcomes") else ()) + own


FACT = "fact."
"""Prefix of the names of facts among the roles: `fact.parameters`."""

NEEDED: Mapping[str, tuple[str, ...]] = {
    "outcomes": ("benchmark", "model", "item", "outcome"),
    "outcomes-by-model": ("model",),
    "outcomes-by-item": ("benchmark", "item"),
    "scores": ("benchmark", "model", "score"),
    "scores-by-model": ("model",),
    "items": ("benchmark", "item"),
    "names": ("name", "model"),
}
"""Roles that a layout requires."""

ROW = "@row"
"""Name in a formula of the row's number, from 1."""

FILE = "@file"
"""Name in a formula of the file's name without its extensions."""

DATE = "@date"
"""Name in a formula of the date in the file's name, as 2024-06-24; missing if there is none."""

MISSING = frozenset({"", "nan", "null", "none", "na", "n/a", "<na>"})
"""Cells that mean a missing value, in lower case."""

SERIES_ROLES = ("benchmark", "version", "metric", "filter", "shots", "item", "model", "domain")
"""Roles that a series, or the name of a column of it, may fill."""


Scalar: TypeAlias = str | int | float | bool
"""A text in a document; numbers and flags are read as they are written."""


class Text(str):
    """A text that was read from a scalar of any kind."""

    __slots__ = ()

    @classmethod
    def read(cls, value: object) -> "Text":
        """Read a scalar; flags are in lower case, as YAML has them.

        Raises:
            ValueError: the value is no scalar; says what is expected.
        """
        if not isinstance(value, Scalar):
            raise ValueError("a text")  # noqa: TRY004 - msgspec adds the path to it
        return cls(str(value).lower() if isinstance(value, bool) else value)


class Formula:
    """Composition of a text from a row: literal texts, each followed by a column's value or not.

    Attributes:
        parts: the literal texts, each with the column after it.
        columns: the columns that it uses.
        is_plain: whether it is just a column.
        label: its name in a message about a cell.
    """

    __slots__ = ("columns", "is_plain", "label", "parts")

    def __init__(self, parts: tuple[tuple[str, str | None], ...]) -> None:
        self.parts = parts
        self.columns = tuple(name for _, name in parts if name is not None and name[:1] != "@")
        self.is_plain = len(parts) == 1 and bool(self.columns)
        self.label = ", ".join(self.columns) if self.columns else "constant"

    @classmethod
    def parse(cls, text: str) -> "Formula":
        """Read `column`, or `=constant`, or `=text {column} text`.

        Raises:
            ValueError: there is no such variable; says what is expected.
        """
        if not text.startswith("="):
            return cls((("", text),))
        pieces = re.split(r"\{([^{}]*)\}", text[1:])
        columns: list[str | None] = [*pieces[1::2], None]
        if any(name[:1] == "@" and name not in (ROW, FILE, DATE) for name in pieces[1::2]):
            raise ValueError("a text with {column}, {@file}, {@date} or {@row}")
        return cls(tuple(zip(pieces[::2], columns, strict=True)))

    def text(self, cell: Callable[[str], str | None]) -> str | None:
        """Return the text for a row, given a function of its cells; None if any is missing."""
        text = ""
        for literal, column in self.parts:
            text += literal
            if column is not None:
                value = cell(column)
                if value is None:
                    return None
                text += value
        return text
