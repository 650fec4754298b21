"""Two families of models, each good at one half of the items, and a version that knows them."""

import numpy as np
from evaluated import block, run, write
from factories import model
from sqlalchemy import Connection, Engine

from registry.embeddings import training
from registry.embeddings.training import TrainingOptions
from registry.evaluations.records import Item

ITEMS = 80
CLANS = ("falcon", "otter")
"""Families of models: each is good at one half of the items."""


def told(clan: str, number: int, draw: np.random.Generator) -> list[float]:
    """Draw outcomes of a member of a family; those with higher numbers do better."""
    right = np.where((np.arange(ITEMS) < ITEMS // 2) == (clan == CLANS[0]), 0.85, 0.25)
    return [float(each) for each in draw.random(ITEMS) < right + 0.005 * (number % 20)]


def fill(connection: Connection) -> None:
    draw = np.random.default_rng(0)
    runs = []
    for clan in CLANS:
        for number in range(30):
            name = f"{clan}lab/{clan}-7b-v{number}"
            model(connection, name, parameters=7_000_000_000, model_type=clan)
            runs.append(run(name, told(clan, number, draw)))
    write(connection, block("exam", *runs, asked=[Item(f"i{n}") for n in range(ITEMS)]))


def learn(engine: Engine) -> None:
    with engine.begin() as connection:
        fill(connection)
    version = training.train(engine, TrainingOptions(method="irt"))
    assert version is not None
    assert version.current
