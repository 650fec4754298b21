-- canonical_leaderboard: the preferred score of each model on each canonical benchmark.
-- Of a canonical name's benchmarks only those count whose shown measure is the one of most models.
-- Of a model's scores under several names it is the one that no other comes before: a rank would do,
-- but planners do not know how many rows it leaves, so that joins of the view would not end.
CREATE VIEW registry.canonical_leaderboard AS
SELECT m.name AS model, coalesce(b.canonical, b.name) AS benchmark, b.version,
       store.share(r.score, k.lower, k.upper, k.higher_is_better) AS score,
       CASE WHEN r.outcome_count = r.item_count THEN 'measured' ELSE 'reported' END AS kind,
       b.name AS stated_as, b.variant AS prompting, k.metric, k.filter, r.score AS raw_score,
       k.unit,
       CASE WHEN k.upper > k.lower THEN r.standard_error / (k.upper - k.lower)
       END AS standard_error,
       r.item_count AS items, r.complete, r.verified, s.name AS source, r.evaluated_at,
       r.run_id AS run, r.revision, t.shots, t.variant
  FROM store.shown_runs shown
  JOIN store.runs r ON r.run_id = shown.run_id
  JOIN store.models m ON m.model_id = shown.model_id
  JOIN store.benchmarks b ON b.benchmark_id = shown.benchmark_id
  JOIN store.measures k ON k.measure_id = r.measure_id
  JOIN store.setups t ON t.setup_id = r.setup_id
  JOIN store.sources s ON s.source_id = r.source_id
 WHERE b.comparable
   AND NOT (b.benchmark_id = ANY (ARRAY(
                SELECT one.benchmark_id FROM store.benchmarks one
                 WHERE EXISTS (SELECT FROM store.benchmarks two
                                WHERE coalesce(two.canonical, two.name)
                                      = coalesce(one.canonical, one.name)
                                  AND two.version = one.version AND two.name <> one.name)))
            AND EXISTS (
                SELECT FROM store.benchmarks ob
                  JOIN store.shown_runs os ON os.model_id = shown.model_id
                                          AND os.benchmark_id = ob.benchmark_id
                  JOIN store.runs o ON o.run_id = os.run_id
                  JOIN store.setups ot ON ot.setup_id = o.setup_id
                 WHERE coalesce(ob.canonical, ob.name) = coalesce(b.canonical, b.name)
                   AND ob.version = b.version AND ob.comparable
                   AND (ot.variant IS NOT NULL, ob.variant IS NOT NULL, NOT o.complete,
                        NOT o.verified, coalesce(-extract(epoch FROM o.evaluated_at), 'Infinity'),
                        o.right_bits IS NULL, -coalesce(o.item_count, 0), o.run_id)
                       < (t.variant IS NOT NULL, b.variant IS NOT NULL, NOT r.complete,
                         NOT r.verified, coalesce(-extract(epoch FROM r.evaluated_at), 'Infinity'),
                         r.right_bits IS NULL, -coalesce(r.item_count, 0), r.run_id)));

COMMENT ON VIEW registry.canonical_leaderboard IS
    'One score per model and canonical benchmark (and version), whatever name its source has for the benchmark, among those of one measure. Of several it is that of the plain model before a system around it, of the plain prompting before variants such as chain of thought, then of a complete run, of a verified one, the newest, one with outcomes, of the most items. View leaderboard has one for each name.

Example:
SELECT model, score, stated_as, source FROM registry.canonical_leaderboard
 WHERE benchmark = ''mmlu_pro'' ORDER BY score DESC NULLS LAST LIMIT 10;';
COMMENT ON COLUMN registry.canonical_leaderboard.model IS
    'Name of the model, as it is now.';
COMMENT ON COLUMN registry.canonical_leaderboard.benchmark IS
    'Canonical name of the benchmark.';
COMMENT ON COLUMN registry.canonical_leaderboard.version IS
    'Version of the benchmark; empty where no source states one.';
COMMENT ON COLUMN registry.canonical_leaderboard.score IS
    'Share in [0, 1], higher being better; null where the metric has no bounds.';
COMMENT ON COLUMN registry.canonical_leaderboard.kind IS
    'measured where the score is the mean of known outcomes on all its items, else reported.';
COMMENT ON COLUMN registry.canonical_leaderboard.stated_as IS
    'Name of the benchmark in the source of the score.';
COMMENT ON COLUMN registry.canonical_leaderboard.prompting IS
    'Way of prompting that this name stands for, such as cot; null for the plain one.';
COMMENT ON COLUMN registry.canonical_leaderboard.metric IS
    'Metric, such as acc.';
COMMENT ON COLUMN registry.canonical_leaderboard.filter IS
    'How answers were extracted from replies; empty for none.';
COMMENT ON COLUMN registry.canonical_leaderboard.raw_score IS
    'Score as the source states it, or from the outcomes.';
COMMENT ON COLUMN registry.canonical_leaderboard.unit IS
    'Unit of the raw score; null for a share.';
COMMENT ON COLUMN registry.canonical_leaderboard.standard_error IS
    'Standard error of score, where known.';
COMMENT ON COLUMN registry.canonical_leaderboard.items IS
    'Number of items of the score, where known.';
COMMENT ON COLUMN registry.canonical_leaderboard.complete IS
    'False for a run limited to some of the items.';
COMMENT ON COLUMN registry.canonical_leaderboard.verified IS
    'Whether the source has verified it.';
COMMENT ON COLUMN registry.canonical_leaderboard.source IS
    'Who states it.';
COMMENT ON COLUMN registry.canonical_leaderboard.evaluated_at IS
    'Time of the evaluation in UTC, where known.';
COMMENT ON COLUMN registry.canonical_leaderboard.run IS
    'Key of the run, as in runs.';
COMMENT ON COLUMN registry.canonical_leaderboard.revision IS
    'Commit, branch or checkpoint of the model, where known.';
COMMENT ON COLUMN registry.canonical_leaderboard.shots IS
    'Number of examples in the prompt; null where unknown.';
COMMENT ON COLUMN registry.canonical_leaderboard.variant IS
    'What makes it a system around the model, such as best-of-16; null for the plain model.';
