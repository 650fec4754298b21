import pytest

from registry.db.query.kinds import QueryError, require_reading


@pytest.mark.parametrize(
    "statement",
    [
        "select 1",
        "SELECT(1)",
        "((SELECT 1))",
        "/* a /* b */ */ -- c\n SELECT 1",
        "; ;SELECT 1",
        "TABLE models",
        "VALUES (1)",
        "WITH a AS (SELECT 1) TABLE a",
        "SHOW work_mem",
        "EXPLAIN SELECT 1",
        "EXPLAIN ((SELECT 1))",
        "EXPLAIN ANALYZE VERBOSE SELECT 1",
        "EXPLAIN(ANALYZE, FORMAT json)SELECT 1",
        "EXPLAIN (ANALYZE /* ) */, BUFFERS) (SELECT 1)",
        "EXPLAIN (COSTS off) -- ;\n WITH a AS (SELECT 1) TABLE a",
        "EXPLAIN " + "(" * 200_000 + "SELECT 1" + ")" * 200_000,
    ],
)
def test_what_reads_is_taken(statement: str) -> None:
    require_reading(statement)


@pytest.mark.parametrize(
    "statement",
    [
        "EXPLAIN DELETE FROM models",
        "EXPLAIN (ANALYZE) DELETE FROM models",
        "EXPLAIN ANALYZE EXECUTE p",
        "EXPLAIN SHOW work_mem",
        "EXPLAIN",
        "EXPLAIN (ANALYZE",
        '"select" 1',
        "selection",
        "1",
    ],
)
def test_what_does_not_is_refused(statement: str) -> None:
    with pytest.raises(QueryError):
        require_reading(statement)
