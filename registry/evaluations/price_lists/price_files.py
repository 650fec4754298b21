"""Files of price lists: which format each has, read within the limits of input."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path

from registry.catalog.prices.records import PriceList
from registry.enums import PriceFormat
from registry.errors import UnreadableFileError
from registry.evaluations.formats import json_files
from registry.evaluations.formats.tables.open import ENDINGS, open_table
from registry.evaluations.formats.tables.sources import Table
from registry.evaluations.price_lists import events, genai_prices
from registry.evaluations.price_lists.litellm import read_litellm
from registry.evaluations.price_lists.models_dev import read_models_dev

_TABLES = (PriceFormat.EVENTS, PriceFormat.GENAI_PRICES)


def read_list(
    path: Path, file_format: PriceFormat | None, *, as_of: datetime, source: str | None = None
) -> tuple[PriceFormat, PriceList]:
    """Return the format and the content of a file.

    Args:
        path: of the file, plain or gzipped.
        file_format: its format; None: detected by what is in it.
        as_of: when it was true: of dated prices, those up to then are read.
        source: name of the list; None: the format's.

    Raises:
        UnreadableFileError: when it is no price list, or not of that format.
    """
    ending = Path(path.name.lower().removesuffix(".gz")).suffix
    if ending in ENDINGS and file_format in (None, *_TABLES):
        found, prices = _table(path, file_format, as_of, source)
    else:
        found, prices = _document(path, file_format, as_of)
    if source is not None:
        prices.source = source
    if not prices.rows:
        problem = f"There is no price in it, read as {found}."
        raise UnreadableFileError(path, problem)
    return found, prices


def _document(
    path: Path, file_format: PriceFormat | None, as_of: datetime
) -> tuple[PriceFormat, PriceList]:
    document = json_files.document(path)
    found = file_format or _format_of(document)
    if found is PriceFormat.GENAI_PRICES and isinstance(document, list):
        return found, genai_prices.read_data(document, as_of)
    if found is PriceFormat.LITELLM and isinstance(document, dict):
        return found, read_litellm(document)
    if found is PriceFormat.MODELS_DEV and isinstance(document, dict):
        return found, read_models_dev(document)
    raise UnreadableFileError(
        path,
        "It is no list of prices that is known: litellm's or models.dev's file, data.json of "
        "genai-prices, or a table of dated prices." if file_format is None
        else f"It is not of the format {file_format}.",
    )  # fmt: skip


def _format_of(document: object) -> PriceFormat | None:
    if isinstance(document, list):
        first = document[0] if document else None
        return PriceFormat.GENAI_PRICES if isinstance(first, dict) and "models" in first else None
    if not isinstance(document, dict):
        return None
    entries = [each for each in document.values() if isinstance(each, dict)]
    if any(isinstance(each.get("models"), dict) for each in entries):
        return PriceFormat.MODELS_DEV
    if any("litellm_provider" in each or "input_cost_per_token" in each for each in entries):
        return PriceFormat.LITELLM
    return None


def _table(
    path: Path, file_format: PriceFormat | None, as_of: datetime, source: str | None
) -> tuple[PriceFormat, PriceList]:
    table = open_table(path)
    columns = set(table.columns)
    if file_format is not PriceFormat.EVENTS and columns.issuperset(genai_prices.COLUMNS):
        rows = _rows(table, (*genai_prices.COLUMNS, *genai_prices.MORE_COLUMNS))
        return PriceFormat.GENAI_PRICES, genai_prices.read_rules(rows, as_of)
    dated = not columns.isdisjoint(events.TIMES)
    if file_format is not PriceFormat.GENAI_PRICES and columns.issuperset(events.COLUMNS) and dated:
        rows = _rows(table, (*events.TIMES, *events.COLUMNS, *events.MORE_COLUMNS))
        try:
            return PriceFormat.EVENTS, events.read_events(
                rows, table.columns, until=as_of, source=source
            )
        except events.NotDatedError as error:
            problem = f"{str(error)[:60]!r} is no time of ISO 8601."
            raise table.error(problem, row=error.row, field=error.column) from None
    needed = ", ".join(events.COLUMNS)
    raise UnreadableFileError(
        path,
        f"A table of dated prices has the columns {needed}, and one of {', '.join(events.TIMES)}.",
    )


def _rows(table: Table, wanted: tuple[str, ...]) -> Iterator[Mapping[str, object]]:
    names = [each for each in wanted if each in table.columns]
    for batch in table.batches(names):
        columns = [batch.columns[each].to_pylist() for each in names]
        for row in zip(*columns, strict=True):
            yield dict(zip(names, row, strict=True))
