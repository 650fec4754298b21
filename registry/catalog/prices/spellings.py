"""Spellings of models' names by providers: without what providers add, and as keys to compare by.

Only what leaves a model as it is is removed: regions, hosting, versions of an interface, marks of
free tiers. Marks of other weights or of other behaviour (fp8, turbo, fast, thinking) stay, so that
such a name is that of no other model.
"""

import re
from typing import NamedTuple

from registry.catalog.prices.makers import makers

_PATHS = re.compile(
    r"(?:accounts/fireworks/models|workers-ai|@cf|@hf|@oi|hf:|tee|pro|route|public|ps|us|eu|global"
    r"|(?:us|eu|ap|sa|ca|me|af)-(?:gov-)?[a-z]+-\d|invoke|claude_platform)"
    r"(?:(?<=:)|/)",
    re.ASCII,
)
"""Folders before a name: of a provider, a region or a kind of hosting."""

_REGION = re.compile(r"(?:us-gov|us|eu|apac|au|jp|ca|global|regional)\.(?=[a-z]+\.)", re.ASCII)

_MARKS = re.compile(r"(?::free|-maas|@default|@latest|-tee)\Z", re.ASCII)

_APPLICATION = re.compile(r"([^/]+)/[^/]+/models/([^/]+)", re.ASCII)
"""A name at Clarifai: organisation, application, model."""

_INTERFACE = re.compile(r"-v?[1-9]:\d+(?::\d+k)?\Z", re.ASCII)
"""Version of Bedrock's interface to a model: claude-3-haiku-20240307-v1:0."""

_DATE = re.compile(r"@(?=20\d{6}\Z)", re.ASCII)

_POINT = re.compile(r"(?<=\d)p(?=\d)", re.ASCII)

_JOINED = re.compile(r"(?<=[a-z])(?=\d)", re.ASCII)

_SEPARATORS = re.compile(r"[-_. :]+")

_CHAT = re.compile(r"(?:^|-)(?:instruct|it|chat|thinking|think|reasoning)(?:-|\Z)", re.ASCII)
_SIZED = re.compile(r"-\d+[be](?:-a-?\d+b)?(?:-v-.*)?\Z", re.ASCII)

_PLAINLY_CHAT = ("qwen-3", "qwq", "qvq", "gpt-oss", "deepseek", "hermes", "command", "c-4", "grok")
"""Keys of families whose chat models have no word for it in their names."""


class Spelt(NamedTuple):
    """A name without what its provider adds: its organisation, empty for none, and its own."""

    vendor: str
    own: str

    @property
    def name(self) -> str:
        """Both."""
        return f"{self.vendor}/{self.own}" if self.vendor else self.own


def plain(name: str) -> Spelt:
    """Return a provider's name of a model without what leaves the model as it is.

    Args:
        name: such as `us.anthropic.claude-3-haiku-20240307-v1:0`, `@cf/meta/llama-3.1-8b-instruct`
            or `accounts/fireworks/models/llama-v3p1-70b-instruct`.

    Returns:
        In lower case.
    """
    name = name.strip().lower()
    fireworks = "accounts/fireworks/" in name
    while match := _PATHS.match(name):
        name = name[match.end() :]
    name = _REGION.sub("", name, count=1)
    while match := _MARKS.search(name):
        name = name[: match.start()]
    name = _DATE.sub("-", name).removeprefix("databricks-")
    if match := _APPLICATION.fullmatch(name):
        name = f"{match[1]}/{match[2]}"
    vendor, slash, own = name.rpartition("/")
    if not slash:
        vendor, own = _dotted(own)
    if (match := _INTERFACE.search(own)) and re.search(r"\d", own[: match.start()]):
        own = own[: match.start()]
    if fireworks:
        own = re.sub(r"\bllama-v(?=\d)", "llama-", _POINT.sub(".", own))
    return Spelt(vendor, own)


def _dotted(name: str) -> tuple[str, str]:
    """Return organisation and name of `anthropic.claude-...`, as Bedrock and Oracle write it."""
    for separator in (".", "--"):
        vendor, found, own = name.partition(separator)
        if found and own and vendor in makers().vendors:
            return vendor, own
    return "", name


def maker_of(spelt: Spelt) -> str | None:
    """Return the maker that a name means, by its organisation, else by its first word."""
    if spelt.vendor:
        return makers().vendors.get(spelt.vendor.rpartition("/")[2])
    comparable = key(spelt.own)
    if "nemotron" in comparable:
        return "nvidia"
    return next((maker for word, maker in _words() if f"{comparable}-".startswith(word)), None)


def _words() -> list[tuple[str, str]]:
    """Return the first words of names with their makers, the longest first."""
    words = ((f"{key(word)}-", maker) for word, maker in makers().words.items())
    return sorted(words, key=lambda each: -len(each[0]))


def key(own: str) -> str:
    """Return what the names of one maker's models are compared by, without organisation.

    Case, and what separates words and numbers, do not count; nor do the maker's name before the
    model's, and a mark of the files' layout (hf).
    """
    joined = "-".join(filter(None, _SEPARATORS.split(_JOINED.sub("-", own.lower()))))
    first, _, rest = joined.partition("-")
    if rest and first in makers().vendors and first not in makers().words:
        joined = rest
    return joined.removesuffix("-hf")


def is_vague(comparable: str) -> bool:
    """Return whether a key may mean a base model or its chat model.

    Providers sell chat models and often leave out the word for it: `llama-3.1-70b`.
    """
    return bool(
        _SIZED.search(comparable)
        and not _CHAT.search(comparable)
        and not comparable.startswith(_PLAINLY_CHAT)
    )
