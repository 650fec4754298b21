-- price_at(model, at, sold_by): every offer of a model at a time, the cheapest first for three tokens
-- of input to one of output; those in dollars before others.
CREATE FUNCTION registry.price_at(
    model text, at timestamptz DEFAULT now(), sold_by text DEFAULT NULL)
RETURNS TABLE (provider text, input_per_million double precision, output_per_million double precision,
               cached_input_per_million double precision, currency text, context bigint, free boolean,
               valid_from timestamptz, valid_to timestamptz, offered_as text, source text, counts boolean)
LANGUAGE sql STABLE ROWS 20
BEGIN ATOMIC
    SELECT o.provider, p.input_per_million, p.output_per_million, p.cached_input_per_million,
           p.currency, p.context, p.input_per_million + p.output_per_million = 0,
           p.valid_from, p.valid_to, o.name, o.source,
           o.source = first_value(o.source) OVER (
               PARTITION BY o.provider
               ORDER BY p.input_per_million + p.output_per_million = 0, p.currency <> 'USD',
                        least(o.seen_at, price_at.at) DESC, p.valid_from DESC, o.source)
      FROM store.price_offers o
      JOIN store.prices p USING (offer_id)
     WHERE (o.model_id = registry.model_id(price_at.model)
            OR o.model_id IS NULL AND lower(o.name) = lower(price_at.model))
       AND (price_at.sold_by IS NULL OR o.provider = price_at.sold_by)
       AND p.valid_from <= price_at.at AND (p.valid_to IS NULL OR price_at.at < p.valid_to)
       AND p.input_per_million IS NOT NULL
     ORDER BY p.currency <> 'USD', 3 * p.input_per_million + p.output_per_million,
              o.provider, o.source, o.name;
END;

COMMENT ON FUNCTION registry.price_at(text, timestamptz, text) IS
    'Every offer of a model at a time, the cheapest first, for three tokens of input to one of output; none where no price of then is known.
model: any name of the model, or the name that a provider uses
at: the time; now if left out
sold_by: the only provider; null for all
provider: who sells it
input_per_million: price of a million input tokens
output_per_million: price of a million output tokens
cached_input_per_million: price of a million input tokens that are read from a cache; null where unknown
currency: of the prices, a code of ISO 4217
context: tokens of input and output together, at most; null where unknown
free: whether it costs nothing: a free tier, which is rationed, or part of a subscription
valid_from: since when it is the price (UTC)
valid_to: until when (UTC); null for the present price
offered_as: how the provider names the model
source: list that states the price
counts: whether the list is the one that was last seen, by then, to state a price of the provider; function cost takes these

Example:
SELECT provider, input_per_million, output_per_million
  FROM registry.price_at(''meta-llama/Llama-3.1-70B-Instruct'', ''2026-01-31'');';
