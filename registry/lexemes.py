"""The lexemes that a search finds a model by, as `store.search_document` makes them.

It stands twice because it is most of what storing a model costs: here it takes 8 us, in the
database 40. A test holds both together.
"""

import math
import re
from collections.abc import Sequence

MOST_TAGS = 200

_LETTER_BEFORE_DIGIT = re.compile("([a-z])(?=[0-9])")
_SEPARATORS = str.maketrans("-_/.", "    ")
_TOP = ("", "", " top=2", " top=3 top=2", " top=4 top=3 top=2")


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
    told = " #".join(
        [tag for tag in tags[:MOST_TAGS] if ":" not in tag and not tag.endswith("_compatible")]
    )
    if not f"{name}{author}{license_id}{told}".isascii():
        return None
    words = _LETTER_BEFORE_DIGIT.sub(r"\1 ", name.lower()).translate(_SEPARATORS)
    if author is not None:
        words += f" author={author.lower().replace(' ', '_')}"
    if license_id is not None:
        words += f" license={license_id.lower().replace(' ', '_')}"
    if parameters is not None and parameters > 0:
        words += f" size={math.floor(math.log(parameters) / math.log(2))}"
    words += _TOP[popularity]
    if told:
        words += f" #{told.replace('-', ' #').lower()}"
    lexemes = set(words.split(" ")) - {"", "#"}
    if "'" in words or "\\" in words:
        lexemes = {each.replace("\\", "\\\\").replace("'", "''") for each in lexemes}
    return "'" + "' '".join(lexemes) + "'" if lexemes else ""
