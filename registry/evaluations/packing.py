"""Packing of a run's outcomes into bits by the items' ordinals.

Every run has a bit for each item up to the last one observed: whether the outcome is at least
0.5. A second bit string marks the observed items, where some were not, and graded outcomes are
also stored as `real[]`. So every question about right and wrong is one operation on bits.
"""

import math
from typing import NamedTuple

import numpy as np
import orjson
from numpy.typing import NDArray

from registry.evaluations.records import Outcomes
from registry.learning.metrics import RIGHT_FROM

Ordinals = NDArray[np.int32]
"""Place of each of a block's items in the benchmark, from 0."""


class Packed(NamedTuple):
    """The outcomes of a run, as text that Postgres reads.

    `right` and `present` are bit strings, `grades` is an array; `present` and `grades` are None
    where `right` has it all. `mean` is the mean outcome, `standard_error` that of
    the mean (None for less than two items), `observed` the number of items.
    """

    right: str
    present: str | None
    grades: str | None
    mean: float
    standard_error: float | None
    observed: int


def pack(outcomes: Outcomes, ordinals: Ordinals) -> Packed | None:
    """Pack the outcomes of a run.

    Args:
        outcomes: in [0, 1], NaN where the item was not observed.
        ordinals: one for each outcome, no two alike.

    Returns:
        None where nothing was observed.
    """
    missing = np.isnan(outcomes)
    places, values = ordinals, outcomes
    if missing.any():
        places, values = ordinals[~missing], outcomes[~missing]
    number = len(values)
    if number == 0:
        return None
    length = int(places.max()) + 1
    is_right = values >= RIGHT_FROM
    right = np.zeros(length, np.uint8)
    right[places] = is_right
    present = None
    if number < length:
        bits = np.zeros(length, np.uint8)
        bits[places] = 1
        present = _as_text(bits)
    if (values == is_right).all():
        mean = int(np.count_nonzero(is_right)) / number
        variance = mean * (1 - mean) * number / (number - 1) if number > 1 else None
        grades = None
    else:
        graded = np.zeros(length, np.float32)
        graded[places] = values
        # Summed by ordinal: the same score to the last bit, however a file orders its items.
        sorted_ = graded[np.sort(places)].astype(np.float64)
        mean = float(sorted_.mean())
        variance = float(sorted_.var(ddof=1)) if number > 1 else None
        listed = orjson.dumps(graded, option=orjson.OPT_SERIALIZE_NUMPY).decode()
        grades = "{" + listed[1:-1] + "}"
    return Packed(
        right=_as_text(right),
        present=present,
        grades=grades,
        mean=mean,
        standard_error=None if variance is None else math.sqrt(variance / number),
        observed=number,
    )


def _as_text(bits: NDArray[np.uint8]) -> str:
    return (bits + ord("0")).tobytes().decode("ascii")


def unpack(
    right: bytes, present: bytes | None, grades: bytes | None, into: NDArray[np.float32]
) -> None:
    """Unpack the outcomes of a run into an array.

    Args:
        right: the bytes of `varbit_send`.
        present: likewise, None if all of `right` was observed.
        grades: the bytes of `array_send`.
        into: by ordinal, at least as long as `right`; unobserved items keep their values.
    """
    bits = bits_of(right)
    values = bits.astype(np.float32) if grades is None else _reals(grades)
    if present is None:
        into[: len(bits)] = values
    else:
        seen = bits_of(present).astype(bool)
        into[: len(bits)][seen] = values[seen]


def bits_of(sent: bytes) -> NDArray[np.uint8]:
    """Return the bits in the bytes of `varbit_send`: a length, then eight bits a byte."""
    length = int.from_bytes(sent[:4])
    return np.unpackbits(np.frombuffer(sent, np.uint8, offset=4), count=length)


def _reals(sent: bytes) -> NDArray[np.float32]:
    # Five words of header; then for each element its length and its four bytes.
    words = np.frombuffer(sent, ">f4", offset=20)
    return words[1::2].astype(np.float32)


ANSWER_WIDTHS = (1, 2, 4)
"""Possible sizes of an answer's code, in bytes."""


class PackedAnswers(NamedTuple):
    """Answers as codes: places in `texts` from 1, 0 for none, big-endian."""

    codes: bytes
    texts: list[str]


def pack_answers(
    answers: list[str | None], ordinals: Ordinals, length: int
) -> PackedAnswers | None:
    """Pack the answers of a model; return None where there are none."""
    texts = list(dict.fromkeys(answer for answer in answers if answer is not None))
    if not texts:
        return None
    places = {text: place for place, text in enumerate(texts, 1)}
    codes = np.zeros(length, ">u4")
    codes[ordinals] = [0 if answer is None else places[answer] for answer in answers]
    width = next(each for each in ANSWER_WIDTHS if len(texts) < 256**each)
    return PackedAnswers(codes.astype(f">u{width}").tobytes(), texts)


def unpack_answers(codes: bytes, texts: list[str], length: int) -> list[str | None]:
    """Return answers packed by `pack_answers`, by ordinal."""
    width = len(codes) // length if length else 1
    places = np.frombuffer(codes, f">u{width}")
    return [None if place == 0 else texts[place - 1] for place in places.tolist()]
