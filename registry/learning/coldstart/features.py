"""Feature blocks of models, from their descriptions in the catalog.

The metadata block is SimRMF's (METHODS.md section 2): size, architecture, task and tags, as one
vector of norm 1. Names, authors, families, dates and lineage are blocks of their own. Every text is
hashed to one of `WIDTH` columns, so that blocks of different batches fit together without a
dictionary, and an unknown or removed feature is a column that no other model has.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple
from zlib import crc32

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from registry.coerce import Memo
from registry.hub.parameters import parameters_in_names
from registry.learning.arrays import Codes, Reals
from registry.learning.coldstart.corpus import CorpusStatistics
from registry.learning.coldstart.lineage_kernel import Ancestry, Edges, ParentLink, keys_of
from registry.learning.coldstart.ngrams import (
    BITS,
    WIDTH,
    Words,
    hashed,
    ngram_rows,
    rows_of,
    words,
)

ANCESTRY_BITS = 24
ANCESTRY_WIDTH = 1 << ANCESTRY_BITS
"""Columns of the lineage block: with fewer, a million names would often share one."""

MOST_PARAMETERS = 5e12
"""Larger parameter counts are taken for mistakes, as in names."""

CONTRADICTION = 64.0
"""Ratio of a stated parameter count to that in the name from which it is a mistake, too."""

MOST_CHARACTERS = 255
"""Characters of a name that are used."""


class Description(NamedTuple):
    """Description of a model in the catalog.

    Attributes:
        name: of the repository, owner/name or name.
        parameters: parameter count; None where unknown.
        family: of the architecture, such as llama; None where unknown.
        task: such as text-generation; None where unknown.
        tags: of the repository.
        created: days since any fixed day; None where unknown.
        parents: models that it was derived from.
    """

    name: str
    parameters: int | None = None
    family: str | None = None
    task: str | None = None
    tags: Sequence[str] = ()
    created: float | None = None
    parents: Sequence[ParentLink] = ()

    @property
    def author(self) -> str:
        """Owner of the repository, in lower case; empty where the name has none."""
        owner, slash, _ = self.name.partition("/")
        return owner.lower() if slash else ""

    @property
    def title(self) -> str:
        """The name without its owner."""
        return self.name.rpartition("/")[2][:MOST_CHARACTERS]


@dataclass(frozen=True, slots=True, eq=False)
class FeatureBlocks:
    """Features of n models. Rows of sparse blocks have norm 1, or 0 where nothing is known.

    Attributes:
        metadata: n x WIDTH: size, family, task, tags (SimRMF, appendix A.1).
        pieces: n x WIDTH: TF-IDF of the names' n-grams of 2 to 5 characters.
        words: n x WIDTH: TF-IDF of the names' words.
        profiles: n x WIDTH: TF-IDF of the words of all models of the author.
        lineage: n x ANCESTRY_WIDTH: the model and its ancestors, by the weight of the path.
        authors: int64, n: hashes of authors; 0 for none.
        families: int64, n: hashes of families, stated or else read from the name; 0 for none.
        sizes: float64, n: log2 of the parameter count; nan where unknown.
        dates: float64, n: days; nan where unknown.
    """

    metadata: csr_array
    pieces: csr_array
    words: csr_array
    profiles: csr_array
    lineage: csr_array
    authors: Codes
    families: Codes
    sizes: Reals
    dates: Reals

    def __len__(self) -> int:
        return len(self.sizes)

    def rows(self, which: NDArray[np.intp]) -> "FeatureBlocks":
        """Return the features of a subset of the models."""
        return FeatureBlocks(*(getattr(self, name)[which] for name in FeatureBlocks.__slots__))


def _log_sizes(stated: Sequence[int | None], named: Sequence[int | None]) -> Reals:
    """Return log2 of parameter counts; nan where unknown.

    A stated count that is not positive, too large, or far from that in the name is replaced by the
    name's.
    """
    known, in_names = (
        np.array([np.nan if count is None else count for count in counts], np.float64)
        for counts in (stated, named)
    )
    known[~((known > 0) & (known <= MOST_PARAMETERS))] = np.nan
    ratio = known / in_names
    known[(ratio < 1 / CONTRADICTION) | (ratio > CONTRADICTION)] = np.nan
    return np.log2(np.where(np.isnan(known), in_names, known))


@dataclass(frozen=True, slots=True, eq=False)
class Featurizer:
    """Function from descriptions to feature blocks, fitted to the statistics of a catalog.

    Attributes:
        pieces: float64, WIDTH: inverse document frequencies of n-grams of names.
        words: float64, WIDTH: likewise of words.
        families: families that the catalog states.
        authors: row of each author in `profiles`.
        profiles: authors x WIDTH.
        ancestry: lineage of the catalog.
    """

    pieces: Reals
    words: Reals
    families: frozenset[str]
    authors: Mapping[str, int]
    profiles: csr_array
    ancestry: Ancestry = field(default_factory=Ancestry)

    @classmethod
    def of(cls, catalog: Iterable[Sequence[Description]]) -> "Featurizer":
        """Fit to a catalog, read in batches.

        Args:
            catalog: all models, evaluated or not, since no outcomes are used.
        """
        statistics = CorpusStatistics()
        for batch in catalog:
            add_models(statistics, batch)
        return cls.fitted(statistics)

    @classmethod
    def fitted(cls, statistics: CorpusStatistics) -> "Featurizer":
        """Return the featurizer of a catalog's statistics."""
        of_ngrams, of_words = statistics.idf()
        return cls(
            of_ngrams,
            of_words,
            frozenset(statistics.families),
            statistics.authors,
            _profiles(statistics, of_words),
            statistics.ancestry(),
        )

    def within(self, models: Sequence[Description]) -> "Featurizer":
        """Return one with the authors and lineage of these models only, and the same weights."""
        statistics = CorpusStatistics()
        add_models(statistics, models)
        return replace(
            self,
            authors=statistics.authors,
            profiles=_profiles(statistics, self.words),
            ancestry=statistics.ancestry(),
        )

    def blocks(self, models: Sequence[Description]) -> FeatureBlocks:
        """Return the features of models, which need not be of the catalog."""
        titles = [model.title for model in models]
        authors = [model.author for model in models]
        of_titles = words(titles)
        families = self._families(models, of_titles)
        named = parameters_in_names([model.name for model in models])
        sizes = _log_sizes([model.parameters for model in models], named)
        keys = np.unique(of_titles.owners << BITS | of_titles.codes)
        profiles = np.array([self.authors.get(author, -1) for author in authors], np.int64)
        return FeatureBlocks(
            metadata=_metadata(models, families, sizes),
            pieces=_unit(_scaled(ngram_rows(titles), self.pieces)),
            words=_unit(_scaled(rows_of(keys, np.ones(len(keys)), len(models)), self.words)),
            profiles=_picked(self.profiles, profiles),
            lineage=self._lineage(models),
            authors=np.array([_code(author) for author in authors], np.int64),
            families=np.array([_CODES[family] for family in families], np.int64),
            sizes=sizes,
            dates=np.array(
                [np.nan if model.created is None else model.created for model in models], np.float64
            ),
        )

    def _families(self, models: Sequence[Description], of_titles: Words) -> list[str]:
        """Return the stated families, else the first word of the name that is a family."""
        families = [model.family.lower() if model.family else "" for model in models]
        if all(families):
            return families
        texts, places = of_titles.texts, of_titles.places
        known = np.fromiter(map(self.families.__contains__, texts), bool, len(texts))[places]
        owners, first = np.unique(of_titles.owners[known], return_index=True)
        for owner, place in zip(owners.tolist(), places[known][first].tolist(), strict=True):
            families[owner] = families[owner] or texts[place]
        return families

    def _lineage(self, models: Sequence[Description]) -> csr_array:
        keys = keys_of([model.name for model in models])
        derived = np.array([bool(model.parents) for model in models], bool)
        new = np.flatnonzero(derived & ~self.ancestry.has_parents(keys))
        ancestry = self.ancestry
        if len(new):
            parents = {models[place].name: models[place].parents for place in new.tolist()}
            ancestry = ancestry.joined(Edges.of(parents, ancestry.relations))
        pairs = ancestry.ancestors(keys)
        columns = (pairs.keys >> np.uint64(64 - ANCESTRY_BITS)).astype(np.int64)
        places = pairs.rows << ANCESTRY_BITS | columns
        # Of two ancestors in one column the heavier counts.
        order = np.lexsort((-pairs.weights, places))
        order = order[np.diff(places[order], prepend=-1) > 0]
        return _unit(rows_of(places[order], pairs.weights[order], len(models), ANCESTRY_BITS))


def add_models(statistics: CorpusStatistics, models: Sequence[Description]) -> None:
    """Add models to the statistics of a catalog."""
    statistics.add(
        [model.title for model in models],
        [model.author for model in models],
        {model.family.lower() for model in models if model.family},
        {model.name: model.parents for model in models if model.parents},
    )


def _profiles(statistics: CorpusStatistics, idf: Reals) -> csr_array:
    keys, counts = statistics.profiles(idf)
    rows = rows_of(keys, counts.astype(np.float64), len(statistics.authors))
    return _unit(_scaled(rows, idf))


def _metadata(models: Sequence[Description], families: Sequence[str], sizes: Reals) -> csr_array:
    """Return SimRMF's features: log2(millions of parameters) / 12 beside indicators."""
    first = range(0, len(models) << BITS, WIDTH)
    keys = [
        row + _TAGS[tag]
        for row, model in zip(first, models, strict=True)
        for tag in model.tags
        if ":" not in tag
    ]
    keys += [row + _FAMILIES[each] for row, each in zip(first, families, strict=True) if each]
    keys += [
        row + _TASKS[model.task] for row, model in zip(first, models, strict=True) if model.task
    ]
    sized = np.flatnonzero(~np.isnan(sizes))
    values = np.concatenate([
        np.ones(len(keys)), np.maximum(sizes[sized] - np.log2(1e6), 0.0) / 12
    ])  # fmt: skip
    places = np.concatenate([np.array(keys, np.int64), (sized << BITS) + hashed("size")])
    order = np.argsort(places, kind="stable")
    # The size comes last: in a shared column, it counts.
    order = order[np.diff(places[order], append=-1) != 0]
    return _unit(rows_of(places[order], values[order], len(models)))


def _code(text: str) -> int:
    return crc32(text.encode("utf-8", "replace")) + 1 if text else 0


_TAGS: Memo[int] = Memo(lambda tag: hashed(f"tag:{tag.lower()}"), most=200_000)
_TASKS: Memo[int] = Memo(lambda task: hashed(f"task:{task}"))
_FAMILIES: Memo[int] = Memo(lambda family: hashed(f"family:{family}"))
_CODES: Memo[int] = Memo(_code)


def _scaled(block: csr_array, weights: Reals) -> csr_array:
    return csr_array(
        (block.data * weights[block.indices], block.indices, block.indptr), block.shape
    )


def _unit(block: csr_array) -> csr_array:
    """Scale rows to norm 1; a row without entries stays as it is."""
    counts = np.diff(block.indptr)
    squares = np.bincount(
        np.repeat(np.arange(len(counts)), counts), block.data**2, minlength=len(counts)
    )
    scale = 1 / np.sqrt(np.where(squares > 0, squares, 1))
    values = block.data * np.repeat(scale, counts)
    return csr_array((values, block.indices, block.indptr), block.shape)


def _picked(block: csr_array, places: Codes) -> csr_array:
    """Return rows by their indices; an empty row for -1."""
    rows = np.flatnonzero(places >= 0)
    picks = csr_array(
        (np.ones(len(rows)), (rows, places[rows])), shape=(len(places), block.shape[0])
    )
    return csr_array(picks @ block)
