-- run_costs: what each run cost: as its source states, else by its tokens and the prices on its date.
CREATE VIEW registry.run_costs AS
SELECT s.run_id AS run, m.name AS model, b.name AS benchmark, b.version,
       s.dollars AS cost, s.dollars / nullif(s.items, 0) AS cost_per_item, 'USD'::text AS currency,
       'measured'::text AS basis, s.items, NULL::double precision AS input_tokens,
       NULL::double precision AS output_tokens, NULL::text AS provider,
       NULL::double precision AS input_per_million, NULL::double precision AS output_per_million,
       NULL::timestamptz AS priced_at, NULL::text AS price_of
  FROM store.stated_costs s
  JOIN store.models m ON m.model_id = s.model_id
  JOIN store.benchmarks b ON b.benchmark_id = s.benchmark_id
UNION ALL
SELECT t.run_id, m.name AS model, b.name AS benchmark, b.version,
       cost.dollars, cost.dollars / t.items, 'USD',
       t.basis, t.items, t.input_tokens, t.output_tokens,
       cost.provider, cost.input_per_million, cost.output_per_million,
       d.at, d.price_of
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
 WHERE known.first IS NOT NULL
   AND NOT EXISTS (SELECT FROM store.stated_costs s
                    WHERE (s.model_id, s.run_id) = (t.model_id, t.run_id));

COMMENT ON VIEW registry.run_costs IS
    'What runs cost: what their source states, else, of runs with outcomes, tokens times the price on the date of the run, of the cheapest provider of then. Runs of models without a price are not in it, nor those of whose prompts nothing is known. Answers that are scored by several metrics are a run by each, and have their cost at each.

Example:
SELECT model, cost, cost_per_item, basis, price_of
  FROM registry.run_costs
 WHERE benchmark = ''mmlu_pro''
 ORDER BY cost;';
COMMENT ON COLUMN registry.run_costs.run IS 'Key of the run, as in runs.';
COMMENT ON COLUMN registry.run_costs.model IS 'Name of the model.';
COMMENT ON COLUMN registry.run_costs.benchmark IS 'Name of the benchmark.';
COMMENT ON COLUMN registry.run_costs.version IS 'Version of the benchmark.';
COMMENT ON COLUMN registry.run_costs.cost IS 'Cost of the whole run.';
COMMENT ON COLUMN registry.run_costs.cost_per_item IS 'Mean cost of an item.';
COMMENT ON COLUMN registry.run_costs.currency IS 'Currency of the costs and prices.';
COMMENT ON COLUMN registry.run_costs.basis IS
    'measured: the source states the cost, as a score by metric total_cost in USD. tokens: it states those of all prompts and replies. estimated: else, by 4.1 characters of a prompt for a token, examples included, and for replies by what other runs on the benchmark state, else a third of the prompts; replies of reasoning models are longer.';
COMMENT ON COLUMN registry.run_costs.items IS 'Number of items that it is of; null where unknown.';
COMMENT ON COLUMN registry.run_costs.input_tokens IS 'Tokens of all prompts; null for a measured cost.';
COMMENT ON COLUMN registry.run_costs.output_tokens IS 'Tokens of all replies; null for a measured cost.';
COMMENT ON COLUMN registry.run_costs.provider IS 'Provider whose price it is; null for a measured cost, as the prices are.';
COMMENT ON COLUMN registry.run_costs.input_per_million IS 'Price of a million input tokens.';
COMMENT ON COLUMN registry.run_costs.output_per_million IS 'Price of a million output tokens.';
COMMENT ON COLUMN registry.run_costs.priced_at IS 'Time of the price (UTC).';
COMMENT ON COLUMN registry.run_costs.price_of IS
    'Which price it is, null for a measured cost: of its date; first known, where no price of its date is; or of today, where the date of the run is unknown.';
