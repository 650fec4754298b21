-- runs: one row per run, with its setup and source.
CREATE VIEW registry.runs AS
SELECT r.run_id AS run, m.name AS model, b.name AS benchmark, b.version, k.metric, k.filter,
       s.name AS source, r.complete, r.verified, r.item_count AS items,
       store.share(r.score, k.lower, k.upper, k.higher_is_better) AS score,
       r.score AS raw_score,
       r.standard_error AS raw_standard_error,
       r.right_bits IS NOT NULL AS has_outcomes, r.outcome_count AS outcomes,
       r.revision, r.evaluated_at, t.harness, t.harness_version, t.task_version, t.shots,
       t.prompt_template, t.chat_template, t.precision, t.details,
       n.name AS spelling, n.method AS resolved_by, n.confidence AS name_confidence,
       i.path AS file, i.imported_at, t.variant, i.revision AS file_revision,
       coalesce(b.canonical, b.name) AS canonical
  FROM store.runs r
  JOIN store.models m ON m.model_id = r.model_id
  JOIN store.benchmarks b ON b.benchmark_id = r.benchmark_id
  JOIN store.measures k ON k.measure_id = r.measure_id
  JOIN store.setups t ON t.setup_id = r.setup_id
  JOIN store.sources s ON s.source_id = r.source_id
  JOIN store.evaluated_names n ON n.name_id = r.name_id
  LEFT JOIN store.imports i ON i.import_id = r.import_id;

COMMENT ON VIEW registry.runs IS
    'One row per run: one model on one version of a benchmark, under one setup, by one measure, from one source. Sources may disagree: each has its row.

Example:
SELECT model, metric, filter, shots, score, source
  FROM registry.runs
 WHERE benchmark = ''gsm8k'' AND complete
 ORDER BY score DESC NULLS LAST LIMIT 10;';
COMMENT ON COLUMN registry.runs.run IS
    'Key of the run: a digest of what identifies it, the same in every registry.';
COMMENT ON COLUMN registry.runs.model IS
    'Name of the model, as it is now.';
COMMENT ON COLUMN registry.runs.benchmark IS
    'Name of the benchmark.';
COMMENT ON COLUMN registry.runs.version IS
    'Version of the benchmark.';
COMMENT ON COLUMN registry.runs.metric IS
    'Metric, such as acc.';
COMMENT ON COLUMN registry.runs.filter IS
    'How answers were extracted from replies; empty for none.';
COMMENT ON COLUMN registry.runs.source IS
    'Who states it: a leaderboard, a harness, the Hub.';
COMMENT ON COLUMN registry.runs.complete IS
    'False for a run limited to some of the items.';
COMMENT ON COLUMN registry.runs.verified IS
    'Whether the source has verified it.';
COMMENT ON COLUMN registry.runs.items IS
    'Number of items of the score, where known.';
COMMENT ON COLUMN registry.runs.score IS
    'Score as a share in [0, 1], higher being better; null where the metric has no bounds.';
COMMENT ON COLUMN registry.runs.raw_score IS
    'Score as the source states it, or the mean of the outcomes on all its items.';
COMMENT ON COLUMN registry.runs.raw_standard_error IS
    'Standard error of the raw score, as stated or from the outcomes on all its items.';
COMMENT ON COLUMN registry.runs.has_outcomes IS
    'Whether view outcomes has outcomes of it, on all items of the score or a part.';
COMMENT ON COLUMN registry.runs.outcomes IS
    'Number of items with an outcome. Fewer than items, or items unknown: the outcomes are a part, and the score is as its source states it. Null where only the score is known.';
COMMENT ON COLUMN registry.runs.revision IS
    'Commit, branch or checkpoint of the model, where known.';
COMMENT ON COLUMN registry.runs.evaluated_at IS
    'Time of the evaluation in UTC, where known.';
COMMENT ON COLUMN registry.runs.harness IS
    'Evaluation program, where known.';
COMMENT ON COLUMN registry.runs.harness_version IS
    'Version or commit of that program.';
COMMENT ON COLUMN registry.runs.task_version IS
    'Version of the task in the harness.';
COMMENT ON COLUMN registry.runs.shots IS
    'Number of examples in the prompt; null where unknown.';
COMMENT ON COLUMN registry.runs.prompt_template IS
    'Name or hash of the prompt template.';
COMMENT ON COLUMN registry.runs.chat_template IS
    'Name or hash of the chat template; empty if none was used, null if unknown.';
COMMENT ON COLUMN registry.runs.precision IS
    'Data type of the weights, such as bfloat16.';
COMMENT ON COLUMN registry.runs.details IS
    'Anything else that distinguishes runs.';
COMMENT ON COLUMN registry.runs.spelling IS
    'Name of the model in the source.';
COMMENT ON COLUMN registry.runs.resolved_by IS
    'Method that resolved the spelling, as in evaluated_names.';
COMMENT ON COLUMN registry.runs.name_confidence IS
    'Confidence of that, in [0, 1].';
COMMENT ON COLUMN registry.runs.file IS
    'File that it was imported from, its path or its address; null for scores of the Hub, from the sync.';
COMMENT ON COLUMN registry.runs.imported_at IS
    'When the present version of that file was first imported.';
COMMENT ON COLUMN registry.runs.variant IS
    'What makes it a system around the model, such as best-of-16, a reranker, a prompt variant or an agent; null for the plain model.';
COMMENT ON COLUMN registry.runs.file_revision IS
    'Revision of that file: the commit of a repository of the Hub, the version of a remote file; null for local ones.';
COMMENT ON COLUMN registry.runs.canonical IS
    'Canonical name of the benchmark: equal for all names of the same items; subsets, versions and translations have their own.';
