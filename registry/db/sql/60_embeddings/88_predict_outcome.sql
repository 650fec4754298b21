-- predict_outcome(model, item): the probability that a model answers an item well, by a version's
-- vectors of both, and its interval. `registry.prediction.outcomes` does the same for many.
CREATE FUNCTION registry.predict_outcome(model text, item text, version integer DEFAULT NULL)
RETURNS TABLE (name text, benchmark text, of_item text, probability double precision,
               lower double precision, upper double precision, logit double precision,
               deviation double precision, kind text, of_version integer, basis text,
               calibrated boolean)
LANGUAGE plpgsql STABLE
SET jit = off
SET search_path FROM CURRENT  -- where pgvector is, whatever the caller's path
AS $$
#variable_conflict use_column
DECLARE
    id CONSTANT bigint := registry.model_id(predict_outcome.model);
    used record;
    own record;
    asked record;
    dimension integer;
    rests_on text := 'outcomes';
    mean double precision;
    spread double precision;
BEGIN
    IF predict_outcome.model IS NULL OR predict_outcome.item IS NULL THEN
        RETURN;
    END IF;
    SELECT v.version_id AS number, v.item_variance, v.text_map IS NOT NULL AS has_texts, v.encoder,
           e.calibrated,
           (v.metrics #>> '{intervals,text_calibration_error}')::double precision AS text_error
      INTO used
      FROM store.embedding_versions AS v
      JOIN registry.embedding_versions AS e ON e.version = v.version_id
     WHERE CASE WHEN predict_outcome.version IS NULL THEN v.state = 'current'
                ELSE v.version_id = predict_outcome.version END;
    IF NOT FOUND THEN
        RAISE no_data_found USING MESSAGE = CASE WHEN predict_outcome.version IS NULL
            THEN 'There are no embeddings yet: no version is current; `registry train` learns one'
            ELSE format('There is no version %s of embeddings', predict_outcome.version) END;
    END IF;
    IF id IS NULL THEN
        RAISE no_data_found USING MESSAGE =
            format('No model named %L is in the registry', predict_outcome.model);
    END IF;
    SELECT m.name, e.vector, e.uncertainty, e.kind, e.variances INTO own
      FROM store.embeddings AS e JOIN store.models AS m ON m.model_id = e.model_id
     WHERE e.version_id = used.number AND e.model_id = id;
    IF NOT FOUND THEN
        RAISE no_data_found USING MESSAGE = format(
            'Model %L has no vector in version %s of the embeddings; vector_states says why',
            predict_outcome.model, used.number);
    END IF;
    dimension := vector_dims(own.vector);
    SELECT count(*) AS items, min(b.name) AS benchmark, min(i.item) AS item,
           string_agg(concat_ws('@', b.name, nullif(b.version, '')), ', '
                      ORDER BY b.name, b.version) AS found,
           (array_agg(v.vector))[1] AS vector
      INTO asked
      FROM store.named_items(ARRAY[predict_outcome.item]) AS n
      JOIN store.item_embeddings AS v
        ON v.version_id = used.number AND v.benchmark_id = n.benchmark_id AND v.ordinal = n.ordinal
       AND vector_dims(v.vector) = dimension + 1
      JOIN store.items AS i ON i.benchmark_id = n.benchmark_id AND i.ordinal = n.ordinal
      JOIN store.benchmarks AS b ON b.benchmark_id = n.benchmark_id;
    IF asked.items = 0 AND used.has_texts THEN
        rests_on := 'text';
        SELECT count(*) AS items, min(b.name) AS benchmark, min(i.item) AS item,
               string_agg(concat_ws('@', b.name, nullif(b.version, '')), ', '
                          ORDER BY b.name, b.version) AS found,
               (SELECT store.item_of_text(v.text_map, (array_agg(t.vector))[1]::vector)
                  FROM store.embedding_versions AS v WHERE v.version_id = used.number) AS vector
          INTO asked
          FROM store.named_items(ARRAY[predict_outcome.item]) AS n
          JOIN store.items AS i ON i.benchmark_id = n.benchmark_id AND i.ordinal = n.ordinal
          JOIN store.benchmarks AS b ON b.benchmark_id = n.benchmark_id
          JOIN store.encoders AS c ON c.name = used.encoder
          JOIN store.text_vectors AS t
            ON t.encoder_id = c.encoder_id AND t.content_hash = i.content_hash;
    END IF;
    IF asked.items = 0 THEN
        RAISE no_data_found USING MESSAGE = format(
            'No item named %L has a vector in version %s of the embeddings; an item is named as '
            'benchmark:item or benchmark@version:item, and `registry train` learns vectors of items '
            'with outcomes', predict_outcome.item, used.number);
    END IF;
    IF asked.items > 1 THEN
        RAISE cardinality_violation USING MESSAGE = format(
            'Item %L is in several benchmarks: %s; name one of them as benchmark@version:item',
            predict_outcome.item, asked.found);
    END IF;
    mean := -((own.vector || '[1]'::vector) <#> asked.vector);
    IF own.variances IS NULL THEN
        spread := own.uncertainty * vector_norm(subvector(asked.vector, 1, dimension));
    ELSE
        -- What is large of a version is read where it is needed.
        SELECT store.logit_variance(v.axes, own.variances, subvector(asked.vector, 1, dimension))
               + CASE rests_on WHEN 'outcomes' THEN v.item_variance ELSE (
                     SELECT sum((r.row <#> (own.vector || '[1]'::vector)) ^ 2)
                       FROM unnest(v.text_residual) AS r (row))
                   - (v.text_spread <#> own.variances::vector) END
          INTO spread
          FROM store.embedding_versions AS v WHERE v.version_id = used.number;
        spread := sqrt(spread);
    END IF;
    RETURN QUERY
    SELECT own.name, asked.benchmark, asked.item,
           store.logistic(mean / sqrt(1 + pi() / 8 * coalesce(spread, 0) ^ 2)),
           store.logistic(mean - 1.6448536269514722 * spread),
           store.logistic(mean + 1.6448536269514722 * spread),
           mean, spread, own.kind, used.number, rests_on,
           own.variances IS NOT NULL AND coalesce(used.calibrated, false)
               AND (rests_on = 'outcomes' OR coalesce(used.text_error <= 0.05, false));
END;
$$;

COMMENT ON FUNCTION registry.predict_outcome(text, text, integer) IS
    'The probability that a model answers an item well, by the vectors of a version, in one row: logit = p.v + c, of the model''s vector p and the item''s [v, c]. The variance of the logit is that of p along v, by the model''s variances along the axes of the version, and one of the item''s own, learned on held-out outcomes. An item that has the vector of a text and no outcomes gets [v, c] from its text, whose error counts as well. A version that was stored before variances were kept has one standard deviation for all coordinates of a model, which makes intervals that are too narrow for scores: calibrated is false then. An error where no version is current, the model or the item is unknown or has no vector in it, or the name stands for items of several benchmarks.
model: any name of the model
item: name of the item, as benchmark:item or benchmark@version:item, of any name of the benchmark
version: number of the version, as in embedding_versions; null for the current one
name: present name of the model
benchmark: name of the benchmark as stored
of_item: name of the item in the benchmark
probability: expected outcome, in [0, 1]: 1 / (1 + exp(-logit / sqrt(1 + pi / 8 x deviation^2))), the probit approximation of the mean over the uncertainty; without one, that of the logit itself
lower: lower end of the 90% interval of the probability; null where the method gives no uncertainty
upper: its upper end
logit: p.v + c
deviation: standard deviation of the logit; null where the method gives no uncertainty
kind: kind of the model''s vector, as in embeddings
of_version: number of the version used
basis: what the item''s vector rests on: outcomes, or text (predicted from it, as the item has no outcomes in the version)
calibrated: true where variances are kept and the version''s intervals hold on held-out outcomes, as in embedding_versions, for basis text on items that were left out of the regression too; false where they do not, or were not measured

Example:
SELECT m.model, p.probability, p.lower, p.upper
  FROM (SELECT model FROM registry.embeddings WHERE kind = ''trained'' ORDER BY model LIMIT 5) AS m
  CROSS JOIN LATERAL registry.predict_outcome(m.model, ''gsm8k:0'') AS p
 ORDER BY p.probability DESC;';
