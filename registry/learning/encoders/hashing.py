"""Hashing encoder: words, word pairs and character n-grams, without a model or another package.

Features of a text are its words, its pairs of adjacent words, and its character n-grams of three
and four. Each is a 64-bit hash that adds log(1 + its count), times the weight of its kind, to one
of 512 dimensions, with a sign; dimension and sign are bits of the hash (feature hashing, Weinberger
et al. 2009). A change to any of this makes another encoder, which needs another name.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from registry.coerce import storable
from registry.learning.splitmix import mix

LONGEST = 100_000
"""Characters of a text that are used."""

_DIMENSION = 512
_CHARACTERS_AT_ONCE = 100_000
_TEXTS_AT_ONCE = 1 << 12

_RUNS = (3, 4)
_WEIGHTS = np.array([1.0, 0.3, 0.5, 0.5])
"""Of words, of word pairs, of 3-grams, of 4-grams; the kind is two bits of a feature."""

_BASE = np.uint64(0x9E3779B97F4A7C15)

# Separators of words beyond ASCII: Latin-1 signs, punctuation to shapes, CJK signs, specials.
# All else counts as letters: tables of letters change with each version of Unicode.
_SEPARATORS = ((0x80, 0xBF), (0x2000, 0x2BFF), (0x3000, 0x303F), (0xFFF0, 0xFFFF))

_Hashes = NDArray[np.uint64]


class HashingEncoder:
    """Encoder of texts by their words and character n-grams."""

    name = "hashing-512"
    dimension = _DIMENSION

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return float32, n x 512, rows of length 1; zeros for a text without a word."""
        vectors = np.zeros((len(texts), _DIMENSION), np.float32)
        start = 0
        for block in _blocks(texts):
            sums = _summed(_features(block), len(block))
            lengths = np.linalg.norm(sums, axis=1, keepdims=True)
            np.divide(sums, lengths, out=sums, where=lengths > 0)
            vectors[start : start + len(block)] = sums
            start += len(block)
        return vectors

    def cuts(self, texts: Sequence[str]) -> NDArray[np.bool_]:
        """Return for each text whether it is longer than what is read of it."""
        return np.array([len(text) > LONGEST for text in texts], np.bool_)


def _blocks(texts: Sequence[str]) -> Iterator[list[str]]:
    """Yield texts in lower case, in blocks that fit the processor's caches."""
    block: list[str] = []
    characters = 0
    for text in texts:
        block.append(storable(text[:LONGEST]).lower())
        characters += len(block[-1])
        if characters >= _CHARACTERS_AT_ONCE or len(block) == _TEXTS_AT_ONCE:
            yield block
            block, characters = [], 0
    if block:
        yield block


def _features(texts: list[str]) -> _Hashes:
    """Return all features of all texts: from the top 12 bits of the text, 50 of hash, 2 of kind."""
    characters, rows = _characters(texts)
    features = [*_words(characters, rows)]
    hashes = characters
    for length in range(2, max(_RUNS) + 1):
        hashes = hashes[:-1] * _BASE + characters[length - 1 :]
        if length in _RUNS:
            inside = rows[: len(hashes)] == rows[length - 1 :]
            features.append((hashes[inside], rows[: len(hashes)][inside]))
    return np.concatenate([
        row << np.uint64(52) | mix(hashed) >> np.uint64(14) << np.uint64(2) | np.uint64(kind)
        for kind, (hashed, row) in enumerate(features)
    ])  # fmt: skip


def _characters(texts: list[str]) -> tuple[_Hashes, _Hashes]:
    """Return the characters of texts, and the index of each one's text.

    Any separator of words is one space, and each text begins and ends with one.
    """
    joined = "".join(f" {text} " for text in texts)
    codes = np.frombuffer(joined.encode("utf-32-le"), np.uint32)
    lengths = np.fromiter((len(text) + 2 for text in texts), np.int64, len(texts))
    rows = np.repeat(np.arange(len(texts), dtype=np.uint64), lengths)
    is_word = (codes >= ord("a")) & (codes <= ord("z")) | (codes >= ord("0")) & (codes <= ord("9"))
    if not joined.isascii():
        is_word |= codes > 0x7F  # noqa: PLR2004 - the end of ASCII
        for first, last in _SEPARATORS:
            is_word &= (codes < first) | (codes > last)
    # Of several separators, the first counts.
    used = is_word.copy()
    used[1:] |= is_word[:-1]
    used[np.cumsum(lengths) - lengths] = True
    characters = np.where(is_word, codes, ord(" ")).astype(np.uint64)
    return characters[used], rows[used]


def _words(characters: _Hashes, rows: _Hashes) -> Iterator[tuple[_Hashes, _Hashes]]:
    """Yield the hashes of words, then of word pairs, each with the indices of their texts."""
    spaces = np.flatnonzero(characters == ord(" "))
    # A text without words has one space; one with words has one before each and one at its end.
    starts, ends = spaces[:-1] + 1, spaces[1:]
    nonempty = ends > starts
    starts, ends = starts[nonempty], ends[nonempty]
    if not len(starts):
        none = np.zeros(0, np.uint64)
        yield none, none
        yield none, none
        return
    lengths = ends - starts
    places = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    powers = np.cumprod(np.full(lengths.max(), _BASE))
    letters = characters[characters != ord(" ")]
    words = np.add.reduceat(letters * powers[places], np.cumsum(lengths) - lengths)
    owners = rows[starts]
    same = owners[:-1] == owners[1:]
    pairs = (mix(words[:-1].copy()) + words[1:])[same]
    yield words, owners
    yield pairs, owners[:-1][same]


def _summed(features: _Hashes, texts: int) -> NDArray[np.float64]:
    """Return the sums of the features of each text, n x 512."""
    features.sort()
    first = np.ones(len(features), np.bool_)
    np.not_equal(features[1:], features[:-1], out=first[1:])
    places = np.flatnonzero(first)
    counts = np.diff(places, append=len(features))
    features = features[places]
    weights = np.log1p(counts) * _WEIGHTS[features & np.uint64(3)]
    # From the bottom: two bits of kind, one of sign, nine of dimension.
    np.negative(weights, out=weights, where=(features & np.uint64(4)) != 0)
    dimensions = features >> np.uint64(3) & np.uint64(_DIMENSION - 1)
    into = (features >> np.uint64(52)) * np.uint64(_DIMENSION) + dimensions
    sums = np.bincount(into.astype(np.int64), weights, minlength=texts * _DIMENSION)
    return sums.astype(np.float64).reshape(texts, _DIMENSION)
