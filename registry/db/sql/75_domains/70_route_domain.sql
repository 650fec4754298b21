-- route_domain(prompt_vector, k, options): the expert for the domain of a prompt, then other models.
-- The order is by the score in the domain, less the weighed price, but for the expert, which comes
-- first: where prices weigh, there is none.
CREATE FUNCTION registry.route_domain(
    prompt_vector vector, k integer DEFAULT 1, max_price double precision DEFAULT NULL,
    pool text[] DEFAULT NULL, license text DEFAULT NULL, family text DEFAULT NULL,
    max_parameters bigint DEFAULT NULL, provider text DEFAULT NULL,
    cost_weight double precision DEFAULT 0, minimum_probability double precision DEFAULT NULL,
    input_tokens double precision DEFAULT 750, output_tokens double precision DEFAULT NULL,
    tier text DEFAULT NULL, domain_set text DEFAULT 'modem')
RETURNS TABLE (model text, probability double precision, lower double precision,
               upper double precision, expected_cost double precision, price double precision,
               score double precision, router text, domain text,
               domain_probability double precision, confident boolean, outcomes integer,
               fallback text, why text)
LANGUAGE plpgsql STABLE
SET jit = off
SET search_path FROM CURRENT  -- where pgvector is, whatever the caller's path
AS $$
#variable_conflict use_column
DECLARE
    weight CONSTANT double precision := coalesce(cost_weight, 0);
    limited CONSTANT bigint := least(store.tier_parameters(tier), route_domain.max_parameters);
    most CONSTANT integer := greatest(coalesce(k, 1), 0);
    of_set integer;
    likeliest record;
    chosen record;
    allowed bigint[];
    members bigint;
    instead text;
BEGIN
    IF prompt_vector IS NULL THEN
        RETURN;
    END IF;
    PERFORM store.check_route_options(
        max_price, cost_weight, minimum_probability, input_tokens, output_tokens);
    of_set := store.domain_set_id(domain_set);
    SELECT c.*, d.domain AS number INTO likeliest
      FROM registry.classify_prompt(prompt_vector, domain_set) c
      JOIN store.domains d ON d.set_id = of_set AND d.name = c.domain;
    allowed := store.pool_keys(pool);
    members := store.family_key(family);
    SELECT e.* INTO chosen
      FROM store.choose_experts(of_set, limited, max_price, allowed, license, members,
                                route_domain.provider, weight > 0) e
     WHERE e.domain = likeliest.number;
    IF chosen.domain IS NULL THEN
        RAISE no_data_found USING MESSAGE = format(
            'No model is left to choose from: of those with scores in the set of domains %L, %s',
            domain_set, concat_ws(' and ', 'none has enough of them',
                CASE WHEN num_nonnulls(max_price, pool, license, family, limited,
                                       route_domain.provider) > 0 OR weight > 0
                     THEN 'passes the filters (models of unknown size, or without a known price, are left out where these count)' END));
    END IF;
    IF NOT likeliest.confident THEN
        instead := CASE
            WHEN likeliest.fallback THEN format('the prompt is of the domain of all others, %s', likeliest.domain)
            ELSE format('the prompt''s domain is not certain (%s at %s%s)', likeliest.domain,
                        round(likeliest.probability::numeric, 2),
                        CASE WHEN likeliest.energy < (SELECT c.least_energy FROM store.domain_classifiers c
                                                   WHERE c.set_id = of_set)
                             THEN ', and unlike all items' ELSE '' END) END
            || CASE WHEN weight = 0 THEN ': best general model'
                    WHEN likeliest.fallback THEN ': ordered by score there less weighed price'
                    ELSE ': ordered by score over all domains less weighed price' END;
        IF NOT likeliest.fallback THEN
            chosen.model_id := chosen.general_id;
        END IF;
        IF chosen.model_id IS NULL THEN
            RAISE no_data_found USING MESSAGE = format(
                'The domain of the prompt is not certain, and there is no general model: none that '
                'passes the filters was observed in half of the domains of %L', domain_set);
        END IF;
    ELSIF weight = 0 AND chosen.model_id = chosen.general_id
          AND starts_with(chosen.why, 'the best general model:') THEN
        instead := chosen.why;
    END IF;
    RETURN QUERY
    WITH scored AS (
        SELECT DISTINCT ON (a.model_id) a.*, a.score - weight * coalesce(a.price, 0) AS value
          FROM store.domain_candidates(of_set, limited, max_price, allowed, license, members,
                                       route_domain.provider, weight > 0) a
         -- Where the domain is not certain, the score over all of them is what to expect; so it is
         -- of a model that was not observed in the domain.
         WHERE a.domain = -1 OR a.domain = likeliest.number AND (likeliest.confident OR likeliest.fallback)
         ORDER BY a.model_id, a.domain DESC
    ), ranked AS (
        SELECT s.*, coalesce(s.score >= minimum_probability, true) AS reaches,
               bool_or(coalesce(s.score >= minimum_probability, true)) OVER () AS one_reaches,
               weight = 0 AND s.model_id = chosen.model_id AS is_expert,
               -- Where prices weigh there is no expert that could be too low.
               bool_or(s.model_id = chosen.model_id
                       AND coalesce(s.score >= minimum_probability, true)) OVER () OR weight > 0
               AS expert_reaches
          FROM scored s
    )
    SELECT m.name, r.score, greatest(0, r.score - 1.6448536269514722 * r.standard_error),
           least(1, r.score + 1.6448536269514722 * r.standard_error),
           (coalesce(input_tokens, 750) * r.input_per_million
            + coalesce(output_tokens, coalesce(input_tokens, 750) / 3) * r.output_per_million) / 1000000,
           r.price, r.value, 'domain', likeliest.domain, likeliest.probability, likeliest.confident, r.items,
           CASE WHEN NOT r.one_reaches
                THEN format('no model reaches the minimum probability of %s: %s', minimum_probability,
                            CASE WHEN weight > 0 THEN 'ordered by score less weighed price'
                                 WHEN chosen.model_id = chosen.general_id THEN 'best general model'
                                 ELSE 'the expert' END)
                WHEN NOT r.expert_reaches
                THEN format('the model to ask, %s, does not reach the minimum probability of %s: the best '
                            'by score', (SELECT x.name FROM store.models x
                                          WHERE x.model_id = chosen.model_id), minimum_probability)
                WHEN weight = 0 AND NOT r.is_expert THEN NULL
                ELSE instead END,
           CASE WHEN r.is_expert THEN chosen.why END
      FROM ranked r
      JOIN store.models m ON m.model_id = r.model_id
     WHERE r.reaches OR NOT r.one_reaches
     ORDER BY NOT r.is_expert, r.value DESC, m.name COLLATE "C"
     LIMIT most;
END;
$$;

COMMENT ON FUNCTION registry.route_domain(vector, integer, double precision, text[], text, text, bigint, text, double precision, double precision, double precision, double precision, text, text) IS
    'The expert for the domain of a prompt, by its vector, then other models by their scores there. Prompts of no certain domain, or of the fallback, go to the best general model, and fallback says so. An error where the set is not there or not trained, the vector has not the dimensions of its encoder or not length 1, a name is unknown, or no model with scores passes the filters.
prompt_vector: vector of the prompt, by the encoder in domain_sets, of length 1 within 1%
k: most models to return; null is 1, less than 0 is 0
max_price: most dollars for a million tokens, three of input to one of output, at the cheapest present offer; models without a known price are left out; null for any price
pool: names of the models to choose from; null for all
license: licence of the models to choose from, as in models; null for all
family: any model of the family to choose from; null for all
max_parameters: most parameters; models of unknown size are left out; null for any size
provider: who must sell the model: its price there counts; null for all
cost_weight: what is subtracted from the probability for each dollar of the price; above 0, no expert comes first, and models without a known price are left out
minimum_probability: least probability: models below it are left out, the expert too, and fallback says so; where no model reaches it, none is left out, and fallback says so
input_tokens: tokens of the prompt, for expected_cost; null is 750, as a vector does not say how long its text is. A token is about 4.1 characters
output_tokens: tokens of the answer, likewise; null is a third of input_tokens. Replies to short questions and of reasoning models are longer
tier: most parameters as a size tier such as 8B, a twentieth more since names round; null for any size
domain_set: name of the set of domains
model: name of the model; the expert first
probability: expected outcome, in [0, 1]: its score in the domain, or over all domains where the domain is not certain
lower: lower end of its 90% interval, by the number of outcomes that it rests on
upper: upper end
expected_cost: dollars for that many tokens; null without a known price
price: dollars for a million tokens, three of input to one of output, at the cheapest offer; null where unknown
score: probability less cost_weight times price, by which models are ordered after the expert
router: the router that chose: domain
domain: the likeliest domain
domain_probability: that the prompt is of it
confident: whether that can be relied on, as in classify_prompt
outcomes: number of outcomes that the probability rests on
fallback: why the choice is the best general model, or, where prices weigh, not by scores in a certain domain, or what the minimum probability changed; null where it is the domain''s expert, or by scores there
why: why the expert was chosen among the models; null for the others

Example:
SELECT model, probability, domain, fallback, why
  FROM registry.route_domain(''[0.6, 0, -0.8]'', tier => ''8B'');';
