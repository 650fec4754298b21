-- store.feature_dimension(feature): the dimension, from 1, that a feature's name is hashed to.
-- Two of 100,000 features meet in one of the 2^24 dimensions with a probability of 1 in 168 each.
CREATE FUNCTION store.feature_dimension(feature text) RETURNS integer
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
BEGIN ATOMIC
    SELECT (hashtextextended(feature, 0) & 16777215)::integer + 1;
END;

COMMENT ON FUNCTION store.feature_dimension(text) IS
    'Dimension of the feature vectors, from 1, that a feature''s name is hashed to.';
