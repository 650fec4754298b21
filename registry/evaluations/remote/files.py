"""Remote files: where each lies, its version, and how its content is read."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from urllib.parse import unquote_plus, urlsplit, urlunsplit

from registry.errors import UsageError

SCHEMES = ("hf", "https", "http", "s3")
"""Schemes of addresses that can be read."""

ENDINGS = (
    ".json", ".jsonl", ".ndjson", ".csv", ".tsv", ".parquet", ".pkl", ".pickle", ".yaml", ".yml",
    ".eval", ".md",
)  # fmt: skip
"""Endings of the files that are taken from a remote folder, also before .gz; a pattern takes all
that it fits."""

DEFAULT_LIMIT = 10 * 10**9
"""Bytes that one command fetches, unless it allows more."""

_LONGEST = 255
"""Bytes of a name in a folder of the cache."""

_SIGNATURES = frozenset({
    "awsaccesskeyid", "expires", "key-pair-id", "policy", "se", "sig", "signature", "sp", "token",
    "x-goog-signature",
})  # fmt: skip

_ACCOMPANYING = re.compile(
    r"\..*"
    r"|(readme|license|licence|notice|citation|copying|changelog|contributing|authors)([-_.].*)?"
    r"|.*\.(md|rst|pdf|html?|css|js|py|ipynb|sh|toml|cfg|ini|lock|ya?ml|tex|bib"
    r"|png|jpe?g|gif|svg|webp|ico|safetensors|bin|pt|pth|gguf|onnx|model)"
    r"|requirements.*\.txt|(.*_)?config\.json|tokenizer.*\.json|vocab\.json|merges\.txt"
    r"|special_tokens_map\.json|dataset_infos?\.json|.*\.index\.json",
    re.IGNORECASE,
)
"""Names of files beside results: descriptions, licences, images, configurations, weights."""

RESULTS_FOLDER = ".eval_results"
"""Folder of a model's repository with results in YAML."""


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file that is to be copied to the cache.

    Attributes:
        address: as people and the log of imports know it.
        place: of its copy below the cache; files of one folder stay beside each other.
        content: what identifies its content; None where nothing does, so no copy is kept.
        read: yields its content from a position on.
        size: in bytes; None where it is not known before the end.
        revision: of the repository or the file, such as a commit.
        sha256: of the content, where known.
        git_hash: of the content, where known.
    """

    address: str
    place: PurePosixPath
    content: str | None
    read: Callable[[int], Iterator[bytes]] = field(repr=False)
    size: int | None = None
    revision: str | None = None
    sha256: str | None = None
    git_hash: str | None = None


@dataclass(frozen=True, slots=True)
class RemoteFiles:
    """The files of an address, and whether it names one itself; `folder` holds all their places."""

    files: Sequence[RemoteFile]
    by_name: bool
    folder: PurePosixPath


def is_address(text: str) -> bool:
    """Return whether a text is an address rather than a path."""
    scheme, separator, _ = text.partition("://")
    return bool(separator) and scheme.isalnum()


def scheme_of(address: str) -> str:
    """Return the scheme of an address.

    Raises:
        UsageError: when it cannot be read.
    """
    scheme = address.partition("://")[0].lower()
    if scheme not in SCHEMES:
        raise UsageError(
            f"{address} cannot be read: addresses begin {', '.join(f'{s}://' for s in SCHEMES)}."
        )
    return scheme


def has_known_ending(path: str) -> bool:
    """Return whether a file in a folder may hold evaluations, by its name."""
    return path.lower().removesuffix(".gz").endswith(ENDINGS)


def accompanies(name: str) -> bool:
    """Return whether a file's name says that it lies beside results and holds none."""
    return _ACCOMPANYING.fullmatch(name) is not None


def may_hold_results(path: str, *, in_cards: bool) -> bool:
    """Return whether a file that nobody named is worth fetching from a folder.

    Args:
        path: of the file.
        in_cards: whether README.md may be a card of a model, which may hold results.
    """
    folder, _, name = path.rpartition("/")
    if not has_known_ending(path):
        return False
    if name == "README.md":
        return in_cards
    return not accompanies(name) or folder.rpartition("/")[2] == RESULTS_FOLDER


def place(*parts: str) -> PurePosixPath:
    """Return a place below the cache.

    Raises:
        UsageError: when a part cannot be the name of a file.
    """
    names = [name for part in parts for name in part.split("/") if name]
    for name in names:
        if name in {".", ".."} or "\0" in name or len(name.encode()) > _LONGEST:
            raise UsageError(
                f"The name {name[:80]!r} in {'/'.join(parts)[:200]!r} is no file name."
            )
    return PurePosixPath(*names)


def without_signature(url: str) -> str:
    """Return an address without the parts that only permit to read it for a while."""
    parts = urlsplit(url)
    # As written: other spellings of the rest may be another address to the server.
    kept = [each for each in parts.query.split("&") if not _is_signature(each)]
    return urlunsplit(parts._replace(query="&".join(kept), fragment=""))


def _is_signature(parameter: str) -> bool:
    name = unquote_plus(parameter.partition("=")[0]).lower()
    return name in _SIGNATURES or name.startswith(("x-amz-", "x-goog-"))
