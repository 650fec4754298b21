-- neighbour_means(version, prompt, neighbours): each model's mean outcome on the items nearest to a
-- prompt, weighted by the softmax of sharpness times inner product, and how many observed outcomes it
-- rests on; registry/learning/routing/served_blend.py computes the same. Outcomes of all models on an
-- item are one vector: a sum of vectors is twenty times as fast as one of rows.
CREATE FUNCTION store.neighbour_means(version integer, prompt vector, neighbours integer)
RETURNS TABLE (place bigint, mean double precision, observed double precision)
LANGUAGE plpgsql STABLE
SET jit = off
SET search_path FROM CURRENT
AS $$
DECLARE
    used record;
    ours halfvec;
    length double precision;
    models integer;
    weight double precision;
    scale double precision;
    sums vector;
    counts vector;
BEGIN
    SELECT b.subject_weight, b.sharpness,
           store.with_subjects(prompt, store.subject_roots(b.subjects, prompt), b.subject_weight)
               ::halfvec AS vector
      INTO used FROM store.route_blends AS b WHERE b.version_id = neighbour_means.version;
    ours := used.vector;
    length := sqrt(1 + used.subject_weight ^ 2);
    SELECT count(*) INTO models FROM store.route_models AS m
     WHERE m.version_id = neighbour_means.version;
    WITH near AS MATERIALIZED (
        SELECT i.outcomes, i.seen, i.vector <#> ours AS distance
          FROM store.route_items AS i
         WHERE i.version_id = neighbour_means.version
         ORDER BY i.vector <#> ours
         LIMIT neighbours
    ), raised AS (
        SELECT n.outcomes, n.seen,
               exp(greatest(
                   used.sharpness * (min(n.distance) OVER () - n.distance) / length, -40)) AS weight
          FROM near AS n
    ), weighed AS (
        SELECT r.outcomes::vector AS outcomes, r.seen::vector AS seen, r.weight,
               array_fill(r.weight::real, ARRAY[models])::vector AS weights
          FROM raised AS r
    )
    -- Weights times this sum to the number of items of equal ones that would say as much.
    SELECT sum(w.weight) / sum(w.weight ^ 2), sum(w.weight), sum(w.outcomes * w.weights),
           sum(coalesce(w.seen * w.weights, w.weights))
      INTO scale, weight, sums, counts
      FROM weighed AS w;
    RETURN QUERY
    SELECT s.place, least(s.value / weight, 1), c.value * scale
      FROM unnest(sums::real[]) WITH ORDINALITY AS s (value, place)
      JOIN unnest(counts::real[]) WITH ORDINALITY AS c (value, place) USING (place);
END;
$$;

COMMENT ON FUNCTION store.neighbour_means(integer, vector, integer) IS
    'Mean outcome of each model of route_models, by place, on the items nearest to a prompt, and the number of observed outcomes that it rests on.';
