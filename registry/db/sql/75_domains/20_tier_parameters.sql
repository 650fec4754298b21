-- tier_parameters(tier): most weights of a model in a size tier such as 8B, or null for any.
-- A twentieth above the number, since names round: Llama 3.1 8B has 8.03 billion weights.
CREATE FUNCTION store.tier_parameters(tier text) RETURNS bigint
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $$
DECLARE
    parts CONSTANT text[] := regexp_match(upper(trim(tier)), '^([0-9]{1,6}(?:\.[0-9]{1,3})?)([MBT])$');
BEGIN
    IF tier IS NULL OR lower(trim(tier)) = 'any' THEN
        RETURN NULL;
    END IF;
    IF parts IS NULL OR parts[1]::numeric = 0 THEN
        RAISE invalid_parameter_value USING MESSAGE = format(
            '%L is no size tier; write a size such as 8B or 350M, or any', tier);
    END IF;
    RETURN trunc(parts[1]::numeric * 1.05
                 * CASE parts[2] WHEN 'M' THEN 1e6 WHEN 'B' THEN 1e9 ELSE 1e12 END);
END;
$$;

COMMENT ON FUNCTION store.tier_parameters(text) IS
    'Most weights of a model in a size tier such as 8B, a twentieth above that number since names round; null for any.';
