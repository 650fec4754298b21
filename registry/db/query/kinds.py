"""Kinds of SQL statements that may be run for a user, by their first words.

What a statement is in truth the server decides: it parses it as one statement, and runs it in a
transaction that only reads and as a login that may do nothing else. This refuses what has no
business there before it is sent, with a sentence.
"""

import re
from collections.abc import Iterator

from registry.errors import RegistryError, UsageError

_READS = frozenset({"select", "with", "values", "table"})
_ACCEPTED = "SELECT, WITH, VALUES, TABLE, EXPLAIN or SHOW"
_TOKEN = re.compile(r"--[^\n\r]*|/\*|[ \t\n\r\f\v]+|[A-Za-z_]\w*|.", re.DOTALL)
_COMMENT = re.compile(r"/\*|\*/")

NO_STATEMENT = "There is no SQL statement to run."


class QueryError(RegistryError):
    """The statement failed."""


def require_reading(statement: str) -> None:
    """Check that a statement is of a kind that reads.

    Raises:
        UsageError: there is none.
        QueryError: it is of another kind.
    """
    if not statement.strip():
        raise UsageError(NO_STATEMENT)
    if "\0" in statement:
        raise UsageError("SQL has no character NUL.")
    words = _words(statement)
    first = next(words, "")
    if first in _READS or first == "show":
        return
    if first == "explain":
        first = _explained(words)
        if first in _READS:
            return
        raise QueryError(f"EXPLAIN is of {_ACCEPTED.partition(', EXPLAIN')[0]} here.")
    if not first:
        raise UsageError(NO_STATEMENT)
    raise QueryError(
        f"This only reads: the statement is one of {_ACCEPTED}, and it begins with {first.upper()}."
    )


def _explained(words: Iterator[str]) -> str:
    """Return the first word of what is explained."""
    word = next(words, "")
    while word in {"analyze", "analyse", "verbose"}:
        word = next(words, "")
    return word


def _words(statement: str) -> Iterator[str]:
    """Yield the words before anything else, in lower case, without options and parentheses.

    A parenthesis after EXPLAIN begins options if the next word does not read.
    """
    position, before, options, decided = 0, "", False, False
    while position < len(statement):
        match = _TOKEN.match(statement, position)
        assert match is not None
        piece = match[0]
        position = match.end()
        if piece == "/*":
            position = _after_comment(statement, position)
        elif piece.startswith("--") or piece.isspace():
            continue
        elif options:
            options = piece != ")"
        elif piece == "(" and before == "explain" and not decided:
            options, decided = not _reads_next(statement, position), True
        elif piece == ";" and not before:
            continue
        elif piece != "(":
            before = piece.lower()
            yield before


def _reads_next(statement: str, position: int) -> bool:
    return next(_words(statement[position:]), "") in _READS


def _after_comment(statement: str, position: int) -> int:
    """Return where a block comment ends, which may contain others."""
    depth = 1
    while depth:
        match = _COMMENT.search(statement, position)
        if match is None:
            return len(statement)
        depth += 1 if match[0] == "/*" else -1
        position = match.end()
    return position
