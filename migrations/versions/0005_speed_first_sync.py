"""Make a first sync fast: search documents from outside, lineage set aside, fewer checks.

Why: as a generated column the search document cost a fifth of a first sync, which can compute it
beside the database. Triggers keep it right for every other writer: a row written without it is
completed at the end of the statement (a trigger for each row would keep COPY from writing pages
whole), and a change of what it is made of that leaves it as it was computes it anew. The foreign
keys of edges and feature sets, which nothing but the sync writes, took another 25 us a model. What
models say of their parents during a first load is set aside in tables of its own.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

EDGE_ENDS = {"child_id": "the model", "parent_id": "what it was made from"}
DOCUMENT = "store.search_document(name, author, license, parameters, popularity, tags)"

FUNCTIONS = """
CREATE FUNCTION store.complete_search_documents() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
    UPDATE store.models
       SET search = store.search_document(name, author, license, parameters, popularity, tags)
     WHERE search IS NULL;
    RETURN NULL;
END;
$$;
COMMENT ON FUNCTION store.complete_search_documents() IS
    'Gives models that were written without their lexemes what they are searched by.';

CREATE FUNCTION store.renew_search_document() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
    NEW.search := store.search_document(
        NEW.name, NEW.author, NEW.license, NEW.parameters, NEW.popularity, NEW.tags);
    RETURN NEW;
END;
$$;
COMMENT ON FUNCTION store.renew_search_document() IS
    'Gives a model that changed the lexemes that it is searched by now.';

CREATE TRIGGER models_search_complete AFTER INSERT ON store.models
    FOR EACH STATEMENT EXECUTE FUNCTION store.complete_search_documents();
CREATE TRIGGER models_search_renew
    BEFORE UPDATE OF name, author, license, parameters, popularity, tags ON store.models
    FOR EACH ROW WHEN (NEW.search IS NOT DISTINCT FROM OLD.search)
    EXECUTE FUNCTION store.renew_search_document();
"""


def upgrade() -> None:
    """Make it a column like any other, and keep it by triggers; make room for what is set aside."""
    op.create_table(
        "pending_edges",
        sa.Column("child_id", sa.BigInteger(), nullable=False),
        sa.Column("parent", sa.Text(), nullable=False, comment="name, as the child has it"),
        sa.Column("relation", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("confidence", sa.REAL(), nullable=False),
        sa.Column("position", sa.SmallInteger(), nullable=False),
        schema="store",
    )
    op.create_table(
        "pending_renames",
        sa.Column("former", sa.Text(), nullable=False),
        sa.Column("present", sa.Text(), nullable=False),
        schema="store",
    )
    op.execute("ALTER TABLE store.models ALTER COLUMN search DROP EXPRESSION")
    op.create_index(
        "models_stub_idx",
        "models",
        [sa.literal_column("lower(name)")],
        unique=False,
        schema="store",
        postgresql_where=sa.text("state = 'stub'"),
    )
    op.create_index(
        "models_unsearchable_idx",
        "models",
        ["model_id"],
        unique=False,
        schema="store",
        postgresql_where=sa.text("search IS NULL"),
    )
    op.drop_constraint(
        "model_features_feature_set_id_fkey", "model_features", schema="store", type_="foreignkey"
    )
    op.alter_column("model_features", "feature_set_id", comment="of feature_sets", schema="store")
    for column, comment in EDGE_ENDS.items():
        op.drop_constraint(f"edges_{column}_fkey", "edges", schema="store", type_="foreignkey")
        op.alter_column("edges", column, comment=comment, schema="store")
    # no_parameters: the text holds % and :, which must reach Postgres untouched.
    op.get_bind().execution_options(no_parameters=True).exec_driver_sql(FUNCTIONS)


def downgrade() -> None:
    """Let the database generate it again, which rewrites the table."""
    for column in EDGE_ENDS:
        op.alter_column("edges", column, comment=None, schema="store")
        op.create_foreign_key(
            f"edges_{column}_fkey",
            "edges",
            "models",
            [column],
            ["model_id"],
            source_schema="store",
            referent_schema="store",
            ondelete="CASCADE",
        )
    op.drop_table("pending_renames", schema="store")
    op.drop_table("pending_edges", schema="store")
    op.alter_column("model_features", "feature_set_id", comment=None, schema="store")
    op.create_foreign_key(
        "model_features_feature_set_id_fkey",
        "model_features",
        "feature_sets",
        ["feature_set_id"],
        ["feature_set_id"],
        source_schema="store",
        referent_schema="store",
    )
    op.execute("DROP TRIGGER models_search_renew ON store.models")
    op.execute("DROP TRIGGER models_search_complete ON store.models")
    op.execute("DROP FUNCTION store.renew_search_document()")
    op.execute("DROP FUNCTION store.complete_search_documents()")
    op.drop_index("models_unsearchable_idx", table_name="models", schema="store")
    op.drop_index("models_stub_idx", table_name="models", schema="store")
    op.drop_column("models", "search", schema="store")
    op.add_column(
        "models",
        sa.Column(
            "search",
            postgresql.TSVECTOR(),
            sa.Computed(DOCUMENT, persisted=True),
            nullable=True,
            comment="lexemes of name, tags, author, licence, size and popularity",
        ),
        schema="store",
    )
    op.create_index(
        "models_search_idx",
        "models",
        ["search"],
        unique=False,
        schema="store",
        postgresql_using="gin",
    )
