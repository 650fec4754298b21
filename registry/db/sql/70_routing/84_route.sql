-- route(prompt_vector, k, max_price, pool): the models most likely to answer a prompt well, by the
-- current version: logit = inner product of a model's serving vector and [prompt_vector, 1].
-- All serving vectors are read, in a few tenths of a millisecond for a hundred models.
CREATE FUNCTION registry.route(
    prompt_vector vector, k integer DEFAULT 1, max_price double precision DEFAULT NULL,
    pool text[] DEFAULT NULL, license text DEFAULT NULL, family text DEFAULT NULL,
    max_parameters bigint DEFAULT NULL, provider text DEFAULT NULL,
    cost_weight double precision DEFAULT 0, minimum_probability double precision DEFAULT NULL,
    input_tokens double precision DEFAULT 750, output_tokens double precision DEFAULT NULL)
RETURNS TABLE (model text, logit double precision, probability double precision, version integer,
               lower double precision, upper double precision, expected_cost double precision,
               price double precision, score double precision, router text, fallback text)
LANGUAGE plpgsql STABLE
SET jit = off
SET search_path FROM CURRENT  -- where pgvector is, whatever the caller's path
AS $$
#variable_conflict use_column
DECLARE
    used record;
BEGIN
    IF prompt_vector IS NULL THEN
        RETURN;
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
    PERFORM store.check_prompt(prompt_vector, used.serving_dimension - 1, used.encoder);
    RETURN QUERY
    SELECT c.model, f.logits[array_position(f.ids, c.model_id)], c.probability, used.version_id,
           c.lower, c.upper, c.expected_cost, c.price, c.score, 'factorization', c.fallback
      FROM (SELECT array_agg(n.model_id) AS ids, array_agg(n.logit) AS logits,
                   array_agg(1 / (1 + exp(-greatest(least(n.logit, 700), -700)))) AS probabilities
              FROM (SELECT s.model_id, -(s.vector <#> (prompt_vector || '[1]'::vector)) AS logit
                      FROM store.serving_vectors AS s
                     WHERE s.version_id = used.version_id) AS n) AS f,
           store.routed(used.version_id, 'factorization', 0, f.ids, f.probabilities, NULL, NULL,
                        NULL, k, max_price, pool, license, family, max_parameters,
        provider, cost_weight, minimum_probability, input_tokens, output_tokens) AS c;
END;
$$;

COMMENT ON FUNCTION registry.route(vector, integer, double precision, text[], text, text, bigint, text, double precision, double precision,
    double precision, double precision) IS
    'The models most likely to answer a prompt well, the most likely first, by the factorization of the current version: one inner product a model, the fastest router; route_best predicts better. An error where no version is current, it has no serving vectors, the vector has not the dimensions of its encoder or not length 1, a name is unknown, or no model passes the filters.
prompt_vector: vector of the prompt, by the encoder in embedding_versions, of length 1 within 1%
k: most models to return; null is 1, less than 0 is 0
max_price: most dollars for a million tokens, three of input to one of output, at the cheapest present offer; models without a known price are left out; null for any price
pool: names of the models to choose from; those without a serving vector are left out; null for all
license: licence of the models to choose from, as in models; null for all
family: any model of the family to choose from; null for all
max_parameters: most parameters; models of unknown size are left out; null for any size
provider: who must sell the model: its price there counts; null for all
cost_weight: what is subtracted from the probability for each dollar of the price; above 0, models without a known price are left out
minimum_probability: least probability; where no model reaches it, the likeliest is returned and fallback says so
input_tokens: tokens of the prompt, for expected_cost; null is 750, as a vector does not say how long its text is. A token is about 4.1 characters
output_tokens: tokens of the answer, likewise; null is a third of input_tokens. Replies to short questions and of reasoning models are longer
model: name of the model
logit: inner product of its serving vector with that of the prompt; higher is more likely
probability: that it answers well, 1 / (1 + exp(-logit)), in [0, 1]
version: number of the version used
lower: null: serving vectors do not say how sure they are
upper: null, likewise
expected_cost: dollars for that many tokens; null without a known price
price: dollars for a million tokens, three of input to one of output, at the cheapest offer; null where unknown
score: probability less cost_weight times price, by which models are ordered
router: factorization
fallback: why the choice is not the router''s own; null where it is

Example:
SELECT model, probability
  FROM registry.route(''[0.6, 0, -0.8]'', 3);';
