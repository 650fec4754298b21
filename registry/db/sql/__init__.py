"""The views and functions of schema `registry`: one file each, always the current definition.

Files are installed topic by topic, in the order of the folders' names and then of their own. What
was installed is recorded in `store.sql_objects`, so that an upgrade drops that and nothing else: a
user's view that depends on one of these makes the drop fail, with the name of that view.
"""

import hashlib
from collections.abc import Sequence
from importlib import resources
from typing import NamedTuple

from sqlalchemy import Connection, text

from registry.db.sql.definitions import OBJECTS, digests, restored_digests, server
from registry.errors import SchemaNotAtHeadError, first_of

_SHOWN = 5
"""Objects that a sentence names at most."""


class _Installed(NamedTuple):
    """What `store.sql_objects` says of a view or function.

    Attributes:
        kind: VIEW or FUNCTION.
        identity: its name, with the types of arguments.
        files: digest of all SQL files.
        server: major version of the server that it was installed by.
        definitions: digests of what that server said of it, and says once it is restored.
    """

    kind: str
    identity: str
    files: str
    server: str
    definitions: Sequence[str]


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
    """Return whether the views and functions are this version's, all there, and unaltered."""
    return _is_of_this_version(connection) and not lost(connection) and not altered(connection)


def must_install(connection: Connection) -> bool:
    """Return whether an upgrade has to install the views and functions again.

    Also where another major version of Postgres installed them, with which they cannot be compared;
    not while objects of users depend on them, which would make a server's upgrade fail.
    """
    if not is_current(connection):
        return True
    if all(each.server == server(connection) for each in _installed(connection)):
        return False
    depend = dependents(connection)
    find_types(connection)
    return not depend


def lost(connection: Connection) -> list[str]:
    """Return the installed views and functions that are no longer there."""
    find_types(connection)
    present = set(_objects(connection))
    return [
        each.identity
        for each in _installed(connection)
        if (each.kind, each.identity) not in present
    ]


def altered(connection: Connection) -> list[str]:
    """Return the installed views and functions that are defined otherwise than they were.

    Those that another major version of Postgres installed are taken as they are.
    """
    find_types(connection)
    current = server(connection)
    installed = [each for each in _installed(connection) if each.server == current]
    found = digests(connection, [each.identity for each in installed])
    return [
        f"{each.kind.lower()} {each.identity}"
        for each in installed
        if found.get((each.kind, each.identity), each.definitions[0]) not in each.definitions
    ]


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
    if not _is_of_this_version(connection) or lost(connection):
        raise SchemaNotAtHeadError(
            "The views and functions are not those of this version; run `registry db upgrade`."
        )
    found = altered(connection)
    if found:
        raise SchemaNotAtHeadError(
            f"Changed since they were installed: {first_of(found, _SHOWN)}. "
            "`registry db upgrade` restores that."
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
                  FROM ({OBJECTS}) AS o JOIN store.sql_objects USING (kind, identity)
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
    _record(connection, ordered)


def _record(connection: Connection, ordered: Sequence[tuple[str, str]]) -> None:
    identities = [identity for _, identity in ordered]
    found, restored = digests(connection, identities), restored_digests(connection, identities)
    common = f"{fingerprint()} {server(connection)}"
    connection.execute(
        text(
            "INSERT INTO store.sql_objects (ordinal, kind, identity, fingerprint)"
            " VALUES (:ordinal, :kind, :identity, :fingerprint)"
        ),
        [
            {
                "ordinal": ordinal,
                "kind": kind,
                "identity": identity,
                "fingerprint": (f"{common} {found[kind, identity]} {restored[kind, identity]}"),
            }
            for ordinal, (kind, identity) in enumerate(ordered)
        ],
    )


def _installed(connection: Connection) -> list[_Installed]:
    if connection.scalar(text("SELECT to_regclass('store.sql_objects')")) is None:
        return []
    rows = connection.execute(
        text("SELECT kind, identity, fingerprint FROM store.sql_objects ORDER BY ordinal")
    )
    found = []
    for row in rows:
        # Versions of before wrote the digest of the files alone.
        parts: list[str] = [*row.fingerprint.split(" "), ""]
        found.append(_Installed(row.kind, row.identity, parts[0], parts[1], parts[2:]))
    return found


def _is_of_this_version(connection: Connection) -> bool:
    files = {each.files if each.server else None for each in _installed(connection)}
    return files == {fingerprint()}


def _objects(connection: Connection) -> list[tuple[str, str]]:
    rows = connection.execute(text(f"{OBJECTS} ORDER BY made"))
    return [(row.kind, row.identity) for row in rows]
