"""Hashed words and character n-grams of model names, of many names at once.

All names are joined to one text, so that each operation on characters is a single call.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple
from zlib import crc32

import numpy as np
from scipy.sparse import csr_array

from registry.coerce import Memo
from registry.learning.arrays import Codes, Reals

BITS = 18
WIDTH = 1 << BITS
"""Columns of a hashed block."""

LONGEST = 5
"""Characters of the longest n-grams; the shortest have 2."""

_END = "\0"
_WORD = re.compile(rf"\d+x\d+b?|\d+(?:\.\d+)?b(?![a-z])|[a-z]+|\d+(?:\.\d+)?|{_END}")
_HUMP = re.compile(r"([a-z])([A-Z])")
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_STEP = np.uint64(1_000_003)


class Words(NamedTuple):
    """The words of n names, in their order.

    Attributes:
        owners: int64, rising: index of the name of each word.
        codes: int64: its column.
        texts: all words, with a terminator after each name.
        places: int64: index of each word in `texts`.
    """

    owners: Codes
    codes: Codes
    texts: list[str]
    places: Codes


def hashed(text: str) -> int:
    """Return the hash of a text, its column."""
    return crc32(text.encode("utf-8", "replace")) % WIDTH


_CODES: Memo[int] = Memo(lambda word: -1 if word == _END else hashed(word), most=200_000)


def words(titles: Sequence[str]) -> Words:
    """Return the words of names, with repetitions."""
    texts = _WORD.findall(_HUMP.sub(r"\1 \2", _line(titles)).lower())
    codes = np.fromiter(map(_CODES.__getitem__, texts), np.int64, len(texts))
    places = np.flatnonzero(codes >= 0)
    ended = np.cumsum(codes < 0, dtype=np.int64)
    return Words(ended[places], codes[places], texts, places)


def ngram_rows(titles: Sequence[str]) -> csr_array:
    """Return 1 + log(count) of each n-gram of n names, n x WIDTH."""
    keys = np.sort(_ngram_keys(titles))
    first = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]])[: len(keys)])
    counts = np.diff(first, append=len(keys))
    return rows_of(keys[first], 1 + np.log(counts), len(titles))


def document_frequencies(titles: Sequence[str]) -> Codes:
    """Return the number of names that have each n-gram, int64, WIDTH."""
    keys = np.sort(_ngram_keys(titles))
    distinct = np.concatenate([[True], keys[1:] != keys[:-1]])[: len(keys)]
    return np.bincount(keys[distinct] & (WIDTH - 1), minlength=WIDTH).astype(np.int64)


def rows_of(keys: Codes, values: Reals, count: int, bits: int = BITS) -> csr_array:
    """Return a matrix, count x 2**bits, from rising keys: row << bits | column."""
    starts = np.searchsorted(keys, np.arange(count + 1) << bits)
    return csr_array((values, keys & ((1 << bits) - 1), starts), shape=(count, 1 << bits))


def _line(titles: Sequence[str]) -> str:
    line = _END.join(titles)
    if line.count(_END) >= max(len(titles), 1):
        line = _END.join(title.replace(_END, " ") for title in titles)
    return line


def _ngram_keys(titles: Sequence[str]) -> Codes:
    """Return row << BITS | column of each n-gram."""
    line = _line(titles).lower().encode("utf-8", "replace")
    letters = np.frombuffer(line + b"\0", np.uint8)
    ends = np.flatnonzero(letters == 0)
    lengths = np.diff(ends, prepend=-1)
    # Letters from each position to the end of its name.
    remaining = np.repeat(ends, lengths) - np.arange(len(letters))
    owner = np.repeat(np.arange(len(ends)) << BITS, lengths)
    value = letters.astype(np.uint64)
    keys: list[Codes] = [np.zeros(0, np.int64)]
    for length in range(2, min(LONGEST, len(letters)) + 1):
        value = value[:-1] * _STEP
        value += letters[length - 1 :]
        whole = np.flatnonzero(remaining[: len(value)] >= length)
        mixed = (value[whole] + np.uint64(length)) * _GOLDEN
        columns: Codes = (mixed >> np.uint64(64 - BITS)).astype(np.int64)
        keys.append(owner[whole] | columns)
    return np.concatenate(keys)
