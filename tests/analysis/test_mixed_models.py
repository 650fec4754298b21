"""Mixed models of scores: groups, time and parents, stored, in SQL and by the command."""

from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from cli_commands import Commands
from evaluated import run, write
from factories import edge, family, model, rows, stub
from sqlalchemy import Connection, Engine, text

from registry.analysis.statistics import mixed_models
from registry.analysis.statistics.mixed_models import MixedEffect, run_mixed
from registry.analysis.statistics.parent_differences import read_differences
from registry.analysis.statistics.score_frame import FrameOptions, read_frame
from registry.enums import Grouping, MixedSubject
from registry.errors import UsageError
from registry.evaluations.records import Benchmark, Block, Measure, Setup
from registry.learning.arrays import Reals
from registry.learning.statistics.corrections import corrected
from registry.learning.statistics.mixed import fit_mixed_model

MODELS, FAMILIES = 60, 12
TYPES = ("llama", "opt", "qwen2")
START = datetime(2023, 1, 1, tzinfo=UTC)
BY = FrameOptions(grouping=Grouping.ARCHITECTURE)
GROUPS, TIME = MixedSubject.GROUPS, MixedSubject.TIME
PARENTS, NONE = MixedSubject.PARENTS, MixedSubject.NONE
RELATIONS = ("finetune", "merge", "quantized")


def families() -> Any:
    return np.arange(MODELS) % FAMILIES


def truth() -> dict[str, Reals]:
    rng = np.random.default_rng(7)
    of_family = rng.normal(size=FAMILIES)[families()] * 0.05
    noise = rng.normal(size=(2, MODELS)) * 0.02
    years = np.arange(MODELS) * 10 / 365.25
    return {
        "alpha": 0.4 + of_family + 0.05 * (families() % 3 == 1) + noise[0],
        "beta": 0.3 + of_family + 0.1 * years + noise[1],
    }


def name(place: int) -> str:
    return f"lab{place % 4}/m{place:02}"


def put(connection: Connection, benchmark: str, scores: dict[str, float], **of: Any) -> None:
    runs = [run(each, score=score, **of) for each, score in scores.items()]
    write(connection, Block(benchmark=Benchmark(name=benchmark), items=[], runs=runs))


@pytest.fixture
def filled(engine: Engine) -> Engine:
    with engine.begin() as connection:
        for place in range(MODELS):
            model(connection, name(place), model_type=TYPES[families()[place] % 3],
                  created_at=START + timedelta(days=10 * place))  # fmt: skip
        for place in range(MODELS):
            family(connection, name(place), name(place % FAMILIES))
        for benchmark, scores in truth().items():
            put(connection, benchmark, dict(zip(map(name, range(MODELS)), scores.tolist(),
                                                strict=True)))  # fmt: skip
    return engine


def of(effects: Any, benchmark: str, kind: str) -> list[MixedEffect]:
    return [each for each in effects if (each.benchmark, each.kind) == (benchmark, kind)]


def count(engine: Engine) -> int:
    with engine.connect() as connection:
        return int(connection.scalar(text("SELECT count(*) FROM store.analyses")) or 0)


def test_groups_are_compared_beside_those_of_independent_models(filled: Engine) -> None:
    analysis = run_mixed(filled, BY, GROUPS, level=0.9)
    # The largest groups are alike; the first by name is what others are compared with.
    numbers = np.equal.outer(families() % 3, (1, 2)).astype(float)
    for benchmark, scores in truth().items():
        direct = fit_mixed_model(scores, numbers, {"family": families()}, level=0.9)
        fixed = of(analysis.effects, benchmark, "fixed")
        assert [(each.group_name, each.reference, each.n) for each in fixed] == [
            ("opt", "llama", 20), ("qwen", "llama", 20),
        ]  # fmt: skip
        for each, effect, plain in zip(fixed, direct.effects, direct.plain, strict=True):
            assert (each.estimate, each.error, each.lower, each.upper, each.df, each.p) == (
                pytest.approx((effect.estimate, effect.error, effect.lower, effect.upper,
                               effect.df, effect.p), rel=1e-4)
            )  # fmt: skip
            assert each.statistic == pytest.approx(effect.estimate / effect.error, rel=1e-4)
            assert (each.plain_estimate, each.plain_error, each.plain_p) == pytest.approx(
                (plain.estimate, plain.error, plain.p), rel=1e-4
            )
        (test,) = of(analysis.effects, benchmark, "test")
        assert direct.joint is not None
        assert direct.plain_joint is not None
        assert (test.statistic, test.df, test.p, test.plain_p, test.groups, test.n) == (
            pytest.approx((direct.joint.f, direct.joint.df_within, direct.joint.p,
                           direct.plain_joint.p, 3, MODELS), rel=1e-3)
        )  # fmt: skip
        random, residual = of(analysis.effects, benchmark, "random")
        component = direct.components["family"]
        assert (random.term, random.groups, residual.term) == ("family", FAMILIES, "residual")
        assert (random.estimate, random.share) == pytest.approx(
            (component.deviation, component.share), rel=1e-3
        )
        assert residual.estimate == pytest.approx(direct.residual, rel=1e-3)
        assert (random.share or 0) + (residual.share or 0) == pytest.approx(1)
    for kind in ("fixed", "test", "random"):
        own = [each for each in analysis.effects if each.kind == kind and each.p is not None]
        assert [each.holm for each in own] == pytest.approx(
            list(corrected(np.array([each.p for each in own], float), "holm"))
        )
    again = run_mixed(filled, BY, GROUPS, level=0.9)
    assert again.stored == replace(analysis.stored, reused=True)
    assert again.effects == analysis.effects
    assert count(filled) == 1


def test_change_over_time(filled: Engine) -> None:
    with filled.begin() as connection:
        connection.execute(text("UPDATE store.models SET created_at = NULL WHERE name = :name"),
                           {"name": name(0)})  # fmt: skip
        connection.execute(text("UPDATE store.models SET created_at = NULL WHERE name = :name"),
                           {"name": name(1)})  # fmt: skip
        connection.execute(
            text("""
            INSERT INTO store.model_facts (model_id, source_id, fact, value)
            SELECT m.model_id, s.source_id, 'uploaded', '2023-01-11'
              FROM store.models m, store.sources s WHERE m.name = :name"""),
            {"name": name(1)},
        )
    found = run_mixed(filled, FrameOptions(), TIME)
    assert found.stored.notes == ["alpha, beta: 1 model left out, of unknown date."]
    (beta,) = of(found.effects, "beta", "fixed")
    assert (beta.term, beta.n, beta.group_name) == ("time", MODELS - 1, None)
    assert beta.lower is not None
    assert beta.upper is not None
    assert beta.lower < 0.1 < beta.upper
    assert (beta.estimate or 0) == pytest.approx(0.1, abs=0.02)
    assert not of(found.effects, "beta", "test")
    frame = read_frame(filled, FrameOptions(dates=True))
    dates = dict(zip(frame.models, frame.dates if frame.dates is not None else (), strict=True))
    assert dates[name(1)] == pytest.approx(2023 + 10 / 365.25)
    assert dates[name(59)] == pytest.approx(2024 + 225 / 365.25)
    assert np.isnan(dates[name(0)])


def test_variances_alone_are_of_crossed_groupings(filled: Engine) -> None:
    found = run_mixed(filled, FrameOptions(benchmarks=["alpha"]), NONE,
                      [Grouping.AUTHOR, Grouping.FAMILY])  # fmt: skip
    assert [(each.kind, each.term, each.groups) for each in found.effects] == [
        ("fixed", "mean", None), ("random", "author", 4), ("random", "family", 12),
        ("random", "residual", None),
    ]  # fmt: skip
    mean = found.effects[0]
    assert mean.p is None
    assert mean.plain_p is None
    assert mean.plain_estimate == pytest.approx(truth()["alpha"].mean())
    assert found.effects[1].p is not None
    assert found.effects[1].p > 0.05
    assert (found.effects[2].p or 1) < 1e-6


def relate(connection: Connection) -> dict[tuple[str, str], float]:
    """Store children of the first models; return what each is above its parents."""
    rng = np.random.default_rng(3)
    gains = {"finetune": 0.05, "merge": 0.0, "quantized": -0.02}
    found = {}
    scores = truth()["alpha"]
    for place in range(36):
        relation = RELATIONS[place % 3]
        child, parents = f"kid/{relation}{place:02}", [place % FAMILIES]
        if relation == "merge":
            parents.append((place + 5) % FAMILIES)
        model(connection, child, model_type="llama")
        for position, parent in enumerate(parents):
            edge(connection, child, name(parent), relation=relation, position=position)
        family(connection, child, name(place % FAMILIES))
        gain = gains[relation] + 0.01 * rng.normal() + 0.02 * (place % FAMILIES - 5.5) / 5.5
        found[child, relation] = gain
        precision = "4bit" if relation == "quantized" else None
        put(connection, "alpha", {child: float(np.mean(scores[parents]) + gain)},
            setup=Setup(precision=precision))  # fmt: skip
    return found


def test_models_less_their_parents_by_relation(filled: Engine) -> None:
    with filled.begin() as connection:
        gains = relate(connection)
        # In another setup a score is beside no parent's.
        for kid, setup in (("kid/other", Setup(shots=5)), ("kid/variant", Setup(variant="b"))):
            model(connection, kid)
            edge(connection, kid, name(0), relation="finetune")
            put(connection, "alpha", {kid: 0.99}, setup=setup)
    frame = read_differences(filled, FrameOptions(factors=(Grouping.FAMILY,)))
    assert frame.groups == ["finetune", "merge", "quantized"]
    assert dict(zip(frame.models, frame.values[:, 0], strict=True)) == {
        child: pytest.approx(gain) for (child, _), gain in gains.items()
    }
    found = run_mixed(filled, FrameOptions(), PARENTS)
    assert {each.benchmark for each in found.effects} == {"alpha"}
    fixed = of(found.effects, "alpha", "fixed")
    assert [(each.term, each.group_name, each.n, each.reference) for each in fixed] == [
        ("parent", relation, 12, None) for relation in RELATIONS
    ]
    for each in fixed:
        own = [gain for (_, relation), gain in gains.items() if relation == each.group_name]
        assert each.plain_estimate == pytest.approx(np.mean(own))
        assert each.estimate == pytest.approx(np.mean(own), abs=0.01)
        assert each.lower is not None
        assert each.upper is not None
        assert each.lower < {"finetune": 0.05, "merge": 0.0, "quantized": -0.02}[
            each.group_name or ""
        ] < each.upper  # fmt: skip
    assert not of(found.effects, "alpha", "test")
    # Scores that are none, or not finite, are beside nothing.
    with filled.begin() as connection:
        for score, child in ((None, "kid/finetune00"), (float("inf"), "kid/merge01")):
            connection.execute(
                text("UPDATE store.runs SET score = :score WHERE model_id ="
                     " (SELECT model_id FROM store.models WHERE name = :name)"),
                {"score": score, "name": child},
            )  # fmt: skip
    assert read_differences(filled, FrameOptions()).models == sorted(
        child for child, _ in gains if child not in {"kid/finetune00", "kid/merge01"}
    )
    assert run_mixed(filled, FrameOptions(), PARENTS).stored.notes[0] == (
        "1 difference left out, of scores that are not finite."
    )
    # A merge of three, of which one has no score.
    with filled.begin() as connection:
        stub(connection, "none/parent")
        edge(connection, "kid/merge04", "none/parent", relation="merge", position=2)
    assert read_differences(filled, FrameOptions()).notes == [
        "1 difference left out, of scores that are not finite.",
        "1 model of several parents: less those alone that have a score beside the model's.",
    ]
    # The condition is on children.
    few = FrameOptions(condition="name LIKE 'kid/quant%'")
    found = run_mixed(filled, few, PARENTS)
    assert [each.group_name for each in of(found.effects, "alpha", "fixed")] == ["quantized"]


REFUSED: tuple[tuple[dict[str, Any], MixedSubject, tuple[Grouping, ...], str], ...] = (
    ({}, GROUPS, (Grouping.FAMILY,), "Name what to group models by"),
    ({"grouping": Grouping.AUTHOR}, TIME, (Grouping.FAMILY,), "one of them"),
    ({}, NONE, (), "has a random effect"),
    ({}, NONE, (Grouping.SIZE,), "another grouping than size"),
    ({"grouping": Grouping.FAMILY}, GROUPS, (Grouping.FAMILY,), "name another random effect"),
    ({"grouping": Grouping.AUTHOR, "least": 1}, GROUPS, (Grouping.FAMILY,), "two scores or more"),
    ({"grouping": Grouping.LICENSE}, GROUPS, (Grouping.FAMILY,), "no group has 5 scores"),
    ({"grouping": Grouping.AUTHOR, "least": 16}, GROUPS, (Grouping.FAMILY,), "no group has 16"),
    ({"grouping": Grouping.YEAR, "condition": "created_at < '2023-12-01'"}, GROUPS,
     (Grouping.FAMILY,), "one group alone has 5 scores"),
    ({"condition": "author = 'lab1'"}, NONE, (Grouping.FAMILY,), "15 models have all that it"),
    ({"benchmarks": ["flat"]}, NONE, (Grouping.FAMILY,), "all scores are alike"),
    ({"condition": "architecture = 'opt'"}, NONE, (Grouping.ARCHITECTURE,),
     "all models are of one architecture"),
    ({}, PARENTS, (Grouping.FAMILY,), "No model has a score beside its parent's"),
    ({}, PARENTS, (Grouping.LICENSE,), "are of family, author, architecture"),
    ({"condition": "no sql"}, NONE, (Grouping.FAMILY,), "condition"),
    ({"benchmarks": ["nothing"]}, NONE, (Grouping.FAMILY,), "nothing"),
)  # fmt: skip


def test_what_cannot_be_fitted_is_refused_and_stores_nothing(filled: Engine) -> None:
    with filled.begin() as connection:
        put(connection, "flat", dict.fromkeys(map(name, range(MODELS)), 0.5))
    for options, subject, random, message in REFUSED:
        with pytest.raises(UsageError) as caught:
            run_mixed(filled, FrameOptions(**options), subject, random)
        assert message in str(caught.value), (options, subject, random)
    for level in (0.0, 1.0, float("nan")):
        with pytest.raises(UsageError, match="between 0 and 1"):
            run_mixed(filled, BY, GROUPS, level=level)
    with filled.begin() as connection:
        connection.execute(text("UPDATE store.models SET created_at = '2024-01-01'"))
    with pytest.raises(UsageError, match="all models are of one date"):
        run_mixed(filled, FrameOptions(), TIME)
    with filled.begin() as connection:
        connection.execute(text("ALTER TABLE store.mixed_effects ADD CHECK (n < 0)"))
    with pytest.raises(Exception, match="mixed_effects"):
        run_mixed(filled, BY, GROUPS)
    assert count(filled) == 0


def test_what_is_left_out_is_said(filled: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    elo = Measure(metric="elo", lower=None, upper=None, unit="elo")
    with filled.begin() as connection:
        connection.execute(text("UPDATE store.models SET model_type = 'phi' WHERE name IN"
                                " (:a, :b)"), {"a": name(0), "b": name(1)})  # fmt: skip
        put(connection, "gamma", {name(place): 1000.0 + place for place in range(30)}, measure=elo)
        put(connection, "few", {name(place): 0.1 + place / 100 for place in range(12)})
    found = run_mixed(filled, BY, GROUPS)
    assert found.stored.notes == [
        "alpha, beta, few, gamma: 2 models left out, of phi, with fewer than 5 scores.",
        "few: 3 models left out, of llama, with fewer than 5 scores.",
        "few: 3 models left out, of opt, with fewer than 5 scores.",
        "few: 4 models left out, of qwen, with fewer than 5 scores.",
        "few: not fitted, as no group has 5 scores.",
    ]
    # Of groups without an order the largest is what others are compared with, of years the first.
    assert {each.reference for each in of(found.effects, "alpha", "fixed")} == {"qwen"}
    years = FrameOptions(grouping=Grouping.YEAR, condition="created_at > '2023-06-01'")
    (year,) = of(run_mixed(filled, years, GROUPS).effects, "beta", "fixed")
    assert (year.reference, year.group_name, year.n) == ("2023", "2024", 23)
    monkeypatch.setattr(mixed_models, "MOST_BENCHMARKS", 1)
    few = run_mixed(filled, FrameOptions(), NONE)
    assert {each.benchmark for each in few.effects} == {"alpha"}
    assert few.stored.notes[0].startswith("3 of the benchmarks left out, with the fewest scores")


def test_other_requests_are_other_analyses_and_the_view_shows_them(filled: Engine) -> None:
    analyses = [
        run_mixed(filled, BY, GROUPS),
        run_mixed(filled, BY, GROUPS, [Grouping.AUTHOR]),
        run_mixed(filled, BY, GROUPS, [Grouping.AUTHOR, Grouping.FAMILY]),
        run_mixed(filled, FrameOptions(), TIME),
        run_mixed(filled, FrameOptions(), NONE),
        run_mixed(filled, BY, GROUPS, level=0.9),
    ]
    assert len({each.stored.analysis_id for each in analyses}) == len(analyses) == count(filled)
    with filled.connect() as connection:
        for each in analyses:
            stored = connection.execute(
                text("SELECT * FROM registry.mixed_effects WHERE analysis_id = :key"),
                {"key": each.stored.analysis_id},
            ).mappings()
            own = set(asdict(each.effects[0]))
            assert [{key: row[key] for key in own} for row in stored] == [
                asdict(effect) for effect in each.effects
            ]
        made = rows(connection, "SELECT DISTINCT subject FROM registry.mixed_effects ORDER BY 1")
        assert made == [("groups",), ("none",), ("time",)]
        assert rows(connection, "SELECT DISTINCT libraries ? 'mixedlm' FROM registry.analyses") == [
            (True,)
        ]


def test_the_command_prints_and_says(filled: Engine, database_url: str) -> None:
    del filled
    commands = Commands(database_url)
    found = commands.json("stats", "mixed", "--by", "architecture", "--benchmark", "beta")
    assert [(row["kind"], row["term"]) for row in found] == [
        ("fixed", "architecture"), ("fixed", "architecture"), ("test", "architecture"),
        ("random", "family"), ("random", "residual"),
    ]  # fmt: skip
    said = commands("stats", "mixed", "--by", "architecture", "--format", "table")
    assert "independent" in said.stdout
    assert "nan" not in said.stdout.lower()
    assert "120 scores of 60 models" in said.stderr
    fixed = [each for each in commands.json("stats", "mixed", "--by", "architecture")
             if each["kind"] in {"fixed", "test"}]  # fmt: skip
    lost = sum(each["plain_p"] < 0.05 <= each["p"] for each in fixed)
    assert lost > 1
    assert f"{lost} effects are significant only if models were independent" in said.stderr
    commands.json("stats", "mixed", "--effect", "none", "--random", "author")
    assert "--effect time, parents or none" in commands.refused(2, "stats", "mixed")
    refused = commands.refused(2, "stats", "mixed", "--by", "author", "--effect", "time")
    assert "one of them" in refused
