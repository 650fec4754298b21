-- subject_roots(subjects, prompt): square roots of the probabilities of a version's subjects, by the
-- softmax of their logits on the prompt's vector. Below exp(-40) they are equal: less is an underflow.
CREATE FUNCTION store.subject_roots(subjects vector[], prompt vector)
RETURNS real[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT
SET search_path FROM CURRENT
AS $$
    SELECT array_agg(sqrt(r.raised / r.total)::real ORDER BY r.place)
      FROM (SELECT w.raised, sum(w.raised) OVER () AS total, w.place
              FROM (SELECT exp(greatest(l.logit - max(l.logit) OVER (), -40)) AS raised, l.place
                      FROM (SELECT -(s.weights <#> (prompt || '[1]'::vector)) AS logit, s.place
                              FROM unnest(subjects) WITH ORDINALITY AS s (weights, place)) AS l
                   ) AS w) AS r
$$;

COMMENT ON FUNCTION store.subject_roots(vector[], vector) IS
    'Square roots of the probabilities of subjects, given their weights and the vector of a prompt.';
