"""Names of models: the key of a name, suggestions for unknown ones, and stubs of new ones."""

from collections.abc import Iterable
from datetime import datetime
from difflib import SequenceMatcher

from sqlalchemy import Connection, text

from registry.catalog.feature_sets import replace_features
from registry.catalog.features import Traits, feature_set
from registry.errors import ModelNotFoundError
from registry.hub.parameters import parameters_in_names


def add_stubs(connection: Connection, names: Iterable[str], *, as_of: datetime) -> list[int]:
    """Add stubs: models known only by name, as a parent or in an evaluation.

    Their sizes are those in their names.

    Args:
        connection: in a transaction.
        names: that no model has.
        as_of: when they were observed.

    Returns:
        Their keys, in the names' byte order.
    """
    named = sorted(names)
    sizes = parameters_in_names(named)
    rows = connection.execute(
        text("""
        WITH stubs AS (
            SELECT name, size,
                   CASE WHEN name LIKE '%/%' THEN split_part(name, '/', 1) END AS author
              FROM unnest(CAST(:names AS text[]), CAST(:sizes AS bigint[])) AS n (name, size)
        )
        INSERT INTO store.models (name, author, state, first_seen, changed_at, search,
                                  parameters, parameters_source)
        SELECT name, author, 'stub', :as_of, :as_of,
               store.search_document(name, author, NULL, size, 0::smallint, '{}'),
               size, CASE WHEN size IS NOT NULL THEN 'name' END
          FROM stubs ORDER BY name COLLATE "C"
        RETURNING model_id, parameters"""),
        {"as_of": as_of, "names": named, "sizes": sizes},
    ).all()
    features = {
        row.model_id: feature_set(Traits(row.parameters, None, (), None, ()))
        for row in rows
        if row.parameters is not None
    }
    replace_features(connection, features)
    return [row.model_id for row in rows]


def model_id(connection: Connection, name: str) -> int:
    """Return the key of the model of a name, present, former or another alias.

    Raises:
        ModelNotFoundError: with the nearest names there are.
    """
    key = connection.scalar(text("SELECT registry.model_id(:name)"), {"name": name})
    if key is None:
        raise ModelNotFoundError(name, suggestions(connection, name))
    return int(key)


CANDIDATES = 20
"""Names that a search returns, of which the most similar are suggested."""


def suggestions(connection: Connection, name: str, limit: int = 3) -> tuple[str, ...]:
    """Return the names most similar to an unknown one, the most similar first.

    Where no model has all of its words, or words of similar spelling, one of them is left out.
    """
    words = connection.scalar(text("SELECT store.search_terms(:name)"), {"name": name}) or []
    if not words:
        return ()
    without = [
        " ".join(word for place, word in enumerate(words) if place != left_out)
        # The shortest first: it says least, and its spelling is the hardest to correct.
        for left_out in sorted(range(len(words)), key=lambda place: len(words[place]))
    ]
    for query in (name, *(each for each in without if each)):
        candidates = connection.scalars(
            text("SELECT name FROM registry.search_models(:query, :limit)"),
            {"query": query, "limit": CANDIDATES},
        ).all()
        if candidates:
            return tuple(most_similar(name, candidates, limit=limit))
    return ()


def most_similar(
    name: str, candidates: Iterable[str], *, limit: int = 3, least: float = 0.0
) -> list[str]:
    """Return the names that are spelled most like one, the most similar first.

    Case, hyphens, underscores and blanks do not count. The part after the last slash counts first:
    an organisation is often left out or mistaken.

    Args:
        name: any.
        candidates: names to choose from; of equally similar ones the first.
        limit: how many to return, at most.
        least: similarity of the whole names, at least, as difflib's ratio in [0, 1].
    """
    similarities = {candidate: _similarity(candidate, name) for candidate in candidates}
    similar = [each for each, (_, whole) in similarities.items() if whole >= least]
    return sorted(similar, key=similarities.__getitem__, reverse=True)[:limit]


def _similarity(a: str, b: str) -> tuple[float, float]:
    a, b = (each.lower().translate(_IGNORED) for each in (a, b))
    own = SequenceMatcher(None, a.rpartition("/")[2], b.rpartition("/")[2]).ratio()
    return own, SequenceMatcher(None, a, b).ratio()


_IGNORED = str.maketrans("", "", "-_ ")
