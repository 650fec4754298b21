"""Ratings of stored outcomes, in Python and by the command."""

import pytest
from cli_commands import Commands
from evaluated import block, run, write
from sqlalchemy import Engine

from registry.analysis.preference_ratings import rate_models
from registry.errors import ModelNotFoundError, UsageError

OUTCOMES: dict[str, list[float | None]] = {
    "org/good": [1, 1, 1, 1, 0.5, 1] * 5,
    "org/middling": [0.5, 1, 1, 0.5, 1, 0.5] * 5,
    "org/poor": [0.5, 0.5, 1, 0.5, 0.5, 1] * 5,
    "org/never": [0.0] * 30,  # equal outcomes are half a win: it has none
    "org/few": [1, 0.5] + [None] * 28,
}


@pytest.fixture
def filled(engine: Engine) -> Engine:
    with engine.begin() as connection:
        runs = [run(name, outcomes) for name, outcomes in OUTCOMES.items()]
        write(connection, block("duel", *runs), block("scores", run("org/good", score=0.5)))
    return engine


def test_models_are_rated_by_their_outcomes(filled: Engine) -> None:
    with filled.connect() as connection:
        rows, notes = rate_models(connection, "duel", replicates=30)
        names = [each.model for each in rows]
        assert names[:1] == ["org/good"]
        assert names[-1] == "org/never"
        by_name = {each.model: each for each in rows}
        good = by_name["org/good"]
        assert good.rating is not None
        assert good.lower is not None
        assert good.lower < good.rating
        assert (good.rank, good.best_rank) == (1, 1)
        assert good.items == 30
        assert by_name["org/few"].items == 2
        assert (by_name["org/never"].rating, by_name["org/never"].rank) == (None, None)
        assert by_name["org/never"].wins == 0
        assert notes == [
            "Without a rating, as they won or lost all comparisons, or share no item: org/never."
        ]
        some, notes = rate_models(connection, "duel", most=3, replicates=30)
        assert "org/few" not in {each.model for each in some}
        assert notes == ["2 models left out, those with the fewest outcomes."]
        two, _ = rate_models(connection, "duel", models=["org/poor", "org/good"], replicates=30)
        assert [each.model for each in two] == ["org/good", "org/poor"]


def test_what_cannot_be_rated_is_said(filled: Engine) -> None:
    with filled.connect() as connection:
        with pytest.raises(UsageError, match="1 of these models has outcomes by item"):
            rate_models(connection, "duel", models=["org/good"])
        with pytest.raises(UsageError, match="From 2 to 200 models"):
            rate_models(connection, "duel", most=1)
        with pytest.raises(UsageError, match="duel"):
            rate_models(connection, "dual")
        with pytest.raises(ModelNotFoundError):
            rate_models(connection, "duel", models=["org/good", "org/nobody"])


def test_the_command_prints_ratings(filled: Engine, commands: Commands) -> None:
    del filled
    asked = ("evals", "preferences", "duel", "--replicates", "30")
    found = commands.json(*asked)
    assert found[0]["rank"] == 1
    assert {"rating", "lower", "upper", "best_rank", "worst_rank"} < set(found[0])
    shown = commands(*asked, "--format", "table", "--most", "3")
    assert shown.exit_code == 0, shown.output
    assert "org/good" in shown.stdout
    assert "2 models left out" in shown.stderr
    assert "duel" in commands.refused(2, "evals", "preferences", "dual")
