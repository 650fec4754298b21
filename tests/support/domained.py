"""Items of domains for tests: texts whose words say their domain, and models that know some."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from evaluated import block, run, write
from factories import model
from sqlalchemy import Connection, text

from registry.evaluations.records import Item
from registry.prediction.domains import domain_storage
from registry.prediction.domains.domain_sets import DomainSet, Subject

_WORDS = """
sums: add subtract multiply integer fraction equation digit total quotient root
birds: feather beak wing nest heron owl finch egg flight plumage
law: court judge contract tort appeal plaintiff statute verdict jury clause
"""

WORDS = {
    subject: words.split()
    for subject, _, words in (line.partition(":") for line in _WORDS.strip().splitlines())
}
"""Words of each subject."""

SET = DomainSet(
    "ours",
    ("sums", "birds", "rest"),
    {
        Subject("quiz", "sums"): "sums",
        Subject("quiz", "birds"): "birds",
        Subject("quiz", "law"): "rest",
    },
    fallback="rest",
)


def kept_domains(connection: Connection) -> None:
    """Store the set modem, trained on vectors of three dimensions, and a model with scores."""
    domain_storage.ship(connection)
    key = domain_storage.read_set(connection, "modem").key
    of = model(connection, "org/scored", parameters=8 * 10**9)
    for statement in (
        """INSERT INTO store.domain_classifiers
           VALUES (:key, 'three', 3, now(), 9, 1, 1, 1, 0, 0.5, '', '{}', '{}')""",
        "INSERT INTO store.domain_vectors VALUES (:key, 0, 0, '[1,0,0,0]')",
        "INSERT INTO store.domain_scores VALUES (:model, :key, -1, 99, 0.5, 0.1, 0.1)",
    ):
        connection.execute(text(statement), {"key": key, "model": of})


def prompts(subject: str, count: int, seed: int = 0) -> list[str]:
    """Return different texts of a subject."""
    rng = np.random.default_rng([seed, list(WORDS).index(subject)])
    return [
        f"{number} " + " ".join(rng.choice(WORDS[subject], 6, replace=True))
        for number in range(count)
    ]


def quiz_items(count: int = 60) -> list[Item]:
    """Return items of all subjects, so many of each."""
    return [
        Item(f"{subject}{number}", prompt, (), None, subject)
        for subject in WORDS
        for number, prompt in enumerate(prompts(subject, count))
    ]


def quiz(
    connection: Connection,
    rates: Mapping[str, Mapping[str, float]],
    count: int = 60,
    **fields: Any,
) -> None:
    """Store the items, and models that are right on these shares of each subject's items."""
    asked = quiz_items(count)
    runs = []
    for number, (name, shares) in enumerate(rates.items()):
        outcomes: list[float | None] = []
        for subject in WORDS:
            right = np.arange(count) < round(shares[subject] * count)
            # Each model is right on items of its own.
            outcomes += [float(each) for each in np.random.default_rng(number).permutation(right)]
        runs.append(run(name, outcomes, **fields))
    write(connection, block("quiz", *runs, asked=asked))
