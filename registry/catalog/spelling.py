"""How evaluations spell the names of models, and which Hub names a spelling may mean. Pure.

Spellings met: `org__name` (lm-eval's folders), `pretrained=org/name,peft=org/lora` (its model
arguments), `models--org--name` (the Hub client's cache), addresses on huggingface.co, `hf:` and
`huggingface/` before the name, `@revision` after it.
"""

import re
from typing import NamedTuple

_ADDRESS = re.compile(
    r"(?:https?://)?(?:www\.)?(?:huggingface\.co|hf\.co)/"
    r"(?:models/)?([\w.-]+/[\w.-]+)(?:/(?:tree|resolve|blob|commit)/([\w.-]+).*)?/?",
    re.ASCII,
)
_PREFIX = re.compile(r"(?:hf|huggingface|hf-hub|hf_hub)(?::|/)(?=[\w.-]+/)", re.ASCII)
_CACHED = re.compile(r"models--([\w.-]+?)--([\w.-]+)", re.ASCII)
_FOLDER = re.compile(r"([A-Za-z0-9][\w.-]*?)__([A-Za-z0-9][\w.-]*)", re.ASCII)
_REVISION = re.compile(r"([\w.-]+/[\w.-]+)@([\w.-]+)", re.ASCII)


class Spelling(NamedTuple):
    """A name that a spelling may mean, and the revision that it tells, None if it tells none."""

    name: str
    revision: str | None = None


def spellings(name: str) -> list[Spelling]:
    """List what a model's name in an evaluation may mean, the likeliest first.

    The first is always the name itself, without white space around it.
    """
    name = name.strip()
    found = [Spelling(name)]
    arguments = _arguments(name)
    if arguments is not None:
        return [*found, *_again(arguments)]
    if address := _ADDRESS.fullmatch(name):
        return [*found, Spelling(address[1], address[2])]
    if prefix := _PREFIX.match(name):
        return [*found, *spellings(name[prefix.end() :])]
    if cached := _CACHED.fullmatch(name):
        return [*found, Spelling(f"{cached[1]}/{cached[2]}")]
    if revised := _REVISION.fullmatch(name):
        return [*found, Spelling(revised[1], revised[2])]
    # Names with a slash may have two underscores of their own.
    if "/" not in name and (folder := _FOLDER.fullmatch(name)):
        found.append(Spelling(f"{folder[1]}/{folder[2]}"))
    return found


def _again(told: Spelling) -> list[Spelling]:
    return [Spelling(each.name, each.revision or told.revision) for each in spellings(told.name)]


def _arguments(name: str) -> Spelling | None:
    """Read `pretrained=...,revision=...,peft=...`; what was trained last is what was evaluated."""
    if "=" not in name:
        return None
    pairs = (part.partition("=") for part in name.split(","))
    told = {key.strip(): value.strip() for key, _, value in pairs}
    model = told.get("peft") or told.get("pretrained") or told.get("model")
    if not model:
        return None
    # The revision is the base model's, not the adapter's.
    return Spelling(model, None if told.get("peft") else told.get("revision") or None)
