"""Do something whenever another version of the embeddings becomes current.

    python docs/follow_embeddings.py postgresql://reader@db.example.org/models

Needs psycopg alone. It listens, so that it hears of a promotion at once, and looks for itself every
SECONDS as well, since what is sent while a connection is down is lost.
"""

import sys

import psycopg

SECONDS = float(sys.argv[2]) if len(sys.argv) > 2 else 60.0

CURRENT = "SELECT version FROM registry.embedding_versions WHERE current"
VECTORS = "SELECT model, version, vector::real[] FROM registry.embeddings ORDER BY model"


def take_over(connection: psycopg.Connection) -> int | None:
    """Read all vectors of the current version, in one statement, and use them."""
    rows = connection.execute(VECTORS).fetchall()
    if not rows:
        return None
    version = rows[0][1]
    vectors = {model: vector for model, _, vector in rows}
    # Here goes what you do with them: fill a cache, rebuild an index.
    print(f"version {version}: {len(vectors)} vectors", flush=True)
    return version


def follow(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("LISTEN registry_embeddings")
        known = take_over(connection)
        print(f"following, from version {known}", flush=True)
        while True:
            # Returns at the first notification, or after SECONDS without one.
            for _ in connection.notifies(timeout=SECONDS, stop_after=1):
                pass
            row = connection.execute(CURRENT).fetchone()
            if row is not None and row[0] != known:
                known = take_over(connection)


if __name__ == "__main__":
    follow(sys.argv[1])
