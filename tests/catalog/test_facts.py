"""Facts that tables state of models: read, stored, ranked below the Hub's, moved and removed."""

import gzip
import random
from itertools import permutations
from pathlib import Path
from typing import Any

import factories
import pandas as pd
import pytest
from cli_commands import Commands
from evaluated import block, run, write
from factories import NOON, rows
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection, Engine, text

from registry.catalog import resolution
from registry.catalog.facts import effective
from registry.catalog.facts.statements import state_facts
from registry.catalog.facts.values import ModelFact, joined, read_fact
from registry.catalog.merge import merge_stub
from registry.catalog.names import add_stubs
from registry.enums import SyncKind
from registry.evaluations.exporter import export
from registry.evaluations.formats import archive
from registry.evaluations.import_log import FileReport
from registry.evaluations.importer import ImportOptions, import_files
from registry.evaluations.records import Facts, Source
from registry.evaluations.removal import RemovalSelection, remove
from registry.evaluations.selection import RunSelection
from registry.sync import ingest, page
from registry.sync import state as sync_state

BOARD = "who,acc,size,licence,base,kind,note\n"
ROLES = {
    "model": "who",
    "score": "acc",
    "benchmark": "=b",
    "source": "=Board",
    "fact.parameters": "={size}B",
    "fact.license": "licence",
    "fact.base_model": "base",
    "fact.type": "kind",
}


def imported(engine: Engine, path: Path, roles: dict[str, str] | None = None) -> FileReport:
    (report,) = import_files(engine, [path], ImportOptions(roles=roles or ROLES))
    assert report.error is None
    return report


def asked(engine: Engine, query: str, **parameters: Any) -> list[tuple[Any, ...]]:
    with engine.connect() as connection:
        return rows(connection, query, **parameters)


def model(engine: Engine, name: str) -> tuple[Any, ...]:
    (row,) = asked(
        engine,
        "SELECT parameters, parameters_source, license, license_source"
        "  FROM registry.models WHERE name = :name",
        name=name,
    )
    return row


def board(path: Path, *lines: str) -> Path:
    path.write_text(BOARD + "\n".join(lines) + "\n")
    return path


@given(
    st.floats(min_value=0.001, max_value=5000),
    st.sampled_from([("", 1e9), ("K", 1e3), ("M", 1e6), ("B", 1e9), ("T", 1e12)]),
)
def test_sizes_of_any_unit(number: float, unit: tuple[str, float]) -> None:
    letter, scale = unit
    spelled = f"{number:.3f}"
    weights = round(float(spelled) * scale)
    if not letter:
        with pytest.raises(ValueError, match=r"7\.24B"):
            read_fact("parameters", spelled)
        assert read_fact("parameters", str(max(weights, 100_000))) == str(max(weights, 100_000))
    elif 1 <= weights <= 2e13:
        assert read_fact("parameters", f" {spelled}{letter.lower()} ") == str(weights)
    elif weights:
        with pytest.raises(ValueError, match="20T"):
            read_fact("parameters", spelled + letter)


@pytest.mark.parametrize("text", ["0.0B", "-1B", "-1.0B", "0"])
def test_sizes_that_are_not_known(text: str) -> None:
    assert read_fact("parameters", text) is None


@pytest.mark.parametrize("text", ["big", "7,24B", "B", "7B8", "1e9", "inf"])
def test_sizes_that_are_none(text: str) -> None:
    with pytest.raises(ValueError, match="number of weights"):
        read_fact("parameters", text)


def test_other_facts() -> None:
    assert read_fact("type", "💬 chat models (RLHF, DPO)") == "chat models (RLHF, DPO)"
    assert read_fact("type", "🔶") is None
    assert read_fact("license", "Apache-2.0") == "apache-2.0"
    assert read_fact("moe", "False") == "false"
    assert read_fact("base_model", "org/a (Merge)") == "org/a"
    assert read_fact("base_model", "outputs/checkpoint-500") is None
    assert joined("parameters", ["362000000", "1800000000"]) == "1800000000"
    assert joined("precision", ["float16", "bfloat16", "float16"]) == "bfloat16; float16"


def test_facts_with_their_source_and_file(engine: Engine, tmp_path: Path) -> None:
    path = board(
        tmp_path / "b.csv",
        "org/a,0.5,7.24,MIT,org/base,🟢 pretrained,x",
        "org/b,0.4,-1,,org/b,chat,y",
    )
    report = imported(engine, path)
    assert report.facts == (5, 5)
    assert asked(engine, "SELECT * FROM registry.model_facts ORDER BY model, fact") == [
        ("org/a", "base_model", "org/base", "Board", str(path)),
        ("org/a", "license", "mit", "Board", str(path)),
        ("org/a", "parameters", "7240000000", "Board", str(path)),
        ("org/a", "type", "pretrained", "Board", str(path)),
        ("org/b", "type", "chat", "Board", str(path)),
    ]
    assert model(engine, "org/a") == (7240000000, "leaderboard:Board", "mit", "leaderboard:Board")
    assert model(engine, "org/b") == (None, None, None, None)
    again = imported(engine, path)
    assert (again.status, again.facts) == ("unchanged", (5, 0))


def test_filters_agree_with_the_view(engine: Engine, tmp_path: Path) -> None:
    imported(
        engine,
        board(
            tmp_path / "b.csv",
            "org/a,0.5,7.24,mit,,,",
            "org/b,0.4,70,mit,,,",
            "org/c,0.3,3,llama3,,,",
            "org/d,0.3,,,,,",
        ),
    )
    for query, condition in (
        ("max_parameters => 8000000000", "parameters <= 8e9"),
        ("min_parameters => 8000000000", "parameters >= 8e9"),
        ("by_license => 'MIT'", "license = 'mit'"),
        ("by_license => 'mit', max_parameters => 8000000000",
         "license = 'mit' AND parameters <= 8e9"),
    ):  # fmt: skip
        wanted = asked(engine, f"SELECT name FROM registry.models WHERE {condition} ORDER BY 1")
        assert wanted
        for states in ("NULL", "'{stub}'"):
            assert wanted == sorted(
                asked(
                    engine,
                    "SELECT name FROM registry.search_models(NULL, 100,"
                    f" {query}, states => {states})",
                )
            ), (query, states)


@pytest.mark.parametrize("seed", range(8))
def test_filters_agree_with_the_view_whatever_is_stated(
    engine: Engine, tmp_path: Path, seed: int
) -> None:
    chance = random.Random(seed)
    lines = []
    with engine.begin() as connection:
        for number in range(30):
            name = f"org/m{number}" + chance.choice(["", "-7b", "-70B-GPTQ", "-3b-4bit", "-350m"])
            if chance.random() < 0.5:
                size = chance.choice([None, 10**9, 7_240_000_000, 8 * 10**9, 70 * 10**9])
                factories.model(
                    connection, name, parameters=size, license=chance.choice([None, "mit", "gpl"]),
                    parameters_source=size and chance.choice(["safetensors", "gguf"]),
                )  # fmt: skip
            billions = chance.choice(["", "-1", "0", "1.1", "7.24", "8", "9.1", "72"])
            lines.append(f"{name},0.5,{billions},{chance.choice(['', 'MIT', 'apache-2.0'])},,,")
    imported(engine, board(tmp_path / "b.csv", *lines))
    models = asked(engine, "SELECT name, parameters, license FROM registry.models")
    assert len(models) == 30
    for least in (None, 10**9, 8 * 10**9):
        for most in (None, 7 * 10**9, 8 * 10**9, 10**11):
            for licence in (None, "mit"):
                wanted = {
                    name
                    for name, size, own in models
                    if (least is None or (size is not None and size >= least))
                    and (most is None or (size is not None and size <= most))
                    and (licence is None or own == licence)
                }
                found = asked(
                    engine,
                    """
                    SELECT name FROM registry.search_models(
                        NULL, 100, by_license => :licence, min_parameters => :least,
                        max_parameters => :most, states => :states)""",
                    licence=licence, least=least, most=most,
                    states=["stub", "available"] if chance.random() < 0.5 else None,
                )  # fmt: skip
                if (least, most, licence) != (None, None, None):
                    assert {name for (name,) in found} == wanted, (least, most, licence)


def test_the_hub_is_above_facts(engine: Engine, tmp_path: Path) -> None:
    with engine.begin() as connection:
        factories.model(
            connection, "org/a", parameters=8030261248, parameters_source="safetensors",
            license="llama3",
        )  # fmt: skip
        factories.model(connection, "org/b-7b", parameters=7 * 10**9, parameters_source="name")
        factories.model(connection, "org/c")
    imported(
        engine,
        board(
            tmp_path / "b.csv", "org/a,0.5,7,mit,,,", "org/b-7b,0.5,7.24,,,,", "org/c,0.5,2,mit,,,"
        ),
    )
    assert model(engine, "org/a") == (8030261248, "safetensors", "llama3", None)
    assert model(engine, "org/b-7b")[:2] == (7240000000, "leaderboard:Board")
    assert model(engine, "org/c") == (2000000000, "leaderboard:Board", "mit", "leaderboard:Board")


def test_packed_weights_are_no_size(engine: Engine, tmp_path: Path) -> None:
    path = board(
        tmp_path / "b.csv",
        "org/Llama-2-70B-GPTQ,0.5,9.1,,,,",
        "org/phi-4-bnb-4bit,0.5,8.06,,,,",
        "org/Gemma-7B-QLoRA-4bit,0.5,8.54,,,,",
    )
    imported(engine, path)
    assert model(engine, "org/Llama-2-70B-GPTQ")[:2] == (70 * 10**9, "name")
    assert model(engine, "org/phi-4-bnb-4bit")[:2] == (None, None)
    assert model(engine, "org/Gemma-7B-QLoRA-4bit")[:2] == (8540000000, "leaderboard:Board")


@pytest.mark.parametrize(
    ("billions", "size"),
    [
        ("6.74", (6_740_000_000, "leaderboard:Board")),  # the name rounds
        ("4.67", (4_670_000_000, "leaderboard:Board")),
        ("4.66", (7 * 10**9, "name")),  # packed
    ],
)
def test_what_is_far_below_the_size_in_a_name_is_packed(
    engine: Engine, tmp_path: Path, billions: str, size: tuple[int, str]
) -> None:
    imported(engine, board(tmp_path / "b.csv", f"org/m-7B-GPTQ,0.5,{billions},,,,"))
    assert model(engine, "org/m-7B-GPTQ")[:2] == size


def test_of_two_names_of_a_model_the_surer_states_the_fact(connection: Connection) -> None:
    """Whatever their order."""
    key = factories.model(connection, "org/a")
    write(connection, block("b", run("org/a", score=0.5), run("zz/a", score=0.5)))
    other = "UPDATE store.evaluated_names SET model_id = :key, confidence = :c WHERE name = :name"
    for name, confidence in (("org/a", 0.8), ("zz/a", 0.9)):
        connection.execute(text(other), {"key": key, "c": confidence, "name": name})
    source = connection.scalar(text("SELECT source_id FROM store.sources"))
    file = connection.scalar(
        text("""
        INSERT INTO store.imports (path, format, sha256, bytes, imported_at, summary)
        VALUES ('f', 'table', '', 1, now(), '{}') RETURNING import_id""")
    )
    assert source is not None
    assert file is not None
    facts = [ModelFact("org/a", "type", "less sure"), ModelFact("zz/a", "type", "surer")]
    stated = state_facts(connection, {source: facts}, import_id=file)
    assert stated == (2, 1)
    assert rows(connection, "SELECT value FROM registry.model_facts") == [("surer",)]


def test_a_base_model_gives_its_size(engine: Engine, tmp_path: Path) -> None:
    path = board(
        tmp_path / "b.csv",
        "org/a-bnb-4bit,0.5,8.06,,org/phi,,",
        "org/phi,0.5,14.7,,,,",
    )
    imported(engine, path)
    assert model(engine, "org/a-bnb-4bit")[:2] == (14_700_000_000, "parent")
    # Bases are stated wrongly at times: the size of one passes no limit.
    for asks in ("NULL, 9", "NULL, 9, states => '{stub}'", "'org', 9"):
        for limit in ("min_parameters => 1000000000", "max_parameters => 20000000000"):
            query = f"SELECT name FROM registry.search_models({asks}, {limit})"
            assert asked(engine, query) == [("org/phi",)], query
    everything = "SELECT name FROM registry.search_models('org') ORDER BY 1"
    assert asked(engine, everything) == [("org/a-bnb-4bit",), ("org/phi",)]


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_a_size_reaches_what_was_made_from_its_model(
    engine: Engine, tmp_path: Path, order: tuple[int, ...]
) -> None:
    """In whatever order files state it, and when it is corrected or taken back."""
    lines = [
        "org/phi,0.5,14.7,,,,",
        "org/a-bnb-4bit,0.5,8.06,,org/phi,,",
        "org/b-bnb-4bit,0.5,,,org/a-bnb-4bit,,",
    ]
    paths = [tmp_path / f"{number}.csv" for number in range(3)]
    for number in order:
        imported(engine, board(paths[number], lines[number]))

    def sizes() -> list[tuple[Any, ...]]:
        return [model(engine, name)[:2] for name in ("org/a-bnb-4bit", "org/b-bnb-4bit")]

    assert sizes() == [(14_700_000_000, "parent")] * 2
    imported(engine, board(paths[0], "org/phi,0.5,14,,,,"))
    assert sizes() == [(14_000_000_000, "parent")] * 2
    remove(engine, RemovalSelection(files=[str(paths[0])]))
    assert sizes() == [(None, None)] * 2


@pytest.mark.parametrize("is_known", [False, True])
def test_a_record_of_the_hub_sizes_what_a_board_says_was_made_from_it(
    engine: Engine, tmp_path: Path, *, is_known: bool
) -> None:
    if is_known:
        with engine.begin() as connection:
            synced(connection, {"id": "org/phi", "_id": "1"})
    imported(engine, board(tmp_path / "b.csv", "org/a-bnb-4bit,0.5,8.06,,org/phi,,"))
    assert model(engine, "org/a-bnb-4bit")[:2] == (None, None)
    whole = {"parameters": {"BF16": 14_659_507_200}, "total": 14_659_507_200}
    with engine.begin() as connection:
        synced(connection, {"id": "org/phi", "safetensors": whole, "_id": "1"})
    assert model(engine, "org/a-bnb-4bit")[:2] == (14_659_507_200, "parent")


def test_models_that_are_each_other_s_parents(engine: Engine, tmp_path: Path) -> None:
    path = tmp_path / "b.csv"
    lines = ["org/a,0.5,{},,org/b,,", "org/b,0.5,,,org/a,,", "org/c,0.5,,,org/b,,"]
    for size in ("2", "3"):
        imported(engine, board(path, *(each.format(size) for each in lines)))
        assert {model(engine, f"org/{name}")[0] for name in "abc"} == {int(size) * 10**9}


def test_stubs_with_facts_are_similar_by_them(engine: Engine, tmp_path: Path) -> None:
    roles = {**ROLES, "fact.architecture": "note"}
    lines = [
        "org/a,0.5,7.24,,,,Llama",
        "org/b,0.5,7,,,,Llama",
        "org/c,0.5,72,,,,Llama",
        "org/d,0.5,,,,,",
    ]
    imported(engine, board(tmp_path / "b.csv", *lines), roles)
    similar = asked(
        engine,
        "SELECT name, round(feature::numeric, 2)::float8 FROM registry.similar_models('org/a')",
    )
    assert [name for name, _ in similar] == ["org/b", "org/c"]
    assert similar[0][1] > 0.98
    assert similar[1][1] < 0.72
    assert asked(engine, "SELECT count(*) FROM registry.models WHERE architecture = 'llama'") == [
        (3,)
    ]


def test_architectures_that_do_not_agree_are_none(engine: Engine, tmp_path: Path) -> None:
    roles = {**ROLES, "fact.architecture": "note"}
    lines = [
        "org/a,0.5,,,,,Llama", "org/a,0.5,,,,,Mistral", "org/b,0.5,,,,,Llama",
        "org/c,0.5,,,,,Llama",
    ]  # fmt: skip
    imported(engine, board(tmp_path / "a.csv", *lines), roles)
    other = board(tmp_path / "b.csv", "org/b,0.5,,,,,Llama", "org/c,0.5,,,,,Qwen2")
    imported(engine, other, {**roles, "source": "=Other"})
    query = "SELECT name, architectures FROM registry.models ORDER BY name"
    assert asked(engine, query) == [("org/a", []), ("org/b", ["Llama"]), ("org/c", [])]


def test_a_record_of_the_hub_takes_the_place_of_facts(connection: Connection) -> None:
    key = factories.model(connection, "org/a", state="stub")
    connection.execute(text("INSERT INTO store.sources (name) VALUES ('s')"))
    for fact, value in (
        ("parameters", "7000000000"),
        ("license", "mit"),
        ("architecture", "Llama"),
    ):
        connection.execute(
            text("INSERT INTO store.model_facts SELECT :key, source_id, :fact, :value, NULL"
                 " FROM store.sources"),
            {"key": key, "fact": fact, "value": value},
        )  # fmt: skip
    effective.apply(connection, [key])
    query = """
        SELECT parameters, parameters_source, license, license_source, architectures
          FROM registry.models"""
    by_facts = (7000000000, "leaderboard:s", "mit", "leaderboard:s")
    assert rows(connection, query) == [(*by_facts, ["Llama"])]
    synced(connection, {"id": "org/a", "tags": ["license:apache-2.0"], "_id": "1"})
    assert rows(connection, query) == [(7000000000, "leaderboard:s", "apache-2.0", None, [])]
    whole = {"parameters": {"BF16": 7241732096}, "total": 7241732096}
    synced(connection, {"id": "org/a", "safetensors": whole, "_id": "1"})
    assert rows(connection, query) == [(7241732096, "safetensors", "mit", "leaderboard:s", [])]
    searched = """
        SELECT name FROM registry.search_models(
            NULL, by_license => 'mit', min_parameters => 7200000000)"""
    assert rows(connection, searched) == [("org/a",)]


def synced(connection: Connection, record: dict[str, Any]) -> None:
    state = sync_state.SyncState(scope="test", kind=SyncKind.DELTA, as_of=NOON)
    ingest.ingest(connection, state, [page.read([record])], ingest.Incremental())


def test_contradicting_sources(engine: Engine, tmp_path: Path) -> None:
    imported(engine, board(tmp_path / "a.csv", "org/a,0.5,7.2,mit,,,", "org/b-7b,0.5,7.2,mit,,,"))
    other = {**ROLES, "source": "=Other"}
    path = board(tmp_path / "b.csv", "org/a,0.5,7.24,llama2,,,", "org/b-7b,0.5,14,mit,,,")
    imported(engine, path, other)
    assert model(engine, "org/a") == (7240000000, "leaderboard:Other", None, None)
    assert model(engine, "org/b-7b") == (
        7200000000, "leaderboard:Board", "mit", "leaderboard:Board",
    )  # fmt: skip


def test_a_corrected_file_takes_its_facts_back(engine: Engine, tmp_path: Path) -> None:
    path = tmp_path / "b.csv"
    imported(engine, board(path, "org/a,0.5,7,mit,,,"))
    imported(engine, board(path, "org/a,0.5,,mit,,,"))
    assert model(engine, "org/a") == (None, None, "mit", "leaderboard:Board")
    assert asked(engine, "SELECT fact FROM registry.model_facts") == [("license",)]


def test_what_two_files_state_alike_is_written_once(engine: Engine, tmp_path: Path) -> None:
    files = [board(tmp_path / name, "org/a,0.5,7,mit,,,") for name in ("a.csv", "b.csv")]
    written = []
    for _ in range(2):
        for each in files:
            imported(engine, each)
            written.append(asked(engine, "SELECT xmin::text, import_id FROM store.model_facts"))
    assert written == written[:1] * 4
    # Another value is the later file's, as is what its earlier version stated.
    imported(engine, board(files[1], "org/a,0.5,8,mit,,,"))
    owners = "SELECT fact, import_id FROM store.model_facts ORDER BY fact"
    (_, first), (_, second) = asked(engine, owners)
    assert first != second
    imported(engine, board(files[0], "org/a,0.6,8,mit,,,"))
    assert [import_id for _, import_id in asked(engine, owners)] == [
        max(each for (each,) in asked(engine, "SELECT import_id FROM store.imports")),
        second,
    ]


def test_facts_go_with_their_file(engine: Engine, tmp_path: Path) -> None:
    with engine.begin() as connection:
        factories.model(connection, "org/hub")
    path = board(tmp_path / "b.csv", "org/a,0.5,7,mit,,,", "org/hub,0.5,3,mit,,,")
    imported(engine, path)
    removal = remove(engine, RemovalSelection(files=[str(path)]))
    assert removal.stubs == ["org/a"]
    assert model(engine, "org/hub") == (None, None, None, None)
    for table in ("model_facts", "sources", "evaluated_names"):
        assert asked(engine, f"SELECT count(*) FROM store.{table}") == [(0,)], table


def test_facts_move_with_names(connection: Connection) -> None:
    stub = factories.model(connection, "name", state="stub")
    other = factories.model(connection, "org/name")
    connection.execute(text("INSERT INTO store.sources (name) VALUES ('s')"))
    connection.execute(
        text("""
        INSERT INTO store.model_facts
        SELECT :stub, source_id, 'parameters', '7000000000', NULL FROM store.sources"""),
        {"stub": stub},
    )
    effective.apply(connection, [stub])
    assert rows(connection, "SELECT name FROM registry.models WHERE parameters = 7000000000") == [
        ("name",)
    ]
    merge_stub(connection, stub, into=other, source="case", as_of=NOON)
    query = "SELECT parameters, parameters_source FROM registry.models WHERE name = 'org/name'"
    assert rows(connection, query) == [(7000000000, "leaderboard:s")]


def test_facts_move_when_a_name_is_resolved(engine: Engine, tmp_path: Path) -> None:
    imported(engine, board(tmp_path / "b.csv", "a__b,0.5,7,mit,,,"))
    with engine.begin() as connection:
        factories.model(connection, "a/b")
        resolution.resolve_again(connection)
    assert model(engine, "a/b") == (7 * 10**9, "leaderboard:Board", "mit", "leaderboard:Board")
    assert asked(engine, "SELECT model FROM registry.model_facts") == [("a/b",)] * 2


def test_columns_that_are_left_out_are_named(
    engine: Engine, commands: Commands, tmp_path: Path
) -> None:
    path = tmp_path / "w.yaml"
    path.write_text(
        """
layout: scores-by-model
columns: {model: who}
facts: {parameters: "={size}B", owner: nobody}
series: [{column: acc, benchmark: b}]
""",
    )
    table = board(tmp_path / "b.csv", "org/a,0.5,7,mit,org/base,x,y")
    said = commands("evals", "import", str(table), "--mapping", str(path)).stderr
    assert "left out 4 columns that hold no outcome or score: licence, base, kind, note" in said
    assert "left out 1 facts whose columns it lacks: owner" in said
    assert model(engine, "org/a")[:1] == (7 * 10**9,)


def test_of_many_columns_some_are_named_and_the_others_counted(
    commands: Commands, tmp_path: Path
) -> None:
    mapping, table = tmp_path / "w.yaml", tmp_path / "t.csv"
    mapping.write_text(
        "layout: scores-by-model\ncolumns: {model: who}\nseries: [{column: acc, benchmark: b}]\n"
    )
    names = [f"c{number:02}" for number in range(45)]
    table.write_text(f"who,acc,{','.join(names)}\norg/a,0.5{',' * 45}\n")
    said = commands("evals", "import", str(table), "--mapping", str(mapping)).stderr
    named = "left out 45 columns that hold no outcome or score: " + ", ".join(names[:40])
    assert f"{named} and 5 more\n" in said


@pytest.mark.parametrize(
    ("roles", "message"),
    [
        ({"fact.parameters": "size"}, "line 2, field 'size': '7' is not a number of weights with"),
        ({"fact.parameters": "licence"}, "'mit' is not a number of weights, such as 7.24B"),
        ({"fact.Bad Name": "size"}, "named facts of small letters"),
    ],
)
def test_bad_facts(
    engine: Engine, commands: Commands, tmp_path: Path, roles: Any, message: str
) -> None:
    path = board(tmp_path / "b.csv", "org/a,0.5,7,mit,,,")
    columns = [
        word
        for role, column in ({**ROLES, **roles}).items()
        for word in ("--column", f"{role}={column}")
    ]
    result = commands("evals", "import", str(path), *columns)
    assert result.exit_code != 0
    assert message in " ".join(result.stderr.split())
    assert asked(engine, "SELECT count(*) FROM store.runs") == [(0,)]


STATED = "SELECT model, fact, value, source FROM registry.model_facts ORDER BY 1, 2, 4"


@pytest.mark.parametrize("encoding", ["parquet", "csv"])
def test_an_archive_carries_facts(engine: Engine, tmp_path: Path, encoding: str) -> None:
    first = board(tmp_path / "a.csv", "org/a,0.5,7.2,MIT,org/base,chat,x", "org/b,0.4,3,,,é; ü,")
    second = board(tmp_path / "b.csv", "org/a,0.6,7.3,,,,")
    imported(engine, first)
    imported(engine, second, {**ROLES, "source": "=Other"})
    stated, sizes = asked(engine, STATED), [model(engine, each) for each in ("org/a", "org/b")]
    export(engine, tmp_path / "all", encoding)
    export(engine, tmp_path / "one", encoding, RunSelection(models=["org/a"], sources=["Board"]))
    remove(engine, RemovalSelection(files=[str(first), str(second)]))
    assert asked(engine, STATED) == []
    for _ in range(2):
        (report,) = import_files(engine, [tmp_path / "all"])
        assert (report.error, report.format) == (None, "registry")
        assert asked(engine, STATED) == stated
        assert [model(engine, each) for each in ("org/a", "org/b")] == sizes
    remove(engine, RemovalSelection(files=[report.place]))
    (report,) = import_files(engine, [tmp_path / "one"])
    assert asked(engine, STATED) == [row for row in stated if row[::3] == ("org/a", "Board")]


@pytest.mark.parametrize(
    ("fact", "value"),
    [("parameters", "7B"), ("parameters", "9" * 30), ("parameters", "-1"), ("", "x"), ("A b", "x"),
     ("license", "")],
)  # fmt: skip
def test_facts_of_an_archive_that_are_none(
    engine: Engine, tmp_path: Path, fact: str, value: str
) -> None:
    facts = [Facts(source=Source(name="s"), facts=[ModelFact("org/a", fact, value)])]
    (tmp_path / "x").mkdir()
    archive.write([], tmp_path / "x", encoding="parquet", facts=facts, now=NOON)
    (report,) = import_files(engine, [tmp_path / "x"])
    assert "facts.parquet" in str(report.error)
    assert "is no fact of a model" in str(report.error)
    assert asked(engine, STATED) == []


@pytest.mark.parametrize("licences", [("apache-2.0", "mit", "bsd-3-clause")])
def test_the_best_below_8b_is_the_tables(
    engine: Engine, tmp_path: Path, shared: Path, licences: tuple[str, ...]
) -> None:
    path = shared / "open-llm-leaderboard-v2" / "contents.csv.gz"
    copy = tmp_path / "contents.csv"
    copy.write_bytes(gzip.decompress(path.read_bytes()))
    (report,) = import_files(engine, [copy], ImportOptions(mapping="open-llm-leaderboard-v2"))
    assert report.error is None
    frame = pd.read_csv(copy)
    few = frame[
        frame["Hub License"].isin(licences)
        & (frame["#Params (B)"] > 0)
        & (frame["#Params (B)"] <= 8)
    ]
    best = few.sort_values("MMLU-PRO Raw").iloc[-1]
    query = """
        SELECT l.model, l.raw_score
          FROM registry.leaderboard l JOIN registry.models m ON m.name = l.model
         WHERE l.benchmark = 'leaderboard_mmlu_pro' AND m.parameters <= 8e9
           AND m.license = ANY (:licences)
         ORDER BY l.raw_score DESC LIMIT 1"""
    assert asked(engine, query, licences=list(licences)) == [
        (best["fullname"], pytest.approx(best["MMLU-PRO Raw"]))
    ]
    known = asked(
        engine, "SELECT count(*) FILTER (WHERE parameters > 0), count(*) FROM registry.models"
    )
    assert known[0][0] >= known[0][1] - 15


def test_a_stub_has_from_the_start_what_its_name_says(connection: Connection) -> None:
    """What is stored with it is what a computation of sizes, features and lexemes would write."""
    keys = add_stubs(connection, ["org/b-7B-chat", "org/plain", "a-70b"], as_of=NOON)
    stored = """
        SELECT name, parameters, parameters_source, search, f.feature_set_id IS NOT NULL
          FROM store.models LEFT JOIN store.model_features f USING (model_id) ORDER BY model_id"""
    before = rows(connection, stored)
    assert [row[:3] + row[4:] for row in before] == [
        ("a-70b", 70_000_000_000, "name", True), ("org/b-7B-chat", 7_000_000_000, "name", True),
        ("org/plain", None, None, False),
    ]  # fmt: skip
    assert effective.apply(connection, keys) == 0
    connection.execute(text("UPDATE store.models SET parameters = parameters"))
    assert factories.refresh_features(connection) == 0
    assert rows(connection, stored) == before
