-- price_changes: what became cheaper or dearer, is new, or gone.
-- Offers that a list had when it was imported for the first time are not new: nobody knows since when.
CREATE VIEW registry.price_changes AS
WITH ordered AS (
    SELECT o.source, o.provider, o.name, o.model_id, p.valid_from, p.currency,
           p.input_per_million, p.output_per_million,
           lag(p.input_per_million) OVER earlier AS input_before,
           lag(p.output_per_million) OVER earlier AS output_before,
           lag(p.currency) OVER earlier AS currency_before,
           min(p.valid_from) OVER (PARTITION BY o.source) AS first
      FROM store.prices p JOIN store.price_offers o USING (offer_id)
    WINDOW earlier AS (PARTITION BY p.offer_id ORDER BY p.valid_from)
)
SELECT w.valid_from AS changed_at, coalesce(m.name, w.name) AS model, w.provider,
       CASE WHEN w.input_per_million IS NULL THEN 'gone'
            WHEN w.input_before IS NULL THEN 'new'
            WHEN w.currency <> w.currency_before THEN 'other currency'
            WHEN w.input_per_million <= w.input_before
             AND w.output_per_million <= w.output_before THEN 'cheaper'
            WHEN w.input_per_million >= w.input_before
             AND w.output_per_million >= w.output_before THEN 'dearer'
            ELSE 'both' END AS change,
       w.input_before, w.input_per_million AS input_after,
       w.output_before, w.output_per_million AS output_after,
       w.currency, w.name AS offered_as, w.source, w.model_id IS NOT NULL AS resolved
  FROM ordered w
  LEFT JOIN store.models m USING (model_id)
 WHERE (w.input_before, w.output_before) IS DISTINCT FROM (w.input_per_million, w.output_per_million)
   AND NOT (w.input_before IS NULL AND (w.input_per_million IS NULL OR w.valid_from = w.first));

COMMENT ON VIEW registry.price_changes IS
    'Changes of prices: what became cheaper or dearer, is new, or gone. Offers that a list had when it was imported for the first time are not new, since it does not say since when they are there.

Example:
SELECT changed_at, model, provider, change, input_before, input_after
  FROM registry.price_changes
 WHERE changed_at >= now() - interval ''30 days'' AND change = ''cheaper''
 ORDER BY changed_at DESC;';
COMMENT ON COLUMN registry.price_changes.changed_at IS
    'When (UTC): the date in a dated source, else that as of which the list was imported.';
COMMENT ON COLUMN registry.price_changes.model IS
    'Name of the model in the catalog, else as the provider names it.';
COMMENT ON COLUMN registry.price_changes.provider IS 'Who sells it.';
COMMENT ON COLUMN registry.price_changes.change IS
    'cheaper, dearer, both (one of the prices fell, the other rose), other currency, new, or gone: withdrawn, or listed without a price that can be used.';
COMMENT ON COLUMN registry.price_changes.input_before IS
    'Price of a million input tokens before; null for what is new.';
COMMENT ON COLUMN registry.price_changes.input_after IS
    'Price of a million input tokens since; null for what is gone.';
COMMENT ON COLUMN registry.price_changes.output_before IS
    'Price of a million output tokens before; null for what is new.';
COMMENT ON COLUMN registry.price_changes.output_after IS
    'Price of a million output tokens since; null for what is gone.';
COMMENT ON COLUMN registry.price_changes.currency IS 'Currency of the prices, a code of ISO 4217.';
COMMENT ON COLUMN registry.price_changes.offered_as IS 'How the provider names the model.';
COMMENT ON COLUMN registry.price_changes.source IS 'List that states it, such as litellm.';
COMMENT ON COLUMN registry.price_changes.resolved IS 'Whether the name is that of a model in the catalog.';
