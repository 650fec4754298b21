"""What generated models are called: authors, repositories, and what a family shares."""

from functools import cache, lru_cache

import numpy as np

from generated_hub.vocabulary import (
    FINETUNE_SUFFIXES,
    KINDS,
    LICENSES,
    MERGE_METHODS,
    QUANTIZATIONS,
    Kind,
)
from registry.demo.draws import (
    ADAPTER,
    BLOCK,
    MERGE,
    QUANTIZED,
    ROOT,
    Numbers,
    heavy,
    kinds,
    shares,
)

_SYLLABLES = [c + v for c in "bdfgklmnprstvzjh" for v in "aeio"]
_PAIRS = [first + second for first in _SYLLABLES for second in _SYLLABLES]
_KIND_ENDS = np.cumsum([kind.weight for kind in KINDS]) / sum(kind.weight for kind in KINDS)
_LICENSE_ENDS = np.cumsum([weight for _, weight in LICENSES]) / sum(w for _, w in LICENSES)


@lru_cache(maxsize=1 << 15)
def word(number: int) -> str:
    """Return a pronounceable word for a number, a different one for each."""
    bits = 24 if number < 1 << 24 else 48
    mask = (1 << bits) - 1
    # Odd factors and shifts permute the numbers of so many bits: no two give one word.
    mixed = (number + 0x3C6EF372) * 0x5DEECE66D & mask
    mixed = (mixed ^ mixed >> bits // 2) * 0x2545F4914F6CDD1D & mask
    if bits == 24:
        return _PAIRS[mixed >> 12] + _PAIRS[mixed & 4095]
    return "".join(_PAIRS[mixed >> shift & 4095] for shift in (0, 12, 24, 36))


def authors(numbers: Numbers, seed: int) -> Numbers:
    """Return an author number for each model: ever more authors, and a few with many models."""
    known = 40 + numbers // 4
    even = np.floor(shares(numbers, seed, 15) * known).astype(np.int64)
    return np.where(shares(numbers, seed, 16) < 0.6, even, heavy(shares(numbers, seed, 17), known))


@lru_cache(maxsize=1 << 15)
def author_name(number: int) -> str:
    """Return the name of an author, a different one for each number."""
    name = word(number)
    style = number % 7
    if style == 0:
        return f"{name.title()}AI"
    return name.title() if style < 3 else f"{name}{number % 90 + 10}" if style == 3 else name


@cache
def _size_label(parameters: int) -> str:
    billions = parameters / 1e9
    return f"{billions:.0f}B" if billions >= 3 else f"{billions:.1f}B" if billions >= 1 else ""


def _repository(number: int, root: int, made: int, kind: Kind, size: int) -> str:
    own = word(number).title()
    label = _size_label(size)
    if made == ROOT:
        flavour = kind.architectures[0].partition(":")[0] if kind.architectures else kind.library
        return f"{own}-{label}" if label else f"{flavour}-{own.lower()}"
    stem = "-".join(filter(None, (word(root).title(), label)))
    if made == QUANTIZED:
        return f"{stem}-{own}-{QUANTIZATIONS[number % len(QUANTIZATIONS)]}"
    if made == ADAPTER:
        return f"{own.lower()}-{stem}-lora"
    if made == MERGE:
        return f"{own}-{label or 'merge'}-{MERGE_METHODS[number % len(MERGE_METHODS)]}"
    return f"{stem}-{own}-{FINETUNE_SUFFIXES[number % len(FINETUNE_SUFFIXES)]}"


class Families:
    """What the members of a family share, and the names of any models, for one batch."""

    def __init__(self, numbers: Numbers, roots: Numbers, seed: int) -> None:
        self._made = dict(zip(numbers.tolist(), kinds(numbers, seed).tolist(), strict=True))
        self._author = dict(zip(numbers.tolist(), authors(numbers, seed).tolist(), strict=True))
        unique = np.unique(roots)
        chosen = np.searchsorted(_KIND_ENDS, shares(unique, seed, 18), side="right")
        # The roots with most descendants are language models, as on the Hub.
        chosen = np.where(unique < BLOCK, 0, chosen)
        place, licenses = shares(unique, seed, 19), shares(unique, seed, 20)
        license_at = np.searchsorted(_LICENSE_ENDS, licenses, side="right")
        self._family: dict[int, tuple[Kind, int, str, str | None]] = {}
        for root, at, share, license_id in zip(
            unique.tolist(), chosen.tolist(), place.tolist(), license_at.tolist(), strict=True
        ):
            kind = KINDS[at]
            size = kind.sizes[int(share**1.5 * len(kind.sizes))] if kind.sizes else 0
            shape = kind.architectures and kind.architectures[root % len(kind.architectures)]
            self._family[root] = (kind, size, shape or "", LICENSES[license_id][0])

    def of(self, root: int) -> tuple[Kind, int, str, str | None]:
        """Return kind, parameters, `type:Class` and licence of a family."""
        return self._family[root]

    def name(self, number: int, root: int) -> str:
        """Return the name of a model of that family."""
        kind, size, _, _ = self._family[root]
        repository = _repository(number, root, self._made[number], kind, size)
        return f"{author_name(self._author[number])}/{repository}"
