"""Build the indexes of stored vectors again, for Euclidean instead of cosine distances.

Why: predictions leave the zero point and the norms of factors open, and cosines depend on both.
Training scales vectors so that their Euclidean distance is how differently two models answer.
"""

import logging

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_log = logging.getLogger("registry.migrations")

_COSINE, _EUCLIDEAN = "halfvec_cosine_ops", "halfvec_l2_ops"


def upgrade() -> None:
    """Order by Euclidean distance."""
    _rebuild(_COSINE, _EUCLIDEAN)


def downgrade() -> None:
    """Order by cosine distance again."""
    _rebuild(_EUCLIDEAN, _COSINE)


def _rebuild(old: str, new: str) -> None:
    connection = op.get_bind()
    indexes = connection.execute(
        sa.text(r"""
        SELECT relname AS name, pg_get_indexdef(oid) AS definition, pg_relation_size(oid) AS bytes
          FROM pg_class
         WHERE relnamespace = 'store'::regnamespace AND relname ~ '^embeddings_\d+_hnsw_idx$'
         ORDER BY relname""")
    ).all()
    for index in indexes:
        if old not in index.definition:
            continue
        _log.info("Building %s again; of a million vectors this takes minutes", index.name)
        op.execute(f"DROP INDEX store.{index.name}")
        # A graph that does not fit into memory is built several times slower.
        kilobytes = min(max(index.bytes * 5 // 4, 1 << 26), 1 << 33) >> 10
        op.execute(f"SET LOCAL maintenance_work_mem = '{kilobytes}kB'")
        statement = index.definition.replace(old, new)
        try:
            with connection.begin_nested():
                op.execute(statement)
        except sa.exc.OperationalError:
            # Parallel workers share memory, of which a container may have too little.
            op.execute("SET LOCAL max_parallel_maintenance_workers = 0")
            op.execute(statement)
