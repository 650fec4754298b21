"""Matching of a file's items with those of a benchmark: by name, then by content.

Sources name items in their own ways; the content is prompt and choices. Some benchmarks hold a
question twice, where the content alone is ambiguous. The prompt of an item is the question without
what is put around it: of two prompts, one within the other, it is the shorter one.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple
from uuid import UUID

import numpy as np
from sqlalchemy import Connection, text

from registry.catalog.rows import NULL, array, line
from registry.db.copy import copy_lines
from registry.evaluations.identity.contents import ContentPair, MergedContent, reconcile
from registry.evaluations.packing import Ordinals
from registry.evaluations.records import Item, content_hash

_COLUMNS = ("item", "content_hash", "prompt", "choices", "answer", "domain")
"""Columns of items, in `store.items` and in `incoming_items`."""

_NULLS = f"\t{NULL}\t{NULL}\t{{}}\t{NULL}\t{NULL}"
"""All columns but the first, of an item with nothing but a name."""


_NAME_ONLY = Item("")[1:]


_ROWS_AT_ONCE = 500


def _item_line(place: int, item: Item) -> str:
    """Return an item's place and `_COLUMNS` as a line of COPY text."""
    name = item.item
    if item[1:] == _NAME_ONLY:
        # Most names are numbers, in which nothing has to be escaped.
        return f"{place}\t{name if name.isalnum() else line((name,))}{_NULLS}"
    content = content_hash(item)
    columns = line((
        item.item,
        None if content is None else content.hex,
        item.prompt,
        array(item.choices),
        item.answer,
        item.domain,
    ))  # fmt: skip
    return f"{place}\t{columns}"


class PlacedItems(NamedTuple):
    """Ordinals of items in their benchmark, and how many were added and completed."""

    ordinals: Ordinals
    added: int = 0
    completed: int = 0


def place_items(connection: Connection, benchmark: int, items: Sequence[Item]) -> PlacedItems:
    """Match items with those of a benchmark, and add the others at its end.

    Items are matched by name, then by content: see `_match_items`. Columns of existing items that
    are null so far are filled.

    Args:
        connection: in a transaction.
        benchmark: key of the benchmark's version.
        items: no two of one name.

    Returns:
        The ordinal of each item, in their order.

    Raises:
        RegistryError: when an item asks something else than the existing one of its name.
    """
    if not items:
        return PlacedItems(np.zeros(0, np.int32))
    key = {"benchmark": benchmark}
    count = connection.scalar(
        text("SELECT item_count FROM store.benchmarks WHERE benchmark_id = :benchmark FOR UPDATE"),
        key,
    )
    if not count:
        _add_first(connection, benchmark, items)
        return PlacedItems(np.arange(len(items), dtype=np.int32), len(items))
    if not any(each.prompt or each.domain or each.answer or each.choices for each in items):
        names = connection.execute(
            text("SELECT item, ordinal FROM store.items WHERE benchmark_id = :benchmark"), key
        )
        existing: dict[str, int] = {row.item: row.ordinal for row in names}
        if all(each.item in existing for each in items):
            return PlacedItems(np.array([existing[each.item] for each in items], np.int32))
    _match_items(connection, benchmark, items)
    added = _add_unmatched(connection, benchmark, count)
    completed = _complete_items(connection, benchmark)
    ordinals = connection.scalars(text("SELECT ordinal FROM incoming_items ORDER BY place")).all()
    return PlacedItems(np.array(ordinals, np.int32), added, completed)


def _add_first(connection: Connection, benchmark: int, items: Sequence[Item]) -> None:
    """Insert the items of a benchmark that has none yet."""
    copy_lines(
        connection,
        "store.items",
        ("benchmark_id", "ordinal", *_COLUMNS),
        (f"{benchmark}\t{_item_line(place, item)}" for place, item in enumerate(items)),
    )
    connection.execute(
        text("UPDATE store.benchmarks SET item_count = :count WHERE benchmark_id = :benchmark"),
        {"benchmark": benchmark, "count": len(items)},
    )


def _add_unmatched(connection: Connection, benchmark: int, count: int) -> int:
    """Add the items without an ordinal at the end of their benchmark; return their number."""
    key = {"benchmark": benchmark}
    added = connection.execute(
        text("""
        WITH placed AS (
            SELECT i.place, :count + row_number() OVER (ORDER BY i.place) - 1 AS ordinal
              FROM incoming_items i WHERE i.ordinal IS NULL
        )
        UPDATE incoming_items i SET ordinal = p.ordinal FROM placed p WHERE p.place = i.place"""),
        {"count": count},
    ).rowcount
    if added:
        connection.execute(
            text("""
            INSERT INTO store.items (
                   benchmark_id, ordinal, item, content_hash, prompt, choices, answer, domain)
            SELECT :benchmark, i.ordinal, i.item, i.content_hash, i.prompt, i.choices, i.answer,
                   i.domain
              FROM incoming_items i, store.benchmarks b
             WHERE b.benchmark_id = :benchmark AND i.ordinal >= b.item_count
             ORDER BY i.ordinal"""),
            key,
        )
        connection.execute(
            text("""
            UPDATE store.benchmarks SET item_count = item_count + :added
             WHERE benchmark_id = :benchmark"""),
            {**key, "added": added},
        )
    return added


def _match_items(connection: Connection, benchmark: int, items: Sequence[Item]) -> None:
    """Put items into the temporary table `incoming_items`, with the ordinals of existing ones.

    An item is matched by its name. One with a new name is matched by its content, if as many of the
    benchmark's items that the file does not name have that content as of the file's new ones:
    several are paired in their order. Where the numbers differ, as in a file of some items only, an
    item named by a number is the one at that place, from 0. Other items with the content of several
    stay without an ordinal, and so do those named by another number than the existing ones.

    Args:
        connection: in a transaction.
        benchmark: key of the benchmark's version.
        items: no two of one name.

    Raises:
        RegistryError: when an item has other content than the existing one of its name.
    """
    connection.exec_driver_sql("""
        CREATE TEMPORARY TABLE IF NOT EXISTS incoming_items (
            place integer, item text, content_hash uuid, prompt text, choices text[], answer text,
            domain text, ordinal integer, replaces boolean NOT NULL DEFAULT false)
            ON COMMIT DROP""")
    connection.exec_driver_sql("TRUNCATE incoming_items")
    copy_lines(
        connection,
        "incoming_items",
        ("place", *_COLUMNS),
        (_item_line(place, item) for place, item in enumerate(items)),
    )
    connection.exec_driver_sql("ANALYZE incoming_items")
    connection.execute(
        text("""
        UPDATE incoming_items i SET ordinal = k.ordinal
          FROM store.items k WHERE k.benchmark_id = :benchmark AND k.item = i.item"""),
        {"benchmark": benchmark},
    )
    _reconcile(connection, benchmark)
    _match_by_content(connection, benchmark)


class _Item(NamedTuple):
    """An unmatched item; `at` is its place in the file or its ordinal."""

    at: int
    item: str
    answer: str | None

    @property
    def is_number(self) -> bool:
        """Whether its name is a number, which is a place in the benchmark."""
        return self.item.isascii() and self.item.isdecimal()


def _match_by_content(connection: Connection, benchmark: int) -> None:
    new = _by_content(
        connection,
        """
        SELECT place AS at, item, answer, content_hash FROM incoming_items
         WHERE ordinal IS NULL AND content_hash IS NOT NULL ORDER BY place""",
    )
    if not new:
        return
    existing = _by_content(
        connection,
        """
        SELECT k.ordinal AS at, k.item, k.answer, k.content_hash FROM store.items k
         WHERE k.benchmark_id = :benchmark
           AND k.content_hash IN (SELECT content_hash FROM incoming_items WHERE ordinal IS NULL)
           AND NOT EXISTS (SELECT FROM incoming_items o WHERE o.ordinal = k.ordinal)
         ORDER BY k.ordinal""",
        benchmark=benchmark,
    )
    pairs = [pair for content, items in existing.items() for pair in _pairs(new[content], items)]
    connection.execute(
        text("""
        UPDATE incoming_items i SET ordinal = f.ordinal
          FROM unnest(CAST(:places AS int[]), CAST(:ordinals AS int[])) AS f (place, ordinal)
         WHERE i.place = f.place"""),
        {"places": [one.at for one, _ in pairs], "ordinals": [other.at for _, other in pairs]},
    )


def _reconcile(connection: Connection, benchmark: int) -> None:
    """Give incoming items the content that they and the stored ones of their names have together.

    Raises:
        RegistryError: naming the first item that asks something else than the stored one.
    """
    query = text("""
        SELECT i.place, i.item, b.name, i.prompt, i.choices, k.prompt, k.choices, k.content_hash
          FROM incoming_items i
          JOIN store.items k ON k.benchmark_id = :benchmark AND k.ordinal = i.ordinal
          JOIN store.benchmarks b USING (benchmark_id)
         WHERE k.content_hash <> i.content_hash
            -- One of them has the prompt alone, and the other one choices.
            OR (i.content_hash IS NULL AND k.content_hash IS NOT NULL
                AND k.choices = '{}' AND i.choices <> '{}')
            OR (k.content_hash IS NULL AND i.content_hash IS NOT NULL
                AND k.choices <> '{}' AND k.choices <> i.choices)
         ORDER BY i.place""")
    # By a cursor: of a large benchmark, both prompts of all items may not fit in memory.
    streamed = {"stream_results": True, "max_row_buffer": _ROWS_AT_ONCE}
    with connection.execute(query, {"benchmark": benchmark}, execution_options=streamed) as rows:
        changed = [each for row in rows if (each := reconcile(ContentPair(*row))) is not None]
    if changed:
        _replace(connection, changed)


def _replace(connection: Connection, contents: Sequence[MergedContent]) -> None:
    connection.exec_driver_sql("""
        CREATE TEMPORARY TABLE item_contents (
            place integer, prompt text, choices text[], content_hash uuid) ON COMMIT DROP""")
    lines = (
        f"{each.place}\t{line((each.prompt, array(each.choices), each.content_hash.hex))}"
        for each in contents
    )
    copy_lines(connection, "item_contents", MergedContent._fields, lines)
    connection.exec_driver_sql("""
        UPDATE incoming_items i
           SET prompt = c.prompt, choices = c.choices, content_hash = c.content_hash,
               replaces = true
          FROM item_contents c WHERE c.place = i.place""")
    connection.exec_driver_sql("DROP TABLE item_contents")


def _by_content(
    connection: Connection, query: str, **values: object
) -> defaultdict[UUID, list[_Item]]:
    items: defaultdict[UUID, list[_Item]] = defaultdict(list)
    for row in connection.execute(text(query), values):
        items[row.content_hash].append(_Item(row.at, row.item, row.answer))
    return items


def _pairs(new: Sequence[_Item], existing: Sequence[_Item]) -> Iterator[tuple[_Item, _Item]]:
    """Yield the pairs of new and existing items, all of one content, that are the same item."""
    if any(one.is_number for one in new) and any(other.is_number for other in existing):
        return  # both count from the same start: another number is another item
    if len(new) == len(existing) == 1:
        yield new[0], existing[0]
    elif len(new) == len(existing):
        if all(each.answer is not None for each in (*new, *existing)):
            # A prompt about many pictures has one content and many answers.
            new, existing = sorted(new, key=_by_answer), sorted(existing, key=_by_answer)
            if list(map(_by_answer, new)) != list(map(_by_answer, existing)):
                return
        yield from zip(new, existing, strict=True)
    else:
        places = {str(other.at): other for other in existing}
        yield from ((one, places[one.item]) for one in new if one.item in places)


def _by_answer(each: _Item) -> str:
    return each.answer or ""


def _complete_items(connection: Connection, benchmark: int) -> int:
    """Fill null columns of items from `incoming_items`; return the number of changed items.

    Contents are replaced where reconciling has found a shorter prompt.
    """
    return connection.execute(
        text("""
        UPDATE store.items k
           SET content_hash = CASE WHEN i.replaces THEN i.content_hash
                                   ELSE coalesce(k.content_hash, i.content_hash) END,
               prompt = CASE WHEN i.replaces THEN i.prompt ELSE coalesce(k.prompt, i.prompt) END,
               choices = CASE WHEN k.choices = '{}' THEN i.choices ELSE k.choices END,
               answer = coalesce(k.answer, i.answer),
               domain = coalesce(k.domain, i.domain)
          FROM incoming_items i
         WHERE k.benchmark_id = :benchmark AND k.ordinal = i.ordinal
           AND (i.replaces
                OR (k.prompt IS NULL AND i.prompt IS NOT NULL)
                OR (k.choices = '{}' AND i.choices <> '{}')
                OR (k.answer IS NULL AND i.answer IS NOT NULL)
                OR (k.domain IS NULL AND i.domain IS NOT NULL))"""),
        {"benchmark": benchmark},
    ).rowcount
