-- choose_experts(of_set, ...): for each domain the expert of the models that pass the filters, and why.
-- A stated expert comes first, that of the largest tier within the limit. Else the best model of the
-- domain, if it is better than the best general model by more than one standard error of their
-- difference; else the best general model, as for the fallback. The standard error is of what is
-- left when the items' easiness is taken out, as all models answer the same items.
CREATE FUNCTION store.choose_experts(
    of_set integer, max_parameters bigint DEFAULT NULL, max_price double precision DEFAULT NULL,
    members bigint[] DEFAULT NULL, license text DEFAULT NULL, family_id bigint DEFAULT NULL,
    provider text DEFAULT NULL, priced boolean DEFAULT false)
RETURNS TABLE (domain smallint, model_id bigint, general_id bigint, runner_up_id bigint,
               score double precision, standard_error double precision, items integer,
               price double precision, why text)
LANGUAGE sql STABLE
AS $$
    WITH candidates AS MATERIALIZED (
        SELECT * FROM store.domain_candidates(
            of_set, max_parameters, max_price, members, license, family_id, provider, priced)
    ), general AS (
        SELECT model_id, score, standard_error, items, price FROM candidates WHERE domain = -1
         ORDER BY score DESC, model_id LIMIT 1
    ), stated AS (
        SELECT DISTINCT ON (e.domain) e.domain, e.model_id
          FROM store.domain_experts e
         WHERE e.set_id = of_set
           AND e.max_parameters <= coalesce(choose_experts.max_parameters, 9223372036854775807)
           AND EXISTS (SELECT FROM candidates c WHERE c.model_id = e.model_id)
         ORDER BY e.domain, e.max_parameters DESC
    ), compared AS (
        SELECT c.*, g.score AS general_score,
               c.score - g.score AS gain, sqrt(c.residual_error ^ 2 + g.residual_error ^ 2) AS noise
          FROM candidates c
          LEFT JOIN candidates g
            ON g.domain = c.domain AND g.model_id = (SELECT model_id FROM general)
         WHERE c.domain >= 0
    ), best AS (
        SELECT DISTINCT ON (domain) domain, model_id, score, standard_error, items, price, gain, noise
          FROM compared
         WHERE gain > noise OR general_score IS NULL
         ORDER BY domain, score DESC, model_id
    ), leaders AS (
        SELECT DISTINCT ON (domain) domain, model_id, gain, noise
          FROM compared ORDER BY domain, score DESC, model_id
    ), chosen AS (
        SELECT d.domain, d.fallback, s.model_id AS stated_id, b.model_id AS best_id,
               CASE WHEN s.model_id IS NOT NULL THEN s.model_id
                    WHEN NOT d.fallback AND b.model_id IS NOT NULL THEN b.model_id
                    ELSE (SELECT model_id FROM general) END AS model_id,
               b.gain, b.noise, l.model_id AS leading_id, l.gain AS leading_gain,
               l.noise AS leading_noise
          FROM store.domains d
          LEFT JOIN stated s ON s.domain = d.domain
          LEFT JOIN best b ON b.domain = d.domain
          LEFT JOIN leaders l ON l.domain = d.domain
         WHERE d.set_id = of_set
    )
    SELECT c.domain, c.model_id, (SELECT model_id FROM general), r.model_id, o.score,
           o.standard_error, o.items, coalesce(o.price, a.price),
           CASE WHEN c.stated_id IS NOT NULL THEN 'stated as the expert'
                WHEN c.fallback THEN 'the best general model, as for all prompts of no other domain'
                WHEN c.leading_id IS NULL THEN
                    'the best general model: no model was observed on enough items of the domain'
                WHEN c.best_id IS NULL AND c.leading_id = c.model_id THEN
                    'the best general model, which is the best in the domain too'
                WHEN c.best_id IS NULL THEN format(
                    'the best general model: %s is better here by %s, within the noise of %s',
                    (SELECT m.name FROM store.models m WHERE m.model_id = c.leading_id),
                    round(c.leading_gain::numeric, 3), round(c.leading_noise::numeric, 3))
                WHEN c.gain IS NULL THEN
                    'the best in the domain, where the best general model was not observed'
                ELSE format('better than the best general model by %s, beyond the noise of %s',
                            round(c.gain::numeric, 3), round(c.noise::numeric, 3)) END
      FROM chosen c
      LEFT JOIN candidates o ON o.domain = c.domain AND o.model_id = c.model_id
      LEFT JOIN candidates a ON a.domain = -1 AND a.model_id = c.model_id
      LEFT JOIN LATERAL (
          SELECT x.model_id FROM candidates x
           WHERE x.domain = c.domain AND x.model_id <> c.model_id
           ORDER BY x.score DESC, x.model_id LIMIT 1) r ON true
     WHERE c.model_id IS NOT NULL
$$;

COMMENT ON FUNCTION store.choose_experts(integer, bigint, double precision, bigint[], text, bigint, text, boolean) IS
    'For each domain the expert of the models that pass the filters, the best general model, the runner-up, and why.';
