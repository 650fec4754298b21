-- blended_outcomes(version, prompt, neighbours, near_alone): the expected outcome of each model on a
-- prompt, by neighbours alone or blended with a kernel regression, its standard deviation, and what it
-- rests on. registry/learning/routing/served_blend.py says how, and computes the same.
CREATE FUNCTION store.blended_outcomes(
    version integer, prompt vector, neighbours integer, near_alone boolean)
RETURNS TABLE (model_id bigint, probability double precision, deviation double precision,
               observed double precision, level double precision)
LANGUAGE plpgsql STABLE
SET jit = off
SET search_path FROM CURRENT
AS $$
DECLARE
    used store.route_blends;
    ours vector;
    features vector;
BEGIN
    SELECT b.* INTO used FROM store.route_blends AS b
     WHERE b.version_id = blended_outcomes.version;
    IF near_alone THEN
        RETURN QUERY
        SELECT m.model_id, n.mean, sqrt(n.mean * (1 - n.mean) / (1 + n.observed)), n.observed,
               m.level::double precision
          FROM store.neighbour_means(version, prompt, neighbours) AS n
          JOIN store.route_models AS m
            ON m.version_id = blended_outcomes.version AND m.place = n.place;
        RETURN;
    END IF;
    ours := store.with_subjects(
        prompt, store.subject_roots(used.subjects, prompt), used.kernel_subject_weight);
    SELECT array_agg(
               exp(2 * used.width * (-(l.vector <#> ours) / sqrt(1 + used.kernel_subject_weight ^ 2)
                                     - 1))::real ORDER BY l.place)::vector
      INTO features
      FROM store.route_landmarks AS l WHERE l.version_id = blended_outcomes.version;
    RETURN QUERY
    WITH parts AS (
        SELECT m.model_id, m.level::double precision AS level, n.mean - m.level AS near,
               -(m.vector <#> features) AS regressed, n.observed
          FROM store.neighbour_means(version, prompt, neighbours) AS n
          JOIN store.route_models AS m
            ON m.version_id = blended_outcomes.version AND m.place = n.place
    ), summed AS (
        SELECT p.model_id, p.level, p.observed,
               greatest(0.01, least(0.99, p.level
                   + used.apart_neighbours * p.near + used.apart_regression * p.regressed
                   + (used.common_neighbours - used.apart_neighbours) * avg(p.near) OVER ()
                   + (used.common_regression - used.apart_regression) * avg(p.regressed) OVER ()
               )) AS expected
          FROM parts AS p
    )
    SELECT s.model_id, s.expected, sqrt(s.expected * (1 - s.expected) / (1 + s.observed)),
           s.observed, s.level
      FROM summed AS s;
END;
$$;

COMMENT ON FUNCTION store.blended_outcomes(integer, vector, integer, boolean) IS
    'Expected outcome of each model on a prompt by the routers of a version, with its standard deviation, the number of observed outcomes of neighbours that it rests on, and the model''s mean outcome.';
