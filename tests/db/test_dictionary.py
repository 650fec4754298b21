"""The data dictionary, and that there is nothing in schema `registry` that it cannot explain."""

import re

import pytest
import scored
from databases import REPOSITORY
from domained import kept_domains
from evaluated import block, run, write
from factories import model, rows
from learned import drawn, kept
from priced import offer
from routed import kept_router, subjects_problem
from sqlalchemy import Connection, text

from registry.db import dictionary
from registry.enums import EdgeSource, ModelState, Relation
from registry.evaluations.outcomes import Column
from registry.evaluations.records import Item, Source

EXAMPLES = re.findall(r"```sql\n(.*?)```", (REPOSITORY / "docs" / "sql.md").read_text(), re.DOTALL)


def test_the_page_in_docs_is_current(connection: Connection) -> None:
    current = dictionary.markdown(connection)
    found = (REPOSITORY / "docs" / "sql.md").read_text()
    assert found == current, "run `registry db dictionary > docs/sql.md`"


def test_every_view_and_column_has_a_comment(connection: Connection) -> None:
    silent = connection.scalars(
        text("""
        SELECT format('%s.%s', c.relname, a.attname)
          FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum >= 0
         WHERE c.relnamespace = 'registry'::regnamespace AND c.relkind IN ('v', 'm', 'r')
           AND col_description(c.oid, a.attnum) IS NULL
         UNION ALL
        SELECT c.relname FROM pg_class c
         WHERE c.relnamespace = 'registry'::regnamespace AND c.relkind IN ('v', 'm', 'r')
           AND obj_description(c.oid, 'pg_class') IS NULL""")
    ).all()
    assert silent == []


def test_every_function_and_argument_and_returned_column_has_a_comment(
    connection: Connection,
) -> None:
    silent = connection.scalars(
        text(r"""
        SELECT format('%s: %s', p.oid::regprocedure, name)
          FROM pg_proc p CROSS JOIN unnest(p.proargnames || ARRAY['']) AS name
         WHERE p.pronamespace = 'registry'::regnamespace
           AND coalesce(obj_description(p.oid, 'pg_proc'), '')
               !~ CASE name WHEN '' THEN '.' ELSE format(E'\n%s: \\S', name) END""")
    ).all()
    assert silent == []


def test_every_object_has_its_section(connection: Connection) -> None:
    page = dictionary.markdown(connection)
    for name in connection.scalars(
        text("""
        SELECT relname FROM pg_class
         WHERE relnamespace = 'registry'::regnamespace AND relkind = 'v'
         UNION ALL SELECT proname FROM pg_proc WHERE pronamespace = 'registry'::regnamespace""")
    ).all():
        assert page.count(f"\n### {name}\n") == 1
        assert f"- [`{name}`](#{name}): " in page


def test_a_function_of_a_views_name_has_a_section_of_its_own(connection: Connection) -> None:
    page = dictionary.markdown(connection)
    assert page.count("\n### leaderboard()\n\n`leaderboard(benchmarks text[], ") == 1
    assert "- [`leaderboard`](#leaderboard-1): Models on benchmarks, " in page
    assert "| `canonical` | text | " in page.partition("\n### leaderboard\n")[2].partition("###")[0]


def test_a_view_is_told_with_types_and_meanings(connection: Connection) -> None:
    page = dictionary.markdown(connection)
    assert "| `parameters` | bigint | Number of weights, " in page
    assert "| `model` | text | Present name of the model. |" in page


def test_a_function_is_told_with_defaults_and_what_comes_back(connection: Connection) -> None:
    connection.exec_driver_sql(
        """
        CREATE FUNCTION registry.zzz(a text, n integer DEFAULT 3)
        RETURNS TABLE (b text, c real[]) LANGUAGE sql RETURN (a, ARRAY[n::real]);
        COMMENT ON FUNCTION registry.zzz(text, integer) IS
            E'Sleeps. Deeply.\\na: who\\nn: hours | days\\nb: awake\\n\\nExample:\\nSELECT 1;';
        INSERT INTO store.sql_objects
        VALUES (999, 'FUNCTION', 'registry.zzz(a text, n integer)', '')"""
    )
    page = dictionary.markdown(connection)
    assert "- [`zzz`](#zzz): Sleeps\n" in page
    assert page.endswith(
        """
### zzz

`zzz(a text, n integer DEFAULT 3)`

Sleeps. Deeply.

```sql
SELECT 1;
```

| argument | type | default | meaning |
|---|---|---|---|
| `a` | text |  | who |
| `n` | integer | `3` | hours \\| days |

| returned column | type | meaning |
|---|---|---|
| `b` | text | awake |
| `c` | real[] |  |
"""
    )


def test_every_value_of_a_fixed_list_is_told(connection: Connection) -> None:
    introduction = dictionary.markdown(connection).partition("## Views")[0]
    for value in (*ModelState, *Relation, *EdgeSource):
        assert f"`{value}`" in introduction


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.split("\n")[0][:40])
def test_every_example_runs(connection: Connection, example: str) -> None:
    # What asks for a benchmark or a source that is not there is refused.
    evaluated = run("org/a", [1, 0], source=Source(name="metabench"))
    asked = [Item("0"), Item("1")]
    write(connection, block("gsm8k", evaluated, asked=asked), block("arc", evaluated))
    # What asks for learned vectors is refused where there are none.
    kept(
        connection,
        drawn(2),
        ["HuggingFaceH4/zephyr-7b-beta", "org/a"],
        serving=drawn(2),
        items=[Column("gsm8k", "", "0")],
        item_vectors=drawn(1, 5),
    )
    for name in ("TheBloke/zephyr-7B-beta-AWQ", "mistralai/Mistral-7B-v0.1"):
        model(connection, name)
    scored.version(connection)
    if ".route_" in example:
        kept_router(connection, subjects_problem(dimension=3))
        offer(
            connection,
            "sold",
            rows(connection, "SELECT model_id FROM store.models WHERE name = 'org/m0'")[0][0],
            (0.5, 1.0),
        )
    if "route_domain(" in example or "classify_prompt(" in example:
        kept_domains(connection)
    connection.exec_driver_sql(example)
