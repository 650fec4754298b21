"""Features of items' texts beside the encoder's vectors: surface traits and words."""

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, hstack

TRAITS = (
    "length of the prompt, log(1 + characters)",
    "number of choices",
    "digits in the prompt, log(1 + count)",
    "signs of formulas in the prompt, log(1 + count)",
    "mean length of a choice, log(1 + characters)",
    "share of the choices that are numbers",
    "words of the prompt, log(1 + count)",
    "whether the prompt has more than four lines",
)
"""Columns of the traits."""

WORDS = 1 << 22
"""Columns of hashed words, and of hashed character n-grams."""

LEAST_TEXTS = 3
"""Words of fewer texts are left out."""

_NUMBER = re.compile(r"[\s\-\d.,eE$%\\^{}/+()]*[a-zA-Z%/^\d ]{0,12}")
_LONGEST = 20_000
"""Characters of a text that are used."""


class ItemText(NamedTuple):
    """Prompt of an item, and its answer choices."""

    prompt: str
    choices: Sequence[str] = ()

    def whole(self) -> str:
        """Return prompt and choices, each on a line."""
        return "\n".join([self.prompt, *self.choices])


def traits(items: Sequence[ItemText | None]) -> NDArray[np.float32]:
    """Return surface traits of N texts, float32, N x S, as in `TRAITS`; 0 without a text."""
    rows = [[0.0] * len(TRAITS) if item is None else _traits(item) for item in items]
    return np.array(rows, np.float32).reshape(len(items), len(TRAITS))


def _traits(item: ItemText) -> list[float]:
    prompt = item.prompt[:_LONGEST]
    choices = [choice[:_LONGEST] for choice in item.choices]
    lengths = [len(choice) for choice in choices]
    numbers = [_NUMBER.fullmatch(choice) is not None for choice in choices]
    return [
        float(np.log1p(len(prompt))),
        float(len(choices)),
        float(np.log1p(sum(sign.isdigit() for sign in prompt))),
        float(np.log1p(prompt.count("$") + prompt.count("\\"))),
        float(np.log1p(np.mean(lengths))) if choices else 0.0,
        float(np.mean(numbers)) if choices else 0.0,
        float(np.log1p(prompt.count(" "))),
        float(prompt.count("\n") > 3),  # noqa: PLR2004 - as TRAITS says
    ]


def words(items: Sequence[ItemText | None]) -> csr_array:
    """Return TF-IDF of words and character n-grams of N texts, a row each.

    Half of a row are words and word pairs, half n-grams of 3 to 5 characters within words. Rows
    have norm 1, or 0 without a text (Salton and Buckley 1988, weighting ltc).
    """
    texts = ["" if item is None else item.whole()[:_LONGEST] for item in items]
    halves = [_tf_idf(texts, "word", (1, 2)), _tf_idf(texts, "char_wb", (3, 5))]
    return csr_array(hstack(halves) * 0.5**0.5, dtype=np.float32)


def _tf_idf(texts: Sequence[str], analyzer: str, lengths: tuple[int, int]) -> csr_array:
    from sklearn.feature_extraction.text import (  # noqa: PLC0415 - an extra, and slow to import
        HashingVectorizer,
        TfidfTransformer,
    )

    counts = HashingVectorizer(
        analyzer=analyzer,
        n_features=WORDS,
        ngram_range=lengths,
        norm=None,
        alternate_sign=False,
        dtype=np.float32,
    ).transform(texts)
    # Words of few texts only lower the similarity of all others.
    counts = counts[:, np.bincount(counts.indices, minlength=WORDS) >= LEAST_TEXTS]
    if not counts.nnz:
        return csr_array(counts)
    return csr_array(TfidfTransformer(sublinear_tf=True).fit_transform(counts))
