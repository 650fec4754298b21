"""Tables of benchmarks, items, runs with packed outcomes, and the names of models in them."""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    REAL,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Double,
    Identity,
    Index,
    Integer,
    LargeBinary,
    Named,
    Table,
    Text,
    TypedColumns,
    UniqueConstraint,
    Uuid,
    literal_column,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, BIT, JSONB

from registry.db.schema.base import metadata, model_key, one_of, texts, time, time_or_null
from registry.enums import NameMethod


class BenchmarkTable(TypedColumns):
    """One row per version of a benchmark: a set of items that only grows at its end."""

    benchmark_id = Column(Integer, Identity(always=True), primary_key=True)
    name: Named[str] = Column(Text)
    version: Named[str] = Column(Text, comment="empty where no source knows of one")
    domain: Named[str | None] = Column(Text)
    description: Named[str | None] = Column(Text)
    url: Named[str | None] = Column(Text, comment="where it is from")
    item_count: Named[int] = Column(
        Integer, server_default=text("0"), comment="number of its items; also the next ordinal"
    )
    measure_id: Named[int | None] = Column(
        Integer, comment="of measures: the one that leaderboards show"
    )
    canonical: Named[str | None] = Column(Text, comment="canonical name; null: its own name")
    variant: Named[str | None] = Column(
        Text, comment="prompting that its name stands for, such as cot; null: the plain one"
    )
    comparable: Named[bool] = Column(
        Boolean,
        server_default=text("true"),
        comment="whether its shown measure is that of most models under its canonical name",
    )


benchmarks = Table(
    "benchmarks",
    metadata,
    BenchmarkTable,
    UniqueConstraint("name", "version"),
    Index(
        "benchmarks_canonical_idx",
        literal_column("coalesce(canonical, name)", Text).label("canonical_name"),
    ),
)


class BenchmarkAliasTable(TypedColumns):
    """Every name that a benchmark has besides its canonical one."""

    alias = Column(Text, primary_key=True)
    benchmark: Named[str] = Column(Text, comment="canonical name")
    variant: Named[str | None] = Column(
        Text, comment="prompting that the alias stands for, such as cot; null: the plain one"
    )
    source: Named[str] = Column(Text, comment="registry or user")
    confidence: Named[float] = Column(REAL, comment="in (0, 1]")


benchmark_aliases = Table(
    "benchmark_aliases",
    metadata,
    BenchmarkAliasTable,
    Index(
        "benchmark_aliases_key_idx",
        literal_column("translate(lower(alias), '-_ ', '')", Text).label("key"),
    ),
)


class MeasureTable(TypedColumns):
    """What is measured on a benchmark, and on which scale."""

    measure_id = Column(Integer, Identity(always=True), primary_key=True)
    benchmark_id: Named[int] = Column(Integer, comment="the benchmark")
    metric: Named[str] = Column(Text)
    filter: Named[str] = Column(Text, comment="how answers were extracted; empty if plainly")
    lower: Named[float | None] = Column(Double, comment="raw score of the worst; null: no bound")
    upper: Named[float | None] = Column(Double, comment="raw score of the best; null: no bound")
    higher_is_better: Named[bool | None] = Column(Boolean)
    random_baseline: Named[float | None] = Column(Double, comment="raw score of guessing")
    unit: Named[str | None] = Column(Text, comment="null for a share")


measures = Table(
    "measures",
    metadata,
    MeasureTable,
    # The same metric on another scale, or in the other direction, is another measure.
    UniqueConstraint(
        "benchmark_id",
        "metric",
        "filter",
        "lower",
        "upper",
        "unit",
        "higher_is_better",
        name="measures_key",
        postgresql_nulls_not_distinct=True,
    ),
)


class ItemTable(TypedColumns):
    """One row per question; its ordinal is its place in every run's outcomes."""

    benchmark_id = Column(Integer, primary_key=True, autoincrement=False, comment="the benchmark")
    ordinal = Column(Integer, primary_key=True, autoincrement=False, comment="from 0")
    item: Named[str] = Column(Text, comment="name by which its source knows it")
    content_hash: Named[Any] = Column(
        Uuid, nullable=True, comment="of prompt and choices, where they are known"
    )
    prompt: Named[str | None] = Column(Text)
    choices: Named[list[str]] = texts("what there is to choose from")
    answer: Named[str | None] = Column(Text, comment="the right one")
    domain: Named[str | None] = Column(Text)


items = Table(
    "items",
    metadata,
    ItemTable,
    # The item first: it is also searched without a benchmark.
    UniqueConstraint("item", "benchmark_id", name="items_item_key"),
    Index(
        "items_content_hash_idx",
        "benchmark_id",
        "content_hash",
        postgresql_where=text("content_hash IS NOT NULL"),
    ),
)


class SetupTable(TypedColumns):
    """How benchmarks were run: one row for all runs with the same settings."""

    setup_id = Column(Integer, Identity(always=True), primary_key=True)
    fingerprint: Named[Any] = Column(Uuid, nullable=False)
    harness: Named[str | None] = Column(Text)
    harness_version: Named[str | None] = Column(Text)
    task_version: Named[str | None] = Column(Text)
    shots: Named[int | None] = Column(Integer, comment="examples in the prompt")
    prompt_template: Named[str | None] = Column(Text)
    chat_template: Named[str | None] = Column(Text, comment="empty if none was used")
    precision: Named[str | None] = Column(Text)
    details: Named[Any] = Column(JSONB, nullable=False)
    variant: Named[str | None] = Column(
        Text, comment="what makes it a system around the model, such as best-of-16; null: plain"
    )


setups = Table("setups", metadata, SetupTable, UniqueConstraint("fingerprint"))


class SourceTable(TypedColumns):
    """Who states scores: a leaderboard, a harness, the Hub."""

    source_id = Column(Integer, Identity(always=True), primary_key=True)
    name: Named[str] = Column(Text)
    url: Named[str | None] = Column(Text)


sources = Table("sources", metadata, SourceTable, UniqueConstraint("name"))


class ImportTable(TypedColumns):
    """One row for each version of an imported file."""

    import_id = Column(Integer, Identity(always=True), primary_key=True)
    path: Named[str] = Column(Text, comment="as it was given")
    format: Named[str] = Column(Text)
    bytes: Named[int] = Column(BigInteger)
    sha256: Named[str] = Column(Text, comment="of the file")
    imported_at: Named[datetime] = time("since when it is the newest of its path, UTC")
    summary: Named[Any] = Column(JSONB, nullable=False, comment="counts, and what was left out")
    revision: Named[str | None] = Column(Text, comment="of a remote source, such as a commit")


imports = Table("imports", metadata, ImportTable, UniqueConstraint("path", "sha256", "format"))


class NameTable(TypedColumns):
    """Every spelling of a model in evaluations, and the model that it resolves to."""

    name_id = Column(Integer, Identity(always=True), primary_key=True)
    name: Named[str] = Column(Text, comment="as a source spells it")
    model_id: Named[int] = Column(
        BigInteger, comment="the model; a stub of this name where it is unresolved"
    )
    method: Named[str] = Column(Text, comment="one of NAME_METHODS")
    confidence: Named[float] = Column(REAL, comment="in [0, 1]")


evaluated_names = Table(
    "evaluated_names",
    metadata,
    NameTable,
    UniqueConstraint("name"),
    CheckConstraint(one_of("method", NameMethod), name="method"),
    Index("evaluated_names_model_id_idx", "model_id"),
    Index(
        "evaluated_names_unresolved_idx",
        "name_id",
        postgresql_where=text("method = 'unresolved'"),
    ),
)


class RunTable(TypedColumns):
    """One row per run: one model on one benchmark under one setup by one measure.

    Columns stand in the order of their widths, so that no byte is lost between them. `run_id` is
    a fingerprint of what makes the run this run, the same in every registry; see
    `registry.packing` for how its outcomes are packed.
    """

    model_id = model_key()
    run_id = Column(BigInteger, primary_key=True, autoincrement=False, comment="fingerprint")
    score: Named[float | None] = Column(Double, comment="raw")
    evaluated_at: Named[datetime | None] = time_or_null("UTC")
    benchmark_id: Named[int] = Column(Integer, comment="the benchmark")
    measure_id: Named[int] = Column(Integer, comment="of measures")
    setup_id: Named[int] = Column(Integer, comment="of setups")
    source_id: Named[int] = Column(Integer, comment="of sources")
    name_id: Named[int] = Column(Integer, comment="of evaluated_names: how the source spells it")
    import_id: Named[int | None] = Column(Integer, comment="of imports: what wrote it last")
    item_count: Named[int | None] = Column(Integer, comment="items that the score is of")
    standard_error: Named[float | None] = Column(REAL, comment="of the raw score")
    complete: Named[bool] = Column(Boolean, comment="false where limited to some items")
    verified: Named[bool] = Column(Boolean, comment="vouched for by its source")
    right_bits: Named[Any] = Column(
        BIT(varying=True),
        nullable=True,
        comment="by ordinal: outcome of at least 0.5; null where only the score is known",
    )
    present_bits: Named[Any] = Column(
        BIT(varying=True), nullable=True, comment="by ordinal: observed; null: all of right_bits"
    )
    grades: Named[Any] = Column(
        ARRAY(REAL), nullable=True, comment="by ordinal: outcomes; null where all are 0 or 1"
    )
    revision: Named[str | None] = Column(Text, comment="of the model")
    outcome_count: Named[int | None] = Column(
        Integer, comment="items with an outcome; null where only the score is known"
    )


runs = Table(
    "runs",
    metadata,
    RunTable,
    Index("runs_benchmark_id_model_id_idx", "benchmark_id", "model_id"),
    # For joins by it alone, of which planners expect one run: of two columns they expect none.
    Index("runs_run_id_idx", "run_id", unique=True),
    Index("runs_name_id_idx", "name_id"),
    Index("runs_import_id_idx", "import_id"),
)


class ShownRunTable(TypedColumns):
    """The run of a model on a benchmark that leaderboards show; triggers keep it.

    It follows from view `store.ranked_runs`, which joins of leaderboards need not compute. It has
    no foreign key to runs: one is checked row by row, which took longer than storing the runs.
    """

    model_id = model_key()
    benchmark_id = Column(Integer, primary_key=True, autoincrement=False, comment="the benchmark")
    run_id: Named[int] = Column(BigInteger, comment="of runs: the preferred one")


shown_runs = Table(
    "shown_runs",
    metadata,
    ShownRunTable,
    Index("shown_runs_benchmark_id_idx", "benchmark_id"),
)


class AnswerTable(TypedColumns):
    """Answers of a run's model, with tokens and latencies, as far as its source gives them."""

    model_id = model_key()
    run_id = Column(BigInteger, primary_key=True, autoincrement=False, comment="of runs")
    benchmark_id: Named[int] = Column(Integer, comment="the benchmark")
    codes: Named[Any] = Column(
        LargeBinary,
        nullable=True,
        comment="by ordinal: 1, 2 or 4 bytes, place in texts from 1; 0 for none",
    )
    texts: Named[Any] = Column(ARRAY(Text), nullable=True, comment="the distinct answers")
    input_tokens: Named[Any] = Column(ARRAY(Integer), nullable=True, comment="by ordinal")
    output_tokens: Named[Any] = Column(ARRAY(Integer), nullable=True, comment="by ordinal")
    latencies: Named[Any] = Column(ARRAY(REAL), nullable=True, comment="by ordinal, milliseconds")


answers = Table("answers", metadata, AnswerTable, Index("answers_benchmark_id_idx", "benchmark_id"))


class StatisticTable(TypedColumns):
    """Counts over all models for each item of a benchmark; refreshed by each import."""

    benchmark_id = Column(Integer, primary_key=True, autoincrement=False, comment="the benchmark")
    models: Named[Any] = Column(
        ARRAY(Integer), nullable=False, comment="by ordinal: number of models observed"
    )
    means: Named[Any] = Column(
        ARRAY(REAL), nullable=False, comment="by ordinal: their mean outcome; NaN where none"
    )


item_statistics = Table("item_statistics", metadata, StatisticTable)


class PendingEvaluationTable(TypedColumns):
    """Models whose results on the Hub are to be imported, since their records changed."""

    model_id = model_key()
    eval_results: Named[Any] = Column(
        JSONB, nullable=True, comment="of .eval_results; those of model-index are in the card"
    )


pending_evaluations = Table("pending_evaluations", metadata, PendingEvaluationTable)


class ModelFactTable(TypedColumns):
    """Facts that sources of evaluations state of models, one row per model, source and fact."""

    model_id = model_key()
    source_id = Column(Integer, primary_key=True, autoincrement=False, comment="of sources")
    fact: Named[str] = Column(
        Text, primary_key=True, comment="such as parameters, license, base_model"
    )
    value: Named[str] = Column(Text, comment="as the registry reads it")
    import_id: Named[int | None] = Column(Integer, comment="of imports: the file")


model_facts = Table("model_facts", metadata, ModelFactTable)


class ScoreChangeTable(TypedColumns):
    """Scores that a new version of the registry reads otherwise, with both values."""

    model_id = model_key()
    run_id = Column(BigInteger, primary_key=True, autoincrement=False, comment="of runs")
    changed_at = Column(DateTime(timezone=True), primary_key=True, comment="UTC")
    old_score: Named[float | None] = Column(Double, comment="share, or raw without bounds")
    new_score: Named[float | None] = Column(Double, comment="likewise; null: not measured")
    reason: Named[str] = Column(Text)
    # The run, and the model that was known by its name alone, may be gone.
    name: Named[str | None] = Column(Text, comment="of the model then")
    benchmark_id: Named[int | None] = Column(Integer, comment="the benchmark then")
    measure_id: Named[int | None] = Column(Integer, comment="of measures, then")
    import_id: Named[int | None] = Column(Integer, comment="of imports, then")


score_changes = Table("score_changes", metadata, ScoreChangeTable)


class RestatedRunTable(TypedColumns):
    """Files that state a run besides the one that the run is of."""

    run_id = Column(BigInteger, primary_key=True, autoincrement=False, comment="of runs")
    import_id = Column(
        Integer,
        primary_key=True,
        autoincrement=False,
        comment="of imports: a file that states the run, besides the one that the run is of",
    )
    with_outcomes: Named[bool] = Column(Boolean, comment="whether it states outcomes")


restated_runs = Table(
    "restated_runs",
    metadata,
    RestatedRunTable,
    Index("restated_runs_import_id_idx", "import_id"),
)
