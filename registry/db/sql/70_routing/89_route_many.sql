-- route_many(prompt_vectors, filters): the likeliest model for each of many prompts by the factorization
-- of the current version: thousands of prompts a second.
CREATE FUNCTION registry.route_many(
    prompt_vectors vector[], pool text[] DEFAULT NULL, max_price double precision DEFAULT NULL,
    license text DEFAULT NULL, family text DEFAULT NULL, max_parameters bigint DEFAULT NULL,
    provider text DEFAULT NULL)
RETURNS TABLE (place bigint, model text, logit double precision, probability double precision,
               version integer)
LANGUAGE plpgsql STABLE
SET jit = off
SET search_path FROM CURRENT
AS $$
#variable_conflict use_column
DECLARE
    used integer;
    allowed bigint[];
BEGIN
    IF coalesce(cardinality(prompt_vectors), 0) = 0 THEN
        RETURN;
    END IF;
    PERFORM store.check_prompts(prompt_vectors);
    -- Checks of the version, of the first prompt and of the filters are those of a single prompt.
    SELECT r.version, array_agg(m.model_id) INTO used, allowed
      FROM registry.route(prompt_vectors[1], 2147483647, max_price, pool, license, family,
                          max_parameters, provider) AS r
      JOIN store.models AS m ON m.name = r.model
     GROUP BY r.version;
    RETURN QUERY
    SELECT p.place, m.name, n.logit, 1 / (1 + exp(-greatest(least(n.logit, 700), -700))), used
      FROM (SELECT v.vector || '[1]'::vector AS vector, v.place
              FROM unnest(prompt_vectors) WITH ORDINALITY AS v (vector, place) OFFSET 0) AS p
     CROSS JOIN LATERAL (
           SELECT s.model_id, -(s.vector <#> p.vector) AS logit
             FROM store.serving_vectors AS s
            WHERE s.version_id = used AND s.model_id = ANY (allowed)
            ORDER BY s.vector <#> p.vector, s.model_id
            LIMIT 1) AS n
      JOIN store.models AS m ON m.model_id = n.model_id
     ORDER BY p.place;
END;
$$;

COMMENT ON FUNCTION registry.route_many(vector[], text[], double precision, text, text, bigint, text) IS
    'The model most likely to answer each of many prompts well, by the factorization of the current version; errors as of route.
prompt_vectors: vectors of the prompts, none of them null, by the encoder in embedding_versions, of length 1 within 1%
pool: names of the models to choose from; those without a serving vector are left out; null for all
max_price: most dollars for a million tokens, three of input to one of output, at the cheapest present offer; models without a known price are left out; null for any price
license: licence of the models to choose from, as in models; null for all
family: any model of the family to choose from; null for all
max_parameters: most parameters; models of unknown size are left out; null for any size
provider: who must sell the model: its price there counts; null for all
place: of the prompt among the vectors, from 1
model: name of the likeliest model
logit: inner product of its serving vector with that of the prompt
probability: that it answers well, 1 / (1 + exp(-logit)), in [0, 1]
version: number of the version used

Example:
SELECT model, count(*)
  FROM registry.route_many(ARRAY[''[0.6, 0, -0.8]'', ''[0, 1, 0]'']::vector[])
 GROUP BY model;';
