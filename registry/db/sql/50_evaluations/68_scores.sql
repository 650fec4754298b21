-- scores: one row per score, stated by a source or computed from outcomes.
CREATE VIEW registry.scores AS
SELECT m.name AS model, b.name AS benchmark, b.version, k.metric, k.filter,
       store.share(r.score, k.lower, k.upper, k.higher_is_better) AS score,
       r.score AS raw_score, k.unit,
       CASE WHEN k.upper > k.lower THEN r.standard_error / (k.upper - k.lower)
       END AS standard_error,
       CASE WHEN k.higher_is_better AND k.random_baseline < k.upper
                 AND store.rank_value(r.score, k.lower, k.upper, k.higher_is_better) IS NOT NULL
            THEN (r.score - k.random_baseline) / (k.upper - k.random_baseline)
       END AS above_chance,
       CASE WHEN r.outcome_count = r.item_count THEN 'measured' ELSE 'reported' END AS kind,
       s.name AS source, r.item_count AS items, r.complete, r.verified, t.harness, t.shots,
       t.precision, r.revision, r.evaluated_at, r.run_id AS run, t.variant,
       coalesce(b.canonical, b.name) AS canonical
  FROM store.runs r
  JOIN store.models m ON m.model_id = r.model_id
  JOIN store.benchmarks b ON b.benchmark_id = r.benchmark_id
  JOIN store.measures k ON k.measure_id = r.measure_id
  JOIN store.setups t ON t.setup_id = r.setup_id
  JOIN store.sources s ON s.source_id = r.source_id;

COMMENT ON VIEW registry.scores IS
    'One row per score of a model on a benchmark, with its source; conflicting scores stand side by side. View leaderboard has one score per model and benchmark.

Example:
SELECT model, count(*), min(score), max(score) FROM registry.scores
 WHERE benchmark = ''mmlu'' AND metric = ''acc''
 GROUP BY model HAVING max(score) - min(score) > 0.02;';
COMMENT ON COLUMN registry.scores.model IS
    'Name of the model, as it is now.';
COMMENT ON COLUMN registry.scores.benchmark IS
    'Name of the benchmark.';
COMMENT ON COLUMN registry.scores.version IS
    'Version of the benchmark.';
COMMENT ON COLUMN registry.scores.metric IS
    'Metric, such as acc.';
COMMENT ON COLUMN registry.scores.filter IS
    'How answers were extracted from replies; empty for none.';
COMMENT ON COLUMN registry.scores.score IS
    'Share in [0, 1], higher being better; null where the metric has no bounds, and for a raw score outside them: nothing was measured.';
COMMENT ON COLUMN registry.scores.raw_score IS
    'Score as the source states it, or the mean of the outcomes on all its items.';
COMMENT ON COLUMN registry.scores.unit IS
    'Unit of the raw score, such as %; null for a share.';
COMMENT ON COLUMN registry.scores.standard_error IS
    'Standard error of score: from the outcomes where known, else as stated.';
COMMENT ON COLUMN registry.scores.above_chance IS
    'Score scaled to 0 for random answers and 1 for the best; negative is worse than random; null where the random baseline or the upper bound is not known, lower is better, or nothing was measured.';
COMMENT ON COLUMN registry.scores.kind IS
    'measured where the score is the mean of known outcomes on all its items, else reported.';
COMMENT ON COLUMN registry.scores.source IS
    'Who states it.';
COMMENT ON COLUMN registry.scores.items IS
    'Number of items of the score, where known.';
COMMENT ON COLUMN registry.scores.complete IS
    'False for a run limited to some of the items.';
COMMENT ON COLUMN registry.scores.verified IS
    'Whether the source has verified it.';
COMMENT ON COLUMN registry.scores.harness IS
    'Evaluation program, where known.';
COMMENT ON COLUMN registry.scores.shots IS
    'Number of examples in the prompt; null where unknown.';
COMMENT ON COLUMN registry.scores.precision IS
    'Data type of the weights.';
COMMENT ON COLUMN registry.scores.revision IS
    'Commit, branch or checkpoint of the model, where known.';
COMMENT ON COLUMN registry.scores.evaluated_at IS
    'Time of the evaluation in UTC, where known.';
COMMENT ON COLUMN registry.scores.run IS
    'Key of the run, as in runs.';
COMMENT ON COLUMN registry.scores.variant IS
    'What makes it a system around the model, such as best-of-16 or a prompt variant; null for the plain model.';
COMMENT ON COLUMN registry.scores.canonical IS
    'Canonical name of the benchmark: equal for all names of the same items; subsets, versions and translations have their own.';
