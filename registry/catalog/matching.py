"""Matches of names in evaluations with models, by several methods, the most reliable first.

A name is matched as it is, then as what its spelling may mean (see `spellings`): with present
names, with aliases, then with each in another case; at last with the only model of that name under
any author.

Precision on 18,682 curated names, their 7,196 models as the catalog (tests/test_evaluations_real):
exact 1.0, all methods together 0.994. Names equal but for punctuation were right in 97 of 100
cases, so they are suggested to people and never matched.
"""

import re
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

from sqlalchemy import Connection, text

from registry.hub.parents import cached_name

NAMES_AT_ONCE = 5_000
"""Names that one query matches."""

CONFIDENCE = {"exact": 1.0, "alias": 1.0, "user": 1.0, "case": 0.95, "harness": 0.95, "tail": 0.8}
"""Confidence of a match by each method; that of an alias is multiplied by its own."""

_BY_SPELLING = """
WITH given AS (
    SELECT * FROM unnest(CAST(:names AS text[]), CAST(:spelt AS text[]), CAST(:ranks AS int[]))
               AS w (name, spelt, rank)
), hits AS (
    SELECT w.name, w.rank, 1 AS priority, 'exact' AS method, m.model_id, 1::real AS confidence
      FROM given w JOIN store.models m ON m.name = w.spelt
    UNION ALL
    SELECT w.name, w.rank, 2, 'alias', min(a.model_id), max(a.confidence)
      FROM given w JOIN store.model_aliases a ON a.alias = w.spelt
     GROUP BY w.name, w.rank HAVING count(DISTINCT a.model_id) = 1
    UNION ALL
    SELECT w.name, w.rank, 3, 'case', min(m.model_id), 1
      FROM given w JOIN store.models m ON lower(m.name) = lower(w.spelt)
     WHERE NOT EXISTS (SELECT FROM store.evaluated_names n
                        WHERE n.model_id = m.model_id AND n.method = 'unresolved')
     GROUP BY w.name, w.rank HAVING count(*) = 1
    UNION ALL
    SELECT w.name, w.rank, 4, 'case', min(a.model_id), max(a.confidence)
      FROM given w JOIN store.model_aliases a ON lower(a.alias) = lower(w.spelt)
     GROUP BY w.name, w.rank HAVING count(DISTINCT a.model_id) = 1
)
SELECT DISTINCT ON (h.name) h.name, h.model_id,
       CASE WHEN h.rank > 0 THEN 'harness' ELSE h.method END AS method, h.confidence
  FROM hits h
 WHERE NOT EXISTS (
           SELECT FROM store.evaluated_names n
            WHERE n.name = h.name AND n.model_id = h.model_id AND n.method = 'unresolved')
 ORDER BY h.name, h.rank, h.priority"""

# A model that is known by the name in another evaluation alone may be anybody's copy.
_UNDER_ANY_AUTHOR = """
SELECT w.name, min(m.model_id) AS model_id, 'tail' AS method, 1::real AS confidence
  FROM unnest(CAST(:names AS text[]), CAST(:spelt AS text[])) AS w (name, spelt)
  JOIN store.models m ON lower(split_part(m.name, '/', 2)) = lower(w.spelt)
 GROUP BY w.name
HAVING count(*) = 1
   AND NOT EXISTS (SELECT FROM store.evaluated_names n
                    WHERE n.model_id = min(m.model_id) AND n.method = 'unresolved')"""


class NameMatch(NamedTuple):
    """A model that a name was matched with, by which method, and the confidence in it."""

    model_id: int
    method: str
    confidence: float


def match_names(
    connection: Connection, names: Sequence[str], *, at_once: int = NAMES_AT_ONCE
) -> dict[str, NameMatch]:
    """Return the names that match a model, each by the first method that matches."""
    matches: dict[str, NameMatch] = {}
    for start in range(0, len(names), at_once):
        batch = names[start : start + at_once]
        spelt = [
            (name, spelling.name, rank)
            for name in batch
            for rank, spelling in enumerate(spellings(name))
        ]
        matches |= _query(connection, _BY_SPELLING, spelt)
        bare = [
            (name, last.name, 0)
            for name in batch
            if name not in matches and "/" not in (last := spellings(name)[-1]).name
        ]
        if bare:
            matches |= _query(connection, _UNDER_ANY_AUTHOR, bare)
    return matches


def _query(
    connection: Connection, query: str, spelt: Sequence[tuple[str, str, int]]
) -> dict[str, NameMatch]:
    rows = connection.execute(
        text(query),
        {
            "names": [name for name, _, _ in spelt],
            "spelt": [spelling for _, spelling, _ in spelt],
            "ranks": [rank for _, _, rank in spelt],
        },
    )
    return {
        row.name: NameMatch(row.model_id, row.method, row.confidence * CONFIDENCE[row.method])
        for row in rows
    }


_ADDRESS = re.compile(
    r"(?:https?://)?(?:www\.)?(?:huggingface\.co|hf\.co)/"
    r"(?:models/)?([\w.-]+/[\w.-]+)(?:/(?:tree|resolve|blob|commit)/([\w.-]+).*)?/?",
    re.ASCII,
)


_PREFIX = re.compile(r"(?:hf|huggingface|hf-hub|hf_hub)(?::|/)(?=[\w.-]+/)", re.ASCII)


_FOLDER = re.compile(r"([A-Za-z0-9][\w.-]*?)__([A-Za-z0-9][\w.-]*)", re.ASCII)


_REVISION = re.compile(r"([\w.-]+/[\w.-]+)@([\w.-]+)", re.ASCII)


class Spelling(NamedTuple):
    """A name that a spelling may mean, and the revision that it states, if any."""

    name: str
    revision: str | None = None


def spellings(name: str) -> list[Spelling]:
    """List what a model's name in an evaluation may mean, the most likely first.

    The first is always the name itself, without white space around it.
    """
    name = name.strip()
    alternatives = [Spelling(name)]
    arguments = _arguments(name)
    if arguments is not None:
        return [*alternatives, *_expand(arguments)]
    if address := _ADDRESS.fullmatch(name):
        return [*alternatives, Spelling(address[1], address[2])]
    if prefix := _PREFIX.match(name):
        return [*alternatives, *spellings(name[prefix.end() :])]
    if cached := cached_name(name):
        return [*alternatives, Spelling(*cached)]
    if name.endswith("/") and name.strip("/"):
        return [*alternatives, *spellings(name.rstrip("/"))]
    if revised := _REVISION.fullmatch(name):
        return [*alternatives, Spelling(revised[1], revised[2])]
    # Names with a slash may have two underscores of their own.
    if "/" not in name and (folder := _FOLDER.fullmatch(name)):
        alternatives.append(Spelling(f"{folder[1]}/{folder[2]}"))
    return alternatives


def plain_name(name: str) -> str:
    """Return the name of an unknown model without what harnesses and paths put around it.

    That is a slash at the end, an address or a prefix of the Hub, a folder of its local cache, a
    revision, and arguments. Underscores may be the name's own, and stay.
    """
    plain, *others = (each.name for each in spellings(name))
    for other in others:
        if _FOLDER.fullmatch(plain) and "/" not in plain:
            break
        plain = other
    return plain


@cache
def stated_revision(name: str) -> str | None:
    """Return the revision that a model's name in an evaluation states; None if it is main."""
    revisions = (each.revision for each in spellings(name))
    return next((each for each in revisions if each and each != "main"), None)


def _expand(spelling: Spelling) -> list[Spelling]:
    return [
        Spelling(each.name, each.revision or spelling.revision) for each in spellings(spelling.name)
    ]


def _arguments(name: str) -> Spelling | None:
    """Read `pretrained=...,revision=...,peft=...`; an adapter is the model that was evaluated."""
    if "=" not in name:
        return None
    pairs = (part.partition("=") for part in name.split(","))
    arguments = {key.strip(): value.strip() for key, _, value in pairs}
    model = arguments.get("peft") or arguments.get("pretrained") or arguments.get("model")
    if not model:
        return None
    # The revision is the base model's, not the adapter's.
    return Spelling(model, None if arguments.get("peft") else arguments.get("revision") or None)
