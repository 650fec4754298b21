-- nearest_models(model, k, version, filters): the k models whose learned vectors are nearest to a
-- model's by cosine distance, nearest first. A version with many vectors has an HNSW index (see
-- registry/embeddings/partitions.py), whose candidates are sorted by the vectors themselves; where
-- filters leave too few of them, and where k is large, all vectors that pass are scanned. The query
-- vector is a constant of the statements: with a join, the planner would sort all rows.
CREATE FUNCTION registry.nearest_models(
    model text, k integer DEFAULT 10, version integer DEFAULT NULL, license text DEFAULT NULL,
    family text DEFAULT NULL, task text DEFAULT NULL, min_parameters bigint DEFAULT NULL,
    max_parameters bigint DEFAULT NULL, kinds text[] DEFAULT NULL)
RETURNS TABLE (name text, distance double precision, kind text, uncertainty real,
               of_version integer)
LANGUAGE plpgsql STABLE
SET jit = off
SET enable_seqscan = on
SET search_path FROM CURRENT  -- where pgvector is, whatever the caller's path
AS $$
#variable_conflict use_column
DECLARE
    id bigint;
    wanted CONSTANT integer := greatest(coalesce(nearest_models.k, 10), 0);
    used record;
    own vector;
    members bigint;
    ids bigint[];
    distances double precision[];
    -- Settings of pgvector cannot be clauses of the function: only a superuser may write those.
    breadth text;
    iterating text;
    sieve CONSTANT text := concat_ws(' AND ',
        CASE WHEN license IS NOT NULL THEN 'm.license = lower($4)' END,
        CASE WHEN task IS NOT NULL THEN 'm.pipeline_tag = $5' END,
        CASE WHEN min_parameters IS NOT NULL THEN 'm.parameters >= $6' END,
        CASE WHEN max_parameters IS NOT NULL THEN 'm.parameters <= $7' END,
        CASE WHEN num_nonnulls(min_parameters, max_parameters) > 0
             THEN 'NOT store.is_inherited_size(m.parameters_source)' END,
        CASE WHEN family IS NOT NULL THEN
            'm.model_id IN (SELECT f.model_id FROM store.model_families AS f WHERE f.family_id = $8)'
        END);
    of_kind CONSTANT text := CASE WHEN kinds IS NOT NULL THEN 'AND e.kind = ANY ($10)' ELSE '' END;
BEGIN
    IF nearest_models.model IS NULL THEN
        RETURN;
    END IF;
    -- Most callers use the present name; looking up other names takes four times as long.
    SELECT m.model_id INTO id FROM store.models AS m WHERE m.name = nearest_models.model;
    IF NOT FOUND THEN
        id := registry.model_id(nearest_models.model);
    END IF;
    SELECT v.version_id, v.dimension INTO used FROM store.embedding_versions AS v
     WHERE CASE WHEN nearest_models.version IS NULL THEN v.state = 'current'
                ELSE v.version_id = nearest_models.version END;
    IF NOT FOUND THEN
        RAISE no_data_found USING MESSAGE = CASE WHEN nearest_models.version IS NULL
            THEN 'There are no embeddings yet: no version is current; `registry train` learns one'
            ELSE format('There is no version %s of embeddings', nearest_models.version) END;
    END IF;
    IF id IS NULL THEN
        RAISE no_data_found USING MESSAGE =
            format('No model named %L is in the registry', nearest_models.model);
    END IF;
    IF family IS NOT NULL THEN
        SELECT f.family_id INTO members FROM store.model_families AS f
         WHERE f.model_id = registry.model_id(nearest_models.family);
        IF NOT FOUND THEN
            RAISE no_data_found USING MESSAGE =
                format('No family is known for a model named %L', nearest_models.family);
        END IF;
    END IF;
    SELECT e.vector INTO own FROM store.embeddings AS e
     WHERE e.version_id = used.version_id AND e.model_id = id;
    IF own IS NULL OR vector_norm(own) = 0 THEN
        RAISE no_data_found USING MESSAGE = format(
            'Model %L has no vector in version %s of the embeddings; vector_states says why, and '
            'similar_models compares it by metadata and lineage', nearest_models.model, used.version_id);
    END IF;
    IF wanted <= 300
       AND to_regclass(format('store.embeddings_%s_hnsw_idx', used.version_id)) IS NOT NULL THEN
        breadth := current_setting('hnsw.ef_search');
        iterating := current_setting('hnsw.iterative_scan');
        PERFORM set_config('hnsw.ef_search', greatest(120, 3 * wanted + 1)::text, true),
                set_config('hnsw.iterative_scan',
                           CASE WHEN sieve || of_kind <> '' THEN 'strict_order' ELSE 'off' END, true),
                set_config('enable_seqscan', 'off', true);
        -- As a scalar subquery, the filter is evaluated for each model that the index returns.
        EXECUTE format(
            'SELECT array_agg(n.model_id) FROM ('
            '    SELECT c.model_id FROM ('
            '        SELECT e.model_id, e.vector FROM store.embeddings AS e'
            '         WHERE e.version_id = %1$s %4$s %3$s'
            '         ORDER BY e.vector::halfvec(%2$s) <=> $1::halfvec(%2$s) LIMIT 3 * $3 + 1'
            '    ) AS c WHERE c.model_id <> $2 ORDER BY c.vector <=> $1, c.model_id LIMIT $3) AS n',
            used.version_id, used.dimension,
            CASE WHEN sieve <> '' THEN format(
                'AND (SELECT %s FROM store.models AS m WHERE m.model_id = e.model_id)', sieve) END,
            of_kind)
           INTO ids
          USING own, id, wanted, license, task, min_parameters, max_parameters, members, ids, kinds;
        PERFORM set_config('enable_seqscan', 'on', true),
                set_config('hnsw.ef_search', breadth, true),
                set_config('hnsw.iterative_scan', iterating, true);
    END IF;
    IF ids IS NULL AND sieve || of_kind = '' THEN
        -- A static statement, whose plan is cached. The sorted rows are narrow: of the time for
        -- 5,000 vectors, a third goes into making rows to sort. The model itself is among them,
        -- which costs less than a test of each row.
        SELECT array_agg(n.model_id), array_agg(n.distance) INTO ids, distances
          FROM (SELECT e.model_id, e.vector <=> own AS distance
                  FROM store.embeddings AS e
                 WHERE e.version_id = used.version_id
                 ORDER BY distance, e.model_id LIMIT wanted::bigint + 1) AS n;
        -- With the join above, all models would be read: a cached plan does not know the limit.
        RETURN QUERY
        SELECT m.name, n.distance, e.kind, e.uncertainty, used.version_id
          FROM unnest(ids, distances) AS n(model_id, distance)
          JOIN store.models AS m ON m.model_id = n.model_id
          JOIN store.embeddings AS e ON e.version_id = used.version_id AND e.model_id = n.model_id
         WHERE n.distance <> double precision 'NaN' AND n.model_id <> id
         ORDER BY n.distance, m.name
         LIMIT wanted;
        RETURN;
    END IF;
    -- From all vectors that pass, or from those that the index returned.
    RETURN QUERY EXECUTE format(
        'SELECT m.name, n.distance, n.kind, n.uncertainty, %1$s'
        '  FROM (SELECT e.model_id, e.kind, e.uncertainty, e.vector <=> $1 AS distance'
        '          FROM store.embeddings AS e'
        '         WHERE e.version_id = %1$s AND e.model_id <> $2 %3$s %2$s'
        '         ORDER BY distance, e.model_id LIMIT $3) AS n'
        '  JOIN store.models AS m ON m.model_id = n.model_id'
        ' WHERE n.distance <> double precision ''NaN'' '
        ' ORDER BY n.distance, m.name',
        used.version_id,
        CASE WHEN cardinality(ids) >= wanted THEN 'AND e.model_id = ANY ($9)'
             WHEN sieve <> '' THEN format(
                 'AND e.model_id IN (SELECT m.model_id FROM store.models AS m WHERE %s)', sieve)
        END,
        of_kind)
    USING own, id, wanted, license, task, min_parameters, max_parameters, members, ids, kinds;
END;
$$;

COMMENT ON FUNCTION registry.nearest_models(text, integer, integer, text, text, text, bigint, bigint, text[]) IS
    'The models with the learned vectors nearest to that of a model, nearest first. Exact up to 50,000 vectors; beyond, an HNSW index finds nearly all (of 1,000,000, 99.8% in overlapping families, about 98% in clusters far apart). With filters, k rows come back as long as enough models pass. An error where no version is current, or where the model is unknown or has no vector; similar_models compares any model by metadata and lineage.
model: any name of the model
k: most rows to return; null is 10, less than 0 is 0
version: number of the version to search, as in embedding_versions; null for the current one
license: only models under this licence, as in models
family: only models of the family of this model, by any name of a member
task: only models with this pipeline_tag
min_parameters: only models with at least this many parameters, known for the model itself, not from its parent or siblings (see parameters_source of models)
max_parameters: only models with at most this many parameters, known likewise
kinds: only models with a vector of these kinds, as in embeddings; trained leaves out predicted vectors
name: name of the other model
distance: cosine distance of the vectors, in [0, 2]
kind: kind of the other model''s vector, as in embeddings
uncertainty: standard deviation of a coordinate of it; null where the method gives none
of_version: number of the version that was searched

Example:
SELECT name, distance
  FROM registry.nearest_models(''HuggingFaceH4/zephyr-7b-beta'', 5, max_parameters => 8000000000);';
