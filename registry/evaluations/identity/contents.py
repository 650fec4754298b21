"""Contents of items of one name: the same question with more or less around it, or another."""

import re
from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Connection, text

from registry.catalog.rows import array, line
from registry.db.copy import copy_lines
from registry.errors import RegistryError
from registry.evaluations.records import Item, content_hash, text_of

_DOCUMENT = re.compile(r"[0-9a-f]{64}(?:/\d+)?")
"""A name that is the digest of a document: other documents have other names."""

_SHORTEST = 4
"""Characters from which a prompt within another one is its question."""

_ROWS_AT_ONCE = 500


class _Pair(NamedTuple):
    """Contents of an incoming item and of the stored one of its name, which differ."""

    place: int
    item: str
    benchmark: str
    prompt: str
    choices: list[str]
    stored: str
    stored_choices: list[str]
    stored_hash: UUID


def reconcile(connection: Connection, benchmark: int) -> None:
    """Give incoming items the content that they and the stored ones of their names have together.

    It is the shorter prompt, with the choices of the one that has some. Where that is another one
    than the stored, it replaces it.

    Args:
        connection: with the table `incoming_items`, whose items have their ordinals.
        benchmark: key of the benchmark's version.

    Raises:
        RegistryError: naming the first item that asks something else than the stored one.
    """
    query = text("""
        SELECT i.place, i.item, b.name, i.prompt, i.choices, k.prompt, k.choices, k.content_hash
          FROM incoming_items i
          JOIN store.items k ON k.benchmark_id = :benchmark AND k.ordinal = i.ordinal
          JOIN store.benchmarks b USING (benchmark_id)
         WHERE k.content_hash <> i.content_hash
         ORDER BY i.place""")
    # By a cursor: of a large benchmark, both prompts of all items may not fit in memory.
    streamed = {"stream_results": True, "max_row_buffer": _ROWS_AT_ONCE}
    with connection.execute(query, {"benchmark": benchmark}, execution_options=streamed) as rows:
        changed = [each for row in rows if (each := _line(_Pair(*row))) is not None]
    if changed:
        _replace(connection, changed)


def _line(pair: _Pair) -> str | None:
    """Return the content of both as a line of COPY text; None where the stored one stays.

    Raises:
        RegistryError: they ask something else.
    """
    is_document = _DOCUMENT.fullmatch(pair.item) is not None
    is_shorter = asks_within(pair.prompt, pair.stored, is_document=is_document)
    asks_same = is_shorter or asks_within(pair.stored, pair.prompt, is_document=is_document)
    if not is_document and not (asks_same and _offer_same(pair)):
        raise RegistryError(
            f"Item {pair.item} of {pair.benchmark} has another prompt or other choices than the "
            "stored item of that name: import it as another version of the benchmark "
            "(--benchmark-version)."
        )
    prompt, choices = pair.prompt if is_shorter else pair.stored, pair.stored_choices
    content = content_hash(Item(pair.item, prompt, tuple(choices or pair.choices)))
    if content is None or content == pair.stored_hash:
        return None
    return f"{pair.place}\t{line((prompt, array(choices or pair.choices), content.hex))}"


def _offer_same(pair: _Pair) -> bool:
    """Return whether the choices are the same; an item may be known without them."""
    if not pair.choices or not pair.stored_choices:
        return True
    one, other = (Item("", "", tuple(each)) for each in (pair.choices, pair.stored_choices))
    return content_hash(one) == content_hash(other)


def asks_within(prompt: str, other: str, *, is_document: bool = False) -> bool:
    """Return whether a prompt is the other one, or within it between whole words.

    Args:
        prompt: the shorter one.
        other: what may have more around it.
        is_document: whether both are of one document, which a short text is enough for.
    """
    inner, outer = text_of(prompt), text_of(other)
    if inner == outer:
        return True
    if not inner or (len(inner) < _SHORTEST and not is_document):
        return False
    edges = [r"(?<!\w)" if inner[0].isalnum() else "", r"(?!\w)" if inner[-1].isalnum() else ""]
    return re.search(re.escape(inner).join(edges), outer) is not None


def _replace(connection: Connection, lines: Sequence[str]) -> None:
    connection.exec_driver_sql("""
        CREATE TEMPORARY TABLE item_contents (
            place integer, prompt text, choices text[], content_hash uuid) ON COMMIT DROP""")
    copy_lines(connection, "item_contents", ("place", "prompt", "choices", "content_hash"), lines)
    connection.exec_driver_sql("""
        UPDATE incoming_items i
           SET prompt = c.prompt, choices = c.choices, content_hash = c.content_hash,
               replaces = true
          FROM item_contents c WHERE c.place = i.place""")
    connection.exec_driver_sql("DROP TABLE item_contents")
