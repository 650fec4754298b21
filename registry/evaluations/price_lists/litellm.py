"""Price list of litellm: `model_prices_and_context_window.json`, prices by token."""

from collections import Counter
from collections.abc import Mapping

from registry.catalog.prices.records import PriceList, PriceRow, TokenPrice
from registry.enums import PriceFormat
from registry.evaluations.price_lists.providers import provider_name
from registry.evaluations.price_lists.values import mapping, name, per_million, tokens

_MILLION = 1e6

_OF_TEXT = frozenset({"chat", "completion", "responses", "embedding", "rerank", "moderation"})
"""Modes that tokens of text are the price of; others count seconds, pictures or pages too."""

_SAMPLE = "sample_spec"


def read_litellm(document: Mapping[str, object]) -> PriceList:
    """Return the prices in litellm's file, whose keys are `provider/model` or `model`.

    Args:
        document: the file.
    """
    found = PriceList(PriceFormat.LITELLM, [], complete=True)
    entries = {key: mapping(value) for key, value in document.items() if key != _SAMPLE}
    places = {key: _place(key, entry) for key, entry in entries.items()}
    times = Counter(places.values())
    rows = []
    for key, entry in entries.items():
        provider, own = places[key]
        if not provider or name(key) is None:
            found.leave_out("entries without a provider, or a name that can be stored", key)
            continue
        price = _price(entry)
        mode = entry.get("mode")
        if mode is not None and (not isinstance(mode, str) or mode not in _OF_TEXT):
            found.leave_out("entries that are not priced by tokens of text", key)
        elif price is None:
            found.leave_out("entries that do not state both prices", key)
        else:
            # Where two keys are one name without the provider, each keeps its own.
            rows.append(PriceRow(provider, own if times[places[key]] == 1 else key, price))
    found.rows = rows
    return found


def _place(key: str, entry: Mapping[str, object]) -> tuple[str, str]:
    """Return provider and name: keys begin with the provider, if at all."""
    stated = entry.get("litellm_provider")
    provider = provider_name(known) if (known := name(stated)) else ""
    first, slash, rest = key.partition("/")
    if slash and rest and first in (stated, provider):
        return provider, rest
    if slash and rest and provider_name(first) == provider:
        return provider, rest
    return provider, key


def _price(entry: Mapping[str, object]) -> TokenPrice | None:
    given = per_million(entry.get("input_cost_per_token"), times=_MILLION)
    taken = per_million(entry.get("output_cost_per_token"), times=_MILLION)
    if given is None or taken is None:
        return None
    return TokenPrice(
        given,
        taken,
        per_million(entry.get("cache_read_input_token_cost"), times=_MILLION),
        tokens(entry.get("max_input_tokens")),
        tiered=any(key.startswith("input_cost_per_token_above_") for key in entry)
        or bool(entry.get("tiered_pricing")),
    )
