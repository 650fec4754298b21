"""Generated inputs of four surfaces: no crash, no internal error, nothing that takes 5 s.

FUZZED sets how many in all (default 2,000): two fifths are records, which take least,
and a fifth each of the other surfaces; FUZZ_SEED sets the seed.
"""

import os
import random
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import fuzzing
import pytest
from cli_commands import Commands
from fuzzed import fill
from sqlalchemy import Connection

COUNT = int(os.environ.get("FUZZED", "2000")) // 5
SEED = int(os.environ.get("FUZZ_SEED", "20"))
LONGEST = 5.0  # seconds

pytestmark = pytest.mark.benchmark


def fuzz(surface: str, attempt: Callable[[random.Random], str | None], count: int = COUNT) -> None:
    draw = random.Random(SEED)
    failures: Counter[str] = Counter()
    longest, began = 0.0, time.monotonic()
    for _ in range(count):
        start = time.monotonic()
        failure = attempt(draw)
        taken = time.monotonic() - start
        if failure is not None:
            failures[failure[:120]] += 1
            print(f"{surface}: {failure}")
        longest = max(longest, taken)
    seconds = time.monotonic() - began
    print(
        f"{surface}: {count:,} inputs in {seconds:.0f} s, {failures.total()} failures, longest "
        f"{longest:.2f} s"
    )
    assert not failures
    assert longest < LONGEST


def test_functions_of_sql(connection: Connection) -> None:
    fill(connection)
    functions = fuzzing.functions(connection)

    def attempt(draw: random.Random) -> str | None:
        function = draw.choice(functions)
        arguments = [fuzzing.argument(draw, kind) for kind in function.types]
        failure = fuzzing.sql_failure(connection, function, arguments)
        return failure and f"{function.name} {failure} {str(arguments)[:500]}"

    fuzz("functions of SQL", attempt)


def test_records() -> None:
    fuzz("records", fuzzing.record_failure, 2 * COUNT)


def test_files(tmp_path: Path) -> None:
    fuzz("files", lambda draw: fuzzing.import_failure(draw, tmp_path))


def test_command_lines(sample: Commands) -> None:
    url = sample.url
    assert url is not None
    fuzz("command lines", lambda draw: fuzzing.command_failure(draw, url))
