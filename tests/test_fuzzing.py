"""A few generated inputs of four surfaces; tests/benchmarks/test_fuzzing.py has 100,000."""

import random
from pathlib import Path

import fuzzing
import pytest
from cli_commands import Commands
from fuzzed import fill
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from registry.sync import page


def test_functions_of_sql_take_any_arguments(connection: Connection) -> None:
    fill(connection)
    draw = random.Random(20)
    functions = fuzzing.functions(connection)
    for function in functions * 10:
        arguments = [fuzzing.argument(draw, kind) for kind in function.types]
        failure = fuzzing.sql_failure(connection, function, arguments)
        assert failure is None, (function.name, arguments, failure)


@pytest.mark.parametrize(
    "call",
    [
        "search_models(NULL, 20, repeat('x', 100000))",
        "search_models(NULL, 20, NULL, repeat('x', 100000))",
        "search_models(NULL, 20, tags => ARRAY[repeat('x', 100000)])",
        "search_models(repeat('x', 100000))",
        "similar_models(NULL, 2147483647)",
        "similar_models('org/m0', 2147483647)",
        "similar_models('org/m0', 536870912)",
        "accuracy_by_domain('org/m0', repeat('x', 300000))",
        'board("limit" => -1)',
        "hardest_items(repeat('x', 300000))",
        "separating_items('org/m0', 'org/m1', repeat('x', 300000))",
    ],
)
def test_what_once_failed(connection: Connection, call: str) -> None:
    fill(connection)
    connection.exec_driver_sql("SET LOCAL statement_timeout = 2000")
    connection.exec_driver_sql(f"SELECT count(*) FROM registry.{call}")


def test_a_search_says_how_many_licences_it_takes(connection: Connection) -> None:
    many = "ARRAY(SELECT i::text FROM generate_series(1, 501) i)"
    for name in ("licenses", "tags"):
        with (
            pytest.raises(DBAPIError, match="at most 500 licences and 500 tags"),
            connection.begin_nested(),
        ):
            connection.exec_driver_sql(
                f"SELECT * FROM registry.search_models(NULL, {name} => {many})"
            )


def test_records_are_parsed_or_rejected() -> None:
    draw = random.Random(20)
    for _ in range(300):
        assert fuzzing.record_failure(draw) is None


def test_files_are_imported_or_refused(tmp_path: Path) -> None:
    draw = random.Random(20)
    for _ in range(150):
        assert fuzzing.import_failure(draw, tmp_path) is None


def test_command_lines_are_run_or_refused(sample: Commands) -> None:
    assert sample.url is not None
    draw = random.Random(20)
    for _ in range(60):
        assert fuzzing.command_failure(draw, sample.url) is None


@pytest.mark.parametrize("raw", [b"acme/\xff", b"\xc3", b"acme/a\xed\xa0\x80"])
def test_bytes_that_are_no_text_are_no_name(raw: bytes) -> None:
    body = b'[{"id": "' + raw + b'"}, {"id": "acme/b"}]'
    read = page.read_body(body)
    assert [*read.listed] == ["acme/b"]
    assert len(read.nameless) == 1
