-- ranked_runs: runs with their rank among those of their model on their benchmark, 1 is preferred.
-- The only statement of which run is preferred. Of runs with outcomes it is the first by outcome_tier,
-- as outcomes on all items come before a part of them, then by rank. Keys and names are partitioned
-- by, so that conditions on any of them reach the tables.
CREATE VIEW store.ranked_runs AS
SELECT r.*, r.right_bits IS NOT NULL AS has_outcomes, m.name AS model, b.name AS benchmark,
       b.version, k.metric, k.filter, k.lower, k.upper, k.higher_is_better, k.unit, t.shots,
       t.variant,
       c.is_shown, store.rank_value(r.score, k.lower, k.upper, k.higher_is_better) AS rank_value,
       CASE WHEN c.is_shown THEN 0 ELSE 4 END
           + CASE WHEN t.variant IS NULL THEN 0 ELSE 2 END
           + CASE WHEN r.outcome_count = r.item_count THEN 0 ELSE 1 END AS outcome_tier,
       row_number() OVER (
           PARTITION BY r.model_id, r.benchmark_id, m.name, b.name, b.version
           ORDER BY c.is_shown DESC,
                    -- A system around a model is not the model.
                    t.variant IS NULL DESC,
                    r.complete DESC,
                    r.verified DESC,
                    -- The main revision, then checkpoints by number, then any other. A commit (40
                    -- characters) counts as main: lm-eval states one for every run.
                    CASE WHEN r.revision IS NULL OR r.revision = 'main' OR length(r.revision) = 40
                         THEN 'Infinity'
                         ELSE coalesce(
                             substring(
                                 r.revision FROM '(?:step|checkpoint|ckpt|iter|epoch)\D?(\d{1,15})'
                             )::float8, -1)
                    END DESC,
                    r.evaluated_at DESC NULLS LAST,
                    r.right_bits IS NOT NULL DESC,
                    t.shots NULLS LAST,
                    coalesce(r.item_count, 0) DESC,
                    -- Among equals models are compared under the same setup.
                    t.fingerprint,
                    r.run_id
       ) AS rank
  FROM store.runs r
  JOIN store.models m ON m.model_id = r.model_id
  JOIN store.benchmarks b ON b.benchmark_id = r.benchmark_id
  JOIN store.measures shown ON shown.measure_id = b.measure_id
  JOIN store.measures k ON k.measure_id = r.measure_id
  JOIN store.setups t ON t.setup_id = r.setup_id
  -- Scales that cannot be compared are not mixed: the same metric in the other direction, without
  -- bounds beside one with bounds, or in another unit. A score outside its bounds is none.
 CROSS JOIN LATERAL (
       SELECT (k.metric, k.filter) = (shown.metric, shown.filter)
              AND k.higher_is_better IS NOT DISTINCT FROM shown.higher_is_better
              AND (k.upper > k.lower) IS TRUE = ((shown.upper > shown.lower) IS TRUE)
              AND ((k.upper > k.lower) IS TRUE OR k.unit IS NOT DISTINCT FROM shown.unit)
              AND (CASE WHEN k.upper > k.lower
                        THEN (r.score - k.lower) / (k.upper - k.lower)
                             NOT BETWEEN -1e-6 AND 1 + 1e-6
                        ELSE r.score < k.lower OR r.score > k.upper END) IS NOT TRUE AS is_shown
       ) c;

COMMENT ON VIEW store.ranked_runs IS
    'Runs with their rank among those of their model on their benchmark; 1 is the preferred run. By the shown measure, measured within its bounds, before others, plain before a variant, complete before limited, verified before not, of the main revision (none, main or a commit) before others, of the checkpoint with the highest number, the newest, with outcomes, of the fewest shots, of the most items.';
