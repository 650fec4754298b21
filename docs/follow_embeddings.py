"""Follow the current version of the embeddings.

    python docs/follow_embeddings.py postgresql://reader@db.example.org/models

Needs psycopg alone. It listens for notifications, and polls every SECONDS as well, since
notifications are lost while a connection is down.
"""

import sys

import psycopg

SECONDS = float(sys.argv[2]) if len(sys.argv) > 2 else 60.0

CURRENT = "SELECT version FROM registry.embedding_versions WHERE current"
VECTORS = "SELECT model, version, vector::real[] FROM registry.embeddings ORDER BY model"


def load(connection: psycopg.Connection) -> int | None:
    """Load all vectors of the current version, in one statement."""
    rows = connection.execute(VECTORS).fetchall()
    if not rows:
        return None
    version = rows[0][1]
    vectors = {model: vector for model, _, vector in rows}
    # Use the vectors here: fill a cache, rebuild an index.
    print(f"version {version}: {len(vectors)} vectors", flush=True)
    return version


def follow(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("LISTEN registry_embeddings")
        current = load(connection)
        print(f"following, from version {current}", flush=True)
        while True:
            # Returns at the first notification, or after SECONDS without one.
            for _ in connection.notifies(timeout=SECONDS, stop_after=1):
                pass
            row = connection.execute(CURRENT).fetchone()
            if row is not None and row[0] != current:
                current = load(connection)


if __name__ == "__main__":
    follow(sys.argv[1])
