"""Rights in Postgres's own catalogs and on the database that nobody needs who only reads."""

from typing import NamedTuple

from sqlalchemy import Connection, text

_GRANTS = """
SELECT kind, name, has.privilege_type || place AS rights, has.grantee
  FROM (
    SELECT 'TABLE' AS kind, c.oid::regclass::text AS name, 'pg_class'::regclass AS classid,
           c.oid AS objid, 0 AS part, '' AS place, c.relacl AS acl
      FROM pg_class c WHERE c.relnamespace = 'pg_catalog'::regnamespace AND c.relkind IN ('r', 'v')
    UNION ALL
    SELECT 'TABLE', c.oid::regclass::text, 'pg_class'::regclass, c.oid, a.attnum,
           ' (' || quote_ident(attname) || ')', a.attacl
      FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
     WHERE c.relnamespace = 'pg_catalog'::regnamespace AND c.relkind IN ('r', 'v')
    UNION ALL
    SELECT 'FUNCTION', p.oid::regprocedure::text, 'pg_proc'::regclass, p.oid, 0,
           '', p.proacl
      FROM pg_proc p WHERE p.pronamespace = 'pg_catalog'::regnamespace AND p.prokind <> 'p'
  ) AS object
 CROSS JOIN LATERAL aclexplode(acl) AS has
 WHERE acl IS NOT NULL
   -- What the server itself grants to all, it does not keep secret; of what has no entry, nothing.
   AND EXISTS (SELECT FROM pg_init_privs i
                WHERE (i.classoid, i.objoid, i.objsubid) = (classid, objid, 0))
   AND NOT EXISTS (SELECT FROM pg_init_privs i CROSS JOIN LATERAL aclexplode(i.initprivs) AS first
                    WHERE (i.classoid, i.objoid) = (classid, objid) AND i.objsubid IN (0, part)
                      AND first.grantee IN (0, has.grantee)
                      AND first.privilege_type = has.privilege_type)
UNION ALL
SELECT 'DATABASE', quote_ident(datname), has.privilege_type, has.grantee
  FROM pg_database CROSS JOIN LATERAL aclexplode(datacl) AS has
 WHERE datname = current_database() AND has.privilege_type = 'CREATE'
UNION ALL
SELECT 'PARAMETER', parname, has.privilege_type, has.grantee
  FROM pg_parameter_acl CROSS JOIN LATERAL aclexplode(paracl) AS has"""
"""Who has what beyond that: tables and functions closed to all, CREATE, and settings."""


class Excess(NamedTuple):
    """A right that a role was given: on what, and which, with its column if it has one."""

    kind: str
    name: str
    rights: str

    def __str__(self) -> str:
        """Say what the role may do."""
        return {
            "TABLE": f"may use {self.name}, which Postgres keeps from users",
            "FUNCTION": f"may call {self.name}, which Postgres keeps from users",
            "DATABASE": f"may create schemas in database {self.name}",
            "PARAMETER": f"may set {self.name}",
        }[self.kind]

    def revoked(self, role: str) -> str:
        """Return the statement that takes it from a role."""
        return f"REVOKE {self.rights} ON {self.kind} {self.name} FROM {role}"


def of_role(connection: Connection, role: str) -> list[Excess]:
    """Return what was granted to a role itself, not to all."""
    return _granted(connection, "to_regrole(:grantee)", role)


def of_all(connection: Connection) -> list[Excess]:
    """Return what was granted to PUBLIC."""
    return _granted(connection, "CAST(:grantee AS oid)", "0")


def of_session(connection: Connection) -> Excess | None:
    """Return one of those that the login of a session has, as any role that it may take on."""
    query = text(f"""
        SELECT kind, name, rights FROM ({_GRANTS}) AS o
         WHERE grantee = 0 OR pg_has_role(session_user, grantee, 'MEMBER')
         ORDER BY 1, 2, 3 LIMIT 1""")  # noqa: S608
    row = connection.execute(query).one_or_none()
    return None if row is None else Excess(*row)


def _granted(connection: Connection, role: str, grantee: str) -> list[Excess]:
    query = text(f"""
        SELECT kind, name, rights FROM ({_GRANTS}) AS o
         WHERE grantee = {role} ORDER BY 1, 2, 3""")  # noqa: S608
    return [Excess(*row) for row in connection.execute(query, {"grantee": grantee})]
