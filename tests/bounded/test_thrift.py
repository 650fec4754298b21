"""Reader of Thrift's compact protocol."""

import pytest

from registry.bounded.thrift import BINARY, INT32, INT64, LIST, STRUCT, CompactReader

# A struct: 1: true, 2: -3 (32 bits), 7: "ab", 8: [1, 2], 9: {1: 5}, 30: false.
WHOLE = bytes([
    0x11, 0x15, 0x05, 0x58, 0x02, 0x61, 0x62, 0x19, 0x26, 0x02, 0x04, 0x1C, 0x15, 0x0A, 0x00,
    0x02, 0x3C, 0x00,
])  # fmt: skip


def test_a_struct_is_read_field_by_field() -> None:
    reader = CompactReader(WHOLE)
    found: dict[int, object] = {}
    for number, kind in reader.fields():
        if kind == INT32:
            found[number] = reader.integer()
        elif kind == BINARY:
            found[number] = reader.binary()
        elif kind == LIST:
            found[number] = [reader.integer() for _ in reader.items(INT64)]
        elif kind == STRUCT:
            found[number] = [(each, reader.integer()) for each, _ in reader.fields()]
        else:
            found[number] = kind
            reader.skip(kind)
    assert found == {1: 1, 2: -3, 7: b"ab", 8: [1, 2], 9: [(1, 5)], 30: 2}
    assert reader.place == len(WHOLE)


def test_what_is_skipped_takes_as_many_bytes_as_what_is_read() -> None:
    reader = CompactReader(WHOLE)
    for _, kind in reader.fields():
        reader.skip(kind)
    assert reader.place == len(WHOLE)


@pytest.mark.parametrize(
    ("kind", "value", "length"),
    [
        (3, b"\x01", 1),
        (7, b"12345678", 8),
        (9, b"\x21\x01\x02", 3),  # truth values
        (10, b"\x13\x05", 2),
        (11, b"\x00", 1),
        (11, b"\x02\x11\x01\x02\x01\x01", 6),  # of truth values to truth values
        (11, b"\x01\x85\x01a\x02", 5),
        (12, b"\x00", 1),
    ],
)
def test_values_of_other_types_are_skipped(kind: int, value: bytes, length: int) -> None:
    reader = CompactReader(value + b"\xff")
    reader.skip(kind)
    assert reader.place == length


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        # 2**62 values, of which none is there: one that took no byte would be skipped for ever.
        (9, b"\xf7" + b"\xff" * 8 + b"\x3f"),
        (9, b"\xf1" + b"\xff" * 8 + b"\x3f"),
        (11, b"\xff" * 8 + b"\x3f" + b"\x11"),
        (11, b"\xff" * 8 + b"\x3f" + b"\x77"),
        (8, b"\x7f" + b"few"),
        (7, b"1234567"),
        (12, b"\x15"),
    ],
)
def test_values_that_are_cut_off_are_noticed(kind: int, value: bytes) -> None:
    with pytest.raises(IndexError):
        CompactReader(value).skip(kind)


@pytest.mark.parametrize(("kind", "value"), [(0, b"00"), (13, b"00"), (6, b"\xff" * 12)])
def test_what_is_no_value_is_refused(kind: int, value: bytes) -> None:
    with pytest.raises(ValueError, match=r"\d"):
        CompactReader(value).skip(kind)


def test_items_of_another_type_are_refused() -> None:
    with pytest.raises(ValueError, match="6"):
        list(CompactReader(b"\x16\x02").items(STRUCT))
