-- nearest_models(model, k, version, filters): the k models whose learned vectors are nearest to a
-- model's by Euclidean distance, nearest first. A version with many vectors has an HNSW index (see
-- registry/embeddings/partitions.py), whose candidates are sorted by the vectors themselves; where
-- filters leave too few of them, and where k is large, all vectors that pass are scanned. The query
-- vector is a constant of the statements: with a join, the planner would sort all rows. What else
-- is known of a neighbour is read once the k are chosen.
CREATE FUNCTION registry.nearest_models(
    model text, k integer DEFAULT 10, version integer DEFAULT NULL, license text DEFAULT NULL,
    family text DEFAULT NULL, task text DEFAULT NULL, min_parameters bigint DEFAULT NULL,
    max_parameters bigint DEFAULT NULL, kinds text[] DEFAULT NULL)
RETURNS TABLE (name text, distance double precision, kind text, uncertainty real,
               of_version integer, shared_items bigint, basis text)
LANGUAGE plpgsql STABLE
SET jit = off
SET enable_seqscan = on
SET plan_cache_mode = force_generic_plan  -- planning takes as long as the search
SET search_path FROM CURRENT  -- where pgvector is, whatever the caller's path
AS $$
#variable_conflict use_column
DECLARE
    id bigint;
    wanted CONSTANT integer := greatest(coalesce(nearest_models.k, 10), 0);
    used record;
    own vector;
    own_kind text;
    members bigint;
    ids bigint[];
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
    SELECT e.vector, e.kind INTO own, own_kind FROM store.embeddings AS e
     WHERE e.version_id = used.version_id AND e.model_id = id;
    IF NOT FOUND THEN
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
            '         ORDER BY e.vector::halfvec(%2$s) <-> $1::halfvec(%2$s) LIMIT 3 * $3::bigint + 1'
            '    ) AS c WHERE c.model_id <> $2 ORDER BY c.vector <-> $1, c.model_id LIMIT $3) AS n',
            used.version_id, used.dimension,
            CASE WHEN sieve <> '' THEN format(
                'AND (SELECT %s FROM store.models AS m WHERE m.model_id = e.model_id)', sieve) END,
            of_kind)
           INTO ids
          USING own, id, wanted, license, task, min_parameters, max_parameters, members, NULL, kinds;
        PERFORM set_config('enable_seqscan', 'on', true),
                set_config('hnsw.ef_search', breadth, true),
                set_config('hnsw.iterative_scan', iterating, true);
    END IF;
    IF coalesce(cardinality(ids), 0) < wanted AND sieve || of_kind = '' THEN
        -- A static statement, whose plan is cached. The sorted rows are narrow: of the time for
        -- 5,000 vectors, a third goes into making rows to sort. The model itself is among them,
        -- which costs less than a test of each row.
        SELECT array_agg(n.model_id) INTO ids
          FROM (SELECT e.model_id, e.vector <-> own AS distance
                  FROM store.embeddings AS e
                 WHERE e.version_id = used.version_id
                 ORDER BY distance, e.model_id LIMIT wanted::bigint + 1) AS n;
    ELSIF coalesce(cardinality(ids), 0) < wanted THEN
        EXECUTE format(
            'SELECT array_agg(n.model_id)'
            '  FROM (SELECT e.model_id, e.vector <-> $1 AS distance FROM store.embeddings AS e'
            '         WHERE e.version_id = %s AND e.model_id <> $2 %s %s'
            '         ORDER BY distance, e.model_id LIMIT $3) AS n',
            used.version_id, of_kind,
            CASE WHEN sieve <> '' THEN format(
                'AND e.model_id IN (SELECT m.model_id FROM store.models AS m WHERE %s)', sieve) END)
           INTO ids
          USING own, id, wanted, license, task, min_parameters, max_parameters, members, NULL, kinds;
    END IF;
    -- Joined above, all models would be read: a cached plan does not know the limit.
    RETURN QUERY
    SELECT m.name, e.vector <-> own, e.kind, e.uncertainty, used.version_id, coalesce(s.items, 0),
           CASE (own_kind <> 'cold')::integer + (e.kind <> 'cold')::integer
               WHEN 2 THEN 'both' WHEN 1 THEN 'one' ELSE 'none' END
      FROM unnest(ids) AS n(model_id)
      JOIN store.models AS m ON m.model_id = n.model_id
      JOIN store.embeddings AS e ON e.version_id = used.version_id AND e.model_id = n.model_id
      LEFT JOIN store.shared_items(id, ids) AS s ON s.model_id = n.model_id
     WHERE n.model_id <> id
     ORDER BY e.vector <-> own, m.name
     LIMIT wanted;
END;
$$;

COMMENT ON FUNCTION registry.nearest_models(text, integer, integer, text, text, text, bigint, bigint, text[]) IS
    'The models with the learned vectors nearest to that of a model, nearest first. Exact up to 50,000 vectors; beyond, an HNSW index finds nearly all (of 1,000,000 generated ones 99.9%). With filters, k rows come back as long as enough models pass. An error where no version is current, or where the model is unknown or has no vector; similar_models compares any model by metadata and lineage.
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
distance: Euclidean distance of the vectors, 0 for equal ones: to first order, the root mean square difference of the two models'' probabilities of right answers over the version''s reference items, each benchmark with equal weight. A cosine would depend on norms and on where the zero of the factors is, which no outcome determines
kind: kind of the other model''s vector, as in embeddings
uncertainty: standard deviation of a coordinate of it; null where the method gives none
of_version: number of the version that was searched
shared_items: number of items that both models have stored outcomes on, by their preferred runs, as in agreement
basis: what the distance rests on in this version: both (outcomes of both models), one (of one; the other is predicted from the catalog), none (both are predicted)

Example:
SELECT name, distance, basis, shared_items
  FROM registry.nearest_models(''HuggingFaceH4/zephyr-7b-beta'', 5, max_parameters => 8000000000);';
