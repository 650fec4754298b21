"""Records of models -> blocks of features, hashed so that blocks made apart fit together.

METHODS.md section 2 has size, architecture, task and tags, as one vector of length 1; names,
authors, families, dates and lineage are more that a catalog tells. Every text is hashed to one of
`WIDTH` columns: a block of a million models needs no dictionary, and a feature that was never seen
in learning, or that vanished, is a column that nothing else has.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple
from zlib import crc32

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from registry.coerce import Memo
from registry.hub.parameters import parameters_in_name, parameters_in_names
from registry.learning.coldstart.corpus import Census
from registry.learning.coldstart.lineage_kernel import Ancestry, Edges, Kin, keys_of
from registry.learning.coldstart.ngrams import (
    BITS,
    WIDTH,
    Codes,
    Reals,
    Words,
    hashed,
    pieces,
    rows_of,
    words,
)

__all__ = ["WIDTH", "Blocks", "Codes", "Describer", "Description", "Reals", "log_size"]

ANCESTRY_BITS = 24
ANCESTRY_WIDTH = 1 << ANCESTRY_BITS
"""Columns of lineage: a million names hashed to fewer would make strangers relatives."""

MOST_PARAMETERS = 5e12
"""More weights than these are taken for a mistake, as in names."""

CONTRADICTION = 64.0
"""A stated number of weights this many times off the one in the name is a mistake, too."""

MOST_CHARACTERS = 255
"""Characters of a name that are looked at."""


class Description(NamedTuple):
    """What the catalog says of a model.

    Attributes:
        name: of the repository, owner/name or name.
        parameters: number of weights; None where unknown.
        family: of the architecture, such as llama; None where unknown.
        task: such as text-generation; None where unknown.
        tags: further features; None of them is needed.
        created: days since any fixed day; None where unknown.
        parents: models it was made from, and how.
    """

    name: str
    parameters: int | None = None
    family: str | None = None
    task: str | None = None
    tags: Sequence[str] = ()
    created: float | None = None
    parents: Sequence[Kin] = ()

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
class Blocks:
    """Features of n models. Rows of sparse blocks have norm 1, or 0 where nothing is known.

    Attributes:
        metadata: n x WIDTH: size, family, task, tags (SimRMF, appendix A.1).
        pieces: n x WIDTH: pieces of 2 to 5 characters of names, by TF-IDF.
        words: n x WIDTH: words of names, by TF-IDF.
        profiles: n x WIDTH: words of all models of the author.
        lineage: n x ANCESTRY_WIDTH: ancestors and the model itself, by the weight of the path.
        authors: int64, n: hashes of authors; 0 for none.
        families: int64, n: hashes of families, read from the name where not stated; 0 for none.
        sizes: float64, n: log2 of the number of weights; nan where unknown.
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

    def rows(self, which: NDArray[np.intp]) -> "Blocks":
        """Return the features of some of the models."""
        return Blocks(*(getattr(self, name)[which] for name in Blocks.__slots__))


def log_size(model: Description) -> float:
    """Return log2 of the number of weights, nan where unknown or not to be believed.

    A number that is none, too large, or far from what the name says gives way to the name's.
    """
    return float(_log_sizes([model.parameters], [parameters_in_name(model.name)])[0])


def _log_sizes(stated: Sequence[int | None], named: Sequence[int | None]) -> Reals:
    known, told = (
        np.array([np.nan if each is None else each for each in some], np.float64)
        for some in (stated, named)
    )
    known[~((known > 0) & (known <= MOST_PARAMETERS))] = np.nan
    apart = known / told
    known[(apart < 1 / CONTRADICTION) | (apart > CONTRADICTION)] = np.nan
    return np.log2(np.where(np.isnan(known), told, known))


@dataclass(frozen=True, slots=True, eq=False)
class Describer:
    """Makes blocks; knows of the whole catalog how rare pieces and words are, and its authors.

    Attributes:
        pieces: float64, WIDTH: weights of pieces of names.
        words: float64, WIDTH: weights of words.
        families: families that the catalog states.
        authors: row of each author in the profiles.
        profiles: authors x WIDTH.
        kinship: ancestors of any model of the catalog.
    """

    pieces: Reals
    words: Reals
    families: frozenset[str]
    authors: Mapping[str, int]
    profiles: csr_array
    kinship: Ancestry = field(default_factory=Ancestry)

    @classmethod
    def of(cls, catalog: Iterable[Sequence[Description]]) -> "Describer":
        """Learn from a catalog, which comes in parts; a part is only held as it is read.

        Args:
            catalog: all models, evaluated or not. Outcomes play no role.
        """
        census = Census()
        for part in catalog:
            count(census, part)
        return cls.learned(census)

    @classmethod
    def learned(cls, census: Census) -> "Describer":
        """Return what a census of the catalog tells."""
        rarity, told = census.rarity()
        return cls(
            rarity,
            told,
            frozenset(census.families),
            census.authors,
            _profiles(census, told),
            census.ancestry(),
        )

    def within(self, models: Sequence[Description]) -> "Describer":
        """Return one that knows authors and lineage of these models alone, by the same rarities."""
        census = Census()
        count(census, models)
        return replace(
            self,
            authors=census.authors,
            profiles=_profiles(census, self.words),
            kinship=census.ancestry(),
        )

    def blocks(self, models: Sequence[Description]) -> Blocks:
        """Return the features of some models; they need not be of the catalog."""
        titles = [model.title for model in models]
        authors = [model.author for model in models]
        told = words(titles)
        families = self._families(models, told)
        names = parameters_in_names([model.name for model in models])
        sizes = _log_sizes([model.parameters for model in models], names)
        keys = np.unique(told.owners << BITS | told.codes)
        known = np.array([self.authors.get(author, -1) for author in authors], np.int64)
        return Blocks(
            metadata=_metadata(models, families, sizes),
            pieces=_unit(_scaled(pieces(titles), self.pieces)),
            words=_unit(_scaled(rows_of(keys, np.ones(len(keys)), len(models)), self.words)),
            profiles=_picked(self.profiles, known),
            lineage=self._lineage(models),
            authors=np.array([_code(author) for author in authors], np.int64),
            families=np.array([_CODES[family] for family in families], np.int64),
            sizes=sizes,
            dates=np.array(
                [np.nan if model.created is None else model.created for model in models], np.float64
            ),
        )

    def _families(self, models: Sequence[Description], told: Words) -> list[str]:
        """Return families, by the first word of the name that is one if it is not stated."""
        found = [model.family.lower() if model.family else "" for model in models]
        if all(found):
            return found
        known = np.fromiter(map(self.families.__contains__, told.texts), bool, len(told.texts))
        known = known[told.places]
        owners, first = np.unique(told.owners[known], return_index=True)
        for owner, place in zip(owners.tolist(), told.places[known][first].tolist(), strict=True):
            found[owner] = found[owner] or told.texts[place]
        return found

    def _lineage(self, models: Sequence[Description]) -> csr_array:
        keys = keys_of([model.name for model in models])
        made = np.array([bool(model.parents) for model in models], bool)
        strange = np.flatnonzero(made & ~self.kinship.knows(keys))
        kinship = self.kinship
        if len(strange):
            some = {models[place].name: models[place].parents for place in strange.tolist()}
            kinship = kinship.joined(Edges.of(some, kinship.relations))
        found = kinship.ancestors(keys)
        columns = (found.keys >> np.uint64(64 - ANCESTRY_BITS)).astype(np.int64)
        places = found.rows << ANCESTRY_BITS | columns
        # Of two in one column the nearer one.
        order = np.lexsort((-found.weights, places))
        order = order[np.diff(places[order], prepend=-1) > 0]
        return _unit(rows_of(places[order], found.weights[order], len(models), ANCESTRY_BITS))


def count(census: Census, models: Sequence[Description]) -> None:
    """Add some models to a census."""
    census.add(
        [model.title for model in models],
        [model.author for model in models],
        {model.family.lower() for model in models if model.family},
        {model.name: model.parents for model in models if model.parents},
    )


def _profiles(census: Census, rarity: Reals) -> csr_array:
    keys, times = census.profiles(rarity)
    return _unit(_scaled(rows_of(keys, times.astype(np.float64), len(census.authors)), rarity))


def _metadata(models: Sequence[Description], families: Sequence[str], sizes: Reals) -> csr_array:
    """Return METHODS.md's features: log2(millions of weights) / 12 beside ones."""
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
    # The size comes last: in a column that it shares, it is what counts.
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
    """Return rows by their places; an empty row for -1."""
    there = np.flatnonzero(places >= 0)
    pick = csr_array(
        (np.ones(len(there)), (there, places[there])), shape=(len(places), block.shape[0])
    )
    return csr_array(pick @ block)
