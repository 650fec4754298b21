"""Choices of settings that a training that did not end has made, so that another goes on."""

from collections.abc import Mapping
from dataclasses import asdict
from hashlib import blake2b
from importlib.metadata import version
from typing import Any, Protocol

import numpy as np

from registry.learning.factorization.problem import Context, Problem
from registry.learning.factorization.selection import Choice, method_of, settings


class Choices(Protocol):
    """Where choices are kept until a training ends."""

    def find(self, key: str) -> Choice | None:
        """Return the choice that was kept under a key; None without one."""
        ...

    def keep(self, key: str, choice: Choice) -> None:
        """Keep a choice under a key."""
        ...


class NoChoices:
    """Keeps nothing."""

    def find(self, key: str) -> Choice | None:
        """Find nothing."""

    def keep(self, key: str, choice: Choice) -> None:
        """Keep nothing."""


def key_of(problem: Problem, name: str, context: Context) -> str:
    """Return a digest of all that a choice of settings depends on.

    What the catalog says is no part of it: exams are tied by it after their settings are chosen.

    Args:
        problem: of one exam.
        name: of the method.
        context: device and seed.
    """
    digest = blake2b(digest_size=16)
    made = (name, context.seed, context.device, version("torch"), problem.outcomes.shape)
    digest.update(repr(made).encode())
    arrays: list[Any] = [problem.outcomes]
    if problem.texts is not None:
        words = problem.texts.words
        arrays += [problem.texts.vectors, problem.texts.traits]
        arrays += [words.data, words.indices, words.indptr]
    for array in arrays:
        digest.update(repr((array.dtype.str, array.shape)).encode())
        digest.update(np.ascontiguousarray(array).view(np.uint8).data)
    return digest.hexdigest()


def as_json(choice: Choice) -> dict[str, object]:
    """Return a choice as JSON has it."""
    return {**asdict(choice), "method": settings(choice.method)}


def from_json(values: Mapping[str, Any]) -> Choice:
    """Return a choice from its JSON."""
    return Choice(**{**values, "method": method_of(values["method"])})
