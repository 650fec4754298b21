-- preference(...): the order of runs where one has to count; the greatest is preferred. Among equals
-- the setup's fingerprint decides, so that models are told under the same one, then the run's key.
-- A commit (40 characters) tells no branch, and counts as the main revision:
-- lm-eval states it for every run of a model as it is.
CREATE FUNCTION store.preference(
    complete boolean, verified boolean, revision text, evaluated_at timestamptz,
    with_outcomes boolean, shots integer, items integer
)
RETURNS float8[]
LANGUAGE sql STABLE PARALLEL SAFE
RETURN ARRAY[
    complete::integer,
    verified::integer,
    CASE WHEN revision IS NULL OR revision = 'main' OR length(revision) = 40 THEN 'Infinity'
         ELSE coalesce(substring(
                  revision FROM '(?:step|checkpoint|ckpt|iter|epoch)\D?(\d{1,15})')::float8, -1)
    END,
    coalesce(date_part('epoch', evaluated_at), '-Infinity'),
    with_outcomes::integer,
    coalesce(-shots, '-Infinity'::float8),
    coalesce(items, 0)
];

COMMENT ON FUNCTION store.preference(
    boolean, boolean, text, timestamptz, boolean, integer, integer) IS
    'The order of runs where one has to count, the greatest first: complete before limited, verified before not, of the main revision (none, main or a commit) before others, of the checkpoint of the highest number, the newest, with outcomes, of the fewest shots, of the most items.';
