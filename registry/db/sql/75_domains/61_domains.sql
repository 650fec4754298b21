-- domains: one row per domain of a set.
CREATE VIEW registry.domains AS
SELECT s.name AS domain_set, d.name AS domain, d.fallback,
       ARRAY(SELECT DISTINCT coalesce(nullif(j.benchmark, ''), '*')
               FROM store.domain_subjects j
              WHERE j.set_id = d.set_id AND j.domain = d.domain ORDER BY 1) AS benchmarks,
       ARRAY(SELECT coalesce(nullif(j.benchmark, ''), '*')
                    || CASE WHEN j.subject <> '' THEN ': ' || j.subject ELSE '' END
               FROM store.domain_subjects j
              WHERE j.set_id = d.set_id AND j.domain = d.domain ORDER BY 1) AS subjects,
       (c.metrics #>> ARRAY['by_domain', d.name, 'items'])::integer AS items,
       (c.metrics #>> ARRAY['by_domain', d.name, 'accuracy'])::double precision AS accuracy,
       (SELECT count(*) FROM store.domain_scores x
         WHERE x.set_id = d.set_id AND x.domain = d.domain) AS models
  FROM store.domains d
  JOIN store.domain_sets s ON s.set_id = d.set_id
  LEFT JOIN store.domain_classifiers c ON c.set_id = d.set_id;

COMMENT ON VIEW registry.domains IS
    'Domains of prompts: which subjects of which benchmarks are of each, and how often its prompts are recognised.

Example:
SELECT domain, items, accuracy, models FROM registry.domains WHERE domain_set = ''modem'';';
COMMENT ON COLUMN registry.domains.domain_set IS 'Name of the set that it is of.';
COMMENT ON COLUMN registry.domains.domain IS 'Name of the domain.';
COMMENT ON COLUMN registry.domains.fallback IS 'Whether it is the domain of prompts that are of no other, which go to the best general model.';
COMMENT ON COLUMN registry.domains.benchmarks IS 'Benchmarks that have items of it, by canonical name; * is any benchmark.';
COMMENT ON COLUMN registry.domains.subjects IS 'What is of it: a benchmark and a subject, as mmlu: anatomy, or all of a benchmark that no other row names.';
COMMENT ON COLUMN registry.domains.items IS 'Number of items that the classifier was trained on; null where it is not trained.';
COMMENT ON COLUMN registry.domains.accuracy IS 'Share of its items left out that were classified as of it, by the vector alone.';
COMMENT ON COLUMN registry.domains.models IS 'Number of models with a score in it.';
