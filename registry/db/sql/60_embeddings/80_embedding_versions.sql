-- embedding_versions: one row per training that was kept, with how it was made.
CREATE VIEW registry.embedding_versions AS
SELECT version_id AS version, method, state = 'current' AS current, created_at, metrics, state,
       reason, dimension, serving_dimension, model_count AS models, item_count AS items,
       outcome_count AS outcomes, encoder, promoted_at, churn,
       aligned_to, alignment_residual, settings, trials, data_fingerprint, code_version, device,
       seed, seconds, placed_at, likeness
  FROM store.embedding_versions;

COMMENT ON VIEW registry.embedding_versions IS
    'Versions of learned embeddings: how each was trained, how well it predicts, and which one is current. One at most is.

Example:
SELECT version, method, models, metrics -> ''held_out'' ->> ''log_loss'' AS log_loss
  FROM registry.embedding_versions
 WHERE current;';
COMMENT ON COLUMN registry.embedding_versions.version IS 'Number of the version; a newer one has a higher number.';
COMMENT ON COLUMN registry.embedding_versions.method IS 'How it was trained.';
COMMENT ON COLUMN registry.embedding_versions.current IS 'True for the one version that embeddings, nearest_models and route use.';
COMMENT ON COLUMN registry.embedding_versions.created_at IS 'When it was kept (UTC).';
COMMENT ON COLUMN registry.embedding_versions.metrics IS 'Figures on held-out outcomes, by split, as JSON; log losses are in nats, shares in [0, 1].';
COMMENT ON COLUMN registry.embedding_versions.state IS 'candidate (not judged yet), current, retired (was current once) or refused (when it was judged, or since by going back from it).';
COMMENT ON COLUMN registry.embedding_versions.reason IS 'Why it was promoted, refused or rolled back from; null where nobody said.';
COMMENT ON COLUMN registry.embedding_versions.dimension IS 'Dimensions of its vectors.';
COMMENT ON COLUMN registry.embedding_versions.serving_dimension IS 'Dimensions of its serving vectors, one more than a prompt''s vector has; null where it cannot route.';
COMMENT ON COLUMN registry.embedding_versions.models IS 'Number of models that it was kept with.';
COMMENT ON COLUMN registry.embedding_versions.items IS 'Number of items that it was trained on.';
COMMENT ON COLUMN registry.embedding_versions.outcomes IS 'Number of outcomes that it was trained on.';
COMMENT ON COLUMN registry.embedding_versions.encoder IS 'Encoder that makes the vectors of prompts for route; null where none was used.';
COMMENT ON COLUMN registry.embedding_versions.promoted_at IS 'When it was last promoted (UTC); null if never. Going back to it is no promotion.';
COMMENT ON COLUMN registry.embedding_versions.churn IS 'Share, in [0, 1], of models'' ten nearest neighbours in the version before that were others in this one, when it was judged.';
COMMENT ON COLUMN registry.embedding_versions.aligned_to IS 'Version that its vectors were rotated onto, so that coordinates compare; null where they were not, as for other dimensions.';
COMMENT ON COLUMN registry.embedding_versions.alignment_residual IS 'Norm of what the rotation leaves apart, relative to the older vectors'' norm: 0 if they differ by a rotation only.';
COMMENT ON COLUMN registry.embedding_versions.settings IS 'Settings of the training, as JSON.';
COMMENT ON COLUMN registry.embedding_versions.trials IS 'What a search for settings tried and found, as a JSON array.';
COMMENT ON COLUMN registry.embedding_versions.data_fingerprint IS 'Fingerprint of the outcomes that it was trained on.';
COMMENT ON COLUMN registry.embedding_versions.code_version IS 'Version of the code that trained it.';
COMMENT ON COLUMN registry.embedding_versions.device IS 'What it was trained on, such as cpu.';
COMMENT ON COLUMN registry.embedding_versions.seed IS 'Seed of its random numbers.';
COMMENT ON COLUMN registry.embedding_versions.seconds IS 'Seconds that the training took.';
COMMENT ON COLUMN registry.embedding_versions.placed_at IS 'When models that it was not trained on last got vectors in it (UTC); null if never.';
COMMENT ON COLUMN registry.embedding_versions.likeness IS 'Weights of what makes models alike, by which those got them, as JSON: parts of names, authors, sizes, families, lineage, dates, tags; null before.';
