"""Makers of models: who is meant by an organisation's name, or by the first word of a model's."""

from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from typing import NamedTuple

import yaml


class Makers(NamedTuple):
    """All makers.

    Attributes:
        authors: the maker of each organisation on the Hub, spelled as there.
        vendors: the maker of each organisation as anybody calls it, in lower case.
        words: the maker of each first word of names of models, in lower case.
    """

    authors: Mapping[str, str]
    vendors: Mapping[str, str]
    words: Mapping[str, str]


@cache
def makers() -> Makers:
    """Return the makers that ship with the registry."""
    file = resources.files(__package__) / "makers.yaml"
    entries: dict[str, dict[str, Sequence[str]]] = yaml.safe_load(file.read_text("utf-8"))
    authors = {author: maker for maker, entry in entries.items() for author in entry["authors"]}
    return Makers(
        authors,
        {author.lower(): maker for author, maker in authors.items()}
        | {maker: maker for maker in entries}
        | {vendor: maker for maker, entry in entries.items() for vendor in entry["vendors"]},
        {word: maker for maker, entry in entries.items() for word in entry["words"]},
    )
