-- models: one row per model, stubs (known by name only) included.
CREATE VIEW registry.models AS
SELECT m.name,
       m.author,
       m.state,
       m.license,
       m.parameters,
       m.pipeline_tag,
       m.library,
       c.downloads,
       c.likes,
       m.created_at,
       m.last_modified,
       f.family_id   AS family,
       root.name     AS family_root,
       f.generation,
       c.downloads_all_time,
       c.trending_score,
       m.parameters_source,
       m.dtypes,
       m.quantization,
       store.architecture_family(m.model_type, m.architectures) AS architecture,
       m.model_type,
       m.architectures,
       m.languages,
       m.datasets,
       m.arxiv,
       m.tags,
       m.gated,
       m.sha,
       m.license_name,
       m.license_link,
       m.new_version,
       m.unread      AS unread_fields,
       m.first_seen,
       m.changed_at,
       m.gone_at,
       d.card,
       d.config,
       m.license_source,
       m.stored_parameters,
       CASE WHEN starts_with(m.license_name, m.license || '; ')
            THEN registry.license_class(m.license_name)
            WHEN m.license = 'other'
            THEN coalesce(nullif(registry.license_class(m.license_name), 'unknown'), 'custom')
            ELSE registry.license_class(m.license) END AS license_class,
       store.is_inherited_size(m.parameters_source) AS parameters_inherited
  FROM store.models m
  LEFT JOIN store.counters c ON c.model_id = m.model_id
  LEFT JOIN store.model_families f ON f.model_id = m.model_id
  LEFT JOIN store.models root ON root.model_id = f.family_id
  LEFT JOIN store.documents d ON d.model_id = m.model_id;

COMMENT ON VIEW registry.models IS
    'One row per model, including stubs and those that are gone; filter on state where that matters.

Example:
SELECT name, license, parameters, downloads
  FROM registry.models
 WHERE pipeline_tag = ''text-generation'' AND license = ''apache-2.0'' AND parameters < 8e9
   AND NOT parameters_inherited
 ORDER BY downloads DESC NULLS LAST
 LIMIT 10;';
COMMENT ON COLUMN registry.models.name IS 'The Hub''s org/name, as it is now; unique. A model whose name another repository has taken is named old/name@key until a listing shows it again.';
COMMENT ON COLUMN registry.models.author IS 'Organisation or user who owns the repository: the part of the name before the slash.';
COMMENT ON COLUMN registry.models.state IS
    'available, gated (access has to be requested), private, disabled (by the Hub), gone (no longer listed) or stub (known by name only, as a parent or from an evaluation).';
COMMENT ON COLUMN registry.models.license IS
    'Licence that the card or a tag states, by the Hub''s identifier in lower case, such as apache-2.0; other where license_name says which; the first that a card lists, where license_name has all; else what a source of evaluations states, if license_source names one; null where none is stated.';
COMMENT ON COLUMN registry.models.parameters IS 'Number of weights, such as 7241732096, packed ones unpacked; parameters_source says how it is known, stored_parameters how many numbers hold them.';
COMMENT ON COLUMN registry.models.pipeline_tag IS 'Task, as the Hub names it, such as text-generation.';
COMMENT ON COLUMN registry.models.library IS 'Library that loads it, such as transformers or diffusers.';
COMMENT ON COLUMN registry.models.downloads IS 'Downloads of the last 30 days.';
COMMENT ON COLUMN registry.models.likes IS 'Number of likes.';
COMMENT ON COLUMN registry.models.created_at IS 'Creation on the Hub (UTC); repositories older than that read 2022-03-02. Null for a stub.';
COMMENT ON COLUMN registry.models.last_modified IS 'Last commit on the Hub (UTC); null for a stub.';
COMMENT ON COLUMN registry.models.family IS
    'Key of the family: all models with one root by way of their first parents. Compare keys, but store family_root: keys differ between databases.';
COMMENT ON COLUMN registry.models.family_root IS 'Name of the model that the family descends from.';
COMMENT ON COLUMN registry.models.generation IS 'Steps from the family''s root, along first parents; 0 for the root itself.';
COMMENT ON COLUMN registry.models.downloads_all_time IS 'Downloads since creation, where the Hub states them.';
COMMENT ON COLUMN registry.models.trending_score IS 'The Hub''s trending score; higher is more popular at present.';
COMMENT ON COLUMN registry.models.parameters_source IS
    'Where parameters comes from, in order of rank: safetensors or gguf (headers of files), packed (headers, times the weights that a number of a GPTQ, AWQ, MLX or bitsandbytes file holds; the parent''s number where that is about as many), leaderboard:NAME (a source of evaluations, see model_facts), name (such as 7B: approximate), parent (the model that it was finetuned or quantized from), siblings (the median of that model''s other children). The last two are inherited.';
COMMENT ON COLUMN registry.models.dtypes IS 'Number of weights by data type, as JSON, such as {"BF16": 7241732096}.';
COMMENT ON COLUMN registry.models.quantization IS 'Form that the weights are quantized to, such as gguf, gptq-4bit, awq-4bit or fp8; null where none is known. The tag gguf is also given where there are full weights beside the quantized ones.';
COMMENT ON COLUMN registry.models.architecture IS
    'Architecture family: the model type without its version, such as qwen for qwen2 and qwen2_moe; without a model type, that of the first architecture class.';
COMMENT ON COLUMN registry.models.model_type IS 'Model type of config.json, such as qwen2.';
COMMENT ON COLUMN registry.models.architectures IS 'Architecture classes of config.json, such as {LlamaForCausalLM}.';
COMMENT ON COLUMN registry.models.languages IS 'Languages that the card states, as it spells them: mostly codes such as en.';
COMMENT ON COLUMN registry.models.datasets IS 'Data sets that it was trained on, by card or tags.';
COMMENT ON COLUMN registry.models.arxiv IS 'arXiv identifiers of papers, without version.';
COMMENT ON COLUMN registry.models.tags IS 'Tags as the Hub lists them; select with tags @> ARRAY[''gguf''].';
COMMENT ON COLUMN registry.models.gated IS 'auto or manual where access has to be requested, else null.';
COMMENT ON COLUMN registry.models.sha IS 'Commit of the main branch when the registry last read the record.';
COMMENT ON COLUMN registry.models.license_name IS 'Name of the licence, where license is other; where a card lists several licences, all of them, separated by semicolons.';
COMMENT ON COLUMN registry.models.license_link IS 'Where that licence can be read.';
COMMENT ON COLUMN registry.models.new_version IS 'Name of the successor that the card states, as it spells it.';
COMMENT ON COLUMN registry.models.unread_fields IS 'Fields of the Hub''s record that could not be read.';
COMMENT ON COLUMN registry.models.first_seen IS 'When the registry first recorded the model (UTC).';
COMMENT ON COLUMN registry.models.changed_at IS 'When the registry last found its record changed, counters apart (UTC).';
COMMENT ON COLUMN registry.models.gone_at IS 'When a full sweep found it gone (UTC), else null.';
COMMENT ON COLUMN registry.models.card IS 'Front matter of the model card (its YAML head), as JSON.';
COMMENT ON COLUMN registry.models.config IS 'What the Hub keeps of config.json, as JSON.';
COMMENT ON COLUMN registry.models.license_source IS 'The source of evaluations that states the licence, as leaderboard:NAME; null where the Hub does.';
COMMENT ON COLUMN registry.models.stored_parameters IS 'Numbers that the files'' headers count: fewer than parameters where weights are packed; null where no header is known.';
COMMENT ON COLUMN registry.models.license_class IS 'What the licence asks, as license_class gives it: permissive, weak copyleft, copyleft, non-commercial, custom or unknown; of license_name where license is other; of several licences, the class of the one that asks most.';
COMMENT ON COLUMN registry.models.parameters_inherited IS 'True where the size is only that of relatives (parent, siblings), which may be another: parents are stated wrongly at times. Limits of sizes in searches, boards and nearest models leave such models out; in conditions, write parameters < 8e9 AND NOT parameters_inherited.';
