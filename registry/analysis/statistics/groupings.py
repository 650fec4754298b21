"""Groups of models by what the catalog knows of them."""

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from math import isfinite
from typing import Any

import numpy as np
from sqlalchemy import Connection, Row, text

from registry.catalog.facts.values import SEVERAL
from registry.enums import Grouping, ModelState, Relation
from registry.errors import UsageError
from registry.learning.arrays import Reals

CUTS = (1.5, 3.0, 7.0, 13.0, 35.0)
"""Bounds of the ranges of size, in billions of weights, as in `leaderboard statistics` (2024)."""

OLDEST_YEAR = 2022
"""Year that the Hub states of repositories that are as old or older."""

OLDEST_DAY = date(2022, 3, 31)
"""End of the quarter for which the same holds."""

PRECISIONS = {
    "bf16": "bfloat16", "fp16": "float16", "f16": "float16", "half": "float16", "f32": "float32",
    "fp32": "float32", "float": "float32",
}  # fmt: skip
"""Other spellings of precisions."""

_SIZE_IN_NAME = re.compile(
    r"(?<![a-z0-9.])(?:\d+x)?\d+(?:\.\d+)?[bm]\d?(?![a-z0-9])", re.IGNORECASE
)
"""Such as 7b, 1.4B, 8x7b, 70m and 1b7."""

NO_PARENT = "no stated parent"

_FACTS = text("""
    SELECT m.model_id, v.name, v.author, v.state, v.architecture, v.license, v.license_class,
           v.family_root, v.created_at, v.tags,
           CASE WHEN NOT v.parameters_inherited THEN v.parameters END AS parameters,
           (SELECT e.relation FROM store.edges e
             WHERE e.child_id = m.model_id AND e.parent_id <> m.model_id
             ORDER BY e.confidence DESC, e.position, e.source DESC, e.relation
             LIMIT 1) AS relation,
           ARRAY(SELECT f.value FROM store.model_facts f JOIN store.sources s USING (source_id)
                  WHERE f.model_id = m.model_id AND f.fact = 'type'
                  ORDER BY s.name COLLATE "C") AS types,
           (SELECT f.value FROM store.model_facts f JOIN store.sources s USING (source_id)
             WHERE f.model_id = m.model_id AND f.fact = 'merged'
             ORDER BY s.name COLLATE "C" LIMIT 1) AS merged,
           (SELECT f.value FROM store.model_facts f JOIN store.sources s USING (source_id)
             WHERE f.model_id = m.model_id AND f.fact = 'series'
             ORDER BY s.name COLLATE "C" LIMIT 1) AS series,
           (SELECT f.value FROM store.model_facts f JOIN store.sources s USING (source_id)
             WHERE f.model_id = m.model_id AND f.fact = 'uploaded'
             ORDER BY s.name COLLATE "C" LIMIT 1) AS uploaded
      FROM store.models m
      JOIN registry.models v ON v.name = m.name
     WHERE m.model_id = ANY (:keys)""")


def model_rows(connection: Connection, keys: Sequence[int]) -> dict[int, Row[Any]]:
    """Return what the catalog knows of models that they can be grouped by, by key.

    `parameters` is None where only relatives' sizes are known. Of several sources that state a fact
    it is the one of the first source by name; `types` are what each states, by name of the source.
    """
    rows = connection.execute(_FACTS, {"keys": list(keys)}).all()
    return {row.model_id: row for row in rows}


def check_cuts(cuts: Sequence[float]) -> tuple[float, ...]:
    """Return bounds of ranges of size.

    Raises:
        UsageError: there is none, or they are not positive, finite and ascending.
    """
    if not cuts or not all(isfinite(cut) and cut > 0 for cut in cuts):
        raise UsageError("Cuts of size are numbers above 0, in billions of weights: 1.5,3,7.")
    if any(low >= high for low, high in pairwise(cuts)):
        raise UsageError(f"Cuts of size ascend; these do not: {','.join(map(_short, cuts))}.")
    return tuple(map(float, cuts))


def size_names(cuts: Sequence[float]) -> list[str]:
    """Return the names of ranges of size, the smallest first: up to the cut, which is the next's.

    Such as 0-1.5B, 1.5-3B, 3B and more.
    """
    bounds = ["0", *map(_short, cuts)]
    return [*(f"{low}-{high}B" for low, high in pairwise(bounds)), f"{bounds[-1]}B and more"]


def labels(
    rows: Mapping[int, Row[Any]], grouping: Grouping, *, cuts: Sequence[float] = CUTS
) -> dict[int, str]:
    """Return the group of each model, by key; models whose group is not known are left out.

    Args:
        rows: as `model_rows` returns them.
        grouping: any but that by precision, which is of each score.
        cuts: of size, as `check_cuts` returns them.
    """
    names = size_names(cuts)

    def size(row: Row[Any]) -> str | None:
        return None if not row.parameters else names[bisect_right(cuts, row.parameters / 1e9)]

    of: Callable[[Row[Any]], str | None] = size if grouping == Grouping.SIZE else _OF[grouping]
    found = {key: of(row) for key, row in rows.items()}
    if grouping == Grouping.FAMILY:
        members = Counter(found.values())
        # Of a stub nothing is known but its name: unless others are made from it, or it from one,
        # it may be of any family.
        found = {
            key: None
            if members[name] == 1 and rows[key].state == ModelState.STUB and not rows[key].relation
            else name
            for key, name in found.items()
        }
    return {key: name for key, name in found.items() if name}


@lru_cache(maxsize=1024)
def precision(stated: str | None) -> str | None:
    """Return the precision of a run's weights, in one spelling; None where it is not known."""
    if stated is None:
        return None
    plain = re.sub(r"^torch\.", "", stated.strip().lower())
    return PRECISIONS.get(plain, plain) or None


def dates(rows: Sequence[Row[Any]]) -> Reals:
    """Return the year, with its fraction, in which each model was created; nan if not known.

    Where the Hub's date is not known it is the one of its upload that a leaderboard states.
    """

    def year(row: Row[Any]) -> float:
        created = row.created_at
        if created is None:
            try:
                created = datetime.fromisoformat(row.uploaded or "")
            except ValueError:
                return float("nan")
        if created.tzinfo is not None:
            created = created.astimezone(UTC).replace(tzinfo=None)
        start = datetime(created.year, 1, 1)  # noqa: DTZ001 - UTC, as above
        return float(created.year + (created - start) / timedelta(days=365.25))

    return np.array([year(row) for row in rows])


def _type(row: Row[Any]) -> str | None:
    """Return the first type by name of all that sources state, several by one included."""
    stated = {each.strip().lower() for value in row.types for each in value.split(SEVERAL)}
    return min(stated - {""}, default=None)


def _license_class(row: Row[Any]) -> str | None:
    return None if row.license_class == "unknown" else row.license_class


def _relation(row: Row[Any]) -> str | None:
    # Of a stub nothing is known but its name.
    if row.relation is None:
        return None if row.state == ModelState.STUB else NO_PARENT
    return str(row.relation)


def _merged(row: Row[Any]) -> str | None:
    if row.merged in {"true", "false"}:
        return "merged" if row.merged == "true" else "not merged"
    if row.relation == Relation.MERGE or {"merge", "mergekit"} & set(row.tags or ()):
        return "merged"
    return None if row.state == ModelState.STUB else "not merged"


def _created(row: Row[Any]) -> date | None:
    """Return when a model came to the Hub: as that states, else as a leaderboard does."""
    if row.created_at is not None:
        created: datetime = row.created_at
        return created.astimezone(UTC).date()
    try:
        return None if row.uploaded is None else date.fromisoformat(str(row.uploaded)[:10])
    except ValueError:
        return None


def _year(row: Row[Any]) -> str | None:
    if (created := _created(row)) is None:
        return None
    return str(created.year) if created.year > OLDEST_YEAR else f"{OLDEST_YEAR} or before"


def _quarter(row: Row[Any]) -> str | None:
    if (created := _created(row)) is None:
        return None
    if created <= OLDEST_DAY:
        return "2022-Q1 or before"
    return f"{created.year}-Q{(created.month + 2) // 3}"


def _series(row: Row[Any]) -> str | None:
    """Return what a source states, else the name without the size, if it has one."""
    if row.series is not None:
        return str(row.series)
    rest, found = _SIZE_IN_NAME.subn("", row.name)
    return re.sub(r"[-_.]{2,}", "-", rest).rstrip("-_.") if found else None


_OF: Mapping[Grouping, Callable[[Row[Any]], str | None]] = {
    Grouping.TYPE: _type,
    Grouping.ARCHITECTURE: lambda row: row.architecture,
    Grouping.LICENSE: lambda row: row.license,
    Grouping.LICENSE_CLASS: _license_class,
    Grouping.FAMILY: lambda row: row.family_root,
    Grouping.SERIES: _series,
    Grouping.RELATION: _relation,
    Grouping.MERGED: _merged,
    Grouping.YEAR: _year,
    Grouping.QUARTER: _quarter,
    Grouping.AUTHOR: lambda row: row.author,
}


def _short(number: float) -> str:
    return f"{number:g}"
