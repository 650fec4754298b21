"""Words of prompts as evidence for domains: multinomial naive Bayes over hashed words and pairs.

Vectors of small encoders lose terms of a field; words have them. Counts are damped by a logarithm,
and the sum over a text is divided by the root of its length, since words of a text are not
independent (Rennie et al. 2003, "Tackling the poor assumptions of naive Bayes text classifiers").
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from registry.learning.arrays import Places

Matrix = NDArray[np.float32]

COLUMNS = 1 << 16
"""Columns that words are hashed to."""

SMOOTHING = 0.03
"""Counts that every word has in every domain: chosen on MMLU-Pro, where 0.01 to 0.1 do as well."""

_LONGEST = 20_000
"""Characters of a text that are read."""

_WORD = re.compile(r"\w+|\$|\\[a-z]+")


class WordCounts(NamedTuple):
    """Words of a text: columns, each once, and the logarithm of 1 + their counts."""

    columns: Places
    counts: Matrix


def word_counts(text: str) -> WordCounts:
    """Return the words and pairs of words of a text, in lower case, hashed."""
    found = _WORD.findall(text[:_LONGEST].lower())
    hashed = Counter(
        crc32(word.encode(errors="replace")) % COLUMNS
        for word in [*found, *(f"{first} {second}" for first, second in pairwise(found))]
    )
    counts = np.log1p(np.fromiter(hashed.values(), np.float32, len(hashed)))
    return WordCounts(np.fromiter(hashed.keys(), np.intp, len(hashed)), counts)


@dataclass(frozen=True, slots=True, eq=False)
class WordEvidence:
    """Evidence of words for domains.

    Attributes:
        table: float16, D x COLUMNS: log-probability of a word in a domain, less its mean over the
            domains; 0 for words of no text.
    """

    table: NDArray[np.float16]

    def scores(self, texts: Sequence[WordCounts]) -> Matrix:
        """Return the evidence of texts for each domain, float32, P x D; 0 of no known word."""
        scores = np.zeros((len(texts), len(self.table)), np.float32)
        for row, text in enumerate(texts):
            length = float(text.counts.sum())
            if length:
                parts = self.table[:, text.columns].astype(np.float32)
                scores[row] = parts @ text.counts / np.sqrt(length)
        return scores


def learn_words(texts: Sequence[WordCounts], domains: Places, count: int) -> WordEvidence:
    """Learn the evidence of words from texts of known domains.

    Args:
        texts: of N items.
        domains: int, N, from 0.
        count: number of domains, D.
    """
    sums = np.zeros((count, COLUMNS))
    for text, domain in zip(texts, domains.tolist(), strict=True):
        sums[domain, text.columns] += text.counts
    seen = sums.sum(axis=0) > 0
    logs = np.log(sums + SMOOTHING)
    logs -= np.log((sums + SMOOTHING * seen).sum(axis=1, keepdims=True) + SMOOTHING)
    logs -= logs.mean(axis=0)
    logs[:, ~seen] = 0
    return WordEvidence(logs.astype(np.float16))
