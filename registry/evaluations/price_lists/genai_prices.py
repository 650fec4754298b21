"""Price list of genai-prices: `data.json`, or a table of its rules.

A model has one price, or several that hold from a date on or at some hours: of hours the dearest
counts, and the price is marked as tiered. Dated prices of the past become history.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import NamedTuple

from registry.catalog.prices.records import PriceList, PriceRow, TokenPrice
from registry.enums import PriceFormat
from registry.evaluations.price_lists.providers import provider_name
from registry.evaluations.price_lists.values import flag, mapping, name, per_million, tokens

COLUMNS = ("provider", "model", "input_mtok", "output_mtok")
"""Columns that a table of it has."""

MORE_COLUMNS = (
    "cache_read_mtok", "start_date", "start_time", "end_time", "tiered", "context_window",
)  # fmt: skip


class _Rule(NamedTuple):
    """A price of a model, and since when it holds; None: since ever."""

    price: TokenPrice
    since: datetime | None


def read_data(document: Iterable[object], as_of: datetime) -> PriceList:
    """Return the prices in `data.json`, a list of providers.

    Args:
        document: the file.
        as_of: which of the dated prices hold.
    """
    rows: list[dict[str, object]] = []
    for each in document:
        provider = mapping(each)
        models = provider.get("models")
        for model in models if isinstance(models, list) else ():
            entry = mapping(model)
            shared = {
                "provider": provider.get("id"),
                "model": entry.get("id"),
                "context_window": entry.get("context_window"),
            }
            prices = entry.get("prices")
            conditional = prices if isinstance(prices, list) else [{"prices": prices}]
            rows += [
                shared | _prices(mapping(mapping(rule).get("prices")))
                | dict(mapping(mapping(rule).get("constraint")))
                for rule in conditional
            ]  # fmt: skip
    return read_rules(rows, as_of)


def _prices(stated: Mapping[str, object]) -> dict[str, object]:
    names = ("input_mtok", "output_mtok", "cache_read_mtok")
    values = {each: stated.get(each) for each in names}
    tiered = any(isinstance(value, dict) for value in values.values())
    return {each: mapping(value).get("base") if isinstance(value, dict) else value
            for each, value in values.items()} | {"tiered": tiered}  # fmt: skip


def read_rules(rows: Iterable[Mapping[str, object]], as_of: datetime) -> PriceList:
    """Return the prices of rules, one a row, named as the columns of a table.

    Args:
        rows: provider, model, input_mtok, output_mtok and MORE_COLUMNS.
        as_of: which of the dated prices hold.
    """
    found = PriceList(PriceFormat.GENAI_PRICES, [], complete=True)
    rules: dict[tuple[str, str], list[_Rule]] = defaultdict(list)
    for row in rows:
        provider, own = name(row.get("provider")), name(row.get("model"))
        shown = f"{row.get('provider')}/{row.get('model')}"
        price = _price(row)
        since, dated = _since(row.get("start_date"))
        if provider is None or own is None:
            found.leave_out("entries whose names cannot be stored", shown)
        elif not dated:
            found.leave_out("entries that begin on no date", shown)
        elif price is None:
            found.leave_out("entries that do not state both prices", shown)
        else:
            rules[provider_name(provider), own].append(_Rule(price, since))
    found.rows = [
        PriceRow(*place, each.price, each.since)
        for place, stated in rules.items()
        for each in _valid(stated, as_of)
    ]
    return found


def _valid(rules: Sequence[_Rule], as_of: datetime) -> list[_Rule]:
    """Return the price that holds at a time, after dated ones before it; of several the dearest."""
    by_time: dict[datetime | None, _Rule] = {}
    for rule in rules:
        other = by_time.get(rule.since)
        if other is None:
            by_time[rule.since] = rule
        else:
            dearest = max(rule.price, other.price, key=lambda price: price[:2])
            by_time[rule.since] = _Rule(dearest._replace(tiered=True), rule.since)
    dated = sorted(
        (rule for since, rule in by_time.items() if since is not None and since <= as_of),
        key=lambda rule: rule.since or as_of,
    )
    # What was before the first date began at a time that the list does not say.
    return dated or [rule for since, rule in by_time.items() if since is None]


def _price(row: Mapping[str, object]) -> TokenPrice | None:
    given, taken = per_million(row.get("input_mtok")), per_million(row.get("output_mtok"))
    if given is None or taken is None:
        return None
    return TokenPrice(
        given,
        taken,
        per_million(row.get("cache_read_mtok")),
        tokens(row.get("context_window")),
        tiered=flag(row.get("tiered")) or bool(row.get("start_time")),
    )


def _since(value: object) -> tuple[datetime | None, bool]:
    """Return the time of a date, and whether it is one, or none is given."""
    if value is None or value == "":
        return None, True
    try:
        day = date.fromisoformat(str(value)[:10])
    except ValueError:
        return None, False
    return datetime(day.year, day.month, day.day, tzinfo=UTC), True
