-- embedding_versions: one row per version of embeddings, with how it was trained.
CREATE VIEW registry.embedding_versions AS
SELECT version_id AS version, method, state = 'current' AS current, created_at, metrics, state,
       reason, dimension, serving_dimension, model_count AS models, item_count AS items,
       outcome_count AS outcomes, encoder, promoted_at, churn,
       aligned_to, alignment_residual, settings, trials, data_fingerprint, code_version, device,
       seed, seconds, placed_at, likeness,
       (metrics #>> '{intervals,coverage}')::double precision BETWEEN 0.85 AND 0.95
           AND (metrics #>> '{intervals,calibration_error}')::double precision <= 0.05 AS calibrated
  FROM store.embedding_versions;

COMMENT ON VIEW registry.embedding_versions IS
    'Versions of learned embeddings: how each was trained, how well it predicts, and which one is current. At most one is.

Example:
SELECT version, method, models, metrics -> ''held_out'' ->> ''log_loss'' AS log_loss
  FROM registry.embedding_versions
 WHERE current;';
COMMENT ON COLUMN registry.embedding_versions.version IS 'Number of the version; a newer one has a higher number.';
COMMENT ON COLUMN registry.embedding_versions.method IS 'Training method.';
COMMENT ON COLUMN registry.embedding_versions.current IS 'True for the one version that embeddings, nearest_models and route use.';
COMMENT ON COLUMN registry.embedding_versions.created_at IS 'When it was stored (UTC).';
COMMENT ON COLUMN registry.embedding_versions.metrics IS 'Metrics on held-out outcomes, as JSON; log losses are in nats, shares in [0, 1]: held_out of the stored vectors, by_benchmark likewise, intervals of 90% intervals and probabilities, under the name of the method those of its own predictions, baseline of items'' means; mixing, the share of nearest neighbours that took the same exam, beside chance and the catalog; coverage, the numbers of models, items and benchmarks.';
COMMENT ON COLUMN registry.embedding_versions.state IS 'candidate (not judged yet), current, retired (was current before) or refused (when it was judged, or by a rollback from it).';
COMMENT ON COLUMN registry.embedding_versions.reason IS 'Why it was promoted, refused or rolled back; null where no reason was given.';
COMMENT ON COLUMN registry.embedding_versions.dimension IS 'Dimension of its vectors.';
COMMENT ON COLUMN registry.embedding_versions.serving_dimension IS 'Dimension of its serving vectors, one more than that of a prompt''s vector; null where it cannot route.';
COMMENT ON COLUMN registry.embedding_versions.models IS 'Number of models that it was trained on.';
COMMENT ON COLUMN registry.embedding_versions.items IS 'Number of items that it was trained on.';
COMMENT ON COLUMN registry.embedding_versions.outcomes IS 'Number of outcomes that it was trained on.';
COMMENT ON COLUMN registry.embedding_versions.encoder IS 'Encoder that makes the vectors of prompts for route; null where none was used.';
COMMENT ON COLUMN registry.embedding_versions.promoted_at IS 'When it was last promoted (UTC); null if never. A rollback to it is no promotion.';
COMMENT ON COLUMN registry.embedding_versions.churn IS 'Share, in [0, 1], of models'' ten nearest neighbours in the version before that are not among the ten in this one, when it was judged. A version that predicts better beyond noise is promoted whatever it is.';
COMMENT ON COLUMN registry.embedding_versions.aligned_to IS 'Version that its vectors were rotated onto, so that coordinates are comparable, those of fewer dimensions padded with zeros; null where they were not, as without a model in common.';
COMMENT ON COLUMN registry.embedding_versions.alignment_residual IS 'Norm of the difference after the rotation, relative to the norm of the older vectors: 0 if they differ by a rotation only; about 1.4 for unrelated ones.';
COMMENT ON COLUMN registry.embedding_versions.settings IS 'Settings of the training, as JSON.';
COMMENT ON COLUMN registry.embedding_versions.trials IS 'Settings that were tried, with their metrics, as a JSON array.';
COMMENT ON COLUMN registry.embedding_versions.data_fingerprint IS 'Fingerprint of the outcomes that it was trained on.';
COMMENT ON COLUMN registry.embedding_versions.code_version IS 'Version of the code that trained it.';
COMMENT ON COLUMN registry.embedding_versions.device IS 'Device that it was trained on, such as cpu.';
COMMENT ON COLUMN registry.embedding_versions.seed IS 'Seed of its random numbers.';
COMMENT ON COLUMN registry.embedding_versions.seconds IS 'Duration of the training in seconds.';
COMMENT ON COLUMN registry.embedding_versions.placed_at IS 'When other models were last placed in it (UTC); null if never.';
COMMENT ON COLUMN registry.embedding_versions.likeness IS 'Weights of the parts of models'' similarity by which they were placed, as JSON: parts of names, authors, sizes, families, lineage, dates, tags; null before.';
COMMENT ON COLUMN registry.embedding_versions.calibrated IS 'Whether its intervals hold: on held-out outcomes, 90% intervals hold 85 to 95% of models'' mean outcomes on the items of a benchmark, and probabilities of single outcomes have a calibration error of at most 0.05 (metrics, intervals). Null where that was not measured: a method without uncertainties, too few held-out outcomes, or a version of before.';
