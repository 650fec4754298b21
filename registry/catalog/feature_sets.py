"""Feature sets in the database, each shared by the models that have it."""

from collections.abc import Iterable, Mapping

from sqlalchemy import Connection, text

from registry.catalog.features import FeatureSet
from registry.db.copy import copy_lines


def add_features(
    connection: Connection,
    keys: Iterable[int],
    fingerprints: Iterable[str | None],
    vectors: Mapping[str, str],
) -> None:
    """Write the features of models that have none yet.

    Args:
        connection: in a transaction.
        keys: the models.
        fingerprints: of their feature sets, in the same order; None where nothing is known.
        vectors: by fingerprint.
    """
    sets = _set_ids(connection, vectors)
    copy_lines(
        connection,
        "store.model_features",
        ("model_id", "feature_set_id"),
        (
            f"{key}\t{sets[fingerprint]}"
            for key, fingerprint in zip(keys, fingerprints, strict=True)
            if fingerprint is not None
        ),
    )


def replace_features(connection: Connection, features: Mapping[int, FeatureSet | None]) -> int:
    """Write the features of models by key; None removes those of a model.

    Returns:
        How many models have other features than before.
    """
    if not features:
        return 0
    sets = _set_ids(
        connection, {each.fingerprint: each.vector for each in features.values() if each}
    )
    parameters = {
        "models": [key for key, each in features.items() if each is not None],
        "sets": [sets[each.fingerprint] for each in features.values() if each is not None],
        "none": [key for key, each in features.items() if each is None],
    }
    written = connection.execute(
        text("""
        INSERT INTO store.model_features AS f (model_id, feature_set_id)
        SELECT * FROM unnest(cast(:models AS bigint[]), cast(:sets AS bigint[]))
            ON CONFLICT (model_id) DO UPDATE SET feature_set_id = excluded.feature_set_id
         WHERE f.feature_set_id <> excluded.feature_set_id"""),
        parameters,
    ).rowcount
    lost = connection.execute(
        text("DELETE FROM store.model_features WHERE model_id = ANY (:none)"), parameters
    ).rowcount
    return written + lost


def _set_ids(connection: Connection, vectors: Mapping[str, str]) -> dict[str, int]:
    """Return the keys of feature sets by fingerprint; those that are new are written."""
    if not vectors:
        return {}
    # The array as text: the driver takes as long to write it as everything else together.
    rows = connection.execute(
        text("""
        SELECT encode(uuid_send(fingerprint), 'hex'), feature_set_id FROM store.feature_sets
         WHERE fingerprint = ANY (cast(:fingerprints AS uuid[]))"""),
        {"fingerprints": f"{{{','.join(vectors)}}}"},
    )
    keys = {fingerprint: int(key) for fingerprint, key in rows}
    new = [fingerprint for fingerprint in vectors if fingerprint not in keys]
    if not new:
        return keys
    new_keys = connection.scalar(
        text("""
        SELECT string_agg(nextval('store.feature_sets_feature_set_id_seq')::text, ',')
          FROM generate_series(1, :count)"""),
        {"count": len(new)},
    )
    assert new_keys is not None
    keyed = dict(zip(new, map(int, new_keys.split(",")), strict=True))
    copy_lines(
        connection,
        "store.feature_sets",
        ("feature_set_id", "fingerprint", "features"),
        (f"{key}\t{fingerprint}\t{vectors[fingerprint]}" for fingerprint, key in keyed.items()),
    )
    return keys | keyed


def delete_unused_sets(connection: Connection) -> int:
    """Delete the feature sets that no model has; return how many."""
    return connection.exec_driver_sql("""
        DELETE FROM store.feature_sets s
         WHERE NOT EXISTS (SELECT FROM store.model_features f
                            WHERE f.feature_set_id = s.feature_set_id)""").rowcount
