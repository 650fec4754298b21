-- domain_scores: one row per model and domain that it was observed in.
CREATE VIEW registry.domain_scores AS
SELECT s.name AS domain_set, coalesce(d.name, 'all') AS domain, m.name AS model, x.score,
       x.standard_error, x.item_count AS items, x.domain < 0 AS of_all
  FROM store.domain_scores x
  JOIN store.domain_sets s ON s.set_id = x.set_id
  JOIN store.models m ON m.model_id = x.model_id
  LEFT JOIN store.domains d ON d.set_id = x.set_id AND d.domain = x.domain;

COMMENT ON VIEW registry.domain_scores IS
    'Scores of models in domains, by which experts are chosen: mean outcomes on the items of a domain, adjusted where models were observed on different items. Of the last training of the set.

Example:
SELECT model, score, standard_error, items
  FROM registry.domain_scores
 WHERE domain_set = ''modem'' AND domain = ''math'' ORDER BY score DESC LIMIT 10;';
COMMENT ON COLUMN registry.domain_scores.domain_set IS 'Name of the set of domains.';
COMMENT ON COLUMN registry.domain_scores.domain IS 'Name of the domain; all where of_all is true.';
COMMENT ON COLUMN registry.domain_scores.model IS 'Name of the model.';
COMMENT ON COLUMN registry.domain_scores.score IS 'Expected mean outcome on all items of the domain, in [0, 1].';
COMMENT ON COLUMN registry.domain_scores.standard_error IS 'Standard error of the score, as of a sample of such items.';
COMMENT ON COLUMN registry.domain_scores.items IS 'Number of its items that the model was observed on, at least 20.';
COMMENT ON COLUMN registry.domain_scores.of_all IS 'True for the score over the items of all domains, by which the best general model is chosen.';
