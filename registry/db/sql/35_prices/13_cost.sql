-- cost(model, input_tokens, output_tokens, at, sold_by): US dollars, at the cheapest offer of then.
CREATE FUNCTION registry.cost(
    model text, input_tokens double precision, output_tokens double precision,
    at timestamptz DEFAULT now(), sold_by text DEFAULT NULL)
RETURNS double precision
LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT min(cost.input_tokens * p.input_per_million
               + cost.output_tokens * p.output_per_million) / 1000000
      FROM registry.price_at(cost.model, cost.at, cost.sold_by) p
     WHERE p.currency = 'USD' AND p.counts AND (NOT p.free OR cost.sold_by IS NOT NULL)
       AND cost.input_tokens >= 0 AND cost.output_tokens >= 0;
END;

COMMENT ON FUNCTION registry.cost(text, double precision, double precision, timestamptz, text) IS
    'What a model takes for some tokens, in US dollars, at the cheapest offer of then, of each provider by the list that was last seen. Free offers count where sold_by names their provider. Null where no price in dollars is known, or a number of tokens is negative or null.
model: any name of the model, or the name that a provider uses
input_tokens: tokens of prompts
output_tokens: tokens of answers, those of reasoning included
at: the time; now if left out
sold_by: the only provider; null for all

Example:
SELECT registry.cost(''meta-llama/Llama-3.1-70B-Instruct'', 1000000, 200000);';
