"""Add domains of prompts: their sets, classifiers, scores of models in them, and experts.

Why: which model should answer depends on the domain of a prompt first, and sets of domains, like
the experts for them, are data that people add to.
"""

import sqlalchemy as sa
from alembic import op
from pgvector.sqlalchemy import VECTOR
from sqlalchemy.dialects import postgresql

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    _sets()
    _classifiers()
    _scores()


def downgrade() -> None:
    """Drop them; shipped sets are stored and trained again, others have to be imported again."""
    for table in (
        "domain_experts",
        "domain_scores",
        "domain_vectors",
        "domain_classifiers",
        "domain_subjects",
        "domains",
        "domain_sets",
    ):
        op.drop_table(table, schema="store")


def _set_key(table: str) -> list[sa.schema.SchemaItem]:
    return [
        sa.Column("set_id", sa.Integer(), autoincrement=False, nullable=False, comment="the set"),
        sa.ForeignKeyConstraint(
            ["set_id"],
            ["store.domain_sets.set_id"],
            name=op.f(f"{table}_set_id_fkey"),
            ondelete="CASCADE",
        ),
    ]


def _of_domains(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["set_id", "domain"],
        ["store.domains.set_id", "store.domains.domain"],
        name=op.f(f"{table}_set_id_domain_fkey"),
        ondelete="CASCADE",
    )


def _sets() -> None:
    op.create_table(
        "domain_sets",
        sa.Column("set_id", sa.Integer(), sa.Identity(always=True), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column(
            "source", sa.Text(), nullable=False, comment="registry for a shipped set, else user"
        ),
        sa.PrimaryKeyConstraint("set_id", name=op.f("domain_sets_pkey")),
        sa.UniqueConstraint("name", name=op.f("domain_sets_name_key")),
        schema="store",
    )
    op.create_table(
        "domains",
        *_set_key("domains"),
        sa.Column(
            "domain", sa.SmallInteger(), autoincrement=False, nullable=False, comment="from 0"
        ),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column(
            "fallback",
            sa.Boolean(),
            server_default=sa.text("false"),
            nullable=False,
            comment="whether its prompts go to the best general model; of one at most",
        ),
        sa.PrimaryKeyConstraint("set_id", "domain", name=op.f("domains_pkey")),
        sa.UniqueConstraint("set_id", "name", name=op.f("domains_set_id_name_key")),
        schema="store",
    )
    op.create_index(
        "domains_fallback_idx",
        "domains",
        ["set_id"],
        unique=True,
        schema="store",
        postgresql_where=sa.text("fallback"),
    )
    op.create_table(
        "domain_subjects",
        sa.Column("set_id", sa.Integer(), autoincrement=False, nullable=False, comment="the set"),
        sa.Column(
            "benchmark",
            sa.Text(),
            nullable=False,
            comment="canonical name; empty for any benchmark",
        ),
        sa.Column(
            "subject",
            sa.Text(),
            nullable=False,
            comment="empty for all that no other row names",
        ),
        sa.Column("domain", sa.SmallInteger(), nullable=False, comment="of domains"),
        _of_domains("domain_subjects"),
        sa.PrimaryKeyConstraint(
            "set_id", "benchmark", "subject", name=op.f("domain_subjects_pkey")
        ),
        schema="store",
    )


def _classifiers() -> None:
    op.create_table(
        "domain_classifiers",
        *_set_key("domain_classifiers"),
        sa.Column("encoder", sa.Text(), nullable=False, comment="of the prompts' vectors"),
        sa.Column("dimension", sa.Integer(), nullable=False, comment="of a prompt's vector"),
        sa.Column("trained_at", sa.DateTime(timezone=True), nullable=False, comment="UTC"),
        sa.Column(
            "item_count", sa.Integer(), nullable=False, comment="items that it was trained on"
        ),
        sa.Column(
            "sharpness",
            sa.Double(),
            nullable=False,
            comment="factor on scores by the vector alone",
        ),
        sa.Column(
            "vector_weight",
            sa.Double(),
            nullable=False,
            comment="of those scores beside words",
        ),
        sa.Column("word_weight", sa.Double(), nullable=False, comment="of the evidence of words"),
        sa.Column(
            "least_energy",
            sa.Double(),
            nullable=False,
            comment="below which a prompt is like none of the training",
        ),
        sa.Column(
            "least_probability",
            sa.Double(),
            nullable=False,
            comment="of the likeliest domain, below which it is not relied on",
        ),
        sa.Column(
            "words",
            sa.LargeBinary(),
            nullable=False,
            comment="numpy's npz: evidence of hashed words, float16",
        ),
        sa.Column(
            "metrics",
            postgresql.JSONB(),
            nullable=False,
            comment="figures on items left out",
        ),
        sa.Column("settings", postgresql.JSONB(), nullable=False, comment="how it was trained"),
        sa.PrimaryKeyConstraint("set_id", name=op.f("domain_classifiers_pkey")),
        schema="store",
    )
    op.create_table(
        "domain_vectors",
        sa.Column("set_id", sa.Integer(), autoincrement=False, nullable=False, comment="the set"),
        sa.Column("part", sa.SmallInteger(), autoincrement=False, nullable=False, comment="from 0"),
        sa.Column("domain", sa.SmallInteger(), nullable=False, comment="of domains"),
        sa.Column("vector", VECTOR(), nullable=False, comment="its last entry is the constant"),
        _of_domains("domain_vectors"),
        sa.PrimaryKeyConstraint("set_id", "part", name=op.f("domain_vectors_pkey")),
        schema="store",
    )


def _scores() -> None:
    op.create_table(
        "domain_scores",
        sa.Column(
            "model_id", sa.BigInteger(), autoincrement=False, nullable=False, comment="the model"
        ),
        *_set_key("domain_scores"),
        sa.Column(
            "domain",
            sa.SmallInteger(),
            autoincrement=False,
            nullable=False,
            comment="of domains; -1 for all of them",
        ),
        sa.Column(
            "item_count", sa.Integer(), nullable=False, comment="items that it was observed on"
        ),
        sa.Column("score", sa.Double(), nullable=False, comment="in [0, 1]"),
        sa.Column("standard_error", sa.Double(), nullable=False, comment="of the score"),
        sa.Column(
            "residual_error",
            sa.Double(),
            nullable=False,
            comment="likewise, without what makes items easy or hard for all models",
        ),
        sa.PrimaryKeyConstraint("model_id", "set_id", "domain", name=op.f("domain_scores_pkey")),
        schema="store",
    )
    op.create_table(
        "domain_experts",
        sa.Column("set_id", sa.Integer(), autoincrement=False, nullable=False, comment="the set"),
        sa.Column(
            "domain", sa.SmallInteger(), autoincrement=False, nullable=False, comment="of domains"
        ),
        sa.Column(
            "max_parameters",
            sa.BigInteger(),
            autoincrement=False,
            nullable=False,
            comment="of the size tier that it is for; the greatest number for any size",
        ),
        sa.Column("model_id", sa.BigInteger(), nullable=False, comment="the expert"),
        _of_domains("domain_experts"),
        sa.PrimaryKeyConstraint(
            "set_id", "domain", "max_parameters", name=op.f("domain_experts_pkey")
        ),
        schema="store",
    )
