-- store.feature_dimension(feature): the dimension that a feature's name is hashed to, from 2; the
-- size is dimension 1. Of 100,000 features one in 168 shares its dimension with another.
CREATE FUNCTION store.feature_dimension(feature text) RETURNS integer
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN CASE WHEN feature = 'parameters' THEN 1
            ELSE 2 + ((hashtextextended(feature, 0) & 16777215) % 16777214)::integer END;

COMMENT ON FUNCTION store.feature_dimension(text) IS
    'Dimension of the feature vectors that a feature''s name is hashed to; the size is 1.';
