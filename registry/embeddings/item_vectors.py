"""Cache of the vectors of items' texts, by encoder and content hash.

A text is encoded once, however many items and benchmarks share it.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Engine, text

from registry.db.binary_copy import Kind, copy_in, stream_out
from registry.embeddings.texts.prefixes import (
    HEADS,
    Prefixes,
    shared_prefixes,
    without_prefix,
)
from registry.errors import EncoderError, UsageError
from registry.evaluations.outcomes import Column
from registry.evaluations.records import text_of
from registry.evaluations.selection import no_benchmark
from registry.learning.encoders import Encoder
from registry.workers import Progress, no_progress

TEXTS_AT_ONCE = 1_024
"""Texts of a batch, or a few more; a killed refresh loses one batch."""

TEXTS_OF_A_REPORT = 128
"""Texts that are encoded together: seconds of work of a processor."""

COLUMNS_AT_ONCE = 100_000
"""Items read by one query."""

# An item of white space has no text. Batches are ranges of ordinals: a query for missing vectors
# without a range would scan all remaining items for each batch.
_MISSING = r"""
SELECT i.content_hash, i.prompt, i.choices
  FROM store.items i
 WHERE i.benchmark_id = :benchmark AND i.ordinal >= :start AND i.ordinal < :stop
   AND i.content_hash IS NOT NULL
   AND (i.prompt ~ '\S' OR array_to_string(i.choices, '') ~ '\S')
   AND NOT EXISTS (SELECT FROM store.text_vectors v
                    WHERE v.encoder_id = :encoder AND v.content_hash = i.content_hash)
 ORDER BY i.ordinal
"""

_COUNTS = r"""
SELECT count(DISTINCT i.content_hash) FILTER (WHERE i.asks AND v.vector IS NULL) AS missing,
       count(DISTINCT i.content_hash) FILTER (WHERE i.asks AND v.vector IS NOT NULL) AS reused,
       count(*) FILTER (WHERE NOT i.asks) AS without_text
  FROM (SELECT content_hash, content_hash IS NOT NULL
               AND (prompt ~ '\S' OR array_to_string(choices, '') ~ '\S') AS asks
          FROM store.items WHERE benchmark_id = ANY (:benchmarks)) i
  LEFT JOIN store.text_vectors v ON v.encoder_id = :encoder AND v.content_hash = i.content_hash
"""

_VECTORS = """
SELECT w.place::integer, v.vector
  FROM unnest(%(benchmarks)s::integer[], %(items)s::text[])
       WITH ORDINALITY AS w (benchmark_id, item, place)
  JOIN store.items i ON i.benchmark_id = w.benchmark_id AND i.item = w.item
  JOIN store.text_vectors v ON v.encoder_id = %(encoder)s AND v.content_hash = i.content_hash
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodingReport:
    """Counts of a refresh.

    Attributes:
        encoded: texts that were encoded.
        reused: texts that had a vector.
        without_text: items without a text.
    """

    encoded: int
    reused: int
    without_text: int


def refresh(
    engine: Engine,
    encoder: Encoder,
    *,
    benchmarks: Sequence[str] | None = None,
    batch: int = TEXTS_AT_ONCE,
    on_progress: Progress = no_progress,
) -> EncodingReport:
    """Encode the items' texts that have no vector by this encoder yet.

    Each batch is committed on its own: after a kill, the next refresh resumes there. No connection
    is open while texts are encoded, and another refresh may run at the same time.

    Args:
        engine: the database.
        encoder: of the texts.
        benchmarks: names, each with all its versions, or name@version; None is all.
        batch: number of items read together, and of texts encoded together (up to twice as many).
        on_progress: receives the progress after each batch, in texts.

    Raises:
        UsageError: when a named benchmark does not exist.
        EncoderError: when the encoder's vectors have another dimension than those stored under its
            name, or are not finite.
    """
    with engine.begin() as connection:
        chosen = _chosen(connection, benchmarks)
        key = _encoder_key(connection, encoder)
        counts = connection.execute(
            text(_COUNTS), {"encoder": key, "benchmarks": list(chosen)}
        ).one()
    windows = deque(
        _Window(benchmark, start, start + batch)
        for benchmark, items in chosen.items()
        for start in range(0, items, batch)
    )
    encoded = done = 0
    prefixes: dict[int, Prefixes] = {}

    def report(more: int) -> None:
        on_progress("encoding texts", done + more, max(done + more, counts.missing))

    report(0)
    while texts := _missing(engine, key, windows, batch, prefixes):
        cuts = encoder.cuts([each.whole for each in texts.values()])
        read = [
            (is_cut and each.own) or each.whole
            for each, is_cut in zip(texts.values(), cuts.tolist(), strict=True)
        ]
        vectors = _encode(encoder, read, report)
        with engine.begin() as connection:
            encoded += _store(connection, key, list(texts), vectors, cuts)
        done += len(texts)
    return EncodingReport(encoded=encoded, reused=counts.reused, without_text=counts.without_text)


class _Window(NamedTuple):
    """A range of items of a benchmark, by their ordinals."""

    benchmark: int
    start: int
    stop: int


def _chosen(connection: Connection, benchmarks: Sequence[str] | None) -> dict[int, int]:
    """Return the keys of benchmarks, and how many items each has."""
    rows = connection.execute(
        text("SELECT benchmark_id, name, version, item_count FROM store.benchmarks ORDER BY 1")
    ).all()
    if benchmarks is None:
        return {row.benchmark_id: row.item_count for row in rows}
    names = {row.benchmark_id: {row.name, f"{row.name}@{row.version}"} for row in rows}
    for name in benchmarks:
        if not any(name in each for each in names.values()):
            raise no_benchmark(connection, name)
    requested = set(benchmarks)
    return {row.benchmark_id: row.item_count for row in rows if names[row.benchmark_id] & requested}


def _encoder_key(connection: Connection, encoder: Encoder) -> int:
    """Return the key of an encoder, new or existing."""
    connection.execute(
        text("""
        INSERT INTO store.encoders (name, dimension) VALUES (:name, :dimension)
            ON CONFLICT (name) DO NOTHING"""),
        {"name": encoder.name, "dimension": encoder.dimension},
    )
    key, dimension = _encoder_row(connection, encoder.name)
    if dimension != encoder.dimension:
        raise EncoderError(
            f"The stored vectors of {encoder.name} have {dimension} dimensions, its new ones "
            f"{encoder.dimension}: give the new encoder another name."
        )
    return key


def _encoder_row(connection: Connection, name: str) -> tuple[int, int]:
    """Return the key and the dimension of an encoder."""
    row = connection.execute(
        text("SELECT encoder_id, dimension FROM store.encoders WHERE name = :name"),
        {"name": name},
    ).one_or_none()
    if row is None:
        raise UsageError(f"Nothing has been encoded by {name!r} yet.")
    return row.encoder_id, row.dimension


class _Text(NamedTuple):
    """Text of an item, and its text without a prefix that many items share, if there is one."""

    whole: str
    own: str | None


def _missing(
    engine: Engine,
    encoder: int,
    windows: deque[_Window],
    batch: int,
    prefixes: dict[int, Prefixes],
) -> dict[UUID, _Text]:
    """Read windows until there is a batch of texts without a vector, and return these."""
    texts: dict[UUID, _Text] = {}
    with engine.connect() as connection:
        while windows and len(texts) < batch:
            window = windows.popleft()
            rows = connection.execute(text(_MISSING), {"encoder": encoder, **window._asdict()})
            for row in rows.all():
                if row.content_hash in texts:
                    continue
                if len(row.prompt) > HEADS[0] and window.benchmark not in prefixes:
                    prefixes[window.benchmark] = shared_prefixes(connection, window.benchmark)
                own = without_prefix(row.prompt, prefixes.get(window.benchmark, {}))
                texts[row.content_hash] = _Text(
                    text_of(row.prompt, row.choices),
                    None if own is None else text_of(own, row.choices),
                )
    return texts


def _encode(
    encoder: Encoder, texts: Sequence[str], report: Callable[[int], None]
) -> NDArray[np.float32]:
    """Return the vectors of texts, and report how many are done after each part of them.

    Parts have texts of about one length: those of very different ones are slow to encode together.
    """
    vectors = np.empty((len(texts), encoder.dimension), np.float32)
    order = list(range(len(texts)))
    if len(order) > TEXTS_OF_A_REPORT:
        order.sort(key=lambda place: len(texts[place]))
    for start in range(0, len(order), TEXTS_OF_A_REPORT):
        part = order[start : start + TEXTS_OF_A_REPORT]
        made = encoder.encode([texts[place] for place in part])
        if made.shape != (len(part), encoder.dimension):
            raise EncoderError(
                f"The encoder {encoder.name} returned an array of {made.shape}, not of "
                f"{(len(part), encoder.dimension)}."
            )
        if not np.isfinite(made).all():
            raise EncoderError(f"The encoder {encoder.name} returned numbers that are not finite.")
        vectors[part] = made
        report(start + len(part))
    return vectors


def _store(
    connection: Connection,
    encoder: int,
    keys: list[UUID],
    vectors: NDArray[np.float32],
    cuts: NDArray[np.bool_],
) -> int:
    """Store vectors, unless another refresh was faster; return how many were new."""
    connection.exec_driver_sql("""
        CREATE TEMPORARY TABLE incoming_vectors ON COMMIT DROP AS
        SELECT content_hash, vector, cut FROM store.text_vectors WITH NO DATA""")
    hashes = np.frombuffer(b"".join(key.bytes for key in keys), "V16")
    halves = vectors.astype(np.float16)
    columns = {"content_hash": hashes, "vector": halves, "cut": cuts}
    copy_in(connection, "incoming_vectors", columns)
    # Sorted: two refreshes that write the same keys in different orders would deadlock.
    return connection.execute(
        text("""
        INSERT INTO store.text_vectors (encoder_id, content_hash, vector, cut)
        SELECT :encoder, content_hash, vector, cut FROM incoming_vectors ORDER BY content_hash
            ON CONFLICT (encoder_id, content_hash) DO NOTHING"""),
        {"encoder": encoder},
    ).rowcount


def cut_items(connection: Connection, encoder_name: str) -> dict[str, int]:
    """Return how many items have a longer text than the encoder reads, by benchmark."""
    rows = connection.execute(
        text("""
        SELECT b.name, count(*) AS items
          FROM store.encoders e
          JOIN store.text_vectors v USING (encoder_id)
          JOIN store.items i USING (content_hash)
          JOIN store.benchmarks b USING (benchmark_id)
         WHERE e.name = :encoder AND v.cut
         GROUP BY b.name ORDER BY items DESC, b.name"""),
        {"encoder": encoder_name},
    )
    return {row.name: row.items for row in rows}


def read(
    connection: Connection, encoder_name: str, columns: Sequence[Column]
) -> NDArray[np.float32]:
    """Read the vectors of items.

    Args:
        connection: to read from.
        encoder_name: the `name` of the encoder.
        columns: the items.

    Returns:
        float32, N x dimension, a row for each column; NaN where the item does not exist, or has no
        text or no vector yet.

    Raises:
        UsageError: when nothing has been encoded by that encoder.
    """
    encoder, dimension = _encoder_row(connection, encoder_name)
    stored = connection.execute(text("SELECT benchmark_id, name, version FROM store.benchmarks"))
    keys = {(row.name, row.version): row.benchmark_id for row in stored}
    vectors = np.full((len(columns), dimension), np.nan, np.float32)
    kinds: dict[str, Kind] = {"place": "i4", "vector": ("f2", dimension)}
    for start in range(0, len(columns), COLUMNS_AT_ONCE):
        part = columns[start : start + COLUMNS_AT_ONCE]
        parameters = {
            "encoder": encoder,
            "benchmarks": [keys.get((column.benchmark, column.version)) for column in part],
            "items": [column.item for column in part],
        }
        for rows in stream_out(connection, _VECTORS, kinds, parameters):
            vectors[start + rows["place"] - 1] = rows["vector"]
    return vectors
