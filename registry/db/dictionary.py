"""The data dictionary of schema `registry`, as Markdown, from the comments in the database.

The comment of a function has a paragraph that says what it does, then a line `name: meaning` for
each argument and each column that comes back. Any comment may end with a paragraph `Example:`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, text

_INTRODUCTION = """\
# The registry in SQL

Written by `registry db dictionary` from the comments in the database, which `\\d+` and `\\df+` of
psql also show.

Schema `registry` holds the views and functions that are documented here, which stay the same from
version to version. The tables are in schema `store` and may change. Grant the role
`registry_reader` to users who only query: it reads everything and writes nothing.

## What to know first

- **Names.** A model is known by the Hub's `org/name`, as it is now. Views show that name.
  Functions take any name of the model: the present one, a former one or another alias, in any case.
  A name that several models have resolves to none. For an unknown model functions return nothing;
  `nearest_models` and `route`, which need learned vectors, raise an error instead.
- **Embeddings.** Learned vectors come in versions, of which one is current: views and functions
  show all of that one, unless another is named. No version is current until one is promoted.
- **States.** `available`; `gated` (listed, but access must be requested); `private`; `disabled` (by
  the Hub); `gone` (was listed once, is no longer); `stub` (named as a parent or in an evaluation,
  but never seen in a listing: little is known of it). No model is ever deleted.
- **Relations.** `finetune`; `adapter` (such as LoRA); `merge` (of several models); `quantized`
  (the same weights in fewer bits, GGUF files included); `base_unknown` (the parent is stated, but
  not how it was used).
- **Sources of lineage.** `tag` (the Hub's own resolution), `merge_config` (a mergekit
  configuration in the card), `card`. They may disagree: each statement has its own confidence.
- **Families.** A family is all models whose chains of first parents end at one root. So a merge
  belongs to the family of its first source only.
- **Runs.** One model on one version of a benchmark, under one setup, by one measure, as reported by
  one source. Scores are shares in [0, 1], higher being better, beside the raw value and its unit.
  An item that was not observed has no row in `outcomes`; it does not count as wrong.
- **Units.** Parameters are numbers of weights (7 B is 7e9), downloads are those of the last 30 days
  unless all-time, times are in UTC. Confidences, similarities and scores lie in [0, 1]. Distances
  of learned vectors are Euclidean.
- **Unknown values are null**, and unknown lists empty. Most models state only part of this, so
  consider the nulls: `license <> 'mit'` leaves out the models without a licence.
"""


@dataclass(frozen=True, slots=True)
class _Comment:
    """The parts of a comment."""

    summary: str
    meanings: Mapping[str, str]
    example: str


def markdown(connection: Connection) -> str:
    """Return the data dictionary: every view, function, column and argument, with its meaning."""
    views, functions = _views(connection), _functions(connection)
    lines = [_INTRODUCTION, "## Views", ""]
    lines += [f"- [`{name}`](#{name}): {summary}" for name, (summary, _) in views.items()]
    lines += ["", "## Functions", ""]
    for name, (summary, _) in functions.items():
        # The second heading of a name has this anchor.
        anchor = f"{name}-1" if name in views else name
        lines.append(f"- [`{name}`](#{anchor}): {summary}")
    for name, (_, body) in views.items():
        lines += ["", f"### {name}", "", *body]
    for name, (_, body) in functions.items():
        lines += ["", f"### {name}()" if name in views else f"### {name}", "", *body]
    return "\n".join(lines) + "\n"


def _views(connection: Connection) -> dict[str, tuple[str, list[str]]]:
    """Return, for each view, its comment's first sentence and its section."""
    rows = connection.execute(
        text("""
        SELECT c.relname AS view, obj_description(c.oid, 'pg_class') AS comment, a.attname AS name,
               format_type(a.atttypid, a.atttypmod) AS type,
               col_description(c.oid, a.attnum) AS meaning
          FROM store.sql_objects o
          JOIN pg_class c ON c.oid = to_regclass(o.identity)
          JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
         WHERE o.kind = 'VIEW' AND c.relnamespace = 'registry'::regnamespace
         ORDER BY o.ordinal, a.attnum""")
    ).all()
    sections: dict[str, tuple[str, list[str]]] = {}
    for row in rows:
        if row.view not in sections:
            comment = _parse(row.comment)
            body = [comment.summary, "", *_code(comment.example)]
            body += ["| column | type | meaning |", "|---|---|---|"]
            sections[row.view] = (_first_sentence(comment.summary), body)
        sections[row.view][1].append(_cells(f"`{row.name}`", row.type, row.meaning))
    return sections


def _functions(connection: Connection) -> dict[str, tuple[str, list[str]]]:
    """Return, for each function, its comment's first sentence and its section."""
    rows = connection.execute(
        text("""
        SELECT p.proname AS name, obj_description(p.oid, 'pg_proc') AS comment,
               format_type(p.prorettype, NULL) AS result, p.proargnames AS names,
               array(SELECT format_type(oid, NULL)
                       FROM unnest(coalesce(p.proallargtypes, p.proargtypes::oid[]))
                            WITH ORDINALITY AS t (oid, i) ORDER BY i) AS types,
               array(SELECT pg_get_function_arg_default(p.oid, i)
                       FROM generate_series(1, p.pronargs) AS i ORDER BY i) AS defaults
          FROM store.sql_objects o
          JOIN pg_proc p ON o.identity = format(
                   '%I.%I(%s)', 'registry', p.proname, pg_get_function_identity_arguments(p.oid))
         WHERE o.kind = 'FUNCTION' AND p.pronamespace = 'registry'::regnamespace
         ORDER BY o.ordinal""")
    ).all()
    sections = {}
    for row in rows:
        comment = _parse(row.comment)
        columns = list(zip(row.names, row.types, strict=True))
        arguments = list(zip(columns, row.defaults, strict=False))
        signature = ", ".join(
            f"{name} {type_}" + ("" if default is None else f" DEFAULT {default}")
            for (name, type_), default in arguments
        )
        body = [f"`{row.name}({signature})`", "", comment.summary, "", *_code(comment.example)]
        body += ["| argument | type | default | meaning |", "|---|---|---|---|"]
        for (name, type_), default in arguments:
            shown = "" if default is None else f"`{default}`"
            body.append(_cells(f"`{name}`", type_, shown, comment.meanings.get(name)))
        returned = columns[len(arguments) :]
        body += ["", "| returned column | type | meaning |", "|---|---|---|"] if returned else []
        for name, type_ in returned:
            body.append(_cells(f"`{name}`", type_, comment.meanings.get(name)))
        if not returned:
            body += ["", f"Returns one value: `{row.result}`."]
        sections[row.name] = (_first_sentence(comment.summary), body)
    return sections


def _parse(comment: str | None) -> _Comment:
    description, _, example = (comment or "").partition("\n\nExample:\n")
    summary, *lines = description.split("\n")
    meanings = {name: meaning for name, _, meaning in (line.partition(": ") for line in lines)}
    return _Comment(summary, meanings, example)


def _first_sentence(summary: str) -> str:
    return re.split(r"(?<=[.:;])\s", summary, maxsplit=1)[0].rstrip(".:;")


def _code(example: str) -> list[str]:
    return ["```sql", example, "```", ""] if example else []


def _cells(*values: str | None) -> str:
    return f"| {' | '.join((value or '').replace('|', chr(92) + '|') for value in values)} |"
