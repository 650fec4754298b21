"""Small rewordings of prompts, under which a router's pick should stay the same.

RouterArena (arXiv 2510.00202) has paraphrases, other grammar, synonyms and typos; these need no
language model.
"""

import re
from collections.abc import Sequence

import numpy as np

_WORD = re.compile(r"[A-Za-z]{4,}")

_MISTYPED = 0.1
"""Share of the words that are mistyped."""


def rewordings(texts: Sequence[str], seed: int = 0) -> dict[str, list[str]]:
    """Return the texts asked for politely, in lower case, without punctuation, and with typos.

    Args:
        texts: of the prompts.
        seed: of the typos.

    Returns:
        A list of all texts for each kind of rewording.
    """
    rng = np.random.default_rng(seed)
    return {
        "polite": [f"Please answer the following question. {text}" for text in texts],
        "lower-case": [text.lower() for text in texts],
        "unpunctuated": [re.sub(r"[?!,;]", "", text) for text in texts],
        "mistyped": [_mistyped(text, rng) for text in texts],
    }


def _mistyped(text: str, rng: np.random.Generator) -> str:
    """Return a text with two letters swapped in some of its words, in one at least."""
    words = list(_WORD.finditer(text))
    if not words:
        return text
    count = max(1, round(_MISTYPED * len(words)))
    letters = list(text)
    for at in rng.choice(len(words), count, replace=False).tolist():
        start, stop = words[at].span()
        place = int(rng.integers(start, stop - 1))
        letters[place], letters[place + 1] = letters[place + 1], letters[place]
    return "".join(letters)
