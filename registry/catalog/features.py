"""Feature vectors of models, for similarity.

They are written twice: here, for an initial load (14 us a model; 150 in SQL), and in view
`registry.features`, for people to read. A test holds them to the same results.
"""

import hashlib
import math
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import orjson

from registry.coerce import Memo
from registry.enums import FEATURE_DIMENSIONS

SIZE = 1
"""First of the dimensions of the size, SIZES in number.

All other features are hashed to dimensions from 2; those of the size among them are not used.
"""

SIZES = 18
"""Dimensions of the size: one for each half of a power of ten, from under a million weights."""

SIZE_SHARE = 0.3
"""Share of the size in the similarity of two models whose sizes are known.

The rest is the cosine of their other features. Models of one kind with 3 times the weights are
0.8 to 0.85 alike, with 10 times 0.70 to 0.71; where one's size is not known 0.84. Of the 10 models
nearest to one of 200 Hub records, 12% had 5 times its weights or a fifth; now 0.2%.
"""

MOST_TAGS = 200

_VERSION = re.compile(r"([_-]v|[_-]|V)?[0-9].*$", re.DOTALL)
_CLASS_SUFFIX = re.compile(r"(For[A-Z].*|LMHeadModel|Model|HeadModel)$", re.DOTALL)
_SHORTEST_FAMILY = 3


class Traits(NamedTuple):
    """Columns of `store.models` that the features of a model are computed from."""

    parameters: int | None
    model_type: str | None
    architectures: Sequence[str]
    pipeline_tag: str | None
    tags: Sequence[str]


class FeatureSet(NamedTuple):
    """The features of a model as a vector of length 1.

    Attributes:
        fingerprint: the same for the same features, 32 hexadecimal digits.
        vector: in pgvector's text form of a sparse vector.
    """

    fingerprint: str
    vector: str


@lru_cache(maxsize=200_000)
def dimension(feature: str) -> int:
    """Return the dimension, from 2, that a feature's name is hashed to.

    Of 100,000 features one in 168 shares its dimension with another.
    """
    digest = hashlib.blake2b(feature.encode(), digest_size=8).digest()
    return 2 + int.from_bytes(digest) % (FEATURE_DIMENSIONS - 1)


@lru_cache(maxsize=10_000)
def architecture_family(model_type: str | None, architecture: str | None) -> str | None:
    """Return a model type without its version, as `store.architecture_family` does."""
    if model_type is not None:
        whole = model_type.lower()
    elif architecture is not None:
        whole = _CLASS_SUFFIX.sub("", architecture, count=1)
    else:
        return None
    short = _VERSION.sub("", whole, count=1)
    return (short if len(short) >= _SHORTEST_FAMILY else whole).lower() or None


def feature_set(traits: Traits) -> FeatureSet | None:
    """Return the features of a model (SimRMF, appendix A.1), None where there are none.

    The size is log2(millions of weights, at least 1) / 12, rounded to two decimals, a step of 9%,
    so that models of one design share it. In SimRMF it is one coordinate, which hardly tells a
    model from one ten times as large; here it is SIZE_SHARE of the vector, on dimensions that sizes
    share the more the nearer they are (see `_size_weights`). All others are present or absent.
    """
    size = None
    if traits.parameters is not None and traits.parameters > 0:
        size = round(math.log2(max(traits.parameters / 1e6, 1)) / 12, 2)
    dimensions = sorted(_dimensions(traits) - _SIZE_DIMENSIONS)
    if size is None and not dimensions:
        return None
    # A quarter of the time that formatting in Python takes.
    listed = orjson.dumps(dimensions)
    fingerprint = hashlib.blake2b(b"2:%r:%b" % (size, listed), digest_size=16).hexdigest()
    entries = []
    if size is not None:
        share = SIZE_SHARE if dimensions else 1.0
        entries += [f"{place}:{math.sqrt(share) * each:.7g}" for place, each in _size_weights(size)]
    if dimensions:
        share = 1.0 if size is None else 1 - SIZE_SHARE
        one = f":{math.sqrt(share / len(dimensions)):.7g}"
        entries.append(f"{one},".join(listed[1:-1].decode().split(",")) + one)
    return FeatureSet(fingerprint, f"{{{','.join(entries)}}}/{FEATURE_DIMENSIONS}")


@lru_cache(maxsize=1_000)
def _size_weights(size: float) -> tuple[tuple[int, float], ...]:
    """Return the dimensions of a size, and its coordinates there, a vector of length 1.

    They are the three quadratic B-splines, half a power of ten apart, that are not 0 at it: the
    product of two sizes is 0.3 to 0.5 at half a power of ten, 0.03 at most at one, then 0.
    """
    place = min(2 * 12 * math.log10(2) * size, SIZES - 3)
    middle = round(place)
    offset = place - middle
    splines = (0.5 - offset) ** 2 / 2, 0.75 - offset**2, (0.5 + offset) ** 2 / 2
    length = math.hypot(*splines)
    weights = ((SIZE + middle + number, each / length) for number, each in enumerate(splines))
    return tuple((dimension, each) for dimension, each in weights if each > 0)


_SIZE_DIMENSIONS = frozenset(range(SIZE, SIZE + SIZES))


def _dimensions(traits: Traits) -> set[int]:
    first = traits.architectures[0] if traits.architectures else None
    family = architecture_family(traits.model_type, first)
    task = traits.pipeline_tag
    dimensions = set(map(_TAG_DIMENSION.__getitem__, traits.tags[:MOST_TAGS]))
    dimensions.discard(_NOTHING)
    # A tag that repeats the family or the task is no feature of its own.
    if family is not None:
        dimensions.discard(_named("tag", family))
    if task is not None:
        dimensions.discard(_named("tag", task))
        dimensions.add(_named("task", task))
    if family is not None:
        dimensions.add(_named("architecture", family))
    return dimensions


@lru_cache(maxsize=20_000)
def _named(kind: str, name: str) -> int:
    return dimension(f"{kind}:{name}")


def _tag_dimension(tag: str) -> int:
    """Return the dimension of a tag, _NOTHING if it is no feature."""
    if ":" in tag or tag.endswith("_compatible"):
        return _NOTHING
    return dimension(f"tag:{tag.lower()}")


_NOTHING = 0

_TAG_DIMENSION = Memo(_tag_dimension)
