"""A catalog of models with scores on benchmarks, planted so that predictions can be judged."""

import numpy as np
from evaluated import run, write
from factories import edge, model
from sqlalchemy import Connection, Engine

from registry.evaluations.records import Benchmark, Block, Measure
from registry.learning.arrays import Reals

SHARES = ("alpha", "beta", "gamma", "delta")
MODELS = 48
ELO = Measure(metric="elo", lower=None, upper=None, unit="elo")
PERPLEXITY = Measure(
    metric="word_perplexity", lower=None, upper=None, higher_is_better=False, unit="nats"
)


def truth(seed: int = 0) -> tuple[list[str], dict[str, Reals]]:
    """Return names of models and their true scores on each benchmark.

    Families of four: one ability of the family and the size, one of the model.
    """
    rng = np.random.default_rng(seed)
    names, ability = [], []
    for family in range(MODELS // 4):
        base = rng.normal()
        for size in (1, 3, 7, 13):
            names.append(f"lab{family}/kin{family}-{size}b")
            ability.append(base + 0.5 * np.log2(size) - 1 + 0.2 * rng.normal())
    level = np.array(ability)
    scores = {}
    for place, benchmark in enumerate(SHARES):
        logits = (0.7 + 0.15 * place) * level - 0.4 * place + 0.1 * rng.normal(size=len(level))
        scores[benchmark] = 1 / (1 + np.exp(-logits))
    scores["arena"] = 1000 + 100 * level + 10 * rng.normal(size=len(level))
    scores["wiki"] = 12 - 2 * level + 0.2 * rng.normal(size=len(level))
    return names, scores


def hidden(names: list[str], benchmark: str) -> list[int]:
    """Return places of the models whose score on a benchmark is not stored."""
    shift = [*SHARES, "arena", "wiki"].index(benchmark)
    # The last two models have no scores at all.
    last = len(names) - 2
    return [place for place in range(len(names)) if place >= last or (place + shift) % 6 == 0]


def fill(connection: Connection) -> None:
    """Store the catalog: two models without scores, and a benchmark of four models."""
    names, scores = truth()
    for name in names:
        size = int(name.rpartition("-")[2].removesuffix("b")) * 10**9
        model(connection, name, parameters=size, pipeline_tag="text-generation")
    edge(connection, names[-1], names[-3])
    for benchmark, values in scores.items():
        measure = {"arena": ELO, "wiki": PERPLEXITY}.get(benchmark, Measure(metric="acc"))
        missing = set(hidden(names, benchmark))
        runs = [
            run(names[place], score=float(values[place]), measure=measure)
            for place in range(len(names))
            if place not in missing
        ]
        write(connection, Block(benchmark=Benchmark(name=benchmark), items=[], runs=runs))
    few = [run(names[place], score=0.5) for place in range(4)]
    write(connection, Block(benchmark=Benchmark(name="rare"), items=[], runs=few))


def version(connection: Connection) -> None:
    """Store a version of predictions of all models on all benchmarks, of one ability, by hand."""
    connection.exec_driver_sql(
        """
        INSERT INTO store.prediction_versions
               (state, created_at, placed_at, newest_model_id, dimension, model_count,
                benchmark_count, score_count, reliable, data_fingerprint, code_version, seed,
                seconds, settings, metrics, fitted)
        VALUES ('current', now(), now(), 1, 1, 1, 1, 1, true, '', '', 0, 1, '{}', '{}', '');
        INSERT INTO store.prediction_intervals
        SELECT v.version_id, g, 50, '{0,0.5,0.9,0.99}', '{0,0.7,1.6,2.6}', 1.6
          FROM store.prediction_versions v, generate_series(0, 4) g;
        INSERT INTO store.benchmark_loadings
        SELECT v.version_id, b.benchmark_id, b.measure_id, 20, 0, 0.1, 1, 1, 1, 1, 3, NULL, NULL,
               '[1]',
               '[1,0,0,0]'
          FROM store.prediction_versions v, store.benchmarks b;
        INSERT INTO store.abilities
        SELECT m.model_id, v.version_id, 'catalog', 0, 0.5, '[0.3]', '[0.4,1,0.424,0.09]', 1, 1,
               '{}', '{}'
          FROM store.prediction_versions v, store.models m"""
    )


def filled(engine: Engine) -> Engine:
    """Store the catalog in a database, and return its engine."""
    with engine.begin() as connection:
        fill(connection)
    return engine
