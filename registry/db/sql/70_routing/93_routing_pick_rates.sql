-- routing_pick_rates: how often routers pick a right model, by how many models are right.
CREATE VIEW registry.routing_pick_rates AS
SELECT e.evaluation_id AS evaluation, s.key AS split, r.key AS router,
       (c.value ->> 'right')::integer AS right_models, (c.value ->> 'prompts')::integer AS prompts,
       (c.value ->> 'picked')::double precision AS picked,
       (c.value ->> 'chance')::double precision AS chance
  FROM store.routing_evaluations e
 CROSS JOIN LATERAL jsonb_each(e.details) AS s
 CROSS JOIN LATERAL jsonb_each(s.value) AS r
 CROSS JOIN LATERAL jsonb_array_elements(r.value -> 'pick_rates') AS c
 ORDER BY e.evaluation_id DESC, s.key, r.key, (c.value ->> 'right')::integer;

COMMENT ON VIEW registry.routing_pick_rates IS
    'How often a router picks a right model on held-out prompts, by the number of models that are right: a low share where few are is LLMRouterBench''s model-recall failure.

Example:
SELECT right_models, prompts, picked, chance
  FROM registry.routing_pick_rates
 WHERE router = ''best'' AND split = ''item''
   AND evaluation = (SELECT max(evaluation) FROM registry.routing_results)
 ORDER BY right_models;';
COMMENT ON COLUMN registry.routing_pick_rates.evaluation IS 'Number of the evaluation.';
COMMENT ON COLUMN registry.routing_pick_rates.split IS 'What was held out: item, subject or benchmark.';
COMMENT ON COLUMN registry.routing_pick_rates.router IS 'Router, baseline or oracle.';
COMMENT ON COLUMN registry.routing_pick_rates.right_models IS
    'Number of models of the pool with an outcome of at least 0.5.';
COMMENT ON COLUMN registry.routing_pick_rates.prompts IS 'Number of held-out prompts on which so many are right.';
COMMENT ON COLUMN registry.routing_pick_rates.picked IS 'Share of them on which the picked model is right.';
COMMENT ON COLUMN registry.routing_pick_rates.chance IS 'The same of random picks.';
