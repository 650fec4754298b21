"""Refresh of predicted scores at the end of a sync or an import of evaluations."""

from importlib.util import find_spec

from sqlalchemy import Engine, text

from registry.errors import LockHeldError, RegistryError


def refresh_predictions(engine: Engine) -> str | None:
    """Predict scores of models that came since, where the extra `train` is installed.

    Errors are returned, not raised: what was synced or imported is stored all the same.

    Args:
        engine: of a database at head.

    Returns:
        A sentence for people; None where nothing came, or it is being done.
    """
    with engine.connect() as connection:
        query = text("SELECT 1 FROM store.prediction_versions WHERE state = 'current'")
        if connection.scalar(query) is None:
            return None
    if find_spec("scipy") is None:
        return "New models wait for predicted scores: pip install 'llm-registry[train]'"
    # Loads numpy and scipy, which a registry without predictions does not need.
    from registry.prediction.scores import later_models  # noqa: PLC0415

    try:
        report = later_models.place_later(engine)
    except LockHeldError:
        return None
    except RegistryError as error:
        return f"New models wait for predicted scores: {error}"
    if report is None or not report.pending:
        return None
    if report.placed is None:
        return f"{report.pending:,} models wait for predicted scores until `registry train`."
    return f"Version {report.version} predicts scores of {report.placed:,} new or changed models."
