"""Facts of the catalog as features of models."""

import numpy as np
import pytest
from factories import edge, model
from sqlalchemy import Engine

from registry.embeddings.model_features import read, read_kernel_features
from registry.learning.coldstart.lineage_kernel import ParentLink

pytest.importorskip("scipy")


def test_features_are_in_the_order_of_the_names(engine: Engine) -> None:
    """Whatever the order of their keys; a name that nobody has is unlike all."""
    with engine.begin() as connection:
        for number in reversed(range(6)):
            for clan in ("falcon", "otter"):
                model(connection, f"{clan}lab/{clan}-7b-v{number}", model_type=clan)
    names = [
        f"{clan}lab/{clan}-7b-v{number}" for clan in ("falcon", "otter") for number in range(6)
    ]
    names.insert(3, "nobody/nothing")
    features = read_kernel_features(engine, names)
    assert len(features) == len(names)
    assert not features[3].any()
    falcon = np.array(["falcon" in name for name in names])
    others = np.array(["otter" in name for name in names])
    similar = features @ features.T
    assert similar[np.ix_(falcon, falcon)].min() > similar[np.ix_(falcon, others)].max()
    # However few are asked for, and in whatever order.
    some = [names[8], names[0], names[9], names[1]]
    few = read_kernel_features(engine, some)
    near = few @ few.T
    np.fill_diagonal(near, -np.inf)
    assert near.argmax(axis=1).tolist() == [2, 3, 0, 1]


def test_the_surest_parent_comes_first(engine: Engine) -> None:
    with engine.begin() as connection:
        tuned = model(connection, "org/tuned")
        edge(connection, tuned, "org/guessed", confidence=0.5)
        edge(connection, tuned, "org/stated", confidence=0.9)
        [described] = read(connection, [tuned]).descriptions
    assert described.parents == (ParentLink("org/stated"), ParentLink("org/guessed"))
