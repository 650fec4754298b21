-- neighbour_means(version, prompt, neighbours): each model's mean outcome on the items nearest to a
-- prompt, weighted by the softmax of sharpness times inner product, and how many observed outcomes it
-- rests on; registry/learning/routing/served_blend.py computes the same. Outcomes of all models on an
-- item are one vector: a sum of vectors is twenty times as fast as one of rows.
CREATE FUNCTION store.neighbour_means(version integer, prompt vector, neighbours integer)
RETURNS TABLE (place bigint, mean double precision, observed double precision)
LANGUAGE plpgsql STABLE
SET jit = off
SET enable_seqscan = on
SET search_path FROM CURRENT
AS $$
DECLARE
    used record;
    ours halfvec;
    length double precision;
    models integer;
    searched boolean;
    distance text;
    breadth text;
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
    -- As many candidates as give nearly the neighbours of a scan: of 200 asked for, 199.6 in the mean.
    -- Of many items an index finds the nearest (see registry/embeddings/routers/stored_router.py): on
    -- the vectors cast to their dimension. Else all are read, by a plan of the constant vector.
    searched := to_regclass(format('store.route_items_%s_hnsw_idx', version)) IS NOT NULL
                AND neighbours <= 400;
    distance := CASE WHEN searched
        THEN format('i.vector::halfvec(%s) <#> $1::halfvec(%1$s)', vector_dims(ours))
        ELSE 'i.vector <#> $1' END;
    IF searched THEN
        breadth := current_setting('hnsw.ef_search');
        PERFORM set_config('hnsw.ef_search', greatest(400, 2 * neighbours)::text, true),
                set_config('enable_seqscan', 'off', true);
    END IF;
    -- Weights, times the first figure, sum to the number of items of equal ones that would say as much.
    EXECUTE format(
        'WITH near AS MATERIALIZED ('
        '    SELECT i.outcomes, i.seen, %2$s AS distance FROM store.route_items AS i'
        '     WHERE i.version_id = %1$s ORDER BY %2$s LIMIT $2'
        '), raised AS ('
        '    SELECT n.outcomes, n.seen,'
        '           exp(greatest($3 * (min(n.distance) OVER () - n.distance) / $4, -40)) AS weight'
        '      FROM near AS n'
        '), weighed AS ('
        '    SELECT r.outcomes::vector AS outcomes, r.seen::vector AS seen, r.weight,'
        '           array_fill(r.weight::real, ARRAY[$5])::vector AS weights'
        '      FROM raised AS r)'
        'SELECT sum(w.weight) / sum(w.weight ^ 2), sum(w.weight), sum(w.outcomes * w.weights),'
        '       sum(coalesce(w.seen * w.weights, w.weights)) FROM weighed AS w',
        version, distance)
       INTO scale, weight, sums, counts
      USING ours, neighbours, used.sharpness, length, models;
    IF searched THEN
        PERFORM set_config('enable_seqscan', 'on', true),
                set_config('hnsw.ef_search', breadth, true);
    END IF;
    RETURN QUERY
    SELECT s.place, least(s.value / weight, 1), c.value * scale
      FROM unnest(sums::real[]) WITH ORDINALITY AS s (value, place)
      JOIN unnest(counts::real[]) WITH ORDINALITY AS c (value, place) USING (place);
END;
$$;

COMMENT ON FUNCTION store.neighbour_means(integer, vector, integer) IS
    'Mean outcome of each model of route_models, by place, on the items nearest to a prompt, and the number of observed outcomes that it rests on.';
