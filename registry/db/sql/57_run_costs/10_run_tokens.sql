-- run_tokens: tokens that runs with outcomes took: stated, else estimated.
-- A token is 4.1 characters of a prompt (809 prompts of 36 benchmarks by two models: 3.6 and 4.7).
-- Each example in a prompt is as long as an item. Without any statement for the benchmark, one token of
-- output follows three of input.
CREATE VIEW store.run_tokens AS
SELECT t.model_id, t.run_id, t.benchmark_id, t.items, t.input_tokens,
       coalesce(t.output_tokens, t.input_tokens / 3) AS output_tokens,
       CASE WHEN t.input_stated = t.items AND t.output_stated = t.items THEN 'tokens'
            ELSE 'estimated' END AS basis
  FROM (SELECT r.model_id, r.run_id, r.benchmark_id, r.outcome_count AS items,
               s.input_stated, s.output_stated,
               CASE WHEN s.input_stated > 0
                    THEN s.input_sum * (r.outcome_count / s.input_stated::double precision)
                    ELSE p.characters / 4.1 * (1 + coalesce(u.shots, 0)) * r.outcome_count
               END AS input_tokens,
               CASE WHEN s.output_stated > 0
                    THEN s.output_sum * (r.outcome_count / s.output_stated::double precision)
                    ELSE q.mean * r.outcome_count END AS output_tokens
          FROM store.runs r
          JOIN store.setups u USING (setup_id)
          LEFT JOIN store.answers a ON (a.model_id, a.run_id) = (r.model_id, r.run_id)
         CROSS JOIN LATERAL (
               SELECT (SELECT sum(n) FROM unnest(a.input_tokens) AS n) AS input_sum,
                      (SELECT count(n) FROM unnest(a.input_tokens) AS n) AS input_stated,
                      (SELECT sum(n) FROM unnest(a.output_tokens) AS n) AS output_sum,
                      (SELECT count(n) FROM unnest(a.output_tokens) AS n) AS output_stated) s
          -- Grouped, as a subquery of each run would read the same prompts once for each.
          LEFT JOIN (
               SELECT i.benchmark_id,
                      avg(length(i.prompt)
                          + (SELECT coalesce(sum(length(c) + 1), 0) FROM unnest(i.choices) AS c))
                          ::double precision AS characters
                 FROM store.items i GROUP BY i.benchmark_id) p
                 ON p.benchmark_id = r.benchmark_id
          LEFT JOIN (
               SELECT b.benchmark_id, avg(n)::double precision AS mean
                 FROM store.answers b CROSS JOIN LATERAL unnest(b.output_tokens) AS n
                GROUP BY b.benchmark_id) q ON q.benchmark_id = r.benchmark_id
         WHERE r.outcome_count > 0) t
 WHERE t.input_tokens IS NOT NULL;

COMMENT ON VIEW store.run_tokens IS
    'Tokens that runs with outcomes took on the items of these: stated, else estimated from the length of prompts.';
COMMENT ON COLUMN store.run_tokens.model_id IS 'Key of the model.';
COMMENT ON COLUMN store.run_tokens.run_id IS 'Key of the run.';
COMMENT ON COLUMN store.run_tokens.benchmark_id IS 'Key of the benchmark.';
COMMENT ON COLUMN store.run_tokens.items IS 'Number of items with an outcome.';
COMMENT ON COLUMN store.run_tokens.input_tokens IS 'Tokens of all prompts.';
COMMENT ON COLUMN store.run_tokens.output_tokens IS 'Tokens of all replies.';
COMMENT ON COLUMN store.run_tokens.basis IS
    'tokens where the source states both for every item, else estimated.';
