"""Add what tells evaluations apart and together: benchmark names, variants, model facts, changes.

Why: sources name one benchmark in several ways, run systems that are more than their model, state
facts of models, and have outcomes on a part of a score's items. Scores that a new version reads
otherwise are listed with both values.
"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables and add the columns."""
    op.create_table(
        "benchmark_aliases",
        sa.Column("alias", sa.Text(), nullable=False),
        sa.Column("benchmark", sa.Text(), nullable=False, comment="canonical name"),
        sa.Column(
            "variant",
            sa.Text(),
            nullable=True,
            comment="prompting that the alias stands for, such as cot; null: the plain one",
        ),
        sa.Column("source", sa.Text(), nullable=False, comment="registry or user"),
        sa.Column("confidence", sa.REAL(), nullable=False, comment="in (0, 1]"),
        sa.PrimaryKeyConstraint("alias", name=op.f("benchmark_aliases_pkey")),
        schema="store",
    )
    op.create_index(
        "benchmark_aliases_lower_alias_idx",
        "benchmark_aliases",
        [sa.literal_column("lower(alias)")],
        schema="store",
    )
    op.create_table(
        "model_facts",
        sa.Column(
            "model_id", sa.BigInteger(), autoincrement=False, nullable=False, comment="the model"
        ),
        sa.Column(
            "source_id", sa.Integer(), autoincrement=False, nullable=False, comment="of sources"
        ),
        sa.Column(
            "fact", sa.Text(), nullable=False, comment="such as parameters, license, base_model"
        ),
        sa.Column("value", sa.Text(), nullable=False, comment="as the registry reads it"),
        sa.Column("import_id", sa.Integer(), nullable=True, comment="of imports: the file"),
        sa.PrimaryKeyConstraint("model_id", "source_id", "fact", name=op.f("model_facts_pkey")),
        schema="store",
    )
    op.create_table(
        "score_changes",
        sa.Column(
            "model_id", sa.BigInteger(), autoincrement=False, nullable=False, comment="the model"
        ),
        sa.Column("run_id", sa.BigInteger(), nullable=False, comment="of runs"),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False, comment="UTC"),
        sa.Column("old_score", sa.Double(), nullable=True, comment="share, or raw without bounds"),
        sa.Column("new_score", sa.Double(), nullable=True, comment="likewise; null: not measured"),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint(
            "model_id", "run_id", "changed_at", name=op.f("score_changes_pkey")
        ),
        schema="store",
    )
    op.add_column(
        "benchmarks",
        sa.Column(
            "canonical", sa.Text(), nullable=True, comment="canonical name; null: its own name"
        ),
        schema="store",
    )
    op.add_column(
        "benchmarks",
        sa.Column(
            "variant",
            sa.Text(),
            nullable=True,
            comment="prompting that its name stands for, such as cot; null: the plain one",
        ),
        schema="store",
    )
    op.create_index(
        "benchmarks_canonical_idx",
        "benchmarks",
        [sa.literal_column("coalesce(canonical, name)")],
        schema="store",
    )
    op.add_column(
        "setups",
        sa.Column(
            "variant",
            sa.Text(),
            nullable=True,
            comment="what makes it a system around the model, such as best-of-16; null: plain",
        ),
        schema="store",
    )
    op.add_column(
        "runs",
        sa.Column(
            "outcome_count",
            sa.Integer(),
            nullable=True,
            comment="items with an outcome; null where only the score is known",
        ),
        schema="store",
    )
    op.execute("""
        UPDATE store.runs
           SET outcome_count = coalesce(bit_count(present_bits), length(right_bits))
         WHERE right_bits IS NOT NULL""")
    op.alter_column("measures", "higher_is_better", nullable=True, schema="store")
    op.add_column(
        "imports",
        sa.Column(
            "revision", sa.Text(), nullable=True, comment="of a remote source, such as a commit"
        ),
        schema="store",
    )
    op.add_column(
        "models",
        sa.Column(
            "stored_parameters",
            sa.BigInteger(),
            nullable=True,
            comment="number of stored weights, which packed formats count in fewer numbers",
        ),
        schema="store",
    )
    op.add_column(
        "text_vectors",
        sa.Column(
            "cut",
            sa.Boolean(),
            server_default=sa.text("false"),
            nullable=False,
            comment="whether the text is longer than what the encoder reads",
        ),
        schema="store",
    )


def downgrade() -> None:
    """Drop them; a measure whose direction is not known counts as higher being better."""
    op.drop_column("text_vectors", "cut", schema="store")
    op.drop_column("models", "stored_parameters", schema="store")
    op.drop_column("imports", "revision", schema="store")
    op.execute("UPDATE store.measures SET higher_is_better = true WHERE higher_is_better IS NULL")
    op.alter_column("measures", "higher_is_better", nullable=False, schema="store")
    op.drop_column("runs", "outcome_count", schema="store")
    op.drop_column("setups", "variant", schema="store")
    op.drop_index("benchmarks_canonical_idx", table_name="benchmarks", schema="store")
    op.drop_column("benchmarks", "variant", schema="store")
    op.drop_column("benchmarks", "canonical", schema="store")
    op.drop_table("score_changes", schema="store")
    op.drop_table("model_facts", schema="store")
    op.drop_table("benchmark_aliases", schema="store")
