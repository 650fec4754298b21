"""Prices in the database: what a list changes, and the history that it leaves."""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, text

from registry.catalog.prices.records import PriceList
from registry.db.copy import copy_rows

_COLUMNS = (
    "provider", "name", "at", "priced", "input_per_million", "output_per_million",
    "cached_input_per_million", "context", "currency", "tiered",
)  # fmt: skip


class WrittenPrices(NamedTuple):
    """What an import changed.

    Attributes:
        offers: offers with a price in the list.
        new: offers that there were not before.
        changed: rows of prices that were added or corrected.
        withdrawn: offers that have no price any more.
        unchanged: prices that were the same before.
    """

    offers: int
    new: int
    changed: int
    withdrawn: int
    unchanged: int


def write_prices(connection: Connection, prices: PriceList, *, as_of: datetime) -> WrittenPrices:
    """Store what a list states; storing it again changes nothing.

    A price begins where the last known one before it differs; one that is the same adds nothing.
    An offer that a complete list lacks is withdrawn.

    Args:
        connection: in a transaction.
        prices: checked; of an offer with two prices at a time the last counts.
        as_of: when a list of one day was true.
    """
    _stage(connection, prices, as_of)
    new = connection.execute(
        text("""
        INSERT INTO store.price_offers (source, provider, name, seen_at)
        SELECT :source, provider, name, max(at) FROM staged_prices WHERE priced
         GROUP BY provider, name
            ON CONFLICT DO NOTHING"""),
        {"source": prices.source},
    ).rowcount
    _seen(connection, prices, as_of)
    known = {"source": prices.source, "as_of": as_of}
    if prices.complete:
        # Offers that the list lacks are withdrawn as those that it has without a price.
        connection.execute(
            text("""
            INSERT INTO staged_prices (provider, name, at, priced, tiered, currency)
            SELECT o.provider, o.name, :as_of, false, false, 'USD' FROM store.price_offers o
             WHERE o.source = :source
               AND NOT EXISTS (SELECT FROM staged_prices s
                                WHERE (s.provider, s.name) = (o.provider, o.name))"""),
            known,
        )
    written = connection.execute(text(_WRITE), known).one()
    connection.execute(text(_INTERVALS))
    offers, unchanged = connection.execute(
        text("SELECT count(DISTINCT (provider, name)), count(*) FROM staged_prices WHERE priced")
    ).one()
    return WrittenPrices(
        offers, new, written.changed, written.withdrawn, unchanged - written.changed
    )


def _stage(connection: Connection, prices: PriceList, as_of: datetime) -> None:
    connection.exec_driver_sql("""
        CREATE TEMPORARY TABLE IF NOT EXISTS staged_prices (
            provider text, name text, at timestamptz, priced boolean,
            input_per_million double precision, output_per_million double precision,
            cached_input_per_million double precision, context bigint, currency text,
            tiered boolean) ON COMMIT DROP""")
    connection.exec_driver_sql("TRUNCATE staged_prices")
    last = {(row.provider, row.name, row.at or as_of): row.price for row in prices.rows}
    copy_rows(
        connection,
        "staged_prices",
        _COLUMNS,
        (
            (*place, price is not None, *(price or (None, None, None, None, "USD", False)))
            for place, price in last.items()
        ),
    )
    connection.exec_driver_sql("ANALYZE staged_prices")


def _seen(connection: Connection, prices: PriceList, as_of: datetime) -> None:
    """Note until when offers are known to be stated."""
    connection.execute(
        text("""
        UPDATE store.price_offers o SET seen_at = s.seen_at
          FROM (SELECT DISTINCT ON (provider, name) provider, name,
                       CASE WHEN priced THEN :until ELSE at END AS seen_at
                  FROM staged_prices ORDER BY provider, name, at DESC) s
         WHERE o.source = :source AND (o.provider, o.name) = (s.provider, s.name)
           AND o.seen_at < s.seen_at"""),
        {"source": prices.source, "until": prices.seen_at or as_of},
    )


# Each staged row is compared with the one before it, staged or stored, or stored of the same time.
_WRITE = """
WITH known AS (
    SELECT o.offer_id, s.at AS valid_from, true AS staged, s.priced, s.input_per_million,
           s.output_per_million, s.cached_input_per_million, s.context, s.currency, s.tiered
      FROM staged_prices s
      JOIN store.price_offers o ON o.source = :source
                               AND (o.provider, o.name) = (s.provider, s.name)
    UNION ALL
    SELECT p.offer_id, p.valid_from, false, p.input_per_million IS NOT NULL, p.input_per_million,
           p.output_per_million, p.cached_input_per_million, p.context, p.currency, p.tiered
      FROM store.prices p JOIN store.price_offers o USING (offer_id)
     WHERE o.source = :source
), compared AS (
    SELECT k.*, coalesce(lag(priced) OVER earlier, false) AS was_priced,
           (input_per_million, output_per_million, cached_input_per_million, context, currency,
            tiered)
           IS DISTINCT FROM
           (lag(input_per_million) OVER earlier, lag(output_per_million) OVER earlier,
            lag(cached_input_per_million) OVER earlier, lag(context) OVER earlier,
            lag(currency) OVER earlier, lag(tiered) OVER earlier) AS differs
      FROM known k
    WINDOW earlier AS (PARTITION BY offer_id ORDER BY valid_from, staged)
), written AS (
    INSERT INTO store.prices AS p (offer_id, valid_from, input_per_million, output_per_million,
                                   cached_input_per_million, context, currency, tiered)
    SELECT offer_id, valid_from, input_per_million, output_per_million, cached_input_per_million,
           context, currency, tiered
      FROM compared
     WHERE staged AND CASE WHEN priced THEN differs ELSE was_priced END
        ON CONFLICT (offer_id, valid_from) DO UPDATE
       SET input_per_million = excluded.input_per_million,
           output_per_million = excluded.output_per_million,
           cached_input_per_million = excluded.cached_input_per_million,
           context = excluded.context, currency = excluded.currency, tiered = excluded.tiered
    RETURNING input_per_million IS NOT NULL AS priced
)
SELECT count(*) FILTER (WHERE priced) AS changed, count(*) FILTER (WHERE NOT priced) AS withdrawn
  FROM written"""

_INTERVALS = """
UPDATE store.prices p SET valid_to = n.valid_to
  FROM (SELECT offer_id, valid_from, lead(valid_from) OVER (
                   PARTITION BY offer_id ORDER BY valid_from) AS valid_to
          FROM store.prices) n
 WHERE (p.offer_id, p.valid_from) = (n.offer_id, n.valid_from)
   AND p.valid_to IS DISTINCT FROM n.valid_to"""
