"""Table of all scores: one of each model on each canonical benchmark, on the working scale."""

import hashlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Row, text

from registry.learning.arrays import Places, Reals
from registry.learning.scores.links import ScoreLinks

LEAST_MODELS = 5
"""Models with a score on a benchmark that predicting others takes."""


LEAST_OF_PART = 20
"""Models with a run on the same part of a benchmark's items, for the part to count."""


class ScoredBenchmark(NamedTuple):
    """A canonical benchmark in one version, by one measure, or a part of its items.

    Attributes:
        key: of its row in `store.benchmarks`; of several names, the first; negative of a part.
        measure: key of the measure of most of its scores.
        name: canonical.
        version: empty where no source states one.
    """

    key: int
    measure: int
    name: str
    version: str


class ScoreTable(NamedTuple):
    """Scores of M models on B benchmarks, n in all.

    Attributes:
        models: int64, M: keys, ascending.
        benchmarks: B, in order of their keys.
        rows: n, place of each score's model.
        columns: n, place of its benchmark.
        values: n, on the working scale of `links`.
        variances: n, of each value's own error; 0 where measured.
        links: working scales.
    """

    models: NDArray[np.int64]
    benchmarks: Sequence[ScoredBenchmark]
    rows: Places
    columns: Places
    values: Reals
    variances: Reals
    links: ScoreLinks

    def fingerprint(self) -> str:
        """Return a digest of the scores and what they are of."""
        digest = hashlib.sha256()
        for benchmark in self.benchmarks:
            digest.update(f"{benchmark.name}\0{benchmark.version}\0".encode())
        for part in (self.models, self.rows, self.columns, self.values, self.variances):
            digest.update(np.ascontiguousarray(part).tobytes())
        return digest.hexdigest()


_SCORES = text("""
    SELECT r.model_id, c.benchmark, c.version, r.benchmark_id, r.measure_id,
           c.score AS share, c.raw_score AS raw, k.higher_is_better
      FROM registry.canonical_leaderboard c
      JOIN store.runs r ON r.run_id = c.run
      JOIN store.measures k ON k.measure_id = r.measure_id
     WHERE c.complete AND c.raw_score IS NOT NULL
       AND (c.score IS NOT NULL
            OR (k.upper > k.lower IS NOT TRUE AND k.higher_is_better IS NOT NULL
                AND (c.raw_score < k.lower OR c.raw_score > k.upper) IS NOT TRUE))
     ORDER BY r.model_id, c.benchmark, c.version""")

# Runs limited to the same of a benchmark's items. Their mean is no score of the benchmark, and says
# much of it.
_PARTS = text("""
    SELECT model_id, benchmark, version, -1000 * benchmark_id - place AS benchmark_id, measure_id,
           share, raw, higher_is_better
      FROM (SELECT p.*, dense_rank() OVER (PARTITION BY p.benchmark_id ORDER BY p.items) AS place
              FROM (SELECT DISTINCT ON (r.model_id, r.benchmark_id, i.items)
                           r.model_id, r.benchmark_id, r.measure_id, i.items,
                           coalesce(b.canonical, b.name) AS benchmark, b.version, r.score AS raw,
                           store.share(r.score, k.lower, k.upper, k.higher_is_better) AS share,
                           k.higher_is_better,
                           count(*) OVER (PARTITION BY r.benchmark_id, i.items) AS models
                      FROM store.runs r
                      JOIN store.benchmarks b ON b.benchmark_id = r.benchmark_id
                      JOIN store.measures k ON k.measure_id = r.measure_id
                      JOIN store.setups t ON t.setup_id = r.setup_id
                     CROSS JOIN LATERAL (
                           SELECT md5(coalesce(r.present_bits,
                                               r.right_bits | ~r.right_bits)::text) AS items) i
                     WHERE NOT r.complete AND r.right_bits IS NOT NULL AND t.variant IS NULL
                     ORDER BY r.model_id, r.benchmark_id, i.items, r.evaluated_at DESC NULLS LAST,
                           r.run_id) p
             WHERE p.models >= :least AND p.share IS NOT NULL) q
     WHERE place < 1000
     ORDER BY model_id, benchmark_id DESC""")


def measured_scores(connection: Connection) -> Sequence[Row[Any]]:
    """Read scores of complete runs: one of each model on each canonical benchmark and version.

    Rows have model_id, benchmark, version, share (None where the measure has no bounds) and raw.
    """
    return connection.execute(_SCORES).all()


def read(connection: Connection) -> ScoreTable:
    """Read the scores of complete runs, by the measure that leaderboards show, and of parts.

    A part is some of a benchmark's items that runs of enough models are limited to. Left out are
    benchmarks that fewer than `LEAST_MODELS` models have scores on, those whose scores are without
    bounds and of no known direction, and scores outside their bounds.

    Args:
        connection: to read from.
    """
    grouped: dict[tuple[str, str, bool], list[tuple[int, int, int, float, bool | None]]] = {}
    parts = connection.execute(_PARTS, {"least": LEAST_OF_PART})
    for row in (*measured_scores(connection), *parts):
        part = f" (part {-row.benchmark_id % 1000})" if row.benchmark_id < 0 else ""
        of = row.benchmark + part, row.version, row.share is not None
        value = row.raw if row.share is None else row.share
        own = row.model_id, row.benchmark_id, row.measure_id, float(value), row.higher_is_better
        grouped.setdefault(of, []).append(own)
    chosen = sorted(_one_scale(grouped), key=lambda of: _key(grouped[of]))
    benchmarks, rows, columns, scores, better = [], [], [], [], []
    for place, (name, version, _) in enumerate(chosen):
        own_rows = grouped[name, version, _]
        measures = [each[2] for each in own_rows]
        benchmarks.append(
            ScoredBenchmark(
                _key(own_rows),
                max(sorted(set(measures)), key=measures.count),
                name,
                version,
            )
        )
        better.append(own_rows[0][4] is not False)
        rows += [each[0] for each in own_rows]
        scores += [each[3] for each in own_rows]
        columns += [place] * len(own_rows)
    models, places = np.unique(np.array(rows, np.int64), return_inverse=True)
    of_columns, values = np.array(columns, np.intp), np.array(scores, np.float64)
    bounded = np.array([share for _, _, share in chosen], bool)
    links = ScoreLinks.of(of_columns, values, bounded, np.array(better, bool))
    return ScoreTable(
        models,
        benchmarks,
        places.astype(np.intp),
        of_columns,
        links.working(values, of_columns),
        np.zeros(len(values)),
        links,
    )


def _key(rows: Sequence[tuple[int, int, int, float, bool | None]]) -> int:
    """Return the key of a benchmark of these scores: of several names, the first."""
    return min((each[1] for each in rows), key=abs)


def _one_scale(
    grouped: dict[tuple[str, str, bool], list[tuple[int, int, int, float, bool | None]]],
) -> list[tuple[str, str, bool]]:
    """Return the benchmarks with enough scores, each on the scale of most of them."""
    kept: dict[tuple[str, str], tuple[str, str, bool]] = {}
    for of, rows in sorted(grouped.items()):
        before = kept.get(of[:2])
        if len(rows) >= LEAST_MODELS and (before is None or len(rows) > len(grouped[before])):
            kept[of[:2]] = of
    return list(kept.values())
