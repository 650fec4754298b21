"""The router in Python: against SQL on the same version, and what it does when things change."""

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from factories import model, rows
from learned import drawn, kept
from priced import offer
from routed import kept_router, subjects_problem, unit
from sqlalchemy import Engine, text

import registry
from registry.errors import ModelNotFoundError, RegistryError, UsageError
from registry.prediction.prompts import Prompt
from registry.prediction.routing.many_prompts import route_prompts
from registry.prediction.routing.route_options import RouteOptions

PROMPTS = unit(np.random.default_rng(3), 12, 8)
FUNCTIONS = {
    "best": "route_best", "knn": "route_knn", "factorization": "route",
    "best-single": "route_best_single", "cheapest": "route_cheapest",
}  # fmt: skip


@pytest.fixture
def url(engine: Engine) -> str:
    """The URL of a database whose current version routes, with prices of four models of five."""
    with engine.begin() as connection:
        kept_router(connection)
        for place, price in enumerate((5.0, 4.0, 2.0, 1.0)):
            key = rows(connection, f"SELECT model_id FROM store.models WHERE name = 'org/m{place}'")
            offer(connection, f"m{place}", key[0][0], (price, 3 * price))
        connection.execute(text("UPDATE store.models SET license = 'mit' WHERE name <> 'org/m1'"))
    return engine.url.render_as_string(hide_password=False)


def in_sql(engine: Engine, router: str, **options: Any) -> list[tuple[Any, ...]]:
    arguments = "".join(f", {name} => :{name}" for name in options)
    prompt_ = "" if router in {"best-single", "cheapest"} else "CAST(:prompt AS vector), "
    query = (
        "SELECT model, probability, expected_cost, fallback"
        f" FROM registry.{FUNCTIONS[router]}({prompt_}1{arguments})"
    )
    with engine.connect() as connection:
        return [
            rows(connection, query, prompt=str(prompt.astype(float).tolist()), **options)[0]
            for prompt in PROMPTS
        ]


OPTIONS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({}, {}),
    ({"pool": ["org/m1", "org/m3"]}, {}),
    ({"license": "mit", "max_price": 4.0}, {}),
    ({}, {"cost_weight": 0.1, "input_tokens": 2000.0, "output_tokens": 100.0}),
    ({}, {"minimum_probability": 0.75}),
    ({}, {"input_tokens": 90.0}),
    ({"pool": ["org/m3", "org/m2"]}, {"cost_weight": 0.01}),
]


@pytest.mark.parametrize("router", FUNCTIONS)
def test_numpy_chooses_what_sql_chooses(engine: Engine, url: str, router: str) -> None:
    for filters, options in OPTIONS:
        with registry.Router(url, router=router, **filters) as opened:
            found = opened.route(PROMPTS, **options)
        expected = in_sql(engine, router, **filters, **options)
        names, probabilities, costs = found
        assert names == [row[0] for row in expected]
        assert probabilities == pytest.approx([row[1] for row in expected], abs=2e-3)
        known = np.array([np.nan if row[2] is None else row[2] for row in expected])
        assert costs == pytest.approx(known, nan_ok=True)
        assert found.fallbacks.tolist() == [row[3] is not None for row in expected]
        said = {row[3] for row in expected} - {None}
        assert said <= {found.fallback}
        assert bool(said) == bool(found.fallbacks.any())


def test_a_new_version_is_noticed(engine: Engine, url: str) -> None:
    with registry.Router(url, check_seconds=0) as router, registry.Router(url) as patient:
        first = router.version
        assert patient.version == first
        with engine.begin() as connection:
            second = kept_router(connection, subjects_problem(seed=7)).version
        before = patient.route(PROMPTS)
        assert router.route(PROMPTS).probabilities.tolist() != before.probabilities.tolist()
        assert (router.version, patient.version) == (second, first)
        with engine.begin() as connection:
            connection.execute(text("UPDATE store.prices SET input_per_million = 100"))
        cheap = router.route(PROMPTS, cost_weight=10)
        assert set(cheap.names) == {"org/m3"}


@pytest.mark.parametrize("router", FUNCTIONS)
def test_models_renamed_meanwhile_have_their_new_names(
    engine: Engine, url: str, router: str
) -> None:
    with registry.Router(url, router=router, check_seconds=0) as opened:
        before = opened.route(PROMPTS)
        with engine.begin() as connection:
            # The names change places in the order of names, as well.
            connection.execute(
                text("""UPDATE store.models SET name = 'new/m' || (9 - right(name, 1)::integer)
                         WHERE name LIKE 'org/m%'""")
            )
        after = opened.route(PROMPTS)
        assert opened.models == [f"new/m{place}" for place in range(5, 10)]
    assert after.names == [f"new/m{9 - int(name[-1])}" for name in before.names]
    assert after.probabilities.tolist() == pytest.approx(before.probabilities.tolist())
    assert after.costs == pytest.approx(before.costs, nan_ok=True)


@pytest.mark.parametrize("router", [each for each in FUNCTIONS if each != "cheapest"])
def test_models_merged_meanwhile_are_read_again(engine: Engine, url: str, router: str) -> None:
    with registry.Router(url, router=router, check_seconds=0) as opened:
        before = opened.route(PROMPTS)
        with engine.begin() as connection:
            model(connection, "other/name")
            keys = "SELECT model_id FROM store.models WHERE name = '{}'"
            for table in ("route_models", "serving_vectors"):
                connection.execute(
                    text(f"""
                    UPDATE store.{table} SET model_id = ({keys.format("other/name")})
                     WHERE model_id = ({keys.format("org/m3")})""")
                )
        after = opened.route(PROMPTS)
    renamed = ["other/name" if name == "org/m3" else name for name in before.names]
    assert after.names == renamed
    assert after.probabilities.tolist() == pytest.approx(before.probabilities.tolist())


def test_without_a_database_it_routes_on(
    engine: Engine, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    with registry.Router(url, check_seconds=0) as router:
        before = router.route(PROMPTS)
        with engine.begin() as connection:
            connection.execute(text("UPDATE store.embedding_versions SET state = 'retired'"))
        assert router.route(PROMPTS).names == before.names
        assert "Routing on with version" in caplog.text


@pytest.mark.parametrize("router", FUNCTIONS)
def test_prices_above_the_limit_leave_no_model(engine: Engine, url: str, router: str) -> None:
    change = "UPDATE store.prices SET input_per_million = input_per_million {} 100"
    with registry.Router(url, router=router, check_seconds=0, max_price=4.0) as opened:
        before = opened.route(PROMPTS)
        with engine.begin() as connection:
            connection.execute(text(change.format("*")))
        # Not once alone: what was loaded stays out of reach until prices fall again.
        opened._seconds = 3600
        opened._checked -= 3601
        for _ in range(2):
            with pytest.raises(RegistryError, match="No model is left to choose from"):
                opened.route(PROMPTS)
        with engine.begin() as connection:
            connection.execute(text(change.format("/")))
        assert opened.route(PROMPTS).names == before.names


def test_what_does_not_fit_is_refused(url: str) -> None:
    with registry.Router(url) as router:
        assert router.models == [f"org/m{place}" for place in range(5)]
        assert router.encoder == "small"
        (name,), *_ = router.route(PROMPTS[0])
        assert name in router.models
        assert router.route(PROMPTS[:0]).names == []
        for vectors in (PROMPTS[:, :3], np.zeros((1, 2, 8), np.float32)):
            with pytest.raises(UsageError, match="those of the encoder 'small' have 8 dimensions"):
                router.route(vectors)
        broken = PROMPTS.copy()
        broken[4, 2] = np.nan
        with pytest.raises(UsageError, match="vector of prompt 5 is not finite"):
            router.route(broken)
        for factor, length in ((5, "5"), (0, "0"), (1.02, "1.02"), (0.98, "0.98")):
            stretched = PROMPTS.copy()
            stretched[2] *= factor
            with pytest.raises(UsageError, match=f"prompt 3 has length {length}, not 1: .*'small'"):
                router.route(stretched)
        assert len(router.route(PROMPTS * np.float32(1.009)).names) == len(PROMPTS)
        for options in ({"cost_weight": -1}, {"minimum_probability": 2}, {"cost_weight": np.nan}):
            with pytest.raises(UsageError, match="cost_weight is at least 0"):
                router.route(PROMPTS, **options)
        one_wrong: Any = np.where(np.arange(12) == 3, -1.0, 1.0)
        misfits: list[Any] = [np.ones(11), np.ones(1), np.ones((12, 1))]
        for name in ("input_tokens", "output_tokens"):
            for value in (-5, np.nan, np.inf, one_wrong):
                with pytest.raises(UsageError, match=f"{name} is finite, and at least 0"):
                    router.route(PROMPTS, **{name: value})
            for counts in misfits:
                with pytest.raises(UsageError, match=f"{name} is a number, or one for each of 12"):
                    router.route(PROMPTS, **{name: counts})
        free = router.route(PROMPTS, input_tokens=0, output_tokens=np.zeros(12))
        assert set(free.costs[~np.isnan(free.costs)]) == {0}
        with pytest.raises(UsageError, match="Prompt 2 is empty"):
            router.encode(["one", " "])
        with pytest.raises(UsageError, match="Prompt 2 has 1,000,001 characters"):
            router.encode(["one", "x" * 1_000_001])
    refusals: list[tuple[type[Exception], str, dict[str, Any]]] = [
        (UsageError, "no router 'domain'", {"router": "domain"}),
        (UsageError, "no option 'licence'", {"licence": "mit"}),
        (ModelNotFoundError, "org/m7", {"pool": ["org/m7"]}),
        (RegistryError, "1 have no known price, the others cost more", {"max_price": 0.1}),
    ]
    for error, match, filters in refusals:
        with pytest.raises(error, match=match):
            registry.Router(url, **filters)


def test_costs_that_nobody_knows_cannot_be_weighed(engine: Engine) -> None:
    with engine.begin() as connection:
        kept_router(connection)
    with registry.Router(engine.url.render_as_string(hide_password=False)) as router:
        assert np.isnan(router.route(PROMPTS).costs).all()
        with pytest.raises(RegistryError, match="No model has a known price"):
            router.route(PROMPTS, cost_weight=1)


def test_a_version_without_routers_says_so(engine: Engine) -> None:
    with engine.begin() as connection:
        kept(connection, drawn(3), serving=drawn(3, 9), encoder="small")
    url = engine.url.render_as_string(hide_password=False)
    with pytest.raises(RegistryError, match="has no routers"):
        registry.Router(url)
    with registry.Router(url, router="factorization") as router:
        assert len(router.route(PROMPTS).names) == len(PROMPTS)


def test_many_prompts_are_refused_what_they_cannot_have(url: str) -> None:
    prompts = [Prompt("1", "hello")]
    with pytest.raises(UsageError, match="not by domain"):
        route_prompts(url, prompts, router="domain")
    with pytest.raises(UsageError, match="leave --neighbours out"):
        route_prompts(url, prompts, options=RouteOptions(neighbours=3))
    with pytest.raises(UsageError, match="The prompt has 1,000,001 characters; 1,000,000"):
        route_prompts(url, [Prompt("1", "x" * 1_000_001)])


def test_the_package_stays_light() -> None:
    code = (
        "import sys, registry; assert 'numpy' not in sys.modules; registry.Router;"
        "assert not {'torch', 'scipy', 'sklearn'} & set(sys.modules), sorted(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    with pytest.raises(AttributeError, match="no attribute 'Rooter'"):
        _ = registry.Rooter
