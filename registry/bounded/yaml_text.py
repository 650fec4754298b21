"""YAML of unknown origin, read in bounded memory: endless aliases and deep nesting are refused."""

from functools import cache
from typing import Any

import yaml

from registry.bounded.limits import YAML_DEPTH, YAML_NODES


def load(text: str, loader: type[Any]) -> object:
    """Return the value of one document.

    Args:
        text: the document.
        loader: one of PyYAML's own in Python; those in C do not bound the depth.

    Raises:
        yaml.YAMLError: when it is no YAML, is nested too deeply, or grows without bounds.
    """
    documents = load_all(text, loader)
    if len(documents) > 1:
        raise yaml.YAMLError("there is more than one document")
    return documents[0] if documents else None


def load_all(text: str, loader: type[Any]) -> list[object]:
    """Return the values of all documents.

    Raises:
        yaml.YAMLError: as `load`.
    """
    try:
        reader = _bounded(loader)(text)  # type: ignore[arg-type] # a class is hashable
        values = []
        while reader.check_node():
            node = reader.get_node()
            _written_out(node, {})
            values.append(reader.construct_document(node))
    except (ValueError, OverflowError, TypeError, AttributeError, LookupError) as error:
        # Of a date that is none, a number of too many digits, a key that is a list.
        problem = " ".join(str(error).split())[:200]
        raise yaml.YAMLError(problem or "a value cannot be read") from error
    return values


class _Shallow:
    """Part of a loader that refuses deep nesting."""

    depth = 0

    def compose_node(self, parent: object, index: object) -> object:
        """Read a node and those below it."""
        self.depth += 1
        if self.depth > YAML_DEPTH:
            raise yaml.YAMLError(f"it is nested more than {YAML_DEPTH} levels deep")
        node: object = super().compose_node(parent, index)  # type: ignore[misc] # of the loader
        self.depth -= 1
        return node


@cache
def _bounded(loader: type[Any]) -> type[Any]:
    return type("BoundedLoader", (_Shallow, loader), {})


def _written_out(node: yaml.Node, sizes: dict[int, int]) -> int:
    """Return how many values a node has with its aliases written out."""
    if id(node) in sizes:
        return sizes[id(node)]
    sizes[id(node)] = YAML_NODES + 1  # what contains itself is endless
    size = 1
    for child in node.value if isinstance(node, yaml.CollectionNode) else ():
        for each in child if isinstance(child, tuple) else (child,):
            size += _written_out(each, sizes)
            if size > YAML_NODES:
                problem = f"with its aliases written out it has more than {YAML_NODES:,} values"
                raise yaml.YAMLError(problem)
    sizes[id(node)] = size
    return size
