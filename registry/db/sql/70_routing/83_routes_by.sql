-- routes_by(router, prompt, neighbours, options): the models to choose by a router that the current
-- version stores: best, knn, best single or cheapest. The two last take no prompt. What their
-- functions in schema registry return, and all that they check.
CREATE FUNCTION store.routes_by(
    router text, prompt vector, neighbours integer, k integer, max_price double precision,
    pool text[], license text, family text, max_parameters bigint, provider text,
    cost_weight double precision, minimum_probability double precision,
    input_tokens double precision, output_tokens double precision)
RETURNS TABLE (model text, probability double precision, lower double precision,
               upper double precision, expected_cost double precision, price double precision,
               score double precision, by_router text, compared integer,
               outcomes double precision, fallback text, version integer)
LANGUAGE plpgsql STABLE
SET jit = off
SET search_path FROM CURRENT  -- where pgvector is, whatever the caller's path
AS $$
#variable_conflict use_column
DECLARE
    used integer;
    most integer := 0;
    found record;
BEGIN
    IF routes_by.neighbours < 1 THEN
        RAISE invalid_parameter_value USING MESSAGE =
            format('A prompt is compared with at least 1 neighbour, not %s', routes_by.neighbours);
    END IF;
    used := store.routing_version(prompt);
    IF prompt IS NULL THEN
        SELECT array_agg(m.model_id) AS ids, array_agg(m.level::double precision) AS probabilities,
               array_agg(sqrt(m.level * (1 - m.level) / (1 + m.outcomes))) AS deviations,
               array_agg(m.outcomes::double precision) AS observed,
               array_agg(m.level::double precision) AS levels
          INTO found FROM store.route_models AS m WHERE m.version_id = used;
    ELSE
        SELECT (SELECT count(*) FROM (SELECT FROM store.route_items AS i WHERE i.version_id = used
                                       LIMIT coalesce(routes_by.neighbours, b.neighbours)) AS near)
          INTO most FROM store.route_blends AS b WHERE b.version_id = used;
        SELECT array_agg(p.model_id) AS ids, array_agg(p.probability) AS probabilities,
               array_agg(p.deviation) AS deviations, array_agg(p.observed) AS observed,
               array_agg(p.level) AS levels
          INTO found FROM store.blended_outcomes(used, prompt, most, router = 'knn') AS p;
    END IF;
    RETURN QUERY
    SELECT c.model, c.probability, c.lower, c.upper, c.expected_cost, c.price, c.score, router,
           most, c.outcomes, c.fallback, used
      FROM store.routed(used, router, most, found.ids, found.probabilities, found.deviations,
                        found.observed, found.levels, k, max_price, pool, license, family,
                        max_parameters, provider, cost_weight, minimum_probability, input_tokens,
                        output_tokens) AS c;
END;
$$;

COMMENT ON FUNCTION store.routes_by(text, vector, integer, integer, double precision, text[], text, text, bigint, text, double precision, double precision, double precision, double precision) IS
    'The models to choose by a router that the current version stores, best, knn, best single or cheapest, with all checks of its options.';
