"""Text encoders, opened by name; they do not use the database.

| name | vectors | needs |
|---|---|---|
| `minilm` | 384 | the extra `train`, which has its weights |
| `hashing` | 512 | nothing |
| `organisation/model` | as the model has them | the extra `train`; the Hub, once |
| `/a/folder`, `./a/folder` | likewise | the extra `train` |

The two last are sentence-transformers models: `sentence-transformers/all-mpnet-base-v2`,
`intfloat/multilingual-e5-base`.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from registry.errors import EncoderError
from registry.learning.encoders.hashing import HashingEncoder
from registry.learning.encoders.sentences import open_minilm, open_model

DEFAULT = "minilm"


class Encoder(Protocol):
    """Encoder of texts to vectors, each independent of the other texts and of their order."""

    @property
    def name(self) -> str:
        """Name that its vectors are stored under; encoders of one name give the same vectors."""
        ...

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        ...

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return float32, n x dimension: a row of norm 1 for each text.

        Any text is accepted: of one longer than the encoder's maximal length a part is read, and
        invalid characters are replaced. A text without any feature that the encoder knows may be
        all zeros.
        """
        ...

    def cuts(self, texts: Sequence[str]) -> NDArray[np.bool_]:
        """Return for each text whether it is longer than what is read of it."""
        ...


def open_encoder(name: str = DEFAULT, *, device: str | None = None) -> Encoder:
    """Open an encoder, loading its weights if it has any.

    Args:
        name: see above.
        device: as torch names it (cpu, cuda, cuda:1); None is the GPU if there is one.

    Raises:
        EncoderError: for an unknown name, a missing package, weights that are neither on disk
            nor on a Hub that can be reached, or an unknown device.
    """
    if name in {"hashing", HashingEncoder.name}:
        return HashingEncoder()
    if name == DEFAULT:
        return open_minilm(device)
    if "/" in name:
        return open_model(name, device)
    raise EncoderError(
        f"There is no encoder named {name!r}: use minilm, hashing, a sentence-transformers model "
        "of the Hub (organisation/model), or the path of one (./folder)."
    )
