"""Benchmarks with their measures, setups and sources: get or insert."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import Connection, text

from registry.catalog.item_statistics import mark_stale
from registry.coerce import document
from registry.evaluations.identity.aliases import compare_measures, ship
from registry.evaluations.identity.shipped import item_counts, official_measures
from registry.evaluations.records import Benchmark, Measure, Setup, Source


def benchmark_id(connection: Connection, benchmark: Benchmark) -> int:
    """Return the key of a benchmark's version; insert it if it is new.

    Columns that are null so far are filled; others stay.
    """
    values = {
        "name": benchmark.name,
        "version": benchmark.version,
        "domain": benchmark.domain,
        "description": benchmark.description,
        "url": benchmark.url,
    }
    query = """
        SELECT benchmark_id FROM store.benchmarks
         WHERE name = :name AND version = :version
           AND (domain IS NOT NULL OR CAST(:domain AS text) IS NULL)
           AND (description IS NOT NULL OR CAST(:description AS text) IS NULL)
           AND (url IS NOT NULL OR CAST(:url AS text) IS NULL)"""
    key = connection.scalar(text(query), values)
    if key is not None:
        return int(key)
    connection.execute(
        text("""
        INSERT INTO store.benchmarks AS b (
               name, version, domain, description, url, canonical, variant)
        SELECT :name, :version, :domain, :description, :url, nullif(i.benchmark, :name), i.variant
          FROM (SELECT) one LEFT JOIN store.benchmark_identity(:name) i ON true
            ON CONFLICT (name, version) DO UPDATE
           SET domain = coalesce(b.domain, excluded.domain),
               description = coalesce(b.description, excluded.description),
               url = coalesce(b.url, excluded.url)
         WHERE (b.domain IS NULL AND excluded.domain IS NOT NULL)
            OR (b.description IS NULL AND excluded.description IS NOT NULL)
            OR (b.url IS NULL AND excluded.url IS NOT NULL)"""),
        values,
    )
    return _key(connection, query, values)


def _key(connection: Connection, query: str, values: Mapping[str, object]) -> int:
    return int(connection.execute(text(query), values).scalar_one())


def measure_id(connection: Connection, benchmark: int, measure: Measure) -> int:
    """Return the key of a measure of a benchmark; insert it if it is new.

    The same metric on another scale, or with the other direction, is another measure; a direction
    that was not known is filled in, and a measure without one is that with one. Until
    `choose_measures` counts models, leaderboards show a benchmark's first measure with bounds.
    """
    values = {
        "benchmark": benchmark,
        "metric": measure.metric,
        "filter": measure.filter,
        "lower": measure.lower,
        "upper": measure.upper,
        "higher": measure.higher_is_better,
        "random": measure.random_baseline,
        "unit": measure.unit,
    }
    query = """
        SELECT measure_id FROM store.measures
         WHERE (benchmark_id, metric, filter) = (:benchmark, :metric, :filter)
           AND (lower, upper, unit) IS NOT DISTINCT FROM (
                   CAST(:lower AS float8), CAST(:upper AS float8), CAST(:unit AS text))
           AND (higher_is_better = CAST(:higher AS boolean)
                OR higher_is_better IS NULL OR CAST(:higher AS boolean) IS NULL)
         ORDER BY higher_is_better IS NOT DISTINCT FROM CAST(:higher AS boolean) DESC, measure_id
         LIMIT 1"""
    key = connection.scalar(text(query), values)
    if key is not None:
        if measure.higher_is_better is not None:
            connection.execute(
                text("""
                UPDATE store.measures SET higher_is_better = :higher
                 WHERE measure_id = :key AND higher_is_better IS NULL"""),
                {"higher": measure.higher_is_better, "key": key},
            )
        return int(key)
    connection.execute(
        text("""
        INSERT INTO store.measures (
               benchmark_id, metric, filter, lower, upper, higher_is_better, random_baseline, unit)
        VALUES (:benchmark, :metric, :filter, :lower, :upper, :higher, :random, :unit)"""),
        values,
    )
    key = _key(connection, query, values)
    connection.execute(
        text("""
        UPDATE store.benchmarks b SET measure_id = m.measure_id
          FROM store.measures m
         WHERE b.benchmark_id = :benchmark AND m.measure_id = :measure
           AND (b.measure_id IS NULL
                OR m.upper > m.lower AND EXISTS (
                       SELECT FROM store.measures s
                        WHERE s.measure_id = b.measure_id AND (s.upper > s.lower) IS NOT TRUE))"""),
        {"benchmark": benchmark, "measure": key},
    )
    return key


def choose_measures(connection: Connection, benchmarks: Sequence[int]) -> None:
    """Choose for each benchmark the measure that leaderboards show: the one of most models.

    The official measure comes before others, then those with bounds, then those with a known
    direction, and the first among equals. Where the choice changes, so do the preferred runs, and
    item statistics become stale.

    Args:
        connection: in a transaction.
        benchmarks: keys of those whose runs may have changed.
    """
    changed = connection.scalars(
        text("""
        WITH counted AS (
            SELECT benchmark_id, measure_id, count(DISTINCT model_id) AS models
              FROM store.runs WHERE benchmark_id = ANY (:benchmarks)
             GROUP BY benchmark_id, measure_id
        ), chosen AS (
            SELECT DISTINCT ON (c.benchmark_id) c.benchmark_id, c.measure_id
              FROM counted c
              JOIN store.measures m USING (measure_id)
              JOIN store.benchmarks b ON b.benchmark_id = c.benchmark_id
              LEFT JOIN unnest(CAST(:official AS text[]), CAST(:metrics AS text[]),
                               CAST(:filters AS text[])) AS o (benchmark, metric, filter)
                ON o.benchmark = coalesce(b.canonical, b.name)
               AND store.measure_class(o.metric, coalesce(o.filter, m.filter), m.unit, true, b.name)
                   = store.measure_class(m.metric, m.filter, m.unit, true, b.name)
             ORDER BY c.benchmark_id, o.benchmark IS NULL, (m.upper > m.lower) IS TRUE DESC,
                      m.higher_is_better IS NULL, c.models DESC, c.measure_id
        )
        UPDATE store.benchmarks b SET measure_id = c.measure_id
          FROM chosen c
         WHERE b.benchmark_id = c.benchmark_id AND b.measure_id IS DISTINCT FROM c.measure_id
        RETURNING b.benchmark_id"""),
        {
            "benchmarks": list(benchmarks),
            "official": [each.benchmark for each in official_measures()],
            "metrics": [each.metric for each in official_measures()],
            "filters": [each.filter for each in official_measures()],
        },
    ).all()
    mark_stale(connection, changed)
    compare_measures(connection, benchmarks)


def ship_benchmarks(connection: Connection) -> int:
    """Bring the shipped aliases up to date, in a database at head; return how many changed.

    So are the official measures that leaderboards show. An import does both by itself.
    """
    changed = ship(connection)
    official = connection.scalars(
        text("""
        SELECT benchmark_id FROM store.benchmarks
         WHERE coalesce(canonical, name) = ANY (:names)"""),
        {"names": [each.benchmark for each in official_measures()]},
    ).all()
    choose_measures(connection, official)
    return changed


def setup_id(connection: Connection, setup: Setup) -> int:
    """Return the key of a setup; insert it if it is new."""
    values = {
        "fingerprint": setup.fingerprint(),
        "harness": setup.harness,
        "harness_version": setup.harness_version,
        "task_version": setup.task_version,
        "shots": setup.shots,
        "prompt_template": setup.prompt_template,
        "chat_template": setup.chat_template,
        "precision": setup.precision,
        "variant": setup.variant,
        "details": document(dict(setup.details)) or "{}",
    }
    query = "SELECT setup_id FROM store.setups WHERE fingerprint = :fingerprint"
    key = connection.scalar(text(query), values)
    if key is not None:
        return int(key)
    connection.execute(
        text("""
        INSERT INTO store.setups (fingerprint, harness, harness_version, task_version, shots,
                                  prompt_template, chat_template, precision, variant, details)
        VALUES (:fingerprint, :harness, :harness_version, :task_version, :shots,
                :prompt_template, :chat_template, :precision, :variant,
                CAST(:details AS jsonb))"""),
        values,
    )
    return _key(connection, query, values)


def source_id(connection: Connection, source: Source) -> int:
    """Return the key of a source; insert it if it is new."""
    values = {"name": source.name, "url": source.url}
    query = "SELECT source_id FROM store.sources WHERE name = :name"
    key = connection.scalar(text(query), values)
    if key is not None:
        return int(key)
    connection.execute(
        text("INSERT INTO store.sources (name, url) VALUES (:name, :url)"),
        values,
    )
    return _key(connection, query, values)


def whole_count(connection: Connection, benchmark: int) -> int:
    """Return the number of items of a whole benchmark, as far as it is known, or else 0."""
    query = text("SELECT coalesce(canonical, name) FROM store.benchmarks WHERE benchmark_id = :key")
    return item_counts().get(connection.execute(query, {"key": benchmark}).scalar_one(), 0)


class BenchmarkRow(NamedTuple):
    """A version of a benchmark, as in view `benchmarks`."""

    benchmark: str
    version: str
    canonical: str
    prompting: str | None
    metric: str | None
    filter: str | None
    unit: str | None
    items: int
    runs: int
    domain: str | None
    url: str | None


def list_benchmarks(connection: Connection) -> list[BenchmarkRow]:
    """Return the benchmarks that there are evaluations on, those with most runs first."""
    rows = connection.execute(
        text(f"""
        SELECT {", ".join(BenchmarkRow._fields)} FROM registry.benchmarks
         ORDER BY runs DESC, benchmark, version""")  # noqa: S608 - fixed names
    )
    return [BenchmarkRow(*row) for row in rows]
