-- explain(model): the trained models that a predicted vector is based on, by descending weight, and
-- their ties to the model. Ties are not stored: they are read from the present catalog.
CREATE FUNCTION registry.explain(model text, version integer DEFAULT NULL)
RETURNS TABLE (name text, weight real, ties text[], feature double precision,
               lineage double precision, kind text, of_version integer)
LANGUAGE plpgsql STABLE
SET search_path FROM CURRENT  -- where pgvector is, whatever the caller's path
AS $$
#variable_conflict use_column
DECLARE
    id CONSTANT bigint := registry.model_id(explain.model);
    used integer;
    placed record;
BEGIN
    IF explain.model IS NULL THEN
        RETURN;
    END IF;
    SELECT v.version_id INTO used FROM store.embedding_versions AS v
     WHERE CASE WHEN explain.version IS NULL THEN v.state = 'current'
                ELSE v.version_id = explain.version END;
    IF NOT FOUND THEN
        RAISE no_data_found USING MESSAGE = CASE WHEN explain.version IS NULL
            THEN 'There are no embeddings yet: no version is current; `registry train` learns one'
            ELSE format('There is no version %s of embeddings', explain.version) END;
    END IF;
    IF id IS NULL THEN
        RAISE no_data_found USING MESSAGE =
            format('No model named %L is in the registry', explain.model);
    END IF;
    SELECT e.kind, e.near_ids, e.near_weights INTO placed FROM store.embeddings AS e
     WHERE e.version_id = used AND e.model_id = id;
    RETURN QUERY
    SELECT o.name, n.weight,
           array_remove(ARRAY[
               CASE WHEN EXISTS (SELECT FROM store.edges AS e
                                  WHERE e.child_id = id AND e.parent_id = o.model_id)
                    THEN 'parent' END,
               CASE WHEN EXISTS (SELECT FROM store.edges AS e
                                  WHERE e.child_id = o.model_id AND e.parent_id = id)
                    THEN 'child' END,
               CASE WHEN EXISTS (SELECT FROM store.edges AS e
                                   JOIN store.edges AS f ON f.parent_id = e.parent_id
                                  WHERE e.child_id = id AND f.child_id = o.model_id)
                    THEN 'sibling' END,
               CASE WHEN s.family_id = t.family_id THEN 'family' END,
               CASE WHEN m.author = o.author THEN 'author' END,
               CASE WHEN store.architecture_family(m.model_type, m.architectures)
                         = store.architecture_family(o.model_type, o.architectures)
                    THEN 'architecture' END,
               -- Of one base, however its embeddings and adapters are counted.
               CASE WHEN abs(ln(m.parameters::float8 / nullif(o.parameters, 0))) < 0.1
                    THEN 'size' END,
               CASE WHEN m.pipeline_tag = o.pipeline_tag THEN 'task' END], NULL),
           a.feature, a.lineage, placed.kind, used
      FROM unnest(placed.near_ids, placed.near_weights)
               WITH ORDINALITY AS n (model_id, weight, place)
      JOIN store.models AS o ON o.model_id = n.model_id
      JOIN store.models AS m ON m.model_id = id
      LEFT JOIN store.model_families AS s ON s.model_id = id
      LEFT JOIN store.model_families AS t ON t.model_id = o.model_id
      CROSS JOIN LATERAL registry.similarity(m.name, o.name) AS a
     ORDER BY n.place;
END;
$$;

COMMENT ON FUNCTION registry.explain(text, integer) IS
    'The trained models that a predicted vector is based on: of a cold model, or of a folded one, whose prediction its outcomes have corrected. At most five, by descending weight; no rows for a trained model, whose vector is based on its own outcomes, nor for one without a vector (see vector_states). An error where no version is current or the model is unknown.
model: any name of the model
version: number of the version, as in embedding_versions; null for the current one
name: name of the trained model
weight: change of the prediction when the vector of that model moves by 1; negative where it offsets another model
ties: what the two share in the present catalog: parent, child, sibling (of one parent), family, author, architecture, size (within 10%), task; similar names are not listed
feature: cosine of their size, architecture, task and tags, as similarity has it
lineage: weight of the strongest relation between them, as similarity has it
kind: kind of the model''s own vector, as in embeddings
of_version: number of the version that was searched

Example:
SELECT name, weight, ties
  FROM registry.explain(''TheBloke/zephyr-7B-beta-AWQ'');';
