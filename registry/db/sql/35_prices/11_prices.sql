-- prices: what each offer of a model cost, from when to when.
CREATE VIEW registry.prices AS
SELECT coalesce(m.name, o.name) AS model, o.provider, p.input_per_million, p.output_per_million,
       p.currency, p.valid_from, p.valid_to, p.cached_input_per_million, p.context,
       p.input_per_million + p.output_per_million = 0 AS free, p.tiered,
       o.name AS offered_as, o.source, o.seen_at, o.method AS resolved_by,
       o.confidence AS name_confidence
  FROM store.price_offers o
  JOIN store.prices p USING (offer_id)
  LEFT JOIN store.models m USING (model_id)
 WHERE p.input_per_million IS NOT NULL;

COMMENT ON VIEW registry.prices IS
    'Prices of models by provider, with their history: a row holds from valid_from until before valid_to, today where that is null. Sources may disagree: each has its rows.

Example:
SELECT provider, input_per_million, output_per_million, source
  FROM registry.prices
 WHERE model = ''meta-llama/Llama-3.1-70B-Instruct'' AND valid_to IS NULL AND NOT free
 ORDER BY 3 * input_per_million + output_per_million;';
COMMENT ON COLUMN registry.prices.model IS
    'Name of the model in the catalog; where it has none by this name, the name that the provider uses, and resolved_by is null.';
COMMENT ON COLUMN registry.prices.provider IS 'Who sells it.';
COMMENT ON COLUMN registry.prices.input_per_million IS 'Price of a million input tokens.';
COMMENT ON COLUMN registry.prices.output_per_million IS
    'Price of a million output tokens, those of reasoning included.';
COMMENT ON COLUMN registry.prices.currency IS 'Currency of the prices, a code of ISO 4217.';
COMMENT ON COLUMN registry.prices.valid_from IS
    'Since when (UTC): the date of the change in a dated source, else that as of which the list was imported.';
COMMENT ON COLUMN registry.prices.valid_to IS
    'Until when (UTC): the next change, or the withdrawal; null for the present price.';
COMMENT ON COLUMN registry.prices.cached_input_per_million IS
    'Price of a million input tokens that the provider reads from its cache; null where it states none.';
COMMENT ON COLUMN registry.prices.context IS
    'Tokens of input and output together at that provider, at most; null where unknown.';
COMMENT ON COLUMN registry.prices.free IS
    'Whether it costs nothing: a free tier, which is rationed, or part of a subscription.';
COMMENT ON COLUMN registry.prices.tiered IS
    'Whether the provider charges otherwise for long prompts or at some hours; the price is that of short prompts, the dearer hours.';
COMMENT ON COLUMN registry.prices.offered_as IS 'How the provider names the model.';
COMMENT ON COLUMN registry.prices.source IS 'List that states the price, such as litellm.';
COMMENT ON COLUMN registry.prices.seen_at IS
    'When the source is last known to state an offer of this name (UTC).';
COMMENT ON COLUMN registry.prices.resolved_by IS
    'How the name was resolved to the model: exact, alias, case (as names in evaluations are), spelling (without what providers add to names) or maker (the model of that name of the maker whom it means); null for none.';
COMMENT ON COLUMN registry.prices.name_confidence IS
    'Confidence of that, in (0, 1]; null where the name resolves to none.';
