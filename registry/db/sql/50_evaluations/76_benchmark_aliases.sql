-- benchmark_aliases: the names of benchmarks besides their canonical ones.
CREATE VIEW registry.benchmark_aliases AS
SELECT benchmark, alias, variant, source, confidence FROM store.benchmark_aliases;

COMMENT ON VIEW registry.benchmark_aliases IS
    'Names of benchmarks besides their canonical ones: those of the field that the registry ships, and those that a person added. Case, hyphens, underscores and spaces do not count. Benchmarks that differ in items or scale, such as subsets, versions and translations, have canonical names of their own.

Example:
SELECT alias, variant FROM registry.benchmark_aliases WHERE benchmark = ''mmlu_pro'';';
COMMENT ON COLUMN registry.benchmark_aliases.benchmark IS
    'Canonical name, as in column canonical of views benchmarks, runs, scores and leaderboard.';
COMMENT ON COLUMN registry.benchmark_aliases.alias IS
    'Another name for it.';
COMMENT ON COLUMN registry.benchmark_aliases.variant IS
    'Way of prompting that the alias stands for, such as cot; null for the plain one.';
COMMENT ON COLUMN registry.benchmark_aliases.source IS
    'registry (shipped) or user (added by a person).';
COMMENT ON COLUMN registry.benchmark_aliases.confidence IS
    'Confidence in the alias, in (0, 1]: below 1 where some sources use it for something else too.';
