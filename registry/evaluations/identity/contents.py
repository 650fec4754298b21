"""Contents of items of one name: the same question with more or less around it, or another."""

import re
from typing import NamedTuple
from uuid import UUID

from registry.errors import RegistryError
from registry.evaluations.records import Item, content_hash, text_of

_DOCUMENT = re.compile(r"[0-9a-f]{64}(?:/\d+)?")
"""A name that is the digest of a document: other documents have other names."""

_SHORTEST = 4
"""Characters from which a prompt within another one is its question."""


class ContentPair(NamedTuple):
    """Contents of an incoming item and of the stored one of its name, which differ.

    One of the prompts may be missing, and the hash with that of the stored one.
    """

    place: int
    item: str
    benchmark: str
    prompt: str | None
    choices: list[str]
    stored: str | None
    stored_choices: list[str]
    stored_hash: UUID | None


class MergedContent(NamedTuple):
    """Prompt and choices of an item, at its place in a file."""

    place: int
    prompt: str
    choices: list[str]
    content_hash: UUID


def reconcile(pair: ContentPair) -> MergedContent | None:
    """Return the content that both have together, if it is another one than the stored.

    It is the shorter prompt, with the choices of the one that has some.

    Raises:
        RegistryError: they ask something else.
    """
    prompt = _prompt(pair)
    choices = pair.stored_choices or pair.choices
    content = content_hash(Item(pair.item, prompt, tuple(choices)))
    if prompt is None or content is None or content == pair.stored_hash:
        return None
    return MergedContent(pair.place, prompt, choices, content)


def _prompt(pair: ContentPair) -> str | None:
    if pair.prompt is None or pair.stored is None:
        return pair.prompt or pair.stored
    is_document = _DOCUMENT.fullmatch(pair.item) is not None
    is_shorter = asks_within(pair.prompt, pair.stored, is_document=is_document)
    asks_same = is_shorter or asks_within(pair.stored, pair.prompt, is_document=is_document)
    if not is_document and not (asks_same and _offer_same(pair)):
        raise RegistryError(
            f"Item {pair.item} of {pair.benchmark} has another prompt or other choices than the "
            "stored item of that name: import it as another version of the benchmark "
            "(--benchmark-version)."
        )
    return pair.prompt if is_shorter else pair.stored


def _offer_same(pair: ContentPair) -> bool:
    """Return whether the choices are the same; an item may be known without them."""
    if not pair.choices or not pair.stored_choices:
        return True
    one, other = (Item("", "", tuple(each)) for each in (pair.choices, pair.stored_choices))
    return content_hash(one) == content_hash(other)


def asks_within(prompt: str, other: str, *, is_document: bool = False) -> bool:
    """Return whether a prompt is the other one, or within it between whole words.

    Args:
        prompt: the shorter one.
        other: what may have more around it.
        is_document: whether both are of one document, which a short text is enough for.
    """
    inner, outer = text_of(prompt), text_of(other)
    if inner == outer:
        return True
    if not inner or (len(inner) < _SHORTEST and not is_document):
        return False
    edges = [r"(?<!\w)" if inner[0].isalnum() else "", r"(?!\w)" if inner[-1].isalnum() else ""]
    return re.search(re.escape(inner).join(edges), outer) is not None
