"""Which model a name stands for: renames, stubs that turn out to be known models, and aliases."""

from collections.abc import Iterable
from datetime import datetime
from difflib import SequenceMatcher

from sqlalchemy import Connection, text

from registry.errors import ModelNotFoundError


def add_stubs(connection: Connection, names: Iterable[str], *, as_of: datetime) -> list[int]:
    """Add models of which nothing is known but a name: as a parent, or in an evaluation.

    Args:
        connection: in a transaction.
        names: that no model has.
        as_of: when they were heard of.

    Returns:
        Their keys, in the names' byte order.
    """
    return list(
        connection.scalars(
            text("""
            WITH stubs AS (
                SELECT name, CASE WHEN name LIKE '%/%' THEN split_part(name, '/', 1) END AS author
                  FROM unnest(CAST(:names AS text[])) AS n (name)
            )
            INSERT INTO store.models (name, author, state, first_seen, changed_at, search)
            SELECT name, author, 'stub', :as_of, :as_of,
                   store.search_document(name, author, NULL, NULL, 0::smallint, '{}')
              FROM stubs ORDER BY name COLLATE "C"
            RETURNING model_id"""),
            {"as_of": as_of, "names": list(names)},
        )
    )


def model_id(connection: Connection, name: str) -> int:
    """Return the key of the model that a name stands for, whatever alias it is.

    Raises:
        ModelNotFoundError: with the nearest names there are.
    """
    key = connection.scalar(text("SELECT registry.model_id(:name)"), {"name": name})
    if key is None:
        raise ModelNotFoundError(name, suggestions(connection, name))
    return int(key)


CANDIDATES = 20
"""Names that a search finds, of which the likest are suggested."""


def suggestions(connection: Connection, name: str, limit: int = 3) -> tuple[str, ...]:
    """Return the names most like one that does not exist, the likeliest first.

    Where nothing has all of its words, or words spelled alike, one of them is left out.
    """
    words = connection.scalar(text("SELECT store.search_terms(:name)"), {"name": name}) or []
    if not words:
        return ()
    without = [
        " ".join(word for place, word in enumerate(words) if place != left_out)
        # The shortest first: it tells least, and is the hardest to mend.
        for left_out in sorted(range(len(words)), key=lambda place: len(words[place]))
    ]
    for query in (name, *(each for each in without if each)):
        found = connection.scalars(
            text("SELECT name FROM registry.search_models(:query, :limit)"),
            {"query": query, "limit": CANDIDATES},
        ).all()
        if found:
            # Whoever leaves the organisation out, or mistakes it, names the rest all the same.
            return tuple(
                sorted(found, key=lambda each: _likeness(each, name), reverse=True)[:limit]
            )
    return ()


def _likeness(name: str, asked: str) -> tuple[float, float]:
    name, asked = name.lower(), asked.lower()
    own = SequenceMatcher(None, name.rpartition("/")[2], asked.rpartition("/")[2]).ratio()
    return own, SequenceMatcher(None, name, asked).ratio()
