-- leaderboard(benchmarks, with_predictions, level, models): models on benchmarks, the best first, with
-- the ranks that their intervals allow; with predictions in the holes, as such.
-- A rank is at best one more than the number of models whose interval is wholly above, and at worst
-- the number of those that reach its lower end. width_bucket is a binary search.
CREATE FUNCTION registry.leaderboard(
    benchmarks text[], with_predictions boolean DEFAULT false,
    level double precision DEFAULT 0.9, models text[] DEFAULT NULL
)
RETURNS TABLE (
    benchmark text, benchmark_version text, rank bigint, model text, score double precision,
    lower double precision, upper double precision, kind text, raw_score double precision,
    raw_lower double precision, raw_upper double precision, best_rank integer,
    worst_rank integer, caution text
)
LANGUAGE plpgsql STABLE
SET jit = off
SET search_path FROM CURRENT  -- where pgvector is, whatever the caller's path
AS $$
#variable_conflict use_column
DECLARE
    asked_level CONSTANT double precision := coalesce(leaderboard.level, 0.9);
    keys integer[];       -- of benchmarks under the names,
    places integer[];     -- and the place of each in:
    titles text[];
    versions text[];
    predictable integer[] := '{}';
    members bigint[];
    unknown text;
BEGIN
    SELECT n.name INTO unknown FROM unnest(leaderboard.benchmarks) AS n (name)
     WHERE NOT EXISTS (SELECT FROM store.benchmark_ids(n.name)) LIMIT 1;
    IF FOUND THEN
        RAISE no_data_found USING MESSAGE = format('There is no benchmark %L', unknown);
    END IF;
    SELECT n.name INTO unknown FROM unnest(leaderboard.models) AS n (name)
     WHERE registry.model_id(n.name) IS NULL LIMIT 1;
    IF FOUND THEN
        RAISE no_data_found USING MESSAGE =
            format('No model named %L is in the registry', unknown);
    END IF;
    WITH named AS (
        SELECT DISTINCT coalesce(o.canonical, o.name) AS title, o.version
          FROM unnest(leaderboard.benchmarks) AS n (name)
         CROSS JOIN LATERAL store.benchmark_ids(n.name) AS k (benchmark_id)
          JOIN store.benchmarks o ON o.benchmark_id = k.benchmark_id
    ), placed AS (
        SELECT n.title, n.version, row_number() OVER (ORDER BY n.title, n.version) AS place
          FROM named n
    ), members AS (
        SELECT b.benchmark_id, p.place FROM placed p
          JOIN store.benchmarks b ON coalesce(b.canonical, b.name) = p.title
                                 AND b.version = p.version
         WHERE b.comparable
    )
    SELECT (SELECT array_agg(p.title ORDER BY p.place) FROM placed p),
           (SELECT array_agg(p.version ORDER BY p.place) FROM placed p),
           (SELECT array_agg(m.benchmark_id ORDER BY m.benchmark_id) FROM members m),
           (SELECT array_agg(m.place ORDER BY m.benchmark_id) FROM members m)
      INTO titles, versions, keys, places;
    members := ARRAY(SELECT registry.model_id(n.name) FROM unnest(leaderboard.models) AS n (name));
    IF with_predictions THEN
        predictable := ARRAY(SELECT DISTINCT store.predicted_benchmarks(n.name)
                          FROM unnest(leaderboard.benchmarks) AS n (name));
        IF EXISTS (SELECT FROM store.prediction_intervals i
                     JOIN store.prediction_versions v USING (version_id)
                    WHERE v.state = 'current'
                      AND store.interval_ratio(i.levels, i.ratios, asked_level) IS NULL) THEN
            RAISE invalid_parameter_value USING MESSAGE = format(
                'Level %s is not one at which intervals were measured; they were from 0.5 to 0.99',
                asked_level);
        END IF;
    END IF;
    RETURN QUERY
    WITH measured AS MATERIALIZED (
        SELECT DISTINCT ON (s.model_id, u.place) s.model_id, u.place,
               store.share(r.score, k.lower, k.upper, k.higher_is_better) AS score,
               store.rank_value(r.score, k.lower, k.upper, k.higher_is_better) AS value,
               r.score AS raw, r.measure_id
          FROM unnest(keys, places) AS u (benchmark_id, place)
          JOIN store.shown_runs s ON s.benchmark_id = u.benchmark_id
          JOIN store.runs r ON r.run_id = s.run_id
          JOIN store.benchmarks b ON b.benchmark_id = s.benchmark_id
          JOIN store.measures k ON k.measure_id = r.measure_id
          JOIN store.setups t ON t.setup_id = r.setup_id
         WHERE r.complete AND (leaderboard.models IS NULL OR s.model_id = ANY (members))
         ORDER BY s.model_id, u.place, t.variant IS NOT NULL, b.variant IS NOT NULL,
               NOT r.verified, r.evaluated_at DESC NULLS LAST, r.right_bits IS NULL,
               r.item_count DESC NULLS LAST, r.run_id
    ), scales AS (
        -- Raw scores stand beside predicted ones: on the scale of those.
        SELECT u.place, w.measure_id, k.lower, k.upper, k.higher_is_better
          FROM unnest(keys, places) AS u (benchmark_id, place)
          JOIN store.served_loadings w ON w.benchmark_id = u.benchmark_id
          JOIN store.measures k ON k.measure_id = w.measure_id
         WHERE u.benchmark_id = ANY (predictable) AND w.centre IS NULL
    ), everyone AS (
        SELECT a.model_id FROM store.abilities a
         WHERE with_predictions AND leaderboard.models IS NULL AND a.score_count > 0
           AND a.version_id = (SELECT v.version_id FROM store.prediction_versions v
                                WHERE v.state = 'current')
        UNION ALL
        SELECT DISTINCT u.model_id FROM unnest(members) AS u (model_id)
    ), holes AS MATERIALIZED (
        SELECT e.model_id, u.benchmark_id, u.place
          FROM everyone e
         CROSS JOIN unnest(keys, places) AS u (benchmark_id, place)
         WHERE u.benchmark_id = ANY (predictable)
           AND NOT EXISTS (SELECT FROM measured m
                            WHERE m.model_id = e.model_id AND m.place = u.place)
    ), predicted AS (
        SELECT p.model_id, e.place, p.evidence, p.centre, p.scale, p.mean, k.lower, k.upper,
               k.higher_is_better, x.ratio * p.deviation AS half,
               store.prediction_caution(
                   v.reliable, p.benchmark_scores, p.evidence, p.support) AS caution
          FROM holes e
          JOIN store.predicted_scores p
            ON p.model_id = e.model_id AND p.benchmark_id = e.benchmark_id
          JOIN store.measures k ON k.measure_id = p.measure_id
          JOIN store.prediction_versions v ON v.version_id = p.version_id
          JOIN (SELECT i.version_id, i.evidence_group,
                       store.interval_ratio(i.levels, i.ratios, asked_level) AS ratio
                  FROM store.prediction_intervals i OFFSET 0) x
            ON x.version_id = p.version_id AND x.evidence_group = p.evidence_group
    ), both_kinds AS (
        SELECT m.model_id, m.place, m.score, NULL::float8 AS lower,
               NULL::float8 AS upper, m.value AS middle, m.value AS low, m.value AS high,
               'measured' AS kind,
               CASE WHEN m.score IS NOT NULL AND x.measure_id <> m.measure_id
                    THEN store.raw_of_share(m.score, x.lower, x.upper, x.higher_is_better)
                    ELSE m.raw END AS raw,
               NULL::float8 AS raw_low, NULL::float8 AS raw_high, NULL::text AS caution
          FROM measured m
          LEFT JOIN scales x ON x.place = m.place
        UNION ALL
        SELECT p.model_id, p.place,
               CASE WHEN p.centre IS NULL THEN s.middle END,
               CASE WHEN p.centre IS NULL THEN s.low END,
               CASE WHEN p.centre IS NULL THEN s.high END,
               s.middle, s.low, s.high, p.evidence, r.middle,
               least(r.low, r.high), greatest(r.low, r.high), p.caution
          FROM predicted p
         CROSS JOIN LATERAL (
               SELECT store.raw_of_working(p.mean, p.centre, p.scale, p.lower, p.upper,
                                           p.higher_is_better) AS middle,
                      store.raw_of_working(p.mean - p.half, p.centre, p.scale, p.lower, p.upper,
                                           p.higher_is_better) AS low,
                      store.raw_of_working(p.mean + p.half, p.centre, p.scale, p.lower, p.upper,
                                           p.higher_is_better) AS high
               OFFSET 0) r
         CROSS JOIN LATERAL (
               SELECT CASE WHEN p.centre IS NULL THEN store.working_share(p.mean)
                           ELSE sign(p.scale) * r.middle END AS middle,
                      CASE WHEN p.centre IS NULL THEN store.working_share(p.mean - p.half)
                           ELSE sign(p.scale) * r.low END AS low,
                      CASE WHEN p.centre IS NULL THEN store.working_share(p.mean + p.half)
                           ELSE sign(p.scale) * r.high END AS high
               OFFSET 0) s
    ), ends AS MATERIALIZED (
        SELECT c.place, count(*) AS models,
               array_agg(c.low ORDER BY c.low) AS lows,
               array_agg(-c.high ORDER BY -c.high) AS highs
          FROM both_kinds c WHERE c.middle IS NOT NULL
         GROUP BY c.place
    ), ranged AS (
        -- Before rows are sorted: they would carry the arrays along.
        SELECT c.*, (1 + e.models - width_bucket(c.high, e.lows))::integer AS best_rank,
               width_bucket(-c.low, e.highs) AS worst_rank
          FROM both_kinds c
          LEFT JOIN ends e ON e.place = c.place
        OFFSET 0
    )
    SELECT titles[c.place], versions[c.place],
           CASE WHEN c.middle IS NOT NULL THEN rank() OVER (
               PARTITION BY c.place ORDER BY c.middle DESC NULLS LAST) END,
           m.name, c.score, c.lower, c.upper, c.kind, c.raw, c.raw_low, c.raw_high,
           c.best_rank, c.worst_rank, c.caution
      FROM ranged c
      JOIN store.models m ON m.model_id = c.model_id
     ORDER BY c.place, c.middle DESC NULLS LAST, m.name;
END;
$$;

COMMENT ON FUNCTION registry.leaderboard(text[], boolean, double precision, text[]) IS
    'Models on benchmarks, in one row for each, the best first: measured scores of complete runs and, with predictions, predicted ones of the models that lack them, as such: kind says which is which. Of the models with a measured score there and, with predictions, with one on any benchmark; or of the models given, as far as they can be predicted. Ranks have the range that intervals allow: at best one more than the number of models whose interval is wholly above, at worst the number of those whose interval reaches its lower end; a measured score is an interval of no width.
benchmarks: any names of benchmarks, each with all its versions, or name@version
with_predictions: whether holes are filled
level: share of scores that intervals are to hold, from 0.5 to 0.99
models: only these models, by any of their names, with predictions also ones without any measured score; null: all that have one
benchmark: canonical name of the benchmark
benchmark_version: version of the benchmark
rank: place by score, from 1; null where it is not known which score is better
model: present name of the model
score: share in [0, 1], higher being better; null where the measure has no bounds
lower: lower end of the interval of a predicted score; null of a measured one
upper: its upper end
kind: measured, or what the prediction rests on, as in predictions
raw_score: as score, on the benchmark''s own scale
raw_lower: lower end of the interval of a predicted raw score
raw_upper: its upper end
best_rank: least rank that intervals allow
worst_rank: greatest rank that they allow
caution: why a prediction is weak; null of a measured score, and where nothing speaks against it

Example:
SELECT benchmark, rank, best_rank, worst_rank, model, score, lower, upper, kind
  FROM registry.leaderboard(ARRAY[''gsm8k'', ''arc''], with_predictions => true);';
