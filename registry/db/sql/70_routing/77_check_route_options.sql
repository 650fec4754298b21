-- check_route_options(max_price, cost_weight, minimum_probability, input_tokens, output_tokens): an
-- error unless the options of a router are numbers within their ranges; null is allowed.
CREATE FUNCTION store.check_route_options(
    max_price double precision, cost_weight double precision, minimum_probability double precision,
    input_tokens double precision, output_tokens double precision)
RETURNS void
LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
    IF NOT coalesce(max_price >= 0, true) OR max_price = 'NaN'
       OR NOT coalesce(cost_weight >= 0, true) OR cost_weight = 'NaN'
       OR NOT coalesce(minimum_probability BETWEEN 0 AND 1, true)
       OR NOT coalesce(input_tokens >= 0 AND input_tokens < 'Infinity', true)
       OR NOT coalesce(output_tokens >= 0 AND output_tokens < 'Infinity', true) THEN
        RAISE invalid_parameter_value USING MESSAGE =
            'max_price, cost_weight and numbers of tokens are at least 0, minimum_probability is '
            'from 0 to 1';
    END IF;
END;
$$;

COMMENT ON FUNCTION store.check_route_options(double precision, double precision, double precision, double precision, double precision) IS
    'An error unless the options of a router are numbers within their ranges.';
