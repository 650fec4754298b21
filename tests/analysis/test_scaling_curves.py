"""Scaling curves: from slices, series and stated amounts to stored results, SQL and commands."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from cli_commands import Commands
from evaluated import run, write
from factories import model
from sqlalchemy import Engine, text

from registry.analysis.statistics import scaling_curves
from registry.analysis.statistics.groupings import labels
from registry.analysis.statistics.scaling_axes import read_amount
from registry.analysis.statistics.scaling_curves import ALL, ScalingAnalysis, run_scaling
from registry.analysis.statistics.score_frame import FrameOptions
from registry.enums import Grouping, ScalingAxis
from registry.errors import UsageError
from registry.evaluations.records import Benchmark, Block, Measure
from registry.learning.arrays import Reals
from registry.learning.statistics.ability_factoring import principal_abilities
from registry.learning.statistics.larger_models import (
    MissedScores,
    OtherModels,
    drift_of,
    hold_out,
)
from registry.learning.statistics.scaling import fit_curve, predict_beyond, slope_test

SIZES = (0.5, 1.0, 2.0, 4.0, 7.0, 14.0, 30.0)
BENCHMARKS = ("alpha", "beta", "delta", "elo")
MEASURES = {
    "alpha": Measure(metric="acc", random_baseline=0.25),
    "elo": Measure(metric="elo", lower=None, upper=None, unit="elo"),
}
BY_SERIES = FrameOptions(grouping=Grouping.SERIES)


def names() -> list[str]:
    """Return the names of models of two series."""
    return [f"lab/{kin}-{size:g}b" for kin in ("kin", "tun") for size in SIZES]


def weights() -> Reals:
    return np.tile(SIZES, 2) * 1e9


def scores() -> Reals:
    rng = np.random.default_rng(8)
    x = np.log10(weights() / 1e9) + 0.3 * (np.arange(14) >= 7)
    logits = np.column_stack([x - 0.5, 2 * x, x, x]) + 0.08 * rng.normal(size=(14, 4))
    found = 1 / (1 + np.exp(-logits))
    found[:, 0] = 0.25 + 0.75 * found[:, 0]
    found[:, 3] = 1000 + 100 * logits[:, 3]
    return found


@pytest.fixture
def filled(engine: Engine) -> Engine:
    with engine.begin() as connection:
        for name, size in zip(names(), weights(), strict=True):
            model(connection, name, parameters=round(size))
        for column, benchmark in enumerate(BENCHMARKS):
            runs = [
                run(
                    name, score=float(score), measure=MEASURES.get(benchmark, Measure(metric="acc"))
                )
                for name, score in zip(names(), scores()[:, column], strict=True)
            ]
            write(connection, Block(benchmark=Benchmark(name=benchmark), items=[], runs=runs))
    return engine


def fact(engine: Engine, name: str, values: dict[str, str]) -> None:
    with engine.begin() as connection:
        for each, value in values.items():
            connection.execute(
                text("""
                INSERT INTO store.model_facts (model_id, source_id, fact, value)
                SELECT m.model_id, s.source_id, :fact, :value
                  FROM store.models m, store.sources s WHERE m.name = :model"""),
                {"model": each, "fact": name, "value": value},
            )


def count(engine: Engine) -> int:
    with engine.connect() as connection:
        return int(connection.scalar(text("SELECT count(*) FROM store.analyses")) or 0)


def of(found: ScalingAnalysis, benchmark: str, group: str) -> Any:
    (one,) = [
        each for each in found.fits if (each.benchmark, each.group_name) == (benchmark, group)
    ]
    return one


def test_curves_are_those_of_the_scores_and_are_computed_once(filled: Engine) -> None:
    found = run_scaling(filled, BY_SERIES, level=0.9)
    assert {each.group_name for each in found.fits} == {ALL, "lab/kin", "lab/tun"}
    x = np.log10(weights())
    for column, benchmark in enumerate(BENCHMARKS):
        floor = {"alpha": 0.25, "elo": None}.get(benchmark, 0.0)
        for group, rows in (("lab/kin", slice(0, 7)), ("lab/tun", slice(7, 14)), (ALL, slice(14))):
            y, own = scores()[rows, column], x[rows]
            fit = fit_curve(own, y, floor=floor)
            assert fit is not None
            rest = slice(7, 14) if group == "lab/kin" else slice(0, 7)
            others = OtherModels(x[rest], scores()[rest, column], np.zeros(7, np.intp))
            held = hold_out(own, y, floor=floor, level=0.9, others=None if group == ALL else others)
            assert held is not None
            result = of(found, benchmark, group)
            assert (result.n, result.sizes, result.floor, result.floor_known) == (
                len(y), 7, floor, benchmark == "alpha",
            )  # fmt: skip
            assert result.form == ("line" if floor is None else "logistic")
            assert (result.slope, result.slope_lower, result.slope_upper, result.p) == (
                pytest.approx(slope_test(fit, level=0.9))
            )
            assert result.deviation == pytest.approx(np.sqrt(fit.variance))
            assert (result.held_out, result.error, result.last_error) == (
                pytest.approx((held.n, held.error, held.last_error))
            )
            # Two series are too few to know how far larger models are from curves.
            assert result.drift is result.covered is None
            assert (result.pooled_error is None) == (group == ALL)
            if group != ALL:
                assert result.pooled_error == pytest.approx(held.pooled_error)
                assert (result.shared_error, result.shared_covered) == pytest.approx(
                    (held.shared_error, held.shared_covered)
                )
            points = [each for each in found.curves
                      if (each.benchmark, each.group_name) == (benchmark, group)]  # fmt: skip
            amounts = np.array([each.amount for each in points])
            assert amounts[0] == pytest.approx(0.5e9)
            assert amounts[-1] == pytest.approx(30e9 * 10**0.5)
            band = predict_beyond(
                fit, np.log10(amounts), largest=np.log10(30e9), drift=drift_of([]), level=0.9
            )
            assert [each.score for each in points] == pytest.approx(list(band.mean))
            for end in ("lower", "upper"):
                ends = [np.nan if getattr(each, end) is None else getattr(each, end)
                        for each in points]  # fmt: skip
                assert ends == pytest.approx(list(getattr(band, end)), nan_ok=True)
            assert [each.beyond for each in points] == list(amounts > 30.1e9)
    again = run_scaling(filled, BY_SERIES, level=0.9)
    assert again.stored == replace(found.stored, reused=True)
    assert (again.fits, again.curves, again.abilities) == (
        found.fits,
        found.curves,
        found.abilities,
    )
    assert run_scaling(filled, FrameOptions()).stored.analysis_id != found.stored.analysis_id
    with filled.connect() as connection:
        for view, results in (("scaling_fits", found.fits), ("scaling_curves", found.curves),
                              ("ability_scaling", found.abilities)):  # fmt: skip
            rows_ = connection.execute(
                text(f"SELECT * FROM registry.{view} WHERE analysis_id = :key"),
                {"key": found.stored.analysis_id},
            ).mappings()
            stored = [dict(row) for row in rows_]
            assert {row.pop("axis") for row in stored} == {"size"}
            assert [{key: row[key] for key in row if key != "analysis_id"} for row in stored] == [
                asdict(each) for each in results
            ]


def missed(column: int, floor: float | None) -> list[MissedScores]:
    """Return what the curves of the two series miss larger models by."""
    x, found = np.log10(weights()), []
    for rows in (slice(0, 7), slice(7, 14)):
        held = hold_out(x[rows], scores()[rows, column], floor=floor)
        assert held is not None
        found.append(held.missed)
    return found


@pytest.fixture
def grown(filled: Engine) -> Engine:
    """Two more series on beta, of five models."""
    with filled.begin() as connection:
        for series, first in (("few", 0.3), ("odd", 0.2)):
            for place, size in enumerate((1.0, 2.0, 4.0, 8.0, 16.0)):
                name = f"lab/{series}-{size:g}b"
                model(connection, name, parameters=round(size * 1e9))
                score = first + (0.1 - 0.008 * place) * place + 0.01 * (-1) ** place
                one = run(name, score=score, measure=Measure(metric="acc"))
                write(connection, Block(benchmark=Benchmark(name="beta"), items=[], runs=[one]))
    return filled


def missed_on_beta(group: str, engine: Engine) -> MissedScores:
    """Return what the curve of a series misses larger models by."""
    with engine.connect() as connection:
        rows = connection.execute(
            text("""
            SELECT m.parameters, s.score FROM registry.scores s
              JOIN registry.models m ON m.name = s.model
             WHERE s.benchmark = 'beta' AND s.model LIKE :series ORDER BY 1"""),
            {"series": f"{group}-%"},
        ).all()
    found = np.array(rows, np.float64)
    held = hold_out(np.log10(found[:, 0]), found[:, 1], floor=0.0)
    assert held is not None
    return held.missed


def test_bands_of_larger_models_know_those_of_other_groups(grown: Engine) -> None:
    found = run_scaling(grown, replace(BY_SERIES, benchmarks=["beta"]), level=0.9)
    groups = ("lab/few", "lab/kin", "lab/odd", "lab/tun")
    missed = {group: missed_on_beta(group, grown) for group in groups}
    served = drift_of(list(missed.values()))
    for group in groups:
        others = drift_of([each for name, each in missed.items() if name != group])
        result = of(found, "beta", group)
        assert result.drift == pytest.approx(served.deviation)
        assert result.covered == missed[group].covered(others, level=0.9)
        points = [each for each in found.curves if each.group_name == group]
        assert all(each.lower is not None for each in points)
    last = [each for each in found.curves if each.group_name == "lab/few"][-1]
    sizes = np.log10(np.array([1.0, 2.0, 4.0, 8.0, 16.0]) * 1e9)
    places = np.arange(5)
    own = 0.3 + (0.1 - 0.008 * places) * places + 0.01 * (-1.0) ** places
    fit = fit_curve(sizes, own, floor=0.0)
    assert fit is not None
    band = predict_beyond(
        fit, np.array([np.log10(last.amount)]), largest=sizes[-1], drift=served, level=0.9
    )
    assert (last.lower, last.upper) == pytest.approx((band.lower[0], band.upper[0]))
    # The curve through all models is one of its kind.
    assert of(found, "beta", ALL).drift is of(found, "beta", ALL).covered is None


def test_curves_have_no_band_beyond_where_larger_models_are_too_few(
    filled: Engine, database_url: str
) -> None:
    found = run_scaling(filled, replace(BY_SERIES, benchmarks=["beta"]))
    for each in found.curves:
        assert (each.lower is None) == (each.upper is None) == each.beyond
    assert any("3 curves have no band beyond the largest" in note for note in found.stored.notes)
    said = Commands(database_url)("stats", "scaling", "--by", "series", "--benchmark", "beta")
    assert "nan" not in said.output.lower()
    assert "Intervals hold" not in said.stderr


@pytest.mark.usefixtures("grown")
def test_what_intervals_hold_is_of_the_groups_of_which_it_is_known(database_url: str) -> None:
    chosen = ("stats", "scaling", "--by", "series", "--benchmark", "beta", "--benchmark", "alpha")
    rows = Commands(database_url).json(*chosen)
    known = [row for row in rows if row["covered"] is not None]
    assert {row["benchmark"] for row in known} == {"beta"}
    share = sum(row["held_out"] * row["covered"] for row in known)
    share /= sum(row["held_out"] for row in known)
    said = Commands(database_url)(*chosen).stderr
    assert f"Intervals hold {share:.0%}." in said


def test_models_of_unknown_size_are_said_once(filled: Engine) -> None:
    with filled.begin() as connection:
        connection.execute(
            text("UPDATE store.models SET parameters = NULL WHERE name = 'lab/kin-7b'")
        )
    for options in (FrameOptions(), FrameOptions(grouping=Grouping.SIZE)):
        notes = run_scaling(filled, options).stored.notes
        assert sum("1 model left out, of unknown size" in note for note in notes) == 1


def test_an_ability_is_a_line_of_the_logarithm(filled: Engine) -> None:
    found = run_scaling(filled, BY_SERIES).abilities
    values = scores()
    ability = principal_abilities(values, 1)[:, 0]
    assert [each.group_name for each in found] == ["lab/kin", "lab/tun", ALL]
    for each, rows in zip(found, (slice(0, 7), slice(7, 14), slice(14)), strict=True):
        slope, intercept = np.polyfit(np.log10(weights()[rows]), ability[rows], 1)
        assert (each.slope, each.intercept) == pytest.approx((slope, intercept))
        assert each.ability_share == pytest.approx(ability.var() / 4)
        assert each.slope_lower < each.slope < each.slope_upper
    few = run_scaling(filled, replace(BY_SERIES, benchmarks=["alpha", "beta"]))
    assert not few.abilities
    assert [each.group_name for each in few.fits[:3]] == ["lab/kin", "lab/tun", ALL]
    finite = np.isfinite(few.frame.values) & (few.frame.sizes > 0)[:, None]
    assert few.stored.tested_scores == finite.sum()
    assert few.stored.notes[-1].endswith("it takes scores on 4 benchmarks, and these are on 2.")


def test_tokens_and_operations_are_those_that_sources_state(filled: Engine) -> None:
    with pytest.raises(UsageError, match="14 models left out, whose training tokens no source"):
        run_scaling(filled, BY_SERIES, axis=ScalingAxis.TOKENS)
    stated = {name: f"{0.1 * place + 0.1:g}T" for place, name in enumerate(names()[:7])}
    fact(filled, "tokens", stated)
    found = run_scaling(filled, FrameOptions(benchmarks=["beta"]), axis=ScalingAxis.TOKENS)
    fit = fit_curve(np.log10(np.arange(1, 8) * 1e11), scores()[:7, 1], floor=0.0)
    assert fit is not None
    assert of(found, "beta", ALL).slope == pytest.approx(slope_test(fit)[0])
    assert "7 models left out, whose training tokens no source states." in found.stored.notes
    # Six operations for each weight and token, unless they are stated.
    fact(filled, "flops", {names()[0]: "84e21"})
    operations = 6 * weights()[:7] * np.arange(1, 8) * 1e11
    operations[0] = 84e21
    found = run_scaling(filled, FrameOptions(benchmarks=["beta"]), axis=ScalingAxis.COMPUTE)
    assert np.sort(found.frame.sizes[np.isfinite(found.frame.sizes)]) == pytest.approx(
        np.sort(operations)
    )


def test_amounts_as_sources_write_them() -> None:
    assert read_amount("2.0T") == 2e12
    assert read_amount("84.0e21") == 84e21
    assert read_amount("300 b") == 3e11
    assert read_amount("12") == 12
    for none in ("", "nan", "0", "many", "1T; 2T", "-1", "1e999"):
        assert np.isnan(read_amount(none))


def test_series_are_stated_or_names_without_the_size() -> None:
    def found(name: str, series: str | None = None) -> str | None:
        row: Any = SimpleNamespace(name=name, series=series)
        return labels({1: row}, Grouping.SERIES).get(1)

    assert found("EleutherAI/pythia-1.4b-deduped") == "EleutherAI/pythia-deduped"
    assert found("a/bloom-1b7") == "a/bloom"
    assert found("a/Mixtral-8x7B-v0.1") == "a/Mixtral-v0.1"
    assert found("a/opt-350m") == "a/opt"
    assert found("a/gpt-neox") is None
    assert found("a/phi3b4u") is None
    assert found("a/gpt-neox", "GPT") == "GPT"


def test_what_has_no_curve_is_refused_and_stores_nothing(
    filled: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused: Sequence[tuple[dict[str, Any], str]] = (
        ({"condition": "parameters < 1.5e9", "benchmarks": ["alpha"]}, "No benchmark has a curve"),
        ({"condition": "parameters <"}, "cannot be evaluated"),
        ({"benchmarks": ["alhpa"]}, "did you mean alpha"),
    )
    for options, message in refused:
        with pytest.raises(UsageError, match=message):
            run_scaling(filled, replace(BY_SERIES, **options))
    with pytest.raises(UsageError, match="between 0 and 1"):
        run_scaling(filled, BY_SERIES, level=0.0)
    assert count(filled) == 0
    monkeypatch.setattr(scaling_curves, "MOST_BENCHMARKS", 3)
    found = run_scaling(filled, BY_SERIES)
    assert {each.benchmark for each in found.fits} == {"alpha", "beta", "delta"}


def test_commands_draw_and_say(filled: Engine, database_url: str, tmp_path: Path) -> None:
    commands = Commands(database_url)
    page, picture = tmp_path / "curves.html", tmp_path / "curves.png"
    drawn = [f"--plot={path}" for path in (page, picture)]
    chosen = ("--benchmark", "alpha", "--benchmark", "elo")
    said = commands("stats", "scaling", "--by", "series", *chosen, *drawn, "--format", "table")
    assert said.exit_code == 0, said.stderr
    assert "6 scores of the largest models, predicted from smaller ones" in said.stderr
    assert "With the slope of all groups the error is 0." in said.stderr
    assert "nan" not in said.stdout.lower()
    assert page.read_text().count("<figure>") == 2
    assert "lab/kin" in page.read_text()
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert "as .png or .html" in commands.refused(2, "stats", "scaling", "--plot", "a.svg")
    abilities = commands.json("stats", "scaling", "--by", "series", "--abilities")
    assert [row["group_name"] for row in abilities] == ["lab/kin", "lab/tun", ALL]
