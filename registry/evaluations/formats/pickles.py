"""Pickles of arrays and tables, read as data: nothing that they name is imported or run.

Published data sets of routing are pickles of pandas tables and of dictionaries of numpy arrays.
Unpickled as usual they could run any program, so that every name in them is an inert `Named` here,
and arrays and tables are made from what these hold.
"""

import pickle
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from registry.bounded import limits
from registry.errors import UnreadableFileError

ENDINGS = (".pkl", ".pickle")
"""Endings of the names of pickles."""

Array = NDArray[Any]

_KINDS = frozenset("biufUSO")  # of numpy's types: numbers, texts and objects
_LARGEST = 1 << 32  # bytes of a file
_TEXTS = {"string": pa.string(), "large_string": pa.large_string()}


class Named:
    """Something that a pickle names: arguments that it is made with, and its state."""

    path = ""
    args: tuple[Any, ...]
    state: Any
    members: dict[object, object]

    def __new__(cls, *args: object, **_: object) -> Self:
        """Keep what it is made with."""
        self = super().__new__(cls)
        self.args, self.state, self.members = args, None, {}
        return self

    def __init__(self, *args: object, **_: object) -> None:
        del args

    def __setstate__(self, state: object) -> None:
        self.state = state

    def __setitem__(self, key: object, value: object) -> None:
        self.members[key] = value


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> type:
        """Return an inert class for a name."""
        return type(name, (Named,), {"path": f"{module}.{name}"})

    def persistent_load(self, pid: object) -> object:
        """Refuse what is outside the file."""
        raise UnpicklingError(f"it refers to {pid!r:.40}, which is not in it")


def load(path: Path) -> Any:
    """Return what a pickle holds: arrays are arrays, and tables dictionaries of columns.

    Raises:
        UnreadableFileError: it is no pickle, is cut off, or holds something else than data.
    """
    if path.stat().st_size > _LARGEST:
        raise UnreadableFileError(path, f"it has more than {_LARGEST:,} bytes.")
    try:
        room = limits.PICKLE + limits.PICKLE_EXPANSION * path.stat().st_size
        with path.open("rb") as file, limits.allocating(room):
            return _plain(_Unpickler(file).load(), {})
    except OSError as error:
        raise UnreadableFileError(path, f"{error.strerror or error}.") from error
    except (MemoryError, RecursionError, OverflowError) as error:
        raise UnreadableFileError(path, "it is larger or deeper than data are.") from error
    except Exception as error:  # a damaged pickle raises anything
        what = " ".join(str(error).split())[:200] or type(error).__name__
        problem = (
            f"it is not a whole pickle of tables or arrays ({what}). Save the data as Parquet with "
            "the program that wrote it."
        )
        raise UnreadableFileError(path, problem) from error


def _plain(value: object, memo: dict[int, object]) -> object:
    """Return a value with arrays and tables in place of what stands for them.

    `memo` has those of what was met before, as a pickle may hold one thing many times.
    """
    if not isinstance(value, Named | dict | list | tuple):
        return value
    if id(value) not in memo:
        memo[id(value)] = _made(value, memo)
    return memo[id(value)]


def _made(value: object, memo: dict[int, object]) -> object:
    if isinstance(value, dict):
        return {_plain(key, memo): _plain(each, memo) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each, memo) for each in value]
    assert isinstance(value, Named)
    kind = type(value).path.rpartition(".")[2]
    if kind in ("_reconstruct", "_frombuffer"):
        return _array(value)
    if kind == "scalar":
        return _scalar(value)
    if kind == "DataFrame":
        return _frame(value)
    if kind == "OrderedDict":
        return _made(value.members, memo)
    raise UnpicklingError(f"it holds {type(value).path[:80]}")


def _array(value: Named) -> Array:
    """Return the array that numpy's functions would make."""
    if type(value).path.endswith("_frombuffer"):
        data, kind, shape, order = value.args
        fortran = order == "F"
    else:
        state = value.state
        if not isinstance(state, tuple):
            raise UnpicklingError("an array has no values")
        _, shape, kind, fortran, data = state
    dtype = _dtype(kind)
    if isinstance(data, list):
        array = np.empty(len(data), object)
        array[:] = [_scalar(each) if isinstance(each, Named) else each for each in data]
    else:
        array = _values(data, dtype)
    return array.reshape(tuple(map(int, shape)), order="F" if fortran else "C")


def _values(data: object, dtype: np.dtype[Any]) -> Array:
    """Return the values in an array's bytes; numpy crashes on texts of what is no character."""
    array = np.frombuffer(_bytes(data), dtype)
    if dtype.kind == "U" and dtype.itemsize:
        codes = array.view(np.dtype(np.uint32).newbyteorder(dtype.byteorder))
        if codes.size and codes.max() > sys.maxunicode:
            raise UnpicklingError("a text in it is none")
    return array


def _bytes(data: object) -> bytes:
    """Return bytes; before protocol 3 they are a text in Latin 1."""
    if isinstance(data, Named) and type(data).path == "_codecs.encode":
        data = str(data.args[0]).encode("latin-1")
    if isinstance(data, Named):
        return _bytes(data.args[0]) if data.args else b""
    if not isinstance(data, bytes | bytearray):
        raise UnpicklingError("an array's values are no bytes")
    return bytes(data)


def _column(values: object) -> Array:
    """Return the array of a column: of numpy, or texts as pandas has them since version 3."""
    if isinstance(values, np.ndarray):
        return values
    if not isinstance(values, Named):
        raise UnpicklingError("a column is no array")
    kind = type(values).path.rpartition(".")[2]
    state = values.state
    if kind == "ArrowStringArray" and isinstance(state, dict):
        return _arrow_texts(state.get("_pa_array"))
    if kind == "__pyx_unpickle_NDArrayBacked" and isinstance(state, tuple):
        of = values.args[0].__name__ if values.args and isinstance(values.args[0], type) else ""
        held = [each for each in state if isinstance(each, Named) and _is_array(each)]
        if of.startswith("StringArray") and len(held) == 1:
            return _without_marks(_array(held[0]))
        raise UnpicklingError(f"a column is of the kind {of[:40]}")
    return _array(values)


def _is_array(value: Named) -> bool:
    return type(value).path.rpartition(".")[2] in ("_reconstruct", "_frombuffer")


def _without_marks(array: Array) -> Array:
    """Return texts with None in place of what marks missing ones (pandas.NA, NaN)."""
    texts = np.empty(len(array), object)
    texts[:] = [each if isinstance(each, str) else None for each in array.tolist()]
    return texts


def _arrow_texts(value: object) -> Array:
    """Return the texts of an array of Arrow, or of its chunks, from their buffers."""
    if isinstance(value, Named) and type(value).path == "pyarrow.lib.chunked_array":
        chunks = value.args[0] if value.args and isinstance(value.args[0], list) else []
        return np.concatenate([np.empty(0, object), *map(_arrow_texts, chunks)])
    if not isinstance(value, Named) or type(value).path != "pyarrow.lib._restore_array":
        raise UnpicklingError("a column of texts has no array of Arrow")
    kind, length, _, offset, buffers, *_ = value.args[0]
    of = _TEXTS.get(str(kind.args[0])) if isinstance(kind, Named) and kind.args else None
    if of is None or len(buffers) != len(("missing", "offsets", "characters")):
        raise UnpicklingError("a column of texts is of another type")
    held = [None if each is None else pa.py_buffer(_bytes(each)) for each in buffers]
    array = pa.Array.from_buffers(of, int(length), held, offset=int(offset))
    array.validate(full=True)  # offsets beyond the buffers would read other memory
    texts: Array = np.empty(len(array), object)
    texts[:] = array.to_pylist()
    return texts


def _dtype(kind: object) -> np.dtype[Any]:
    if not isinstance(kind, Named) or type(kind).path.rpartition(".")[2] != "dtype":
        raise UnpicklingError("an array has no type")
    code = str(kind.args[0])
    state = kind.state
    order = state[1] if isinstance(state, tuple) and len(state) > 1 else "="
    dtype = np.dtype(code)
    if order == ">":
        dtype = dtype.newbyteorder(">")
    if dtype.kind not in _KINDS:
        raise UnpicklingError(f"an array has the type {code[:20]}")
    return dtype


def _scalar(value: Named) -> object:
    if not type(value).path.endswith("multiarray.scalar"):
        raise UnpicklingError(f"it holds {type(value).path[:80]}")
    kind, data = value.args
    return _values(data, _dtype(kind))[0].item()


def _frame(value: Named) -> dict[object, Array]:
    """Return the columns of a pandas table, in their order."""
    state = value.state
    manager = state.get("_mgr", state.get("_data")) if isinstance(state, dict) else None
    if not isinstance(manager, Named):
        raise UnpicklingError("a table has no columns")
    blocks, axes = _blocks(manager)
    names = _index(axes[0])
    columns: dict[int, Array] = {}
    for values, place in blocks:
        array = _column(values)
        rows = array if array.ndim > 1 else array.reshape(1, -1)
        columns |= dict(zip(_places(place, len(names)), rows, strict=True))
    if sorted(columns) != list(range(len(names))):
        raise UnpicklingError("columns of a table are missing")
    return {names[number]: columns[number] for number in sorted(columns)}


def _blocks(manager: Named) -> tuple[list[tuple[object, object]], Sequence[object]]:
    """Return the blocks of columns with their places, and the axes: two layouts of pandas."""
    if len(manager.args) > 1:
        blocks, axes = manager.args[:2]
        if not isinstance(blocks, tuple | list) or not isinstance(axes, list | tuple):
            raise UnpicklingError("a table has no columns")
        return [(each.args[0], each.args[1]) for each in blocks], axes
    state = manager.state
    stated = state[3].get("0.14.1") if isinstance(state, tuple) and len(state) > 3 else None  # noqa: PLR2004 - as pandas has it
    if not isinstance(stated, Mapping):
        raise UnpicklingError("a table has no columns")
    return [(each["values"], each["mgr_locs"]) for each in stated["blocks"]], stated["axes"]


def _places(place: object, count: int) -> list[int]:
    if isinstance(place, slice):
        return list(range(*place.indices(count)))
    if isinstance(place, Named) and type(place).path.endswith(".slice"):
        start, stop, step = place.args
        return list(range(*slice(start, stop, step).indices(count)))
    array = _array(place) if isinstance(place, Named) else np.asarray(place)
    return [int(each) for each in array.tolist()]


def _index(axis: object) -> list[Any]:
    """Return the names in an axis."""
    if not isinstance(axis, Named) or len(axis.args) < 2:  # noqa: PLR2004 - class and contents
        raise UnpicklingError("a table has no names of columns")
    contents = axis.args[1]
    data = contents.get("data") if isinstance(contents, dict) else None
    if not isinstance(data, Named):
        raise UnpicklingError("the names of its columns are no plain texts")
    return list(_column(data).tolist())
