"""Optional dependencies of commands."""

from registry.errors import RegistryError


def require(*modules: str, doing: str, extra: str = "train") -> None:
    """Check that modules of an extra are installed, without loading them.

    Args:
        modules: their names.
        doing: what needs them.
        extra: of the package, that installs them.

    Raises:
        RegistryError: naming the first that is missing, and how to install it.
    """
    from importlib.util import find_spec

    for module in modules:
        if find_spec(module) is None:
            raise RegistryError(
                f"{doing} needs {module}, which is not installed: "
                f"pip install 'llm-registry[{extra}]'."
            )
