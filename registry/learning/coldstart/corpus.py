"""Corpus statistics of a whole catalog, counted in parts.

Document frequencies of words and n-grams of names, families, the words of each author's models, and
lineage. Parts may be counted by several processes and joined.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from registry.learning.arrays import Codes, Reals
from registry.learning.coldstart.lineage_kernel import Ancestry, Edges, ParentLink
from registry.learning.coldstart.ngrams import (
    BITS,
    WIDTH,
    document_frequencies,
    words,
)

MOST_WORDS = 64
"""Words of an author, at most: those with the largest TF-IDF."""

COMPACTED_FROM = 1 << 20
"""Words of authors that are buffered before equal ones are added up."""


class CorpusStatistics:
    """Statistics of the models added so far.

    Attributes:
        count: number of models.
        ngrams: int64, WIDTH: number of models whose names have each n-gram.
        words: int64, WIDTH: likewise.
        families: stated by at least one model.
        authors: index of each author, in the order of their first models.
    """

    def __init__(self) -> None:
        self.count = 0
        self.ngrams, self.words = np.zeros(WIDTH, np.int64), np.zeros(WIDTH, np.int64)
        self.families: set[str] = set()
        self.authors: dict[str, int] = {}
        # Keys author << BITS | word, and their counts; only the first pair has no repetitions.
        self._counts = [(np.zeros(0, np.int64), np.zeros(0, np.int64))]
        self._buffered = 0
        self._edges: list[Edges] = []

    def add(
        self,
        titles: Sequence[str],
        authors: Sequence[str],
        families: set[str],
        parents: Mapping[str, Sequence[ParentLink]],
    ) -> None:
        """Add models.

        Args:
            titles: their names without owners.
            authors: in lower case; empty for none.
            families: in lower case.
            parents: of the models that have any, by the model's name.
        """
        self.count += len(titles)
        self.ngrams += document_frequencies(titles)
        of_titles = words(titles)
        keys = np.unique(of_titles.owners << BITS | of_titles.codes)
        columns = keys & (WIDTH - 1)
        self.words += np.bincount(columns, minlength=WIDTH)
        self.families |= families
        numbers = self._numbers(authors)
        owners = numbers[keys >> BITS]
        authored = owners >= 0
        self._add_counts(*_counted(owners[authored] << BITS | columns[authored]))
        if parents:
            self._edges.append(Edges.of(parents))

    def join(self, other: "CorpusStatistics") -> None:
        """Add the statistics of other models."""
        self.count += other.count
        self.ngrams += other.ngrams
        self.words += other.words
        self.families |= other.families
        numbers = self._numbers(list(other.authors))
        for keys, counts in other._counts:  # noqa: SLF001 - the same class
            self._add_counts(numbers[keys >> BITS] << BITS | keys & (WIDTH - 1), counts)
        self._edges += other._edges  # noqa: SLF001

    def idf(self) -> tuple[Reals, Reals]:
        """Return inverse document frequencies of n-grams and words: log((1 + n) / (1 + df)) + 1."""
        return self._idf(self.ngrams), self._idf(self.words)

    def _idf(self, frequencies: Codes) -> Reals:
        return np.log((1 + self.count) / (1 + frequencies)) + 1

    def profiles(self, idf: Reals) -> tuple[Codes, Codes]:
        """Return the words of each author with the largest TF-IDF: rising keys, and counts."""
        self._compact()
        keys, counts = self._counts[0]
        owners = keys >> BITS
        sizes = np.bincount(owners, minlength=len(self.authors))
        long = sizes[owners] > MOST_WORDS
        if long.any():
            places = np.flatnonzero(long)
            weights = counts[places] * idf[keys[places] & (WIDTH - 1)]
            ranked = places[np.lexsort((keys[places], -weights, owners[places]))]
            starts = np.cumsum(sizes[sizes > MOST_WORDS]) - sizes[sizes > MOST_WORDS]
            within = np.arange(len(ranked)) - np.repeat(starts, sizes[sizes > MOST_WORDS])
            best = np.sort(np.concatenate([np.flatnonzero(~long), ranked[within < MOST_WORDS]]))
            keys, counts = keys[best], counts[best]
        return keys, counts

    def ancestry(self) -> Ancestry:
        """Return the lineage of the models."""
        if not self._edges:
            return Ancestry()
        return Ancestry.of(Edges.joined(self._edges))

    def _numbers(self, authors: Sequence[str]) -> Codes:
        """Return the indices of authors, adding new ones; -1 for none."""
        index = self.authors
        return np.fromiter(
            (index.setdefault(author, len(index)) if author else -1 for author in authors),
            np.int64,
            len(authors),
        )

    def _add_counts(self, keys: Codes, counts: Codes) -> None:
        self._counts.append((keys, counts))
        self._buffered += len(keys)
        # Bounds memory by the distinct keys, and the time of sorting by that of counting.
        if self._buffered > max(COMPACTED_FROM, len(self._counts[0][0])):
            self._compact()

    def _compact(self) -> None:
        keys, counts = (np.concatenate(each) for each in zip(*self._counts, strict=True))
        self._counts, self._buffered = [_counted(keys, counts)], 0


def _counted(keys: Codes, counts: Codes | None = None) -> tuple[Codes, Codes]:
    """Return the distinct keys, rising, and their total counts."""
    order = np.argsort(keys)
    ranked = keys[order]
    starts = np.flatnonzero(np.concatenate([[True], ranked[1:] != ranked[:-1]])[: len(keys)])
    if counts is None:
        return ranked[starts], np.diff(starts, append=len(keys))
    sums = np.add.reduceat(counts[order], starts) if len(keys) else counts
    return ranked[starts], sums
