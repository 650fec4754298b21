"""Checked values of cells: texts, names, numbers and outcomes."""

import re
from datetime import date, datetime

import numpy as np
import orjson
import pyarrow as pa
from numpy.typing import NDArray

from registry.coerce import MAX_TEXT
from registry.errors import shortened
from registry.evaluations.formats.tables.mapping import Layout
from registry.evaluations.records import NOT_MEASURED, Notes, Outcomes

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_SURROGATE = re.compile("[\ud800-\udfff]")
_FLAGS = {"true": True, "false": False, "yes": True, "no": False, "1": True, "0": False}
_TRUTH = {"true": 1.0, "false": 0.0}
_SLACK = 1e-6  # of a scale's width: numbers are rounded on their way through files
_MAX_COUNT = 2**31 - 1


class BadCellError(Exception):
    """A cell is invalid; `row` counts from 0 in the rows that were given."""

    def __init__(self, problem: str, *, field: str | None = None, row: int = 0) -> None:
        self.problem, self.field, self.row = problem, field, row
        super().__init__(problem)


def text_of(value: object) -> str | None:
    """Return a cell as a text; whole numbers without a point; None for null and NaN."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        if value != value:  # noqa: PLR0124 - NaN is not
            return None
        return str(int(value)) if value.is_integer() else repr(value)
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, list | dict):
        return orjson.dumps(value, default=str).decode()
    if isinstance(value, bytes):
        raise BadCellError("It holds bytes, not text.")
    return str(value)


def name_of(text: str | None, what: str, field: str) -> str:
    """Return a name, stripped.

    Raises:
        BadCellError: it is empty, or cannot be stored.
    """
    name = (text or "").strip()
    if 0 < len(name) <= MAX_TEXT and name.isascii() and "\0" not in name:
        return name
    if not name:
        raise BadCellError(f"The {what} is empty. Give it a name, or remove the row.", field=field)
    if len(name) > MAX_TEXT:
        problem = (
            f"The {what} {shortened(name)} has {len(name)} characters; {MAX_TEXT} are allowed."
        )
        raise BadCellError(problem, field=field)
    if "\0" in name or _SURROGATE.search(name):
        problem = f"The {what} {shortened(name)} holds a character that cannot be stored."
        raise BadCellError(problem, field=field)
    return name


def number_of(text: str, field: str) -> float:
    """Return a number.

    Raises:
        BadCellError: it is not a finite number.
    """
    if not _NUMBER.fullmatch(text.strip()) or not np.isfinite(number := float(text)):
        advice = ""
        if _NUMBER.fullmatch(text.strip().removesuffix("%").rstrip()):
            advice = " Remove the percent sign, and state the scale by --scale percent."
        raise BadCellError(f"{shortened(text)} is not a number.{advice}", field=field)
    return number


def count_of(text: str, field: str) -> int:
    """Return a whole number from 0.

    Raises:
        BadCellError: it is not one.
    """
    number = number_of(text, field)
    if not number.is_integer() or not 0 <= number <= _MAX_COUNT:
        raise BadCellError(f"{shortened(text)} is not a whole number from 0.", field=field)
    return int(number)


def flag_of(text: str, field: str) -> bool:
    """Return the truth value of a cell.

    Raises:
        BadCellError: it is neither true nor false.
    """
    try:
        return _FLAGS[text.strip().lower()]
    except KeyError:
        raise BadCellError(f"{shortened(text)} is neither true nor false.", field=field) from None


class OutcomeCells:
    """Conversion of columns to outcomes in [0, 1], higher being better; missing is NaN.

    An outcome of -1 on a scale from 0 is missing too, and so is any outside it where the mapping
    says so: nothing was measured.
    """

    def __init__(self, layout: Layout, notes: Notes | None = None) -> None:
        self._scale, self._missing = layout.scale, layout.missing
        self._notes = notes or Notes()
        self._drops = layout.outside == "missing"
        self._reverse = layout.measure.higher_is_better is False
        self._labels = {
            label: np.nan if raw is None else self._share(raw, label)
            for label, raw in layout.labels.items()
        }
        self._numbers = {
            float(label): share for label, share in self._labels.items() if _NUMBER.fullmatch(label)
        }

    def read(self, array: pa.Array, field: str) -> Outcomes:
        """Return the outcomes of a column.

        Raises:
            BadCellError: a cell is neither an outcome nor missing.
        """
        kind = array.type
        if pa.types.is_dictionary(kind):
            shares = self.read(array.dictionary, field) if _is_number(array.dictionary) else None
            return self._of_dictionary(array, shares, field)
        if pa.types.is_string(kind) or pa.types.is_large_string(kind):
            return self._of_dictionary(array.dictionary_encode(), None, field)
        if pa.types.is_null(kind):
            return np.full(len(array), np.nan, np.float32)
        if pa.types.is_boolean(kind):
            array = array.cast(pa.uint8())
            if not self._numbers:  # the worst and the best, whatever the scale
                shares = array.to_numpy(zero_copy_only=False).astype(np.float32)
                return np.asarray(1 - shares if self._reverse else shares, np.float32)
        if pa.types.is_decimal(kind):
            array = array.cast(pa.float64())
        if not _is_number(array):
            raise BadCellError(f"A column of type {kind} holds no outcomes.", field=field)
        return self._shares(array.to_numpy(zero_copy_only=False), field)

    def _shares(self, raw: NDArray[np.generic], field: str) -> Outcomes:
        """Return numbers on the scale as shares of it."""
        lower, upper = self._scale.lower, self._scale.upper
        values: NDArray[np.floating]
        if raw.dtype == np.uint8 and not self._numbers and (lower, upper) == (0, 1):
            values = raw.astype(np.float32)  # the most common case, in half the time
        else:
            values = raw.astype(np.float64)
            labelled = [(values == number, share) for number, share in self._numbers.items()]
            values = (values - lower) / (upper - lower)
            for where, share in labelled:
                values[where] = share
        if len(values) and not (
            np.nanmin(values, initial=0) >= -_SLACK and np.nanmax(values, initial=0) <= 1 + _SLACK
        ):
            beyond = np.flatnonzero((values < -_SLACK) | (values > 1 + _SLACK))
            for row in beyond.tolist():
                if not self._is_no_measurement(float(raw[row])):
                    raise self._outside(raw[row].item(), field, row)
            self._note(field, len(beyond))
            values[beyond] = np.nan
        shares = values.astype(np.float32)
        if values.dtype != np.float32:
            np.clip(shares, 0, 1, out=shares)
            shares += 0.0  # turns negative zero, which has another encoding, into zero
        return 1 - shares if self._reverse else shares

    def _of_dictionary(
        self, array: pa.DictionaryArray, shares: Outcomes | None, field: str
    ) -> Outcomes:
        """Return the outcomes of an array whose distinct values are read once, or were before."""
        indices = array.indices
        bad: dict[int, str] = {}
        unmeasured: list[int] = []
        if shares is None:
            shares, bad, unmeasured = self._of_texts(array.dictionary.to_pylist())
        shares = np.append(shares, np.float32(np.nan))
        at = (
            indices.fill_null(len(shares) - 1).to_numpy()
            if indices.null_count
            else indices.to_numpy()
        )
        if bad:
            rows = np.flatnonzero(np.isin(at, list(bad)))
            if len(rows):
                row = int(rows[0])
                raise BadCellError(bad[int(at[row])], field=field, row=row)
        if unmeasured and (count := int(np.isin(at, unmeasured).sum())):
            self._note(field, count)
        return np.asarray(shares[at], np.float32)

    def _is_no_measurement(self, raw: float) -> bool:
        return self._drops or (raw == NOT_MEASURED and self._scale.lower == 0)

    def _note(self, field: str, count: int) -> None:
        lower, upper = self._scale.lower, self._scale.upper
        self._notes.left_out(
            f"outcomes in {shortened(field)} that are not from {lower:g} to {upper:g}, so that "
            "nothing was measured",
            count,
        )

    def _of_texts(self, texts: list[str | None]) -> tuple[Outcomes, dict[int, str], list[int]]:
        """Return outcomes, what is wrong with the bad ones, and which are no measurements.

        The bad ones may be in no row.
        """
        shares = np.full(len(texts), np.nan, np.float32)
        bad: dict[int, str] = {}
        unmeasured: list[int] = []
        for place, cell in enumerate(texts):
            text = "" if cell is None else cell.strip().lower()
            if text in self._labels:
                shares[place] = self._labels[text]
            elif text in self._missing:
                continue
            elif text in _TRUTH:  # the worst and the best, whatever the scale
                shares[place] = abs(_TRUTH[text] - self._reverse)
            else:
                try:
                    share = self._share(number_of(text, ""), text)
                    shares[place] = 1 - share if self._reverse else share
                except BadCellError as error:
                    if _NUMBER.fullmatch(text) and self._is_no_measurement(float(text)):
                        unmeasured.append(place)
                        continue
                    bad[place] = error.problem if _NUMBER.fullmatch(text) else self._unknown(cell)
        return shares, bad, unmeasured

    def _share(self, raw: float, cell: object) -> float:
        lower, upper = self._scale.lower, self._scale.upper
        share = (raw - lower) / (upper - lower)
        if not -_SLACK <= share <= 1 + _SLACK:
            raise self._outside(cell, None, 0)
        return min(max(share, 0.0), 1.0) + 0.0

    def _outside(self, cell: object, field: str | None, row: int) -> BadCellError:
        lower, upper = self._scale.lower, self._scale.upper
        problem = (
            f"The outcome {shortened(cell)} is not from {lower:g} to {upper:g}. "
            "Correct it, or state the scale by --scale or in the mapping."
        )
        return BadCellError(problem, field=field, row=row)

    def _unknown(self, cell: object) -> str:
        known = ", ".join(sorted({*_TRUTH, *self._labels}))
        return (
            f"{shortened(cell)} is not an outcome: neither a number nor one of {known}. "
            "Correct it, or name it under labels in the mapping."
        )


def _is_number(array: pa.Array) -> bool:
    return bool(pa.types.is_integer(array.type) or pa.types.is_floating(array.type))
