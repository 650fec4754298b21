"""The catalog that generated calls of SQL ask."""

from evaluated import generated, grid, write
from factories import alias, edge, refresh_features
from learned import drawn, kept
from sqlalchemy import Connection


def fill(connection: Connection) -> None:
    """Store models, lineage, outcomes and vectors."""
    kept(connection, drawn(12))
    edge(connection, "org/m1", "org/m0", "finetune")
    alias(connection, "org/m0", "m zero")
    write(
        connection,
        grid("mmlu", generated(1, 6, 30)),
        grid("gsm", generated(2, 6, 20, graded=True)),
    )
    refresh_features(connection)
