"""Vectors of items in the database: what is encoded, what is read, and what a kill leaves."""

import signal
import threading
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from evaluated import block, run, write
from forks import Forks
from numpy.typing import NDArray
from sqlalchemy import Engine, text

from registry.embeddings import item_vectors
from registry.embeddings.item_vectors import EncodingReport, cut_items, read, refresh
from registry.errors import EncoderError, UsageError
from registry.evaluations.outcomes import Column, read_outcomes
from registry.evaluations.records import Item
from registry.learning.encoders import open_encoder

HASHING = open_encoder("hashing")

LONGEST = 30
"""Characters that the counting encoder says it reads."""

ASKED = [
    Item("i0", "What is two and two?", ("three", "four")),
    Item("i1", "What is two and two?"),
    Item("i2"),
    Item("i3", "  \n"),
    Item("i4", "What is the capital of France?"),
]
OTHERS = [
    Item("j0", "What is the capital of France?  "),
    Item("j1", "Who wrote Faust?\n", ("Goethe ", "Schiller")),
    Item("j2", "?"),
]


class Counting:
    """The hashing encoder, with an account of what it was asked."""

    name = "hashing-512"
    dimension = 512

    def __init__(self, engine: Engine | None = None) -> None:
        self.texts: list[str] = []
        self.batches: list[int] = []
        self.connections: list[int] = []
        self.engine = engine

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.texts += texts
        self.batches.append(len(texts))
        if self.engine is not None:
            with self.engine.connect() as connection:
                self.connections.append(
                    connection.scalar(
                        text("""
                        SELECT count(*) FROM pg_stat_activity
                         WHERE datname = current_database() AND pid <> pg_backend_pid()
                           AND backend_type = 'client backend'""")
                    )
                    or 0
                )
        return HASHING.encode(texts)

    def cuts(self, texts: Sequence[str]) -> NDArray[np.bool_]:
        return np.array([len(text) > LONGEST for text in texts], np.bool_)


class Made:
    """An encoder that makes what it is told to."""

    def __init__(self, name: str, vectors: Any) -> None:
        self.name, self.vectors = name, np.array(vectors, np.float32)
        self.dimension = self.vectors.shape[1]

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return self.vectors[: len(texts)]

    def cuts(self, texts: Sequence[str]) -> NDArray[np.bool_]:
        return HASHING.cuts(texts)


class ByNumber(Made):
    """An encoder that makes what it is told to of the number at the end of a text."""

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        vectors: NDArray[np.float32] = self.vectors[[int(text.split()[-1]) for text in texts]]
        return vectors


def fill(engine: Engine, **benchmarks: list[Item]) -> None:
    with engine.begin() as connection:
        for name, asked in benchmarks.items():
            outcomes = run("org/a", [1.0] * len(asked))
            write(connection, block(name, outcomes, asked=asked))


def stored(engine: Engine) -> int:
    with engine.connect() as connection:
        return connection.scalar(text("SELECT count(*) FROM store.text_vectors")) or 0


def test_each_text_is_encoded_once(engine: Engine) -> None:
    fill(engine, a=ASKED, b=OTHERS)
    encoder, reported = Counting(), list[tuple[str, int, int]]()
    done = refresh(engine, encoder, batch=2, on_progress=lambda *of: reported.append(of))
    assert done == EncodingReport(encoded=5, reused=0, without_text=2)
    assert encoder.texts == [
        "What is two and two?\nthree\nfour",
        "What is two and two?",
        "What is the capital of France?",
        "Who wrote Faust?\nGoethe\nSchiller",
        "?",
    ]
    assert encoder.batches == [2, 2, 1]
    assert reported == [("encoding texts", done, 5) for done in (0, 2, 4, 5)]

    again = Counting()
    assert refresh(engine, again) == EncodingReport(encoded=0, reused=5, without_text=2)
    assert again.texts == []


def test_what_is_new_is_encoded(engine: Engine) -> None:
    fill(engine, a=ASKED)
    assert refresh(engine, Counting()) == EncodingReport(encoded=3, reused=0, without_text=2)
    fill(engine, b=OTHERS)
    assert refresh(engine, Counting()) == EncodingReport(encoded=2, reused=3, without_text=2)
    # Another encoder has vectors of its own.
    other = Made("other", np.eye(5, 3))
    assert refresh(engine, other) == EncodingReport(encoded=5, reused=0, without_text=2)


def test_benchmarks_are_chosen_by_name(engine: Engine) -> None:
    fill(engine, a=ASKED, b=OTHERS)
    done = refresh(engine, HASHING, benchmarks=["b"])
    assert done == EncodingReport(encoded=3, reused=0, without_text=0)
    done = refresh(engine, HASHING, benchmarks=["a@"])
    assert done == EncodingReport(encoded=2, reused=1, without_text=2)
    with pytest.raises(UsageError, match="There is no benchmark 'c'"):
        refresh(engine, HASHING, benchmarks=["a", "c"])


def test_choices_told_later_are_encoded(engine: Engine) -> None:
    fill(engine, a=[Item("i0", "Which?"), Item("i1", "Why?")])
    refresh(engine, HASHING)
    fill(engine, a=[Item("i0", "Which?", ("this", "that")), Item("i1", "Why?")])
    assert refresh(engine, HASHING) == EncodingReport(encoded=1, reused=1, without_text=0)
    with engine.connect() as connection:
        (vector,) = read(connection, HASHING.name, [Column("a", "", "i0")])
    np.testing.assert_allclose(vector, HASHING.encode(["Which?\nthis\nthat"])[0], atol=1e-3)


def test_vectors_are_read_by_column(engine: Engine) -> None:
    fill(engine, a=ASKED, b=OTHERS)
    refresh(engine, HASHING)
    with engine.connect() as connection:
        columns = read_outcomes(connection).columns
        vectors = read(connection, HASHING.name, columns)
    assert vectors.shape == (8, 512)
    assert vectors.dtype == np.float32
    texts = ["What is two and two?\nthree\nfour", "What is two and two?", None, None]
    texts += ["What is the capital of France?"] * 2 + ["Who wrote Faust?\nGoethe\nSchiller", "?"]
    for vector, told in zip(vectors, texts, strict=True):
        if told is None:
            assert np.isnan(vector).all()
        else:
            # Kept with eleven bits.
            np.testing.assert_allclose(vector, HASHING.encode([told])[0], atol=5e-4)


def test_any_columns_may_be_asked_for(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    hostile = [Item("a,{\"b\\'%s", "one"), Item("%(x)s NULL", "two"), Item("ünï", "three")]
    fill(engine, a=hostile)
    refresh(engine, HASHING)
    names = [each.item for each in hostile]
    columns = [Column("a", "", name) for name in (*reversed(names), "there is none", names[0])]
    columns += [Column("a", "of another version", names[0]), Column("nothing", "", names[0])]
    monkeypatch.setattr(item_vectors, "COLUMNS_AT_ONCE", 2)
    with engine.connect() as connection:
        vectors = read(connection, HASHING.name, columns)
        assert read(connection, HASHING.name, []).shape == (0, 512)
        with pytest.raises(UsageError, match="Nothing has been encoded by 'minilm' yet"):
            read(connection, "minilm", columns)
    one, two, three = HASHING.encode(["one", "two", "three"])
    assert np.isnan(vectors).all(axis=1).tolist() == [False] * 3 + [True, False, True, True]
    np.testing.assert_allclose(vectors[[0, 1, 2, 4]], [three, two, one, one], atol=5e-4)


def test_more_rows_are_read_than_are_taken_at_once(engine: Engine) -> None:
    count, dimension = 10_001, 7
    fill(engine, a=[Item(f"i{number}", f"question {number}") for number in range(count)])
    made = np.random.default_rng(3).normal(size=(count, dimension)).astype(np.float32)
    refresh(engine, ByNumber("made", made), batch=count)
    with engine.connect() as connection:
        columns = [Column("a", "", f"i{number}") for number in range(count)]
        vectors = read(connection, "made", columns)
    np.testing.assert_array_equal(vectors, made.astype(np.float16).astype(np.float32))


def test_progress_is_reported_from_the_first_text_to_the_last(engine: Engine) -> None:
    fill(engine, a=[Item(f"i{number}", f"question {number}") for number in range(700)])
    reports: list[tuple[str, int, int]] = []
    refresh(
        engine,
        Counting(),
        batch=300,
        on_progress=lambda what, done, total: reports.append((what, done, total)),
    )
    assert {(what, total) for what, _, total in reports} == {("encoding texts", 700)}
    done = [each for _, each, _ in reports]
    assert (done[0], done[-1]) == (0, 700)
    # Several times a batch, of which one takes a minute where texts are long.
    assert done == sorted(set(done))
    assert len(done) > 6


def test_no_connection_is_open_while_texts_are_encoded(engine: Engine) -> None:
    fill(engine, a=ASKED, b=OTHERS)
    encoder = Counting(engine)
    refresh(engine, encoder, batch=2)
    assert encoder.connections == [0, 0, 0]


def test_another_dimension_under_one_name_is_refused(engine: Engine) -> None:
    fill(engine, a=ASKED)
    refresh(engine, Made("made", np.eye(3, 4)))
    with pytest.raises(EncoderError, match="of made have 4 dimensions, its new ones 2"):
        refresh(engine, Made("made", np.eye(3, 2)))


@pytest.mark.parametrize(
    ("vectors", "problem"),
    [
        (np.full((3, 2), np.nan), "returned numbers that are not finite"),
        (np.eye(2), r"returned an array of \(2, 2\), not of \(3, 2\)"),
    ],
)
def test_vectors_that_are_none_are_refused(engine: Engine, vectors: Any, problem: str) -> None:
    fill(engine, a=ASKED)
    with pytest.raises(EncoderError, match=problem):
        refresh(engine, Made("odd", vectors))
    assert stored(engine) == 0


def test_two_at_once_do_not_fail(engine: Engine) -> None:
    fill(engine, a=[Item(f"i{number}", f"question {number}") for number in range(600)])
    both = threading.Barrier(2)
    done: list[EncodingReport] = []

    class Waiting(Counting):
        def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
            if not self.batches:
                both.wait(30)
            return super().encode(texts)

    def work() -> None:
        done.append(refresh(engine, Waiting(), batch=50))

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sum(each.encoded for each in done) == 600
    assert len(done) == 2
    assert stored(engine) == 600


SLOW = """
import sys, time
from registry.db import connection as db
from registry.learning.encoders import open_encoder
from registry.embeddings.item_vectors import refresh

class Slow:
    name, dimension = "hashing-512", 512
    def encode(self, texts):
        time.sleep(0.01)
        return open_encoder("hashing").encode(texts)
    def cuts(self, texts):
        return open_encoder("hashing").cuts(texts)

refresh(db.create_engine(sys.argv[1]), Slow(), batch=20)
"""


def test_a_refresh_killed_at_any_moment_goes_on(
    engine: Engine, database_url: str, forks: Forks
) -> None:
    count = 1_200
    fill(engine, a=[Item(f"i{number}", f"question {number}") for number in range(count)])
    for wanted in (100, 400, 700):
        with forks.started("-c", SLOW, database_url) as process:
            deadline = time.monotonic() + 60
            while stored(engine) < wanted:
                assert process.running()
                assert time.monotonic() < deadline
                time.sleep(0.005)
            process.kill()
            assert process.wait().returncode == -signal.SIGKILL
    before = stored(engine)
    assert 700 <= before < count
    encoder = Counting()
    done = refresh(engine, encoder)
    # What the killed one had sent may have been committed since.
    assert done.encoded + done.reused == count
    assert done.encoded == len(encoder.texts) <= count - before
    with engine.connect() as connection:
        columns = [Column("a", "", f"i{number}") for number in range(count)]
        vectors = read(connection, HASHING.name, columns)
    expected = HASHING.encode([f"question {number}" for number in range(count)])
    np.testing.assert_allclose(vectors, expected, atol=5e-4)


def test_of_cut_texts_the_part_that_others_do_not_share_is_encoded(engine: Engine) -> None:
    shared = "Answer the questions.\n" + "Q: What is it?\nA: It is this.\n" * 20
    questions = ["Who wrote Faust?", "What is two and two?", "Where is the capital of France?"]
    asked = [Item(f"i{n}", shared + question) for n, question in enumerate(questions)]
    asked += [Item("j0", "Another long question " * 8, ("yes", "no")), Item("j1", "Short?")]
    # Shared by two only, as a passage of two questions is.
    asked += [Item(f"k{n}", "A passage about the sea. " * 9 + each) for n, each in enumerate("ab")]
    fill(engine, a=asked, b=asked[:1])
    encoder = Counting()
    refresh(engine, encoder)
    assert encoder.texts[:4] == [
        *questions,
        "Another long question " * 7 + "Another long question\nyes\nno",
    ]
    assert [len(each) > 200 for each in encoder.texts[5:]] == [True, True]
    with engine.connect() as connection:
        assert cut_items(connection, "hashing-512") == {"a": 6, "b": 1}
        cut = connection.execute(text("SELECT benchmark, cut_items FROM registry.benchmarks"))
        assert dict(cut.all()) == {"a": 6, "b": 1}


@pytest.mark.parametrize("question", ["", "  "])
def test_a_text_that_is_all_shared_is_encoded_whole(engine: Engine, question: str) -> None:
    shared = "The same long text. " * 20
    fill(engine, a=[Item(f"i{n}", shared + question, (str(n),)) for n in range(4)])
    encoder = Counting()
    refresh(engine, encoder)
    assert all(text.startswith("The same long text.") for text in encoder.texts)
