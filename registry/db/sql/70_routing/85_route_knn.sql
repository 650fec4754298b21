-- route_knn(prompt_vector, k, neighbours, options): the models with the best outcomes on the items that
-- are nearest to a prompt (METHODS.md section 3), by the current version.
CREATE FUNCTION registry.route_knn(
    prompt_vector vector, k integer DEFAULT 1, neighbours integer DEFAULT NULL,
    max_price double precision DEFAULT NULL,
    pool text[] DEFAULT NULL, license text DEFAULT NULL, family text DEFAULT NULL,
    max_parameters bigint DEFAULT NULL, provider text DEFAULT NULL,
    cost_weight double precision DEFAULT 0, minimum_probability double precision DEFAULT NULL,
    input_tokens double precision DEFAULT 750, output_tokens double precision DEFAULT NULL)
RETURNS TABLE (model text, probability double precision, lower double precision,
               upper double precision, expected_cost double precision, price double precision,
               score double precision, router text, compared integer, outcomes double precision,
               fallback text, version integer)
LANGUAGE plpgsql STABLE
SET jit = off
SET search_path FROM CURRENT  -- where pgvector is, whatever the caller's path
AS $$
BEGIN
    IF prompt_vector IS NULL THEN
        RETURN;
    END IF;
    RETURN QUERY
    SELECT * FROM store.routes_by('knn', prompt_vector, route_knn.neighbours, k, max_price, pool, license, family,
                                max_parameters, provider, cost_weight, minimum_probability,
                                input_tokens, output_tokens);
END;
$$;

COMMENT ON FUNCTION registry.route_knn(vector, integer, integer, double precision, text[], text, text, bigint, text, double precision, double precision,
    double precision, double precision) IS
    'The models with the best outcomes on the items nearest to a prompt, the best first, by the current version. Outcomes are weighted by similarity; items are compared by their texts and, where that predicts better, by their subjects. An error where no version is current, it has no routers, the vector has not the dimensions of its encoder or not length 1, a name is unknown, or no model passes the filters.
prompt_vector: vector of the prompt, by the encoder in embedding_versions, of length 1 within 1%
neighbours: items to compare the prompt with, at least 1; null for the number that predicted best
k: most models to return; null is 1, less than 0 is 0
max_price: most dollars for a million tokens, three of input to one of output, at the cheapest present offer; models without a known price are left out; null for any price
pool: names of the models to choose from; those that the version has no outcomes of are left out; null for all
license: licence of the models to choose from, as in models; null for all
family: any model of the family to choose from; null for all
max_parameters: most parameters; models of unknown size are left out; null for any size
provider: who must sell the model: its price there counts; null for all
cost_weight: what is subtracted from the probability for each dollar of the price; above 0, models without a known price are left out
minimum_probability: least probability; where no model reaches it, the best single model is returned and fallback says so
input_tokens: tokens of the prompt, for expected_cost; null is 750, as a vector does not say how long its text is. A token is about 4.1 characters
output_tokens: tokens of the answer, likewise; null is a third of input_tokens. Replies to short questions and of reasoning models are longer
model: name of the model
probability: expected outcome, in [0, 1]: that it answers well
lower: lower end of its 90% interval, by the number of outcomes that it rests on
upper: upper end
expected_cost: dollars for that many tokens; null without a known price
price: dollars for a million tokens, three of input to one of output, at the cheapest offer; null where unknown
score: probability less cost_weight times price, by which models are ordered
router: the router that chose
compared: number of items that the prompt was compared with
outcomes: number of the model''s observed outcomes that it rests on, weighted
fallback: why the choice is not the router''s own; null where it is
version: number of the version used

Example:
SELECT model, probability, outcomes, price
  FROM registry.route_knn(''[0.6, 0, -0.8]'', 3, neighbours => 100, max_price => 1);';
