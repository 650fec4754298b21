"""Which models names in evaluations stand for, and how their runs move when that changes."""

import factories
import pytest
from cli_commands import Commands
from evaluated import block, grid, run, write
from factories import NOON, rows
from sqlalchemy import Connection, Engine, text

from registry.catalog import aliases, matching
from registry.catalog.merge import merge_stub
from registry.catalog.resolution import Stated, StatedName, resolve, resolve_again, state_names
from registry.errors import RegistryError
from registry.evaluations import item_statistics
from registry.evaluations.records import Item

BASE = "mistralai/Mistral-7B-v0.1"


@pytest.fixture
def catalog(connection: Connection) -> Connection:
    """Models with aliases, some of which are ambiguous."""
    factories.model(connection, BASE)
    factories.model(connection, "one/Twin")
    factories.model(connection, "other/twin")
    factories.model(connection, "one/CASED")
    factories.model(connection, "one/cased")
    factories.model(connection, "org/with__two")
    factories.alias(connection, BASE, "mistral-7b")
    factories.alias(connection, BASE, "old/Mistral", source="card", confidence=0.5)
    factories.alias(connection, "one/Twin", "both")
    factories.alias(connection, "other/twin", "both")
    return connection


def found(connection: Connection, name: str) -> tuple[str, str, float]:
    [(model, method, confidence)] = rows(
        connection,
        "SELECT model, method, confidence FROM registry.evaluated_names WHERE spelling = :name",
        name=name,
    )
    return model, method, round(confidence, 3)


@pytest.mark.parametrize(
    ("name", "model", "method", "confidence"),
    [
        (BASE, BASE, "exact", 1.0),
        ("mistral-7b", BASE, "alias", 1.0),
        ("old/Mistral", BASE, "alias", 0.5),
        (BASE.upper(), BASE, "case", 0.95),
        ("Mistral-7B", BASE, "case", 0.95),
        ("OLD/mistral", BASE, "case", 0.475),
        ("mistralai__Mistral-7B-v0.1", BASE, "harness", 0.95),
        ("MISTRALAI__mistral-7b-v0.1", BASE, "harness", 0.95),
        (f"pretrained={BASE},dtype=auto", BASE, "harness", 0.95),
        (f"pretrained=some/base,peft={BASE}", BASE, "harness", 0.95),
        ("model=mistral-7b", BASE, "harness", 0.95),
        (f"https://huggingface.co/{BASE}/tree/main", BASE, "harness", 0.95),
        (f"models--{BASE.replace('/', '--')}", BASE, "harness", 0.95),
        (f"{BASE}@abc", BASE, "harness", 0.95),
        (f"hf:{BASE}", BASE, "harness", 0.95),
        ("Mistral-7B-v0.1", BASE, "tail", 0.8),
        ("mistral-7b-V0.1", BASE, "tail", 0.8),
        ("org/with__two", "org/with__two", "exact", 1.0),
        ("one/cased", "one/cased", "exact", 1.0),
    ],
)
def test_each_method(
    catalog: Connection, name: str, model: str, method: str, confidence: float
) -> None:
    assert resolve(catalog, [name], as_of=NOON) == 0
    assert found(catalog, name) == (model, method, confidence)


@pytest.mark.parametrize("name", ["twin", "both", "ONE/Cased", "Mistral", "nobody/knows", "a b"])
def test_what_is_unknown_or_ambiguous_keeps_its_own_name(catalog: Connection, name: str) -> None:
    assert resolve(catalog, [name], as_of=NOON) == 1
    assert found(catalog, name) == (name, "unresolved", 0.0)
    assert rows(catalog, "SELECT state FROM store.models WHERE name = :name", name=name) == [
        ("stub",)
    ]


def test_a_name_is_looked_for_once(catalog: Connection) -> None:
    assert resolve(catalog, ["x/y", "x/y", BASE], as_of=NOON) == 1
    assert resolve(catalog, ["x/y", BASE], as_of=NOON) == 0
    assert rows(catalog, "SELECT count(*) FROM store.evaluated_names") == [(2,)]


def test_several_spellings_of_an_unknown_model_are_one_model(connection: Connection) -> None:
    resolve(connection, ["org/new"], as_of=NOON)
    resolve(connection, ["org__new", "pretrained=org/new"], as_of=NOON)
    assert rows(connection, "SELECT DISTINCT model FROM registry.evaluated_names") == [("org/new",)]


@pytest.mark.parametrize("order", [1, -1])
def test_an_unknown_model_has_its_plain_name(connection: Connection, order: int) -> None:
    spelt = [
        "/root/.cache/huggingface/hub/models--org--new/snapshots/0a1b",
        "pretrained=org/new,dtype=auto",
        "https://huggingface.co/org/new",
        "org/new/",
        "org/new@step5",
        "org/new",
    ][::order]
    resolve(connection, spelt, as_of=NOON)
    for name in spelt:
        resolve(connection, [name], as_of=NOON)
    assert rows(connection, "SELECT name FROM store.models") == [("org/new",)]
    resolve(connection, ["org__two"], as_of=NOON)
    assert found(connection, "org__two") == ("org__two", "unresolved", 0.0)


def test_a_model_that_evaluations_alone_name_is_nobody_elses(connection: Connection) -> None:
    resolve(connection, ["some/llama-2-70B-chat"], as_of=NOON)
    assert resolve(connection, ["llama-2-70b-chat"], as_of=NOON) == 1
    assert found(connection, "llama-2-70b-chat") == ("llama-2-70b-chat", "unresolved", 0.0)
    factories.model(connection, "meta/tiny-chat")
    resolve(connection, ["tiny-chat"], as_of=NOON)
    assert found(connection, "tiny-chat") == ("meta/tiny-chat", "tail", 0.8)


def test_all_spellings_move_with_the_name_that_is_found(connection: Connection) -> None:
    write(connection, grid("b", {"org/new": [1, 0]}))
    write(connection, grid("b", {"org__new": [1, 1]}))
    factories.model(connection, "org/real")
    names = [StatedName("org/new", "org/real", 0.9)]
    state_names(connection, names, as_of=NOON)
    assert found(connection, "org/new") == ("org/real", "alias", 0.9)
    assert found(connection, "org__new") == ("org/real", "harness", 0.9)
    assert rows(connection, "SELECT DISTINCT model FROM registry.runs") == [("org/real",)]
    assert rows(connection, "SELECT 1 FROM store.models WHERE name = 'org/new'") == []


@pytest.mark.parametrize(("own", "least"), [(0.5, 0.5), (0.95, 0.9)])
def test_a_spelling_that_moves_is_as_sure_as_its_less_sure_step(
    connection: Connection, own: float, least: float
) -> None:
    write(connection, grid("b", {"org/new": [1, 0]}))
    factories.alias(connection, "org/new", "nick", confidence=own)
    write(connection, grid("b", {"nick": [1, 1]}))
    factories.model(connection, "org/real")
    state_names(connection, [StatedName("org/new", "org/real", 0.9)], as_of=NOON)
    assert found(connection, "org/new") == ("org/real", "alias", 0.9)
    assert found(connection, "nick") == ("org/real", "alias", least)


def test_stubs_get_families_where_there_are_any(connection: Connection) -> None:
    factories.family(connection, "org/a", "org/a")
    resolve(connection, ["new"], as_of=NOON)
    assert rows(connection, "SELECT family_root FROM registry.models WHERE name = 'new'") == [
        ("new",)
    ]


def test_a_stub_that_the_sync_fills_in_is_exact(connection: Connection) -> None:
    write(connection, grid("b", {"org/later": [1, 0]}))
    assert found(connection, "org/later")[1] == "unresolved"
    assert resolve_again(connection) == 0
    connection.execute(text("UPDATE store.models SET state = 'available'"))
    assert resolve_again(connection) == 1
    assert found(connection, "org/later") == ("org/later", "exact", 1.0)
    assert rows(connection, "SELECT model FROM registry.runs") == [("org/later",)]
    assert resolve_again(connection) == 0


def test_names_are_found_when_their_model_comes(connection: Connection) -> None:
    write(
        connection,
        block(
            "b",
            run("mistralai__Mistral-7B-v0.1", [1, 0, None], answers=["A", None, None]),
            asked=[Item("i0"), Item("i1"), Item("i2")],
        ),
    )
    factories.model(connection, BASE)
    assert resolve_again(connection) == 1
    item_statistics.refresh(connection)
    assert found(connection, "mistralai__Mistral-7B-v0.1") == (BASE, "harness", 0.95)
    assert rows(connection, "SELECT model, raw_score FROM registry.runs") == [(BASE, 0.5)]
    assert rows(
        connection, "SELECT model, item, answer FROM registry.answers WHERE answer IS NOT NULL"
    ) == [(BASE, "i0", "A")]
    # What nothing names any more is gone.
    assert rows(connection, "SELECT name FROM store.models") == [(BASE,)]
    assert rows(connection, "SELECT models FROM store.item_statistics") == [([1, 1, 0],)]


def test_a_stub_that_lineage_knows_stays(connection: Connection) -> None:
    write(connection, grid("b", {"parent": [1]}))
    factories.edge(connection, "org/child", "parent")
    factories.model(connection, "org/Parent")
    assert resolve_again(connection) == 1
    assert found(connection, "parent") == ("org/Parent", "tail", 0.8)
    assert rows(connection, "SELECT state FROM store.models WHERE name = 'parent'") == [("stub",)]


def merge(connection: Connection, stub: str, model: str, source: str = "case") -> None:
    keys = [connection.scalar(text("SELECT model_id FROM store.models WHERE name = :name"),
                              {"name": name}) for name in (stub, model)]  # fmt: skip
    assert keys[0]
    assert keys[1]
    merge_stub(connection, keys[0], into=keys[1], source=source, as_of=NOON)


@pytest.mark.parametrize(
    ("source", "method"), [("case", "case"), ("rename", "alias"), ("user", "user")]
)
def test_merging_a_stub_moves_its_runs(connection: Connection, source: str, method: str) -> None:
    factories.model(connection, "org/real")
    write(connection, grid("b", {"org/real": [1, 0], "stub": [0, 0], "third": [1, 1]}))
    assert rows(connection, "SELECT models, means FROM store.item_statistics") == [
        ([3, 3], [pytest.approx(2 / 3), pytest.approx(1 / 3)])
    ]
    merge(connection, "stub", "org/real", source)
    item_statistics.refresh(connection)
    assert found(connection, "stub") == ("org/real", method, 1.0)
    assert rows(connection, "SELECT count(*) FROM registry.runs WHERE model = 'org/real'") == [(2,)]
    assert rows(connection, "SELECT models FROM store.item_statistics") == [([2, 2],)]


NAMES = [StatedName("m7b", BASE), StatedName("m7b-it", "new/model", 0.5)]


def test_stated_names_become_aliases(catalog: Connection) -> None:
    write(catalog, grid("b", {"m7b": [1], "M7B-it": [0]}))
    names = NAMES
    assert state_names(catalog, names, as_of=NOON) == Stated(2, 0, 0)
    assert found(catalog, "m7b") == (BASE, "alias", 1.0)
    assert found(catalog, "M7B-it") == ("new/model", "case", 0.475)
    assert rows(
        catalog,
        "SELECT model, confidence FROM registry.model_aliases"
        " WHERE alias LIKE 'm7b%' AND source = 'evaluation' ORDER BY 1",
    ) == [(BASE, 1.0), ("new/model", 0.5)]
    # Stated again, and stated twice at once, it is nothing new.
    assert state_names(catalog, names, as_of=NOON) == Stated(0, 2, 0)
    twice = [*NAMES, *NAMES]
    assert state_names(catalog, twice, as_of=NOON) == Stated(0, 2, 0)


def test_names_told_twice_count_once(catalog: Connection) -> None:
    names = [StatedName("m", BASE, 0.5), StatedName("m", BASE, 0.75)]
    assert state_names(catalog, names, as_of=NOON) == Stated(1, 0, 0)
    assert rows(catalog, "SELECT confidence FROM registry.model_aliases WHERE alias = 'm'") == [
        (0.75,)
    ]


def test_a_models_own_name_is_known(catalog: Connection) -> None:
    names = [StatedName(BASE, BASE)]
    assert state_names(catalog, names, as_of=NOON) == Stated(0, 1, 0)


@pytest.mark.parametrize(
    "names",
    [
        pytest.param([StatedName("one/Twin", BASE)], id="another model's own"),
        pytest.param([StatedName("mistral-7b", "one/Twin")], id="another model's alias"),
        pytest.param([StatedName("n", BASE), StatedName("n", "one/Twin")], id="two models at once"),
        pytest.param([StatedName("new\nline", BASE)], id="line end"),
        pytest.param([StatedName("nul\0", BASE)], id="nul"),
        pytest.param([StatedName("\ud800", BASE)], id="half a character"),
        pytest.param([StatedName(" ", BASE)], id="blank"),
        pytest.param([StatedName("x" * 256, BASE)], id="too long"),
        pytest.param([StatedName("fine", "x" * 3000)], id="model too long"),
        pytest.param([StatedName("fine", "")], id="model empty"),
    ],
)
def test_refused_names(catalog: Connection, names: list[StatedName]) -> None:
    before = rows(catalog, "SELECT * FROM registry.model_aliases ORDER BY model, alias")
    stated = state_names(catalog, names, as_of=NOON)
    assert stated == Stated(0, 0, len(names))
    assert rows(catalog, "SELECT * FROM registry.model_aliases ORDER BY model, alias") == before


@pytest.mark.parametrize(
    "name", ["", " ", "two\nlines", "tab\tinside", "x" * 256, "bell\a", "\x7f", "nbsp\u2028x"]
)
def test_names_that_no_model_can_have(connection: Connection, name: str) -> None:
    with pytest.raises(RegistryError, match="1 to 255 printable characters: .* on b"):
        write(connection, grid("b", {name: [1]}))


@pytest.mark.parametrize(
    "name", ["x" * 255, "名前/モデル", "a'b\"c\\d{,}", "%(s)s :name", "NULL", "\\N"]
)
def test_odd_names_are_names_all_the_same(connection: Connection, name: str) -> None:
    write(connection, grid("b", {name: [1]}))
    assert rows(connection, "SELECT model, spelling FROM registry.runs") == [(name, name)]
    assert write(connection, grid("b", {f" {name} ": [1]})).changes == 0


def test_half_characters_are_replaced(connection: Connection) -> None:
    write(connection, grid("b", {"org/\ud800": [1]}, revision="r\ud800\0"))
    assert rows(connection, "SELECT model, revision FROM registry.runs") == [
        ("org/\ufffd", "r\ufffd\ufffd")
    ]
    assert write(connection, grid("b", {"org/\ud800": [1]}, revision="r\ud800\0")).changes == 0


# By command, where runs, answers and statistics move together.


@pytest.fixture
def evaluated(engine: Engine, commands: Commands) -> Commands:
    """Two known models and an unknown name, all with outcomes on one benchmark."""
    with engine.begin() as connection:
        factories.family(connection, "org/known", "org/known")
        factories.family(connection, "org/other", "org/other")
        asked = [Item("i0"), Item("i1")]
        write(
            connection,
            block("b", run("org/known", [1, 0]), run("org/other", [1, 1]),
                  run("My-Known", [0, 0], answers=["A", "B"]), asked=asked),
        )  # fmt: skip
    return commands


def state(engine: Engine) -> tuple[object, ...]:
    with engine.connect() as connection:
        return (
            rows(connection, "SELECT model, spelling, resolved_by FROM registry.runs ORDER BY 2"),
            rows(connection, "SELECT DISTINCT model FROM registry.answers"),
            rows(connection, "SELECT models::text, means::text FROM store.item_statistics"),
            rows(connection, "SELECT name, family_root FROM registry.models ORDER BY 1"),
            rows(
                connection,
                "SELECT count(*) FROM store.model_families f"
                " WHERE NOT EXISTS (SELECT FROM store.models m WHERE m.model_id = f.model_id)",
            ),
        )


def test_an_alias_moves_runs_and_back(evaluated: Commands, engine: Engine) -> None:
    before = state(engine)
    assert before[2] == [("{3,3}", "{0.6666667,0.33333334}")]
    listed = evaluated.json("models", "alias", "unresolved")
    assert [(each["name"], each["runs"]) for each in listed] == [("My-Known", 1)]
    evaluated.done("models", "alias", "add", "org/known", "My-Known")
    moved = state(engine)
    assert moved[0] == [
        ("org/known", "My-Known", "user"),
        ("org/known", "org/known", "exact"),
        ("org/other", "org/other", "exact"),
    ]
    assert moved[1] == [("org/known",)]
    # Of the two runs of org/known one counts: its last key decides, all else being alike.
    assert moved[2] in ([("{2,2}", "{1,0.5}")], [("{2,2}", "{0.5,0.5}")])
    assert moved[3] == [("org/known", "org/known"), ("org/other", "org/other")]
    assert moved[4] == [(0,)]
    assert evaluated.json("models", "alias", "unresolved") == []
    evaluated.done("models", "alias", "remove", "org/known", "My-Known")
    assert state(engine) == before


def test_unresolved_names_come_with_suggestions(evaluated: Commands, engine: Engine) -> None:
    with engine.begin() as connection:
        write(connection, grid("b", {"KNOWN!": [1, 0]}), grid("c", {"KNOWN!": [1]}))
    result = evaluated("models", "alias", "unresolved", "--format", "json")
    assert evaluated.json("models", "alias", "unresolved") == [
        {"name": "KNOWN!", "runs": 2, "benchmarks": 2, "suggestions": ["org/known"]},
        {"name": "My-Known", "runs": 1, "benchmarks": 1, "suggestions": []},
    ]
    assert "registry models alias add MODEL NAME" in result.stderr


def test_resolve_by_command_makes_statistics_anew(evaluated: Commands, engine: Engine) -> None:
    with engine.begin() as connection:
        factories.model(connection, "me/My-Known")
    result = evaluated("models", "alias", "resolve")
    assert "1 names were resolved." in result.stderr
    with engine.connect() as connection:
        assert found(connection, "My-Known") == ("me/My-Known", "tail", 0.8)
        assert rows(connection, "SELECT models FROM store.item_statistics") == [([3, 3],)]


def test_removing_one_of_several_holders_of_a_name(catalog: Connection) -> None:
    factories.alias(catalog, BASE, "both")
    write(catalog, grid("b", {"both": [1]}))
    keys = dict(rows(catalog, "SELECT name, model_id FROM store.models"))
    aliases.remove_alias(catalog, keys[BASE], "both")
    assert found(catalog, "both") == ("both", "unresolved", 0.0)
    aliases.remove_alias(catalog, keys["one/Twin"], "both")
    assert found(catalog, "both") == ("other/twin", "alias", 1.0)


def test_more_names_than_are_asked_for_at_once(catalog: Connection) -> None:
    names = [*(f"n{number}" for number in range(8)), BASE, "mistral-7b"]
    matched = matching.match_names(catalog, names, at_once=3)
    assert {name: each.method for name, each in matched.items()} == {
        BASE: "exact",
        "mistral-7b": "alias",
    }
