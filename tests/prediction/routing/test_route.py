"""Routing of prompts: what the SQL function refuses, as errors of the registry."""

import numpy as np
import pytest
from factories import alias, rows
from learned import drawn, kept
from sqlalchemy import Connection, Engine, event

from registry.errors import EncoderError, ModelNotFoundError, RegistryError, UsageError
from registry.learning.encoders import open_encoder
from registry.prediction.routing.route import route, route_by, route_prompt

PROMPT = np.array([0, 0.6, 0.8], np.float32)


def test_a_refusal_is_a_sentence_and_the_transaction_goes_on(connection: Connection) -> None:
    with pytest.raises(RegistryError, match="^Cannot route the prompt: There are no embeddings"):
        route(connection, PROMPT)
    version = kept(connection, drawn(3), serving=drawn(3, 3), encoder="small")
    with pytest.raises(RegistryError, match="3 dimensions; those of the encoder .small. have 2"):
        route(connection, PROMPT)
    assert rows(connection, "SELECT version FROM registry.embedding_versions") == [(version,)]


def test_a_pool_has_any_names_and_unknown_ones_are_named(connection: Connection) -> None:
    kept(connection, drawn(3), serving=drawn(3))
    alias(connection, "org/m2", "two")
    assert {row["model"] for row in route(connection, PROMPT, 3, pool=["TWO", "org/m0"])} == {
        "org/m2", "org/m0"
    }  # fmt: skip
    with pytest.raises(ModelNotFoundError, match="org/m9"):
        route(connection, PROMPT, pool=["org/m0", "org/m9"])
    with pytest.raises(RegistryError, match="None of the pool's models"):
        route(connection, PROMPT, pool=[])


def test_a_prompt_is_routed_by_the_encoder_of_the_version(engine: Engine) -> None:
    encoder = open_encoder("hashing")
    vector = encoder.encode(["hello"])[0]
    serving = np.zeros((2, encoder.dimension + 1), np.float32)
    serving[1, :-1] = vector
    with engine.begin() as connection:
        kept(connection, drawn(2), serving=serving, encoder=encoder.name)
    (best,) = route_prompt(engine, "hello")
    assert best["model"] == "org/m1"
    assert best["logit"] == pytest.approx(1, abs=1e-5)
    for words in ("???", " - . "):
        with pytest.raises(UsageError, match="^The prompt has no word that .* 'hashing-512'"):
            route_prompt(engine, words)
    with pytest.raises(RegistryError, match="has no routers"):
        route_by(engine, "???", router="cheapest")


def test_a_prompt_is_encoded_again_for_a_version_promoted_meanwhile(engine: Engine) -> None:
    encoder = open_encoder("hashing")
    serving = np.ones((2, encoder.dimension + 1), np.float32)
    with engine.begin() as connection:
        kept(connection, drawn(2), serving=serving, encoder=encoder.name)

    def promote(*_: object) -> None:
        with engine.begin() as connection:
            kept(connection, drawn(2), serving=serving, encoder="another")

    # The first connection to be returned is that which read the name of the encoder.
    event.listen(engine, "checkin", promote, once=True)
    with pytest.raises(EncoderError, match="no encoder named 'another'"):
        route_prompt(engine, "hello")
