"""Statistics of scores: from slices and groups to stored results, in Python, SQL and commands."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from cli_commands import Commands
from evaluated import block, run, write
from factories import edge, family, model, rows, stub
from scipy import stats
from sqlalchemy import Connection, Engine, text

from registry.analysis.p_values import integrated_p_value, p_value
from registry.analysis.paired_scores import PairedScore, compare_pairs
from registry.analysis.report import score_report as score_reports
from registry.analysis.report.curve_sections import saturation_section, size_section
from registry.analysis.report.rank_sections import rank_section
from registry.analysis.report.score_report import score_report
from registry.analysis.report.sections import analysed, slice_section, unequal_variances
from registry.analysis.statistics import (
    benchmark_correlations,
    group_differences,
    groupings,
    score_frame,
)
from registry.analysis.statistics.additive_models import run_gam
from registry.analysis.statistics.benchmark_correlations import run_correlations
from registry.analysis.statistics.benchmark_saturation import run_saturation
from registry.analysis.statistics.group_differences import run_anova, run_tukey
from registry.analysis.statistics.score_frame import FrameOptions, ScoreFrame, read_frame
from registry.enums import Grouping
from registry.errors import UsageError
from registry.evaluations.identity.aliases import compare_measures
from registry.evaluations.records import Benchmark, Block, Measure, Setup, Source
from registry.learning.arrays import Reals
from registry.learning.statistics.corrections import corrected

SIZES = (1.1, 2.0, 6.7, 7.2)
MODELS = 64
ELO = Measure(metric="elo", lower=None, upper=None, unit="elo")
BY_SIZE = FrameOptions(grouping=Grouping.SIZE)


def truth() -> dict[str, Reals]:
    """Return the scores of models on benchmarks; sizes take turns."""
    rng = np.random.default_rng(11)
    size = np.tile(np.arange(4.0), MODELS // 4)
    ability = rng.normal(size=MODELS)
    return {
        "alpha": 0.4 + 0.08 * size + 0.04 * ability + 0.02 * rng.normal(size=MODELS),
        "beta": 0.5 + 0.06 * ability + 0.02 * rng.normal(size=MODELS),
        "gamma": 1000 + 50 * size + rng.normal(size=MODELS) * (1 + 20 * (size == 3)),
    }


def name(place: int) -> str:
    return f"lab{place % 3}/m{place:02}"


def put(connection: Connection, benchmark: str, scores: Sequence[float | None], **of: Any) -> None:
    """Store scores of the first models on a benchmark."""
    runs = [
        run(name(place), score=score, **of)
        for place, score in enumerate(scores)
        if score is not None
    ]
    write(connection, Block(benchmark=Benchmark(name=benchmark), items=[], runs=runs))


def fill(connection: Connection) -> None:
    for place in range(MODELS):
        model(connection, name(place), parameters=round(SIZES[place % 4] * 1e9), license="mit")
    for benchmark, scores in truth().items():
        put(connection, benchmark, scores.tolist(), measure=ELO if benchmark == "gamma" else
            Measure(metric="acc"))  # fmt: skip


@pytest.fixture
def filled(engine: Engine) -> Engine:
    with engine.begin() as connection:
        fill(connection)
    return engine


@pytest.fixture
def commands(filled: Engine, database_url: str) -> Commands:
    return Commands(database_url)


def of_sizes(scores: Reals) -> list[Reals]:
    """Return scores by range of size: 0-1.5, 1.5-3, 3-7, 7-13."""
    return [scores[place::4] for place in range(4)]


def count(engine: Engine) -> int:
    with engine.connect() as connection:
        return int(connection.scalar(text("SELECT count(*) FROM store.analyses")) or 0)


def test_anova_is_that_of_the_scores_and_is_computed_once(filled: Engine) -> None:
    analysis = run_anova(filled, BY_SIZE)
    assert [each.benchmark for each in analysis.results] == ["alpha", "beta", "gamma"]
    assert not analysis.stored.reused
    assert (analysis.stored.model_count, analysis.stored.row_count) == (MODELS, 3 * MODELS)
    for found in analysis.results:
        groups = of_sizes(truth()[found.benchmark])
        assert (found.n, found.groups) == (MODELS, 4)
        assert (found.f, found.p) == pytest.approx(tuple(stats.f_oneway(*groups)))
        welch = stats.f_oneway(*groups, equal_var=False)
        assert (found.welch_f, found.welch_p) == pytest.approx(tuple(welch))
        assert found.effect_lower is not None
        assert found.eta_squared is not None
        assert found.effect_lower <= found.eta_squared
    for column, name_ in (("p", "holm"), ("welch_p", "welch_holm"), ("kruskal_p", "kruskal_holm")):
        p = np.array([getattr(each, column) for each in analysis.results])
        assert [getattr(each, name_) for each in analysis.results] == pytest.approx(
            list(corrected(p, "holm"))
        )
    assert [each.verdict for each in analysis.results] == [
        "differ",
        "no difference found",
        "differ",
    ]
    means = [each for each in analysis.groups if each.benchmark == "alpha"]
    assert [each.group_name for each in means] == ["0-1.5B", "1.5-3B", "3-7B", "7-13B"]
    for each, scores in zip(means, of_sizes(truth()["alpha"]), strict=True):
        assert (each.n, each.mean, each.median, each.deviation) == pytest.approx(
            (len(scores), scores.mean(), np.median(scores), scores.std(ddof=1))
        )
    again = run_anova(filled, BY_SIZE)
    assert again.stored == replace(analysis.stored, reused=True)
    assert (again.results, again.groups) == (analysis.results, analysis.groups)
    assert count(filled) == 1


def test_other_options_are_another_analysis(filled: Engine) -> None:
    others = [
        BY_SIZE,
        replace(BY_SIZE, condition="license = 'mit'"),
        replace(BY_SIZE, cuts=(1.5, 7)),
        replace(BY_SIZE, least=6),
        replace(BY_SIZE, most=3),
        replace(BY_SIZE, complete=True),
        replace(BY_SIZE, benchmarks=["alpha"]),
        replace(BY_SIZE, grouping=Grouping.AUTHOR),
    ]
    numbers = {run_anova(filled, each).stored.analysis_id for each in others}
    assert len(numbers) == len(others) == count(filled)


def test_what_is_left_out_of_other_data_is_said_anew(filled: Engine) -> None:
    options = FrameOptions(benchmarks=["alpha", "beta"], complete=True)
    assert not run_correlations(filled, options).stored.notes
    with filled.begin() as connection:
        model(connection, "lab9/new")
        one = [run("lab9/new", score=0.5)]
        write(connection, Block(benchmark=Benchmark(name="alpha"), items=[], runs=one))
    again = run_correlations(filled, options).stored
    assert not again.reused
    assert again.notes == ["1 model left out, without a score on each benchmark."]


def test_other_data_or_level_is_another_analysis(filled: Engine) -> None:
    first = run_anova(filled, BY_SIZE).stored
    assert run_anova(filled, BY_SIZE, level=0.9).stored.analysis_id != first.analysis_id
    with filled.begin() as connection:
        connection.execute(text("UPDATE store.models SET parameters = 8e9 WHERE name = 'lab0/m00'"))
    assert not run_anova(filled, BY_SIZE).stored.reused
    with filled.begin() as connection:
        connection.execute(
            text("UPDATE store.models SET parameters = 1.1e9 WHERE name = 'lab0/m00'")
        )
    assert run_anova(filled, BY_SIZE).stored == replace(first, reused=True)


def test_tukey_and_games_howell_of_each_pair(filled: Engine) -> None:
    analysis = run_tukey(filled, replace(BY_SIZE, benchmarks=["alpha", "gamma"]))
    assert len(analysis.results) == 12
    pairs = [(each.group_name, each.other_group) for each in analysis.results[:6]]
    assert pairs[0] == ("0-1.5B", "1.5-3B")
    assert pairs[-1] == ("3-7B", "7-13B")
    for benchmark in ("alpha", "gamma"):
        groups = of_sizes(truth()[benchmark])
        classic, robust = stats.tukey_hsd(*groups), stats.tukey_hsd(*groups, equal_var=False)
        places = np.triu_indices(4, 1)
        found = [each for each in analysis.results if each.benchmark == benchmark]
        assert [each.difference for each in found] == pytest.approx(list(classic.statistic[places]))
        assert [each.p for each in found] == pytest.approx(list(classic.pvalue[places]), abs=1e-9)
        assert [each.games_howell_p for each in found] == pytest.approx(
            list(robust.pvalue[places]), abs=1e-9
        )
        unequal = stats.levene(*groups).pvalue < 0.05
        assert unequal == (benchmark == "gamma")
        for each in found:
            p = each.games_howell_p if unequal else each.p
            assert p is not None
            expected = "no difference found" if p >= 0.05 else "lower"
            assert each.verdict == expected
            assert each.differs == ((each.p or 0) < 0.05)


def test_views_show_what_is_returned(filled: Engine) -> None:
    anova, tukey = run_anova(filled, BY_SIZE), run_tukey(filled, BY_SIZE)
    correlations = run_correlations(filled, FrameOptions())
    with filled.connect() as connection:
        for view, analysis in (("anova", anova), ("tukey", tukey), ("correlations", correlations)):
            found = connection.execute(
                text(f"SELECT * FROM registry.{view} WHERE analysis_id = :key"),
                {"key": analysis.stored.analysis_id},
            ).mappings()
            stored = [dict(row) for row in found]
            expected = [asdict(each) for each in analysis.results]
            for row in stored:
                row.pop("analysis_id")
                assert row.pop("grouping", "size") == "size"
            order = lambda row: [str(value) for value in row.values()][:4]  # noqa: E731
            assert sorted(stored, key=order) == sorted(expected, key=order)
        kinds = rows(connection, "SELECT kind, slice, grouping, level, models, scores, seed, "
                     "libraries ? 'scipy', notes FROM registry.analyses")  # fmt: skip
        assert kinds == [
            ("correlate", None, None, 0.95, MODELS, 3 * MODELS, None, True, []),
            ("tukey", None, "size", 0.95, MODELS, 3 * MODELS, None, True, []),
            ("anova", None, "size", 0.95, MODELS, 3 * MODELS, None, True, []),
        ]
        counts = rows(
            connection,
            """
            SELECT group_name, other_group, benchmarks, differ_tukey, differ, higher, lower
              FROM registry.tukey_counts""",
        )
        for first, second, benchmarks, classic, differ, higher, lower in counts:
            own = [each for each in tukey.results
                   if (each.group_name, each.other_group) == (first, second)]  # fmt: skip
            assert benchmarks == len(own) == 3
            assert classic == sum(bool(each.differs) for each in own)
            assert (higher, lower) == tuple(
                sum(each.verdict == said for each in own) for said in ("higher", "lower")
            )
            assert differ == higher + lower
        means = connection.scalars(
            text("SELECT mean FROM registry.analysis_groups WHERE analysis_id = :key"),
            {"key": anova.stored.analysis_id},
        ).all()
        assert means == [each.mean for each in anova.groups]


def test_correlations_are_those_of_the_scores(filled: Engine) -> None:
    with filled.begin() as connection:
        connection.execute(text("UPDATE store.models SET parameters = NULL WHERE name LIKE '%0'"))
    analysis = run_correlations(filled, FrameOptions(), level=0.9)
    assert [(each.benchmark, each.other) for each in analysis.results] == [
        ("alpha", "beta"), ("alpha", "gamma"), ("beta", "gamma"),
    ]  # fmt: skip
    known = np.array([not name(place).endswith("0") for place in range(MODELS)])
    size = np.log(np.tile(SIZES, MODELS // 4))[known]
    for found in analysis.results:
        x, y = truth()[found.benchmark], truth()[found.other]
        pearson = stats.pearsonr(x, y)
        assert (found.n, found.partial_n) == (MODELS, known.sum())
        assert (found.pearson, found.pearson_p) == pytest.approx(tuple(pearson))
        assert (found.pearson_lower, found.pearson_upper) == pytest.approx(
            tuple(pearson.confidence_interval(0.9))
        )
        assert (found.spearman, found.spearman_p) == pytest.approx(tuple(stats.spearmanr(x, y)))
        left = [each[known] - np.polyval(np.polyfit(size, each[known], 1), size) for each in (x, y)]
        assert found.partial == pytest.approx(stats.pearsonr(*left).statistic)
    p = np.array([each.pearson_p for each in analysis.results])
    assert [each.pearson_holm for each in analysis.results] == pytest.approx(
        list(corrected(p, "holm"))
    )


def test_pairs_of_benchmarks_are_over_the_models_that_have_both(filled: Engine) -> None:
    with filled.begin() as connection:
        put(connection, "delta", [None] * 40 + [0.1 + place / 50 for place in range(24)])
        put(connection, "few", [0.1 * place for place in range(9)])
        put(connection, "flat", [0.5] * MODELS)
        put(connection, "other", [0.01 * place for place in range(12)])
    analysis = run_correlations(filled, FrameOptions())
    with_delta = [each for each in analysis.results if "delta" in {each.benchmark, each.other}]
    assert [each.n for each in with_delta] == [24, 24, 24]
    assert len(analysis.results) == 9
    assert "1 benchmark left out, with fewer than 10 scores" in analysis.stored.notes[0]
    assert "flat: left out, as all scores are alike." in analysis.stored.notes
    assert any("One pair of benchmarks left out" in note for note in analysis.stored.notes)


def test_of_many_benchmarks_the_most_measured_are_correlated(
    filled: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(benchmark_correlations, "MOST_BENCHMARKS", 2)
    with filled.begin() as connection:
        connection.execute(
            text(
                "DELETE FROM store.shown_runs s USING store.benchmarks b"
                " WHERE b.benchmark_id = s.benchmark_id AND b.name = 'beta'"
                " AND model_id = (SELECT min(model_id) FROM store.shown_runs)"
            )
        )
    analysis = run_correlations(filled, FrameOptions())
    assert [(each.benchmark, each.other) for each in analysis.results] == [("alpha", "gamma")]
    assert "1 benchmark left out, that with the fewest scores" in analysis.stored.notes[0]
    named = FrameOptions(benchmarks=["alpha", "beta", "gamma"])
    assert len(run_correlations(filled, named).results) == 3


def frame(engine: Engine, **of: Any) -> ScoreFrame:
    return read_frame(engine, FrameOptions(**of))


def groups(found: ScoreFrame, column: int = 0) -> dict[str, str | None]:
    """Return the group of each model."""
    named = [*found.groups, None]
    return {each: named[found.codes[row, column]] for row, each in enumerate(found.models)}


def test_slices_and_complete_models(filled: Engine) -> None:
    with filled.begin() as connection:
        put(connection, "half", [place / 100 for place in range(32)])
    small = frame(filled, condition="parameters < 3e9 AND author = 'lab0'")
    assert small.models == sorted(
        name(place) for place in range(MODELS) if place % 3 == 0 and place % 4 < 2
    )
    named = frame(filled, benchmarks=["half", "alpha"])
    assert [each.name for each in named.benchmarks] == ["alpha", "half"]
    assert named.values.shape == (MODELS, 2)
    assert np.isnan(named.values[:, 1]).sum() == 32
    both = frame(filled, benchmarks=["half", "alpha"], complete=True)
    assert len(both.models) == 32
    assert not np.isnan(both.values).any()
    assert both.notes == ["32 models left out, without a score on each benchmark."]
    # Without names they are the benchmarks of the most scores by the same models.
    most = frame(filled, complete=True)
    assert [each.name for each in most.benchmarks] == ["alpha", "beta", "gamma"]
    assert len(most.models) == MODELS
    assert most.notes == [
        (
            "1 benchmark left out and 0 models, for the 3 benchmarks of the most scores by the"
            " same models; name benchmarks for others."
        )
    ]
    assert [each.unit for each in frame(filled).benchmarks] == ["share", "share", "elo", "share"]


def test_the_query_of_a_stored_analysis_lists_its_models(filled: Engine) -> None:
    for condition in (None, "parameters < 3e9 OR author = 'lab1' -- small, or of one lab"):
        options = FrameOptions(condition=condition)
        key = run_correlations(filled, options).stored.analysis_id
        with filled.connect() as connection:
            query = connection.scalar(
                text("SELECT query FROM registry.analyses WHERE analysis_id = :key"), {"key": key}
            )
            found = connection.exec_driver_sql(f"{query} ORDER BY name").scalars().all()
        assert list(found) == read_frame(filled, options).models


def test_sizes_are_grouped_by_cuts_of_ones_own(filled: Engine) -> None:
    found = groups(frame(filled, grouping=Grouping.SIZE, cuts=(2, 7)))
    # A bound is of the range above it.
    assert [found[name(place)] for place in range(4)] == ["0-2B", "2-7B", "2-7B", "7B and more"]
    with filled.begin() as connection:
        connection.execute(text("UPDATE store.models SET parameters_source = 'parent'"
                                " WHERE name = 'lab0/m00'"))  # fmt: skip
    inherited = frame(filled, grouping=Grouping.SIZE)
    assert groups(inherited)["lab0/m00"] is None
    assert inherited.notes == [
        "1 model left out, of unknown size (those of relatives do not count)."
    ]
    assert np.isnan(inherited.sizes).sum() == 1


def test_groups_that_the_catalog_has(engine: Engine) -> None:
    with engine.begin() as connection:
        model(connection, "a/base", license="mit", model_type="llama", tags=[],
              created_at=datetime(2022, 3, 2, tzinfo=UTC))  # fmt: skip
        model(connection, "b/merge", license="cc-by-nc-4.0", model_type="qwen2", tags=["mergekit"],
              created_at=datetime(2024, 5, 1, tzinfo=UTC))  # fmt: skip
        model(connection, "b/tuned", tags=[])
        stub(connection, "c/stub")
        edge(connection, "b/tuned", "a/base")
        precisions = {"a/base": "torch.bfloat16", "b/merge": "bf16", "b/tuned": "float16"}
        runs = [
            run(each, score=0.1 * place, setup=Setup(precision=precisions.get(each)))
            for place, each in enumerate(("a/base", "b/merge", "b/tuned", "c/stub"), 1)
        ]
        write(connection, Block(benchmark=Benchmark(name="exam"), items=[], runs=runs))
        connection.execute(
            text("""
            INSERT INTO store.model_facts (model_id, source_id, fact, value)
            SELECT m.model_id, s.source_id, f.fact, f.value
              FROM store.models m, store.sources s,
                   (VALUES ('a/base', 'type', 'Pretrained'), ('a/base', 'merged', 'false'),
                           ('b/tuned', 'type', 'tuned; Chat')) f (model, fact, value)
             WHERE m.name = f.model""")
        )
        connection.execute(
            text("""
            WITH first AS (INSERT INTO store.sources (name) VALUES ('another') RETURNING source_id)
            INSERT INTO store.model_facts (model_id, source_id, fact, value)
            SELECT m.model_id, first.source_id, 'type', 'pretrained, continuously'
              FROM store.models m, first WHERE m.name = 'a/base'""")
        )

    def found(grouping: Grouping) -> list[str | None]:
        return list(groups(frame(engine, benchmarks=["exam"], grouping=grouping)).values())

    assert found(Grouping.ARCHITECTURE) == ["llama", "qwen", None, None]
    assert found(Grouping.LICENSE) == ["mit", "cc-by-nc-4.0", None, None]
    assert found(Grouping.LICENSE_CLASS) == ["permissive", "non-commercial", None, None]
    assert found(Grouping.AUTHOR) == ["a", "b", "b", "c"]
    assert found(Grouping.RELATION) == ["no stated parent", "no stated parent", "finetune", None]
    assert found(Grouping.MERGED) == ["not merged", "merged", "not merged", None]
    # Of what two sources state, and one of two, it is the first by name.
    assert found(Grouping.TYPE) == ["pretrained", None, "chat", None]
    assert found(Grouping.YEAR)[:2] == ["2022 or before", "2024"]
    assert found(Grouping.PRECISION) == ["bfloat16", "bfloat16", "float16", None]


def test_families_are_named_by_their_root(engine: Engine) -> None:
    names = ("a/base", "b/tuned", "c/alone", "d/stub", "e/stub", "f/tuned", "g/stub")
    roots = ("a/base", "a/base", "c/alone", "d/stub", "e/stub", "e/stub", "z/parent")
    with engine.begin() as connection:
        for each, root in zip(names, roots, strict=True):
            (stub if each.endswith("stub") else model)(connection, each)
            if root != "z/parent":
                family(connection, each, root)
        edge(connection, "g/stub", "z/parent")
        family(connection, "g/stub", "z/parent")
        runs = [run(each, score=0.1) for each in names]
        write(connection, Block(benchmark=Benchmark(name="exam"), items=[], runs=runs))
    found = groups(frame(engine, benchmarks=["exam"], grouping=Grouping.FAMILY))
    # A stub from which nothing is made, and that is made from nothing, may be of any family.
    expected = dict(zip(names, roots, strict=True)) | {"d/stub": None}
    assert found == expected


def test_the_largest_groups_are_compared(filled: Engine) -> None:
    tested = run_anova(filled, FrameOptions(grouping=Grouping.AUTHOR, most=2)).stored
    assert (tested.model_count, tested.row_count) == (MODELS, 3 * MODELS)
    assert (tested.tested_models, tested.tested_scores) == (43, 129)
    assert analysed(tested).startswith("Analysis 1 of 129 scores of 43 models, among 192 scores of")
    found = frame(filled, grouping=Grouping.AUTHOR, most=2)
    assert found.groups == ["lab0", "lab1"]
    assert found.notes == ["1 group of 21 models left out, the smaller ones beyond 2."]


def test_fingerprints_tell_frames_apart() -> None:
    benchmark = score_frame.FrameBenchmark("a", "", "share")
    plain = ScoreFrame(models=["x", "y"], benchmarks=[benchmark], values=np.array([[0.1], [0.2]]),
                       sizes=np.array([1.0, 2.0]), groups=["g", "h"],
                       codes=np.array([[0], [1]], np.intp))  # fmt: skip
    others = [
        replace(plain, models=["x", "z"]),
        replace(plain, benchmarks=[benchmark._replace(version="2")]),
        replace(plain, values=np.array([[0.1], [0.3]])),
        replace(plain, sizes=np.array([1.0, 3.0])),
        replace(plain, groups=["g", "i"]),
        replace(plain, codes=np.array([[0], [-1]], np.intp)),
    ]
    assert len({each.fingerprint() for each in (plain, *others)}) == 7
    assert replace(plain, notes=["said"]).fingerprint() != plain.fingerprint()


def test_groups_too_small_and_constant_scores_are_left_out_and_said(filled: Engine) -> None:
    with filled.begin() as connection:
        flat = [f"flat{place}" for place in range(7)]
        for benchmark in flat:
            put(connection, benchmark, [0.5] * MODELS)
        put(connection, "narrow", [0.1 * place for place in range(5)])
        put(connection, "steps", [0.25 if place % 4 else place / 100 for place in range(40)])
    analysis = run_anova(filled, replace(BY_SIZE, benchmarks=[*flat, "narrow", "steps", "alpha"]))
    assert [each.benchmark for each in analysis.results] == ["alpha", "steps"]
    assert list(analysis.stored.notes) == [
        "flat0, flat1, flat2, flat3, flat4, flat5 and 1 more: not tested, as all scores are alike.",
        "narrow: not tested, as no group has 5 scores.",
        "0-1.5B: left out on one benchmark, with fewer than 5 scores.",
        "1.5-3B: left out on one benchmark, with fewer than 5 scores.",
        "3-7B: left out on one benchmark, with fewer than 5 scores.",
        "7-13B: left out on one benchmark, with fewer than 5 scores.",
    ]
    steps = analysis.results[1]
    assert (steps.welch_p, steps.welch_holm) == (None, None)
    # Ranks take the place of Welch's test.
    assert steps.kruskal_holm is not None
    assert steps.verdict == (
        "differ" if max(steps.holm or 0, steps.kruskal_holm) < 0.05 else "unclear"
    )
    pairs = run_tukey(filled, replace(BY_SIZE, benchmarks=["steps"])).results
    robust = [each.games_howell_p is None for each in pairs]
    assert all(robust)
    assert {each.verdict for each in pairs} <= {"unknown", "higher", "lower", "no difference found"}


def test_a_group_counts_from_the_least_number_on(filled: Engine) -> None:
    with filled.begin() as connection:
        put(connection, "twenty", [0.01 * place for place in range(20)])
    options = replace(BY_SIZE, benchmarks=["twenty"])
    assert [each.groups for each in run_anova(filled, options).results] == [4]
    with pytest.raises(UsageError, match="no group has 6 scores"):
        run_anova(filled, replace(options, least=6))


def test_infinite_scores_and_other_scales_are_left_out_and_said(filled: Engine) -> None:
    with filled.begin() as connection:
        connection.execute(
            text("""
            UPDATE store.runs SET score = 'Infinity'
             WHERE run_id = (SELECT min(run_id) FROM store.runs JOIN store.benchmarks b
                             USING (benchmark_id) WHERE b.name = 'gamma')""")
        )
    found = frame(filled, benchmarks=["gamma"])
    assert len(found.models) == MODELS - 1
    assert found.notes == ["1 score left out that is not finite."]


REFUSED: Sequence[tuple[dict[str, Any], str]] = (
    ({"condition": "parameters <"}, "The condition on models cannot be evaluated: syntax error"),
    ({"condition": "true); DROP TABLE store.runs; --"}, "cannot be evaluated"),
    ({"condition": "1=1) OR (1=1"}, "cannot be evaluated"),
    ({"condition": "true] || ARRAY[true"}, "cannot be evaluated"),
    ({"condition": "true, true"}, "cannot be evaluated"),
    ({"condition": "1"}, "cannot be evaluated: it must be type boolean, not type integer"),
    ({"condition": "nothing = 1"}, 'column "nothing" does not exist, at column 1'),
    ({"condition": " "}, "The condition is empty"),
    ({"condition": "name = 'no/one'"}, "No evaluated model fulfils the condition"),
    ({"benchmarks": ["alhpa"]}, "There is no benchmark 'alhpa'; did you mean alpha"),
    ({"cuts": (3, 3)}, "Cuts of size ascend; these do not: 3,3."),
    ({"cuts": (0.0,)}, "numbers above 0"),
    ({"cuts": (float("nan"),)}, "numbers above 0"),
    ({"cuts": ()}, "numbers above 0"),
    ({"least": 1}, "Groups have two scores or more"),
    ({"most": 1}, "there are two groups or more"),
    ({"least": 40}, "No benchmark has two groups to compare"),
    ({"condition": "parameters < 1.5e9"}, "one group alone has 5 scores"),
    ({"grouping": None}, "Name what to group models by"),
)


def test_what_cannot_be_analysed_is_refused_and_stores_nothing(filled: Engine) -> None:
    for of, message in REFUSED:
        for analysis in (run_anova, run_tukey):
            with pytest.raises(UsageError) as caught:
                analysis(filled, replace(BY_SIZE, **of))
            assert message in str(caught.value)
    for level in (0.0, 1.0, float("nan")):
        for any_of in (run_anova, run_tukey, run_correlations):
            with pytest.raises(UsageError, match="between 0 and 1"):
                any_of(filled, BY_SIZE, level=level)
    assert count(filled) == 0


def test_correlating_takes_two_benchmarks_with_models_in_common(filled: Engine) -> None:
    with pytest.raises(UsageError, match="one benchmark alone has 10 scores"):
        run_correlations(filled, FrameOptions(benchmarks=["alpha"]))
    with filled.begin() as connection:
        put(connection, "first", [0.01 * place for place in range(30)])
        put(connection, "last", [None] * 25 + [0.01 * place for place in range(30)])
    with pytest.raises(UsageError, match="No two benchmarks have 10 models in common"):
        run_correlations(filled, FrameOptions(benchmarks=["first", "last"]))
    assert count(filled) == 0


def test_an_empty_database_is_said(engine: Engine) -> None:
    with pytest.raises(UsageError, match="No benchmark has 10 scores of any model"):
        run_anova(engine, BY_SIZE)


def test_nothing_is_half_stored(filled: Engine) -> None:
    with filled.begin() as connection:
        connection.execute(text("ALTER TABLE store.analysis_groups ADD CHECK (n < 0)"))
    with pytest.raises(Exception, match="analysis_groups"):
        run_anova(filled, BY_SIZE)
    assert count(filled) == 0
    with filled.connect() as connection:
        assert rows(connection, "SELECT 1 FROM store.anova_results") == []


def test_names_of_ranges() -> None:
    assert groupings.size_names(groupings.CUTS) == [
        "0-1.5B", "1.5-3B", "3-7B", "7-13B", "13-35B", "35B and more",
    ]  # fmt: skip
    assert groupings.precision(" torch.float16 ") == "float16"
    assert groupings.precision("BF16") == "bfloat16"
    assert groupings.precision("4bit") == "4bit"


def numbers(value: Any) -> Iterator[Any]:
    if isinstance(value, list):
        for each in value:
            yield from each.values()


def test_commands_print_and_say(commands: Commands, tmp_path: Path) -> None:
    found = commands.json("stats", "anova", "--by", "size", "--cuts", "1.5,7")
    assert [row["groups"] for row in found] == [3, 3, 3]
    said = commands("stats", "anova", "--by", "size", "--cuts", "1.5,7", "--format", "table")
    assert "Analysis 1, stored before" in said.stderr
    assert "192 scores of 64 models." in said.stderr
    assert "Variances differ on alpha, gamma: there, Welch's p counts." in said.stderr
    assert "p Welch" in said.stdout
    assert "nan" not in said.stdout.lower()
    pairs = commands.json("stats", "tukey", "--by", "size", "--benchmark", "alpha")
    assert len(pairs) == 6
    assert {row["verdict"] for row in pairs} == {"lower"}
    counts = commands.json("stats", "tukey", "--by", "size", "--counts")
    assert counts[0]["benchmarks"] == 3
    assert counts[0]["differ"] == 2
    plots = tmp_path / "heat.html", tmp_path / "heat.png"
    drawn = [f"--plot={path}" for path in plots]
    pairs = commands.json("stats", "correlate", "--where", "author <> 'lab9'", *drawn)
    assert len(pairs) == 3
    page = plots[0].read_text()
    assert f">{pairs[0]['pearson']:.2f}</td>" in page
    assert page.count(">1.00</td>") == 3
    assert "over 64 models a pair" in page
    assert plots[1].read_bytes().startswith(b"\x89PNG")
    assert "is a file" in commands.refused(2, "stats", "correlate", drawn[0])
    assert "as .png or .html" in commands.refused(2, "stats", "correlate", "--plot", "a.svg")
    refused = commands.refused(2, "stats", "anova", "--by", "size", "--cuts", "1;2")
    assert "numbers with commas between" in refused
    assert "did you mean tests?" in commands.refused(
        2, "stats", "anova", "--by", "size", "--source", "test"
    )
    for name in ("anova", "gam", "mixed"):
        refused = commands.refused(2, "stats", name, "--by", "size", "--by", "author")
        assert "--by is of one grouping here" in refused
    refused = commands.refused(2, "stats", "anova", "--by", "author", "--cuts", "1,2")
    assert "add --by size" in refused
    orjson.loads(orjson.dumps(list(numbers(found))))


def compared(groups_: Sequence[Reals]) -> list[group_differences.TukeyResult]:
    """Compare groups of scores without a database."""
    names = [f"g{place}" for place in range(len(groups_))]
    benchmark = score_frame.FrameBenchmark("exam", "", "share")
    empty = np.empty((0, 1))
    of = ScoreFrame(models=[], benchmarks=[benchmark], values=empty, sizes=empty[:, 0],
                    groups=names, codes=np.empty((0, 1), np.intp))  # fmt: skip
    sample = group_differences._Sample(benchmark, range(len(groups_)), groups_)
    return list(group_differences._pairs(of, sample, 0.95))


def test_verdicts_are_by_the_test_that_fits_the_variances() -> None:
    rng = np.random.default_rng(0)
    # Few scores that spread among many that do not: pooled variances find what is not there.
    pair = compared([rng.normal(0.2, 3, 8), rng.normal(0, 0.3, 200)])[0]
    assert pair.p is not None
    assert pair.games_howell_p is not None
    assert pair.levene_p is not None
    assert pair.p < 0.05 < pair.games_howell_p
    assert pair.levene_p < 0.05
    assert pair.differs
    assert pair.verdict == "no difference found"


def test_small_p_values_are_printed_as_what_they_are_below() -> None:
    assert [p_value(value) for value in (None, 0.0, 1e-299, 0.0312)] == [
        "not known", "<1e-300", "1e-299", "0.031",
    ]  # fmt: skip
    assert [integrated_p_value(value, unknown="") for value in (None, 0.0, 9e-13, 1e-12)] == [
        "", "<1e-12", "<1e-12", "1e-12",
    ]  # fmt: skip


def test_pairs_of_groups_of_two_are_judged_where_both_tests_agree() -> None:
    # Two scores a group: whether variances are equal is not known.
    near = compared([np.array([0.1, 0.2]), np.array([0.12, 0.21])])[0]
    assert (near.levene_p, near.verdict) == (None, "no difference found")
    apart = compared([np.array([0.1, 0.101]), np.array([0.9, 0.901])])[0]
    assert apart.verdict == "lower"
    assert apart.p is not None
    assert apart.games_howell_p is not None
    unsure = compared([np.array([0.1, 0.1001]), np.array([0.5, 0.6]), np.array([0.9, 0.92])])[0]
    assert unsure.p is not None
    assert unsure.games_howell_p is not None
    assert unsure.p < 0.05 < unsure.games_howell_p
    assert unsure.verdict == "unknown"


def test_the_classic_procedure_begins_with_the_analysis_of_variance() -> None:
    base = np.linspace(-1, 1, 10)
    shifts = [-0.48, 0.48, *[0.0] * 4]
    pair = compared([base + shift for shift in shifts])[0]
    assert pair.p is not None
    assert pair.anova_p is not None
    assert pair.p < 0.05 < pair.anova_p
    assert pair.differs is False
    assert pair.verdict == "lower"


def test_a_report_says_what_was_found_and_what_was_not(commands: Commands, tmp_path: Path) -> None:
    page, text_ = tmp_path / "report.html", tmp_path / "report.md"
    condition = "author <> '<b>'"
    options = ["--by", "size", "--by", "family", "--where", condition]
    said = commands("stats", "report", str(page), *options)
    assert f"Wrote {page}." in said.stderr
    commands.done("stats", "report", str(text_), *options)
    html, marked = page.read_text(), text_.read_text()
    anova = commands.json("stats", "anova", "--by", "size", "--most", "8", "--where", condition)
    found = commands.json("stats", "correlate", "--where", condition)
    for written in (html, marked):
        assert "192 scores of 64 models on 3 benchmarks" in written
        assert "Scores differ by size on 2 of 3 benchmarks; on 1 no difference was found" in written
        assert "Not computed:" in written
        assert "How sure these ranks are is not known" in written
        assert "the best models have no outcomes on common items" in written
        for each in anova:
            assert f"{each['eta_squared']:.2f} [{each['effect_lower']:.2f}" in written.replace(
                "\\[", "["
            )
        for each in found:
            assert f"{each['pearson']:.2f}" in written
    best = commands.json("evals", "leaderboard", "--benchmark", "alpha", "--benchmark", "beta")
    assert f"<td>{best[0]['model']}</td><td>1</td><td>not known</td>" in html
    assert "&lt;b&gt;" in html
    assert "<b>'" not in html
    assert "nan" not in html.lower().replace("distance", "")
    assert not any(sign in html for sign in ("<script", "http:", "https:", "src="))
    assert "max-width: 40rem" in html
    # Shares of the variance, and loadings of benchmarks.
    assert html.count('<i style="left:') == 3 + 3
    # Nothing is computed twice, and nothing is written over.
    kinds = commands.json("query", "SELECT kind, count(*) AS n FROM analyses GROUP BY 1 ORDER BY 1")
    assert {each["kind"]: each["n"] for each in kinds} == {
        "anova": 1, "tukey": 1, "mixed": 2, "correlate": 1, "factors": 1, "scaling": 1,
        "saturation": 1, "map": 1,
    }  # fmt: skip
    assert "already" in commands.refused(2, "stats", "report", str(page))
    assert ".html or .md" in commands.refused(2, "stats", "report", str(tmp_path / "a.pdf"))


def test_a_report_says_how_scores_go_with_size_and_time(filled: Engine) -> None:
    with filled.begin() as connection:
        for place in range(MODELS):
            connection.execute(
                text("""
                UPDATE store.models SET model_type = :type, created_at = :at,
                       parameters = parameters * :factor WHERE name = :name"""),
                {
                    "type": ("llama", "qwen2", "gemma")[place % 3], "name": name(place),
                    "at": datetime(2023 + place % 2, 5, 1, tzinfo=UTC), "factor": 1 + place / 999,
                },
            )  # fmt: skip
    size = size_section(filled, FrameOptions(), 0.95)
    time = saturation_section(filled, FrameOptions(), 0.95)
    fits = run_gam(filled, FrameOptions())
    terms = {each.response: each for each in fits.terms if each.term == "size"}
    rows_ = {row[0]: row for row in size.tables[0].rows}
    assert set(rows_) == {"alpha", "beta", "gamma"}
    for fit in fits.fits:
        found = rows_[fit.response]
        assert found[1:4] == [
            f"{fit.n:,}",
            f"{fit.r_squared:.3f}",
            f"{terms[fit.response].edf:.1f}",
        ]
        assert found[5] == terms[fit.response].shape
    clear = sum((each.holm or 0) < 0.05 for each in terms.values())
    assert size.sentences[0] == (
        f"Scores go with size on {clear} of 3 benchmarks, given architecture."
    )
    assert 0 < clear < 3
    saturated = run_saturation(filled, FrameOptions()).results
    assert [row[:3] for row in time.tables[0].rows] == [
        [each.benchmark, each.period, f"{each.n:,}"] for each in saturated
    ]
    latest = [each for each in saturated if each.benchmark == "alpha"][-1]
    assert {row[1] for row in time.tables[0].rows} == {"2023", "2024", "all models"}
    assert latest.verdict == "unknown"
    assert time.sentences[0].startswith(
        "alpha: whether it is saturated is not known; the best score of 64 models is"
        f" {latest.best:.3f}"
    )
    assert "the year of 64 of them is known" in time.sentences[0]
    assert f"({latest.best_model})" in time.sentences[0]


def test_a_report_compares_the_best_models_on_their_items(engine: Engine) -> None:
    rng = np.random.default_rng(0)
    with engine.begin() as connection:
        runs = [run(f"lab/m{place:02}", (rng.random(60) < 0.3 + place / 20).astype(float).tolist())
                for place in range(13)]  # fmt: skip
        write(connection, block("exam", *runs))
    report = score_report(engine, FrameOptions(), [])
    assert [each.title for each in report.sections] == [
        "The data", "The best models", "Are the best models better?",
        "Models that share a family or an author", "Models beside their parents",
        "Correlations of benchmarks", "Abilities", "Scores over size", "Scaling curves",
        "Benchmarks over time", "Map of models",
    ]  # fmt: skip
    _, ranks, better, shared, *others = report.sections
    # One author, one benchmark, and neither sizes nor dates of these models are known.
    assert [each.sentences[0].startswith("Not computed:") for each in others] == [
        *[True] * 5, False, True,
    ]  # fmt: skip
    assert [row[1] for row in others[5].tables[0].rows] == ["all models"]
    assert not others[5].figures
    assert "No year of a model is known" in others[5].sentences[-1]
    assert "no model's family is known" in shared.sentences[0]
    assert "all 13 models whose author is known are of one" in shared.sentences[1]
    assert "may be the best by the standard errors" in ranks.sentences[0]
    assert ranks.tables[0].rows[0][2].startswith("1 to ")
    found = compare_pairs_of(engine, [row[0] for row in ranks.tables[0].rows[:4]])
    clear = sum(each.verdict in {"better", "worse"} for each in found)
    assert "6 of 6 pairs on a benchmark have outcomes on common items" in better.sentences[0]
    assert f": {clear} of these differ" in better.sentences[0]
    assert len(better.tables[0].rows) == 6
    assert others[1].sentences[0].startswith("Not computed: Correlating takes two benchmarks")


def compare_pairs_of(engine: Engine, models: Sequence[str]) -> Sequence[PairedScore]:
    with engine.connect() as connection:
        return compare_pairs(connection, models, benchmarks=["exam"])


def test_a_report_is_of_the_benchmarks_with_the_most_scores(
    filled: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    with filled.begin() as connection:
        put(connection, "few", [0.01 * place for place in range(12)])
    monkeypatch.setattr(score_reports, "MOST_BENCHMARKS", 3)
    _, frame, said = score_reports.report_data(filled, FrameOptions())
    data = slice_section(frame, said)
    assert [row[0] for row in data.tables[0].rows] == ["alpha", "beta", "gamma"]
    assert data.sentences[-1].startswith("Of 4 benchmarks these are the 3 with the most scores")
    named = FrameOptions(benchmarks=["alpha", "few"])
    data = slice_section(*score_reports.report_data(filled, named)[1:])
    assert [row[:2] for row in data.tables[0].rows] == [["alpha", "64"], ["few", "12"]]
    assert data.sentences[-1].startswith("12 of the models have a score on each of the benchmarks")
    nan = float("nan")
    apart = replace(
        frame, models=["a", "b"], benchmarks=frame.benchmarks[:2],
        values=np.array([[0.1, nan], [nan, 0.2]]), sizes=np.ones(2),
    )  # fmt: skip
    assert slice_section(apart, []).sentences[1].startswith("No model has a score on each")


def test_corrected_partial_correlations_and_levene_s_centre(filled: Engine) -> None:
    analysis = run_correlations(filled, FrameOptions())
    for p_name, name_ in (("partial_p", "partial_holm"), ("spearman_p", "spearman_holm")):
        p = np.array([getattr(each, p_name) for each in analysis.results])
        found = [getattr(each, name_) for each in analysis.results]
        assert found == pytest.approx(list(corrected(p, "holm")))
        assert found != pytest.approx(list(p))
    for each in run_anova(filled, BY_SIZE).results:
        of = of_sizes(truth()[each.benchmark])
        centred = stats.levene(*of, center="median")
        assert (each.levene, each.levene_p) == pytest.approx(tuple(centred))
        assert each.levene != pytest.approx(stats.levene(*of, center="mean").statistic)


def test_groups_are_found_to_differ_where_both_tests_do() -> None:
    verdict = group_differences._verdict
    assert verdict([0.01, 0.04], 0.05) == "differ"
    assert verdict([0.01, 0.05], 0.05) == verdict([0.06, 0.01], 0.05) == "unclear"
    assert verdict([0.05, 0.2], 0.05) == "no difference found"
    assert verdict([0.01, float("nan")], 0.05) == "unknown"
    result = group_differences.AnovaResult(
        benchmark="b", version="", n=9, groups=2, f=1.0, df_between=1, df_within=7, p=0.01,
        eta_squared=None, omega_squared=None, effect_lower=None, effect_upper=None, welch_f=1.0,
        welch_df=5.0, welch_p=0.2, kruskal_h=1.0, kruskal_p=0.01, levene=None, levene_p=None,
        skewness=None, kurtosis=None, normality_p=None,
    )  # fmt: skip
    # A p-value of 0 is none that is not known.
    variances = [replace(result, levene_p=p) for p in (0.0, 0.049, 0.06, None)]
    assert unequal_variances(variances, 0.95) == variances[:2]
    # Ranks count where Welch's test is not defined, and there alone.
    without = replace(result, welch_p=None)
    found = [group_differences._judged([each], 0.95)[0].verdict for each in (result, without)]
    assert found == ["unclear", "differ"]


def test_options_of_groups_reach_the_analysis(commands: Commands) -> None:
    few = commands.json("stats", "anova", "--by", "size", "--most", "2", "--benchmark", "alpha")
    assert few[0]["groups"] == 2
    for command in ("anova", "tukey"):
        refused = commands.refused(2, "stats", command, "--by", "size", "--least", "17")
        assert "no group has 17 scores" in refused or "two groups to compare" in refused
    pairs = commands.json("stats", "tukey", "--by", "size", "--most", "3", "--benchmark", "alpha")
    assert len(pairs) == 3


def test_a_report_ranks_by_the_scores_that_it_describes(filled: Engine) -> None:
    with filled.begin() as connection:
        scores = [0.01 * place for place in range(32)]
        put(connection, "leaderboard_mmlu_pro", scores, measure=Measure(metric="acc"))
        put(connection, "mmlu_pro", [*[None] * 32, *scores[:20]], measure=Measure(metric="score"))
        compare_measures(connection)
    # The name by which most models have scores is another than the canonical one.
    options = FrameOptions(benchmarks=["alpha", "mmlu_pro"])
    found = read_frame(filled, options)
    assert found.stated == [["alpha"], ["leaderboard_mmlu_pro"]]
    assert np.isfinite(found.values).sum(axis=0).tolist() == [MODELS, 32]
    ranks = rank_section(filled, options, found)
    means = found.values.mean(axis=1)
    order = np.argsort(np.where(np.isnan(means), np.inf, -means))[:20]
    assert [(row[0], row[3]) for row in ranks.tables[0].rows] == [
        (found.models[place], f"{means[place]:.4g}") for place in order
    ]
    assert not any("measure" in each for each in ranks.sentences)


def test_scores_of_several_sources_are_said_and_restricted(filled: Engine) -> None:
    board, other = Source(name="board"), Source(name="other board")
    early, late = datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 2, 1, tzinfo=UTC)
    with filled.begin() as connection:
        put(connection, "half", [0.5 + place / 100 for place in range(20)], source=board,
            setup=Setup(shots=5), evaluated_at=early)  # fmt: skip
        scores = [None if place < 16 else place / 100 for place in range(48)]
        put(connection, "half", scores, source=other, evaluated_at=late)
    mixed = frame(filled, benchmarks=["half", "alpha"])
    assert mixed.notes == [
        (
            "half: scores differ in what they are of: 32 of other board (shots not stated),"
            " 16 of board (5 shots). --source restricts them to one."
        )
    ]
    assert mixed.settings[0] == "[('tests', None, None, False, 64)]"
    # Scores of models that another source's are shown of count too.
    alone = frame(filled, benchmarks=["half"], source="board")
    assert dict(zip(alone.models, alone.values[:, 0], strict=True)) == pytest.approx(
        {name(place): 0.5 + place / 100 for place in range(20)}
    )
    assert not alone.notes
    assert frame(filled, benchmarks=["half"], source="other board").count == 32
    assert [each.name for each in frame(filled, source="board").benchmarks] == ["half"]
    with pytest.raises(UsageError, match="no scores of any model that board states"):
        frame(filled, benchmarks=["alpha"], source="board")
    with pytest.raises(UsageError, match="No source is named 'bord'; did you mean board"):
        frame(filled, source="bord")
    one = run_anova(filled, BY_SIZE)
    restricted = run_anova(filled, replace(BY_SIZE, source="tests"))
    assert restricted.stored.analysis_id != one.stored.analysis_id
    assert any("32 of other board" in note for note in one.stored.notes)
    assert [each.benchmark for each in restricted.results] == ["alpha", "beta", "gamma"]
    assert restricted.results[0].f == one.results[0].f


def test_groups_of_almost_one_mean_are_compared_without_a_warning() -> None:
    rng = np.random.default_rng(0)
    noise = [(each - each.mean()) / each.std(ddof=1) for each in rng.normal(size=(8, 680))]
    apart = 0.08150114636921382 / 680**0.5
    pair = compared([each + place * 5 * (place > 1) + apart * (place == 1)
                     for place, each in enumerate(noise)])[0]  # fmt: skip
    assert pair.p == pytest.approx(1)
    assert pair.verdict == "no difference found"
