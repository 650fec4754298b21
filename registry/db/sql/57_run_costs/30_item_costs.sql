-- item_costs(run): what a run cost on each item with an outcome, in the order of the items.
-- A reply whose tokens are not stated has the mean of the run's.
CREATE FUNCTION registry.item_costs(run bigint)
RETURNS TABLE (item text, cost double precision, currency text, basis text,
               input_tokens double precision, output_tokens double precision)
LANGUAGE sql STABLE ROWS 1000
BEGIN ATOMIC
    SELECT t.item,
           (t.given * c.input_per_million + t.taken * c.output_per_million) / 1000000,
           c.currency, CASE WHEN t.stated THEN 'tokens' ELSE 'estimated' END, t.given, t.taken
      FROM registry.run_costs c
      JOIN store.runs r ON r.run_id = c.run
      JOIN store.setups u USING (setup_id)
      LEFT JOIN store.answers a ON (a.model_id, a.run_id) = (r.model_id, r.run_id)
      JOIN store.items i ON i.benchmark_id = r.benchmark_id
                        AND i.ordinal + 0 < length(r.right_bits)
     CROSS JOIN LATERAL (
           SELECT i.item,
                  coalesce(a.input_tokens[i.ordinal + 1],
                           (length(i.prompt)
                            + (SELECT coalesce(sum(length(x) + 1), 0) FROM unnest(i.choices) AS x))
                           / 4.1 * (1 + coalesce(u.shots, 0)),
                           c.input_tokens / c.items)::double precision AS given,
                  coalesce(a.output_tokens[i.ordinal + 1], c.output_tokens / c.items)
                      ::double precision AS taken,
                  a.input_tokens[i.ordinal + 1] IS NOT NULL
                  AND a.output_tokens[i.ordinal + 1] IS NOT NULL AS stated) t
     WHERE c.run = item_costs.run AND c.basis <> 'measured'
       AND (r.present_bits IS NULL OR store.bit_at(r.present_bits, i.ordinal) = 1)
     ORDER BY i.ordinal;
END;

COMMENT ON FUNCTION registry.item_costs(bigint) IS
    'What a run cost on each item with an outcome, in the order of the items, at the prices in run_costs. No rows for runs that are not in there, or whose cost is known as a whole alone (measured).
run: key of the run, as in runs
item: name of the item
cost: of the prompt and the reply
currency: of the cost
basis: tokens where the source states those of both, else estimated: the prompt by its length, the reply as the mean of the run''s
input_tokens: tokens of the prompt, examples included
output_tokens: tokens of the reply

Example:
SELECT item, cost, basis
  FROM registry.item_costs((SELECT run FROM registry.runs WHERE benchmark = ''gsm8k'' LIMIT 1))
 ORDER BY cost DESC LIMIT 10;';
