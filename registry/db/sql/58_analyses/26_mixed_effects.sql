-- mixed_effects: effects in mixed models of scores, fixed and random.
CREATE VIEW registry.mixed_effects AS
SELECT r.analysis_id, a.options ->> 'subject' AS subject,
       a.options ->> 'grouping' AS grouping, r.benchmark, r.version, r.position, r.kind,
       r.term, r.group_name, r.reference, r.n, r.groups, r.estimate, r.error, r.lower, r.upper,
       r.share, r.statistic, r.df, r.p, r.holm, r.plain_estimate, r.plain_error, r.plain_p
  FROM store.mixed_effects r
  JOIN store.analyses a USING (analysis_id)
 ORDER BY r.analysis_id DESC, r.benchmark, r.version, r.position;

COMMENT ON VIEW registry.mixed_effects IS
    'Effects in mixed models of scores, one row per analysis, benchmark and effect: differences of groups, change over time or models less their parents, with random effects such as family, beside the same where all models count as independent. Null where a number is not defined.

Example:
SELECT benchmark, group_name, reference, estimate, lower, upper, holm, plain_p
  FROM registry.mixed_effects
 WHERE analysis_id = (SELECT max(analysis_id) FROM registry.mixed_effects) AND kind = ''fixed'';';
COMMENT ON COLUMN registry.mixed_effects.analysis_id IS 'Number of the analysis.';
COMMENT ON COLUMN registry.mixed_effects.subject IS
    'Its fixed effect: groups, time, parents, or none for random effects alone.';
COMMENT ON COLUMN registry.mixed_effects.grouping IS
    'What models are grouped by, such as size; null where they are in no groups.';
COMMENT ON COLUMN registry.mixed_effects.benchmark IS 'Canonical name of the benchmark.';
COMMENT ON COLUMN registry.mixed_effects.version IS
    'Version of the benchmark; empty where no source states one.';
COMMENT ON COLUMN registry.mixed_effects.position IS 'Place of the effect in the model, from 0.';
COMMENT ON COLUMN registry.mixed_effects.kind IS
    'fixed; test, of all groups at once; or random, a variance.';
COMMENT ON COLUMN registry.mixed_effects.term IS
    'Of a fixed effect or a test what models are grouped by, time (per year), parent (models less their parents) or mean; of a random effect what models are grouped by, or residual.';
COMMENT ON COLUMN registry.mixed_effects.group_name IS
    'Group whose effect it is, or relation to the parent; null where there is none.';
COMMENT ON COLUMN registry.mixed_effects.reference IS
    'Group that it is compared with: the first of sizes and years, else the largest; null for models less their parents.';
COMMENT ON COLUMN registry.mixed_effects.n IS 'Number of scores, of the group where there is one.';
COMMENT ON COLUMN registry.mixed_effects.groups IS
    'Number of groups: of a random effect, or that are tested.';
COMMENT ON COLUMN registry.mixed_effects.estimate IS
    'Of a fixed effect the difference, change in a year or mean; of a random effect its standard deviation. In units of the score: a share, or raw where the measure has no bounds.';
COMMENT ON COLUMN registry.mixed_effects.error IS 'Standard error of a fixed effect.';
COMMENT ON COLUMN registry.mixed_effects.lower IS
    'Lower end of its interval, at the level of the analysis; not corrected for their number.';
COMMENT ON COLUMN registry.mixed_effects.upper IS 'Upper end of it.';
COMMENT ON COLUMN registry.mixed_effects.share IS
    'Share of the variance that a random effect has of what fixed effects leave, in [0, 1].';
COMMENT ON COLUMN registry.mixed_effects.statistic IS 't of a fixed effect; F of a test.';
COMMENT ON COLUMN registry.mixed_effects.df IS
    'Degrees of freedom (of the denominator), by Satterthwaite.';
COMMENT ON COLUMN registry.mixed_effects.p IS
    'p of no effect; of a random effect that its variance is 0, by the likelihood ratio. Here and in holm and plain_p, 0 is below what a double holds (1e-307).';
COMMENT ON COLUMN registry.mixed_effects.holm IS
    'p corrected for the number of effects of its kind in the analysis.';
COMMENT ON COLUMN registry.mixed_effects.plain_estimate IS
    'The fixed effect by least squares, as if all models were independent.';
COMMENT ON COLUMN registry.mixed_effects.plain_error IS 'Its standard error likewise.';
COMMENT ON COLUMN registry.mixed_effects.plain_p IS
    'Its p likewise, or that of the analysis of variance of the same scores: what p would be beside it.';
