"""The lexemes that a search finds a model by, as `store.search_document` makes them.

It stands twice because it is most of what storing a model costs: here it takes 6 us, in the
database 40. A test holds both together.
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

    None where anything is beyond ASCII: what a letter is and its lower case are then for the
    database's locale to say, which completes the row itself.
    """
    # Of the text as it was: the lower case of U+212A, the sign of the kelvin, is an ASCII letter.
    if not f"{name}{author}{license_id}".isascii():
        return None
    try:
        of_tags = list(map(_OF_TAG.__getitem__, tags[:MOST_TAGS]))
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
    # What stands twice Postgres leaves out.
    return " ".join(filter(None, [_quoted(words), *of_tags]))


def _quoted(words: str) -> str:
    """Return words as text of a tsvector."""
    lexemes = [word for word in _escaped(words).split(" ") if word not in _EMPTY]
    return "'" + "' '".join(lexemes) + "'" if lexemes else ""


def _of_tag(tag: str) -> str:
    """Return the lexemes of a tag, none if it tells nothing; ValueError if it is beyond ASCII."""
    if ":" in tag or tag.endswith("_compatible"):
        return ""
    if not tag.isascii():
        raise ValueError(tag)
    return _quoted("#" + tag.lower().replace("-", " #"))


_OF_TAG = Memo(_of_tag)


def _escaped(words: str) -> str:
    return words.replace("\\", "\\\\").replace("'", "''")
