"""Create what jobs need: sync passes, quarantine and job runs.

Why: a pass moves in the transaction of the page that it took in, so that a sync that is killed
resumes where it was.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "sync_passes",
        sa.Column("scope", sa.Text(), nullable=False, comment="endpoint and filters"),
        sa.Column("kind", sa.Text(), nullable=False, comment="delta or full"),
        sa.Column(
            "watermark",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="everything up to here has been taken in",
        ),
        sa.Column(
            "swept_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="as-of time of the last complete full sweep",
        ),
        sa.Column("swept_models", sa.BigInteger(), nullable=True, comment="models in that sweep"),
        sa.Column(
            "under_way",
            sa.Boolean(),
            server_default=sa.text("false"),
            nullable=False,
            comment="begun and not finished",
        ),
        sa.Column(
            "as_of",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="observation time of the pass under way",
        ),
        sa.Column(
            "since",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="where the pass under way stops",
        ),
        sa.Column(
            "high_water",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="newest change that the pass has seen",
        ),
        sa.Column("cursor", sa.Text(), nullable=True, comment="address of the next page"),
        sa.Column(
            "pages",
            sa.Integer(),
            server_default=sa.text("0"),
            nullable=False,
            comment="pages taken in",
        ),
        sa.Column(
            "summary", postgresql.JSONB(), nullable=True, comment="counts of the pass so far"
        ),
        sa.CheckConstraint("kind IN ('delta', 'full')", name=op.f("sync_passes_kind_check")),
        sa.PrimaryKeyConstraint("scope", "kind", name=op.f("sync_passes_pkey")),
        schema="store",
    )
    op.create_table(
        "sweep_pages",
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("page", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("model_ids", postgresql.ARRAY(sa.BigInteger()), nullable=False),
        sa.PrimaryKeyConstraint("scope", "page", name=op.f("sweep_pages_pkey")),
        schema="store",
    )
    op.create_table(
        "lookups",
        sa.Column(
            "model_id", sa.BigInteger(), autoincrement=False, nullable=False, comment="the model"
        ),
        sa.Column(
            "looked_up_at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="as-of time of the question",
        ),
        sa.Column("answer", sa.Text(), nullable=False, comment="listed, renamed, disabled or gone"),
        sa.PrimaryKeyConstraint("model_id", name=op.f("lookups_pkey")),
        schema="store",
    )
    op.create_table(
        "quarantine",
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("payload", sa.Text(), nullable=True, comment="beginning of the record, as text"),
        sa.Column(
            "seen_at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="when it was first seen so",
        ),
        sa.PrimaryKeyConstraint("source", "key", name=op.f("quarantine_pkey")),
        schema="store",
    )
    op.create_table(
        "job_runs",
        sa.Column("job_run_id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("job", sa.Text(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False, comment="UTC"),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True, comment="UTC"),
        sa.Column(
            "status", sa.Text(), nullable=False, comment="running, done, failed or interrupted"
        ),
        sa.Column("summary", postgresql.JSONB(), nullable=True),
        sa.CheckConstraint(
            "status IN ('running', 'done', 'failed', 'interrupted')",
            name=op.f("job_runs_status_check"),
        ),
        sa.PrimaryKeyConstraint("job_run_id", name=op.f("job_runs_pkey")),
        schema="store",
    )
    op.create_index(
        "job_runs_job_started_at_idx",
        "job_runs",
        ["job", "started_at"],
        unique=False,
        schema="store",
    )


def downgrade() -> None:
    """Drop them."""
    op.drop_table("job_runs", schema="store")
    op.drop_table("quarantine", schema="store")
    op.drop_table("lookups", schema="store")
    op.drop_table("sweep_pages", schema="store")
    op.drop_table("sync_passes", schema="store")
