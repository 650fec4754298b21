"""Refresh of vectors at the end of a sync or an import of evaluations."""

from importlib.util import find_spec

from sqlalchemy import Engine

from registry.embeddings import pending
from registry.embeddings.versions import current_version
from registry.errors import RegistryError


def refresh_vectors(engine: Engine) -> str | None:
    """Place pending models in the current version, where the extra `train` is installed.

    Errors are returned, not raised: what was synced or imported is stored all the same.

    Args:
        engine: of a database at head.

    Returns:
        A sentence for people; None where no model is pending.
    """
    with engine.connect() as connection:
        keys = pending.pending_models(connection, current_version(connection))
    if not keys:
        return None
    if find_spec("scipy") is None:
        return f"{len(keys):,} models wait for vectors: pip install 'llm-registry[train]'"
    # Loads numpy and scipy, which most syncs do not need.
    from registry.embeddings import placement  # noqa: PLC0415

    try:
        report = placement.place_pending(engine)
    except RegistryError as error:
        return f"{len(keys):,} models wait for vectors: {error}"
    return None if report is None else report.sentence()
