"""Names of systems around a model, as leaderboards write them: the model, and the variant of it.

Only what names a way of running a model, and never a size, a date or a version, is read here; names
of the Hub's form (org/name) are models.
"""

import re
from collections.abc import Iterable
from typing import NamedTuple, Protocol

_EFFORT = r"(?:(?:reasoning|effort|thinking)[ :=-]*)?(?:minimal|low|medium|high|xhigh|max)"
_SETTING = re.compile(
    rf"{_EFFORT}(?:[ -](?:reasoning |thinking )?(?:effort|reasoning|thinking))?"
    r"|(?:no|non|without)[ -]?(?:think(?:ing)?|reasoning)"
    r"|(?:(?:no|without)[ -]?|with[ -])?(?:python |web )?(?:tools?|search|browsing|python)"
    r"|(?:default |extended |\d+k )?(?:think|thinking)(?: tokens)?|reasoning|tools?|voting"
    r"|(?:best[ -]of[ -]?|bo|maj@|cons@|self-consistency@)\d+|(?:with |as )?(?:an )?agent(?:ic)?"
    r"|(?:with )?scaffold(?:ing)?(?:: ?[\w .-]+)?|cot|chain[ -]of[ -]thought",
    re.IGNORECASE,
)
_NOTHING = re.compile(
    r"(?:no|without)[ -]?(?:python |web )?(?:tools?|search|browsing|python)", re.IGNORECASE
)
"""Settings that say that nothing is around the model."""

_IN_BRACKETS = re.compile(
    r"(?P<model>.*\S) (?:\((?P<round>[^()]+)\)|\[(?P<square>[^\[\]]+)\]|\+ (?P<added>[^+]+))"
)
_BEST_OF = re.compile(
    r"(?P<model>[^/]*[^/\s_-][ _-]|.*\S )(?P<n>best[ _-]of[ _-]\d+)", re.IGNORECASE
)
_MOST = 4  # settings that a name states one after the other
_RERANKED = re.compile(r"(?P<ranker>pairrm)-[^/]+")


class SplitName(NamedTuple):
    """A name of a model, and what makes it a system around the model; None for the plain model."""

    model: str
    variant: str | None


class NameRule(Protocol):
    """A rule of one source's names."""

    def split(self, name: str) -> SplitName | None:
        """Split a name; None if the rule is not for it."""


def split(name: str, rules: Iterable[NameRule] = ()) -> SplitName:
    """Split a name as a source spells it, by its own rules first.

    Where the model cannot be known from the name, the name stays as it is beside the variant.
    """
    parts: list[str] = []
    for _ in range(_MOST):
        found = next(filter(None, (rule.split(name) for rule in rules)), None) or _general(name)
        if found is None:
            break
        parts = [*filter(None, (found.variant,)), *parts]
        if found.model == name:
            break
        name = found.model
    return SplitName(name, ", ".join(dict.fromkeys(parts)) or None)


def _general(name: str) -> SplitName | None:
    if match := _IN_BRACKETS.fullmatch(name):
        stated = match["round"] or match["square"] or match["added"]
        settings = [each.strip() for each in stated.split(",")]
        if all(map(_SETTING.fullmatch, settings)):
            return SplitName(match["model"], _joined(settings))
    if match := _BEST_OF.fullmatch(name):
        return SplitName(match["model"][:-1], re.sub(r"[ _]", "-", match["n"].lower()))
    if match := _RERANKED.fullmatch(name):
        return SplitName(name, match["ranker"])
    return None


def variant_in(note: str | None) -> str | None:
    """Return the variant that a note on a score states, such as "with tools"; None if it is plain.

    Parts of the note that are no settings are left out.
    """
    parts = [each.strip() for each in re.split("[,;]", note or "")]
    return _joined([each for each in parts if _SETTING.fullmatch(each)])


def _joined(settings: Iterable[str]) -> str | None:
    return ", ".join(each for each in settings if not _NOTHING.fullmatch(each)) or None
