"""Search, lineage and similarity on a large catalog, beside the size of what they look into."""

import random
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from measuring import percentile, sample_names, timed
from sqlalchemy import Connection, text

from registry.catalog.search import SearchFilter, search_models

pytestmark = pytest.mark.benchmark


def run(connection: Connection, query: str, **parameters: object) -> list[Any]:
    return list(connection.execute(text(query), parameters))


def report(title: str, times: list[float]) -> None:
    print(
        f"\n{title}: p50 {percentile(times, 0.5):.1f} ms, p90 {percentile(times, 0.9):.1f} ms, "
        f"p99 {percentile(times, 0.99):.1f} ms, most {times[-1]:.1f} ms ({len(times)} calls)"
    )


def varied_queries(connection: Connection, count: int) -> list[str]:  # noqa: C901 - a list of kinds
    """Exact and partial names, authors, words common and rare, several at once, typos, no hits."""
    rng = random.Random(7)
    names = sample_names(connection, count)
    common = connection.scalars(
        text("SELECT word FROM store.search_vocabulary WHERE word ~ '^[a-z]{2,}$'"
             " ORDER BY models DESC LIMIT 40")
    ).all()  # fmt: skip
    rare = connection.scalars(
        text("SELECT word FROM store.search_vocabulary WHERE word ~ '^[a-z]{4,}$' AND models < 9"
             " ORDER BY md5(word) LIMIT 40")
    ).all()  # fmt: skip
    tagged = ["transformers", "safetensors", "en", "text generation", "pytorch", "gguf", "merge"]
    found: list[str] = []
    for number, name in enumerate(names):
        words = name.replace("/", "-").split("-")
        match number % 10:
            case 0:
                found.append(name)
            case 1:
                found.append(name.partition("/")[0])
            case 2:
                found.append(" ".join(rng.sample(words, min(2, len(words)))))
            case 3:
                found.append(rng.choice(common))
            case 4:
                found.append(rng.choice(rare))
            case 5:
                longest = max(words, key=len)
                place = rng.randrange(len(longest))
                found.append(longest[:place] + longest[place + 1 :])
            case 6:
                found.append(f"{rng.choice(common)} {rng.choice(common)}")
            case 7:
                found.append(rng.choice(tagged))
            case 8:
                found.append(max(words, key=len)[:4])
            case _:
                found.append(f"{rng.choice(rare)} {rng.choice(common)} zzqx")
    return found


def test_search(warm: Connection) -> None:
    queries = varied_queries(warm, 200)
    calls: list[Callable[[], object]] = [
        partial(search_models, warm, SearchFilter(query=query)) for query in queries
    ]
    timed(calls[:20])
    report("search, 200 varied queries", timed(calls))
    slowest = max(
        ((timed([call])[0], query) for call, query in zip(calls, queries, strict=True)),
    )
    print(f"slowest: {slowest[1]!r}, {slowest[0]:.1f} ms")


def test_filters(warm: Connection) -> None:
    def filters(**chosen: object) -> Callable[[], object]:
        return partial(search_models, warm, SearchFilter(**chosen))  # type: ignore[arg-type]

    licences = [
        row[0]
        for row in run(
            warm, "SELECT license FROM store.models WHERE license IS NOT NULL"
            " GROUP BY 1 ORDER BY count(*) DESC LIMIT 12"
        )
    ]  # fmt: skip
    tags = [
        row[0]
        for row in run(
            warm, "SELECT tag FROM (SELECT unnest(tags) AS tag FROM store.models"
            " TABLESAMPLE SYSTEM (2)) t WHERE store.is_telling(tag)"
            " GROUP BY 1 ORDER BY count(*) DESC LIMIT 400"
        )
    ][::10]  # fmt: skip
    sizes = [(10**6, 10**8), (10**9, 3 * 10**9), (6 * 10**9, 8 * 10**9), (7 * 10**10, None)]
    by_licence = [filters(licenses=(each,)) for each in licences]
    by_tag = [filters(tags=(each,)) for each in tags]
    by_size = [filters(min_parameters=low, max_parameters=high) for low, high in sizes]
    together = [
        filters(licenses=(licence,), tags=(tag,), min_parameters=low, max_parameters=high)
        for licence in licences[:5] for tag in tags[:10] for low, high in sizes[1:3]
    ]  # fmt: skip
    rng = random.Random(11)
    # Frequent and rare, wide and narrow, some that go together and many that find nothing.
    widths = [*sizes, (None, 5 * 10**8), (10**9, None), (5 * 10**5, 6 * 10**5), (7 * 10**9,) * 2]
    mixed = []
    for number in range(120):
        low, high = rng.choice(widths)
        chosen = {
            "licenses": (rng.choice(licences),),
            "tags": (rng.choice(tags[:4] if number % 2 else tags),),
            "min_parameters": low,
            "max_parameters": high,
        }
        match number % 6:
            case 0:
                del chosen["licenses"]
            case 1:
                del chosen["tags"]
            case 2:
                chosen["min_parameters"] = chosen["max_parameters"] = None
            case _:
                pass
        mixed.append(filters(**chosen))
    for title, calls in (
        ("licence", by_licence), ("tag", by_tag), ("size", by_size),
        ("all three", together), ("two or three, mixed", mixed),
    ):  # fmt: skip
        timed(calls[:3])
        report(f"filter by {title}", timed(calls))
    empty = sum(not call() for call in mixed)
    print(f"of {len(mixed)} mixed filters, {empty} find nothing")


def test_lineage(warm: Connection) -> None:
    names = sample_names(warm, 300)
    calls = [partial(run, warm, "SELECT * FROM registry.ancestors(:n)", n=name) for name in names]
    timed(calls[:20])
    report("ancestors", timed(calls))
    (root, members), *_ = run(
        warm, "SELECT m.name, count(*) FROM store.model_families f"
        " JOIN store.models m ON m.model_id = f.family_id GROUP BY 1 ORDER BY 2 DESC LIMIT 1"
    )  # fmt: skip
    family = partial(run, warm, "SELECT * FROM registry.family(:n)", n=root)
    report(f"family of {members:,}", timed([family] * 5))
    below = partial(run, warm, "SELECT count(*) FROM registry.descendants(:n)", n=root)
    report("its descendants, counted", timed([below] * 5))


def test_similar_models(warm: Connection) -> None:
    names = sample_names(warm, 200)
    query = "SELECT name, combined FROM registry.similar_models(:n, 10)"
    calls = [partial(run, warm, query, n=name) for name in names]
    timed(calls[:10])
    report("similar_models, k = 10", timed(calls))
    recalls = [recall(warm, name) for name in names[:60]]
    print(f"recall@10 against exact search, ties counted as hits: {sum(recalls) / 60:.3f}")


EXACT = """
SELECT w.weight * (1 - (s.features <=> own.features)) AS combined
  FROM store.model_features f
  JOIN store.feature_sets s USING (feature_set_id),
       store.similarity_weights w,
       (SELECT s.features
          FROM store.model_features f JOIN store.feature_sets s USING (feature_set_id)
         WHERE f.model_id = registry.model_id(:n)) own
 WHERE f.model_id <> registry.model_id(:n) AND w.name = 'feature'
 ORDER BY s.features <=> own.features LIMIT 10"""

RELATED = """
SELECT s.combined
  FROM (SELECT DISTINCT o.child_id AS model_id
          FROM store.edges e JOIN store.edges o USING (parent_id)
         WHERE e.child_id = registry.model_id(:n)
        UNION SELECT parent_id FROM store.edges WHERE child_id = registry.model_id(:n)
        UNION SELECT child_id FROM store.edges WHERE parent_id = registry.model_id(:n)) r
  JOIN store.models m USING (model_id),
       LATERAL registry.similarity(:n, m.name) s
 WHERE r.model_id <> registry.model_id(:n)
 ORDER BY 1 DESC LIMIT 10"""


def recall(connection: Connection, name: str) -> float:
    """Share of the ten given whose similarity is at least that of the exact tenth."""
    given = run(connection, "SELECT combined FROM registry.similar_models(:n, 10)", n=name)
    exact = sorted(
        [row[0] for row in run(connection, EXACT, n=name)]
        + [row[0] for row in run(connection, RELATED, n=name)],
        reverse=True,
    )[:10]
    if not exact:
        return 1.0
    hits = [row for row in given if row[0] >= exact[-1] - 1e-6]
    return len(hits) / len(exact)
