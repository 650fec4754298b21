"""Memory of `registry query`, whatever a statement returns."""

import pytest
from query_memory import queried

MOST = 300  # megabytes

STATEMENTS = (
    ("SELECT repeat('x', 1000000000)",),
    ("SELECT n FROM generate_series(1, 2000000) n", "--max-rows", "2000000", "--format", "table"),
    ("SELECT n FROM generate_series(1, 2000000) n", "--max-rows", "2000000", "--format", "csv"),
    ("SELECT repeat('x', 5000000) FROM generate_series(1, 60)", "--max-bytes", "1000"),
    ("SELECT array_agg('ab' || n % 10) FROM generate_series(1, 1900000) n", "--format", "json"),
    ("SELECT jsonb_agg('{}'::jsonb) FROM generate_series(1, 2000000)", "--format", "json"),
)


@pytest.mark.benchmark
def test_memory(database_url: str) -> None:
    for arguments in STATEMENTS:
        _, megabytes = queried(database_url, *arguments)
        print(f"{megabytes} MB: registry query {' '.join(arguments)}")
        assert megabytes <= MOST
