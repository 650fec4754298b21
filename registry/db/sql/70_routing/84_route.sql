-- route(prompt_vector, k, max_price, pool): the models most likely to answer a prompt well, by the
-- current version: logit = inner product of a model's serving vector and [prompt_vector, 1].
-- All serving vectors are read, in a few tenths of a millisecond for a hundred models.
CREATE FUNCTION registry.route(
    prompt_vector vector, k integer DEFAULT 1, max_price double precision DEFAULT NULL,
    pool text[] DEFAULT NULL)
RETURNS TABLE (model text, logit double precision, probability double precision, version integer)
LANGUAGE plpgsql STABLE
SET jit = off
SET search_path FROM CURRENT  -- where pgvector is, whatever the caller's path
AS $$
#variable_conflict use_column
DECLARE
    most CONSTANT integer := greatest(coalesce(k, 1), 0);
    used record;
    unknown text;
    allowed bigint[];
BEGIN
    IF prompt_vector IS NULL THEN
        RETURN;
    END IF;
    IF max_price IS NOT NULL THEN
        RAISE feature_not_supported USING MESSAGE =
            'No prices are stored yet, so models cannot be chosen by max_price';
    END IF;
    SELECT v.version_id, v.serving_dimension, v.encoder INTO used
      FROM store.embedding_versions AS v WHERE v.state = 'current';
    IF NOT FOUND THEN
        RAISE no_data_found USING MESSAGE =
            'There are no embeddings yet: no version is current; `registry train` learns one';
    END IF;
    IF used.serving_dimension IS NULL THEN
        RAISE no_data_found USING MESSAGE = format(
            'Version %s of the embeddings has no serving vectors, so it cannot route; `registry train` '
            'learns them where items have texts',
            used.version_id);
    END IF;
    IF vector_dims(prompt_vector) + 1 <> used.serving_dimension THEN
        RAISE invalid_parameter_value USING MESSAGE = format(
            'The prompt''s vector has %s dimensions; those of the encoder %L have %s',
            vector_dims(prompt_vector), used.encoder, used.serving_dimension - 1);
    END IF;
    IF pool IS NOT NULL THEN
        SELECT array_agg(p.model_id), min(p.name) FILTER (WHERE p.model_id IS NULL)
          INTO allowed, unknown
          FROM (SELECT w.name, registry.model_id(w.name) AS model_id
                  FROM unnest(pool) AS w (name)) AS p;
        IF unknown IS NOT NULL THEN
            RAISE no_data_found USING MESSAGE =
                format('No model named %L is in the registry', unknown);
        END IF;
        IF NOT EXISTS (SELECT FROM store.serving_vectors AS s
                        WHERE s.version_id = used.version_id AND s.model_id = ANY (allowed)) THEN
            RAISE no_data_found USING MESSAGE = format(
                'None of the pool''s models has a serving vector in version %s of the embeddings',
                used.version_id);
        END IF;
    END IF;
    RETURN QUERY
    SELECT m.name, n.logit, 1 / (1 + exp(-greatest(least(n.logit, 700), -700))), used.version_id
      FROM (SELECT s.model_id, -(s.vector <#> (prompt_vector || '[1]'::vector)) AS logit
              FROM store.serving_vectors AS s
             WHERE s.version_id = used.version_id
               AND (allowed IS NULL OR s.model_id = ANY (allowed))
             ORDER BY logit DESC, s.model_id
             LIMIT most) AS n
      JOIN store.models AS m ON m.model_id = n.model_id
     ORDER BY n.logit DESC, m.name;
END;
$$;

COMMENT ON FUNCTION registry.route(vector, integer, double precision, text[]) IS
    'The models most likely to answer a prompt well, the most likely first, by the factorization of the current version. An error where no version is current, it has no serving vectors, the vector has not the dimensions of its encoder, or a model of the pool is unknown.
prompt_vector: vector of the prompt, by the encoder in embedding_versions
k: most models to return; null is 1, less than 0 is 0
max_price: not available yet, since no prices are stored: leave it null
pool: names of the models to choose from; those without a serving vector are left out; null for all
model: name of the model
logit: inner product of its serving vector with that of the prompt; higher is more likely
probability: that it answers well, 1 / (1 + exp(-logit)), in [0, 1]
version: number of the version used

Example:
SELECT model, probability
  FROM registry.route(''[0.1, -0.2, 0.3]'', 3);';
