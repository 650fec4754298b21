"""Texts of prompts: which are refused, and their vectors, with a warning of those read in part."""

import logging
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from registry.errors import UsageError
from registry.learning.encoders import open_encoder

_log = logging.getLogger(__name__)

LONGEST = 1_000_000
"""Characters of a prompt: an encoder reads some thousand of them, so a longer one is a mistake."""


def check_prompts(prompts: Sequence[str]) -> None:
    """Check that prompts can be read.

    Raises:
        UsageError: for the first that is empty, or of more than `LONGEST` characters; its number is
            said where there are more.
    """
    for number, prompt in enumerate(prompts, 1):
        which = f"Prompt {number}" if len(prompts) > 1 else "The prompt"
        if not prompt.strip():
            raise UsageError(f"{which} is empty.")
        if len(prompt) > LONGEST:
            raise UsageError(
                f"{which} has {len(prompt):,} characters; {LONGEST:,} are read at most."
            )


def encode_prompts(encoder: str, prompts: Sequence[str]) -> NDArray[np.float32]:
    """Return the vectors of prompts, float32, P x T.

    Of a prompt that is longer than the encoder reads a part counts, of sentence-transformers the
    end; a warning says so.

    Args:
        encoder: its name; loading it takes seconds, so that no connection is to be open.
        prompts: their texts.

    Raises:
        UsageError: as of `check_prompts`.
        EncoderError: when it cannot be loaded.
    """
    check_prompts(prompts)
    opened = open_encoder(encoder)
    vectors = opened.encode(list(prompts))
    cut = opened.cuts(prompts)
    if cut.any():
        which = "The prompt is"
        if len(prompts) > 1:
            first = int(cut.argmax()) + 1
            which = f"{int(cut.sum()):,} of {len(prompts):,} prompts, the first {first}, are"
        _log.warning("%s longer than %s reads: a part alone counts", which, encoder)
    return vectors
