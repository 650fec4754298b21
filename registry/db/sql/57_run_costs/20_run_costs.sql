-- run_costs: what each run cost, by its tokens and the prices on its date.
CREATE VIEW registry.run_costs AS
SELECT t.run_id AS run, m.name AS model, b.name AS benchmark, b.version,
       cost.dollars AS cost, cost.dollars / t.items AS cost_per_item, 'USD'::text AS currency,
       t.basis, t.items, t.input_tokens, t.output_tokens,
       cost.provider, cost.input_per_million, cost.output_per_million,
       d.at AS priced_at, d.price_of
  FROM store.run_tokens t
  JOIN store.runs r ON (r.model_id, r.run_id) = (t.model_id, t.run_id)
  JOIN store.models m ON m.model_id = t.model_id
  JOIN store.benchmarks b ON b.benchmark_id = t.benchmark_id
 CROSS JOIN LATERAL (
       SELECT min(p.valid_from) AS first
         FROM store.price_offers o JOIN store.prices p USING (offer_id)
        WHERE o.model_id = t.model_id AND p.currency = 'USD'
          AND p.input_per_million + p.output_per_million > 0) known
 CROSS JOIN LATERAL (
       SELECT CASE WHEN r.evaluated_at IS NULL THEN now()
                   ELSE greatest(r.evaluated_at, known.first) END AS at,
              CASE WHEN r.evaluated_at IS NULL THEN 'today'
                   WHEN r.evaluated_at >= known.first THEN 'its date'
                   ELSE 'first known' END AS price_of) d
 CROSS JOIN LATERAL (
       SELECT p.provider, p.input_per_million, p.output_per_million,
              (t.input_tokens * p.input_per_million
               + t.output_tokens * p.output_per_million) / 1000000 AS dollars
         FROM registry.price_at(m.name, d.at) p
        WHERE p.counts AND p.currency = 'USD' AND NOT p.free
        ORDER BY dollars, p.provider
        LIMIT 1) cost
 WHERE known.first IS NOT NULL;

COMMENT ON VIEW registry.run_costs IS
    'What runs with outcomes cost: tokens times the price on the date of the run, of the cheapest provider of then. Runs of models without a price are not in it, nor those of whose prompts nothing is known.

Example:
SELECT model, cost, cost_per_item, basis, price_of
  FROM registry.run_costs
 WHERE benchmark = ''mmlu_pro''
 ORDER BY cost;';
COMMENT ON COLUMN registry.run_costs.run IS 'Key of the run, as in runs.';
COMMENT ON COLUMN registry.run_costs.model IS 'Name of the model.';
COMMENT ON COLUMN registry.run_costs.benchmark IS 'Name of the benchmark.';
COMMENT ON COLUMN registry.run_costs.version IS 'Version of the benchmark.';
COMMENT ON COLUMN registry.run_costs.cost IS 'Cost of all items with an outcome.';
COMMENT ON COLUMN registry.run_costs.cost_per_item IS 'Mean cost of an item.';
COMMENT ON COLUMN registry.run_costs.currency IS 'Currency of the costs and prices.';
COMMENT ON COLUMN registry.run_costs.basis IS
    'tokens: the source states those of all prompts and replies. estimated: else, by 4.1 characters of a prompt for a token, examples included, and for replies by what other runs on the benchmark state, else a third of the prompts; replies of reasoning models are longer.';
COMMENT ON COLUMN registry.run_costs.items IS 'Number of items with an outcome.';
COMMENT ON COLUMN registry.run_costs.input_tokens IS 'Tokens of all prompts.';
COMMENT ON COLUMN registry.run_costs.output_tokens IS 'Tokens of all replies.';
COMMENT ON COLUMN registry.run_costs.provider IS 'Provider whose price it is.';
COMMENT ON COLUMN registry.run_costs.input_per_million IS 'Price of a million input tokens.';
COMMENT ON COLUMN registry.run_costs.output_per_million IS 'Price of a million output tokens.';
COMMENT ON COLUMN registry.run_costs.priced_at IS 'Time of the price (UTC).';
COMMENT ON COLUMN registry.run_costs.price_of IS
    'Which price it is: of its date; first known, where no price of its date is; or of today, where the date of the run is unknown.';
