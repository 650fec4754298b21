"""Matches of offers with models: whose price it is, by several methods, the most reliable first.

A name is compared as it is with names and aliases of models, then without what providers add to it
(see `spellings`), then with the models of its maker. The models of others are never compared by
a part of the name: copies of well-known models have the same. A name that matches none stays
without a model, and makes no stub: providers sell thousands that nobody evaluates.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import Connection, text

from registry.catalog.prices.makers import makers
from registry.catalog.prices.spellings import Spelt, is_vague, key, maker_of, plain
from registry.enums import OfferMethod

CONFIDENCE = {
    OfferMethod.EXACT: 1.0, OfferMethod.ALIAS: 1.0, OfferMethod.CASE: 0.95,
    OfferMethod.SPELLING: 0.95, OfferMethod.MAKER: 0.9,
}  # fmt: skip
"""Confidence of a match by each method; that of an alias is multiplied by its own."""

_BY_NAME = text("""
WITH given AS (
    SELECT DISTINCT name FROM unnest(CAST(:names AS text[])) AS w (name)
), hits AS (
    SELECT w.name, 1 AS priority, 'exact' AS method, m.model_id, 1::real AS confidence
      FROM given w JOIN store.models m USING (name)
    UNION ALL
    SELECT w.name, 2, 'alias', min(a.model_id), max(a.confidence)
      FROM given w JOIN store.model_aliases a ON a.alias = w.name
     GROUP BY w.name HAVING count(DISTINCT a.model_id) = 1
    UNION ALL
    -- A spelling that only evaluations use; by its last part alone it may be anybody's copy.
    SELECT w.name, 3, 'alias', n.model_id, greatest(n.confidence, 0.8)
      FROM given w JOIN store.evaluated_names n USING (name)
     WHERE n.method <> 'tail'
    UNION ALL
    SELECT w.name, 4, 'case', min(m.model_id), 1
      FROM given w JOIN store.models m ON lower(m.name) = lower(w.name)
     GROUP BY w.name HAVING count(*) = 1
    UNION ALL
    SELECT w.name, 5, 'case', min(a.model_id), max(a.confidence)
      FROM given w JOIN store.model_aliases a ON lower(a.alias) = lower(w.name)
     GROUP BY w.name HAVING count(DISTINCT a.model_id) = 1
)
SELECT DISTINCT ON (name) name, method, model_id, confidence
  FROM hits ORDER BY name, priority""")

_OF_MAKERS = text("""
SELECT m.model_id, m.name, m.state = 'stub' AS stub, m.name AS of
  FROM store.models m
 WHERE m.author = ANY (:authors) OR m.state = 'stub' AND m.author IS NULL
UNION ALL
SELECT m.model_id, a.alias, m.state = 'stub', m.name
  FROM store.models m JOIN store.model_aliases a USING (model_id)
 WHERE m.author = ANY (:authors) OR m.state = 'stub' AND m.author IS NULL""")


class OfferMatch(NamedTuple):
    """A model that an offer was matched with, by which method, and the confidence in it."""

    model_id: int
    method: OfferMethod
    confidence: float


class _Known(NamedTuple):
    """A model under one of its names, which is in lower case and without organisation."""

    model_id: int
    own: str
    stub: bool


def resolve_offers(connection: Connection) -> int:
    """Match all offers with the models that there are now.

    Offers whose model has changed, such as one that was known by name alone before, move to it.

    Args:
        connection: in a transaction.

    Returns:
        How many offers have another model than before, or one for the first time, or none any more.
    """
    offers = connection.execute(
        text("SELECT offer_id, name, model_id, method, confidence FROM store.price_offers")
    ).all()
    if not offers:
        return 0
    matches = match_offers(connection, {row.name for row in offers})
    changed = [
        (row.offer_id, *(found or (None, None, None)))
        for row in offers
        if (found := matches.get(row.name)) != _stored(row.model_id, row.method, row.confidence)
    ]
    connection.execute(
        text("""
        UPDATE store.price_offers o
           SET model_id = w.model_id, method = w.method, confidence = w.confidence
          FROM unnest(CAST(:offers AS int[]), CAST(:models AS bigint[]), CAST(:methods AS text[]),
                      CAST(:confidences AS real[])) AS w (offer_id, model_id, method, confidence)
         WHERE o.offer_id = w.offer_id"""),
        dict(
            zip(
                ("offers", "models", "methods", "confidences"),
                map(list, zip(*changed, strict=True)) if changed else ([], [], [], []),
                strict=True,
            )
        ),
    )
    return len(changed)


def _stored(model_id: int | None, method: str | None, confidence: float | None) -> object:
    if model_id is None or method is None or confidence is None:
        return None
    return OfferMatch(model_id, OfferMethod(method), round(confidence, 4))


def match_offers(connection: Connection, names: Iterable[str]) -> dict[str, OfferMatch]:
    """Return the models that providers' names mean, each by the first method that matches."""
    spelt = {name: plain(name) for name in names}
    by_name = _by_name(connection, [*spelt, *{each.name for each in spelt.values()}])
    of_makers = _of_makers(connection)
    matches = {name: _match(name, each, by_name, of_makers) for name, each in spelt.items()}
    return {name: found for name, found in matches.items() if found is not None}


def _match(
    name: str,
    spelt: Spelt,
    by_name: Mapping[str, OfferMatch],
    of_makers: Mapping[tuple[str, str], Sequence[_Known]],
) -> OfferMatch | None:
    found = by_name.get(name)
    if found and found.method in (OfferMethod.EXACT, OfferMethod.ALIAS):
        return found
    comparable = key(spelt.own)
    if is_vague(comparable):
        return None
    if found:
        return found
    if without := by_name.get(spelt.name):
        return _as(OfferMethod.SPELLING, without)
    maker = maker_of(spelt)
    known = of_makers.get((maker, comparable), ()) if maker else ()
    chosen = _only(known, spelt.own)
    return _as(OfferMethod.MAKER, chosen) if chosen else None


def _as(method: OfferMethod, found: OfferMatch) -> OfferMatch:
    confidence = round(min(found.confidence, CONFIDENCE[method]), 4)
    return OfferMatch(found.model_id, method, confidence)


def _only(known: Sequence[_Known], own: str) -> OfferMatch | None:
    """Return the one model among those of a key: the one of that very name, or that is listed."""
    for among in (
        known,
        [each for each in known if each.own == own],
        [each for each in known if not each.stub],
    ):
        models = {each.model_id for each in among}
        if len(models) == 1:
            return OfferMatch(models.pop(), OfferMethod.MAKER, 1.0)
    return None


def _by_name(connection: Connection, names: Sequence[str]) -> dict[str, OfferMatch]:
    return {
        row.name: OfferMatch(
            row.model_id,
            OfferMethod(row.method),
            round(row.confidence * CONFIDENCE[OfferMethod(row.method)], 4),
        )
        for row in connection.execute(_BY_NAME, {"names": list(names)})
    }


def _of_makers(connection: Connection) -> dict[tuple[str, str], list[_Known]]:
    """Return the models of makers by maker and key, under all their names."""
    authors = makers().authors
    found: dict[tuple[str, str], list[_Known]] = defaultdict(list)
    for row in connection.execute(_OF_MAKERS, {"authors": list(authors)}):
        author, slash, own = row.of.rpartition("/")
        maker = authors.get(author) if slash else maker_of(Spelt("", own.lower()))
        if maker is not None:
            own = row.name.rpartition("/")[2].lower()
            found[maker, key(own)].append(_Known(row.model_id, own, row.stub))
    return found
