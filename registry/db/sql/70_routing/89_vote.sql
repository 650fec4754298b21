-- vote(answers, probabilities, choices, overlap): the answer that most models give, or with the most
-- weight; of equal ones, that of the likeliest model. Weights are log-odds of being right.
CREATE FUNCTION registry.vote(
    answers text[], probabilities double precision[], choices integer DEFAULT NULL,
    overlap double precision DEFAULT 1)
RETURNS TABLE (answer text, votes integer, support double precision,
               highest_probability double precision, wins boolean)
LANGUAGE plpgsql IMMUTABLE
AS $$
#variable_conflict use_column
DECLARE
    wrong double precision;
BEGIN
    IF cardinality(answers) IS DISTINCT FROM cardinality(probabilities) THEN
        RAISE invalid_parameter_value USING MESSAGE = format(
            'There are %s answers and %s probabilities: each answer needs that of its model',
            coalesce(cardinality(answers), 0), coalesce(cardinality(probabilities), 0));
    END IF;
    SELECT p INTO wrong FROM unnest(probabilities) AS p WHERE NOT p BETWEEN 0 AND 1 LIMIT 1;
    IF FOUND THEN
        RAISE invalid_parameter_value USING MESSAGE = format('A probability is from 0 to 1, not %s', wrong);
    END IF;
    IF choices < 2 OR NOT coalesce(overlap BETWEEN 0 AND 1, false) THEN
        RAISE invalid_parameter_value USING MESSAGE =
            'There are two possible answers or more (choices), and overlap is from 0 to 1';
    END IF;
    RETURN QUERY
    WITH given AS (
        SELECT btrim(a.answer, E' \t\n\r\f\v') AS answer, a.probability, a.place,
               CASE WHEN choices IS NULL THEN 1
                    ELSE ln(c.clipped / (1 - c.clipped)) + ln((choices - 1)::double precision) END AS weight
          FROM unnest(answers, probabilities) WITH ORDINALITY AS a (answer, probability, place)
         CROSS JOIN LATERAL (SELECT least(greatest(a.probability, 0.01), 0.99) AS clipped) AS c
         WHERE a.answer IS NOT NULL AND a.probability IS NOT NULL
           AND btrim(a.answer, E' \t\n\r\f\v') <> ''
    ), counted AS (
        SELECT g.answer, count(*)::integer AS votes,
               max(g.weight) + overlap * (sum(g.weight) - max(g.weight)) AS support,
               max(g.probability) AS highest,
               (array_agg(g.place ORDER BY g.probability DESC, g.place))[1] AS place
          FROM given AS g GROUP BY g.answer
    ), ranked AS (
        -- Sums of the same votes in another order may differ in the last digits.
        SELECT c.*, row_number() OVER (
                   ORDER BY c.support >= c.most - 1e-9 DESC, c.highest DESC, c.place) AS rank
          FROM (SELECT d.*, max(d.support) OVER () AS most FROM counted AS d) AS c
    )
    SELECT r.answer, r.votes, r.support, r.highest, r.rank = 1
      FROM ranked AS r ORDER BY r.rank = 1 DESC, r.support DESC, r.highest DESC, r.place;
END;
$$;

COMMENT ON FUNCTION registry.vote(text[], double precision[], integer, double precision) IS
    'The answers of several models to one prompt, counted: the winner first. Each model has one vote, or where choices is given one of weight ln(p / (1 - p)) + ln(choices - 1), its log-odds (Nitzan and Paroush 1982), p within [0.01, 0.99]. Of answers with equal support, that of the likeliest model wins. Answers are compared as texts, so they are to be letters, numbers or the like. Nothing where no model gave an answer. An error for arrays of different lengths, and values out of range.
answers: of the models, one each; null or blank is no answer
probabilities: that each model is right, in the same order, such as those of route_best; null is no vote
choices: number of possible answers, 2 or more, for weighted votes; null counts each vote alike
overlap: share of further votes for an answer that counts beside the heaviest, from 0 to 1: models err alike, so that a second vote says less than the first (0.1 to 0.3 on MMLU-Pro); 1 is plain voting
answer: one of the answers, without blanks around it
votes: models that gave it
support: sum of their weights, as overlap has it
highest_probability: of the models that gave it
wins: whether it is the answer of the vote

Example:
SELECT answer, votes
  FROM registry.vote(ARRAY[''B'', ''C'', ''B''], ARRAY[0.7, 0.6, 0.5]) WHERE wins;';
