"""Which items of a benchmark the items of a file are: known by their names, or by what they ask.

A source names items as it likes. Where a name is not known, the content tells: prompt and choices.
Some benchmarks hold a question twice, though; then the content alone does not tell which it is.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Connection, text

from registry.catalog.rows import NULL, array, line
from registry.db.copy import copy_lines
from registry.errors import RegistryError
from registry.evaluations.records import Item, content_hash

COLUMNS = ("item", "content_hash", "prompt", "choices", "answer", "domain")
"""What is kept of items, in `store.items` and in `incoming_items`."""

_UNTOLD = f"\t{NULL}\t{NULL}\t{{}}\t{NULL}\t{NULL}"
"""All columns but the first, where only an item's name is known."""


_NAME_ONLY = Item("")[1:]


def item_line(place: int, item: Item) -> str:
    """Return an item's place and `COLUMNS` as a row of COPY text."""
    name = item.item
    if item[1:] == _NAME_ONLY:
        # Most are numbers, in which nothing has to be escaped.
        return f"{place}\t{name if name.isalnum() else line((name,))}{_UNTOLD}"
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


def find_items(connection: Connection, benchmark: int, items: Sequence[Item]) -> None:
    """Put items into the temporary table `incoming_items`, with the ordinals of those known.

    An item is known by its name. One whose name is new is known by its content, if as many of the
    benchmark's items that the file does not name have it as of the file's new ones: several are
    paired in their order. Where they are not as many, as in a file of some items only, one that is
    called by a number is the one at that place, from 0. What else has the content of several is not
    guessed, and has no ordinal; nor has what is called by another number than a known one.

    Args:
        connection: in a transaction.
        benchmark: key of the benchmark's version.
        items: no two of one name.

    Raises:
        RegistryError: when an item asks something else than one of its name that is known.
    """
    connection.exec_driver_sql("""
        CREATE TEMPORARY TABLE IF NOT EXISTS incoming_items (
            place integer, item text, content_hash uuid, prompt text, choices text[], answer text,
            domain text, ordinal integer) ON COMMIT DROP""")
    connection.exec_driver_sql("TRUNCATE incoming_items")
    copy_lines(
        connection,
        "incoming_items",
        ("place", *COLUMNS),
        (item_line(place, item) for place, item in enumerate(items)),
    )
    connection.exec_driver_sql("ANALYZE incoming_items")
    connection.execute(
        text("""
        UPDATE incoming_items i SET ordinal = k.ordinal
          FROM store.items k WHERE k.benchmark_id = :benchmark AND k.item = i.item"""),
        {"benchmark": benchmark},
    )
    _refuse_other_content(connection, benchmark)
    _find_by_content(connection, benchmark)


def _refuse_other_content(connection: Connection, benchmark: int) -> None:
    other = connection.execute(
        text("""
        SELECT i.item, b.name FROM incoming_items i
          JOIN store.items k ON k.benchmark_id = :benchmark AND k.ordinal = i.ordinal
          JOIN store.benchmarks b USING (benchmark_id)
         WHERE k.content_hash <> i.content_hash
           -- The same question without its choices is no other one.
           AND (k.prompt <> i.prompt OR (k.choices <> '{}' AND i.choices <> '{}'))
         ORDER BY i.place LIMIT 1"""),
        {"benchmark": benchmark},
    ).one_or_none()
    if other is not None:
        raise RegistryError(
            f"Item {other.item} of {other.name} asks something else here than what is stored under "
            "that name: import it as another version of the benchmark (--benchmark-version)."
        )


class _Item(NamedTuple):
    """An item that is still without its counterpart; `at` is its place in the file, or ordinal."""

    at: int
    item: str
    answer: str | None

    @property
    def is_number(self) -> bool:
        """Whether it is called by a number, which is a place in the benchmark."""
        return self.item.isascii() and self.item.isdecimal()


def _find_by_content(connection: Connection, benchmark: int) -> None:
    new = _by_content(
        connection,
        """
        SELECT place AS at, item, answer, content_hash FROM incoming_items
         WHERE ordinal IS NULL AND content_hash IS NOT NULL ORDER BY place""",
    )
    if not new:
        return
    known = _by_content(
        connection,
        """
        SELECT k.ordinal AS at, k.item, k.answer, k.content_hash FROM store.items k
         WHERE k.benchmark_id = :benchmark
           AND k.content_hash IN (SELECT content_hash FROM incoming_items WHERE ordinal IS NULL)
           AND NOT EXISTS (SELECT FROM incoming_items o WHERE o.ordinal = k.ordinal)
         ORDER BY k.ordinal""",
        benchmark=benchmark,
    )
    pairs = [pair for content, some in known.items() for pair in _pairs(new[content], some)]
    connection.execute(
        text("""
        UPDATE incoming_items i SET ordinal = f.ordinal
          FROM unnest(CAST(:places AS int[]), CAST(:ordinals AS int[])) AS f (place, ordinal)
         WHERE i.place = f.place"""),
        {"places": [one.at for one, _ in pairs], "ordinals": [other.at for _, other in pairs]},
    )


def _by_content(
    connection: Connection, query: str, **values: object
) -> defaultdict[UUID, list[_Item]]:
    found: defaultdict[UUID, list[_Item]] = defaultdict(list)
    for row in connection.execute(text(query), values):
        found[row.content_hash].append(_Item(row.at, row.item, row.answer))
    return found


def _pairs(new: Sequence[_Item], known: Sequence[_Item]) -> Iterator[tuple[_Item, _Item]]:
    """Yield which new items are which known ones, all of one content."""
    if any(one.is_number for one in new) and any(other.is_number for other in known):
        return  # of those that count alike, another number is another item
    if len(new) == len(known) == 1:
        yield new[0], known[0]
    elif len(new) == len(known):
        if all(each.answer is not None for each in (*new, *known)):
            # A prompt that asks the same of many pictures has many answers.
            new, known = sorted(new, key=_by_answer), sorted(known, key=_by_answer)
            if list(map(_by_answer, new)) != list(map(_by_answer, known)):
                return
        yield from zip(new, known, strict=True)
    else:
        places = {str(other.at): other for other in known}
        yield from ((one, places[one.item]) for one in new if one.item in places)


def _by_answer(each: _Item) -> str:
    return each.answer or ""


def complete_items(connection: Connection, benchmark: int) -> int:
    """Add what `incoming_items` tell of known items for the first time; return of how many."""
    return connection.execute(
        text("""
        UPDATE store.items k
           -- With its choices told, an item has another content.
           SET content_hash = CASE WHEN k.choices = '{}' AND i.choices <> '{}'
                                    AND k.prompt = i.prompt
                                   THEN i.content_hash
                                   ELSE coalesce(k.content_hash, i.content_hash) END,
               prompt = coalesce(k.prompt, i.prompt),
               choices = CASE WHEN k.choices = '{}' THEN i.choices ELSE k.choices END,
               answer = coalesce(k.answer, i.answer),
               domain = coalesce(k.domain, i.domain)
          FROM incoming_items i
         WHERE k.benchmark_id = :benchmark AND k.ordinal = i.ordinal
           AND ((k.prompt IS NULL AND i.prompt IS NOT NULL)
                OR (k.choices = '{}' AND i.choices <> '{}')
                OR (k.answer IS NULL AND i.answer IS NOT NULL)
                OR (k.domain IS NULL AND i.domain IS NOT NULL))"""),
        {"benchmark": benchmark},
    ).rowcount
