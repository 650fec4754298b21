-- route_cascade(prompt_vector, threshold, k, options): the models of a cascade, the cheapest first, and
-- which of them to ask: the first that is likely enough to be right, by router best. The models are
-- those to which none is preferable at its cost, by mean outcome: of more than k, the cheapest, the
-- best, and those between whose means are the most evenly spaced.
CREATE FUNCTION registry.route_cascade(
    prompt_vector vector, threshold double precision DEFAULT 0.9, k integer DEFAULT 4,
    max_price double precision DEFAULT NULL, pool text[] DEFAULT NULL, license text DEFAULT NULL,
    family text DEFAULT NULL, max_parameters bigint DEFAULT NULL, provider text DEFAULT NULL,
    input_tokens double precision DEFAULT 750, output_tokens double precision DEFAULT NULL)
RETURNS TABLE (step integer, model text, asked boolean, probability double precision,
               lower double precision, upper double precision, expected_cost double precision,
               price double precision, level double precision, reached double precision,
               router text, fallback text, version integer)
LANGUAGE plpgsql STABLE
SET jit = off
SET search_path FROM CURRENT  -- where pgvector is, whatever the caller's path
AS $$
#variable_conflict use_column
DECLARE
    least CONSTANT double precision := coalesce(route_cascade.threshold, 0.9);
    most CONSTANT integer := coalesce(route_cascade.k, 4);
BEGIN
    IF prompt_vector IS NULL THEN
        RETURN;
    END IF;
    IF NOT least BETWEEN 0 AND 1 OR most < 2 THEN
        RAISE invalid_parameter_value USING MESSAGE =
            'A cascade has two models or more (k), and its threshold is from 0 to 1';
    END IF;
    -- A plan need not call a function whose rows find none to be joined with.
    PERFORM store.routing_version(prompt_vector);
    RETURN QUERY
    WITH chosen AS MATERIALIZED (
        SELECT r.*, l.level::double precision AS level
          FROM store.routes_by('best', prompt_vector, NULL, 2147483647, max_price, pool, license,
                               family, max_parameters, provider, 0, NULL, input_tokens,
                               output_tokens) AS r
          JOIN store.models AS m ON m.name = r.model
          JOIN store.route_models AS l
            ON l.version_id = r.version AND l.model_id = m.model_id
         WHERE r.price IS NOT NULL
    ), frontier AS (
        SELECT b.*, row_number() OVER w AS place, count(*) OVER () AS size,
               first_value(b.level) OVER w AS lowest, max(b.level) OVER () AS highest
          FROM (SELECT c.*, max(c.level) OVER (
                           ORDER BY c.expected_cost, c.level DESC, c.model COLLATE "C"
                           ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before
                  FROM chosen AS c) AS b
         WHERE b.before IS NULL OR b.level > b.before
        WINDOW w AS (ORDER BY b.level)
    ), wanted AS (
        SELECT DISTINCT (
            SELECT f.place FROM frontier AS f
             ORDER BY abs(f.level - (f.lowest + (f.highest - f.lowest) * n.number / (most - 1))),
                      f.place
             LIMIT 1) AS place
          FROM generate_series(0, least(most, 1000) - 1) AS n (number)
    ), links AS (
        SELECT f.*, row_number() OVER (ORDER BY f.level)::integer AS step,
               f.probability >= least AS enough
          FROM frontier AS f
         WHERE f.size <= most OR f.place IN (SELECT w.place FROM wanted AS w)
    ), first AS (
        SELECT l.step, l.enough FROM links AS l
         ORDER BY l.enough DESC, CASE WHEN l.enough THEN 0 ELSE -l.probability END, l.step
         LIMIT 1
    )
    SELECT l.step, l.model, l.step = f.step, l.probability, l.lower, l.upper, l.expected_cost,
           l.price, l.level,
           CASE WHEN l.step < f.step THEN 0 ELSE coalesce((
               SELECT exp(sum(ln(greatest(1 - e.probability, 1e-300)))) FROM links AS e
                WHERE e.step >= f.step AND e.step < l.step), 1) END,
           'cascade',
           CASE WHEN NOT f.enough
                THEN format('no model of the cascade reaches %s: its likeliest', least) END,
           l.version
      FROM links AS l, first AS f
     ORDER BY l.step;
    IF NOT FOUND THEN
        RAISE no_data_found USING MESSAGE =
            'No model is left for a cascade: none of those that pass the filters has a known price; '
            '`registry prices import` stores prices';
    END IF;
END;
$$;

COMMENT ON FUNCTION registry.route_cascade(vector, double precision, integer, double precision, text[], text, text, bigint, text, double precision, double precision) IS
    'The models of a cascade for a prompt, the cheapest first, and which to ask: the first whose probability by router best reaches the threshold, else the likeliest of them. Where an answer can be checked, go on with the next step when it is wrong. An error where no version is current, it has no routers, the vector has not the dimensions of its encoder or not length 1, a name is unknown, or no model with a price passes the filters.
prompt_vector: vector of the prompt, by the encoder in embedding_versions, of length 1 within 1%
threshold: least probability of the model that is asked, from 0 to 1; null is 0.9. `registry route evaluate` measures thresholds (cascade:best)
k: most models, 2 or more; null is 4
max_price: most dollars for a million tokens, three of input to one of output, at the cheapest present offer; null for any price. Models without a known price are always left out
pool: names of the models to choose from; those that the version has no outcomes of are left out; null for all
license: licence of the models to choose from, as in models; null for all
family: any model of the family to choose from; null for all
max_parameters: most parameters; models of unknown size are left out; null for any size
provider: who must sell the model: its price there counts; null for all
input_tokens: tokens of the prompt, for expected_cost; null is 750, as a vector does not say how long its text is. A token is about 4.1 characters
output_tokens: tokens of the answer, likewise; null is a third of input_tokens. Replies to short questions and of reasoning models are longer
step: number in the order of costs, from 1
model: name of the model
asked: whether it is the model to ask
probability: expected outcome, in [0, 1]: that it answers well
lower: lower end of its 90% interval, by the number of outcomes that it rests on
upper: upper end
expected_cost: dollars for that many tokens
price: dollars for a million tokens, three of input to one of output, at the cheapest offer
level: mean outcome of the model over the items of the version, by which the models were chosen
reached: probability that this model is asked, where one goes on with the next step at a wrong answer, if errors were independent: models err alike, so later steps are reached more often; 0 for steps before the one that is asked
router: the router that chose: cascade
fallback: why the likeliest is asked instead; null where a model reaches the threshold
version: number of the version used

Example:
SELECT step, model, asked, probability, expected_cost
  FROM registry.route_cascade(''[0.6, 0, -0.8]'', threshold => 0.8);';
