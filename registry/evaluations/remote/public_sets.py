"""Public sets of evaluations, each imported by one command."""

import shlex
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

import msgspec

from registry.errors import UsageError

_FILE = Path(__file__).with_suffix(".yaml")


class PublicSet(msgspec.Struct, frozen=True, kw_only=True):
    """A set: what it holds, where it lies, how it is read, and on which terms."""

    about: str
    holds: str
    addresses: Sequence[str]
    options: Sequence[str] = ()
    licence: str
    size: str

    @property
    def command(self) -> str:
        """The command that imports it."""
        return shlex.join(["registry", "evals", "import", *self.addresses, *self.options])

    @property
    def read_as(self) -> str:
        """Its format or mapping."""
        return self.options[-1] if self.options else ""


@cache
def public_sets() -> Mapping[str, PublicSet]:
    """Return the sets by name."""
    import yaml  # noqa: PLC0415 - takes a while to load

    return msgspec.convert(yaml.safe_load(_FILE.read_text("utf-8")), dict[str, PublicSet])


def public_set(name: str) -> PublicSet:
    """Return a set.

    Raises:
        UsageError: when there is none of this name.
    """
    try:
        return public_sets()[name]
    except KeyError:
        raise UsageError(
            f"There is no public set {name!r}; there are {', '.join(public_sets())}."
        ) from None
