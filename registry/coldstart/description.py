"""Records of models -> blocks of features, hashed so that blocks made apart fit together.

METHODS.md section 2 has size, architecture, task and tags, as one vector of length 1; names,
authors, families, dates and lineage are more that a catalog tells. Every text is hashed to one of
`WIDTH` columns: a block of a million models needs no dictionary, and a feature that was never seen
in learning, or that vanished, is a column that nothing else has.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple, TypeAlias
from zlib import crc32

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from registry.coldstart.kinship import Kin, Kinship
from registry.values import Memo
from registry.weights import parameters_in_name

Reals: TypeAlias = NDArray[np.float64]
Codes: TypeAlias = NDArray[np.int64]

WIDTH = 1 << 18
"""Columns of each hashed block."""

ANCESTRY_WIDTH = 1 << 24
"""Columns of lineage: a million names hashed to fewer would make strangers relatives."""

LONGEST = 5
"""Characters of the longest pieces of names; the shortest have 2."""

MOST_PARAMETERS = 5e12
"""More weights than these are taken for a mistake, as in names."""

CONTRADICTION = 64.0
"""A stated number of weights this many times off the one in the name is a mistake, too."""

MOST_WORDS = 64
"""Words kept of an author, the most telling; who has published thousands of models has all."""

MOST_CHARACTERS = 255
"""Characters of a name that are looked at."""

_WORD = re.compile(r"\d+x\d+b?|\d+(?:\.\d+)?b(?![a-z])|[a-z]+|\d+(?:\.\d+)?")
_HUMP = re.compile(r"([a-z])([A-Z])")
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_STEP = np.uint64(1_000_003)


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
    named = parameters_in_name(model.name)
    stated = model.parameters
    if stated is not None and not 0 < stated <= MOST_PARAMETERS:
        stated = None
    if stated and named and not 1 / CONTRADICTION <= stated / named <= CONTRADICTION:
        stated = None
    believed = stated or named
    return float(np.log2(believed)) if believed else float("nan")


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
    kinship: Kinship = field(default_factory=Kinship)

    @classmethod
    def of(cls, catalog: Iterable[Sequence[Description]]) -> "Describer":
        """Learn from a catalog, which comes in parts; a part is only held as it is read.

        Args:
            catalog: all models, evaluated or not. Outcomes play no role.
        """
        pieces, words, count = np.zeros(WIDTH), np.zeros(WIDTH), 0
        families: set[str] = set()
        authors: dict[str, int] = {}
        tallies: list[Counter[int]] = []
        parents: dict[str, Sequence[Kin]] = {}
        for part in catalog:
            count += len(part)
            pieces += _columns_met(_pieces([model.title for model in part]))
            for model in part:
                told = _WORDS_OF[model.title]
                words[list(told)] += 1
                if model.family:
                    families.add(model.family.lower())
                if model.author:
                    place = authors.setdefault(model.author, len(tallies))
                    if place == len(tallies):
                        tallies.append(Counter())
                    tallies[place].update(told)
                if model.parents:
                    parents[model.name.lower()] = model.parents
        words = _rarity(words, count)
        profiles = _rows([_telling(tally, words) for tally in tallies])
        return cls(
            _rarity(pieces, count),
            words,
            frozenset(families),
            authors,
            _unit(_scaled(profiles, words)),
            Kinship(parents),
        )

    def within(self, models: Sequence[Description]) -> "Describer":
        """Return one that knows authors and lineage of these models alone, by the same rarities."""
        tallies: dict[str, Counter[int]] = {}
        for model in models:
            if model.author:
                tallies.setdefault(model.author, Counter()).update(_WORDS_OF[model.title])
        profiles = _rows([_telling(tally, self.words) for tally in tallies.values()])
        return replace(
            self,
            authors={author: row for row, author in enumerate(tallies)},
            profiles=_unit(_scaled(profiles, self.words)),
            kinship=Kinship({model.name.lower(): model.parents for model in models}),
        )

    def blocks(self, models: Sequence[Description]) -> Blocks:
        """Return the features of some models; they need not be of the catalog."""
        known = [self.authors.get(model.author, -1) for model in models]
        families = [self._family(model) for model in models]
        sizes = np.array([log_size(model) for model in models], np.float64)
        words = _rows([dict.fromkeys(_WORDS_OF[model.title], 1) for model in models])
        return Blocks(
            metadata=_metadata(models, families, sizes),
            pieces=_unit(_scaled(_pieces([model.title for model in models]), self.pieces)),
            words=_unit(_scaled(words, self.words)),
            profiles=_picked(self.profiles, np.array(known, np.int64)),
            lineage=_unit(_rows([self._ancestors(model) for model in models], ANCESTRY_WIDTH)),
            authors=np.array([_CODES[model.author] for model in models], np.int64),
            families=np.array([_CODES[family] for family in families], np.int64),
            sizes=sizes,
            dates=np.array(
                [np.nan if model.created is None else model.created for model in models], np.float64
            ),
        )

    def _family(self, model: Description) -> str:
        """Return the family, by the first word of the name that is one if it is not stated."""
        if model.family:
            return model.family.lower()
        told = _WORD.findall(_HUMP.sub(r"\1 \2", model.title).lower())
        return next((word for word in told if word in self.families), "")

    def _ancestors(self, model: Description) -> dict[int, float]:
        found: dict[int, float] = {}
        for name, weight in self.kinship.ancestors(model.name, model.parents).items():
            column = crc32(name.encode("utf-8", "replace")) % ANCESTRY_WIDTH
            found[column] = max(found.get(column, 0.0), weight)
        return found


def _telling(tally: Counter[int], rarity: Reals) -> dict[int, float]:
    """Return the words of an author that weigh most."""
    if len(tally) <= MOST_WORDS:
        return dict(tally)
    ranked = sorted(tally.items(), key=lambda each: (-each[1] * rarity[each[0]], each[0]))
    return dict(ranked[:MOST_WORDS])


def _metadata(models: Sequence[Description], families: Sequence[str], sizes: Reals) -> csr_array:
    """Return METHODS.md's features: log2(millions of weights) / 12 beside ones."""
    rows = []
    for model, family, size in zip(models, families, sizes, strict=True):
        row = {_TAGS[tag]: 1.0 for tag in model.tags if ":" not in tag}
        if family:
            row[_HASHES[f"family:{family}"]] = 1.0
        if model.task:
            row[_HASHES[f"task:{model.task}"]] = 1.0
        if not np.isnan(size):
            row[_HASHES["size"]] = max(float(size) - np.log2(1e6), 0.0) / 12
        rows.append(row)
    return _unit(_rows(rows))


def _hashed(text: str) -> int:
    return crc32(text.encode("utf-8", "replace")) % WIDTH


_HASHES: Memo[int] = Memo(_hashed)
_TAGS: Memo[int] = Memo(lambda tag: _hashed(f"tag:{tag.lower()}"))


def _words(title: str) -> tuple[int, ...]:
    told = _WORD.findall(_HUMP.sub(r"\1 \2", title).lower())
    return tuple({_hashed(word) for word in told})


_WORDS_OF: Memo[tuple[int, ...]] = Memo(_words)
_CODES: Memo[int] = Memo(lambda text: crc32(text.encode("utf-8", "replace")) + 1 if text else 0)


def _pieces(titles: Sequence[str]) -> csr_array:
    """Return 1 + log of how often each piece of a title comes, n x WIDTH.

    All titles are one line of bytes, so that each length of piece is one sum over it.
    """
    line = "\0".join(titles).lower().encode("utf-8", "replace")
    letters = np.frombuffer(line + b"\0", np.uint8)
    owner = np.cumsum(letters == 0) - (letters == 0)
    rows, columns = [], []
    value = letters.astype(np.uint64)
    for length in range(2, LONGEST + 1):
        value = value[:-1] * _STEP + letters[length - 1 :]
        if not len(value):
            break
        whole = owner[: len(value)] == owner[length - 1 :]
        whole &= letters[length - 1 :] != 0
        mixed = (value[whole] + np.uint64(length)) * _GOLDEN
        rows.append(owner[: len(value)][whole])
        columns.append((mixed >> np.uint64(46)).astype(np.int64))
    row = np.concatenate([np.zeros(0, np.int64), *rows])
    column = np.concatenate([np.zeros(0, np.int64), *columns])
    made = csr_array((np.ones(len(row)), (row, column)), shape=(len(titles), WIDTH))
    made.sum_duplicates()
    made.data = 1 + np.log(made.data)
    return made


def _columns_met(block: csr_array) -> Reals:
    return np.bincount(block.indices, minlength=WIDTH).astype(np.float64)


def _rarity(met: Reals, count: int) -> Reals:
    """Return the weights of columns: log((1 + n) / (1 + models that have it)) + 1."""
    weights: Reals = np.log((1 + count) / (1 + met)) + 1
    return weights


def _rows(rows: Sequence[Mapping[int, float]], width: int = WIDTH) -> csr_array:
    starts = np.cumsum([0, *map(len, rows)])
    columns = np.fromiter((column for row in rows for column in row), np.int64, starts[-1])
    values = np.fromiter((value for row in rows for value in row.values()), np.float64, starts[-1])
    return csr_array((values, columns, starts), shape=(len(rows), width))


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
