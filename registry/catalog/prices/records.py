"""Price lists as their sources state them: an offer a row, with its price then or from then on."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple


class TokenPrice(NamedTuple):
    """What tokens cost.

    Attributes:
        input_per_million: of a million tokens of prompts.
        output_per_million: of a million tokens of answers.
        cached_input_per_million: of a million tokens of prompts read from a cache; None: unknown.
        context: tokens of prompt and answer together, at most; None: unknown.
        currency: code of ISO 4217.
        tiered: whether long prompts, or other hours, cost otherwise.
    """

    input_per_million: float
    output_per_million: float
    cached_input_per_million: float | None = None
    context: int | None = None
    currency: str = "USD"
    tiered: bool = False


class PriceRow(NamedTuple):
    """What a source states of a model as a provider offers it.

    Attributes:
        provider: who sells it.
        name: as the provider names the model.
        price: None where none is known from then on: withdrawn, not stated, or refused.
        at: since when; None where the list is of one day, which its importer knows.
    """

    provider: str
    name: str
    price: TokenPrice | None
    at: datetime | None = None


@dataclass(slots=True)
class PriceList:
    """What a file states.

    Attributes:
        source: name of the list.
        rows: of its offers, in the file's order.
        complete: whether offers that it lacks are no longer there.
        left_out: names of entries that state no price that can be used, by the reason.
        seen_at: until when a dated list is known to hold; None for a list of one day.
    """

    source: str
    rows: Sequence[PriceRow]
    complete: bool
    left_out: dict[str, list[str]] = field(default_factory=dict)
    seen_at: datetime | None = None

    def leave_out(self, reason: str, name: str) -> None:
        """Note that an entry is left out, and why."""
        self.left_out.setdefault(reason, []).append(name)
