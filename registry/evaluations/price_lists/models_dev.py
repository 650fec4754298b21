"""Price list of models.dev: `api.json`, prices by million tokens."""

from collections.abc import Mapping

from registry.catalog.prices.records import PriceList, PriceRow, TokenPrice
from registry.enums import PriceFormat
from registry.evaluations.price_lists.values import mapping, name, per_million, tokens


def read_models_dev(document: Mapping[str, object]) -> PriceList:
    """Return the prices in models.dev's file: models by provider.

    Args:
        document: the file.
    """
    found = PriceList(PriceFormat.MODELS_DEV, [], complete=True)
    rows = []
    for provider, stated in document.items():
        for own, entry in mapping(mapping(stated).get("models")).items():
            if name(provider) is None or name(own) is None:
                found.leave_out("entries whose names cannot be stored", f"{provider}/{own}")
                continue
            price = _price(mapping(entry))
            if price is None:
                found.leave_out("entries that do not state both prices", f"{provider}/{own}")
            else:
                rows.append(PriceRow(provider, own, price))
    found.rows = rows
    return found


def _price(entry: Mapping[str, object]) -> TokenPrice | None:
    cost = mapping(entry.get("cost"))
    given, taken = per_million(cost.get("input")), per_million(cost.get("output"))
    if given is None or taken is None:
        return None
    return TokenPrice(
        given,
        taken,
        per_million(cost.get("cache_read")),
        tokens(mapping(entry.get("limit")).get("context")),
        tiered=any(cost.get(key) for key in ("tiers", "context_over_200k")),
    )
