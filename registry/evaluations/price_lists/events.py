"""Dated prices: a table of the changes of offers, each with its time (Parquet, CSV, JSON lines)."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

from registry.catalog.prices.records import PriceList, PriceRow, TokenPrice
from registry.enums import PriceFormat
from registry.evaluations.price_lists.values import flag, name, per_million, tokens

TIMES = ("committed", "valid_from", "date", "at")
"""Columns of times, the first of which counts."""

COLUMNS = ("provider", "model", "input_per_million", "output_per_million")
"""Columns that such a table has beside that of times."""

MORE_COLUMNS = (
    "removed", "cache_read", "cached_input_per_million", "context", "currency", "tiered",
)  # fmt: skip


class NotDatedError(ValueError):
    """A row has no time; `row` counts from 0."""

    def __init__(self, row: int, column: str, value: object) -> None:
        self.row, self.column, self.value = row, column, value
        super().__init__(str(value))


def read_events(
    rows: Iterable[Mapping[str, object]],
    columns: Sequence[str],
    *,
    until: datetime,
    source: str | None,
) -> PriceList:
    """Return the changes in a table.

    Args:
        rows: by column.
        columns: all of the table.
        until: changes after this time are left out: nobody pays them yet.
        source: name of the list; None: what the rows say, models.dev for the history of its
            repository, else `events`.

    Raises:
        NotDatedError: when a row has no time.
    """
    time = next(each for each in TIMES if each in columns)
    own_source = PriceFormat.MODELS_DEV if "commit" in columns else PriceFormat.EVENTS
    found = PriceList(source or own_source, [], complete=False)
    events = []
    for number, row in enumerate(rows):
        at = _time(row.get(time))
        if at is None:
            raise NotDatedError(number, time, row.get(time))
        if at > until:
            found.leave_out("rows of the future", f"{row.get('provider')}/{row.get('model')}")
            continue
        event = _event(row, at, found)
        if event is not None:
            events.append((at, event))
    events.sort(key=lambda event: event[0])
    found.rows = [event for _, event in events]
    found.seen_at = events[-1][0] if events else None
    return found


def _event(row: Mapping[str, object], at: datetime, found: PriceList) -> PriceRow | None:
    provider, own = name(row.get("provider")), name(row.get("model"))
    shown = f"{row.get('provider')}/{row.get('model')}"
    if provider is None or own is None:
        found.leave_out("rows whose names cannot be stored", shown)
        return None
    if flag(row.get("removed")):
        return PriceRow(provider, own, None, at)
    given = per_million(row.get("input_per_million"))
    taken = per_million(row.get("output_per_million"))
    if given is None or taken is None:
        found.leave_out("rows that do not state both prices", shown)
        return PriceRow(provider, own, None, at)
    cached = row.get("cached_input_per_million", row.get("cache_read"))
    price = TokenPrice(
        given,
        taken,
        per_million(cached),
        tokens(row.get("context")),
        str(row.get("currency") or "USD").strip().upper(),
        flag(row.get("tiered")),
    )
    return PriceRow(provider, own, price, at)


def _time(value: object) -> datetime | None:
    if isinstance(value, datetime):
        moment = value
    else:
        try:
            moment = datetime.fromisoformat(str(value).strip())
        except ValueError:
            return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
