"""What is learned of a whole catalog before any model of it is described, read in parts.

How rare words and pieces of names are, which families there are, the words of each author's models,
and who was made from whom. Parts may be counted apart, by several processes, and joined.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from registry.learning.coldstart.lineage_kernel import Ancestry, Edges, Kin
from registry.learning.coldstart.ngrams import BITS, WIDTH, Codes, Reals, pieces_met, words

MOST_WORDS = 64
"""Words kept of an author, the most telling; who has published thousands of models has all."""

COMPACTED_FROM = 1 << 20
"""Words of authors that are kept one by one before those that are the same are counted."""


class Census:
    """Counts of a catalog.

    Attributes:
        count: models.
        pieces: int64, WIDTH: models whose names have each piece.
        words: int64, WIDTH: likewise.
        families: that some model states.
        authors: the number of each author, in the order in which they came.
    """

    def __init__(self) -> None:
        self.count = 0
        self.pieces, self.words = np.zeros(WIDTH, np.int64), np.zeros(WIDTH, np.int64)
        self.families: set[str] = set()
        self.authors: dict[str, int] = {}
        # The author's number and the word's column as one number, and how often.
        self._told = [(np.zeros(0, np.int64), np.zeros(0, np.int64))]
        self._waiting = 0
        self._edges: list[Edges] = []

    def add(
        self,
        titles: Sequence[str],
        authors: Sequence[str],
        families: set[str],
        parents: Mapping[str, Sequence[Kin]],
    ) -> None:
        """Count some models.

        Args:
            titles: their names without owners.
            authors: in lower case; empty where there is none.
            families: in lower case.
            parents: of those that have any, by name.
        """
        self.count += len(titles)
        self.pieces += pieces_met(titles)
        found = words(titles)
        keys = np.unique(found.owners << BITS | found.codes)
        columns = keys & (WIDTH - 1)
        self.words += np.bincount(columns, minlength=WIDTH)
        self.families |= families
        numbers = self._numbers(authors)
        owners = numbers[keys >> BITS]
        some = owners >= 0
        self._note(*_counted(owners[some] << BITS | columns[some]))
        if parents:
            self._edges.append(Edges.of(parents))

    def join(self, other: "Census") -> None:
        """Count what another one did, of other models."""
        self.count += other.count
        self.pieces += other.pieces
        self.words += other.words
        self.families |= other.families
        numbers = self._numbers(list(other.authors))
        for keys, times in other._told:  # noqa: SLF001 - of its own kind
            self._note(numbers[keys >> BITS] << BITS | keys & (WIDTH - 1), times)
        self._edges += other._edges  # noqa: SLF001

    def rarity(self) -> tuple[Reals, Reals]:
        """Return weights of pieces and words: log((1 + n) / (1 + models that have it)) + 1."""
        pieces, words = (
            np.log((1 + self.count) / (1 + met)) + 1 for met in (self.pieces, self.words)
        )
        return pieces, words

    def profiles(self, rarity: Reals) -> tuple[Codes, Codes]:
        """Return the words of authors that weigh most: rising keys as of rows, and how often."""
        self._compact()
        keys, times = self._told[0]
        owners = keys >> BITS
        sizes = np.bincount(owners, minlength=len(self.authors))
        long = sizes[owners] > MOST_WORDS
        if long.any():
            some = np.flatnonzero(long)
            weights = times[some] * rarity[keys[some] & (WIDTH - 1)]
            ranked = some[np.lexsort((keys[some], -weights, owners[some]))]
            starts = np.cumsum(sizes[sizes > MOST_WORDS]) - sizes[sizes > MOST_WORDS]
            within = np.arange(len(ranked)) - np.repeat(starts, sizes[sizes > MOST_WORDS])
            kept = np.sort(np.concatenate([np.flatnonzero(~long), ranked[within < MOST_WORDS]]))
            keys, times = keys[kept], times[kept]
        return keys, times

    def ancestry(self) -> Ancestry:
        """Return who was made from whom."""
        if not self._edges:
            return Ancestry()
        return Ancestry.of(Edges.joined(self._edges))

    def _numbers(self, authors: Sequence[str]) -> Codes:
        """Return the numbers of authors, new ones for those that are new; -1 for none."""
        known = self.authors
        return np.fromiter(
            (known.setdefault(author, len(known)) if author else -1 for author in authors),
            np.int64,
            len(authors),
        )

    def _note(self, keys: Codes, times: Codes) -> None:
        self._told.append((keys, times))
        self._waiting += len(keys)
        # So that sorting takes no longer than counting, and memory grows with what is different.
        if self._waiting > max(COMPACTED_FROM, len(self._told[0][0])):
            self._compact()

    def _compact(self) -> None:
        keys, times = (np.concatenate(each) for each in zip(*self._told, strict=True))
        self._told, self._waiting = [_counted(keys, times)], 0


def _counted(keys: Codes, times: Codes | None = None) -> tuple[Codes, Codes]:
    """Return different keys, rising, and how often each comes in all."""
    order = np.argsort(keys)
    ranked = keys[order]
    starts = np.flatnonzero(np.concatenate([[True], ranked[1:] != ranked[:-1]])[: len(keys)])
    if times is None:
        return ranked[starts], np.diff(starts, append=len(keys))
    sums = np.add.reduceat(times[order], starts) if len(keys) else times
    return ranked[starts], sums
