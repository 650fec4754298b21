-- judged_comparisons(models, others, on_benchmark, level): pairs of models compared as by
-- compare_models, with p-values corrected for the number of all rows (Holm 1979; Benjamini and
-- Hochberg 1995), and the verdict.
CREATE FUNCTION store.judged_comparisons(
    models text[], others text[], on_benchmark text, level double precision)
RETURNS TABLE (
    model text, other text, benchmark text, version text, items bigint, clusters bigint,
    clustered_by text, score double precision, other_score double precision,
    difference double precision, standard_error double precision, lower double precision,
    upper double precision, p_value double precision, holm double precision,
    benjamini_hochberg double precision, only_model bigint, only_other bigint,
    mcnemar double precision, detectable double precision, verdict text, caution text
)
LANGUAGE sql STABLE
AS $$
    WITH found AS MATERIALIZED (
        SELECT u.place, c.*
          FROM unnest(models, others) WITH ORDINALITY AS u (one, another, place)
         CROSS JOIN LATERAL registry.compare_models(u.one, u.another, judged_comparisons.on_benchmark,
                                                    judged_comparisons.level) c
    ), ranked AS (
        SELECT f.*, count(f.p_value) OVER () AS tests,
               row_number() OVER (ORDER BY f.p_value, f.place, f.on_benchmark, f.version) AS nth
          FROM found f
    ), corrected AS (
        SELECT r.*,
               CASE WHEN r.p_value IS NOT NULL
                    THEN least(1, max((r.tests - r.nth + 1) * r.p_value) OVER (ORDER BY r.nth))
               END AS holm,
               CASE WHEN r.p_value IS NOT NULL
                    THEN least(1, min(r.p_value * r.tests / r.nth) OVER (ORDER BY r.nth DESC))
               END AS benjamini_hochberg
          FROM ranked r
    )
    SELECT c.model, c.other, c.on_benchmark, c.version, c.items, c.clusters, c.clustered_by, c.score,
           c.other_score, c.difference, c.standard_error, c.lower, c.upper, c.p_value, c.holm,
           c.benjamini_hochberg, c.only_model, c.only_other, c.mcnemar, c.detectable,
           CASE WHEN c.holm IS NULL OR c.lower IS NULL THEN 'unknown'
                WHEN c.holm >= 1 - judged_comparisons.level THEN 'tie'
                WHEN c.difference > 0 THEN 'better'
                ELSE 'worse' END,
           c.caution
      FROM corrected c
     ORDER BY c.on_benchmark COLLATE "C", c.version COLLATE "C", c.place
$$;

COMMENT ON FUNCTION store.judged_comparisons(text[], text[], text, double precision) IS
    'Pairs of models compared, with p-values corrected for the number of comparisons, and the verdict.';
