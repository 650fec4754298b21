"""Packing is the identity, and what it counts is what numpy counts."""

import math

import numpy as np
import pytest
from factories import rows
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection

from registry.evaluations.packing import (
    Ordinals,
    Packed,
    bits_of,
    pack,
    pack_answers,
    unpack,
    unpack_answers,
)
from registry.evaluations.records import Outcomes

MISSING = float("nan")
BINARY = st.sampled_from([0.0, 1.0, MISSING])
GRADED = st.one_of(st.floats(0, 1, width=32), BINARY)


@st.composite
def told(draw: st.DrawFn) -> tuple[Outcomes, Ordinals]:
    """Outcomes, and ordinals in any order and with gaps."""
    values = draw(st.lists(draw(st.sampled_from([BINARY, GRADED])), min_size=1, max_size=40))
    places = draw(
        st.lists(st.integers(0, 90), min_size=len(values), max_size=len(values), unique=True)
    )
    return np.array(values, np.float32), np.array(places, np.int32)


def expected(outcomes: Outcomes, ordinals: Ordinals, width: int = 100) -> Outcomes:
    placed = np.full(width, np.nan, np.float32)
    placed[ordinals] = outcomes
    return placed


def sent(bits: str | None) -> bytes | None:
    """What varbit_send makes of a bit string."""
    if bits is None:
        return None
    packed = np.packbits(np.frombuffer(bits.encode(), np.uint8) - ord("0")).tobytes()
    return len(bits).to_bytes(4) + packed


def stored(connection: Connection, packed: Packed) -> tuple[bytes, bytes | None, bytes | None]:
    """Return what the database sends of packed outcomes: bits right and present, and grades."""
    [(right, present, grades)] = rows(
        connection,
        "SELECT varbit_send(CAST(:right AS varbit)), varbit_send(CAST(:present AS varbit)),"
        "       array_send(CAST(:grades AS real[]))",
        right=packed.right,
        present=packed.present,
        grades=packed.grades,
    )
    return right, present, grades


def from_database(connection: Connection, packed: Packed) -> Outcomes:
    right, present, grades = stored(connection, packed)
    assert (right, present) == (sent(packed.right), sent(packed.present))
    into = np.full(100, np.nan, np.float32)
    unpack(right, present, grades, into)
    return into


@given(told())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
def test_what_comes_out_of_the_database_is_what_went_in(
    connection: Connection, given_: tuple[Outcomes, Ordinals]
) -> None:
    outcomes, ordinals = given_
    packed = pack(outcomes, ordinals)
    if np.isnan(outcomes).all():
        assert packed is None
        return
    assert packed is not None
    np.testing.assert_array_equal(from_database(connection, packed), expected(outcomes, ordinals))


@given(told())
def test_counts_are_those_of_numpy(given_: tuple[Outcomes, Ordinals]) -> None:
    outcomes, ordinals = given_
    packed = pack(outcomes, ordinals)
    seen = outcomes[~np.isnan(outcomes)].astype(np.float64)
    if packed is None:
        assert seen.size == 0
        return
    assert packed.observed == seen.size
    assert packed.mean == pytest.approx(seen.mean())
    if seen.size < 2:
        assert packed.standard_error is None
    else:
        error = seen.std(ddof=1) / math.sqrt(seen.size)
        assert packed.standard_error == pytest.approx(error, abs=1e-9)


@given(told())
def test_only_what_says_more_is_kept(given_: tuple[Outcomes, Ordinals]) -> None:
    outcomes, ordinals = given_
    packed = pack(outcomes, ordinals)
    if packed is None:
        return
    seen = ~np.isnan(outcomes)
    assert len(packed.right) == ordinals[seen].max() + 1
    assert (packed.present is None) == (seen.sum() == len(packed.right))
    assert (packed.grades is None) == bool(np.isin(outcomes[seen], [0, 1]).all())
    right = bits_of(sent(packed.right) or b"")
    assert right[ordinals[seen]].tolist() == (outcomes[seen] >= 0.5).astype(int).tolist()
    assert right.sum() == (outcomes[seen] >= 0.5).sum()


def test_what_is_missing_leaves_what_is_there(connection: Connection) -> None:
    packed = pack(np.array([1.0, MISSING, 0.25], np.float32), np.array([4, 1, 0], np.int32))
    assert packed is not None
    into = np.full(6, 0.75, np.float32)
    right, present, grades = stored(connection, packed)
    unpack(right, present, grades, into)
    assert into.tolist() == [0.25, 0.75, 0.75, 0.75, 1.0, 0.75]


@pytest.mark.parametrize(
    ("different", "width"),
    [(1, 1), (255, 1), (256, 2), (65_535, 2), (65_536, 4)],
)
def test_codes_of_answers_are_as_wide_as_need_be(different: int, width: int) -> None:
    answers: list[str | None] = [f"answer {number}" for number in range(different)]
    answers += [None, answers[0]]
    ordinals = np.random.default_rng(1).permutation(len(answers)).astype(np.int32)
    packed = pack_answers(answers, ordinals, len(answers))
    assert packed is not None
    assert len(packed.codes) == width * len(answers)
    assert len(packed.texts) == different
    found = unpack_answers(packed.codes, packed.texts, len(answers))
    assert [found[place] for place in ordinals] == answers


@given(
    st.lists(st.one_of(st.none(), st.sampled_from("ABCD"), st.text(max_size=5)), min_size=1),
    st.data(),
)
def test_answers_with_gaps(answers: list[str | None], data: st.DataObject) -> None:
    places = data.draw(
        st.lists(
            st.integers(0, 3 * len(answers)),
            min_size=len(answers), max_size=len(answers), unique=True,
        )
    )  # fmt: skip
    length = max(places) + 1
    packed = pack_answers(answers, np.array(places, np.int32), length)
    if packed is None:
        assert set(answers) == {None}
        return
    placed: list[str | None] = [None] * length
    for place, answer in zip(places, answers, strict=True):
        placed[place] = answer
    assert unpack_answers(packed.codes, packed.texts, length) == placed


def test_just_half_is_right() -> None:
    half = np.float32(0.5)
    outcomes = np.array([half, 0.25, np.nextafter(half, np.float32(0))], np.float32)
    packed = pack(outcomes, np.arange(3, dtype=np.int32))
    assert packed is not None
    assert packed.right == "100"


def test_a_mean_is_the_same_to_the_bit_however_a_file_is_ordered() -> None:
    draw = np.random.default_rng(0)
    outcomes, ordinals = draw.random(1000, np.float32), np.arange(1000, dtype=np.int32)
    first = pack(outcomes, ordinals)
    for _ in range(20):
        order = draw.permutation(1000)
        assert pack(outcomes[order], ordinals[order]) == first
