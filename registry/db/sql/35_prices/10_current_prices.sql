-- current_prices: for each model of the catalog with a paid offer in dollars, the cheapest of today's.
-- Cheapest for three tokens of input to one of output, as most chats use.
CREATE VIEW store.current_prices AS
SELECT DISTINCT ON (p.model_id)
       p.model_id, p.provider, p.input_per_million, p.output_per_million, p.context
  FROM store.provider_prices p
 ORDER BY p.model_id, 3 * p.input_per_million + p.output_per_million, p.provider;

COMMENT ON VIEW store.current_prices IS
    'The cheapest paid price in US dollars of each model today, for three tokens of input to one of output; of each provider by the list that was seen last.';
COMMENT ON COLUMN store.current_prices.model_id IS 'Key of the model.';
COMMENT ON COLUMN store.current_prices.provider IS 'Who sells it at that price.';
COMMENT ON COLUMN store.current_prices.input_per_million IS 'Dollars for a million input tokens.';
COMMENT ON COLUMN store.current_prices.output_per_million IS 'Dollars for a million output tokens.';
COMMENT ON COLUMN store.current_prices.context IS
    'Tokens of input and output at that provider, at most; null where it does not say.';
