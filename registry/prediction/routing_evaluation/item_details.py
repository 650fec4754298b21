"""Details of items for an evaluation of routers: subjects, answers of models, tokens."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from sqlalchemy import Connection, Row, text

from registry.evaluations.outcomes import Column
from registry.learning.arrays import Codes, Places, Reals
from registry.learning.routing_evaluation.voting import NONE
from registry.prediction.domains.domain_sets import SubjectPlaces
from registry.prediction.routing_evaluation.item_costs import ItemUsage

# Of the run whose outcomes count; answers of others may be to another prompt.
_ANSWERS = """
SELECT p.model, length(p.right_bits) AS length, a.codes, a.texts, a.input_tokens, a.output_tokens
  FROM store.preferred_runs(:benchmark) p
  JOIN store.answers a USING (model_id, run_id)
 WHERE p.model = ANY (:models)
 ORDER BY p.model COLLATE "C"
"""

_BENCHMARKS = """
SELECT benchmark_id, name, version, coalesce(canonical, name) AS canonical, domain
  FROM store.benchmarks
"""

_ITEMS = """
SELECT ordinal, domain, cardinality(choices) AS choices,
       length(coalesce(prompt, '')) + length(array_to_string(choices, ' ')) AS characters
  FROM store.items WHERE benchmark_id = :benchmark
"""

NO_DOMAIN = -1
"""Of an item that no subject of the set of domains names."""


@dataclass(frozen=True, slots=True, eq=False)
class ItemDetails:
    """What is known of N items and M models besides outcomes.

    Attributes:
        subjects: benchmark, and subject where there is one.
        domains: int, N: in a set of domains; -1 for none.
        answers: int64, N x M, codes of texts; -1 for none.
        choices: float64, N: number of possible answers: of the item's choices, else of the
            benchmark's distinct answers; at least 2.
        usage: tokens.
    """

    subjects: list[str]
    domains: Places
    answers: Codes
    choices: Reals
    usage: ItemUsage


def read_item_details(
    connection: Connection,
    columns: Sequence[Column],
    models: Sequence[str],
    places: SubjectPlaces,
) -> ItemDetails:
    """Read details of items, and of each model's preferred run on each benchmark.

    Args:
        connection: to read from.
        columns: the items, those of a benchmark's version together and in order.
        models: names, as they are now.
        places: of subjects in the set of domains.
    """
    details = ItemDetails(
        [""] * len(columns),
        np.full(len(columns), NO_DOMAIN, np.intp),
        np.full((len(columns), len(models)), NONE, np.int64),
        np.zeros(len(columns)),
        ItemUsage.unknown(len(models), len(columns)),
    )
    rows = {name: row for row, name in enumerate(models)}
    keys = connection.execute(text(_BENCHMARKS))
    by_name = {
        (row.name, row.version): (row.benchmark_id, row.canonical, row.domain) for row in keys
    }
    starts: dict[tuple[str, str], int] = {}
    for place, column in enumerate(columns):
        starts.setdefault((column.benchmark, column.version), place)
    for name, start in starts.items():
        key, canonical, subject = by_name[name]
        of = _Benchmark(key, name[0], canonical, subject, start)
        _read_benchmark(connection, of, rows, details)
        _read_domains(connection, of, places, details)
    return details


class _Benchmark(NamedTuple):
    """A version of a benchmark, whose items begin at a column."""

    key: int
    name: str
    canonical: str
    subject: str | None
    start: int


def _read_benchmark(
    connection: Connection, of: _Benchmark, rows: Mapping[str, int], details: ItemDetails
) -> None:
    """Fill in the details of one benchmark's items."""
    start = of.start
    items = connection.execute(text(_ITEMS), {"benchmark": of.key}).all()
    for item in items:
        place = start + item.ordinal
        details.subjects[place] = f"{of.name}: {item.domain}" if item.domain else of.name
        details.choices[place] = item.choices
        details.usage.characters[place] = item.characters
    codes: dict[str, int] = {}
    parameters = {"benchmark": of.key, "models": list(rows)}
    for run in connection.execute(text(_ANSWERS), parameters):
        model, span = rows[run.model], slice(start, start + run.length)
        if run.codes is not None:
            details.answers[span, model] = _codes(run, codes)
        for into, stated in (
            (details.usage.input_tokens, run.input_tokens),
            (details.usage.output_tokens, run.output_tokens),
        ):
            if stated is not None:
                tokens = [np.nan if number is None else number for number in stated]
                into[model, start : start + len(tokens)] = tokens
    own = details.choices[start : start + len(items)]
    own[own < 2] = max(len(codes), 2)  # noqa: PLR2004 - a choice is between two


def _read_domains(
    connection: Connection, of: _Benchmark, places: SubjectPlaces, details: ItemDetails
) -> None:
    """Fill in the domains of one benchmark's items, as the training of domains finds them."""
    found: dict[str | None, int] = {}
    for item in connection.execute(text(_ITEMS), {"benchmark": of.key}):
        subject = item.domain or of.subject
        if subject not in found:
            domain = places.of(of.canonical, subject)
            # A source's own name counts where the canonical one is not mapped.
            domain = places.of(of.name, subject) if domain is None else domain
            found[subject] = NO_DOMAIN if domain is None else domain
        details.domains[of.start + item.ordinal] = found[subject]


def _codes(run: Row[Any], codes: dict[str, int]) -> Codes:
    """Return the codes of a run's answers by ordinal; the same text has the same in all runs."""
    places = [NONE, *(codes.setdefault(each.strip(), len(codes)) for each in run.texts)]
    width = len(run.codes) // run.length
    found: Codes = np.array(places, np.int64)[np.frombuffer(run.codes, f">u{width}")]
    return found
