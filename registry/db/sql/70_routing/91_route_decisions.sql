-- route_decisions: decisions of routers that were logged, and what became of them.
CREATE VIEW registry.route_decisions AS
SELECT d.decision_id AS decision, d.decided_at, d.router, coalesce(m.name, d.name) AS model,
       d.probability, d.expected_cost, d.version, d.prompt_hash, d.prompt, d.alternatives,
       d.outcome, d.outcome_at
  FROM store.route_decisions d
  LEFT JOIN store.models m USING (model_id);

COMMENT ON VIEW registry.route_decisions IS
    'Decisions of routers that were logged by `registry route --log`, with the outcomes that were fed back.

Example:
SELECT model, count(*), avg(probability) AS expected, avg(outcome) AS observed
  FROM registry.route_decisions
 WHERE outcome IS NOT NULL
 GROUP BY model;';
COMMENT ON COLUMN registry.route_decisions.decision IS 'Number of the decision.';
COMMENT ON COLUMN registry.route_decisions.decided_at IS 'When it was made (UTC).';
COMMENT ON COLUMN registry.route_decisions.router IS 'Router that made it.';
COMMENT ON COLUMN registry.route_decisions.model IS 'Name of the chosen model, as it is now.';
COMMENT ON COLUMN registry.route_decisions.probability IS
    'Probability of a right answer that the router stated; null where it states none.';
COMMENT ON COLUMN registry.route_decisions.expected_cost IS
    'Expected cost of the answer in dollars; null where unknown.';
COMMENT ON COLUMN registry.route_decisions.version IS
    'Version of the embeddings used; null where none was.';
COMMENT ON COLUMN registry.route_decisions.prompt_hash IS 'SHA-256 of the prompt in UTF-8, as hex.';
COMMENT ON COLUMN registry.route_decisions.prompt IS
    'Text of the prompt; null unless it was asked for with --log-prompt.';
COMMENT ON COLUMN registry.route_decisions.alternatives IS
    'The models offered, best first, as JSON: model, probability, expected_cost.';
COMMENT ON COLUMN registry.route_decisions.outcome IS
    'Outcome of the answer in [0, 1], as fed back; null where it was not yet.';
COMMENT ON COLUMN registry.route_decisions.outcome_at IS 'When it was fed back (UTC).';
