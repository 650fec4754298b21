"""Texts of prompts: which are refused, and their vectors, with a warning of those read in part."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from registry.errors import UnreadableFileError, UsageError
from registry.learning.encoders import open_encoder

if TYPE_CHECKING:  # the module reads versions too, by packages that a serving program lacks
    from registry.prediction.prompts import Prompt

_log = logging.getLogger(__name__)

LONGEST = 1_000_000
"""Characters of a prompt: an encoder reads some thousand of them, so a longer one is a mistake."""


class PromptError(UsageError):
    """A prompt cannot be read."""

    def __init__(self, place: int, count: int, problem: str) -> None:
        """Compose the message.

        Args:
            place: of the prompt, from 0.
            count: of prompts that were given.
            problem: the rest of the sentence.
        """
        self.place, self.problem = place, problem
        name = "The prompt" if count == 1 else f"Prompt {place + 1}"
        super().__init__(f"{name} {problem}")


def check_prompts(prompts: Sequence[str]) -> None:
    """Check that prompts can be read.

    Raises:
        PromptError: for the first that is empty, or of more than `LONGEST` characters; its number
            is said where there are more.
    """
    for place, prompt in enumerate(prompts):
        if not prompt.strip():
            raise PromptError(place, len(prompts), "is empty.")
        if len(prompt) > LONGEST:
            problem = f"has {len(prompt):,} characters; {LONGEST:,} are read at most."
            raise PromptError(place, len(prompts), problem)


def encode_prompts(encoder: str, prompts: Sequence[str]) -> NDArray[np.float32]:
    """Return the vectors of prompts, float32, P x T, each of length 1.

    Of a prompt that is longer than the encoder reads a part counts, of sentence-transformers the
    end; a warning says so.

    Args:
        encoder: its name; loading it takes seconds, so that no connection is to be open.
        prompts: their texts.

    Raises:
        PromptError: as of `check_prompts`, and for the first in which the encoder finds nothing to
            read, such as `???` where it reads words: its vector is zeros, and all that follows from
            it would be made up.
        EncoderError: when it cannot be loaded.
    """
    check_prompts(prompts)
    opened = open_encoder(encoder)
    vectors = opened.encode(list(prompts))
    empty = ~vectors.any(axis=1)
    if empty.any():
        problem = (
            f"has no word that the encoder {opened.name!r} reads, so nothing says what it asks: "
            "put it in words."
        )
        raise PromptError(int(empty.argmax()), len(prompts), problem)
    cut = opened.cuts(prompts)
    if cut.any():
        which = "The prompt is"
        if len(prompts) > 1:
            first = int(cut.argmax()) + 1
            which = f"{int(cut.sum()):,} of {len(prompts):,} prompts, the first {first}, are"
        _log.warning("%s longer than %s reads: a part alone counts", which, encoder)
    return vectors


@contextmanager
def naming_lines(path: Path | None, prompts: Sequence["Prompt"]) -> Iterator[None]:
    """Name file and line where a prompt cannot be read; without a file, let the error pass.

    Args:
        path: of the file that the prompts were read from.
        prompts: all of them, in its order.

    Raises:
        UnreadableFileError: in place of a `PromptError`.
    """
    try:
        yield
    except PromptError as error:
        if path is None:
            raise
        line = prompts[error.place].line
        problem = f"the prompt {error.problem}"
        raise UnreadableFileError(path, problem, line=line, field="prompt") from error
