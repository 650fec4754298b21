"""The views and functions of schema `registry`: one file each, always the current definition.

Files are installed topic by topic, in the order of the folders' names and then of their own. What
was installed is recorded in `store.sql_objects`, so that an upgrade drops that and nothing else: a
user's view that depends on one of these makes the drop fail, with the name of that view.
"""

import hashlib
from importlib import resources

from sqlalchemy import Connection, text

from registry.errors import SchemaNotAtHeadError

_OBJECTS = """
SELECT 'VIEW' AS kind,
       quote_ident(nspname) || '.' || quote_ident(relname) AS identity,
       c.oid::bigint AS made
  FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
 WHERE nspname IN ('registry', 'store') AND relkind = 'v'
UNION ALL
SELECT 'FUNCTION',
       quote_ident(nspname) || '.' || quote_ident(proname)
           || '(' || pg_get_function_identity_arguments(p.oid) || ')',
       p.oid::bigint
  FROM pg_proc p JOIN pg_namespace n ON n.oid = pronamespace
 WHERE nspname IN ('registry', 'store')"""


def files() -> dict[str, str]:
    """Return the text of every SQL file by file name, in the order of installation."""
    bodies = {}
    for topic in sorted(resources.files(__name__).iterdir(), key=lambda entry: entry.name):
        if topic.is_dir():
            scripts = (file for file in topic.iterdir() if file.name.endswith(".sql"))
            for file in sorted(scripts, key=lambda file: file.name):
                bodies[file.name] = file.read_text()
    return bodies


def fingerprint() -> str:
    """Return a digest of all SQL files, which shows whether the installed ones are current."""
    digest = hashlib.sha256()
    for name, body in files().items():
        digest.update(f"{name}\0{body}\0".encode())
    return digest.hexdigest()


def is_current(connection: Connection) -> bool:
    """Return whether the installed views and functions are those of this version, and all there."""
    if connection.scalar(text("SELECT to_regclass('store.sql_objects')")) is None:
        return False
    digests = connection.scalars(text("SELECT DISTINCT fingerprint FROM store.sql_objects")).all()
    return digests == [fingerprint()] and not lost(connection)


def lost(connection: Connection) -> list[str]:
    """Return the installed views and functions that are no longer there."""
    find_types(connection)
    present = set(_objects(connection))
    recorded = connection.execute(
        text("SELECT kind, identity FROM store.sql_objects ORDER BY ordinal")
    )
    return [row.identity for row in recorded if (row.kind, row.identity) not in present]


def find_types(connection: Connection) -> None:
    """Find types and operators of the extensions where those are, until the transaction ends."""
    connection.execute(
        text("""
        SELECT set_config('search_path', string_agg(DISTINCT quote_ident(nspname), ', '), true)
          FROM pg_extension JOIN pg_namespace n ON n.oid = extnamespace
         WHERE extname IN ('vector', 'pg_trgm')""")
    )


def require_current(connection: Connection) -> None:
    """Check that the installed views and functions are those of this version.

    Raises:
        SchemaNotAtHeadError: when they are not.
    """
    if not is_current(connection):
        raise SchemaNotAtHeadError(
            "The views and functions are not those of this version; run `registry db upgrade`."
        )


def drop(connection: Connection) -> None:
    """Drop every view and function that the registry installed, newest first.

    Never by CASCADE: Postgres refuses where an object of a user's depends on one of them.
    """
    if connection.scalar(text("SELECT to_regclass('store.sql_objects')")) is None:
        return
    rows = connection.execute(
        text("SELECT kind, identity FROM store.sql_objects ORDER BY ordinal DESC")
    ).all()
    for row in rows:
        connection.exec_driver_sql(f"DROP {row.kind} IF EXISTS {row.identity}")
    connection.execute(text("DELETE FROM store.sql_objects"))


def dependents(connection: Connection) -> list[str]:
    """Return which objects of users depend on installed ones, a sentence for each."""
    if connection.scalar(text("SELECT to_regclass('store.sql_objects')")) is None:
        return []
    # Names get their schemas as in the errors of an upgrade, which has the same path.
    connection.exec_driver_sql("SET LOCAL search_path = public")
    return list(
        connection.scalars(
            text(f"""
            WITH ours AS (
                SELECT CASE kind WHEN 'VIEW' THEN 'pg_class'::regclass
                                 ELSE 'pg_proc'::regclass END AS classid, made::oid AS objid
                  FROM ({_OBJECTS}) AS o JOIN store.sql_objects USING (kind, identity)
            )
            SELECT DISTINCT pg_describe_object(theirs.classid, theirs.objid, 0) || ' depends on '
                            || pg_describe_object(d.refclassid, d.refobjid, 0)
              FROM pg_depend d
              JOIN ours ON (ours.classid, ours.objid) = (d.refclassid, d.refobjid)
              LEFT JOIN pg_rewrite rule
                     ON d.classid = 'pg_rewrite'::regclass AND rule.oid = d.objid
             CROSS JOIN LATERAL (
                   SELECT CASE WHEN rule.oid IS NULL THEN d.classid ELSE 'pg_class'::regclass END,
                          coalesce(rule.ev_class, d.objid)) AS theirs (classid, objid)
             WHERE d.deptype = 'n' AND (theirs.classid, theirs.objid) NOT IN (TABLE ours)
             ORDER BY 1""")  # noqa: S608
        )
    )


def install(connection: Connection) -> None:
    """Create every view and function, in file-name order, and record them."""
    # no_parameters: a body may hold % and :, which must reach Postgres untouched.
    raw = connection.execution_options(no_parameters=True)
    raw.exec_driver_sql("CREATE SCHEMA IF NOT EXISTS registry")
    before = set(_objects(connection))
    ordered: list[tuple[str, str]] = []
    for body in files().values():
        raw.exec_driver_sql(body)
        for created in _objects(connection):
            if created not in before:
                before.add(created)
                ordered.append(created)
    digest = fingerprint()
    connection.execute(
        text(
            "INSERT INTO store.sql_objects (ordinal, kind, identity, fingerprint)"
            " VALUES (:ordinal, :kind, :identity, :fingerprint)"
        ),
        [
            {"ordinal": ordinal, "kind": kind, "identity": identity, "fingerprint": digest}
            for ordinal, (kind, identity) in enumerate(ordered)
        ],
    )


def _objects(connection: Connection) -> list[tuple[str, str]]:
    rows = connection.execute(text(f"{_OBJECTS} ORDER BY made"))
    return [(row.kind, row.identity) for row in rows]
