import math

import pytest
from evaluated import SOURCE, block, generated, grid, run, write
from factories import rows
from sqlalchemy import Connection

from registry.evaluations.records import Measure, Run

PERCENT = Measure(metric="acc", upper=100.0, unit="%", random_baseline=25.0)
ERROR = Measure(metric="error", higher_is_better=False)
GUESSED = Measure(metric="error", higher_is_better=False, random_baseline=0.75)
PERPLEXITY = Measure(metric="ppl", lower=1.0, upper=None, higher_is_better=False)
NORMED = Measure(metric="normed", lower=None, upper=1.0, random_baseline=0.0)


@pytest.mark.parametrize(
    ("measure", "raw", "score", "above"),
    [
        (Measure(metric="acc"), 0.75, 0.75, None),
        (PERCENT, 75.0, 0.75, 2 / 3),
        (PERCENT, 10.0, 0.1, -0.2),
        (PERCENT, 101.0, None, None),
        (PERCENT, -1.0, None, None),
        (ERROR, 0.2, 0.8, None),
        (ERROR, 1.5, None, None),
        (GUESSED, 0.2, 0.8, None),
        (PERPLEXITY, 7.5, None, None),
        (NORMED, -0.25, None, -0.25),
        (Measure(metric="open", upper=None, random_baseline=0.25), 0.5, None, None),
        (Measure(metric="elo", lower=None, upper=None), 1200.0, None, None),
    ],
)
def test_scores_are_shares_where_there_are_bounds(
    connection: Connection,
    measure: Measure,
    raw: float,
    score: float | None,
    above: float | None,
) -> None:
    told = Run(model="m", measure=measure, source=SOURCE, score=raw, standard_error=0.5)
    write(connection, block("b", told))
    [found] = rows(
        connection,
        "SELECT score, raw_score, above_chance, kind, unit, standard_error FROM registry.scores",
    )
    span = None if measure.lower is None or measure.upper is None else measure.upper - measure.lower
    assert found == (
        None if score is None else pytest.approx(score),
        raw,
        None if above is None else pytest.approx(above),
        "reported",
        measure.unit,
        None if span is None else pytest.approx(0.5 / span),
    )
    assert found[0] == (None if score is None else pytest.approx(measure.normalised(raw)))


@pytest.mark.parametrize("measure", [Measure(metric="acc"), PERCENT, ERROR])
@pytest.mark.parametrize("graded", [False, True])
def test_scores_follow_from_outcomes(
    connection: Connection, measure: Measure, *, graded: bool
) -> None:
    made = generated(4, 8, 30, graded=graded)
    write(connection, grid("b", made, measure=measure))
    found = rows(
        connection,
        "SELECT model, score, standard_error, items, kind FROM registry.scores ORDER BY model",
    )
    assert [row[0] for row in found] == sorted(made)
    for model, score, error, count, kind in found:
        seen = [each for each in made[model] if each is not None]
        mean = sum(seen) / len(seen)
        assert (score, count, kind) == (pytest.approx(mean, abs=1e-6), len(seen), "measured")
        if len(seen) > 1:
            variance = sum((each - mean) ** 2 for each in seen) / (len(seen) - 1)
            assert error == pytest.approx(math.sqrt(variance / len(seen)), abs=1e-6)


def test_sources_that_contradict_each_other_stand_side_by_side(connection: Connection) -> None:
    write(connection, block("b", run("m", [1, 0]), run("m", score=0.9, revision="other")))
    assert rows(
        connection, "SELECT model, score, kind, revision FROM registry.scores ORDER BY score"
    ) == [("m", 0.5, "measured", None), ("m", 0.9, "reported", "other")]
