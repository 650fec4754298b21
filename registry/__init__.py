"""The SQL catalog of language models: lineage, features, outcomes and embeddings in Postgres."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from registry.version import __version__

if TYPE_CHECKING:
    from registry.embeddings.read import Embeddings
    from registry.prediction.outcomes import OutcomePredictions
    from registry.prediction.routing.router import Router

__all__ = ["Router", "__version__", "load_embeddings", "predict_outcomes"]


def __getattr__(name: str) -> object:
    """Import `Router` when it is asked for: `import registry` loads little."""
    if name == "Router":
        from registry.prediction.routing.router import Router  # noqa: PLC0415

        return Router
    raise AttributeError(f"module 'registry' has no attribute {name!r}")


def load_embeddings(url: str | None = None, version: int | None = None) -> "Embeddings":
    """Read the learned vectors of models into arrays, all of one version.

    Args:
        url: of a Postgres; without it REGISTRY_DATABASE_URL, DATABASE_URL or the embedded server.
        version: its number; the current one without.

    Raises:
        RegistryError: when the database cannot be read, there is no such version, or none is
            current.
    """
    from registry.embeddings.export import load  # noqa: PLC0415 - `import registry` loads little

    return load(url, version)


def predict_outcomes(
    models: str | Sequence[str] | None = None,
    items: str | Sequence[str] | None = None,
    url: str | None = None,
    version: int | None = None,
) -> "OutcomePredictions":
    """Predict the outcomes of models on items, each with its 90% interval.

    Args:
        models: any names; None for all models with a vector.
        items: names as benchmark:item or benchmark@version:item; None for all items that the
            version was trained on.
        url: of a Postgres; without it REGISTRY_DATABASE_URL, DATABASE_URL or the embedded server.
        version: its number; the current one without.

    Raises:
        RegistryError: when the database cannot be read, there is no such version, or a model or an
            item is unknown or has no vector in it.
    """
    from registry.prediction.outcomes import load  # noqa: PLC0415 - `import registry` loads little

    return load(models, items, url, version)
