-- board_models(...): keys of the evaluated models that pass a board's filters; null for all models.
CREATE FUNCTION store.board_models(
    query text, by_family text, licenses text[], license_classes text[], min_parameters bigint,
    max_parameters bigint, models text[]
)
RETURNS bigint[]
LANGUAGE plpgsql STABLE
AS $$
#variable_conflict use_column
DECLARE
    of_family bigint;
    named bigint[];
    members bigint[];
    unknown text;
BEGIN
    IF num_nonnulls(query, by_family, licenses, license_classes, min_parameters, max_parameters,
                    board_models.models) = 0 THEN
        RETURN NULL;
    END IF;
    SELECT l.class INTO unknown FROM unnest(license_classes) AS l (class)
     WHERE l.class <> ALL (ARRAY['permissive', 'weak copyleft', 'copyleft', 'non-commercial', 'custom',
                                 'unknown'])
     LIMIT 1;
    IF FOUND THEN
        RAISE no_data_found USING MESSAGE = format('There is no licence class %L', unknown);
    END IF;
    IF by_family IS NOT NULL THEN
        SELECT f.family_id INTO of_family FROM store.model_families f
         WHERE f.model_id = registry.model_id(by_family);
        IF NOT FOUND THEN
            RETURN '{}';
        END IF;
    END IF;
    IF board_models.models IS NOT NULL THEN
        -- Most callers use present names; looking up other names takes longer.
        SELECT array_agg(coalesce(m.model_id, registry.model_id(n.name))) INTO named
          FROM unnest(board_models.models) AS n (name) LEFT JOIN store.models m ON m.name = n.name;
    END IF;
    SELECT coalesce(array_agg(m.model_id), '{}') INTO members
      FROM store.models m
      JOIN registry.models v ON v.name = m.name
     WHERE m.model_id IN (SELECT e.model_id FROM store.evaluated_names e)
       AND (licenses IS NULL
            OR v.license = ANY (ARRAY(SELECT lower(l.id) FROM unnest(licenses) AS l (id))))
       AND (min_parameters IS NULL OR v.parameters >= min_parameters)
       AND (max_parameters IS NULL OR v.parameters <= max_parameters)
       AND (num_nonnulls(min_parameters, max_parameters) = 0
            OR NOT store.is_inherited_size(v.parameters_source))
       AND (of_family IS NULL OR v.family = of_family)
       AND (board_models.models IS NULL OR m.model_id = ANY (named))
       AND (query IS NULL
            OR v.name IN (SELECT f.name FROM registry.search_models(query, 100000) AS f));
    IF license_classes IS NOT NULL THEN
        SELECT coalesce(array_agg(m.model_id), '{}') INTO members
          FROM store.models m JOIN registry.models v ON v.name = m.name
         WHERE m.model_id = ANY (members) AND v.license_class = ANY (license_classes);
    END IF;
    RETURN members;
END;
$$;

COMMENT ON FUNCTION store.board_models(text, text, text[], text[], bigint, bigint, text[]) IS
    'Keys of the evaluated models that pass a board''s filters; null for all models.';
