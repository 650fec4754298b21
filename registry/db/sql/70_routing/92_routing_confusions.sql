-- routing_confusions: models that prompts were routed to, by those that should have been.
CREATE VIEW registry.routing_confusions AS
SELECT e.evaluation_id AS evaluation, s.key AS split, r.key AS router,
       c.value ->> 'routed' AS routed, c.value ->> 'should' AS should,
       (c.value ->> 'prompts')::double precision AS prompts
  FROM store.routing_evaluations e
 CROSS JOIN LATERAL jsonb_each(e.details) AS s
 CROSS JOIN LATERAL jsonb_each(s.value) AS r
 CROSS JOIN LATERAL jsonb_array_elements(r.value -> 'confusion') AS c
 ORDER BY e.evaluation_id DESC, s.key, r.key, (c.value ->> 'prompts')::double precision DESC;

COMMENT ON VIEW registry.routing_confusions IS
    'The most frequent mistakes of routers on held-out prompts: where a model with a better outcome was there, which was routed to instead. At most thirty of each router in an evaluation.

Example:
SELECT routed, should, prompts
  FROM registry.routing_confusions
 WHERE router = ''best'' AND split = ''item''
   AND evaluation = (SELECT max(evaluation) FROM registry.routing_results)
 ORDER BY prompts DESC LIMIT 10;';
COMMENT ON COLUMN registry.routing_confusions.evaluation IS 'Number of the evaluation.';
COMMENT ON COLUMN registry.routing_confusions.split IS 'What was held out: item, subject or benchmark.';
COMMENT ON COLUMN registry.routing_confusions.router IS 'Router, baseline or oracle.';
COMMENT ON COLUMN registry.routing_confusions.routed IS 'Model that was chosen, by its name then.';
COMMENT ON COLUMN registry.routing_confusions.should IS 'Model with the best outcome on the prompt.';
COMMENT ON COLUMN registry.routing_confusions.prompts IS
    'Number of prompts; one on which several models are best counts for each by its share.';
