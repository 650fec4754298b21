"""Speed of encoding texts, and of reading vectors from the database.

Beside encoding there is no floor but the processor; beside reading stands the same array from a
file. BENCHMARK_ITEMS_READ sets the number of vectors that are read.
"""

import os
import random
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from databases import REPOSITORY
from evaluated import block, write
from numpy.typing import NDArray
from sqlalchemy import Engine, text

from registry.db import connection as database
from registry.db import migrate
from registry.embeddings.item_vectors import read, refresh
from registry.evaluations.outcomes import Column
from registry.evaluations.records import Item
from registry.learning.encoders import open_encoder

pytestmark = pytest.mark.benchmark

ITEMS = int(os.environ.get("BENCHMARK_ITEMS_READ", "100000"))
DIMENSION = 384


@pytest.fixture
def engine(speed_database: str) -> Iterator[Engine]:
    opened = database.create_engine(speed_database)
    migrate.upgrade(opened)
    yield opened
    opened.dispose()


def texts(count: int) -> list[str]:
    """Texts of 300 characters, of the words of our own pages."""
    made = random.Random(5)
    pages = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))]
    words = [word for page in pages for word in page.read_text().split()]
    return [" ".join(made.choices(words, k=120))[:300] for _ in range(count)]


@pytest.mark.parametrize(("name", "count"), [("hashing", 20_000), ("minilm", 500)])
def test_encoding(name: str, count: int) -> None:
    began = time.perf_counter()
    encoder = open_encoder(name)
    encoder.encode(["warm"])
    opened = time.perf_counter() - began
    asked = texts(count)
    began, worked = time.perf_counter(), time.process_time()
    encoder.encode(asked)
    seconds, worked = time.perf_counter() - began, time.process_time() - worked
    print(
        f"\n{encoder.name}: opened in {opened:.1f} s, {count / seconds:,.0f} texts of 300 "
        f"characters a second ({count / worked:,.0f} a second of one core)"
    )


class Drawn:
    """An encoder that costs nothing: vectors drawn before."""

    name, dimension = "drawn", DIMENSION

    def __init__(self, count: int) -> None:
        self.vectors = np.random.default_rng(1).normal(size=(count, DIMENSION)).astype(np.float32)
        self.vectors /= np.linalg.norm(self.vectors, axis=1, keepdims=True)
        self.given = 0

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.given += len(texts)
        return self.vectors[self.given - len(texts) : self.given]

    def cuts(self, texts: Sequence[str]) -> NDArray[np.bool_]:
        return np.zeros(len(texts), np.bool_)


def test_reading(engine: Engine, tmp_path: Path) -> None:
    asked = [Item(f"item-{number}", f"{number} of many questions") for number in range(ITEMS)]
    with engine.begin() as connection:
        write(connection, block("made-up", asked=asked))
    encoder = Drawn(ITEMS)
    began = time.perf_counter()
    refresh(engine, encoder)
    written = time.perf_counter() - began
    with engine.connect() as connection:
        size = connection.scalar(text("SELECT pg_total_relation_size('store.text_vectors')")) or 0
    columns = [Column("made-up", "", each.item) for each in asked]
    seconds = []
    for _ in range(3):
        with engine.connect() as connection:
            began = time.perf_counter()
            vectors = read(connection, "drawn", columns)
            seconds.append(time.perf_counter() - began)
    np.testing.assert_allclose(vectors, encoder.vectors, atol=5e-4)
    np.save(tmp_path / "vectors.npy", vectors)
    began = time.perf_counter()
    np.load(tmp_path / "vectors.npy")
    floor = time.perf_counter() - began
    print(
        f"\n{ITEMS:,} vectors of {DIMENSION}: written in {written:.1f} s "
        f"({size / ITEMS:,.0f} bytes each), read in {min(seconds):.2f} s "
        f"({ITEMS / min(seconds):,.0f} a second); np.load of the same numbers {floor:.2f} s"
    )
