-- leaderboard: the preferred score of each model on each benchmark, by its shown measure.
CREATE VIEW registry.leaderboard AS
SELECT m.name AS model, b.name AS benchmark,
       store.share(r.score, k.lower, k.upper, k.higher_is_better) AS score,
       CASE WHEN r.outcome_count = r.item_count THEN 'measured' ELSE 'reported' END AS kind,
       b.version, k.metric, k.filter, r.score AS raw_score, k.unit,
       CASE WHEN k.upper > k.lower THEN r.standard_error / (k.upper - k.lower)
       END AS standard_error,
       r.item_count AS items, r.complete, r.verified, s.name AS source, r.evaluated_at,
       r.run_id AS run, r.revision, t.shots, t.variant,
       coalesce(b.canonical, b.name) AS canonical,
       store.rank_value(r.score, k.lower, k.upper, k.higher_is_better) AS rank_value
  FROM store.shown_runs shown
  JOIN store.runs r ON r.run_id = shown.run_id
  JOIN store.models m ON m.model_id = shown.model_id
  JOIN store.benchmarks b ON b.benchmark_id = shown.benchmark_id
  JOIN store.measures k ON k.measure_id = r.measure_id
  JOIN store.setups t ON t.setup_id = r.setup_id
  JOIN store.sources s ON s.source_id = r.source_id;

COMMENT ON VIEW registry.leaderboard IS
    'One score per model and version of a benchmark, by the measure that view benchmarks names. Of several runs it is the preferred one: of the plain model before one of a system around it (a variant); then a complete run before a limited one; then a verified one; then of the main revision (none stated, main, or a commit); then, of checkpoints named like step143000, of the highest number; then the newest; then one with outcomes; then of the fewest examples in the prompt, unknown ones last; then of the most items; then of the setup with the lowest fingerprint, so that models are compared under the same one; then of the lowest key. View scores has other checkpoints, sources and numbers of shots.

Example:
SELECT model, score, kind, source FROM registry.leaderboard
 WHERE benchmark = ''gsm8k'' ORDER BY rank_value DESC NULLS LAST LIMIT 10;';
COMMENT ON COLUMN registry.leaderboard.model IS
    'Name of the model, as it is now.';
COMMENT ON COLUMN registry.leaderboard.benchmark IS
    'Name of the benchmark.';
COMMENT ON COLUMN registry.leaderboard.score IS
    'Share in [0, 1], higher being better; null where the measure has no bounds: order by rank_value.';
COMMENT ON COLUMN registry.leaderboard.kind IS
    'measured where the score is the mean of known outcomes on all its items, else reported.';
COMMENT ON COLUMN registry.leaderboard.version IS
    'Version of the benchmark.';
COMMENT ON COLUMN registry.leaderboard.metric IS
    'Metric, such as acc.';
COMMENT ON COLUMN registry.leaderboard.filter IS
    'How answers were extracted from replies; empty for none.';
COMMENT ON COLUMN registry.leaderboard.raw_score IS
    'Score as the source states it, or the mean of the outcomes on all its items.';
COMMENT ON COLUMN registry.leaderboard.unit IS
    'Unit of the raw score; null for a share.';
COMMENT ON COLUMN registry.leaderboard.standard_error IS
    'Standard error of score, where known.';
COMMENT ON COLUMN registry.leaderboard.items IS
    'Number of items of the score, where known.';
COMMENT ON COLUMN registry.leaderboard.complete IS
    'False for a run limited to some of the items.';
COMMENT ON COLUMN registry.leaderboard.verified IS
    'Whether the source has verified it.';
COMMENT ON COLUMN registry.leaderboard.source IS
    'Who states it.';
COMMENT ON COLUMN registry.leaderboard.evaluated_at IS
    'Time of the evaluation in UTC, where known.';
COMMENT ON COLUMN registry.leaderboard.run IS
    'Key of the run, as in runs.';
COMMENT ON COLUMN registry.leaderboard.revision IS
    'Commit, branch or checkpoint of the model, where known.';
COMMENT ON COLUMN registry.leaderboard.shots IS
    'Number of examples in the prompt; null where unknown.';
COMMENT ON COLUMN registry.leaderboard.variant IS
    'What makes it a system around the model, such as best-of-16 or a prompt variant: the model has no plain run on the benchmark; null for the plain model.';
COMMENT ON COLUMN registry.leaderboard.canonical IS
    'Canonical name of the benchmark: equal for all names of the same items; subsets, versions and translations have their own.';
COMMENT ON COLUMN registry.leaderboard.rank_value IS
    'Higher for a better score: score where the measure has bounds, else raw_score, negated where lower is better; null where it is not known which is better.';
