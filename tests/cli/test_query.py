"""`registry query`: SQL that only reads, in every format."""

import csv
import io
import json
import sys
from pathlib import Path

import pytest
from cli_commands import Commands
from sqlalchemy import Engine, text

KINDS = """
SELECT 1 AS number, 'a "b", c' AS said, NULL AS nothing, true AS yes, 1.50 AS exact,
       timestamptz '2026-01-31 12:00+02' AS at, ARRAY['x', 'y'] AS list,
       '{"k": [1, null]}'::jsonb AS document, date '2026-01-31' AS day,
       interval '1 day' AS long, '\\x00ff'::bytea AS bytes, 12345678901234567890::numeric AS large,
       'NaN'::float8 AS nan, '{"n": 99999999999999999999}'::jsonb AS larger,
       '[1,2]'::vector AS vector
"""


def test_json_keeps_types(sample: Commands) -> None:
    assert json.loads(sample.done("query", KINDS, "--format", "json")) == [
        {
            "number": 1,
            "said": 'a "b", c',
            "nothing": None,
            "yes": True,
            "exact": 1.5,
            "at": "2026-01-31T10:00:00Z",
            "list": ["x", "y"],
            "document": {"k": [1, None]},
            "day": "2026-01-31",
            "long": "1 day",
            "bytes": "\\x00ff",
            "large": 12345678901234567890,
            "nan": None,
            "larger": {"n": 99999999999999999999},
            "vector": "[1,2]",
        }
    ]


def test_csv(sample: Commands) -> None:
    rows = list(csv.DictReader(io.StringIO(sample.done("query", KINDS))))
    assert rows == [
        {
            "number": "1",
            "said": 'a "b", c',
            "nothing": "",
            "yes": "true",
            "exact": "1.50",
            "at": "2026-01-31T10:00:00Z",
            "list": '["x","y"]',
            "document": '{"k":[1,null]}',
            "day": "2026-01-31",
            "long": "1 day",
            "bytes": "\\x00ff",
            "large": "12345678901234567890",
            "nan": "nan",
            "larger": '{"n":99999999999999999999}',
            "vector": "[1,2]",
        }
    ]


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("timestamptz 'infinity'", "infinity"),
        ("timestamp '-infinity'", "-infinity"),
        ("timestamptz '20000-01-31 12:00Z'", "20000-01-31 12:00:00+00"),
        ("timestamp '0044-03-15 12:00 BC'", "0044-03-15 12:00:00 BC"),
        ("date '0044-03-15 BC'", "0044-03-15 BC"),
        ("date 'infinity'", "infinity"),
        ("time '24:00'", "24:00:00"),
        ("interval '2000000000 days'", "2000000000 days"),
        ("interval '99999999 years'", "99999999 years"),
        ("interval '1 month'", "1 mon"),
        ("interval 'infinity'", "infinity"),
        ("age('2026-03-31'::timestamp, '2025-01-31')", "1 year 2 mons"),
        ("timetz '12:00+02'", "12:00:00+02"),
    ],
)
def test_moments_that_python_has_no_value_for(sample: Commands, value: str, written: str) -> None:
    statement = f"SELECT {value} AS at, now() AS now, ARRAY[{value}] AS list"
    assert sample.json("query", statement)[0]["at"] == written
    assert sample.json("query", statement)[0]["list"] == [written]
    for form in ("csv", "table", "quiet"):
        assert written in sample.done("query", statement, "--format", form)


def test_the_other_formats(sample: Commands) -> None:
    statement = "SELECT * FROM (VALUES ('a', 1), ('b', 22)) AS v (name, n)"
    assert sample.done("query", statement, "--format", "jsonl") == (
        '{"name":"a","n":1}\n{"name":"b","n":22}\n'
    )
    assert sample.done("query", statement, "--format", "quiet") == "a\nb\n"
    table = sample.done("query", statement, "--format", "table").splitlines()
    assert [line.split() for line in (table[0], *table[2:])] == [
        ["name", "n"],
        ["a", "1"],
        ["b", "22"],
    ]


@pytest.mark.parametrize("form", ["json", "jsonl"])
def test_columns_of_one_name(sample: Commands, form: str) -> None:
    result = sample("query", "SELECT 1 AS a, 2 AS b, 3 AS b", "--format", form)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "'b'" in result.stderr
    assert "AS" in result.stderr
    assert sample.done("query", "SELECT 1 AS a, 2 AS a", "--format", "csv") == "a,a\n1,2\n"


def test_no_rows_keep_their_columns(sample: Commands) -> None:
    result = sample("query", "SELECT name, downloads FROM models WHERE false")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "name,downloads\n", "No rows.\n")
    assert sample.json("query", "SELECT name FROM models WHERE false") == []


def test_views_and_functions_need_no_schema(sample: Commands) -> None:
    out = sample.done(
        "query",
        "SELECT m.name FROM models m JOIN ancestors('mistralai/Mistral-7B-Instruct-v0.1') a"
        " ON a.ancestor = m.name",
        "--format",
        "quiet",
    )
    assert out == "mistralai/Mistral-7B-v0.1\n"


def test_percent_and_colon_are_left_alone(sample: Commands) -> None:
    out = sample.done(
        "query",
        "SELECT '100%' LIKE '%' AS a, '%s' AS b, ':x' AS c, (ARRAY['a', 'b'])[1:1]::text AS d",
        "--format",
        "jsonl",
    )
    assert out == '{"a":true,"b":"%s","c":":x","d":"{a}"}\n'


def test_statement_from_a_file_or_stdin(sample: Commands, tmp_path: Path) -> None:
    (tmp_path / "q.sql").write_text("SELECT 'ü' AS letter; -- done\n", encoding="utf-8")
    assert sample.done("query", "-f", str(tmp_path / "q.sql"), "--format", "quiet") == "ü\n"
    piped = sample("query", "-", "--format", "quiet", stdin="SELECT 2")
    assert (piped.exit_code, piped.stdout) == (0, "2\n")


def test_a_byte_order_mark_is_no_sql(sample: Commands, tmp_path: Path) -> None:
    marked = "SELECT 'ü' AS letter".encode("utf-8-sig")
    (tmp_path / "q.sql").write_bytes(marked)
    assert sample.done("query", "-f", str(tmp_path / "q.sql"), "--format", "quiet") == "ü\n"
    piped = sample("query", "-", "--format", "quiet", stdin=marked.decode())
    assert (piped.exit_code, piped.stdout) == (0, "ü\n")


def test_a_file_in_another_encoding(sample: Commands, tmp_path: Path) -> None:
    path = tmp_path / "q.sql"
    path.write_bytes("SELECT 'ü' AS letter".encode("latin-1"))
    err = sample.refused(2, "query", "-f", str(path))
    assert err.startswith(f"Error: {path} is not in UTF-8: byte 0xfc")
    assert err.count("\n") == 1


def test_cut_off(sample: Commands) -> None:
    result = sample("query", "SELECT generate_series(1, 10000000)", "--max-rows", "3")
    assert result.exit_code == 0
    assert result.stdout == "generate_series\n1\n2\n3\n"
    assert result.stderr == "Cut off after 3 rows; --max-rows allows more.\n"
    cut = sample("query", "SELECT repeat('x', 1000) FROM models", "--max-bytes", "0.002")
    assert cut.stdout.count("\n") == 3
    assert cut.stderr == "Cut off after 2 rows; --max-bytes allows more.\n"
    command = ("query", "SELECT repeat('x', 1000) FROM models", "--max-bytes", "0.002")
    assert sample(*command, "--format", "table").stderr == cut.stderr
    whole = sample("query", "SELECT generate_series(1, 3)", "--max-rows", "3")
    assert whole.stderr == ""


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO store.similarity_weights VALUES ('x', 0.5, '')",
        "DELETE FROM store.models RETURNING name",
        "WITH gone AS (DELETE FROM store.models RETURNING 1) SELECT * FROM gone",
        "CREATE TABLE public.mine ()",
        "TRUNCATE store.models CASCADE",
        "DO $$ BEGIN DELETE FROM store.models; END $$",
    ],
)
def test_writing_is_refused(commands: Commands, engine: Engine, statement: str) -> None:
    err = commands.refused(1, "query", statement)
    assert err.startswith("Error: This only reads: ") or "permission denied" in err
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT to_regclass('public.mine')")) is None


def test_the_transaction_stays_read_only(commands: Commands) -> None:
    statement = "SELECT set_config('transaction_read_only', 'off', false)"
    assert "read-write mode" in commands.refused(1, "query", statement)


def test_it_runs_with_the_rights_of_the_reader(sample: Commands) -> None:
    rights = "SELECT pg_has_role(session_user, 'registry_reader', 'USAGE'), usesuper FROM pg_user"
    out = sample.done("query", f"{rights} WHERE usename = session_user", "--format", "jsonl")
    assert out == '{"pg_has_role":true,"usesuper":false}\n'


def test_two_statements(sample: Commands) -> None:
    assert "more than one statement" in sample.refused(2, "query", "SELECT 1; SELECT 2")


@pytest.mark.parametrize("statement", ["", "  \n ", "/* nothing but a remark */", ";"])
def test_no_statement(sample: Commands, statement: str) -> None:
    assert "no SQL statement" in sample.refused(2, "query", statement)


def test_both_sources(sample: Commands, tmp_path: Path) -> None:
    (tmp_path / "q.sql").write_text("SELECT 1")
    assert "Give the SQL" in sample.refused(2, "query", "SELECT 1", "-f", str(tmp_path / "q.sql"))


@pytest.mark.parametrize("statement", ["SELECT $1", "SELECT 1 WHERE 2 = $1"])
def test_a_parameter_has_no_value(sample: Commands, statement: str) -> None:
    assert "the parameter $1 has no value" in sample.refused(2, "query", statement)


@pytest.mark.parametrize("state", ["08P01", "08006", "57P01", "53300"])
def test_an_error_that_leaves_the_connection_is_one_of_the_statement(
    commands: Commands, engine: Engine, state: str
) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "CREATE FUNCTION public.failing() RETURNS int LANGUAGE plpgsql AS $$ BEGIN"
            f" RAISE 'so be it' USING ERRCODE = '{state}'; END $$"
        )
    assert commands.refused(1, "query", "SELECT failing()") == "Error: SQL: so be it.\n"


def test_a_view_of_ones_own_does_not_hide_one_of_the_registry(
    commands: Commands, engine: Engine
) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE VIEW public.models AS SELECT 1 AS one")
        connection.exec_driver_sql("GRANT SELECT ON public.models TO registry_reader")
    assert commands.done("query", "SELECT count(*) FROM models") == "count\n0\n"


def test_a_view_of_ones_own_is_to_be_granted(commands: Commands, engine: Engine) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE VIEW public.mine AS SELECT 1 AS one")
        connection.exec_driver_sql("CREATE SCHEMA ours CREATE TABLE things ()")
    hint = commands.refused(1, "query", "SELECT * FROM mine").rpartition(": ")[2]
    assert hint == "GRANT SELECT ON mine TO registry_reader.\n"
    with engine.begin() as connection:
        connection.exec_driver_sql(hint.rstrip(".\n"))
    assert commands.done("query", "SELECT * FROM mine") == "one\n1\n"
    hint = commands.refused(1, "query", "SELECT * FROM ours.things").rpartition(": ")[2]
    assert hint == "GRANT USAGE ON SCHEMA ours TO registry_reader.\n"
    # What only a writer may do is not to be granted.
    assert "GRANT" not in commands.refused(1, "query", "DELETE FROM store.models RETURNING name")


@pytest.mark.parametrize("remark", ["-- of one\n", "--of one\n", "--\n", "-- a=b\n-- c\n"])
def test_sql_may_begin_with_a_remark(sample: Commands, remark: str) -> None:
    statement = f"{remark}SELECT 1 AS one"
    assert sample.done("query", statement, "--format", "csv") == "one\n1\n"
    assert sample.done("query", "--format", "csv", statement) == "one\n1\n"
    assert sample.done("query", "--format", "csv", "--", statement) == "one\n1\n"
    assert "No such option" in sample.refused(2, "query", statement, "--max-row", "1")
    assert "no SQL statement" in sample.refused(2, "query", "-- nothing but a remark")


def test_syntax_error_has_its_place(sample: Commands) -> None:
    err = sample.refused(2, "query", "SELECT name\n  FORM models")
    assert err == 'Error: SQL: syntax error at or near "models", at line 2, column 8.\n'


def test_unknown_column(sample: Commands) -> None:
    err = sample.refused(1, "query", "SELECT nam FROM models")
    assert 'column "nam" does not exist, at line 1, column 8.' in err
    assert "models.name" in err


def test_a_table_has_room_for_so_many_cells(
    sample: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules["registry.cli.query"], "TABLE_CELLS", 6)
    statement = "SELECT n, n AS m FROM generate_series(1, 10) n"
    cut = sample("query", statement, "--format", "table")
    assert (cut.exit_code, len(cut.stdout.splitlines())) == (0, 2 + 3)
    assert cut.stderr.startswith("Cut off after 3 rows; a table has 6 cells")
    assert "--format csv writes all" in cut.stderr


def test_a_huge_value_is_refused_while_it_arrives(sample: Commands) -> None:
    err = sample.refused(1, "query", "SELECT repeat('x', 300000000)")
    assert "A row (or an error) has more than 8 MB" in err


def test_error_in_the_middle_of_the_rows(sample: Commands) -> None:
    result = sample("query", "SELECT 1 / (3 - n) AS x FROM generate_series(1, 5) n")
    assert result.exit_code == 1
    assert "division by zero" in result.stderr


@pytest.mark.parametrize("form", ["table", "csv", "json", "jsonl", "quiet"])
def test_error_before_the_first_row_leaves_nothing(sample: Commands, form: str) -> None:
    for statement in (
        "SELECT pg_read_file('/etc/passwd')",
        "SELECT 1 / (n - n) FROM models, (VALUES (0)) AS v (n)",
    ):
        result = sample("query", statement, "--format", form)
        assert (result.exit_code, result.stdout) == (1, "")


def test_timeout(sample: Commands) -> None:
    err = sample.refused(1, "query", "SELECT pg_sleep(30)", "--timeout", "0.1")
    assert "took longer than 0.1 s" in err
    assert "--timeout" in err


def test_control_characters_do_not_reach_the_terminal(sample: Commands) -> None:
    out = sample.done("query", r"SELECT E'a\u001b[31mb\nc' AS x", "--format", "table")
    assert "\x1b" not in out
    assert r"a\x1b[31mb c" in out


def test_copy_is_no_way_around(sample: Commands, tmp_path: Path) -> None:
    target = tmp_path / "stolen"
    sample.refused(1, "query", f"COPY (SELECT 1) TO PROGRAM 'cat > {target}'")
    assert not target.exists()
    sample.refused(1, "query", "COPY (SELECT 1) TO STDOUT")
