from factories import rows
from learned import drawn, kept
from sqlalchemy import Connection

from registry.db import roles

READABLE = """
SELECT relispartition, has_table_privilege('registry_reader', oid, 'SELECT')
  FROM pg_class WHERE relnamespace = 'store'::regnamespace AND relkind IN ('r', 'p')"""


def test_the_reader_reads_partitions_by_their_table_alone(connection: Connection) -> None:
    kept(connection, drawn(3), serving=drawn(3))
    roles.grant(connection)
    assert set(rows(connection, READABLE)) == {(False, True), (True, False)}
