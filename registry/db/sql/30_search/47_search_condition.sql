-- search_condition(...): the filters of a search as a condition on table store.models, named m; null
-- where nothing is filtered. The values are literals of the text, so that each search is planned for
-- its own. Licences are in lower case.
CREATE FUNCTION store.search_condition(
    by_author text, licenses text[], tags text[], min_parameters bigint, max_parameters bigint,
    by_task text, by_library text, by_family text, by_architecture text, by_quantization text,
    states text[], created_after timestamptz, created_before timestamptz,
    modified_after timestamptz, modified_before timestamptz)
RETURNS text
LANGUAGE plpgsql STABLE
SET plan_cache_mode = force_generic_plan
AS $$
BEGIN
    -- A condition on a value that is null is null, and left out. The planner knows how frequent values
    -- of a column are, not those of an expression: hence each in its usual spelling too.
    RETURN (SELECT nullif(concat_ws(' AND ',
                       'lower(m.author) = ' || quote_literal(lower(by_author)),
                       '(m.license = ANY (' || v.licenses || ') OR lower(m.license) = ANY (' || v.licenses || '))',
                       'm.tags @> ' || quote_literal(tags) || '::text[]',
                       'm.parameters >= ' || min_parameters,
                       'm.parameters <= ' || max_parameters,
                       CASE WHEN num_nonnulls(min_parameters, max_parameters) > 0
                            THEN 'NOT store.is_inherited_size(m.parameters_source)' END,
                       '(m.pipeline_tag = ' || v.task || ' OR lower(m.pipeline_tag) = ' || v.task || ')',
                       '(m.library = ' || v.library || ' OR lower(m.library) = ' || v.library || ')',
                       CASE WHEN by_family IS NOT NULL
                            THEN 'm.model_id IN (SELECT f.model_id FROM store.model_families AS f
                                                  WHERE f.family_id = ' || coalesce(v.family::text, 'NULL') || ')' END,
                       -- The family is costly to compute: only for models whose type begins with its name.
                       '(m.model_type = ' || v.class || ' OR ' || v.class || ' = ANY (m.architectures)
                         OR starts_with(lower(coalesce(m.model_type, m.architectures[1])), ' || v.architecture || ')
                            AND store.architecture_family(m.model_type, m.architectures) = ' || v.architecture || ')',
                       CASE WHEN lower(by_quantization) = 'none' THEN 'm.quantization IS NULL AND m.state <> ''stub'''
                            ELSE '(m.quantization = ' || v.quantization || '
                                   OR regexp_replace(m.quantization, ''-[0-9]+bit$'', '''') = ' || v.quantization || ')'
                       END,
                       'm.state = ANY (' || quote_literal(states) || ')',
                       'm.created_at >= ' || quote_literal(created_after),
                       'm.created_at < ' || quote_literal(created_before),
                       'm.last_modified >= ' || quote_literal(modified_after),
                       'm.last_modified < ' || quote_literal(modified_before)), '')
              FROM (SELECT quote_literal(licenses) AS licenses, quote_literal(lower(by_task)) AS task,
                           quote_literal(lower(by_library)) AS library,
                           quote_literal(by_architecture) AS class,
                           quote_literal(lower(by_architecture)) AS architecture,
                           quote_literal(lower(by_quantization)) AS quantization,
                           (SELECT f.family_id FROM store.model_families AS f
                             WHERE f.model_id = registry.model_id(by_family)) AS family) AS v);
END;
$$;

COMMENT ON FUNCTION store.search_condition IS
    'The filters of a search as a condition on store.models AS m, in SQL; null where nothing is filtered.';
