"""What a sync and an import of evaluations end with: vectors of the models that they brought."""

from importlib.util import find_spec

from sqlalchemy import Engine

from registry.embeddings import pending
from registry.embeddings.versions import current_version
from registry.errors import RegistryError


def refresh_vectors(engine: Engine) -> str | None:
    """Give models that came vectors of the current version, where that is installed.

    What goes wrong is told and raised no further: what was taken in before is in.

    Args:
        engine: of a database at head.

    Returns:
        A sentence for people; None where nobody came.
    """
    with engine.connect() as connection:
        came = pending.pending_models(connection, current_version(connection))
    if not came:
        return None
    if find_spec("scipy") is None:
        return f"{len(came):,} models wait for vectors: pip install 'llm-registry[train]'"
    # Loads numpy and scipy, for which most syncs have no need.
    from registry.embeddings import placement  # noqa: PLC0415

    try:
        placed = placement.place_pending(engine)
    except RegistryError as error:
        return f"{len(came):,} models wait for vectors: {error}"
    return None if placed is None else placed.sentence()
