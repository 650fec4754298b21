-- provider_prices: for each model of the catalog and provider, the paid price in dollars of today, by
-- the list that was seen last. Of several offers in that list it is the cheapest for three tokens of
-- input to one of output, as most chats use.
CREATE VIEW store.provider_prices AS
SELECT DISTINCT ON (w.model_id, w.provider)
       w.model_id, w.provider, w.input_per_million, w.output_per_million, w.context
  FROM (SELECT o.model_id, o.provider, o.source, o.name, p.input_per_million,
               p.output_per_million, p.context,
               -- Where lists disagree on a provider, the cheaper price may be the older one.
               first_value(o.source) OVER (
                   PARTITION BY o.model_id, o.provider
                   ORDER BY o.seen_at DESC, p.valid_from DESC, o.source) AS newest
          FROM store.price_offers o
          JOIN store.prices p ON p.offer_id = o.offer_id AND p.valid_to IS NULL
         WHERE o.model_id IS NOT NULL AND p.currency = 'USD'
           -- A free offer is rationed, or part of a subscription: nothing can be planned by it.
           AND p.input_per_million + p.output_per_million > 0) w
 WHERE w.source = w.newest
 ORDER BY w.model_id, w.provider, 3 * w.input_per_million + w.output_per_million, w.name;

COMMENT ON VIEW store.provider_prices IS
    'The paid price in US dollars of each model at each provider today, by the list that was seen last; the cheapest of its offers there, for three tokens of input to one of output.';
COMMENT ON COLUMN store.provider_prices.model_id IS 'Key of the model.';
COMMENT ON COLUMN store.provider_prices.provider IS 'Who sells it at that price.';
COMMENT ON COLUMN store.provider_prices.input_per_million IS 'Dollars for a million input tokens.';
COMMENT ON COLUMN store.provider_prices.output_per_million IS 'Dollars for a million output tokens.';
COMMENT ON COLUMN store.provider_prices.context IS
    'Tokens of input and output at that provider, at most; null where it does not say.';
