"""The tsvector of a model, computed as by `store.search_document`.

It is written in both languages because it is most of the cost of storing a model: 6 us here, 40 in
the database. A test holds them to the same results.
"""

import math
import re
from collections.abc import Sequence

from registry.coerce import Memo

MOST_TAGS = 200

_BETWEEN_LETTER_AND_DIGIT = re.compile("(?<=[a-z])(?=[0-9])")
_TOP = ("", "", " top=2", " top=3 top=2", " top=4 top=3 top=2")

_EMPTY = frozenset({"", "#"})


def search_document(  # noqa: PLR0917 - the columns, in the order of the SQL function
    name: str,
    author: str | None,
    license_id: str | None,
    parameters: int | None,
    popularity: int,
    tags: Sequence[str],
) -> str | None:
    """Return the value of `models.search` as Postgres' text for a tsvector.

    None where anything is beyond ASCII: letters and their lower case then depend on the database's
    locale, and the database computes the value itself.
    """
    # Of the text as it is: the lower case of U+212A, the kelvin sign, is an ASCII letter.
    if not f"{name}{author}{license_id}".isascii():
        return None
    try:
        tag_lexemes = list(map(_TAG_LEXEMES.__getitem__, tags[:MOST_TAGS]))
    except ValueError:
        return None
    words = _BETWEEN_LETTER_AND_DIGIT.sub(" ", name.lower())
    # A sixth of what `translate` takes.
    words = words.replace("-", " ").replace("_", " ").replace("/", " ").replace(".", " ")
    if author is not None:
        words += f" author={author.lower().replace(' ', '_')}"
    if license_id is not None:
        words += f" license={license_id.lower().replace(' ', '_')}"
    if parameters is not None and parameters > 0:
        words += f" size={math.floor(math.log(parameters) / math.log(2))}"
    words += _TOP[popularity]
    # Postgres leaves out repetitions.
    return " ".join(filter(None, [_quoted(words), *tag_lexemes]))


def _quoted(words: str) -> str:
    """Return words as text of a tsvector."""
    lexemes = [word for word in _escaped(words).split(" ") if word not in _EMPTY]
    return "'" + "' '".join(lexemes) + "'" if lexemes else ""


def _lexemes_of_tag(tag: str) -> str:
    """Return the lexemes of a tag, none if it is not indexed; ValueError beyond ASCII."""
    if ":" in tag or tag.endswith("_compatible"):
        return ""
    if not tag.isascii():
        raise ValueError(tag)
    return _quoted("#" + tag.lower().replace("-", " #"))


_TAG_LEXEMES = Memo(_lexemes_of_tag)


def _escaped(words: str) -> str:
    return words.replace("\\", "\\\\").replace("'", "''")
