"""Sizes and licences that count for models: the Hub's own, else of facts, names and parents.

They are written to the models' rows, which views show and searches filter on. A sync writes a
record over the row; what it does not say is filled in again.
"""

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from sqlalchemy import Connection, Row, text

from registry.catalog.facts.values import SEVERAL
from registry.catalog.feature_sets import replace_features
from registry.catalog.features import Traits, feature_set
from registry.hub.parameters import is_packed_name, parameters_in_name, unpacked_count

LEADERBOARD = "leaderboard:"
"""Beginning of the source of a size or licence that an evaluation's source states."""

AT_ONCE = 5_000
"""Models that are read at once."""

_DEEPEST = 20
"""Generations that a size passes; it would go around for ever among models made from each other."""

_COUNTED = frozenset({"safetensors", "packed", "gguf"})
"""Sources of sizes that files state."""

_PACKED_BELOW = 1.5  # of a size in the name: no rounding is as large, and packing is larger

# A parent's weights are those of its finetunes and quantizations, not of adapters and merges.
_CANDIDATES = """
SELECT m.model_id, m.name, m.state, m.license, m.license_source, m.parameters, m.parameters_source,
       m.stored_parameters, m.dtypes, m.quantization, m.model_type, m.architectures,
       m.pipeline_tag, m.tags,
       f.sizes, f.size_sources, f.licenses, f.license_sources, f.classes,
       p.name AS parent, p.parameters AS of_parent, p.of_siblings
  FROM store.models m
  LEFT JOIN LATERAL (
       SELECT array_agg(f.value ORDER BY s.name) FILTER (WHERE f.fact = 'parameters') AS sizes,
              array_agg(s.name ORDER BY s.name)
                  FILTER (WHERE f.fact = 'parameters') AS size_sources,
              array_agg(f.value ORDER BY s.name) FILTER (WHERE f.fact = 'license') AS licenses,
              array_agg(s.name ORDER BY s.name)
                  FILTER (WHERE f.fact = 'license') AS license_sources,
              array_agg(DISTINCT f.value) FILTER (WHERE f.fact = 'architecture') AS classes
         FROM store.model_facts f JOIN store.sources s USING (source_id)
        WHERE f.model_id = m.model_id) f ON true
  LEFT JOIN LATERAL (
       SELECT o.name, o.parameters,
              (SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY c.parameters)
                 FROM (SELECT c.parameters
                         FROM store.edges b JOIN store.models c ON c.model_id = b.child_id
                        WHERE b.parent_id = o.model_id AND b.relation IN ('finetune', 'quantized')
                          AND c.parameters_source IN ('safetensors', 'packed', 'gguf')
                          AND c.model_id <> m.model_id
                        LIMIT 100) c) AS of_siblings
         FROM (SELECT e.parent_id, e.confidence, e.position FROM store.edges e
                WHERE e.child_id = m.model_id AND e.parent_id <> m.model_id
                  AND e.relation IN ('finetune', 'quantized')
                UNION ALL
               SELECT b.model_id, 0, 0
                 FROM store.model_facts f JOIN store.models b ON b.name = f.value
                WHERE f.model_id = m.model_id AND f.fact = 'base_model') e
         JOIN store.models o ON o.model_id = e.parent_id
        ORDER BY e.confidence DESC, e.position, o.name LIMIT 1) p ON true
 WHERE m.model_id = ANY (:keys)
   AND (m.parameters_source IS NULL OR m.parameters_source NOT IN ('safetensors', 'gguf')
        OR m.license_source IS NOT NULL OR f.licenses IS NOT NULL)"""


class Size(NamedTuple):
    """A number of weights, and where it is from; None where it is not known."""

    parameters: int | None
    source: str | None


def apply(connection: Connection, keys: Iterable[int]) -> int:
    """Write the sizes and licences that count to the rows of models, with their features.

    Args:
        connection: in a transaction.
        keys: of models whose facts, records or parents changed.

    Returns:
        How many models have another size or licence than before.
    """
    listed = sorted(set(keys))
    changed = 0
    unsized: list[int] = []
    for start in range(0, len(listed), AT_ONCE):
        rows = connection.execute(text(_CANDIDATES), {"keys": listed[start : start + AT_ONCE]})
        changes = [_change(row) for row in rows]
        changed += _write(connection, changes)
        unsized += [
            each.row.model_id
            for each in changes
            if each.size.parameters is None and each.row.parent is not None
        ]
    # Their parents may have got a size meanwhile.
    return changed + (apply(connection, unsized) if 0 < len(unsized) < len(listed) else 0)


def spread(connection: Connection, keys: Iterable[int]) -> int:
    """Write the sizes and licences that count to models, and to those made from them.

    Args:
        connection: in a transaction.
        keys: of models whose facts, records or parents changed.

    Returns:
        How many models have another size or licence than before.
    """
    level = list(keys)
    changed = apply(connection, level)
    for _ in range(_DEEPEST):
        level = list(children(connection, level))
        now = apply(connection, level) if level else 0
        changed += now
        if not now:
            break
    return changed


class _Change(NamedTuple):
    row: Row[tuple[object, ...]]
    size: Size
    license: tuple[str | None, str | None]
    architectures: list[str]

    def is_real(self) -> bool:
        row = self.row
        return (row.license, row.license_source) != self.license or self.has_other_features()

    def has_other_features(self) -> bool:
        row = self.row
        before = row.parameters, row.parameters_source, row.architectures
        return before != (*self.size, self.architectures)


def _change(row: Row[tuple[object, ...]]) -> _Change:
    return _Change(row, _size(row), _license(row), _architectures(row))


def _write(connection: Connection, changes: Sequence[_Change]) -> int:
    changes = [each for each in changes if each.is_real()]
    if not changes:
        return 0
    connection.execute(
        text("""
        UPDATE store.models m
           SET parameters = c.parameters, parameters_source = c.parameters_source,
               license = c.license, license_source = c.license_source,
               architectures = CASE WHEN m.state <> 'stub' THEN m.architectures
                                    ELSE array_remove(ARRAY[c.architecture], NULL) END
          FROM unnest(CAST(:keys AS bigint[]), CAST(:sizes AS bigint[]),
                      CAST(:size_sources AS text[]), CAST(:licenses AS text[]),
                      CAST(:license_sources AS text[]), CAST(:architectures AS text[]))
               AS c (model_id, parameters, parameters_source, license, license_source,
                     architecture)
         WHERE m.model_id = c.model_id"""),
        {
            "keys": [each.row.model_id for each in changes],
            "sizes": [each.size.parameters for each in changes],
            "size_sources": [each.size.source for each in changes],
            "licenses": [each.license[0] for each in changes],
            "license_sources": [each.license[1] for each in changes],
            "architectures": [next(iter(each.architectures), None) for each in changes],
        },
    )
    featured = [each for each in changes if each.has_other_features()]
    replace_features(
        connection,
        {
            each.row.model_id: feature_set(
                Traits(
                    each.size.parameters,
                    each.row.model_type,
                    each.architectures,
                    each.row.pipeline_tag,
                    each.row.tags,
                )
            )
            for each in featured
        },
    )
    return len(changes)


def _size(row: Row[tuple[object, ...]]) -> Size:
    """Return a model's size: of its files, a fact, its name, its parent or its siblings.

    The files' again, unpacked, where nothing else says whether the Hub counted them so.
    """
    named = parameters_in_name(row.name)
    # Unpacked without a size in the name is the last resort, which is tried again.
    if row.parameters_source in _COUNTED and (named or row.parameters_source != "packed"):
        return Size(row.parameters, row.parameters_source)
    packed = row.quantization is not None or is_packed_name(row.name)
    if row.sizes:
        stated = list(zip(map(int, row.sizes), row.size_sources, strict=True))
        nearest = named and (lambda each: abs(math.log(each[0] / named)))
        size, source = min(stated, key=nearest) if nearest else max(stated)
        # Boards count packed weights as they are stored.
        if not packed or (named is not None and size * _PACKED_BELOW >= named):
            return Size(size, LEADERBOARD + source)
    if named is not None:
        return Size(named, "name")
    unpacked = None
    if row.stored_parameters and row.dtypes:
        unpacked = unpacked_count(row.stored_parameters, row.dtypes, row.quantization)
    if of_parent := row.of_parent or (row.parent and parameters_in_name(row.parent)):
        # Of about as many weights: the parent's number has none of the scales that are packed too.
        agrees = unpacked and abs(math.log(unpacked / of_parent)) <= math.log(_PACKED_BELOW)
        return Size(of_parent, "packed" if agrees else "parent")
    if row.of_siblings:
        return Size(row.of_siblings, "siblings")
    return Size(unpacked, "packed" if unpacked else None)


def _license(row: Row[tuple[object, ...]]) -> tuple[str | None, str | None]:
    """Return a model's licence and its source, which is None for the Hub."""
    if row.license is not None and row.license_source is None:
        return row.license, None
    stated = zip(row.licenses or (), row.license_sources or (), strict=True)
    single = [each for each in stated if SEVERAL not in each[0]]
    if len({each for each, _ in single}) == 1:
        return single[0][0], LEADERBOARD + single[0][1]
    return None, None


def _architectures(row: Row[tuple[object, ...]]) -> list[str]:
    """Return a model's architecture classes; a stub's are what sources agree on."""
    if row.state != "stub":
        return list(row.architectures)
    stated = list(row.classes or ())
    return stated if len(stated) == 1 and SEVERAL not in stated[0] else []


def apply_everywhere(connection: Connection) -> int:
    """Write what counts to the rows of all models whose records leave it open."""
    keys = connection.scalars(
        text("""
        SELECT m.model_id FROM store.models m
         WHERE m.parameters IS NULL
           AND (m.stored_parameters IS NOT NULL
                OR m.model_id IN (SELECT e.child_id FROM store.edges e
                                   WHERE e.relation IN ('finetune', 'quantized')))
        UNION
        SELECT f.model_id FROM store.model_facts f""")
    ).all()
    return apply(connection, keys)


def children(connection: Connection, keys: Iterable[int]) -> Sequence[int]:
    """Return the keys of models without sizes of their own whose parents here have another."""
    return connection.scalars(
        text("""
        SELECT DISTINCT e.child_id
          FROM (SELECT parent_id, child_id FROM store.edges
                 WHERE parent_id = ANY (:keys) AND relation IN ('finetune', 'quantized')
                 UNION ALL
                SELECT b.model_id, f.model_id
                  FROM store.models b
                  JOIN store.model_facts f ON f.value = b.name AND f.fact = 'base_model'
                 WHERE b.model_id = ANY (:keys)) e
          JOIN store.models p ON p.model_id = e.parent_id
          JOIN store.models c ON c.model_id = e.child_id
         WHERE c.parameters IS DISTINCT FROM p.parameters
           AND CASE WHEN p.parameters IS NULL THEN c.parameters_source IN ('parent', 'packed')
                    ELSE c.parameters IS NULL
                         OR c.parameters_source IN ('parent', 'siblings', 'packed') END"""),
        {"keys": list(keys)},
    ).all()


def move_facts(connection: Connection, moves: Iterable[tuple[int, int]]) -> None:
    """Move the facts of models without names in evaluations to those that their names are now of.

    Args:
        connection: in a transaction, after the names were moved.
        moves: pairs of the former and the present model.
    """
    pairs = sorted(set(moves))
    former, present = [each for each, _ in pairs], [each for _, each in pairs]
    connection.execute(
        text("""
        INSERT INTO store.model_facts (model_id, source_id, fact, value, import_id)
        SELECT v.present, f.source_id, f.fact, f.value, f.import_id
          FROM unnest(CAST(:former AS bigint[]), CAST(:present AS bigint[])) AS v (former, present)
          JOIN store.model_facts f ON f.model_id = v.former
         WHERE NOT EXISTS (SELECT FROM store.evaluated_names n WHERE n.model_id = v.former)
         ORDER BY v.present, v.former
            ON CONFLICT DO NOTHING"""),
        {"former": former, "present": present},
    )
    connection.execute(
        text("""
        DELETE FROM store.model_facts f
         WHERE f.model_id = ANY (:former)
           AND NOT EXISTS (SELECT FROM store.evaluated_names n WHERE n.model_id = f.model_id)"""),
        {"former": former},
    )
    spread(connection, [*former, *present])
