-- features_of(...): the features of one model, before normalisation (SimRMF, appendix A.1): size as
-- log2(millions of weights, at least 1) / 12 to two decimals, so that models of one design share it (0
-- for 1 M, 1.06 for 7 B, 1.55 for 400 B, the range of the rest); one-hot architecture family and task;
-- multi-hot tags, except one that repeats the task or the architecture. At most 200 tags count. A tag
-- in two spellings has two rows.
CREATE FUNCTION store.features_of(parameters bigint, architecture text, task text, tags text[])
RETURNS TABLE (kind text, feature text, value double precision)
LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT 'parameters', 'parameters',
           round((ln(greatest(parameters::double precision / 1e6, 1))
                  / ln(2::double precision) / 12)::numeric, 2)::double precision
     WHERE parameters > 0
    UNION ALL
    SELECT 'architecture', 'architecture:' || architecture, 1 WHERE architecture IS NOT NULL
    UNION ALL
    SELECT 'task', 'task:' || task, 1 WHERE task IS NOT NULL
    UNION ALL
    SELECT 'tag', 'tag:' || lower(tag), 1
      FROM unnest(tags[1:200]) AS tag
     WHERE store.is_telling(tag)
       AND lower(tag) IS DISTINCT FROM task AND lower(tag) IS DISTINCT FROM architecture;
END;

COMMENT ON FUNCTION store.features_of(bigint, text, text, text[]) IS
    'Features of one model: kind, feature, value, one row each.';
