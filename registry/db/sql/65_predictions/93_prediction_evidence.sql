-- prediction_evidence(version, model, benchmark): what a prediction rests on, as JSON: relatives, the
-- models with a score on the benchmark that weigh most in what the catalog says of the model; and
-- scores, those of the model itself on other benchmarks, with the change of the prediction, on the
-- working scale, when that score moves by 1 there and counts as much as it does: one that is unlike all
-- others of its model counts less. Planning would take longer than finding it.
CREATE FUNCTION store.prediction_evidence(version integer, model bigint, benchmark integer)
RETURNS jsonb
LANGUAGE plpgsql STABLE
SET jit = off
SET plan_cache_mode = force_generic_plan
SET search_path FROM CURRENT  -- where pgvector is, whatever the caller's path
AS $$
#variable_conflict use_column
DECLARE
    own record;
    asked record;
    size integer;
    packed real[];
    loadings real[];
    towards real[];
    place integer := 0;
    entry double precision;
    rest double precision := 1;
    relatives jsonb;
    scores jsonb;
BEGIN
    SELECT a.vector, a.spread, a.near_ids, a.near_weights, a.score_count INTO own
      FROM store.abilities a WHERE a.version_id = $1 AND a.model_id = $2;
    SELECT w.vector, w.centre, w.scale, f.variance, f.deviation,
           store.score_precision(f.value, f.variance, w.intercept, w.residual, own.vector,
                                 own.spread, w.vector, w.spread) AS precision INTO asked
      FROM store.benchmark_loadings w
      LEFT JOIN store.fitted_scores f ON f.version_id = $1 AND f.model_id = $2
                                     AND f.benchmark_id = $3
     WHERE w.version_id = $1 AND w.benchmark_id = $3;
    SELECT jsonb_agg(jsonb_strip_nulls(jsonb_build_object(
               'model', m.name,
               'relation', CASE
                   WHEN EXISTS (SELECT FROM store.edges e
                                 WHERE e.child_id = $2 AND e.parent_id = n.model_id) THEN 'parent'
                   WHEN EXISTS (SELECT FROM store.edges e
                                 WHERE e.child_id = n.model_id AND e.parent_id = $2) THEN 'child'
                   WHEN (SELECT s.family_id FROM store.model_families s WHERE s.model_id = $2)
                        = (SELECT t.family_id FROM store.model_families t
                            WHERE t.model_id = n.model_id) THEN 'family' END,
               'score', CASE WHEN asked.centre IS NULL THEN store.working_share(f.value)
                             ELSE asked.centre + asked.scale * f.value END,
               'weight', n.weight)) ORDER BY n.place)
      INTO relatives
      FROM unnest(own.near_ids, own.near_weights) WITH ORDINALITY AS n (model_id, weight, place)
      JOIN store.fitted_scores f
        ON f.model_id = n.model_id AND f.version_id = $1 AND f.benchmark_id = $3
       AND f.variance = 0
      JOIN store.models m ON m.model_id = n.model_id
     WHERE n.model_id <> $2;
    IF own.score_count > 0 THEN
        -- How abilities move with the benchmark's score: their covariance times its loadings. It is
        -- packed as `registry.learning.scores.packed` says: the upper triangle, row by row, entries
        -- off the diagonal times the root of 2.
        size := vector_dims(own.vector);
        packed := own.spread::real[];
        loadings := asked.vector::real[];
        towards := array_fill(0::real, ARRAY[size]);
        FOR i IN 1 .. size LOOP
            FOR j IN i .. size LOOP
                place := place + 1;
                entry := packed[place];
                IF i = j THEN
                    towards[i] := towards[i] + entry * loadings[i];
                ELSE
                    entry := entry / sqrt(2.0::double precision);
                    towards[i] := towards[i] + entry * loadings[j];
                    towards[j] := towards[j] + entry * loadings[i];
                END IF;
            END LOOP;
        END LOOP;
        IF asked.precision IS NOT NULL THEN
            -- What is predicted leaves the model's score there out, and abilities do not.
            rest := 1 / greatest(1 + (towards::vector <#> asked.vector) * asked.precision, 0.01);
        END IF;
        IF asked.variance > 0 THEN
            -- The rest is what the estimate from some items says.
            rest := rest * asked.variance / (asked.variance + asked.deviation ^ 2);
        END IF;
        SELECT jsonb_agg(jsonb_build_object(
                   'benchmark', coalesce(b.canonical, b.name)
                                || coalesce('@' || nullif(b.version, ''), '')
                                || CASE WHEN s.benchmark_id < 0
                                        THEN format(' (part %s)', -s.benchmark_id % 1000) ELSE '' END,
                   'score', CASE WHEN s.centre IS NULL THEN store.working_share(s.value)
                                 ELSE s.centre + s.scale * s.value END,
                   'weight', s.weight) ORDER BY abs(s.weight) DESC, s.benchmark_id)
          INTO scores
          FROM (SELECT f.benchmark_id, f.value, w.centre, w.scale, e.weight
                  FROM store.fitted_scores f
                  JOIN store.benchmark_loadings w
                    ON w.version_id = $1 AND w.benchmark_id = f.benchmark_id
                 CROSS JOIN LATERAL (
                       SELECT -(towards::vector <#> w.vector) * rest
                              * store.score_precision(f.value, f.variance, w.intercept, w.residual,
                                                      own.vector, own.spread, w.vector, w.spread)
                                  AS weight
                       OFFSET 0) e
                 WHERE f.version_id = $1 AND f.model_id = $2 AND f.benchmark_id <> $3
                 ORDER BY abs(e.weight) DESC, f.benchmark_id
                 LIMIT 5) s
          -- Keys of parts of a benchmark's items, as `registry.prediction.scores.table` makes them.
          JOIN store.benchmarks b
            ON b.benchmark_id = CASE WHEN s.benchmark_id < 0 THEN -s.benchmark_id / 1000
                                     ELSE s.benchmark_id END;
    END IF;
    RETURN jsonb_build_object('relatives', coalesce(relatives, '[]'),
                              'scores', coalesce(scores, '[]'));
END;
$$;

COMMENT ON FUNCTION store.prediction_evidence(integer, bigint, integer) IS
    'What a prediction rests on, as JSON: relatives with a score on the benchmark, and scores of the model on others, each with its weight.';
