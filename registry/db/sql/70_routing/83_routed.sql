-- routed(version, router, models, options): the k models to choose of those that may be chosen: what
-- all routers do with their probabilities. Filters are counted, so that an error says which of them
-- left nothing.
CREATE FUNCTION store.routed(
    version integer, router text, neighbours integer, ids bigint[], probabilities double precision[],
    deviations double precision[], observed double precision[], levels double precision[], k integer,
    max_price double precision, pool text[], license text, family text, max_parameters bigint,
    provider text, cost_weight double precision, minimum_probability double precision,
    input_tokens double precision, output_tokens double precision)
RETURNS TABLE (model_id bigint, model text, probability double precision, lower double precision,
               upper double precision, expected_cost double precision, price double precision,
               score double precision, outcomes double precision, fallback text)
LANGUAGE plpgsql STABLE
SET jit = off
SET plan_cache_mode = force_generic_plan  -- planning takes longer than the statement
SET search_path FROM CURRENT
AS $$
#variable_conflict use_column
DECLARE
    weight CONSTANT double precision := coalesce(cost_weight, 0);
    cheapest CONSTANT boolean := router = 'cheapest';
    priced CONSTANT boolean :=
        num_nonnulls(max_price, provider) > 0 OR coalesce(cost_weight, 0) > 0 OR router = 'cheapest';
    most CONSTANT integer := greatest(coalesce(k, 1), 0);
    allowed CONSTANT bigint[] := store.pool_keys(pool);
    members CONSTANT bigint := store.family_key(family);
    counted record;
BEGIN
    PERFORM store.check_route_options(
        max_price, cost_weight, minimum_probability, input_tokens, output_tokens);
    IF NOT coalesce(allowed && ids, allowed IS NULL) THEN
        RAISE no_data_found USING MESSAGE = format(
            'None of the pool''s models has %s in version %s of the embeddings',
            CASE WHEN router = 'factorization' THEN 'a serving vector' ELSE 'outcomes' END,
            version);
    END IF;
    RETURN QUERY
    WITH given AS MATERIALIZED (
        SELECT g.* FROM unnest(ids, probabilities, deviations, observed, levels)
               AS g (model_id, probability, deviation, observed, level)
         WHERE allowed IS NULL OR g.model_id = ANY (allowed)
    ), known AS MATERIALIZED (
        SELECT g.*, m.name, c.input_per_million, c.output_per_million,
               (3 * c.input_per_million + c.output_per_million) / 4 AS price
          FROM given AS g
          JOIN store.models AS m ON m.model_id = g.model_id
          LEFT JOIN (
              SELECT p.model_id, p.input_per_million, p.output_per_million
                FROM store.current_prices AS p
               WHERE routed.provider IS NULL AND p.model_id = ANY (ids)
              UNION ALL
              SELECT p.model_id, p.input_per_million, p.output_per_million
                FROM store.provider_prices AS p
               WHERE p.provider = routed.provider AND p.model_id = ANY (ids)) AS c
            ON c.model_id = g.model_id
         WHERE (routed.license IS NULL OR m.license = lower(routed.license))
           AND (routed.max_parameters IS NULL
                OR m.parameters <= routed.max_parameters
                   AND NOT store.is_inherited_size(m.parameters_source))
           AND (members IS NULL OR EXISTS (
                   SELECT FROM store.model_families AS f
                    WHERE f.model_id = g.model_id AND f.family_id = members))
    ), scored AS (
        SELECT w.*, w.probability - CASE WHEN weight > 0 THEN weight * w.price ELSE 0 END AS score
          FROM known AS w
         WHERE (NOT priced OR w.price IS NOT NULL)
           AND (max_price IS NULL OR w.price <= max_price)
    ), ranked AS (
        -- Without one that reaches the minimum, the best of all is chosen, whatever the prompt.
        SELECT s.*, coalesce(s.probability >= minimum_probability, true) AS reaches,
               bool_or(coalesce(s.probability >= minimum_probability, true)) OVER () AS one_reaches
          FROM scored AS s
    )
    SELECT r.model_id, r.name, r.probability,
           CASE WHEN r.deviation IS NOT NULL
                THEN greatest(0, r.probability - 1.6448536269514722 * r.deviation) END,
           CASE WHEN r.deviation IS NOT NULL
                THEN least(1, r.probability + 1.6448536269514722 * r.deviation) END,
           (coalesce(input_tokens, 750) * r.input_per_million
            + coalesce(output_tokens, coalesce(input_tokens, 750) / 3) * r.output_per_million) / 1000000,
           r.price, r.score, r.observed,
           CASE WHEN NOT r.one_reaches THEN format(
               'no model reaches the minimum probability of %s: %s', minimum_probability,
               CASE WHEN levels IS NULL THEN 'the likeliest' ELSE 'best single model' END) END
      FROM ranked AS r
     WHERE r.reaches OR NOT r.one_reaches
     ORDER BY CASE WHEN NOT r.one_reaches THEN r.level END DESC NULLS LAST,
              CASE WHEN cheapest THEN r.price END, r.score DESC, r.name COLLATE "C"
     LIMIT most;
    IF FOUND OR most = 0 THEN
        RETURN;
    END IF;
    SELECT count(*) AS given,
           count(*) FILTER (WHERE m.license IS DISTINCT FROM lower(routed.license)) AS licensed,
           count(*) FILTER (
               WHERE m.parameters IS NULL OR m.parameters > routed.max_parameters
                  OR store.is_inherited_size(m.parameters_source)) AS large,
           count(*) FILTER (WHERE NOT EXISTS (
               SELECT FROM store.model_families AS f
                WHERE f.model_id = m.model_id AND f.family_id = members)) AS strange,
           count(*) FILTER (WHERE NOT EXISTS (
               SELECT FROM store.provider_prices AS p
                WHERE p.model_id = m.model_id
                  AND (routed.provider IS NULL OR p.provider = routed.provider))) AS unpriced
      INTO counted
      FROM store.models AS m
     WHERE m.model_id = ANY (ids) AND (allowed IS NULL OR m.model_id = ANY (allowed));
    RAISE no_data_found USING MESSAGE = concat(
        'No model is left to choose from: ', concat_ws(', ',
            format('of %s', counted.given),
            CASE WHEN license IS NOT NULL
                 THEN format('%s have another licence or none known', counted.licensed) END,
            CASE WHEN max_parameters IS NOT NULL
                 THEN format('%s are larger or of unknown size', counted.large) END,
            CASE WHEN family IS NOT NULL
                 THEN format('%s are of other families', counted.strange) END,
            CASE WHEN priced THEN format('%s have no known price%s', counted.unpriced,
                                         ' at ' || quote_literal(provider)) END,
            CASE WHEN max_price IS NOT NULL
                 THEN format('the others cost more than %s dollars for a million tokens',
                             max_price) END));
END;
$$;

COMMENT ON FUNCTION store.routed(
    integer, text, integer, bigint[], double precision[], double precision[], double precision[],
    double precision[], integer, double precision, text[], text, text, bigint, text, double precision,
    double precision, double precision, double precision) IS
    'The k models to choose by probabilities and prices, among those that pass the filters; an error where none does.';
