"""Routers that a training learns: stored, served and measured."""

import numpy as np
from planted import fill
from sqlalchemy import Engine

import registry
from registry.embeddings import dataset, training
from registry.embeddings.dataset import TrainingData
from registry.embeddings.routers.learned_router import learn_router, subjects_of
from registry.embeddings.training import TrainingOptions
from registry.evaluations.outcomes import Column, OutcomeMatrix
from registry.learning.factorization.problem import CPU, Factors, Problem


def test_a_training_stores_its_routers_and_how_well_they_do(engine: Engine) -> None:
    fill(engine)
    version = training.train(engine, TrainingOptions(method="irt", encoder="hashing"))
    assert version is not None
    figures = version.metrics["routers"]
    assert set(figures) == {"best", "knn"}
    assert figures["best"]["prompts"] > 100
    assert 0 < figures["best"]["log_loss"] < 0.8
    url = engine.url.render_as_string(hide_password=False)
    with registry.Router(url) as router:
        assert len(router.models) == version.models
        assert router.version == version.version
        names, probabilities, costs = router.route(router.encode(["What is 7 times 6?"]))
        assert names[0] in router.models
        assert 0 < probabilities[0] < 1
        assert np.isnan(costs).all()
    with engine.begin() as connection:
        data = dataset.read(connection)
        levels = np.nanmean(np.where(data.held_out, np.nan, data.matrix.values), axis=1)
        counted: dict[str, str] = dict(
            connection.exec_driver_sql(
                """SELECT m.name, (r.outcomes, round(r.level::numeric, 3)::float)::text
                     FROM store.route_models r JOIN store.models m USING (model_id)"""
            ).all()
        )
    learned = (data.matrix.mask & ~data.held_out).sum(axis=1)
    name = data.matrix.models[3]
    # Of what is held out nothing is stored, and what stands for it is near the model's level.
    assert counted[name].startswith(f"({learned[3]},")
    assert abs(float(counted[name].split(",")[1][:-1]) - levels[3]) < 0.05


def data_of(outcomes: np.ndarray, domains: list[str | None]) -> TrainingData:
    models, items = outcomes.shape
    columns = [Column("ab"[item % 2], "", f"i{item}") for item in range(items)]
    matrix = OutcomeMatrix([f"m{m}" for m in range(models)], columns, outcomes)
    return TrainingData(matrix, None, None, domains)


def test_subjects_are_benchmarks_and_their_domains() -> None:
    data = data_of(np.zeros((1, 6), np.float32), [None, None, "law", "law", None, "law"])
    found = subjects_of(data, np.arange(6))
    assert len(set(found.tolist())) == 4
    assert found[0] == found[4]
    assert found[3] == found[5]


def test_without_texts_there_is_no_router() -> None:
    outcomes = np.random.default_rng(0).integers(0, 2, (3, 60)).astype(np.float32)
    zeros = np.zeros((60, 2), np.float32)
    factors = Factors(zeros[:3], zeros, zeros[:, 0])
    data = data_of(outcomes, [None] * 60)
    assert learn_router(data, Problem(outcomes), factors, CPU) is None
