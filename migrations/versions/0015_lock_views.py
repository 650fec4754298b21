"""Create what jobs lock: an empty view for each lock.

Why: every login can take an advisory lock, and so could stop jobs; nobody but the owner has a right
to these views.
"""

from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

LOCKS = ("schema", "catalog", "evaluations", "training", "placement", "versions")


def upgrade() -> None:
    """Create the views; they show nothing, and VACUUM passes them by."""
    for lock in LOCKS:
        op.execute(f"CREATE VIEW store.lock_{lock} AS SELECT WHERE false")
        op.execute(f"REVOKE ALL ON store.lock_{lock} FROM PUBLIC")


def downgrade() -> None:
    """Drop them; versions of before take advisory locks."""
    for lock in LOCKS:
        op.execute(f"DROP VIEW store.lock_{lock}")
