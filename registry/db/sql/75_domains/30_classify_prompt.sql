-- classify_prompt(prompt_vector, domain_set, k): the domains that a prompt may be of, the likeliest first.
-- The score of a domain is the log-sum-exp of the inner products of its vectors and the prompt's;
-- the softmax of sharpened scores is calibrated on items that were left out of the training.
CREATE FUNCTION registry.classify_prompt(
    prompt_vector vector, domain_set text DEFAULT 'modem', k integer DEFAULT 1)
RETURNS TABLE (domain text, probability double precision, confident boolean,
               energy double precision, fallback boolean)
LANGUAGE plpgsql STABLE
SET jit = off
SET search_path FROM CURRENT  -- where pgvector is, whatever the caller's path
AS $$
#variable_conflict use_column
DECLARE
    used store.domain_classifiers;
    of_set integer;
BEGIN
    IF prompt_vector IS NULL THEN
        RETURN;
    END IF;
    of_set := store.domain_set_id(domain_set);
    SELECT c.* INTO used FROM store.domain_classifiers c WHERE c.set_id = of_set;
    IF used.set_id IS NULL THEN
        RAISE no_data_found USING MESSAGE = format(
            'The set of domains %L is not trained; `registry domains train %s` learns to tell its domains apart',
            domain_set, domain_set);
    END IF;
    PERFORM store.check_prompt(prompt_vector, used.dimension, used.encoder);
    RETURN QUERY
    WITH logits AS MATERIALIZED (
        SELECT v.domain, -(v.vector <#> (prompt_vector || '[1]'::vector)) AS logit
          FROM store.domain_vectors v WHERE v.set_id = of_set
    ), scores AS (
        SELECT l.domain, ln(sum(exp(greatest(l.logit - h.highest, -700)))) + h.highest AS score
          FROM logits l, (SELECT max(logit) AS highest FROM logits) h
         GROUP BY l.domain, h.highest
    ), weighed AS (
        SELECT s.domain, exp(greatest(used.sharpness * (s.score - max(s.score) OVER ()), -700)) AS weight,
               ln(sum(exp(greatest(s.score - h.highest, -700))) OVER ()) + h.highest AS energy
          FROM scores s, (SELECT max(score) AS highest FROM scores) h
    ), found AS (
        SELECT w.domain, w.weight / sum(w.weight) OVER () AS probability, w.energy FROM weighed w
    )
    SELECT d.name, f.probability,
           f.probability >= used.least_probability AND f.energy >= used.least_energy
               AND NOT d.fallback,
           f.energy, d.fallback
      FROM found f
      JOIN store.domains d ON d.set_id = of_set AND d.domain = f.domain
     ORDER BY f.probability DESC, d.domain
     LIMIT greatest(coalesce(k, 1), 0);
END;
$$;

COMMENT ON FUNCTION registry.classify_prompt(vector, text, integer) IS
    'The domains that a prompt may be of, the likeliest first, by its vector alone; `registry domains classify` reads its words too. An error where there is no such set, it is not trained, or the vector has not the dimensions of its encoder or not length 1.
prompt_vector: vector of the prompt, by the encoder in domain_sets, of length 1 within 1%
domain_set: name of the set of domains
k: most domains to return; null is 1, less than 0 is 0
domain: name of the domain
probability: that the prompt is of it, in [0, 1]; calibrated on items that the training left out
confident: whether it can be relied on: likely enough, not the fallback, and the prompt is like some of the training
energy: how much likelier the prompt is under any of the domains than among all items, in nats; low for a prompt like none of the training
fallback: whether it is the domain of prompts that are of no other

Example:
SELECT domain, probability, confident
  FROM registry.classify_prompt(''[0.6, 0, -0.8]'', k => 3);';
