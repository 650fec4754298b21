"""Facts of models in the database: stated by sources of evaluations, moved, and removed."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import Connection, text

from registry.catalog.facts import effective
from registry.catalog.facts.values import ModelFact
from registry.db.copy import copy_rows


class StatedFacts(NamedTuple):
    """How many facts a file states, and how many of them are new or have another value."""

    stated: int = 0
    changed: int = 0


def state_facts(
    connection: Connection,
    facts: Mapping[int, Sequence[ModelFact]],
    *,
    import_id: int,
    former: Sequence[int] = (),
) -> StatedFacts:
    """Store the facts of a file, in place of those of its earlier versions.

    What another file of the source states alike stays that file's, so that files which are imported
    again and again change nothing.

    Args:
        connection: in a transaction; the models' names are resolved.
        facts: by the key of the source that states them.
        import_id: key of the file.
        former: keys of its imports with other content.
    """
    listed = [(source, *each) for source, several in facts.items() for each in several]
    connection.exec_driver_sql("""
        CREATE TEMPORARY TABLE IF NOT EXISTS incoming_facts (
            source_id integer, name text, fact text, value text);
        DELETE FROM incoming_facts""")
    copy_rows(connection, "incoming_facts", ("source_id", "name", "fact", "value"), listed)
    # Of two names of one model the one that is surer, else the first.
    connection.exec_driver_sql("""
        CREATE TEMPORARY TABLE IF NOT EXISTS stated_facts (
            model_id bigint, source_id integer, fact text, value text,
            PRIMARY KEY (model_id, source_id, fact));
        DELETE FROM stated_facts;
        INSERT INTO stated_facts
        SELECT DISTINCT ON (n.model_id, i.source_id, i.fact)
               n.model_id, i.source_id, i.fact, i.value
          FROM incoming_facts i JOIN store.evaluated_names n USING (name)
         ORDER BY n.model_id, i.source_id, i.fact, n.confidence DESC, n.name COLLATE "C";
        ANALYZE stated_facts""")
    gone = connection.scalars(
        text("""
        DELETE FROM store.model_facts f
         WHERE f.import_id = ANY (:imports)
           AND NOT EXISTS (SELECT FROM stated_facts s
                            WHERE (s.model_id, s.source_id, s.fact)
                                  = (f.model_id, f.source_id, f.fact))
        RETURNING f.model_id"""),
        {"imports": [import_id, *former]},
    ).all()
    changed = connection.scalars(
        text("""
        SELECT s.model_id
          FROM stated_facts s LEFT JOIN store.model_facts f USING (model_id, source_id, fact)
         WHERE f.value IS DISTINCT FROM s.value""")
    ).all()
    connection.execute(
        text("""
        INSERT INTO store.model_facts AS f (model_id, source_id, fact, value, import_id)
        SELECT model_id, source_id, fact, value, :import FROM stated_facts
            ON CONFLICT (model_id, source_id, fact) DO UPDATE
           SET value = excluded.value, import_id = excluded.import_id
         WHERE f.value IS DISTINCT FROM excluded.value OR f.import_id = ANY (:former)"""),
        {"import": import_id, "former": list(former)},
    )
    effective.spread(connection, {*gone, *changed})
    return StatedFacts(len(listed), len(changed) + len(gone))


def stored_facts(
    connection: Connection, names: Collection[str] | None, sources: Collection[str]
) -> dict[tuple[str, str | None], list[ModelFact]]:
    """Return the stored facts by the name and address of their source.

    Args:
        connection: to read from.
        names: only of models of these names in evaluations; None for all.
        sources: only of these; empty for all.
    """
    rows = connection.execute(
        text("""
        SELECT s.name AS source, s.url, m.name, f.fact, f.value
          FROM store.model_facts f
          JOIN store.sources s USING (source_id)
          JOIN store.models m USING (model_id)
         WHERE (CAST(:names AS text[]) IS NULL
                OR f.model_id IN (SELECT n.model_id FROM store.evaluated_names n
                                   WHERE n.name = ANY (:names)))
           AND (CAST(:sources AS text[]) = '{}' OR s.name = ANY (:sources))
         ORDER BY s.name, m.name COLLATE "C", f.fact"""),
        {"names": None if names is None else list(names), "sources": list(sources)},
    )
    facts: dict[tuple[str, str | None], list[ModelFact]] = {}
    for source, url, *fact in rows:
        facts.setdefault((source, url), []).append(ModelFact(*fact))
    return facts


def delete_facts(connection: Connection, imports: Iterable[int]) -> list[int]:
    """Delete the facts of files; return the keys of the models that they were of."""
    models = sorted(
        set(
            connection.scalars(
                text("""
                DELETE FROM store.model_facts WHERE import_id = ANY (:imports)
                RETURNING model_id"""),
                {"imports": list(imports)},
            )
        )
    )
    effective.spread(connection, models)
    return models
