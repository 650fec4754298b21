"""What a distance of learned vectors means, on generated outcomes; docs/embeddings.md has the figures.

`pytest tests/docs/test_distances.py -s` prints them.
"""

from collections.abc import Iterator

import numpy as np
import pytest
from databases import Databases
from evaluated import block, run, write
from numpy.typing import NDArray
from scipy.special import expit
from sqlalchemy import Connection, Engine, text

from registry.db import connection as database
from registry.embeddings import read, training
from registry.embeddings.training import TrainingOptions

MODELS = 40
ITEMS = {"long": 400, "short": 100}
ABILITIES = 2


@pytest.fixture(scope="module")
def trained(databases: Databases) -> Iterator[Engine]:
    """A version of vectors of models with two abilities, on two benchmarks that ask for one each."""
    numbers = np.random.default_rng(19)
    abilities = numbers.normal(size=(MODELS, ABILITIES))
    with databases.made(template=databases.template()) as url:
        engine = database.create_engine(url)
        with engine.begin() as connection:
            for place, (name, count) in enumerate(ITEMS.items()):
                loadings = np.abs(numbers.normal(0.2, 0.2, (count, ABILITIES)))
                loadings[:, place] += numbers.uniform(0.5, 2, count)
                chances = expit(abilities @ loadings.T - numbers.normal(0, 1, count))
                right = numbers.random(chances.shape) < chances
                runs = (run(f"org/m{at}", each.astype(float)) for at, each in enumerate(right))
                write(connection, block(name, *runs))
        assert training.train(engine, TrainingOptions(method="irt")) is not None
        yield engine


def differences(connection: Connection) -> NDArray[np.float64]:
    """Return the root mean square difference of each two models' probabilities."""
    found = read.read_embeddings(connection)
    columns, items = read.read_items(connection, found.version)
    probabilities = expit(found.vectors @ items[:, :-1].T + items[:, -1]).astype(np.float64)
    weights = np.array([1 / ITEMS[column.benchmark] for column in columns])
    weighted = probabilities * np.sqrt(weights / weights.sum())
    return np.asarray(np.linalg.norm(weighted[:, None] - weighted, axis=2))


def test_a_distance_is_about_the_difference_of_probabilities(trained: Engine) -> None:
    with trained.connect() as connection:
        models = list(read.read_embeddings(connection).models)
        expected = differences(connection)
        query = text("SELECT name, distance FROM registry.nearest_models(:name, :k)")
        ratios, hits = [], 0
        for place, name in enumerate(models):
            found = connection.execute(query, {"name": name, "k": MODELS - 1}).all()
            near = [models.index(each) for each, _ in found]
            lines = [(each, much, expected[place, at]) for at, (each, much) in zip(near, found, strict=True)]
            ratios += [much / difference for _, much, difference in lines]
            hits += len(set(near[:5]) & set(np.argsort(expected[place])[1:6].tolist()))
            if name == "org/m0":
                shown = [lines[0], lines[1], lines[19], lines[-1]]
    low, middle, high = np.quantile(ratios, [0.05, 0.5, 0.95])
    share = hits / MODELS / 5
    print("", *(f"| `{each}` | {much:.3f} | {more:.3f} |" for each, much, more in shown), sep="\n")
    print(f"{low:.2f} to {high:.2f}, median {middle:.2f}; of the five nearest {share:.0%}")
    assert low > 0.5
    assert high < 1.5
    assert share > 0.75
