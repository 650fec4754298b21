"""Communities by what the catalog knows, and whether vectors know of them."""

from collections.abc import Sequence

import numpy as np
import pytest
from cli_commands import Commands
from factories import family, model
from learned import drawn, kept
from numpy.typing import NDArray
from sqlalchemy import Connection, Engine

from registry.analysis import communities
from registry.analysis.communities import CommunityComparison, compare, size, topics
from registry.analysis.probe_metrics import Community
from registry.errors import RegistryError, UsageError

Vectors = NDArray[np.float32]

NAMES = [f"org/llama-{number}" for number in range(12)] + [f"lab/other-{n}" for n in range(12)]


def near(members: Sequence[int], *, count: int = 24, seed: int = 0) -> Vectors:
    """Return vectors at random, of which those of members are far from the rest, together."""
    vectors = drawn(count, 6, seed)
    vectors[list(members)] += 4
    return vectors


def of(found: CommunityComparison, kind: str) -> dict[str, Community]:
    return {each.name: each for kind_, each in found.communities if kind_ == kind}


def test_what_was_planted_is_near_and_the_rest_is_not(connection: Connection) -> None:
    for number, name in enumerate(NAMES):
        model(
            connection,
            name,
            parameters=int(7e9 if number % 2 else 70e9),
            pipeline_tag="text-generation",
            tags=["region:us", "Code" if number % 3 == 0 else "prose"],
        )
        family(connection, name, NAMES[0] if number < 12 else NAMES[12])
    version = kept(connection, near(range(12)), NAMES)
    found = compare(connection)
    assert (found.version, found.models, found.left_out) == (version, 24, 0)
    families = of(found, "family")
    assert {name: each.models for name, each in families.items()} == {NAMES[0]: 12, NAMES[12]: 12}
    assert families[NAMES[0]].ratio < 0.5
    assert of(found, "author").keys() == {"org", "lab"}
    assert of(found, "author")["lab"].ratio < 0.5
    sizes = of(found, "size")
    assert {name: each.models for name, each in sizes.items()} == {"7B": 12, "70B": 12}
    assert sizes["7B"].ratio == pytest.approx(1, abs=0.1)
    # All of them are for one task, so there is no rest; prose is of more than half of the models,
    # and a key with a value tells nothing.
    (task,) = of(found, "task").values()
    assert task.models == 24
    assert np.isnan(task.ratio)
    assert {name: each.models for name, each in of(found, "tag").items()} == {"code": 8}
    assert {name: each.models for name, each in of(found, "topic").items()} == {"coding": 8}
    assert found.comparable == len(found.communities) - 1
    ratios = [each.ratio for _, each in found.communities if not np.isnan(each.ratio)]
    assert found.tighter == sum(ratio < 1 for ratio in ratios) >= 4


def test_names_tell_what_the_catalog_does_not(connection: Connection) -> None:
    names = [f"org/Wizard{'Coder' if n < 6 else 'LM'}-{'7b' if n % 2 else '13B'}-v{n}"
             for n in range(12)]  # fmt: skip
    kept(connection, near(range(6), count=12), names)
    found = compare(connection, by=["topic", "size"])
    assert [kind for kind, _ in found.communities] == ["topic", "size", "size"]
    assert of(found, "topic")["coding"].ratio < 0.5
    assert {name: each.models for name, each in of(found, "size").items()} == {"13B": 6, "7B": 6}


def test_least_and_most(connection: Connection) -> None:
    names = [f"a/{n}" for n in range(6)] + [f"b/{n}" for n in range(5)] + [f"c/{n}" for n in "xy"]
    kept(connection, drawn(13), names)
    assert [*of(compare(connection, by=["author"]), "author")] == ["a", "b"]
    assert [*of(compare(connection, by=["author"], least=2), "author")] == ["a", "b", "c"]
    assert [*of(compare(connection, by=["author"], least=2, most=1), "author")] == ["a"]


def test_models_placed_by_what_is_known_of_them_are_left_out(connection: Connection) -> None:
    names = [f"{'a' if n % 2 else 'b'}/{n}" for n in range(20)]
    vectors = drawn(20)
    vectors[12:] = [[9.0, 9, 9, 9] if n % 2 else [-9.0, 9, 9, 9] for n in range(12, 20)]
    kept(connection, vectors, names, kinds=["trained"] * 12 + ["cold"] * 8)
    found = compare(connection, by=["author"])
    assert (found.models, found.left_out) == (12, 8)
    assert of(found, "author")["a"].models == 6
    # With them the authors were far apart: a tenth of what they are.
    assert of(found, "author")["a"].ratio > 0.6


def test_of_many_models_some_are_drawn(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(communities, "MAX_MODELS", 12)
    kept(connection, drawn(30))
    found = compare(connection, by=["author"])
    assert (found.models, found.left_out) == (12, 18)
    assert of(found, "author")["org"].models == 12
    again = compare(connection, by=["author"])
    assert of(again, "author")["org"].inside == of(found, "author")["org"].inside


@pytest.mark.parametrize(
    ("parameters", "band"),
    [
        (124_000_000, "below 1B"),
        (1_100_000_000, "1B"),
        (2_700_000_000, "3B"),
        (6_738_415_616, "7B"),
        (8_030_261_248, "7B"),
        (13_015_864_320, "13B"),
        (34_400_000_000, "30B"),
        (68_976_648_192, "70B"),
        (180_000_000_000, "above 100B"),
    ],
)
def test_bands_of_size(parameters: int, band: str) -> None:
    assert size(parameters) == band


@pytest.mark.parametrize(
    ("name", "tags", "expected"),
    [
        ("bigcode/starcoder2-7b", [], ["coding"]),
        ("code/llama-7b", [], []),
        ("org/auto-encoder-decoder", [], []),
        ("codellama/CodeLlama-7b-Instruct-hf", [], ["coding", "chat"]),
        ("EleutherAI/llemma", ["math"], ["maths"]),
        ("meta-math/MetaMath-Mistral-7B", [], ["maths"]),
        ("BioMistral/BioMistral-7B", [], ["medicine"]),
        ("org/medium-7b", [], []),
        ("axiong/PMC-med-13b", [], ["medicine"]),
        ("org/symbiosis", [], []),
        ("Equall/law-7b", [], ["law"]),
        ("org/flawless", [], []),
        ("org/physics-1b", [], ["physics"]),
        ("google/gemma-7b-it", [], ["chat"]),
        ("org/italian", ["conversational"], ["chat"]),
        ("org/base", ["unknown"], []),
    ],
)
def test_topics(name: str, tags: list[str], expected: list[str]) -> None:
    assert topics(name, tags) == expected


def test_what_cannot_be_compared_is_said(connection: Connection) -> None:
    with pytest.raises(RegistryError, match="no embeddings yet"):
        compare(connection)
    kept(connection, drawn(9))
    with pytest.raises(UsageError, match=r"has vectors of 9 evaluated models; .* at least 10"):
        compare(connection)
    with pytest.raises(UsageError, match="no communities by 'colour'; there are size, family"):
        compare(connection, by=["colour"])


def test_the_command(commands: Commands, engine: Engine) -> None:
    assert "no embeddings yet" in commands.refused(1, "embeddings", "probe", "communities")
    with engine.begin() as connection:
        first = kept(connection, near(range(12)), NAMES)
        kept(connection, drawn(24, 6), NAMES)
    call = ("embeddings", "probe", "communities", "--by", "author")
    for row in commands.json(*call, "--version", str(first)):
        assert (row["by"], row["models"]) == ("author", 12)
        assert row["ratio"] == pytest.approx(row["inside"] / row["between"])
        assert row["ratio"] < 0.5
    assert all(row["ratio"] > 0.8 for row in commands.json(*call))
    result = commands(*call, "--version", str(first), "--format", "table")
    assert "2 of 2 communities are closer to each other than to the rest" in result.stderr
    assert "24 models of version" in result.stderr
    assert "left out" not in result.stderr
    assert [line.split()[0] for line in result.stdout.splitlines()[2:]] == ["lab", "org"]
    assert "None of these communities has 13 models." in commands(*call, "--least", "13").stderr
    assert "there are " in commands.refused(2, *call, "--version", "99")
