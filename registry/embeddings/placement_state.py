"""What places new models in a version, in and out of the database.

A sync brings a few hundred models an hour. What it takes to guess their vectors was learned from
the whole catalog when the version was placed, and is kept with it: how rare words and pieces of
names are, the fitted prior, and which trained models weigh how much.
"""

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray
from scipy.sparse import csr_array, issparse
from sqlalchemy import Connection, text

from registry.learning.coldstart.features import WIDTH, Blocks, Describer
from registry.learning.coldstart.gp import Guess, Prior
from registry.learning.coldstart.influence import Influence
from registry.learning.coldstart.kernel import Kernel
from registry.learning.coldstart.pca import Reals

_REALS = ("spread", "slopes", "noise", "signal", "centre")


@dataclass(frozen=True, slots=True, eq=False)
class FittedPlacement:
    """What it takes to place models.

    Attributes:
        describer: of models; one that was read again knows no authors and no lineage.
        prior: of vectors, without what was believed of trained models.
        influence: of the trained models.
        trained: int64, M: their keys.
        scale: of standard deviations, so that they are what they say.
        together: float64, d x d: correlation of a guess's errors; None of versions that were placed
            before it was kept, whose errors are taken for independent.
    """

    describer: Describer
    prior: Prior
    influence: Influence
    trained: NDArray[np.int64]
    scale: float = 1.0
    together: Reals | None = None


def save(connection: Connection, version: int, fitted: FittedPlacement, newest: int) -> None:
    """Keep what places models in a version, instead of what was kept before.

    Args:
        connection: in a transaction.
        version: its number.
        fitted: what is kept, in single precision.
        newest: greatest key of the catalog that was placed.
    """
    packed = io.BytesIO()
    arrays: dict[str, Any] = dict(_arrays(fitted))
    np.savez_compressed(packed, **arrays)
    connection.execute(
        text("""
        INSERT INTO store.priors (version_id, newest_model_id, fitted)
        VALUES (:version, :newest, :fitted)
        ON CONFLICT (version_id) DO UPDATE
           SET newest_model_id = excluded.newest_model_id, fitted = excluded.fitted"""),
        {"version": version, "newest": newest, "fitted": packed.getvalue()},
    )


def reached(connection: Connection, version: int, newest: int) -> None:
    """Keep up to which key models were placed."""
    connection.execute(
        text("UPDATE store.priors SET newest_model_id = :newest WHERE version_id = :version"),
        {"version": version, "newest": newest},
    )


def read(connection: Connection, version: int) -> FittedPlacement | None:
    """Return what places models in a version; None where nothing was kept, or by other features."""
    packed = connection.scalar(
        text("SELECT fitted FROM store.priors WHERE version_id = :version"), {"version": version}
    )
    if packed is None:
        return None
    with np.load(io.BytesIO(packed), allow_pickle=False) as arrays:
        told = dict(arrays)
    if len(told["pieces"]) != WIDTH:
        return None
    reals = {name: told[name].astype(np.float64) for name in _REALS}
    rank = len(reals["noise"])
    prior = Prior(
        kernel=Kernel(orjson.loads(told["kernel"].tobytes())),
        landmarks=_blocks(told),
        root=told["root"].astype(np.float64),
        left_out=Guess(np.zeros((0, rank)), np.zeros((0, rank)), np.zeros(0)),
        **reals,
    )
    describer = Describer(
        pieces=told["pieces"].astype(np.float64),
        words=told["words"].astype(np.float64),
        families=frozenset(orjson.loads(told["families"].tobytes())),
        authors={},
        profiles=csr_array((0, WIDTH)),
    )
    influence, scale = Influence(told["kept"], told["influence"]), float(told["scale"])
    together = told["together"].astype(np.float64) if "together" in told else None
    return FittedPlacement(describer, prior, influence, told["trained"], scale, together)


def _arrays(fitted: FittedPlacement) -> Iterator[tuple[str, NDArray[Any]]]:
    describer, prior = fitted.describer, fitted.prior
    yield "pieces", describer.pieces.astype(np.float32)
    yield "words", describer.words.astype(np.float32)
    yield "families", _json(sorted(describer.families))
    yield "kernel", _json(dict(prior.kernel.weights))
    yield "root", prior.root.astype(np.float32)
    for name in _REALS:
        yield name, getattr(prior, name)
    yield "kept", fitted.influence.kept
    yield "influence", fitted.influence.features
    yield "trained", fitted.trained
    yield "scale", np.array(fitted.scale)
    if fitted.together is not None:
        yield "together", fitted.together
    for block in fields(Blocks):
        values = getattr(prior.landmarks, block.name)
        if not issparse(values):
            yield f"landmarks {block.name}", values
            continue
        yield f"landmarks {block.name} data", values.data.astype(np.float32)
        yield f"landmarks {block.name} indices", values.indices.astype(np.int32)
        yield f"landmarks {block.name} indptr", values.indptr
        yield f"landmarks {block.name} shape", np.array(values.shape)


def _json(value: object) -> NDArray[np.uint8]:
    return np.frombuffer(orjson.dumps(value), np.uint8)


def _blocks(told: Mapping[str, NDArray[Any]]) -> Blocks:
    made = {}
    for block in fields(Blocks):
        name = f"landmarks {block.name}"
        if name in told:
            made[block.name] = told[name]
            continue
        data = told[f"{name} data"].astype(np.float64)
        made[block.name] = csr_array(
            (data, told[f"{name} indices"], told[f"{name} indptr"]),
            shape=tuple(told[f"{name} shape"]),
        )
    return Blocks(**made)
