-- board(benchmarks, filters): models ranked by their mean score on benchmarks, which have equal
-- weights. The first filters select models, those from by_metric on select runs. The runs that
-- leaderboards show are kept in a table; runs that are selected are ranked here.
CREATE FUNCTION registry.board(
    benchmarks text[] DEFAULT NULL, query text DEFAULT NULL, by_family text DEFAULT NULL,
    licenses text[] DEFAULT NULL, license_classes text[] DEFAULT NULL,
    min_parameters bigint DEFAULT NULL, max_parameters bigint DEFAULT NULL,
    models text[] DEFAULT NULL, by_metric text DEFAULT NULL, by_filter text DEFAULT NULL,
    by_source text DEFAULT NULL, by_variant text DEFAULT NULL, partial boolean DEFAULT false,
    "limit" integer DEFAULT NULL
)
RETURNS TABLE (
    model text, average double precision, scored bigint, scores jsonb, variants text[],
    parameters bigint, license text, downloads bigint, incomplete bigint,
    standard_error double precision, rank bigint, tied bigint, rank_lower bigint, rank_upper bigint
)
LANGUAGE plpgsql STABLE
ROWS 1000
AS $$
#variable_conflict use_column
DECLARE
    members CONSTANT bigint[] := store.board_models(
        query, by_family, licenses, license_classes, min_parameters, max_parameters, models);
    is_selected CONSTANT boolean :=
        num_nonnulls(by_metric, by_filter, by_source, by_variant) > 0;
    sources CONSTANT integer[] := store.board_sources(by_source);
    setups CONSTANT integer[] := store.board_setups(by_variant);
    labels text[];
    keys integer[];
    measures integer[];
    places integer[];
    is_share boolean[];
BEGIN
    WITH columns AS MATERIALIZED (
        SELECT c.*, c.title || coalesce('@' || nullif(c.version, ''), '') AS label,
               row_number() OVER (ORDER BY c.place, c.title, c.version) AS number
          FROM store.board_columns(nullif(board.benchmarks, '{}'), members, by_metric, by_filter,
                                   is_selected, sources, setups) c
         WHERE c.chosen
    )
    SELECT (SELECT array_agg(c.label ORDER BY c.number) FROM columns c),
           (SELECT array_agg(c.is_share ORDER BY c.number) FROM columns c),
           (SELECT array_agg(DISTINCT k.key) FROM columns c, unnest(c.keys) AS k (key)),
           (SELECT array_agg(m.key ORDER BY c.number, m.key)
              FROM columns c, unnest(c.measures) AS m (key)),
           (SELECT array_agg(c.number ORDER BY c.number, m.key)
              FROM columns c, unnest(c.measures) AS m (key))
      INTO labels, is_share, keys, measures, places;
    RETURN QUERY
    WITH measured AS (
        SELECT m.place, k.*
          FROM unnest(measures, places) AS m (measure_id, place)
          JOIN store.measures k USING (measure_id)
    ), shown AS (
        SELECT DISTINCT ON (k.place, r.model_id) k.place, r.model_id, r.setup_id, r.score AS raw,
               k.lower, k.upper, k.higher_is_better, r.standard_error, r.item_count
          FROM store.shown_runs s
          JOIN store.runs r ON r.run_id = s.run_id
          JOIN measured k ON k.measure_id = r.measure_id
          JOIN store.setups t ON t.setup_id = r.setup_id
         WHERE NOT is_selected AND s.benchmark_id = ANY (keys)
           AND (members IS NULL OR s.model_id = ANY (members))
         ORDER BY k.place, r.model_id, t.variant IS NOT NULL, NOT r.complete, NOT r.verified,
               r.evaluated_at DESC NULLS LAST, r.right_bits IS NULL,
               r.item_count DESC NULLS LAST, r.run_id
    ), selected AS (
        SELECT DISTINCT ON (k.place, r.model_id) k.place, r.model_id, r.setup_id, r.score AS raw,
               k.lower, k.upper, k.higher_is_better, r.standard_error, r.item_count
          FROM store.ranked_runs r
          JOIN measured k ON k.measure_id = r.measure_id
         WHERE is_selected AND r.benchmark_id = ANY (keys) AND r.score IS NOT NULL
           AND (members IS NULL OR r.model_id = ANY (members))
           AND (sources IS NULL OR r.source_id = ANY (sources))
           AND (setups IS NULL OR r.setup_id = ANY (setups))
         ORDER BY k.place, r.model_id, r.variant IS NOT NULL, NOT r.complete, NOT r.verified,
               r.rank, r.run_id
    ), scored AS MATERIALIZED (
        SELECT a.place, a.model_id, a.setup_id, a.raw, is_share[a.place] AS is_share,
               CASE WHEN is_share[a.place]
                    THEN store.share(a.raw, a.lower, a.upper, a.higher_is_better) END AS share,
               CASE WHEN NOT is_share[a.place]
                    THEN store.rank_value(a.raw, a.lower, a.upper, a.higher_is_better) END AS value,
               a.standard_error / CASE WHEN is_share[a.place] THEN a.upper - a.lower ELSE 1 END
                   AS stated_error, a.item_count
          FROM (TABLE shown UNION ALL TABLE selected) a
    ), errors AS (
        SELECT s.*, CASE WHEN s.is_share
                         THEN store.score_error(s.share, s.stated_error, s.item_count)
                         WHEN s.stated_error > 0 AND s.stated_error < 'infinity'
                         THEN s.stated_error END AS error
          FROM scored s
    ), means AS (
        SELECT s.model_id, count(*) AS scored, avg(s.share ORDER BY s.place) AS average,
               (array_agg(s.value ORDER BY s.place) FILTER (WHERE s.value IS NOT NULL))[1] AS value,
               array_agg(s.place ORDER BY s.place) AS places,
               array_agg(coalesce(s.share, s.raw) ORDER BY s.place) AS scores,
               array_agg(s.setup_id) AS setups,
               -- Errors on benchmarks are independent: their squares add up. One that is not known
               -- makes that of the mean unknown.
               CASE WHEN count(s.share) = 0
                    THEN (array_agg(s.error ORDER BY s.place) FILTER (WHERE s.value IS NOT NULL))[1]
                    WHEN count(s.share) = count(s.error) FILTER (WHERE s.share IS NOT NULL)
                    THEN sqrt(sum(s.error ^ 2) FILTER (WHERE s.share IS NOT NULL)) / count(s.share)
               END AS error
          FROM errors s
         WHERE CASE WHEN s.is_share THEN s.share ELSE s.raw END IS NOT NULL
         GROUP BY s.model_id
    ), counted AS (
        SELECT m.name, e.*, count(*) FILTER (WHERE e.scored < cardinality(labels)) OVER ()
                   AS incomplete
          FROM means e JOIN store.models m USING (model_id)
    ), ranges AS MATERIALIZED (
        SELECT a.keys[g.place] AS model_id, g.rank, g.tied, g.lower, g.upper
          FROM (SELECT array_agg(c.model_id) AS keys,
                       array_agg(coalesce(c.average, c.value)) AS scores,
                       array_agg(c.error) AS errors
                  FROM counted c WHERE c.scored = cardinality(labels)) a
         CROSS JOIN LATERAL store.rank_ranges(a.scores, a.errors, 0.95) g
    ), ranked AS MATERIALIZED (
        SELECT c.* FROM counted c
         WHERE partial OR c.scored = cardinality(labels)
         ORDER BY c.scored DESC, c.average DESC NULLS LAST, c.value DESC NULLS LAST, c.name
         LIMIT CASE WHEN board."limit" IS NOT NULL THEN greatest(board."limit", 0) END
    )
    SELECT r.name, r.average, r.scored,
           (SELECT jsonb_object_agg(labels[u.place], u.score)
              FROM unnest(r.places, r.scores) AS u (place, score)),
           ARRAY(SELECT DISTINCT t.variant FROM store.setups t
                  WHERE t.setup_id = ANY (r.setups) AND t.variant IS NOT NULL ORDER BY 1),
           v.parameters, v.license, v.downloads, r.incomplete, r.error, g.rank, g.tied, g.lower,
           g.upper
      FROM ranked r
      JOIN registry.models v ON v.name = r.name
      LEFT JOIN ranges g ON g.model_id = r.model_id
     ORDER BY r.scored DESC, r.average DESC NULLS LAST, r.value DESC NULLS LAST, r.name;
END;
$$;

COMMENT ON FUNCTION registry.board IS
    'Models ranked by their mean score on benchmarks of equal weight, the best first. A model counts on a benchmark by one run, as in leaderboard; where by_metric, by_filter, by_source or by_variant select runs, by the first of those in the same order. Names under one canonical name are one benchmark. Filters restrict this; all of them must hold.
benchmarks: names, each with all its versions, or name@version; null is up to six of the benchmarks with most models, as long as half of the models on the first have them all
query: only models that a search for these words finds
by_family: only models of the family of this model, by any of its names
licenses: only models of one of these licences, by their identifiers in any case
license_classes: only models whose licence is of one of these classes, as in models
min_parameters: only models with at least this number of weights, known for the model itself, not from its parent or siblings (see parameters_source of models)
max_parameters: only models with at most this number of weights, known likewise
models: only these models, by any of their names, such as ARRAY(SELECT name FROM registry.models WHERE ...)
by_metric: only scores by this metric, instead of those that leaderboards show
by_filter: only scores by this filter of answers, such as strict-match
by_source: only scores that this source states
by_variant: only scores of this variant, such as best-of-16; plain is of models alone
partial: also models without scores on some of the benchmarks, after the others
limit: most rows; null is all, less than 0 is 0
model: name of the model
average: mean of its scores that are shares, in [0, 1]; where there is none, models are in order of their raw scores on the first benchmark with a known direction
scored: number of the benchmarks that it has a score on
scores: its scores by benchmark, as JSON: shares in [0, 1], raw where there are no bounds
variants: what makes scores among them those of systems around the model, such as best-of-16; empty for none
parameters: number of weights
license: licence by the Hub''s identifier
downloads: downloads of the last 30 days
incomplete: number of models with scores on some of the benchmarks only, which are left out unless partial
standard_error: of the average, or of the raw score that ranks; from those of its scores, stated or by outcomes, as those of independent items; null where one of them is not known
rank: 1 and the number of models with a better average; null for models that lack some of the benchmarks
tied: number of other models with exactly this average
rank_lower: best rank that standard errors allow; all ranges of a board hold the true ranks at once with a probability of 0.95 (Klein, Wright and Wieczorek 2020). Models without a standard error may be anywhere, so that they widen the ranges of others; null for those themselves
rank_upper: worst rank likewise

Example:
SELECT model, average, scores ->> ''gsm8k'' AS gsm8k, license
  FROM registry.board(ARRAY[''gsm8k'', ''arc''], max_parameters => 8000000000)
 LIMIT 10;';
