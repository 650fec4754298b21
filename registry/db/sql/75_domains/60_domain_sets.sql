-- domain_sets: the sets of domains, and how accurate the classifier of each is.
CREATE VIEW registry.domain_sets AS
SELECT s.name AS domain_set, s.description, s.source = 'registry' AS shipped,
       (SELECT count(*) FROM store.domains d WHERE d.set_id = s.set_id) AS domains,
       c.encoder, c.dimension, c.trained_at, c.item_count AS items,
       (c.metrics #>> '{by_vector,accuracy}')::double precision AS accuracy,
       (c.metrics #>> '{by_vector,calibration_error}')::double precision AS calibration_error,
       (c.metrics #>> '{by_vector,confidence_auc}')::double precision AS confidence_auc,
       (c.metrics #>> '{by_text,accuracy}')::double precision AS accuracy_with_words,
       c.least_probability, c.least_energy, c.metrics, c.settings
  FROM store.domain_sets s
  LEFT JOIN store.domain_classifiers c ON c.set_id = s.set_id;

COMMENT ON VIEW registry.domain_sets IS
    'Sets of domains of prompts, and how well the classifier of each tells its domains apart on items that its training left out.

Example:
SELECT domain_set, domains, items, accuracy FROM registry.domain_sets;';
COMMENT ON COLUMN registry.domain_sets.domain_set IS 'Name of the set.';
COMMENT ON COLUMN registry.domain_sets.description IS 'Description of the set.';
COMMENT ON COLUMN registry.domain_sets.shipped IS 'Whether it is one that ships with the registry, unchanged.';
COMMENT ON COLUMN registry.domain_sets.domains IS 'Number of its domains.';
COMMENT ON COLUMN registry.domain_sets.encoder IS 'Encoder of prompts that its classifier reads vectors of; null where it is not trained.';
COMMENT ON COLUMN registry.domain_sets.dimension IS 'Dimension of those vectors.';
COMMENT ON COLUMN registry.domain_sets.trained_at IS 'When the classifier was trained (UTC).';
COMMENT ON COLUMN registry.domain_sets.items IS 'Number of items that it was trained on.';
COMMENT ON COLUMN registry.domain_sets.accuracy IS 'Share of items left out whose domain is the likeliest, by the vector alone.';
COMMENT ON COLUMN registry.domain_sets.calibration_error IS 'Mean difference between probability of the likeliest domain and share of right ones, over 15 bins of equal mass, in [0, 1].';
COMMENT ON COLUMN registry.domain_sets.confidence_auc IS 'Probability that a right domain is given with a higher probability than a wrong one; null where all are right.';
COMMENT ON COLUMN registry.domain_sets.accuracy_with_words IS 'Share of items left out whose domain is the likeliest, by vector and words; null where the texts are not known.';
COMMENT ON COLUMN registry.domain_sets.least_probability IS 'Probability of the likeliest domain below which a prompt goes to the best general model.';
COMMENT ON COLUMN registry.domain_sets.least_energy IS 'Energy below which a prompt is like none of the training, and goes to the best general model: that of the hundredth of its items that are least like the others.';
COMMENT ON COLUMN registry.domain_sets.metrics IS 'All figures on items left out, as JSON: by_vector, by_text, and accuracy of each domain under by_domain; left_out, the numbers of items that could not be trained on.';
COMMENT ON COLUMN registry.domain_sets.settings IS 'How it was trained, as JSON.';
