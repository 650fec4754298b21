"""The SQL catalog of language models: lineage, features, outcomes and embeddings in Postgres."""

from typing import TYPE_CHECKING

from registry.version import __version__

if TYPE_CHECKING:
    from registry.embeddings.read import Embeddings

__all__ = ["__version__", "load_embeddings"]


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
