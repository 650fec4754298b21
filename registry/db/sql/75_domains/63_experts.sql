-- experts: the expert of each domain for each size tier and price tier, and why.
CREATE VIEW registry.experts AS
SELECT s.name AS domain_set, d.name AS domain, t.tier AS size_tier, p.most AS max_price,
       m.name AS model, x.score, x.standard_error, x.items, r.name AS runner_up, x.why,
       x.price, g.name AS general_model, m.parameters
  FROM store.domain_sets s
  CROSS JOIN (VALUES (1, '3B'), (2, '8B'), (3, '14B'), (4, '34B'), (5, '73B'), (6, 'any'))
          AS t (place, tier)
  CROSS JOIN (VALUES (0.2::double precision), (1), (5), (NULL)) AS p (most)
  CROSS JOIN LATERAL store.choose_experts(
      s.set_id, store.tier_parameters(t.tier), p.most) x
  JOIN store.domains d ON d.set_id = s.set_id AND d.domain = x.domain
  JOIN store.models m ON m.model_id = x.model_id
  LEFT JOIN store.models r ON r.model_id = x.runner_up_id
  LEFT JOIN store.models g ON g.model_id = x.general_id;

COMMENT ON VIEW registry.experts IS
    'The expert of each domain for each size tier and price tier, by scores of the last training of the set, and why it is that one. route_domain chooses in the same way among the models that pass its filters. A tier without a model with scores has no rows.

Example:
SELECT domain, model, score, standard_error, why
  FROM registry.experts
 WHERE domain_set = ''modem'' AND size_tier = ''8B'' AND max_price IS NULL;';
COMMENT ON COLUMN registry.experts.domain_set IS 'Name of the set of domains.';
COMMENT ON COLUMN registry.experts.domain IS 'Name of the domain.';
COMMENT ON COLUMN registry.experts.size_tier IS 'Models of up to about this many weights, a twentieth more since names round; any for all.';
COMMENT ON COLUMN registry.experts.max_price IS 'Models of up to this price, as price; null for all, those without a price included.';
COMMENT ON COLUMN registry.experts.model IS 'Name of the expert.';
COMMENT ON COLUMN registry.experts.score IS 'Its score in the domain, as in domain_scores; null where it was not observed there.';
COMMENT ON COLUMN registry.experts.standard_error IS 'Standard error of the score.';
COMMENT ON COLUMN registry.experts.items IS 'Number of the domain''s items that it was observed on.';
COMMENT ON COLUMN registry.experts.runner_up IS 'The model with the highest score in the domain among the others; null for none.';
COMMENT ON COLUMN registry.experts.why IS 'Why it was chosen. A difference of up to one standard error of it goes to the better general model.';
COMMENT ON COLUMN registry.experts.price IS 'Dollars for a million tokens at its cheapest offer today, three of input to one of output; null where none is known.';
COMMENT ON COLUMN registry.experts.general_model IS 'The best model of the tier over all domains.';
COMMENT ON COLUMN registry.experts.parameters IS 'Number of weights of the expert.';
