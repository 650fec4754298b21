"""Scores that frames are of, one of each model on each benchmark, and the settings of each."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, text

from registry.errors import UsageError
from registry.evaluations.selection import RunSelection, did_you_mean

MOST_NOTED = 12
"""Benchmarks whose settings notes state; of others there is the number."""

MOST_SETTINGS = 5
"""Settings that the note of a benchmark states."""

_SCORES = text("""
    SELECT r.model_id, c.benchmark, c.version, c.score AS share, c.raw_score AS raw, k.unit,
           t.precision, c.run, c.stated_as, c.source, c.shots, c.prompting,
           c.variant IS NOT NULL AS is_system
      FROM registry.canonical_leaderboard c
      JOIN store.runs r ON r.run_id = c.run
      JOIN store.measures k ON k.measure_id = r.measure_id
      JOIN store.setups t ON t.setup_id = r.setup_id
     WHERE c.complete AND c.raw_score IS NOT NULL
       AND (c.score IS NOT NULL OR k.upper > k.lower IS NOT TRUE)
       AND (NOT :named OR (c.benchmark, c.version) IN (
            SELECT * FROM unnest(CAST(:names AS text[]), CAST(:versions AS text[]))))
     ORDER BY c.benchmark, c.version, r.model_id""")

# As view canonical_leaderboard chooses, but among the runs of one source: another's may come first.
_OF_SOURCE = text("""
    WITH best AS MATERIALIZED (
        SELECT DISTINCT ON (r.model_id, r.benchmark_id) r.*
          FROM store.ranked_runs r
         WHERE r.source_id = :source AND r.is_shown
         ORDER BY r.model_id, r.benchmark_id, r.rank),
    one AS (
        SELECT DISTINCT ON (r.model_id, coalesce(b.canonical, b.name), b.version)
               r.*, coalesce(b.canonical, b.name) AS canonical, b.variant AS prompting
          FROM best r JOIN store.benchmarks b ON b.benchmark_id = r.benchmark_id AND b.comparable
         WHERE NOT :named OR (coalesce(b.canonical, b.name), b.version) IN (
               SELECT * FROM unnest(CAST(:names AS text[]), CAST(:versions AS text[])))
         ORDER BY r.model_id, coalesce(b.canonical, b.name), b.version, r.variant IS NOT NULL,
               b.variant IS NOT NULL, NOT r.complete, NOT r.verified,
               r.evaluated_at DESC NULLS LAST, r.right_bits IS NULL,
               r.item_count DESC NULLS LAST, r.run_id)
    SELECT o.model_id, o.canonical AS benchmark, o.version,
           store.share(o.score, o.lower, o.upper, o.higher_is_better) AS share, o.score AS raw,
           o.unit, t.precision, o.run_id AS run, o.benchmark AS stated_as, s.name AS source,
           o.shots, o.prompting, o.variant IS NOT NULL AS is_system
      FROM one o
      JOIN store.setups t ON t.setup_id = o.setup_id
      JOIN store.sources s ON s.source_id = o.source_id
     WHERE o.complete AND o.score IS NOT NULL
       AND (store.share(o.score, o.lower, o.upper, o.higher_is_better) IS NOT NULL
            OR o.upper > o.lower IS NOT TRUE)
     ORDER BY benchmark, o.version, o.model_id""")


class ScoreSetting(NamedTuple):
    """Who states a score, and how models were asked.

    Attributes:
        source: who states it.
        shots: number of examples in the prompt; None if no source states it.
        prompting: way of prompting, such as cot; None for the plain one.
        is_system: whether it is of a system around the model, such as best-of-16.
    """

    source: str
    shots: int | None
    prompting: str | None
    is_system: bool

    def describe(self) -> str:
        """Return the setting in words."""
        how = ["shots not stated" if self.shots is None else
               f"{self.shots} shot{'' if self.shots == 1 else 's'}"]  # fmt: skip
        if self.prompting is not None:
            how.append(self.prompting)
        if self.is_system:
            how.append("systems around models")
        return f"{self.source} ({', '.join(how)})"


class FrameScore(NamedTuple):
    """A score of a model on a benchmark.

    Attributes:
        value: a share in [0, 1] where the measure has bounds, else raw.
        precision: of the weights in its run; None if unknown.
        run: key of its run.
        stated_as: name of the benchmark in its source.
        setting: of its run.
    """

    value: float
    precision: str | None
    run: int
    stated_as: str
    setting: ScoreSetting

    @classmethod
    def of(cls, row: Row[Any]) -> "FrameScore":
        """Return the score of a row of `read_scores`."""
        setting = ScoreSetting(row.source, row.shots, row.prompting, row.is_system)
        value = float(row.raw if row.share is None else row.share)
        return cls(value, row.precision, row.run, row.stated_as, setting)


Column = Mapping[int, FrameScore]
"""Scores on a benchmark, by key of the model."""


def read_scores(
    connection: Connection, benchmarks: Sequence[str] | None, source: str | None
) -> list[Row[Any]]:
    """Read one score of each model on each canonical benchmark, of one source or of all.

    Raises:
        UsageError: a benchmark or the source is not known.
    """
    found = canonical_benchmarks(connection, benchmarks or ())
    given: dict[str, Any] = {
        "named": bool(benchmarks),
        "names": [name for name, _ in found],
        "versions": [version for _, version in found],
    }
    # Read at once, in half the time that single rows take.
    if source is None:
        return list(connection.execute(_SCORES, given).all())
    given["source"] = source_key(connection, source)
    return list(connection.execute(_OF_SOURCE, given).all())


def source_key(connection: Connection, name: str) -> int:
    """Return the key of a source of scores.

    Raises:
        UsageError: none is of this name; suggests the most similar.
    """
    rows = connection.execute(text("SELECT name, source_id FROM store.sources ORDER BY name"))
    keys: dict[str, int] = {row.name: row.source_id for row in rows}
    if name not in keys:
        raise UsageError(
            f"No source is named {name!r};{did_you_mean(name, keys)} `registry evals sources`"
            " lists them."
        )
    return keys[name]


def with_outcomes_of(connection: Connection, names: Sequence[str], source: str | None) -> list[str]:
    """Return the benchmarks, by stored names, that no other source has outcomes on; None is all.

    Models are compared by the outcomes that are stored, whoever states them.
    """
    if source is None:
        return list(names)
    others = connection.scalars(
        text("""
        SELECT DISTINCT n.name
          FROM unnest(CAST(:names AS text[])) AS n (name)
          JOIN store.benchmarks b ON n.name IN (b.name, b.name || '@' || b.version)
          JOIN store.runs r ON r.benchmark_id = b.benchmark_id
         WHERE r.right_bits IS NOT NULL AND r.source_id <> :source"""),
        {"names": list(names), "source": source_key(connection, source)},
    ).all()
    return [name for name in names if name not in others]


def canonical_benchmarks(connection: Connection, names: Sequence[str]) -> list[tuple[str, str]]:
    """Return the canonical benchmarks of names, or name@version, as name and version.

    Raises:
        UsageError: a benchmark is not known.
    """
    keys = RunSelection(benchmarks=names).benchmark_keys(connection)
    found = connection.execute(
        text("""
        SELECT DISTINCT coalesce(canonical, name) AS name, version FROM store.benchmarks
         WHERE benchmark_id = ANY (:keys)"""),
        {"keys": list(keys or ())},
    )
    return [(row.name, row.version) for row in found]


def count_settings(scores: Iterable[FrameScore]) -> list[tuple[ScoreSetting, int]]:
    """Return the settings of scores and how many are of each, the most first."""
    counts = Counter(score.setting for score in scores)
    return sorted(counts.items(), key=lambda each: (-each[1], each[0].describe()))


def setting_notes(settings: Mapping[str, Sequence[tuple[ScoreSetting, int]]]) -> list[str]:
    """Say which settings the scores on benchmarks are of, where there are several.

    Args:
        settings: as `count_settings` returns them, by benchmark.
    """
    several = {title: counts for title, counts in settings.items() if len(counts) > 1}
    # What several sources state differs most.
    order = sorted(several, key=lambda title: not _of_sources(several[title]))
    noted = [_note(title, several[title]) for title in order[:MOST_NOTED]]
    if (left := len(order) - MOST_NOTED) > 0:
        noted.append(
            f"{left:,} other benchmark{'s have' if left > 1 else ' has'} scores of several sources,"
            " numbers of shots or ways of prompting; name them to see which."
        )
    return noted


def _note(title: str, counts: Sequence[tuple[ScoreSetting, int]]) -> str:
    parts = [f"{count:,} of {setting.describe()}" for setting, count in counts[:MOST_SETTINGS]]
    if rest := counts[MOST_SETTINGS:]:
        parts.append(f"{sum(count for _, count in rest):,} of {len(rest)} others")
    said = f"{title}: scores differ in what they are of: {', '.join(parts)}."
    if _of_sources(counts):
        said += " --source restricts them to one."
    return said


def _of_sources(counts: Sequence[tuple[ScoreSetting, int]]) -> bool:
    return len({setting.source for setting, _ in counts}) > 1
