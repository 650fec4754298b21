"""Create the catalog: models, aliases, counters, history and documents.

Why: everything else refers to a model. Counters and documents stand apart from `models`, because
counters change daily for most models and documents are large and rarely read.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

SEARCH_DOCUMENT = r"""
-- is_telling(tag): whether a tag says something of its own: one with a colon is told elsewhere.
CREATE FUNCTION store.is_telling(tag text) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN strpos(tag, ':') = 0 AND right(tag, 11) <> '_compatible';

-- search_words(value): the words of a name or query, lower case, in order.
-- "-_/." separate words and so does the step from a letter to a digit: "Qwen2.5-8B" is qwen 2 5 8b.
CREATE FUNCTION store.search_words(value text) RETURNS text[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT
RETURN array_remove(string_to_array(translate(
    regexp_replace(lower(value), '([[:alpha:]])(?=\d)', '\1 ', 'g'), '-_/.', '    '), ' '), '');

-- search_document(...): what models.search holds, as lexemes without positions.
--   word       a word of the name, author included
--   #word      a word of a tag; tags with a colon and "..._compatible" say nothing and are left out
--   author=a, license=l
--   size=n     floor(log2(parameters))
--   top=n      downloads of at least 10^n, n in 2, 3, 4: lets a search meet the popular first
CREATE FUNCTION store.search_document(
    name text, author text, license text, parameters bigint, popularity smallint, tags text[])
RETURNS tsvector
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $$
BEGIN
    RETURN array_to_tsvector(array_remove(array_remove(string_to_array(
        translate(
            regexp_replace(lower(name), '([[:alpha:]])(?=\d)', '\1 ', 'g'), '-_/.', '    ')
        || coalesce(' author=' || replace(lower(author), ' ', '_'), '')
        || coalesce(' license=' || replace(lower(license), ' ', '_'), '')
        || CASE WHEN parameters > 0
                THEN ' size=' || floor(ln(parameters::double precision) / ln(2::double precision))
                ELSE '' END
        || CASE WHEN popularity >= 4 THEN ' top=4 top=3 top=2'
                WHEN popularity = 3 THEN ' top=3 top=2'
                WHEN popularity = 2 THEN ' top=2'
                ELSE '' END
        || coalesce((SELECT lower(string_agg(' #' || replace(tag, '-', ' #'), ''))
                       FROM unnest(tags[1:200]) AS tag
                      WHERE store.is_telling(tag)), ''),
        ' '), '#'), ''));
END;
$$;
"""


def upgrade() -> None:
    """Create the tables."""
    # no_parameters: the text holds % and :, which must reach Postgres untouched.
    op.get_bind().execution_options(no_parameters=True).exec_driver_sql(SEARCH_DOCUMENT)
    op.create_table(
        "sql_objects",
        sa.Column("ordinal", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False, comment="VIEW or FUNCTION"),
        sa.Column(
            "identity",
            sa.Text(),
            nullable=False,
            comment="name, with argument types for a function",
        ),
        sa.Column("fingerprint", sa.Text(), nullable=False, comment="of all SQL files together"),
        sa.PrimaryKeyConstraint("ordinal", name=op.f("sql_objects_pkey")),
        schema="store",
    )
    op.create_table(
        "models",
        sa.Column("model_id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("name", sa.Text(), nullable=False, comment="the Hub's org/name, as it is now"),
        sa.Column(
            "hub_id", sa.Text(), nullable=True, comment="the Hub's own key, kept through renames"
        ),
        sa.Column("author", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False, comment="one of MODEL_STATES"),
        sa.Column("sha", sa.Text(), nullable=True, comment="commit of the main branch"),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="on the Hub; never before 2022-03-02",
        ),
        sa.Column("last_modified", sa.DateTime(timezone=True), nullable=True, comment="on the Hub"),
        sa.Column("gated", sa.Text(), nullable=True, comment="auto or manual; null where open"),
        sa.Column("pipeline_tag", sa.Text(), nullable=True, comment="task"),
        sa.Column("library", sa.Text(), nullable=True),
        sa.Column("license", sa.Text(), nullable=True, comment="the Hub's identifier, lower case"),
        sa.Column("license_name", sa.Text(), nullable=True),
        sa.Column("license_link", sa.Text(), nullable=True),
        sa.Column(
            "languages",
            postgresql.ARRAY(sa.Text()),
            server_default=sa.text("'{}'"),
            nullable=False,
            comment="as the card states them",
        ),
        sa.Column(
            "datasets",
            postgresql.ARRAY(sa.Text()),
            server_default=sa.text("'{}'"),
            nullable=False,
            comment="trained on, by card or tag",
        ),
        sa.Column(
            "arxiv",
            postgresql.ARRAY(sa.Text()),
            server_default=sa.text("'{}'"),
            nullable=False,
            comment="arXiv ids, without version",
        ),
        sa.Column(
            "tags",
            postgresql.ARRAY(sa.Text()),
            server_default=sa.text("'{}'"),
            nullable=False,
            comment="as the Hub lists them",
        ),
        sa.Column(
            "architectures",
            postgresql.ARRAY(sa.Text()),
            server_default=sa.text("'{}'"),
            nullable=False,
            comment="of config.json",
        ),
        sa.Column("model_type", sa.Text(), nullable=True, comment="of config.json"),
        sa.Column("parameters", sa.BigInteger(), nullable=True, comment="number of weights"),
        sa.Column(
            "parameters_source", sa.Text(), nullable=True, comment="safetensors, gguf or name"
        ),
        sa.Column(
            "dtypes", postgresql.JSONB(), nullable=True, comment="number of weights by data type"
        ),
        sa.Column("quantization", sa.Text(), nullable=True, comment="method, such as gptq"),
        sa.Column(
            "new_version", sa.Text(), nullable=True, comment="name of the successor the card names"
        ),
        sa.Column(
            "unread",
            postgresql.ARRAY(sa.Text()),
            server_default=sa.text("'{}'"),
            nullable=False,
            comment="fields of the Hub's record that could not be read",
        ),
        sa.Column(
            "digest",
            sa.BigInteger(),
            nullable=True,
            comment="fingerprint of the record without its counters",
        ),
        sa.Column(
            "first_seen",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="when the registry first heard of it",
        ),
        sa.Column(
            "changed_at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="when the record last changed",
        ),
        sa.Column(
            "gone_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="when it was found to be gone",
        ),
        sa.Column(
            "popularity",
            sa.SmallInteger(),
            server_default=sa.text("0"),
            nullable=False,
            comment="floor(log10(downloads)), at most 4: searches look among the popular first",
        ),
        sa.Column(
            "search",
            postgresql.TSVECTOR(),
            sa.Computed(
                "store.search_document(name, author, license, parameters, popularity, tags)",
                persisted=True,
            ),
            nullable=True,
            comment="lexemes of name, tags, author, licence, size and popularity",
        ),
        sa.CheckConstraint(
            "state IN ('available', 'gated', 'private', 'disabled', 'gone', 'stub')",
            name=op.f("models_state_check"),
        ),
        sa.PrimaryKeyConstraint("model_id", name=op.f("models_pkey")),
        sa.UniqueConstraint("name", name=op.f("models_name_key")),
        schema="store",
    )
    op.create_index("models_author_idx", "models", ["author"], unique=False, schema="store")
    op.create_index("models_created_at_idx", "models", ["created_at"], unique=False, schema="store")
    op.create_index(
        "models_hub_id_idx",
        "models",
        ["hub_id"],
        unique=True,
        schema="store",
        postgresql_where=sa.text("hub_id IS NOT NULL"),
    )
    op.create_index(
        "models_last_modified_idx", "models", ["last_modified"], unique=False, schema="store"
    )
    op.create_index(
        "models_lower_name_idx",
        "models",
        [sa.literal_column("lower(name)").label("lowered")],
        unique=False,
        schema="store",
        postgresql_ops={"lowered": "text_pattern_ops"},
    )
    op.create_index(
        "models_search_idx",
        "models",
        ["search"],
        unique=False,
        schema="store",
        postgresql_using="gin",
    )
    op.create_index(
        "models_tags_idx", "models", ["tags"], unique=False, schema="store", postgresql_using="gin"
    )
    op.create_table(
        "search_vocabulary",
        sa.Column("word", sa.Text(collation="C"), nullable=False),
        sa.Column(
            "models", sa.BigInteger(), nullable=False, comment="number of models that have it"
        ),
        sa.PrimaryKeyConstraint("word", name=op.f("search_vocabulary_pkey")),
        schema="store",
    )
    op.create_index(
        "search_vocabulary_trigram_idx",
        "search_vocabulary",
        ["word"],
        unique=False,
        schema="store",
        postgresql_using="gin",
        postgresql_ops={"word": "gin_trgm_ops"},
        postgresql_where=sa.text("word ~ '^[^0-9#=]{3,30}$'"),
    )
    op.create_table(
        "model_aliases",
        sa.Column(
            "model_id", sa.BigInteger(), autoincrement=False, nullable=False, comment="the model"
        ),
        sa.Column("alias", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False, comment="one of ALIAS_SOURCES"),
        sa.Column("confidence", sa.REAL(), nullable=False),
        sa.Column(
            "valid_from",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="when the name was first seen",
        ),
        sa.Column(
            "valid_to",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="when the name ceased to be the present one",
        ),
        sa.CheckConstraint(
            "source IN ('rename', 'case', 'card', 'user')", name=op.f("model_aliases_source_check")
        ),
        sa.ForeignKeyConstraint(
            ["model_id"],
            ["store.models.model_id"],
            name=op.f("model_aliases_model_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("model_id", "alias", name=op.f("model_aliases_pkey")),
        schema="store",
    )
    op.create_index(
        "model_aliases_alias_idx", "model_aliases", ["alias"], unique=False, schema="store"
    )
    op.create_index(
        "model_aliases_lower_alias_idx",
        "model_aliases",
        [sa.literal_column("lower(alias)").label("lowered")],
        unique=False,
        schema="store",
        postgresql_ops={"lowered": "text_pattern_ops"},
    )
    op.create_table(
        "counters",
        sa.Column(
            "model_id", sa.BigInteger(), autoincrement=False, nullable=False, comment="the model"
        ),
        sa.Column("downloads", sa.BigInteger(), nullable=True, comment="last 30 days"),
        sa.Column("downloads_all_time", sa.BigInteger(), nullable=True),
        sa.Column("likes", sa.BigInteger(), nullable=True),
        sa.Column("trending_score", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("model_id", name=op.f("counters_pkey")),
        schema="store",
    )
    op.create_index(
        "counters_downloads_idx",
        "counters",
        [sa.literal_column("downloads DESC NULLS LAST"), "model_id"],
        unique=False,
        schema="store",
    )
    op.create_index(
        "counters_likes_idx",
        "counters",
        [sa.literal_column("likes DESC NULLS LAST"), "model_id"],
        unique=False,
        schema="store",
    )
    op.create_index(
        "counters_trending_score_idx",
        "counters",
        [sa.literal_column("trending_score DESC NULLS LAST"), "model_id"],
        unique=False,
        schema="store",
    )
    op.create_table(
        "model_history",
        sa.Column(
            "model_id", sa.BigInteger(), autoincrement=False, nullable=False, comment="the model"
        ),
        sa.Column("observed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("downloads", sa.BigInteger(), nullable=True),
        sa.Column("downloads_all_time", sa.BigInteger(), nullable=True),
        sa.Column("likes", sa.BigInteger(), nullable=True),
        sa.Column("trending_score", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("model_id", "observed_at", name=op.f("model_history_pkey")),
        schema="store",
    )
    op.create_index(
        "model_history_observed_at_idx",
        "model_history",
        ["observed_at"],
        unique=False,
        schema="store",
        postgresql_using="brin",
    )
    op.create_table(
        "documents",
        sa.Column(
            "model_id", sa.BigInteger(), autoincrement=False, nullable=False, comment="the model"
        ),
        sa.Column(
            "card", postgresql.JSONB(), nullable=True, comment="front matter of the model card"
        ),
        sa.Column(
            "config", postgresql.JSONB(), nullable=True, comment="what the Hub keeps of config.json"
        ),
        sa.PrimaryKeyConstraint("model_id", name=op.f("documents_pkey")),
        schema="store",
    )
    # Searches are not planned by its statistics, and they take half the time of ANALYZE.
    op.execute("ALTER TABLE store.models ALTER COLUMN search SET STATISTICS 0")


def downgrade() -> None:
    """Drop them."""
    op.drop_table("documents", schema="store")
    op.drop_table("model_history", schema="store")
    op.drop_table("counters", schema="store")
    op.drop_table("model_aliases", schema="store")
    op.drop_table("search_vocabulary", schema="store")
    op.drop_table("models", schema="store")
    op.drop_table("sql_objects", schema="store")
    op.execute("DROP FUNCTION store.search_document(text, text, text, bigint, smallint, text[])")
    op.execute("DROP FUNCTION store.search_words(text)")
    op.execute("DROP FUNCTION store.is_telling(text)")
