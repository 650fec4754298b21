"""Optional dependencies of commands."""

from registry.errors import RegistryError


def require(*modules: str, doing: str) -> None:
    """Check that modules of the extra `train` are installed, without loading them.

    Raises:
        RegistryError: naming the first that is missing, and how to install it.
    """
    from importlib.util import find_spec

    for module in modules:
        if find_spec(module) is None:
            raise RegistryError(
                f"{doing} needs {module}, which is not installed: "
                "pip install 'llm-registry[train]'."
            )
