-- domain_candidates(of_set, ...): scores in domains of the models that pass the filters, with prices.
-- The price is that of the cheapest provider today, or of the given one; lists as in provider_prices.
CREATE FUNCTION store.domain_candidates(
    of_set integer, max_parameters bigint DEFAULT NULL, max_price double precision DEFAULT NULL,
    members bigint[] DEFAULT NULL, license text DEFAULT NULL, family_id bigint DEFAULT NULL,
    provider text DEFAULT NULL, priced boolean DEFAULT false)
RETURNS TABLE (model_id bigint, domain smallint, items integer, score double precision,
               standard_error double precision, residual_error double precision,
               input_per_million double precision, output_per_million double precision,
               price double precision)
LANGUAGE sql STABLE
AS $$
    WITH offers AS (
        SELECT p.model_id, p.input_per_million, p.output_per_million
          FROM store.current_prices p WHERE domain_candidates.provider IS NULL
        UNION ALL
        SELECT p.model_id, p.input_per_million, p.output_per_million
          FROM store.provider_prices p WHERE p.provider = domain_candidates.provider
    )
    SELECT s.model_id, s.domain, s.item_count, s.score, s.standard_error, s.residual_error,
           p.input_per_million, p.output_per_million, p.price
      FROM store.domain_scores s
      JOIN store.models m ON m.model_id = s.model_id
      LEFT JOIN (SELECT o.*, (3 * o.input_per_million + o.output_per_million) / 4 AS price
                   FROM offers o) p ON p.model_id = s.model_id
     WHERE s.set_id = of_set
       AND (domain_candidates.license IS NULL OR m.license = lower(domain_candidates.license))
       AND (domain_candidates.max_parameters IS NULL
            OR m.parameters <= domain_candidates.max_parameters
               AND NOT store.is_inherited_size(m.parameters_source))
       AND (domain_candidates.max_price IS NULL OR p.price <= domain_candidates.max_price)
       AND (p.price IS NOT NULL OR NOT domain_candidates.priced
            AND domain_candidates.provider IS NULL)
       AND (members IS NULL OR s.model_id = ANY (members))
       AND (domain_candidates.family_id IS NULL OR EXISTS (
                SELECT FROM store.model_families f
                 WHERE f.model_id = s.model_id AND f.family_id = domain_candidates.family_id))
$$;

COMMENT ON FUNCTION store.domain_candidates(integer, bigint, double precision, bigint[], text, bigint, text, boolean) IS
    'Scores in domains, -1 for all of them, of the models that pass the filters, with the price of a million tokens, three of input to one of output.';
