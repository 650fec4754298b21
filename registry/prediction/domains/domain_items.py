"""Items of the domains of a set: which there are, their texts, vectors and outcomes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, text

from registry.embeddings import item_vectors
from registry.evaluations.outcomes import Column
from registry.evaluations.records import text_of
from registry.learning.arrays import Places
from registry.prediction.domains.domain_sets import DomainSet

MOST_ITEMS = 30_000
"""Items of a domain that are learned from, at most, as in MoDEM (section 3.2.3)."""


@dataclass(frozen=True, slots=True, eq=False)
class DomainItems:
    """Items of which the domain is known.

    Attributes:
        columns: the N items.
        domains: int, N: number of each one's domain.
        texts: of the items, prompt and choices; None where there is none.
        benchmarks: keys of their benchmarks.
        unmapped: items of the same benchmarks that no subject of the set names.
    """

    columns: Sequence[Column]
    domains: Places
    texts: Sequence[str | None]
    benchmarks: Sequence[int]
    unmapped: int

    def of_domain(self, domain: int) -> Places:
        """Return the places of a domain's items."""
        return np.flatnonzero(self.domains == domain)


def read_items(connection: Connection, content: DomainSet) -> DomainItems:
    """Read the items of the domains of a set, with and without outcomes.

    Args:
        connection: to read from.
        content: the set.
    """
    places = content.places()
    rows = connection.execute(
        text("""
        SELECT b.benchmark_id, coalesce(b.canonical, b.name) AS canonical, b.name, b.version,
               i.item, i.prompt, i.choices, coalesce(i.domain, b.domain) AS subject
          FROM store.items i JOIN store.benchmarks b USING (benchmark_id)
         ORDER BY b.name COLLATE "C", b.version COLLATE "C", i.ordinal"""),
        execution_options={"stream_results": True},
    )
    columns: list[Column] = []
    domains: list[int] = []
    texts: list[str | None] = []
    mapped: set[int] = set()
    skipped: dict[int, int] = {}
    known: dict[tuple[str, str, str | None], int | None] = {}
    for row in rows:
        place = (row.canonical, row.name, row.subject)
        if place not in known:
            # A source's own name counts where the canonical one is not mapped.
            found = places.of(row.canonical, row.subject)
            known[place] = places.of(row.name, row.subject) if found is None else found
        domain = known[place]
        if domain is None:
            skipped[row.benchmark_id] = skipped.get(row.benchmark_id, 0) + 1
            continue
        mapped.add(row.benchmark_id)
        columns.append(Column(row.name, row.version, row.item))
        domains.append(domain)
        whole = None if row.prompt is None else text_of(row.prompt, row.choices)
        texts.append(whole if whole and whole.strip() else None)
    return DomainItems(
        columns,
        np.array(domains, np.intp),
        texts,
        sorted(mapped),
        sum(count for benchmark, count in skipped.items() if benchmark in mapped),
    )


def learnable_items(items: DomainItems, *, seed: int = 0) -> Places:
    """Return the places of items to learn from: with a text, each text once, not too many.

    A text that is of items of several domains is of none for certain, and is left out.
    """
    found: dict[str, tuple[int, int] | None] = {}
    for place, (whole, domain) in enumerate(zip(items.texts, items.domains.tolist(), strict=True)):
        if whole is None:
            continue
        before = found.setdefault(whole, (place, domain))
        if before is not None and before[1] != domain:
            found[whole] = None
    kept: Places = np.array([each[0] for each in found.values() if each is not None], np.intp)
    rng = np.random.default_rng(seed)
    parts = []
    for domain in np.unique(items.domains[kept]):
        of_domain = kept[items.domains[kept] == domain]
        if len(of_domain) > MOST_ITEMS:
            of_domain = np.sort(rng.choice(of_domain, MOST_ITEMS, replace=False))
        parts.append(of_domain)
    return np.sort(np.concatenate(parts)) if parts else kept


def read_vectors(
    connection: Connection, encoder: str, items: DomainItems, places: Places
) -> NDArray[np.float32]:
    """Read the vectors of items: float32, n x T; NaN where there is none."""
    return item_vectors.read(connection, encoder, [items.columns[each] for each in places.tolist()])
