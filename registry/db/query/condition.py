"""A user's SQL condition on the rows of a view: checked, and run read-only within a time limit."""

import re
from collections.abc import Callable

from sqlalchemy import Engine

from registry.db.query import QueryError, run_query
from registry.errors import UsageError

SECONDS = 30.0
"""Time that a condition may take."""

_ALL = 10**9  # rows
_PLACE = re.compile(r", at line (\d+), column (\d+)")


def evaluated_models(engine: Engine, condition: str) -> list[str]:
    """Return the names of the evaluated models whose rows of `registry.models` fulfil a condition.

    Args:
        engine: of a database at head.
        condition: an SQL expression, such as `parameters < 8e9 AND license = 'mit'`.

    Raises:
        UsageError: it is no condition, or Postgres fails to evaluate it; says where, if known.
    """
    if not condition.strip():
        raise UsageError("The condition is empty; it is an SQL expression on columns of models.")
    # What fits both places is an expression: brackets that end one clause break the other, so that
    # it means alone what it means here. A line break ends a remark.
    _run(engine, condition, "SELECT ARRAY[\n{}\n] FROM models LIMIT 0")
    return _run(
        engine,
        condition,
        "SELECT m.name FROM (SELECT * FROM models WHERE (\n{}\n)) m "
        "WHERE m.name IN (SELECT e.model FROM evaluated_names e)",
    )


def _run(engine: Engine, condition: str, statement: str) -> list[str]:
    whole = statement.replace("{}", condition)
    try:
        with run_query(engine, whole, timeout=SECONDS, max_rows=_ALL) as result:
            return [str(row[0]) for row in result.rows]
    except (QueryError, UsageError) as error:
        if "took longer" in str(error):
            raise UsageError(f"The condition took longer than {SECONDS:g} s.") from error
        problem = _PLACE.sub(_in(condition), str(error)).removeprefix("SQL: ")
        problem = problem.replace("argument of WHERE", "it")
        raise UsageError(f"The condition on models cannot be evaluated: {problem}") from error


def _in(condition: str) -> Callable[[re.Match[str]], str]:
    """Return a function that writes a place of a statement as that of its condition."""

    def place(match: re.Match[str]) -> str:
        line, column = int(match[1]) - 1, match[2]
        lines = condition.count("\n") + 1
        if not 1 <= line <= lines:
            return ""
        return f", at column {column}" if lines == 1 else f", at line {line}, column {column}"

    return place
