"""Keep the settings that a training has chosen until it has made a version.

Why: choosing settings takes half of a training; one that was interrupted need not choose again.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "training_choices",
        sa.Column(
            "choice_key",
            sa.Text(),
            nullable=False,
            comment="digest of outcomes, texts, method, seed and device",
        ),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False, comment="UTC"),
        sa.Column(
            "choice",
            postgresql.JSONB(),
            nullable=False,
            comment="settings, trials and metrics",
        ),
        sa.PrimaryKeyConstraint("choice_key", name=op.f("training_choices_pkey")),
        schema="store",
    )


def downgrade() -> None:
    """Drop it; the next training chooses its settings itself."""
    op.drop_table("training_choices", schema="store")
